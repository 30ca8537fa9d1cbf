//go:build unix && !linux

package runtimehost

import "syscall"

// childAttr has no death signal to ask for here; Close ends the process, and a
// runtime whose API is gone ends by itself.
func childAttr() *syscall.SysProcAttr { return nil }
