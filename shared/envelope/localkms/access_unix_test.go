//go:build unix

package localkms

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestModes(t *testing.T) {
	for mode := range os.FileMode(0o1000) {
		if mode&0o400 == 0 {
			continue // not readable for its owner; root would read it all the same
		}
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, goodText(), mode)
		_, err := Open(path, true)
		if want := mode == 0o600 || mode == 0o400; (err == nil) != want {
			t.Errorf("mode %04o: error %v, want ok %t", mode, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: error %v does not say what to do", mode, err)
		}
	}
}

// owned is a file's info with another owner: changing a real one needs root.
type owned struct {
	fs.FileInfo
	uid uint32
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

func TestOwners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, goodText(), 0o600)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatalf("reading the file's info: %v", err)
	}
	own := uint32(os.Geteuid())
	for uid, ok := range map[uint32]bool{own: true, own + 1: false, 4711: false} {
		err := checkAccess(path, owned{info, uid})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("owner %d for user %d: %v", uid, own, err)
		}
	}
	if err := checkAccess(path, struct{ fs.FileInfo }{noSys{info}}); err == nil {
		t.Error("a file whose owner cannot be told is opened")
	}
}

type noSys struct{ fs.FileInfo }

func (noSys) Sys() any { return nil }

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatalf("making a pipe: %v", err)
	}
	for _, path := range []string{pipe, dir, os.DevNull} {
		if _, err := Open(path, false); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v, want that it is not a regular file", path, err)
		}
	}
}

// TestLinks: what a link leads to is what is checked, and a link to nothing is
// not filled by way of it.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	wide, narrow := filepath.Join(dir, "wide"), filepath.Join(dir, "narrow")
	write(t, wide, goodText(), 0o644)
	write(t, narrow, goodText(), 0o600)
	for target, ok := range map[string]bool{wide: false, narrow: true, filepath.Join(dir, "nothing"): false} {
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(target, link); err != nil {
			t.Fatalf("making a link: %v", err)
		}
		if _, err := Open(link, false); (err == nil) != ok {
			t.Errorf("link to %s: %v, want ok %t", filepath.Base(target), err, ok)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a key was made behind a dangling link")
	}
}
