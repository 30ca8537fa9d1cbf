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
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"credence/shared/store"
)

// FileName is the one file a store keeps in its directory.
const FileName = "credence.db"

// Format is the version of the file that this code writes and reads. It goes
// up when older code would misread what newer code wrote.
const Format = 1

// Errors of Open, to be told apart with errors.Is.
var (
	ErrLocked      = errors.New("another process has the store open")
	ErrNewerFormat = errors.New("the store was written by a newer version")
)

// lockPatience is for a predecessor that is just ending, no more.
const lockPatience = 200 * time.Millisecond

// Buckets besides the tables, which lie under their own names.
const (
	bucketFormat = "format"
	bucketExpiry = "expiry"
)

var keyFormat = []byte("version")

// Store is an open store. Make it with Open.
type Store struct {
	db      *bolt.DB
	now     func() time.Time
	horizon *horizon
	jobs    chan *job
	stopped chan struct{} // closed when the writer has ended

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
// quarter of a second. A file of a later Format gives ErrNewerFormat and stays
// as it was. The caller closes the store.
func Open(dir string, opts ...Option) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // whoever starts the process names the directory
		return nil, fmt.Errorf("making the store's directory: %w", err)
	}
	db, err := bolt.Open(filepath.Join(dir, FileName), 0o600, &bolt.Options{
		Timeout:      lockPatience,
		FreelistType: bolt.FreelistMapType,
		NoStatistics: true,
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("opening the store: %w", ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	last, err := prepare(db)
	if err == nil {
		err = syncDirectories(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", errors.Join(err, db.Close()))
	}
	s := &Store{
		db:      db,
		now:     time.Now,
		horizon: newHorizon(last),
		jobs:    make(chan *job, maxBatchJobs),
		stopped: make(chan struct{}),
		finish:  (*bolt.Tx).Commit,
	}
	for _, o := range opts {
		o(s)
	}
	go s.run()
	return s, nil
}

// prepare checks the format, fills a new file and returns the number of the
// last transaction. An existing file is not written to.
func prepare(db *bolt.DB) (last int, err error) {
	fresh := false
	err = db.View(func(tx *bolt.Tx) error {
		last = tx.ID()
		b := tx.Bucket([]byte(bucketFormat))
		if b == nil {
			fresh = true
			return nil
		}
		return checkFormat(b.Get(keyFormat))
	})
	if err != nil || !fresh {
		return last, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		last = tx.ID()
		for _, name := range []string{bucketExpiry, string(store.Meta), string(store.Vault), string(store.Audit)} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		b, err := tx.CreateBucket([]byte(bucketFormat))
		if err != nil {
			return err
		}
		return b.Put(keyFormat, []byte{Format})
	})
	return last, err
}

// checkFormat reads the marker: one byte, and whatever a later format may add.
func checkFormat(marker []byte) error {
	if len(marker) == 0 || marker[0] == 0 {
		return errors.New("no format marker")
	}
	if marker[0] > Format {
		return fmt.Errorf("format %d, known up to %d: %w", marker[0], Format, ErrNewerFormat)
	}
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
		s.closed = true
		close(s.jobs)
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
