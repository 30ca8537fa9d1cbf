package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

var errDisk = errors.New("input/output error")

// TestLastSyncFails is the one failure whose outcome nobody can tell: the
// engine has written its meta page, and the disk does not confirm it.
func TestLastSyncFails(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustCommit(t, s, put("before", store.Absent(), nil))
	s.finish = func(tx *bolt.Tx) error { return errors.Join(tx.Commit(), errDisk) }
	if err := s.Commit(t.Context(), put("unknown", store.Absent(), nil)); !errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("commit: %v, want ErrOutcomeUnknown", err)
	}
	s.finish = (*bolt.Tx).Commit
	if err := s.Commit(t.Context(), put("later", store.Absent(), nil)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("later commit: %v, want ErrUnavailable", err)
	}
	if _, err := s.Get(t.Context(), key("before")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("later get: %v, want ErrUnavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir) // reads what the disk has
	mustFind(t, s, "before", true)
	mustFind(t, s, "later", false)
}

// TestFailureBeforeTheEnd is every other one: nothing was written.
func TestFailureBeforeTheEnd(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	s.finish = func(tx *bolt.Tx) error { return errors.Join(tx.Rollback(), errDisk) }
	if err := s.Commit(t.Context(), put("a", store.Absent(), nil)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("commit: %v, want ErrUnavailable", err)
	}
	mustFind(t, s, "a", false)
	s.finish = (*bolt.Tx).Commit
	mustCommit(t, s, put("a", store.Absent(), nil))
	mustFind(t, s, "a", true)
}

// endsNext is a context that has ended when it is asked a second time: a read
// which need not wait does not notice.
type endsNext struct {
	context.Context
	asked bool
}

func (e *endsNext) Err() error {
	if !e.asked {
		e.asked = true
		return nil
	}
	return context.Canceled
}

func (*endsNext) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// TestReadersWaitForTheSync holds a commit between the write that makes it
// visible to the engine's readers and its confirmation.
func TestReadersWaitForTheSync(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	written, confirm := make(chan struct{}), make(chan struct{})
	s.finish = func(tx *bolt.Tx) error {
		err := tx.Commit()
		close(written)
		<-confirm
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Commit(t.Context(), put("a", store.Absent(), nil)); err != nil {
			t.Error(err)
		}
	})
	<-written
	if items, err := s.Get(&endsNext{Context: t.Context()}, key("a")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("get before the sync: %v, %v, want ErrUnavailable", items, err)
	}
	wg.Go(func() { mustFind(t, s, "a", true) })
	close(confirm)
	wg.Wait()
}

// TestOneTooLargeSparesItsNeighbours lets the disk refuse every transaction
// that holds the large commit.
func TestOneTooLargeSparesItsNeighbours(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	s.finish = func(tx *bolt.Tx) error {
		if tx.Bucket([]byte(store.Meta)).Get(bucketKey("P", "large")) != nil {
			return errors.Join(tx.Rollback(), errDisk)
		}
		return tx.Commit()
	}
	var batch []*job
	for _, sort := range []string{"a", "large", "b"} {
		c, err := prepareChange(put(sort, store.Absent(), nil))
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, &job{changes: []change{c}, done: make(chan error, 1)})
	}
	s.commit(batch) // no other commit is under way: the writer waits
	for i, want := range []error{nil, store.ErrUnavailable, nil} {
		if err := <-batch[i].done; !errors.Is(err, want) {
			t.Errorf("commit %d: %v, want %v", i, err, want)
		}
	}
	mustFind(t, s, "a", true)
	mustFind(t, s, "large", false)
	mustFind(t, s, "b", true)
}

// fullVariable makes this binary the child of a test of the full disk: its
// value is the store's directory.
const fullVariable = "EMBEDDED_FULL_DISK_DIR"

// inChild runs the same test again in a process of its own.
func inChild(t *testing.T, dir string, attributes *syscall.SysProcAttr) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), fullVariable+"="+dir)
	child.SysProcAttr = attributes
	out, err := child.CombinedOutput()
	if errors.Is(err, os.ErrPermission) || strings.Contains(string(out), notPermitted) {
		t.Skip(notPermitted)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
}

const notPermitted = "mounting a file system is not permitted here"

// TestFileSizeLimit runs a store in a process whose files may not grow beyond
// 1 MiB: the kernel refuses to lengthen the file.
func TestFileSizeLimit(t *testing.T) {
	dir := os.Getenv(fullVariable)
	if dir == "" {
		inChild(t, t.TempDir(), nil)
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // so that the write fails and not the process
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	fill := func(soft uint64) {
		limited := limit
		limited.Cur = soft
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, dir)
	fill(1 << 20)
	outliveFullDisk(t, s, dir, func() { fill(limit.Max) })
}

// outliveFullDisk writes until the disk is full, looks for half-written
// commits, goes on when there is space again, and opens the store once more.
func outliveFullDisk(t *testing.T, s *Store, dir string, free func()) {
	t.Helper()
	body := make([]byte, 100<<10)
	refused := 0
	for i := 0; refused < 3; i++ {
		if i > 10_000 {
			t.Fatal("the disk does not fill up")
		}
		a, b := fmt.Sprint(i, " a"), fmt.Sprint(i, " b")
		err := s.Commit(t.Context(),
			put(a, store.Absent(), store.Attributes{"b": body}),
			put(b, store.Absent(), store.Attributes{"b": body}))
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("commit on a full disk: %v, want ErrUnavailable", err)
		}
		if err != nil {
			refused++
		}
		mustFind(t, s, a, err == nil)
		mustFind(t, s, b, err == nil)
	}
	mustFind(t, s, "0 a", true)
	free()
	mustCommit(t, s, put("after", store.Absent(), store.Attributes{"b": body}))
	mustFind(t, s, "after", true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	mustFind(t, s, "0 a", true)
	mustFind(t, s, "after", true)
}
