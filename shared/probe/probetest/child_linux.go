package probetest

import (
	"os/exec"
	"syscall"
)

// EndWithTest lets the kernel kill a child when this process ends, however it ends.
// Call it before the child starts.
func EndWithTest(c *exec.Cmd) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
