package credential_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"credence/shared/store"
)

// mishap is what befalls one call of the store.
type mishap int

const (
	unharmed   mishap = iota
	away              // ErrUnavailable, nothing was done
	lostReply         // done, but ErrOutcomeUnknown is all the caller hears; a read answers ErrUnavailable
	overtaken         // a *ConditionError, nothing was done
	contended         // ErrConflict, nothing was done
	afterwards        // what before does comes first, then the call runs

	left         // the caller's context ends first, then the call runs
	killedBefore // the process ends, nothing was done
	killedAfter  // the process ends once it was done
)

// calls is how often each method was called.
type calls struct{ gets, ranges, commits int }

func (c calls) reads() int { return c.gets + c.ranges }

// double counts the calls of a store, fails the one it is told to, and knows
// every partition that was ever written, so that a test can read all there is.
type double struct {
	store.Store
	mu         sync.Mutex
	counted    calls
	underWay   int
	nth        int // of the call that meets the mishap, from 1; 0 = none
	what       mishap
	met        bool
	before     func()
	leave      func() // ends the caller's context
	partitions map[store.Table]map[string]bool
	recent     map[store.Table]map[string]bool // those of partitions since mark
	writes     []store.Write                   // of commits that went through, since reset
}

func newDouble(s store.Store) *double {
	none := func() map[store.Table]map[string]bool {
		return map[store.Table]map[string]bool{store.Meta: {}, store.Vault: {}, store.Audit: {}}
	}
	return &double{Store: s, partitions: none(), recent: none()}
}

// mark begins what since reads.
func (d *double) mark() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, of := range d.recent {
		clear(of)
	}
}

// reset forgets counts and plans.
func (d *double) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counted, d.nth, d.what, d.met, d.before, d.writes = calls{}, 0, unharmed, false, nil, nil
}

// plan makes the nth call from now meet a mishap.
func (d *double) plan(nth int, what mishap, before func()) {
	d.reset()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nth, d.what, d.before = nth, what, before
}

// arm is plan for one of storeFaults.
func (d *double) arm(nth int, f string) { d.plan(nth, storeFaults[f], nil) }

func (d *double) disarm() { d.reset() }

func (d *double) invisible(string) bool { return false }

func (d *double) setLeave(leave func()) { d.mu.Lock(); defer d.mu.Unlock(); d.leave = leave }

func (d *double) calls() calls { d.mu.Lock(); defer d.mu.Unlock(); return d.counted }

func (d *double) happened() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.met }

func (d *double) busy() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.underWay > 0 }

// arrive counts a call and says what befalls it.
func (d *double) arrive(count *int, commit bool) mishap {
	d.mu.Lock()
	*count++
	if commit {
		d.underWay++
	}
	n := d.counted.gets + d.counted.ranges + d.counted.commits
	hit := d.nth != 0 && n == d.nth
	what, before, leave := d.what, d.before, d.leave
	if hit {
		d.met, d.nth = true, 0
	}
	d.mu.Unlock()
	if !hit {
		return unharmed
	}
	switch what {
	case afterwards:
		before()
		return unharmed
	case left:
		leave()
		return unharmed
	case killedBefore:
		runtime.Goexit()
	}
	return what
}

var errAway = errors.Join(errors.New("the test took the store away"), store.ErrUnavailable)

func (d *double) Get(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
	what := d.arrive(&d.counted.gets, false)
	switch what {
	case unharmed:
		return d.Store.Get(ctx, keys...)
	case killedAfter:
		runtime.Goexit()
	}
	return nil, errAway
}

func (d *double) Range(ctx context.Context, r store.Range) (store.Page, error) {
	what := d.arrive(&d.counted.ranges, false)
	switch what {
	case unharmed:
		return d.Store.Range(ctx, r)
	case killedAfter:
		runtime.Goexit()
	}
	return store.Page{}, errAway
}

func (d *double) Commit(ctx context.Context, writes ...store.Write) error {
	defer func() { d.mu.Lock(); d.underWay--; d.mu.Unlock() }()
	what := d.arrive(&d.counted.commits, true)
	switch what {
	case away:
		return errAway
	case overtaken:
		return &store.ConditionError{Failed: []int{0}}
	case contended:
		return store.ErrConflict
	}
	err := d.Store.Commit(ctx, writes...)
	d.keep(writes, err == nil)
	switch {
	case err == nil && what == lostReply:
		return store.ErrOutcomeUnknown
	case what == killedAfter:
		runtime.Goexit()
	}
	return err
}

// keep remembers where something may have been written, and what was.
func (d *double) keep(writes []store.Write, made bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if made {
		d.writes = append(d.writes, writes...)
	}
	for _, w := range writes {
		d.partitions[w.Item.Key.Table][w.Item.Key.Partition] = true
		d.recent[w.Item.Key.Table][w.Item.Key.Partition] = true
	}
}

func (d *double) written() []store.Write {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]store.Write{}, d.writes...)
}

// everything reads all items of all tables, past the double.
func (d *double) everything(t *testing.T) map[store.Key]store.Item {
	t.Helper()
	return d.all(t, d.partitions)
}

// since reads all items of the partitions that were written since mark.
func (d *double) since(t *testing.T) map[store.Key]store.Item {
	t.Helper()
	return d.all(t, d.recent)
}

func (d *double) all(t *testing.T, of map[store.Table]map[string]bool) map[store.Key]store.Item {
	t.Helper()
	d.mu.Lock()
	var ranges []store.Range
	for table, partitions := range of {
		for p := range partitions {
			ranges = append(ranges, store.Range{Table: table, Partition: p})
		}
	}
	d.mu.Unlock()
	all := map[store.Key]store.Item{}
	for _, r := range ranges {
		page, err := d.Store.Range(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			all[i.Key] = i
		}
	}
	return all
}

// clock moves a millisecond each time it is read, so that no two things happen
// at once, and as far as a test tells it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

func (c *clock) peek() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
