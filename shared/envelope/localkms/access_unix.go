//go:build unix

package localkms

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openFile does not wait for the other end should path name a pipe.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// checkAccess refuses a file that others can reach. Who it belongs to may widen
// its mode at any time, so another owner is refused as well.
func checkAccess(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o177 != 0 {
		return fmt.Errorf("%s has mode %04o, so others than you may use the key; run: chmod 600 %s", path, mode, path)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user; run as its owner, or make it yours with chown", path)
	}
	return nil
}

// syncDir makes a new name last. Secrets sealed under a key whose file's name is
// lost with the power are lost too.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
