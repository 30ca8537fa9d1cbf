package embedded

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

// Copy writes one consistent, durable state of the store, as a file that Open
// takes, while commits go on. to gets the number of bytes and answers where they
// go. The pages that the copy needs stay in the file until it ends, so a slow
// writer makes the file grow; give it a deadline. May be called again at will.
func (s *Store) Copy(ctx context.Context, to func(size int64) (io.Writer, error)) error {
	return s.view(ctx, "copying the store", func(tx *bolt.Tx) error {
		// Before a byte is written: a copy that ends early has no good answer.
		if info, err := os.Stat(s.db.Path()); err != nil || info.Size() < tx.Size() { //nolint:gosec // the operator names the directory
			return errors.Join(err, damagedFile("it is cut off, or is gone", 0))
		}
		w, err := to(tx.Size())
		if err == nil {
			e := &ending{ctx: ctx, w: w}
			_, err = tx.WriteTo(e)
			err = cmp.Or(e.failed, err)
		}
		if err != nil {
			return fmt.Errorf("copying the store: %w", err)
		}
		return nil
	})
}

// ending is a writer that fails once its context has ended. It keeps its error, of
// which the engine returns the text alone.
type ending struct {
	ctx    context.Context
	w      io.Writer
	failed error
}

func (e *ending) Write(b []byte) (int, error) {
	if e.failed = e.ctx.Err(); e.failed != nil {
		return 0, e.failed
	}
	n, err := e.w.Write(b)
	e.failed = err
	return n, err
}

// Each calls do for every item of a table that has not expired, in the order of
// partitions and sort keys, all from one snapshot. An error of do ends it and is
// returned; a damaged record is one.
func (s *Store) Each(ctx context.Context, table store.Table, do func(store.Item) error) error {
	now := s.now()
	return s.view(ctx, "reading a table", func(tx *bolt.Tx) error {
		n := 0
		return tx.Bucket([]byte(table)).ForEach(func(key, record []byte) error {
			if n++; n%checkEvery == 0 && ctx.Err() != nil {
				return unavailable("reading a table", ctx.Err())
			}
			partition, sort, ok := splitBucketKey(key)
			if !ok {
				return damaged(string(table), key)
			}
			i, err := s.records.decode(store.Key{Table: table, Partition: partition, Sort: sort}, key, record)
			if err != nil || i.Expired(now) {
				return err
			}
			return do(i)
		})
	})
}

// Compacted is the result of a Compact.
type Compacted struct {
	Before, After int64 // bytes of the file
	Kept, Dropped int   // records
}

// Compact writes the records of a store that no process has open into a new file,
// without the pages that lie free, and puts it in the old one's place. Every record
// gets a checksum. Records that have expired, and those for which drop, which may
// be nil, reports true, are left out. If it fails or is cut off, the old file is
// still there, whole.
func Compact(ctx context.Context, dir string, drop func(store.Item) bool, opts ...Option) (done Compacted, err error) {
	old, err := Open(dir, opts...)
	if err != nil {
		return Compacted{}, err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	path := filepath.Join(dir, FileName)
	draft, err := os.CreateTemp(dir, ".compact-*") // mode 0600
	if err != nil {
		return Compacted{}, fmt.Errorf("compacting the store: %w", err)
	}
	defer func() {
		if remove := os.Remove(draft.Name()); !errors.Is(remove, os.ErrNotExist) {
			err = errors.Join(err, remove)
		}
	}()
	if err := draft.Close(); err != nil {
		return Compacted{}, fmt.Errorf("compacting the store: %w", err)
	}
	if done, err = old.rewrite(ctx, draft.Name(), drop); err != nil {
		return Compacted{}, fmt.Errorf("compacting the store: %w", err)
	}
	report, err := Verify(draft.Name(), nil)
	if err == nil && len(report.Faults) > 0 {
		err = damagedFile("the new one: "+report.Faults[0], len(report.Faults)-1)
	}
	if err != nil {
		return Compacted{}, fmt.Errorf("compacting the store: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return Compacted{}, fmt.Errorf("compacting the store: %w", err)
	}
	done.Before, done.After = info.Size(), report.Bytes
	if err := errors.Join(os.Rename(draft.Name(), path), syncDirectories(dir)); err != nil {
		return Compacted{}, fmt.Errorf("compacting the store: %w", err)
	}
	return done, nil
}

// ErrNotWritten reports a new file of a compaction that the disk did not take. The
// error of the engine below it is a text alone, without the system's error.
var ErrNotWritten = errors.New("the disk does not take the new file of the store")

// written marks the error of a write to a new file.
func written(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNotWritten, err)
}

// rewriteBytes bounds what one transaction of a rewrite holds in memory.
const rewriteBytes = 32 << 20

// rewrite fills a new file with the records that stay, and syncs it.
func (s *Store) rewrite(ctx context.Context, path string, drop func(store.Item) bool) (Compacted, error) {
	var done Compacted
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoStatistics: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return done, written(err)
	}
	db.AllocSize = growth(0)
	w := &rewriter{db: db, head: header{least: recordVersion}}
	err = written(db.Update(fill))
	for _, table := range tables {
		if err != nil {
			break
		}
		err = s.Each(ctx, store.Table(table), func(i store.Item) error {
			if drop != nil && drop(i) {
				return nil
			}
			done.Kept++
			return w.put(table, i)
		})
	}
	if err == nil {
		err = w.end()
	}
	if err == nil {
		err = written(db.Sync())
	}
	done.Dropped = -done.Kept
	for _, t := range s.head.tallies {
		done.Dropped += int(t.n)
	}
	return done, errors.Join(err, w.drop(), db.Close())
}

// rewriter puts records into a new file, in transactions of bounded size.
type rewriter struct {
	db   *bolt.DB
	tx   *bolt.Tx
	size int
	head header
}

func (w *rewriter) put(table string, i store.Item) error {
	if w.tx == nil {
		tx, err := w.db.Begin(true)
		if err != nil {
			return err
		}
		w.tx, w.size = tx, 0
	}
	key := bucketKey(i.Key.Partition, i.Key.Sort)
	record := encode(i, key)
	b := w.tx.Bucket([]byte(table))
	b.FillPercent = 1 // keys come in order
	if err := b.Put(key, record); err != nil {
		return written(err)
	}
	w.head.count(table, 1, binary.BigEndian.Uint32(record[1:]))
	if !i.Expires.IsZero() {
		if err := w.tx.Bucket([]byte(bucketExpiry)).Put(expiryKey(i.Expires.Unix(), table, key), nil); err != nil {
			return written(err)
		}
	}
	if w.size += len(key) + len(record); w.size > rewriteBytes {
		return w.flush()
	}
	return nil
}

func (w *rewriter) flush() error {
	if w.tx == nil {
		return nil
	}
	tx := w.tx
	w.tx = nil
	return written(tx.Commit())
}

func (w *rewriter) end() error {
	if err := w.flush(); err != nil {
		return err
	}
	return written(w.db.Update(func(tx *bolt.Tx) error { return stamp(tx, w.head) }))
}

// drop ends a transaction that was left open by an error.
func (w *rewriter) drop() error {
	if w.tx == nil {
		return nil
	}
	return w.tx.Rollback()
}
