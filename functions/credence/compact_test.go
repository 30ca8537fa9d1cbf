package main

import (
	"path/filepath"
	"testing"
	"time"

	"credence/shared/store"
	"credence/shared/store/embedded"
)

// TestRetention: what is past an organisation's retention is left out of the new
// file, and every chain of changes stays whole.
func TestRetention(t *testing.T) {
	dir := formerStore(t)
	copyFile(t, filepath.Join("testdata", "format1.key"), filepath.Join(dir, "key"))
	path := filepath.Join(dir, embedded.FileName)
	for _, row := range []struct {
		after   time.Duration
		dropped bool
	}{{24 * time.Hour, false}, {500 * 24 * time.Hour, true}} {
		drop, err := pastRetention(t.Context(), path, time.Now().Add(row.after))
		if err != nil {
			t.Fatal(err)
		}
		s, err := embedded.OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		dropped, kept := 0, 0
		err = s.Each(t.Context(), store.Audit, func(i store.Item) error {
			if drop(i) {
				dropped++
			} else {
				kept++
			}
			return nil
		})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || kept == 0 || (dropped > 0) != row.dropped {
			t.Errorf("after %v: %d dropped and %d kept, %v", row.after, dropped, kept, err)
		}
	}
	drop, err := pastRetention(t.Context(), path, time.Now().Add(500*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Compact(t.Context(), dir, drop); err != nil {
		t.Fatal(err)
	}
	command(t, 0, "check", "--data", dir, "--open")
	s, err := embedded.OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Each(t.Context(), store.Audit, func(i store.Item) error {
		if _, changed := i.Attributes["n"]; !changed {
			t.Errorf("kept %s", i.Key.Sort)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
