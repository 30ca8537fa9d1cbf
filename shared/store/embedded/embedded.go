// Package embedded is the store of one machine: one file in one directory,
// opened by one process, on the B+ tree of bbolt.
//
// All commits go through one goroutine. While the disk takes a batch, the next
// ones gather, and are then made durable together: two syncs for all of them.
// Each commit of a batch is judged by the state that the earlier ones left, and
// a commit whose condition fails leaves its neighbours alone.
//
// Reads run beside it, each on a snapshot, and show nothing that a loss of
// power could take back: see horizon.
package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"credence/shared/store"
)

// FileName is the one file a store keeps in its directory.
const FileName = "credence.db"

// Format is the version of the file that this code writes. It goes up when older
// code would misread what newer code wrote. Format 1, whose records have no
// checksum, is read too; opening it makes it Format 2, in which new records have
// one, and Compact gives one to the rest.
const Format = 2

// Errors of Open, to be told apart with errors.Is; a damaged file is
// store.ErrDamaged.
var (
	ErrLocked      = errors.New("another process has the store open")
	ErrNewerFormat = errors.New("the store was written by a newer version")
)

const (
	// lockPatience is for a predecessor that is just ending, no more.
	lockPatience = 200 * time.Millisecond
	// openBudget is how long opening a store may verify its file: about a
	// gigabyte on a busy machine of two cores. Of a larger file the rest is left to Verify.
	openBudget = 3 * time.Second
	// sweepEvery is how often an idle store removes what has expired.
	sweepEvery = time.Minute
)

// Buckets besides the tables, which lie under their own names.
const (
	bucketFormat = "format"
	bucketExpiry = "expiry"
)

// Store is an open store. Make it with Open.
type Store struct {
	db         *bolt.DB
	now        func() time.Time
	records    reader
	head       header // as the last durable transaction has it; the writer's own
	horizon    *horizon
	jobs       chan *job
	stopped    chan struct{} // closed when the writer has ended
	sweepEvery time.Duration
	turns      chan struct{} // of reads of many keys

	// finish is (*bolt.Tx).Commit; tests stand a failing disk in its place.
	finish func(*bolt.Tx) error

	closing sync.RWMutex // held for reading while a job is handed over
	closed  bool
	once    sync.Once
	result  error
}

var _ store.Store = (*Store)(nil)

// Option changes how a store works.
type Option func(*Store)

// WithClock sets the clock that decides what has expired; without it,
// time.Now.
func WithClock(now func() time.Time) Option { return func(s *Store) { s.now = now } }

// Open opens the store in a directory, and makes both where they are missing:
// the directory with mode 0700, the file with 0600. Only one process may have
// it open: for the second, errors.Is(err, ErrLocked) holds after at most a
// quarter of a second.
//
// The file is verified before the engine may read it, whole if that takes no more
// than some seconds. A damaged, empty or cut off file gives store.ErrDamaged, a
// file of a later Format ErrNewerFormat, a file that other users may read or
// write an *AccessError; each stays as it was. The caller closes the store.
func Open(dir string, opts ...Option) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the operator names the directory
		return nil, fmt.Errorf("making the store's directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	if err := create(path); err != nil {
		return nil, fmt.Errorf("making the store: %w", err)
	}
	s := newStore(opts)
	s.jobs = make(chan *job, maxBatchJobs)
	if err := s.open(path); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	if err := syncDirectories(dir); err != nil {
		return nil, fmt.Errorf("opening the store: %w", errors.Join(err, s.db.Close()))
	}
	go s.run()
	return s, nil
}

// OpenReadOnly opens a store's file for reading. Verify it first: only the format
// is looked at here. Commits answer store.ErrUnavailable. The caller closes the
// store.
func OpenReadOnly(path string, opts ...Option) (*Store, error) {
	s := newStore(opts)
	s.closed = true
	close(s.stopped)
	err := guarded("opening the file", func() error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: lockPatience, NoStatistics: true})
		if err != nil {
			return err
		}
		s.db = db
		return s.begin(nil)
	})
	if errors.Is(err, berrors.ErrTimeout) {
		err = ErrLocked
	}
	if err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, fmt.Errorf("opening a store for reading: %w", err)
	}
	return s, nil
}

func newStore(opts []Option) *Store {
	s := &Store{
		now: time.Now, stopped: make(chan struct{}), finish: (*bolt.Tx).Commit, sweepEvery: sweepEvery, turns: turns(),
	}
	for _, o := range opts {
		o(s)
	}
	return s
}

// create makes a new file where there is none. It fills the file beside its place
// and links it there: a file that is there is never replaced, and a crash leaves
// no half of one under the name.
func create(path string) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) { //nolint:gosec // the operator names the directory
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".new-store-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(draft.Name())) }() //nolint:gosec // a name that CreateTemp made
	if err := draft.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(draft.Name(), 0o600, &bolt.Options{NoStatistics: true})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(fill), db.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// open gives the file to the engine once it is locked and verified.
func (s *Store) open(path string) error {
	var found *verifier
	options := &bolt.Options{
		Timeout: lockPatience, FreelistType: bolt.FreelistMapType, NoStatistics: true,
		InitialMmapSize: mapSize(path),
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			if err != nil {
				return nil, err
			}
			if found, err = admit(f); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		},
	}
	err := guarded("opening the file", func() error {
		db, err := bolt.Open(path, 0o600, options)
		if err != nil {
			return err
		}
		s.db = db
		db.AllocSize = growth(found.report.Bytes)
		return s.begin(found)
	})
	if errors.Is(err, berrors.ErrTimeout) {
		err = ErrLocked
	}
	if err != nil && s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	return err
}

// mapSize is how much address space the engine maps at first, beyond the file's
// end too. A commit that needs more waits for every reader to end before it maps
// more, so a backup that takes its time would hold it up.
func mapSize(path string) int {
	if strconv.IntSize < 64 || !mapsBeyondEnd {
		return 0
	}
	size := int64(1) << 30
	if info, err := os.Stat(path); err == nil { //nolint:gosec // as above
		size = max(size, 2*info.Size())
	}
	return int(size)
}

// growth is by how much a file of this size grows at once. The engine's own step
// is 16 MB, also for a file of a few pages.
func growth(size int64) int { return int(min(max(size, 256<<10), 16<<20)) }

// admit locks and verifies a file, for at most openBudget.
func admit(f *os.File) (*verifier, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkAccess(f.Name(), info); err != nil {
		return nil, err
	}
	if err := lock(f, true, lockPatience); err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, damagedFile("it is empty", 0)
	}
	v, err := newVerifier(f)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(openBudget)
	v.progress = func(int64) bool { return time.Now().Before(until) }
	v.run()
	return v, v.err()
}

// begin reads the header. A file of Format 1 gets one, from what was counted.
func (s *Store) begin(found *verifier) error {
	last := 0
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		last = tx.ID()
		s.head, err = readHeader(tx)
		return err
	})
	if err != nil {
		return err
	}
	if s.head.least == 0 && found != nil {
		if s.head, err = found.upgraded(); err != nil {
			return err
		}
		err = s.db.Update(func(tx *bolt.Tx) error {
			last = tx.ID()
			return stamp(tx, s.head)
		})
		if err != nil {
			return err
		}
	}
	s.records = reader{least: max(s.head.least, recordWithoutSum)}
	s.horizon = newHorizon(last)
	return nil
}

// syncDirectories makes the names of a new file and a new directory as durable
// as what the file will hold.
func syncDirectories(dir string) error {
	for _, d := range []string{dir, filepath.Dir(filepath.Clean(dir))} {
		f, err := os.Open(d) //nolint:gosec // as above
		if errors.Is(err, os.ErrPermission) {
			continue // then it was not made by us
		}
		if err != nil {
			return err
		}
		err = f.Sync()
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Close refuses new work, waits for the commits that were handed over and the
// reads under way, and releases the file. It may be called again and then
// returns the same.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.closing.Lock()
		if !s.closed {
			s.closed = true
			close(s.jobs)
		}
		s.closing.Unlock()
		<-s.stopped
		if err := s.db.Close(); err != nil {
			s.result = fmt.Errorf("closing the store: %w", err)
		}
	})
	return s.result
}

// unavailable marks an error of the engine for callers; it stays the cause.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, store.ErrUnavailable, err)
}
