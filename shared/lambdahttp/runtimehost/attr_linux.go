package runtimehost

import "syscall"

// childAttr lets the kernel kill the process when this one dies, however it
// does: nothing is left behind after a crash.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
