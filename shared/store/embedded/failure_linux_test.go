package embedded

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullFileSystem runs a store on a file system of 4 MiB that another file
// shares: the kernel lengthens the store's file and then refuses its pages. The
// mount lies in a namespace of the child's own and goes with it. Where that is
// not permitted, TestFileSizeLimit still holds the same promises.
func TestFullFileSystem(t *testing.T) {
	dir := os.Getenv(fullVariable)
	if dir == "" {
		attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			attributes.Cloneflags |= syscall.CLONE_NEWUSER
			attributes.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
			attributes.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
		}
		inChild(t, t.TempDir(), attributes)
		return
	}
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m")
	}
	if err != nil {
		t.Skip(notPermitted)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	outliveFullDisk(t, mustOpen(t, dir), dir, func() {
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
	})
}
