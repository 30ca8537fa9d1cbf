package identity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"credence/shared/fault"
	"credence/shared/store"
	"credence/shared/store/dynamo/dynamotest"
)

// TestEveryCallOverDynamoDB breaks each exchange with DynamoDB that an operation makes.
// What passes is made good unseen; what lasts is answered truly, and a repeat completes
// the operation.
func TestEveryCallOverDynamoDB(t *testing.T) {
	endpoint := dynamotest.Engine(t)
	t.Run("all", func(t *testing.T) { // which ends before the engine does
		for n, o := range tasks {
			w, s := o.met(t)
			if err := o.do(t.Context(), w, s); err != nil {
				t.Fatalf("%s: %v", o.name, err)
			}
			after := w.facts()
			for m, f := range []string{dynamotest.OnceEach, dynamotest.Throttling, dynamotest.Answerless} {
				t.Run(o.name+" "+f, func(t *testing.T) {
					t.Parallel()
					nth := 1
					for o.brokenOverWire(t, wired{endpoint, fmt.Sprintf("wired-%d-%d-%d", n, m, nth), nth, f}, after) {
						nth++
					}
					if nth < 2 {
						t.Error("no call was met")
					}
				})
			}
		}
	})
}

// wired is a fault of the nth call, over tables of its own.
type wired struct {
	endpoint, tables string
	nth              int
	fault            string
}

// brokenOverWire does the operation with a fault at its nth call. It reports false if
// the operation makes fewer calls.
func (o task) brokenOverWire(t *testing.T, at wired, after string) bool {
	t.Helper()
	var between *dynamotest.Wire
	w, s := o.metIn(t, newWorldOver(t, func(now func() time.Time) store.Store {
		var kept store.Store
		kept, between = dynamotest.Store(t, at.endpoint, at.tables, now)
		return kept
	}))
	before, entries := w.facts(), o.left(w)
	between.Arm(at.nth, at.fault)
	err := o.do(context.Background(), w, s)
	met := between.Happened()
	between.Disarm()
	if !met {
		return false
	}
	now, left := w.facts(), o.left(w)-entries
	unknown := errors.Is(err, store.ErrOutcomeUnknown)
	done := now == after
	if after == before { // a refused sign-in changes no fact
		done = left == 1
	}
	switch {
	case now != before && now != after:
		t.Errorf("call %d: half made:\n%s\nbefore:\n%s\nafter:\n%s", at.nth, now, before, after)
	case between.Invisible(at.fault) && (err != nil || !done):
		t.Errorf("call %d: answered %v, done %v", at.nth, err, done)
	case !unknown && after != before && (err == nil) != done:
		t.Errorf("call %d: answered %v, stored\n%s", at.nth, err, now)
	case err != nil && !unknown && !errors.Is(err, store.ErrUnavailable):
		t.Errorf("call %d: answered %v", at.nth, err)
	case left > 1 || (left == 1) != done:
		t.Errorf("call %d: %d entries, done %v", at.nth, left, done)
	}
	w.move(time.Minute)
	err = o.do(context.Background(), w, s)
	var said *fault.Error
	if err != nil && (!done || !errors.As(err, &said) || !slices.Contains(o.again, said.Code)) {
		t.Errorf("call %d: repeated: %v", at.nth, err)
	}
	if more := o.left(w) - entries; !o.more && (w.facts() != after || more != 1) {
		t.Errorf("call %d: repeated: %d entries,\n%s\nwant\n%s", at.nth, more, w.facts(), after)
	}
	return true
}
