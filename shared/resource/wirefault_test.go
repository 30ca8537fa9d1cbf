package resource_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
			w := newWorld(t)
			w.must(o.do(t.Context(), w))
			rows := strings.Count(w.facts(), "\n")
			for m, f := range []string{dynamotest.OnceEach, dynamotest.Throttling, dynamotest.Answerless} {
				t.Run(o.name+" "+f, func(t *testing.T) {
					t.Parallel()
					nth := 1
					for o.brokenOverWire(t, wired{endpoint, fmt.Sprintf("wired-%d-%d-%d", n, m, nth), nth, f}, rows) {
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
// the operation makes fewer calls. rows counts the rows after the operation.
func (o task) brokenOverWire(t *testing.T, at wired, rows int) bool {
	t.Helper()
	kept, between := dynamotest.Store(t, at.endpoint, at.tables, time.Now)
	w := newWorldOver(t, kept)
	before := w.facts()
	between.Arm(at.nth, at.fault)
	err := o.do(context.Background(), w)
	met := between.Happened()
	between.Disarm()
	if !met {
		return false
	}
	now, unknown := w.facts(), errors.Is(err, store.ErrOutcomeUnknown)
	switch {
	case now != before && strings.Count(now, "\n") != rows && !o.batch:
		t.Errorf("call %d: half made:\n%s", at.nth, now)
	case between.Invisible(at.fault) && (err != nil || now == before):
		t.Errorf("call %d: answered %v, done %v", at.nth, err, now != before)
	case !unknown && (err == nil) != (now != before) && !o.batch:
		t.Errorf("call %d: answered %v, stored\n%s", at.nth, err, now)
	case err != nil && !unknown && !errors.Is(err, store.ErrUnavailable):
		t.Errorf("call %d: answered %v", at.nth, err)
	}
	err = o.do(context.Background(), w)
	var said *fault.Error
	if err != nil && (now == before || !errors.As(err, &said) || !slices.Contains(o.again, said.Code)) {
		t.Errorf("call %d: repeated: %v", at.nth, err)
	}
	if again := strings.Count(w.facts(), "\n"); again != rows {
		t.Errorf("call %d: repeated: %d rows, want %d", at.nth, again, rows)
	}
	return true
}
