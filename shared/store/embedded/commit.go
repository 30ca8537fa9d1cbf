package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

const (
	// maxBatchJobs and maxBatchBytes bound what one transaction of the engine
	// holds in memory.
	maxBatchJobs  = 256
	maxBatchBytes = 2 * store.MaxCommitBytes

	// patience is how long a commit waits for the disk before it answers
	// ErrUnavailable (not begun) or ErrOutcomeUnknown (begun). A sync takes
	// milliseconds; a disk that hangs must not hang its callers.
	patience = 5 * time.Second
)

// job is one commit on its way to the writer.
type job struct {
	changes []change
	bytes   int
	state   atomic.Int32
	done    chan error // buffered: the writer never waits for a caller
}

// A job is taken by the writer or withdrawn by its caller, whoever is first.
const (
	waiting int32 = iota
	taken
	withdrawn
)

// change is one write, made ready in its caller's goroutine: nothing of it
// aliases what the caller gave.
type change struct {
	verb    store.Verb
	table   string
	key     []byte
	record  []byte // of a Put
	expires int64  // of a Put, second; 0 = never
	holds   func(there bool, p parser) bool
	// replaces reports that there is a record under the key, expired or not. judge
	// sets it, just before the change is written.
	replaces bool
}

// Commit implements store.Store. It never answers ErrConflict: rivals are
// judged one after the other. When the context ends, it takes the commit back
// if the disk has not begun it, else it waits for the outcome.
func (s *Store) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.ValidateCommit(writes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return unavailable("committing", err)
	}
	j := &job{changes: make([]change, len(writes)), done: make(chan error, 1)}
	for i, w := range writes {
		c, err := prepareChange(w)
		if err != nil {
			return err
		}
		j.changes[i] = c
		j.bytes += len(c.key) + len(c.record)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	if err := s.hand(ctx, j, timer.C); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, withdrawn) {
			return unavailable("committing", ctx.Err())
		}
	case <-timer.C:
		if j.state.CompareAndSwap(waiting, withdrawn) {
			return unavailable("committing", errors.New("the disk does not answer"))
		}
	}
	timer.Reset(patience)
	select {
	case err := <-j.done:
		return err
	case <-timer.C:
		return fmt.Errorf("committing: the disk does not answer: %w", store.ErrOutcomeUnknown)
	}
}

// hand gives the job to the writer, unless the store is closed.
func (s *Store) hand(ctx context.Context, j *job, late <-chan time.Time) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return unavailable("committing", errors.New("the store is closed"))
	}
	select {
	case s.jobs <- j:
		return nil
	case <-ctx.Done():
		return unavailable("committing", ctx.Err())
	case <-late:
		return unavailable("committing", errors.New("the disk does not keep up"))
	}
}

func prepareChange(w store.Write) (change, error) {
	c := change{
		verb:  w.Verb,
		table: string(w.Item.Key.Table),
		key:   bucketKey(w.Item.Key.Partition, w.Item.Key.Sort),
	}
	if w.Verb == store.Put {
		c.record = encode(w.Item, c.key)
		if !w.Item.Expires.IsZero() {
			c.expires = w.Item.Expires.Unix()
		}
	}
	err := w.If.Match(
		func() { c.holds = func(there bool, _ parser) bool { return !there } },
		func() { c.holds = func(there bool, _ parser) bool { return there } },
		func() { c.holds = func(bool, parser) bool { return true } },
		func(name string, value any) {
			want := appendValue(nil, value)
			c.holds = func(there bool, p parser) bool { return there && p.holds(name, want) }
		},
	)
	return c, err
}

// run is the writer: the only goroutine that changes the file. It ends when
// jobs is closed and empty. Between commits it removes what has expired.
func (s *Store) run() {
	defer close(s.stopped)
	idle := time.NewTicker(s.sweepEvery)
	defer idle.Stop()
	var next *job
	for {
		if next == nil {
			var open bool
			select {
			case next, open = <-s.jobs:
				if !open {
					return
				}
			case <-idle.C:
				_ = s.sweepIdle() // the next one tries again
				continue
			}
		}
		var batch []*job
		batch, next = s.gather(next)
		s.commit(batch)
	}
}

// gather takes what waits, without waiting for more: while a batch is being
// synced, the next one comes together by itself. It returns a job that did not
// fit.
func (s *Store) gather(first *job) (batch []*job, left *job) {
	size := 0
	for j := first; ; {
		if size > 0 && size+j.bytes > maxBatchBytes {
			return batch, j
		}
		if j.state.CompareAndSwap(waiting, taken) {
			batch = append(batch, j)
			size += j.bytes
		}
		if len(batch) == maxBatchJobs {
			return batch, nil
		}
		var open bool
		select {
		case j, open = <-s.jobs:
			if !open {
				return batch, nil
			}
		default:
			return batch, nil
		}
	}
}

// commit makes a batch durable and answers each of its jobs. If the engine
// refuses the batch as a whole, each job is tried alone, so that one too large
// for what is left of the disk does not take its neighbours along.
func (s *Store) commit(batch []*job) {
	if len(batch) == 0 {
		return
	}
	answers, err := s.apply(batch)
	if err == nil {
		for i, j := range batch {
			j.done <- answers[i]
		}
		return
	}
	if len(batch) > 1 && !errors.Is(err, store.ErrOutcomeUnknown) && s.horizon.intact() == nil {
		for _, j := range batch {
			s.commit([]*job{j})
		}
		return
	}
	// A job refused by its condition gets the same answer: what refused it may
	// be a neighbour that is not there now.
	for _, j := range batch {
		j.done <- err
	}
}

// apply runs the jobs one after the other in one transaction of the engine. On
// an error none of them was written, unless it is ErrOutcomeUnknown.
func (s *Store) apply(batch []*job) ([]error, error) {
	answers := make([]error, len(batch))
	err := s.write(func(t *transaction) {
		for i, j := range batch {
			if answers[i] = t.judge(j); answers[i] == nil {
				t.write(j)
			}
		}
		if t.written > 0 {
			t.sweep(2*t.written + 16)
		}
	})
	return answers, err
}

// sweepIdle removes some of what has expired, so that the file does not grow with
// sessions that nobody's commit sweeps.
func (s *Store) sweepIdle() error {
	due := false
	err := s.view(context.Background(), "looking for expired items", func(tx *bolt.Tx) error {
		k, _ := tx.Bucket([]byte(bucketExpiry)).Cursor().First()
		due = len(k) >= 8 && int64(binary.BigEndian.Uint64(k)) <= s.now().Unix()
		return nil
	})
	if err != nil || !due {
		return err
	}
	return s.write(func(t *transaction) { t.sweep(idleSweep) })
}

// idleSweep is how many expired items one idle sweep removes at most.
const idleSweep = 2000

// write makes one transaction of the engine and waits until it is durable. One
// that wrote nothing is dropped.
func (s *Store) write(do func(*transaction)) error {
	if err := s.horizon.intact(); err != nil {
		return unavailable("committing", err)
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return unavailable("committing", err)
	}
	t := transaction{tx: tx, now: s.now().Unix(), records: s.records, head: s.head}
	id := tx.ID()
	finishing := false
	err = guarded("committing", func() error {
		do(&t)
		if t.err == nil && t.written > 0 {
			t.keep(t.bucket(bucketFormat).Put(keyHeader, t.head.encode()))
		}
		if t.err != nil || t.written == 0 {
			return errors.Join(t.err, tx.Rollback())
		}
		finishing = true
		return s.finish(tx)
	})
	switch {
	case err == nil && t.written > 0:
		s.head = t.head
		s.horizon.reach(id)
		return nil
	case err == nil:
		return nil
	case errors.Is(err, store.ErrDamaged):
		// A damaged page ended the transaction where it stood; what the engine
		// holds in memory of it cannot be trusted.
		_ = guarded("dropping a commit", tx.Rollback)
		s.horizon.shatter()
		if finishing {
			return fmt.Errorf("committing: %w: %w", store.ErrOutcomeUnknown, err)
		}
		return unavailable("committing", err)
	case finishing:
		return s.afterFailure(id, err)
	}
	return unavailable("committing", err)
}

// afterFailure learns how far a failed transaction came. Before the engine's
// last step, the write of its meta page, nothing of it can be seen, now or
// after a crash, and the store goes on: a full disk is of this kind. Once the
// meta page was written and only its sync failed, nobody can tell.
func (s *Store) afterFailure(id int, cause error) error {
	tx, err := s.db.Begin(false)
	if err != nil {
		s.horizon.shatter()
		return fmt.Errorf("committing: %w: %w", store.ErrOutcomeUnknown, errors.Join(cause, err))
	}
	seen := tx.ID()
	if err := tx.Rollback(); err != nil || seen >= id {
		s.horizon.shatter()
		return fmt.Errorf("committing: %w: %w", store.ErrOutcomeUnknown, errors.Join(cause, err))
	}
	return unavailable("committing", cause)
}
