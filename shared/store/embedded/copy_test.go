package embedded

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

// TestCopyWhileWriting takes copies while eight writers commit. Each copy is a
// whole store in which every commit is there with all of its items or with none,
// and every commit that was acknowledged before the copy began is there.
func TestCopyWhileWriting(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", w, n)
				if err := s.Commit(t.Context(), group(id)...); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[id] = true
				mu.Unlock()
			}
		})
	}
	for range 5 {
		time.Sleep(20 * time.Millisecond)
		mu.Lock()
		known := make(map[string]bool, len(acknowledged))
		for id := range acknowledged {
			known[id] = true
		}
		mu.Unlock()
		verifyCopy(t, s, known)
	}
	close(stop)
	wg.Wait()
}

func verifyCopy(t *testing.T, s *Store, known map[string]bool) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	if err := s.Copy(t.Context(), func(size int64) (io.Writer, error) { want = size; return f, nil }); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(path, nil)
	if err != nil || len(report.Faults) > 0 || report.Bytes != want {
		t.Fatalf("a copy of %d bytes: %+v, %v", want, report, err)
	}
	count := census(t, mustOpen(t, dir))
	for id := range known {
		if count[id] != killItems {
			t.Errorf("commit %s has %d items of %d in the copy", id, count[id], killItems)
		}
	}
	for id, n := range count {
		if n != killItems {
			t.Errorf("commit %s is torn: %d items of %d", id, n, killItems)
		}
	}
}

// TestCompactGivesBack drops what expired and what the caller drops, and the file
// is smaller.
func TestCompactGivesBack(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := WithClock(func() time.Time { return now })
	s := mustOpen(t, dir, clock)
	for i := range 100 {
		w := put(fmt.Sprint("x", i), store.Absent(), store.Attributes{"b": make([]byte, 20<<10)})
		if i%2 == 0 {
			w.Item.Expires = now.Add(time.Hour)
		}
		mustCommit(t, s, w)
	}
	if _, err := Compact(t.Context(), dir, nil, clock); err == nil {
		t.Error("an open store was compacted")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	done, err := Compact(t.Context(), dir, func(i store.Item) bool { return i.Key.Sort != "x1" }, clock)
	if err != nil || done.Kept != 1 || done.Dropped != 99 || done.After*10 > done.Before {
		t.Fatalf("compact: %+v, %v", done, err)
	}
	mustFind(t, mustOpen(t, dir, clock), "x1", true)
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// TestIdleStoreSweeps: what expires goes without any commit.
func TestIdleStoreSweeps(t *testing.T) {
	often := func(s *Store) { s.sweepEvery = 5 * time.Millisecond }
	s := mustOpen(t, t.TempDir(), often)
	for i := range 50 {
		w := put(fmt.Sprint(i), store.Absent(), nil)
		w.Item.Expires = time.Now().Add(time.Second)
		mustCommit(t, s, w)
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := 0
		err := s.db.View(func(tx *bolt.Tx) error {
			left = tx.Bucket([]byte(store.Meta)).Inspect().KeyN + tx.Bucket([]byte(bucketExpiry)).Inspect().KeyN
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d records and entries are left", left)
		}
	}
}
