// Package storetest is what every store must do, alone and under races. An
// implementation's own test is one call:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store { … })
//	}
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"credence/shared/store"
)

// Run holds a store to the contract of package store. It calls open once for
// each case; the store may keep items of earlier cases, for every case works in
// partitions of its own. The store must take the time from now and from nowhere
// else, and open arranges with t.Cleanup for it to be closed. A store that is
// an io.Closer is also tested closed. No case asserts a duration.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) store.Store) {
	t.Helper()
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"Items", itemCases},
		{"Conditions", conditionCases},
		{"Ranges", rangeCases},
		{"Limits", limitCases},
		{"Races", raceCases},
		{"Ends", endCases},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) {
					clock := &clock{t: epoch}
					e := &env{T: t, clock: clock, partition: "T#" + rand.Text()}
					e.store = open(t, clock.now)
					c.run(e)
				})
			}
		})
	}
}

type testCase struct {
	name string
	run  func(*env)
}

// epoch lies ahead of every real clock, so that an engine which removes expired
// items by its own clock leaves those of the tests alone.
var epoch = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// patience bounds one call of a test, so that a deadlock fails and not hangs.
const patience = 30 * time.Second

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// env is one case's store and its corner of it. Its must… methods end the test
// and belong on its goroutine; the others may be called from any.
type env struct {
	*testing.T
	store     store.Store
	clock     *clock
	partition string
}

func (e *env) key(sort string) store.Key {
	return store.Key{Table: store.Meta, Partition: e.partition, Sort: sort}
}

func (e *env) item(sort string, a store.Attributes) store.Item {
	return store.Item{Key: e.key(sort), Attributes: a}
}

// commit retries as the contract lets a caller: after ErrConflict only.
func (e *env) commit(writes ...store.Write) error {
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	for {
		err := e.store.Commit(ctx, writes...)
		if !errors.Is(err, store.ErrConflict) || ctx.Err() != nil {
			return err
		}
		time.Sleep(jitter())
	}
}

// jitter is between 0 and 5 ms; it keeps rivals from meeting again and again.
func jitter() time.Duration {
	var b [1]byte
	_, _ = rand.Read(b[:])
	return time.Duration(b[0]) * 20 * time.Microsecond
}

func (e *env) mustCommit(writes ...store.Write) {
	e.Helper()
	if err := e.commit(writes...); err != nil {
		e.Fatalf("commit: %v", err)
	}
}

func (e *env) mustPut(items ...store.Item) {
	e.Helper()
	for len(items) > 0 {
		n := min(len(items), store.MaxWritesPerCommit)
		writes := make([]store.Write, n)
		for i, it := range items[:n] {
			writes[i] = put(it, store.Always())
		}
		e.mustCommit(writes...)
		items = items[n:]
	}
}

func (e *env) get(keys ...store.Key) ([]store.Item, error) {
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	items, err := e.store.Get(ctx, keys...)
	if err == nil && len(items) != len(keys) {
		return nil, fmt.Errorf("%d items for %d keys", len(items), len(keys))
	}
	return items, err
}

func (e *env) mustGet(keys ...store.Key) []store.Item {
	e.Helper()
	items, err := e.get(keys...)
	if err != nil {
		e.Fatalf("get: %v", err)
	}
	return items
}

func (e *env) mustRange(r store.Range) store.Page {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	p, err := e.store.Range(ctx, r)
	if err != nil {
		e.Fatalf("range: %v", err)
	}
	if p.More && (r.Limit == 0 || len(p.Items) != r.Limit) {
		e.Fatalf("range: page of %d items with more, limit %d", len(p.Items), r.Limit)
	}
	return p
}

// wantAbsent is the proof that a refused commit wrote nothing.
func (e *env) wantAbsent(keys ...store.Key) {
	e.Helper()
	for len(keys) > 0 {
		n := min(len(keys), store.MaxKeysPerGet)
		for i, it := range e.mustGet(keys[:n]...) {
			if it.Found() {
				e.Errorf("item %d is there, want none", i)
			}
		}
		keys = keys[n:]
	}
}

func (e *env) wantItem(want store.Item) {
	e.Helper()
	if diff := differ(e.mustGet(want.Key)[0], want); diff != "" {
		e.Errorf("item: %s", diff)
	}
}

func put(i store.Item, c store.Condition) store.Write {
	return store.Write{Verb: store.Put, Item: i, If: c}
}

func remove(k store.Key, c store.Condition) store.Write {
	return store.Write{Verb: store.Delete, Item: store.Item{Key: k}, If: c}
}

func check(k store.Key, c store.Condition) store.Write {
	return store.Write{Verb: store.Check, Item: store.Item{Key: k}, If: c}
}

// differ says how two items differ, "" if not. Types of values count.
func differ(got, want store.Item) string {
	switch {
	case got.Key != want.Key:
		return fmt.Sprintf("key %.80q, want %.80q", got.Key, want.Key)
	case !got.Expires.Equal(want.Expires):
		return fmt.Sprintf("expires %v, want %v", got.Expires, want.Expires)
	case len(got.Attributes) != len(want.Attributes):
		return fmt.Sprintf("%d attributes, want %d", len(got.Attributes), len(want.Attributes))
	}
	for name, w := range want.Attributes {
		g, ok := got.Attributes[name]
		wb, isBytes := w.([]byte)
		if gb, both := g.([]byte); both && isBytes {
			if !bytes.Equal(gb, wb) {
				return fmt.Sprintf("%s = %d bytes, want %d other bytes", name, len(gb), len(wb))
			}
			continue
		}
		if _, gotBytes := g.([]byte); !ok || isBytes || gotBytes || g != w {
			return fmt.Sprintf("%s = %T %.40v, want %T %.40v", name, g, g, w, w)
		}
	}
	return ""
}
