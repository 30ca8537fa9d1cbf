//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"credence/shared/store/embedded"
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
	if mode&0o077 == 0 {
		return nil
	}
	if names, err := os.ReadDir(dir); err == nil && len(names) == 0 && owner(info) == os.Geteuid() && info.Mode()&os.ModeSticky == 0 {
		return os.Chmod(dir, 0o700) //nolint:gosec // a folder needs x
	}
	if mode&0o022 == 0 {
		return nil // credence check reports it
	}
	return fmt.Errorf("the data folder %s has mode %04o, so other users can replace the files in it; run: chmod 700 %s", dir, mode, dir)
}

// owner returns the user id of a file's owner, -1 if the system has none.
func owner(info os.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// checkRights compares the data folder with mode 0700 and the files in it with mode
// 0600 and the owner of the folder. It returns how many of them exist, and a finding
// for each that other users can reach.
func checkRights(dir string) (n int, findings []checkFinding) {
	findings = []checkFinding{}
	folder, err := os.Stat(dir)
	if err != nil {
		return 0, findings // the check of what is in it reports this
	}
	old, _ := filepath.Glob(oldKeyFile(dir, "*")) // the pattern is well-formed
	for _, path := range append([]string{
		dir, filepath.Join(dir, embedded.FileName), filepath.Join(dir, keyFile), filepath.Join(dir, keyNext), filepath.Join(dir, "admin.sock"),
	}, old...) {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		n++
		want := os.FileMode(0o600)
		if path == dir {
			want = 0o700
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			findings = append(findings, checkFinding{
				Where: path, Problem: fmt.Sprintf("Its mode is %04o, so other users can reach it.", mode), Remedy: fmt.Sprintf("Run: chmod %o %s", want, path),
			})
		}
		if uid := owner(folder); owner(info) != uid {
			findings = append(findings, checkFinding{
				Where: path, Problem: "It belongs to another user than the data folder.", Remedy: fmt.Sprintf("Run as root: chown %d %s", uid, path),
			})
		}
	}
	return n, findings
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
