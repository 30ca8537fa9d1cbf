//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// checkFolder rejects a data folder in which other users can put files of their
// own in the place of ours. An empty one that was made too wide is narrowed: it is
// about to be used for the first time.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at the data folder: %w", err)
	}
	if !info.IsDir() {
		return &os.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	mode := info.Mode().Perm()
	if mode&0o022 == 0 {
		return nil
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if names, err := os.ReadDir(dir); err == nil && len(names) == 0 && ok && int(stat.Uid) == os.Geteuid() && info.Mode()&os.ModeSticky == 0 {
		return os.Chmod(dir, 0o700) //nolint:gosec // a folder needs x
	}
	return fmt.Errorf("the data folder %s has mode %04o, so other users can replace the files in it; run: chmod 700 %s", dir, mode, dir)
}

// checkLink rejects a file that is a link into a folder in which other users can put
// a file of their own in its place.
func checkLink(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil || target == filepath.Clean(path) {
		return nil // what is missing is reported where it is opened
	}
	dir := filepath.Dir(target)
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at the folder of %s: %w", target, err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s is a link to %s, and that folder has mode %04o, so other users can replace the file; run: chmod go-w %s", path, target, mode, dir)
	}
	return nil
}

// listenTight makes a socket that only this user can connect to, from its first
// moment on: a chmod afterwards would leave it open to others until then. The mask
// is the process's, so files that others goroutines make meanwhile are narrower.
func listenTight(path string) (net.Listener, error) {
	before := syscall.Umask(0o177)
	defer syscall.Umask(before)
	return net.Listen("unix", path)
}
