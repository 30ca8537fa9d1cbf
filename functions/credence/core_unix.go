//go:build unix && !linux

package main

import "syscall"

// harden keeps the memory of this process, which holds keys and secrets, out of
// core dumps.
func harden() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
