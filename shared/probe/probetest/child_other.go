//go:build !linux

package probetest

import "os/exec"

// EndWithTest changes nothing: the system has no signal of a parent's death.
func EndWithTest(*exec.Cmd) {}
