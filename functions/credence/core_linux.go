package main

import "golang.org/x/sys/unix"

// harden keeps the memory of this process, which holds keys and secrets, out of
// core dumps. The limit alone does not hold where the kernel pipes dumps to a
// program; a process that is not dumpable is not dumped at all, and other
// processes of the same user cannot read its memory. A system that refuses either
// does not keep the server from starting.
func harden() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
