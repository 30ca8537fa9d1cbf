package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not come")
		}
	}
}

// TestRekeyUnderLoad moves the store of a running server to another key while eight
// clients write: no request fails, and then every secret opens under the new key
// file alone.
func TestRekeyUnderLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l := underLoad(t, dir, 8)
	l.reached(t, 20)
	next := filepath.Join(t.TempDir(), "next")
	out := command(t, 0, "rekey", "--data", dir, "--new-key", next)
	l.reached(t, l.changes.Load()+10)
	l.stop()
	if !strings.Contains(out, "data keys moved") {
		t.Errorf("rekey says %q", out)
	}
	command(t, 0, "check", "--data", dir, "--open")
	if out := command(t, 1, "rekey", "--data", dir, "--new-key", filepath.Join(dir, "key")); !strings.Contains(out, "is under already") {
		t.Errorf("the same key again: %s", out)
	}
	l.server.end(t)
	old, err := filepath.Glob(filepath.Join(dir, "key.*"))
	if err != nil || len(old) != 1 {
		t.Fatalf("key files: %v, %v", old, err)
	}
	if err := os.Remove(old[0]); err != nil {
		t.Fatal(err)
	}
	command(t, 0, "check", "--data", dir, "--open")
	start(t, dir)
}

var errCrash = errors.New("crash")

// TestRekeyIsResumed ends a move before each of its steps, as a crash does. Then
// every secret can be opened, the store can be served, and the move goes on.
func TestRekeyIsResumed(t *testing.T) {
	for step := -1; step < 4; step++ {
		t.Run(string(rune('0'+step+1)), func(t *testing.T) {
			dir := formerStore(t)
			copyFile(t, filepath.Join("testdata", "format1.key"), filepath.Join(dir, "key"))
			next := filepath.Join(t.TempDir(), "next")
			d, err := openData(t.Context(), where{Data: dir, Store: storeEmbedded}, false)
			if err != nil {
				t.Fatal(err)
			}
			d.stepped = func(n int) error {
				if n == step {
					return errCrash
				}
				return nil
			}
			_, err = d.rekey(t.Context(), next)
			if !errors.Is(err, errCrash) {
				t.Fatalf("the move ended with %v", err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if out := command(t, 0, "check", "--data", dir, "--open"); !strings.Contains(out, "6 secrets, each opened") {
				t.Errorf("check: %s", out)
			}
			start(t, dir).end(t)
			args := []string{"rekey", "--data", dir, "--new-key", next}
			if step > 0 {
				args = args[:3] // what was recorded is enough
			}
			command(t, 0, args...)
			if out := command(t, 0, "check", "--data", dir, "--open"); !strings.Contains(out, "6 secrets, each opened") {
				t.Errorf("check after the move: %s", out)
			}
			if text := content(t, dir); strings.Contains(text, "key.next") || strings.Count(text, "\nkey.old.local-") != 1 {
				t.Error("the key files are not those of a move that ended")
			}
		})
	}
}
