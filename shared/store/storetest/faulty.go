package storetest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"

	"credence/shared/store"
)

// Mishap is what befalls one call of a Faulty store.
type Mishap int

// The mishaps. Those from CallerLeft on befall the caller or its process.
const (
	Unharmed   Mishap = iota
	Away              // ErrUnavailable, nothing was done
	LostReply         // done, and ErrOutcomeUnknown; a read answers ErrUnavailable
	Overtaken         // a *ConditionError of the first write, nothing was done
	Contended         // ErrConflict, nothing was done
	Afterwards        // the function given to Plan comes first, then the call runs

	CallerLeft   // the caller's context ends first, then the call runs
	Slow         // done, but the caller's context ends before the answer; a context that outlives it has the answer
	KilledBefore // the process ends, nothing was done
	KilledAfter  // the process ends once it was done
)

// Mishaps are those that an operation must bear at any of its calls, by name.
func Mishaps() map[string]Mishap {
	return map[string]Mishap{
		"away": Away, "applied, the answer lost": LostReply, "overtaken": Overtaken, "contended": Contended,
		"with the caller gone": CallerLeft, "slow": Slow, "killed before": KilledBefore, "killed after": KilledAfter,
	}
}

// Calls is how often each method of a store was called.
type Calls struct{ Gets, Ranges, Commits int }

// Reads is how many of the calls were reads.
func (c Calls) Reads() int { return c.Gets + c.Ranges }

// Faulty counts the calls of a store, makes the planned one meet a mishap, and
// records every partition that was ever written, so that a test can read all
// there is. A mishap that ends the process ends the calling goroutine: run
// operations with its Run. It may be used by many goroutines at once.
type Faulty struct {
	store.Store
	mu         sync.Mutex
	counted    Calls
	underWay   int
	nth        int // of the call that meets the mishap, from 1; 0 = none
	what       Mishap
	met        bool
	before     func()
	leave      func() // ends the caller's context
	partitions map[store.Table]map[string]bool
	recent     map[store.Table]map[string]bool // those of partitions since Mark
	writes     []store.Write                   // of commits that went through, since Reset
}

// NewFaulty makes a Faulty over a store, which stays the caller's to close.
func NewFaulty(s store.Store) *Faulty {
	none := func() map[store.Table]map[string]bool {
		return map[store.Table]map[string]bool{store.Meta: {}, store.Vault: {}, store.Audit: {}}
	}
	return &Faulty{Store: s, partitions: none(), recent: none()}
}

// Mark begins what Since reads.
func (f *Faulty) Mark() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, of := range f.recent {
		clear(of)
	}
}

// Reset forgets counts, writes and plans.
func (f *Faulty) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counted, f.nth, f.what, f.met, f.before, f.writes = Calls{}, 0, Unharmed, false, nil, nil
}

// Plan makes the nth call from now meet a mishap. before is for Afterwards.
func (f *Faulty) Plan(nth int, what Mishap, before func()) {
	f.Reset()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nth, f.what, f.before = nth, what, before
}

// Calls are those since Reset or Plan.
func (f *Faulty) Calls() Calls { f.mu.Lock(); defer f.mu.Unlock(); return f.counted }

// Happened reports whether the planned mishap came about.
func (f *Faulty) Happened() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.met }

// Busy reports whether a commit is under way.
func (f *Faulty) Busy() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.underWay > 0 }

// Written are the writes of the commits that went through since Reset or Plan.
func (f *Faulty) Written() []store.Write {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.writes)
}

// Run does an operation as a process of its own: its caller may leave, and it may
// be killed, which ended reports as false.
func (f *Faulty) Run(do func(ctx context.Context) error) (err error, ended bool) {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	f.mu.Lock()
	f.leave = leave
	f.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = do(ctx)
		ended = true
	}()
	<-done
	return err, ended
}

// arrive counts a call and returns what befalls it.
func (f *Faulty) arrive(count *int, commit bool) Mishap {
	f.mu.Lock()
	*count++
	if commit {
		f.underWay++
	}
	n := f.counted.Reads() + f.counted.Commits
	hit := f.nth != 0 && n == f.nth
	what, before, leave := f.what, f.before, f.leave
	if hit {
		f.met, f.nth = true, 0
	}
	f.mu.Unlock()
	if !hit {
		return Unharmed
	}
	switch what {
	case Afterwards:
		before()
		return Unharmed
	case CallerLeft:
		leave()
		return Unharmed
	case Slow:
		leave()
	case KilledBefore:
		runtime.Goexit()
	}
	return what
}

// ErrAway is the error of a call that was Away.
var ErrAway = errors.Join(errors.New("the test took the store away"), store.ErrUnavailable)

// Get implements store.Store.
func (f *Faulty) Get(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
	if what := f.arrive(&f.counted.Gets, false); f.fails(ctx, what) {
		return nil, ErrAway
	}
	return f.Store.Get(ctx, keys...)
}

// Range implements store.Store.
func (f *Faulty) Range(ctx context.Context, r store.Range) (store.Page, error) {
	if what := f.arrive(&f.counted.Ranges, false); f.fails(ctx, what) {
		return store.Page{}, ErrAway
	}
	return f.Store.Range(ctx, r)
}

// fails reports whether a read that meets a mishap has no answer.
func (f *Faulty) fails(ctx context.Context, what Mishap) bool {
	switch what {
	case Unharmed:
		return false
	case Slow:
		return ctx.Err() != nil
	case KilledAfter:
		runtime.Goexit()
	}
	return true
}

// Commit implements store.Store.
func (f *Faulty) Commit(ctx context.Context, writes ...store.Write) error {
	defer func() { f.mu.Lock(); f.underWay--; f.mu.Unlock() }()
	what := f.arrive(&f.counted.Commits, true)
	kept := ctx
	switch what {
	case Away:
		return ErrAway
	case Overtaken:
		return &store.ConditionError{Failed: []int{0}}
	case Contended:
		return store.ErrConflict
	case Slow:
		kept = context.WithoutCancel(ctx)
	}
	err := f.Store.Commit(kept, writes...)
	f.keep(writes, err == nil)
	switch {
	case err == nil && what == LostReply, what == Slow && ctx.Err() != nil:
		return store.ErrOutcomeUnknown
	case what == KilledAfter:
		runtime.Goexit()
	}
	return err
}

// keep remembers where something may have been written, and what was.
func (f *Faulty) keep(writes []store.Write, made bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if made {
		f.writes = append(f.writes, writes...)
	}
	for _, w := range writes {
		f.partitions[w.Item.Key.Table][w.Item.Key.Partition] = true
		f.recent[w.Item.Key.Table][w.Item.Key.Partition] = true
	}
}

// Everything reads all items of all tables, without the plan.
func (f *Faulty) Everything(t *testing.T) map[store.Key]store.Item {
	t.Helper()
	return f.all(t, f.partitions)
}

// Since reads all items of the partitions that were written since Mark.
func (f *Faulty) Since(t *testing.T) map[store.Key]store.Item {
	t.Helper()
	return f.all(t, f.recent)
}

func (f *Faulty) all(t *testing.T, of map[store.Table]map[string]bool) map[store.Key]store.Item {
	t.Helper()
	f.mu.Lock()
	var ranges []store.Range
	for table, partitions := range of {
		for p := range partitions {
			ranges = append(ranges, store.Range{Table: table, Partition: p})
		}
	}
	f.mu.Unlock()
	all := map[store.Key]store.Item{}
	for _, r := range ranges {
		page, err := f.Store.Range(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			all[i.Key] = i
		}
	}
	return all
}
