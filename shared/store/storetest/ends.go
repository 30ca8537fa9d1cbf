package storetest

import (
	"context"
	"errors"
	"io"

	"credence/shared/store"
)

var endCases = []testCase{
	{"an ended context", testEndedContext},
	{"a closed store", testClosed},
	{"a condition that fails fails its own commit only", testNeighbours},
}

func testEndedContext(e *env) {
	there := e.item("there", nil)
	e.mustPut(there)
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	for range 20 {
		if _, err := e.store.Get(ctx, there.Key); !stopped(err) {
			e.Errorf("get: %v, want an error of the context", err)
		}
		if _, err := e.store.Range(ctx, store.Range{Table: store.Meta, Partition: e.partition}); !stopped(err) {
			e.Errorf("range: %v, want an error of the context", err)
		}
		err := e.store.Commit(ctx, put(e.item("a", nil), store.Always()), put(e.item("b", nil), store.Always()))
		if !stopped(err) {
			e.Errorf("commit: %v, want an error of the context", err)
		}
		if err := e.store.Commit(ctx, remove(there.Key, store.Always())); !stopped(err) {
			e.Errorf("commit of one: %v, want an error of the context", err)
		}
	}
	e.wantAbsent(e.key("a"), e.key("b"))
	e.wantItem(there)
}

func testClosed(e *env) {
	c, ok := e.store.(io.Closer)
	if !ok {
		return // nothing to close: there is no such state
	}
	it := e.item("a", nil)
	e.mustPut(it)
	for range 2 {
		if err := c.Close(); err != nil {
			e.Errorf("close: %v", err)
		}
	}
	if _, err := e.get(it.Key); !errors.Is(err, store.ErrUnavailable) {
		e.Errorf("get: %v, want ErrUnavailable", err)
	}
	if _, err := e.store.Range(e.Context(), store.Range{Table: store.Meta, Partition: e.partition}); !errors.Is(err, store.ErrUnavailable) {
		e.Errorf("range: %v, want ErrUnavailable", err)
	}
	if err := e.commit(put(it, store.Always())); !errors.Is(err, store.ErrUnavailable) {
		e.Errorf("commit: %v, want ErrUnavailable", err)
	}
}

// testNeighbours commits good and bad at the same time: an engine that joins
// commits must not join their fates.
func testNeighbours(e *env) {
	there := e.item("there", nil)
	e.mustPut(there)
	const n = 24
	errs := make([]error, n)
	together(n, func(i int) {
		own := put(e.item(string(rune('A'+i)), nil), store.Absent())
		switch i % 3 {
		case 0:
			errs[i] = e.commit(own)
		case 1:
			errs[i] = e.commit(own, put(there, store.Absent()))
		default:
			errs[i] = e.commit(own, put(e.item("x", store.Attributes{"a": 1.5}), store.Always()))
		}
	})
	for i, err := range errs {
		found := e.mustGet(e.key(string(rune('A' + i))))[0].Found()
		var condition *store.ConditionError
		switch {
		case i%3 == 0 && (err != nil || !found):
			e.Errorf("good commit %d: %v, item there %v", i, err, found)
		case i%3 == 1 && (!errors.As(err, &condition) || found):
			e.Errorf("commit %d with a failing condition: %v, item there %v", i, err, found)
		case i%3 == 2 && (!errors.Is(err, store.ErrInvalid) || found):
			e.Errorf("invalid commit %d: %v, item there %v", i, err, found)
		}
	}
}
