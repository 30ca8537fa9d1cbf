package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

func key(sort string) store.Key {
	return store.Key{Table: store.Meta, Partition: "P", Sort: sort}
}

func put(sort string, c store.Condition, a store.Attributes) store.Write {
	return store.Write{Verb: store.Put, Item: store.Item{Key: key(sort), Attributes: a}, If: c}
}

func mustCommit(t testing.TB, s *Store, writes ...store.Write) {
	t.Helper()
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
}

func mustFind(t testing.TB, s *Store, sort string, want bool) {
	t.Helper()
	items, err := s.Get(t.Context(), key(sort))
	if err != nil {
		t.Fatal(err)
	}
	if items[0].Found() != want {
		t.Errorf("%s: found %v, want %v", sort, items[0].Found(), want)
	}
}

func TestOpenAgainKeepsItems(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "store")
	s := mustOpen(t, dir)
	mustCommit(t, s, put("a", store.Absent(), store.Attributes{"n": int64(1)}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, FileName): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
		}
	}
	mustFind(t, mustOpen(t, dir), "a", true)
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v, want ErrLocked", err)
	}
	mustCommit(t, s, put("a", store.Absent(), nil)) // the first is not disturbed
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustFind(t, mustOpen(t, dir), "a", true)
}

func TestFormatMarker(t *testing.T) {
	for name, test := range map[string]struct {
		marker []byte
		newer  bool
	}{
		"newer":             {[]byte{Format + 1}, true},
		"newer and longer":  {[]byte{200, 1, 2}, true},
		"empty":             {nil, false},
		"of no version yet": {[]byte{0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := mustOpen(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, FileName)
			mark(t, path, test.marker)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir)
			if err == nil || errors.Is(err, ErrNewerFormat) != test.newer {
				t.Errorf("open: %v, want a refusal, newer format %v", err, test.newer)
			}
			after, err := os.ReadFile(path)
			if err != nil || string(after) != string(before) {
				t.Errorf("the refused file was changed, or %v", err)
			}
			mark(t, path, []byte{Format}) // and was left unlocked
			mustOpen(t, dir)
		})
	}
}

func mark(t *testing.T, path string, marker []byte) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketFormat)).Put(keyFormat, marker)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesAForeignFile(t *testing.T) {
	dir := t.TempDir()
	foreign := []byte("this is a letter and no store\n")
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Fatal("a foreign file was opened")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != string(foreign) {
		t.Errorf("the foreign file was changed, or %v", err)
	}
}

func TestCloseWaitsForCommits(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	var wg sync.WaitGroup
	acknowledged := make([]bool, 64)
	for i := range acknowledged {
		wg.Go(func() {
			err := s.Commit(t.Context(), put(string(rune('0'+i)), store.Absent(), nil))
			if err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("commit: %v, want none or ErrUnavailable", err)
			}
			acknowledged[i] = err == nil
		})
		if i == len(acknowledged)/2 {
			wg.Go(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	s = mustOpen(t, dir)
	for i, want := range acknowledged {
		mustFind(t, s, string(rune('0'+i)), want)
	}
}

// TestExpiredItemsAreSwept writes sessions that end, long enough for a store
// that keeps them to hold hundreds.
func TestExpiredItemsAreSwept(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := mustOpen(t, t.TempDir(), WithClock(func() time.Time { return now }))
	kept := put("kept", store.Absent(), nil)
	moved := put("moved", store.Always(), nil)
	moved.Item.Expires = now.Add(time.Second)
	mustCommit(t, s, kept, moved)
	moved.Item.Expires = now.Add(1000 * time.Hour) // its first entry must not take it along
	mustCommit(t, s, moved)
	for i := range 500 {
		w := put(time.Duration(i).String(), store.Absent(), nil)
		w.Item.Expires = now.Add(time.Minute)
		mustCommit(t, s, w)
		now = now.Add(10 * time.Second)
	}
	mustFind(t, s, "kept", true)
	mustFind(t, s, "moved", true)
	items, entries := 0, 0
	err := s.db.View(func(tx *bolt.Tx) error {
		items = tx.Bucket([]byte(store.Meta)).Inspect().KeyN
		entries = tx.Bucket([]byte(bucketExpiry)).Inspect().KeyN
		return nil
	})
	if err != nil || items > 10 || entries != items-1 {
		t.Errorf("%d items and %d expiry entries lie in the file, want at most 10 and one less: %v", items, entries, err)
	}
}
