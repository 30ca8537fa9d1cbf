package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credence/shared/store/embedded"
)

// copyFile copies a file's content, with mode 0600.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestStartRefusesWhatItCannotTrust: each state of a data folder that is not that
// of a store which was stopped is rejected with what to do, in one sentence, and
// is left as it was.
func TestStartRefusesWhatItCannotTrust(t *testing.T) {
	other := t.TempDir()
	start(t, other).end(t)
	for _, row := range []struct {
		name   string
		change func(t *testing.T, dir, db, key string) error
		says   []string
	}{
		{"another store's key", func(t *testing.T, _, _, key string) error {
			copyFile(t, filepath.Join(other, "key"), key)
			return nil
		}, []string{"sealed under the key local-", "Put the key file of this store back"}},
		{"the database is missing", func(_ *testing.T, _, db, _ string) error { return os.Remove(db) }, []string{"credence.db is missing", "--new"}},
		{"the database is empty", func(_ *testing.T, _, db, _ string) error { return os.Truncate(db, 0) }, []string{"credence.db is empty", "--new"}},
		{"the key is missing", func(_ *testing.T, _, _, key string) error { return os.Remove(key) }, []string{"key is missing", "put the file back"}},
		{"the key is empty", func(_ *testing.T, _, _, key string) error { return os.Truncate(key, 0) }, []string{"put it back from your copy"}},
		{"both are empty", func(_ *testing.T, _, db, key string) error {
			_ = os.Remove(key)
			return os.Truncate(db, 0)
		}, []string{"it is empty", "credence restore"}},
		{"half of the database", func(_ *testing.T, _, db, _ string) error { return os.Truncate(db, 16<<10) }, []string{"cut off", "credence restore"}},
		{"a database of some bytes", func(_ *testing.T, _, db, _ string) error { return os.Truncate(db, 100) }, []string{"cut off"}},
		{"a foreign file", func(_ *testing.T, _, db, _ string) error {
			return os.WriteFile(db, bytes.Repeat([]byte("a letter\n"), 4000), 0o600)
		}, []string{"does not begin as a database"}},
		{"a folder for a database", func(_ *testing.T, _, db, _ string) error {
			_ = os.Remove(db)
			return os.Mkdir(db, 0o700)
		}, []string{"credence.db"}},
		{"zeros in the middle", func(_ *testing.T, _, db, _ string) error {
			b, err := os.ReadFile(db)
			clear(b[12<<10 : 24<<10])
			return errorsOr(err, os.WriteFile(db, b, 0o600))
		}, []string{"damaged", "credence restore", "credence check"}},
		{"a folder that others may write", func(_ *testing.T, dir, _, _ string) error { return os.Chmod(dir, 0o777) }, []string{"mode 0777", "chmod 700"}},
		{"a folder that a group may write", func(_ *testing.T, dir, _, _ string) error { return os.Chmod(dir, 0o770) }, []string{"mode 0770", "chmod 700"}},
		{"a database that others may read", func(_ *testing.T, _, db, _ string) error { return os.Chmod(db, 0o644) }, []string{"mode 0644", "chmod 600"}},
		{"a database that others may write", func(_ *testing.T, _, db, _ string) error { return os.Chmod(db, 0o666) }, []string{"mode 0666", "chmod 600"}},
		{"a link to a database", func(t *testing.T, _, db, _ string) error { return linked(db, t.TempDir()) }, []string{"it is a link", "--data"}},
		{"a link to a key in a folder that others may write", func(t *testing.T, _, _, key string) error {
			dir := t.TempDir()
			return errorsOr(linked(key, dir), os.Chmod(dir, 0o777))
		}, []string{"is a link to", "mode 0777", "chmod go-w"}},
		{"a key that others may write", func(_ *testing.T, _, _, key string) error { return os.Chmod(key, 0o666) }, []string{"mode 0666", "chmod 600"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			s := start(t, dir)
			service := key(t, s.out.String())
			command(t, 0, "org", "add", "Second", "--data", dir)
			s.end(t)
			db, keyPath := filepath.Join(dir, embedded.FileName), filepath.Join(dir, "key")
			if err := row.change(t, dir, db, keyPath); err != nil {
				t.Fatal(err)
			}
			before := content(t, dir)
			out := command(t, 1, "serve", "--addr", "127.0.0.1:0", "--data", dir)
			for _, want := range row.says {
				if !strings.Contains(out, want) {
					t.Errorf("says %q, want %q in it", out, want)
				}
			}
			if strings.Count(strings.TrimSpace(out), "\n") > 0 || strings.Contains(out, "goroutine") || strings.Contains(out, service) {
				t.Errorf("says more than one line: %s", out)
			}
			if after := content(t, dir); after != before {
				t.Errorf("the folder held %q and holds %q", before, after)
			}
		})
	}
}

// linked moves a file into a folder and leaves a link to it in its place.
func linked(path, dir string) error {
	target := filepath.Join(dir, filepath.Base(path))
	return errorsOr(os.Rename(path, target), os.Symlink(target, path))
}

func errorsOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// content is the names and contents of a folder's files.
func content(t *testing.T, dir string) string {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, n := range names {
		b, _ := os.ReadFile(filepath.Join(dir, n.Name())) // a folder has none
		all.WriteString(n.Name() + ":" + string(b) + "\n")
	}
	return all.String()
}

// TestNewBeginsAnew: --new is the operator's word that the old store is not wanted.
func TestNewBeginsAnew(t *testing.T) {
	for name, change := range map[string]func(db string) error{
		"missing": os.Remove, "empty": func(db string) error { return os.Truncate(db, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			start(t, dir).end(t)
			if err := change(filepath.Join(dir, embedded.FileName)); err != nil {
				t.Fatal(err)
			}
			s := start(t, dir, "--new")
			key(t, s.out.String())
			s.end(t)
			if out := command(t, 1, "serve", "--addr", "127.0.0.1:0", "--data", dir, "--new"); !strings.Contains(out, "there is a store already") {
				t.Errorf("--new beside a store: %q", out)
			}
			start(t, dir)
		})
	}
}

// TestTightFromTheStart: whatever the mask of the process is, nothing is made that
// others can open, and an empty folder that is too wide is narrowed.
func TestTightFromTheStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wide")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
	for name, mode := range map[string]os.FileMode{"": 0o700, "key": 0o600, "credence.db": 0o600, "admin.sock": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v, want mode %o", name, info, err, mode)
		}
	}
}

// TestStoreOfTheReleaseBefore starts on a store that the release before wrote: it
// has no record of its key, and takes no other.
func TestStoreOfTheReleaseBefore(t *testing.T) {
	dir := formerStore(t)
	other := t.TempDir()
	start(t, other).end(t)
	copyFile(t, filepath.Join(other, "key"), filepath.Join(dir, "key"))
	if out := command(t, 1, "serve", "--addr", "127.0.0.1:0", "--data", dir); !strings.Contains(out, "sealed under the key local-") {
		t.Fatalf("another key: %s", out)
	}
	copyFile(t, filepath.Join("testdata", "format1.key"), filepath.Join(dir, "key"))
	s := start(t, dir)
	if strings.Contains(s.out.String(), "crk_") {
		t.Error("the store counts as new")
	}
	s.end(t)
	copyFile(t, filepath.Join(other, "key"), filepath.Join(dir, "key"))
	command(t, 1, "serve", "--addr", "127.0.0.1:0", "--data", dir)
}
