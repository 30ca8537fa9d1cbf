package localkms

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"credence/shared/secret/secrettest"
)

func goodText() string {
	return filePrefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xa5}, 32)) + "\n"
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatalf("writing: %v", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatalf("changing the mode: %v", err)
	}
}

func TestOpenMakesAFileOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	first, err := Open(path, false)
	if err != nil || !first.Fresh() {
		t.Fatalf("opening where nothing is: %v, fresh %t", err, err == nil && first.Fresh())
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() != int64(fileSize) {
		t.Errorf("made %v of mode %v: %v", info.Size(), info.Mode(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	for _, dataExists := range []bool{false, true} {
		again, err := Open(path, dataExists)
		if err != nil || again.Fresh() || again.ID() != first.ID() {
			t.Errorf("opening again, data exists %t: %v", dataExists, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("opening changed the file: %v", err)
	}
	mustHoldOnly(t, dir, "key")
}

func mustHoldOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("reading the folder: %v", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if fmt.Sprint(names) != fmt.Sprint(want) {
		t.Errorf("the folder holds %v, want %v", names, want)
	}
}

// TestMissingBesideData: the error that keeps a lost key from looking like a
// first start.
func TestMissingBesideData(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "key"), true)
	if err == nil || !strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), "put the file back") {
		t.Errorf("error %v, want that the file is missing and what to do", err)
	}
	mustHoldOnly(t, dir)
}

// TestManyAtOnce: of programs that start side by side one makes the file, and
// all have its key.
func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	keys, errs := make([]*Key, 16), make([]error, 16)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() { keys[i], errs[i] = Open(path, false) })
	}
	all.Wait()
	fresh := 0
	for i, k := range keys {
		if errs[i] != nil {
			t.Fatalf("opening side by side: %v", errs[i])
		}
		if k.Fresh() {
			fresh++
		}
		if k.ID() != keys[0].ID() {
			t.Error("two programs have two keys")
		}
	}
	if fresh != 1 {
		t.Errorf("%d made the file, want 1", fresh)
	}
	mustHoldOnly(t, dir, "key")
}

func TestFilesRefused(t *testing.T) {
	good := goodText()
	secret := secrettest.NewSearch([]byte(good[len(filePrefix) : fileSize-1]))
	for _, c := range []struct{ name, text, says string }{
		{"empty", "", "not one line"},
		{"half written", good[:30], "not one line"},
		{"no newline", good[:fileSize-1], "not one line"},
		{"two newlines", good + "\n", "not one line"},
		{"two keys", good + good, "not one line"},
		{"windows newline", good[:fileSize-1] + "\r\n", "not one line"},
		{"carriage return for newline", good[:fileSize-1] + "\r", "not one line"},
		{"leading space", " " + good[:fileSize-2] + "\n", "not one line"},
		{"other version", strings.Replace(good, "-1 ", "-2 ", 1), "not one line"},
		{"tab for space", strings.Replace(good, " ", "\t", 1), "not one line"},
		{"upper case", strings.ToUpper(good[:10]) + good[10:], "not one line"},
		{"byte order mark", "\xef\xbb\xbf" + good[:fileSize-4] + "\n", "not one line"},
		{"newline in the key", good[:40] + "\n" + good[41:], "damaged"},
		{"space in the key", good[:40] + " " + good[41:], "damaged"},
		{"url alphabet", good[:40] + "_" + good[41:], "damaged"},
		{"no padding", good[:fileSize-2] + "A\n", "damaged"},
		{"more padding", good[:fileSize-3] + "==\n", "damaged"},
		{"bits left over", good[:fileSize-3] + "V=\n", "damaged"},
		{"NUL", strings.Repeat("\x00", fileSize), "not one line"},
		{"huge", strings.Repeat("x", 1<<20), "not one line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			write(t, path, c.text, 0o600)
			for _, dataExists := range []bool{false, true} {
				_, err := Open(path, dataExists)
				if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "opening the key file: ") {
					t.Fatalf("error %v, want one that says %q", err, c.says)
				}
				if forms := secret.In([]byte(err.Error())); len(forms) != 0 {
					t.Errorf("the error holds the key as %v", forms)
				}
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != c.text {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

func TestOneSpellingAKey(t *testing.T) {
	fileKey, err := parse([]byte(goodText()))
	if err != nil || string(spell(fileKey)) != goodText() {
		t.Errorf("the good file does not come back as it was: %v", err)
	}
	seen := map[string]bool{}
	for bit := range fileSize * 8 {
		changed := []byte(goodText())
		changed[bit/8] ^= 1 << (bit % 8)
		other, err := parse(changed)
		if err != nil {
			continue
		}
		if bytes.Equal(other, fileKey) || seen[string(other)] {
			t.Errorf("bit %d changed: another spelling of the same key", bit)
		}
		seen[string(other)] = true
	}
	if len(seen) == 0 {
		t.Error("no changed bit gave another key; the loop tries nothing")
	}
}

func TestFolderMissing(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "nowhere", "key"), false)
	if err == nil || !strings.HasPrefix(err.Error(), "opening the key file: ") {
		t.Errorf("error %v, want one", err)
	}
}
