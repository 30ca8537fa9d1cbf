//go:build unix

package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// mapsBeyondEnd: a mapping may be longer than its file.
const mapsBeyondEnd = true

// checkAccess rejects a file that other users can read or write, or that another
// user owns, who may widen its mode at any time, and a link: other users may replace
// its target, and a compaction would put a file in the place of the link.
func checkAccess(path string, info fs.FileInfo) error {
	if named, err := os.Lstat(path); err == nil && named.Mode()&fs.ModeSymlink != 0 {
		return &AccessError{Path: path, Problem: "it is a link", Remedy: "name the folder of the file itself with --data, or move the file here"}
	}
	if !info.Mode().IsRegular() {
		return &AccessError{Path: path, Problem: "it is not a regular file"}
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return &AccessError{Path: path, Problem: fmt.Sprintf("its mode %04o lets other users reach it", mode), Remedy: "run: chmod 600 " + path}
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return &AccessError{Path: path, Problem: "it belongs to another user", Remedy: "run as its owner, or make it yours with chown"}
	}
	return nil
}
