package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"credence/shared/store"
)

var raceCases = []testCase{
	{"one of many makes an item", testOneWinner},
	{"counters lose nothing", testCounters},
	{"transfers across the same keys keep the sum", testTransfers},
	{"checks of each other's keys do not both pass", testWriteSkew},
	{"a reader never goes back", testMonotonic},
	{"a commit cut short is whole or nothing", testCancelRace},
}

// together starts n goroutines at once and waits for them.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	wg.Wait()
}

func testOneWinner(e *env) {
	const rounds, rivals = 25, 8
	for round := range rounds {
		prize := e.key(fmt.Sprint("prize ", round))
		own := func(i int) store.Key { return e.key(fmt.Sprintf("own %d of %d", i, round)) }
		errs := make([]error, rivals)
		together(rivals, func(i int) {
			mine := put(store.Item{Key: prize, Attributes: store.Attributes{"by": int64(i)}}, store.Absent())
			if i%4 == 0 { // alone, which an engine may treat apart
				errs[i] = e.commit(mine)
				return
			}
			errs[i] = e.commit(put(store.Item{Key: own(i)}, store.Absent()), mine)
		})
		winner := int64(-1)
		for i, err := range errs {
			at := min(i%4, 1)
			switch {
			case err == nil && winner < 0:
				winner = int64(i)
			case err == nil:
				e.Errorf("round %d: rivals %d and %d both won", round, winner, i)
			case !store.ConditionFailed(err, at):
				e.Errorf("round %d: rival %d: %v, want write %d to fail", round, i, err, at)
			}
			if there := e.mustGet(own(i))[0].Found(); at == 1 && there != (err == nil) {
				e.Errorf("round %d: rival %d: own item there %v, commit %v", round, i, there, err)
			}
		}
		if got := e.mustGet(prize)[0]; !got.Found() || got.Attributes.Int("by") != winner {
			e.Fatalf("round %d: prize by %d, winner %d", round, got.Attributes.Int("by"), winner)
		}
	}
}

// increment adds d to the counters under keys in one commit, each on condition
// that it has not changed since it was read, until that holds.
func (e *env) increment(keys []store.Key, d []int64, more ...store.Write) error {
	for deadline := time.Now().Add(patience); ; {
		items, err := e.get(keys...)
		if err != nil {
			return err
		}
		writes := append([]store.Write{}, more...)
		for i, it := range items {
			rev := it.Attributes.Int("rev")
			a := store.Attributes{"rev": rev + 1, "n": it.Attributes.Int("n") + d[i]}
			c := store.Equal("rev", rev)
			if !it.Found() {
				c = store.Absent()
			}
			writes = append(writes, put(store.Item{Key: keys[i], Attributes: a}, c))
		}
		err = e.commit(writes...)
		var lost *store.ConditionError
		if !errors.As(err, &lost) {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("no increment succeeded: the rivals starve one another")
		}
		time.Sleep(jitter())
	}
}

func testCounters(e *env) {
	const workers, times = 8, 12
	counter := e.key("counter")
	together(workers, func(i int) {
		for n := range times {
			var log []store.Write
			if i%2 == 0 {
				log = append(log, put(e.item(fmt.Sprintf("log %d %d", i, n), nil), store.Absent()))
			}
			if err := e.increment([]store.Key{counter}, []int64{1}, log...); err != nil {
				e.Errorf("worker %d: %v", i, err)
				return
			}
		}
	})
	got := e.mustGet(counter)[0].Attributes
	if got.Int("n") != workers*times || got.Int("rev") != workers*times {
		e.Errorf("counter %d at revision %d, want %d", got.Int("n"), got.Int("rev"), workers*times)
	}
	logs := e.mustRange(store.Range{Table: store.Meta, Partition: e.partition, From: "log ", To: "log z"})
	if len(logs.Items) != workers/2*times {
		e.Errorf("%d log items, want %d", len(logs.Items), workers/2*times)
	}
}

func testTransfers(e *env) {
	const accounts, workers, times = 4, 6, 10
	var keys []store.Key
	for i := range accounts {
		keys = append(keys, e.key(fmt.Sprint("account ", i)))
		e.mustPut(store.Item{Key: keys[i], Attributes: store.Attributes{"rev": int64(0), "n": int64(100)}})
	}
	var done atomic.Int64
	together(workers, func(int) {
		for range times {
			a := rand.IntN(accounts)
			b := (a + 1 + rand.IntN(accounts-1)) % accounts
			d := int64(rand.IntN(10))
			if err := e.increment([]store.Key{keys[a], keys[b]}, []int64{d, -d}); err != nil {
				e.Errorf("transfer: %v", err)
				return
			}
			done.Add(1)
		}
	})
	var sum, revisions int64
	for _, it := range e.mustGet(keys...) {
		sum += it.Attributes.Int("n")
		revisions += it.Attributes.Int("rev")
	}
	if sum != accounts*100 || revisions != 2*done.Load() {
		e.Errorf("sum %d, want %d; revisions %d, want %d", sum, accounts*100, revisions, 2*done.Load())
	}
}

// testWriteSkew lets two rivals each remove their own item on condition that
// the other's is there. A store that judges both by one state removes both.
func testWriteSkew(e *env) {
	for round := range 40 {
		k := []store.Key{e.key(fmt.Sprint("a", round)), e.key(fmt.Sprint("b", round))}
		e.mustPut(store.Item{Key: k[0]}, store.Item{Key: k[1]})
		errs := make([]error, 2)
		together(2, func(i int) {
			errs[i] = e.commit(check(k[1-i], store.Present()), remove(k[i], store.Present()))
		})
		left := 0
		for i, it := range e.mustGet(k...) {
			if it.Found() {
				left++
			}
			if it.Found() != (errs[i] != nil) {
				e.Errorf("round %d: item %d there %v, its removal %v", round, i, it.Found(), errs[i])
			}
			if errs[i] != nil && !store.ConditionFailed(errs[i], 0) {
				e.Errorf("round %d: %v, want the check to fail", round, errs[i])
			}
		}
		if left != 1 {
			e.Fatalf("round %d: %d items left, want 1", round, left)
		}
	}
}

func testMonotonic(e *env) {
	k := []store.Key{e.key("a"), e.key("b")}
	var committed atomic.Int64
	var stop atomic.Bool
	together(5, func(i int) {
		if i == 0 {
			defer stop.Store(true)
			for n := int64(1); n <= 150; n++ {
				a := store.Attributes{"n": n}
				if err := e.commit(put(store.Item{Key: k[0], Attributes: a}, store.Always()), put(store.Item{Key: k[1], Attributes: a}, store.Always())); err != nil {
					e.Errorf("commit: %v", err)
					return
				}
				committed.Store(n)
			}
			return
		}
		var last [2]int64
		for !stop.Load() {
			floor := committed.Load()
			got, err := e.observe(k, i%2 == 0)
			if err != nil {
				e.Errorf("reader %d: %v", i, err)
				return
			}
			for j := range got {
				if got[j] < last[j] || got[j] < floor {
					e.Errorf("reader %d sees %d after %d; %d was committed", i, got[j], last[j], floor)
					return
				}
			}
			last = got
		}
	})
}

func (e *env) observe(k []store.Key, byRange bool) (n [2]int64, err error) {
	var items []store.Item
	if byRange {
		var p store.Page
		p, err = e.store.Range(e.Context(), store.Range{Table: store.Meta, Partition: e.partition})
		items = p.Items
	} else {
		items, err = e.get(k...)
	}
	for i := range min(len(items), len(n)) {
		n[i] = items[i].Attributes.Int("n")
	}
	return n, err
}

func testCancelRace(e *env) {
	for round := range 60 {
		var writes []store.Write
		var keys []store.Key
		for i := range 5 {
			it := e.item(fmt.Sprintf("%d of %d", i, round), nil)
			keys = append(keys, it.Key)
			writes = append(writes, put(it, store.Absent()))
		}
		ctx, cancel := context.WithTimeout(e.Context(), time.Duration(rand.IntN(1500))*time.Microsecond)
		err := e.store.Commit(ctx, writes...)
		cancel()
		there := e.found(keys)
		// What was cut short may still be under way, and a Get is no snapshot of
		// it: parts of it become the whole, or must not be there at all.
		for end := time.Now().Add(2 * time.Second); err != nil && there%len(keys) != 0 && time.Now().Before(end); {
			there = e.found(keys)
		}
		unknown := errors.Is(err, store.ErrOutcomeUnknown)
		switch {
		case there != 0 && there != len(keys):
			e.Fatalf("round %d: %d of %d items are there", round, there, len(keys))
		case err == nil && there == 0:
			e.Errorf("round %d: committed, but nothing is there", round)
		case err != nil && !unknown && there != 0:
			e.Errorf("round %d: %v, but the items are there", round, err)
		case err != nil && !unknown && !stopped(err):
			e.Errorf("round %d: %v, want the context's error, ErrUnavailable or ErrOutcomeUnknown", round, err)
		}
	}
}

// found counts the keys under which something is.
func (e *env) found(keys []store.Key) int {
	e.Helper()
	n := 0
	for _, it := range e.mustGet(keys...) {
		if it.Found() {
			n++
		}
	}
	return n
}

// stopped reports whether err may answer a call whose context has ended. The
// engine may also meet a rival: a first attempt of its own that it gave up.
func stopped(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrConflict)
}
