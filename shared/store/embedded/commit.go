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
	holds   func(record []byte) (bool, error)
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
		c.record = encode(w.Item)
		if !w.Item.Expires.IsZero() {
			c.expires = w.Item.Expires.Unix()
		}
	}
	err := w.If.Match(
		func() { c.holds = func(r []byte) (bool, error) { return r == nil, nil } },
		func() { c.holds = func(r []byte) (bool, error) { return r != nil, nil } },
		func() { c.holds = func([]byte) (bool, error) { return true, nil } },
		func(name string, value any) {
			want := appendValue(nil, value)
			c.holds = func(r []byte) (bool, error) {
				if r == nil {
					return false, nil
				}
				return holds(r, name, want)
			}
		},
	)
	return c, err
}

// run is the writer: the only goroutine that changes the file. It ends when
// jobs is closed and empty.
func (s *Store) run() {
	defer close(s.stopped)
	var next *job
	for {
		if next == nil {
			var open bool
			if next, open = <-s.jobs; !open {
				return
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
	if err := s.horizon.intact(); err != nil {
		return nil, unavailable("committing", err)
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return nil, unavailable("committing", err)
	}
	t := transaction{tx: tx, now: s.now().Unix()}
	answers := make([]error, len(batch))
	for i, j := range batch {
		if answers[i] = t.judge(j); answers[i] == nil {
			t.write(j)
		}
	}
	if t.err == nil && t.written == 0 {
		return answers, tx.Rollback()
	}
	t.sweep()
	if t.err != nil {
		return nil, errors.Join(unavailable("committing", t.err), tx.Rollback())
	}
	id := tx.ID()
	if err := s.finish(tx); err != nil {
		return nil, s.afterFailure(id, err)
	}
	s.horizon.reach(id)
	return answers, nil
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

// transaction is one batch in the making.
type transaction struct {
	tx      *bolt.Tx
	now     int64
	written int
	err     error // the engine's first, which ends the batch
}

// judge evaluates every condition of a job by the state so far.
func (t *transaction) judge(j *job) error {
	var failed []int
	for i, c := range j.changes {
		record := t.tx.Bucket([]byte(c.table)).Get(c.key)
		if record != nil {
			if _, expires := open(record); expires != 0 && t.now >= expires {
				record = nil
			}
		}
		ok, err := c.holds(record)
		if err != nil {
			return err
		}
		if !ok {
			failed = append(failed, i)
		}
	}
	if failed != nil {
		return &store.ConditionError{Failed: failed}
	}
	return nil
}

// write applies a job that was judged.
func (t *transaction) write(j *job) {
	for _, c := range j.changes {
		if c.verb == store.Check || t.err != nil {
			continue
		}
		t.written++
		b := t.tx.Bucket([]byte(c.table))
		if old := b.Get(c.key); old != nil {
			if _, expires := open(old); expires != 0 && expires != c.expires {
				t.keep(t.expiries().Delete(expiryKey(expires, c.table, c.key)))
			}
		}
		if c.verb == store.Delete {
			t.keep(b.Delete(c.key))
			continue
		}
		t.keep(b.Put(c.key, c.record))
		if c.expires != 0 {
			t.keep(t.expiries().Put(expiryKey(c.expires, c.table, c.key), nil))
		}
	}
}

func (t *transaction) keep(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *transaction) expiries() *bolt.Bucket { return t.tx.Bucket([]byte(bucketExpiry)) }

// sweep removes some of the items that have expired, the oldest first. It
// removes twice as many as the batch wrote and a few more, so that they cannot
// outgrow it; it runs only with a batch and so costs no sync of its own.
func (t *transaction) sweep() {
	budget := 2*t.written + 16
	var due [][]byte
	c := t.expiries().Cursor()
	for k, _ := c.First(); k != nil && len(due) < budget; k, _ = c.Next() {
		if int64(binary.BigEndian.Uint64(k)) > t.now {
			break
		}
		due = append(due, append([]byte{}, k...))
	}
	for _, k := range due {
		table, key, err := splitExpiryKey(k)
		t.keep(err)
		if err == nil {
			t.keep(t.tx.Bucket(table).Delete(key))
			t.keep(t.expiries().Delete(k))
		}
	}
}

// An expiry key is the second of expiry in eight bytes, the length of the
// table's name in one, the name, and the key in that table: in order of time.
func expiryKey(expires int64, table string, key []byte) []byte {
	b := make([]byte, 0, 9+len(table)+len(key))
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	b = append(b, byte(len(table)))
	b = append(b, table...)
	return append(b, key...)
}

func splitExpiryKey(k []byte) (table, key []byte, err error) {
	if len(k) < 9 || len(k) < 9+int(k[8]) {
		return nil, nil, errRecord
	}
	n := 9 + int(k[8])
	return k[9:n], k[n:], nil
}
