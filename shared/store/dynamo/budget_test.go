package dynamo_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"credence/shared/store"
	"credence/shared/store/dynamo"
)

// The bounds that the package promises, whatever the engine does.
const (
	attempts   = 3
	longest    = attempts*time.Second + 2*300*time.Millisecond
	withReread = longest + time.Second
)

// deaf is an engine of which nothing is real but the silence: time in these
// tests is synthetic, so each bound is met to the nanosecond.
func deaf(f fault) (*wire, *dynamo.Store) {
	w := newWire()
	for _, op := range []string{"BatchGetItem", "Query", "PutItem", "DeleteItem", "TransactWriteItems"} {
		w.always(op, f)
	}
	o := options("http://engine.invalid")
	o.HTTPClient = &http.Client{Transport: w}
	return w, dynamo.New(dynamodb.New(o), tables)
}

func operations(s *dynamo.Store) map[string]func(context.Context) error {
	key := store.Key{Table: store.Meta, Partition: "p", Sort: "s"}
	put := store.Write{Verb: store.Put, Item: store.Item{Key: key}, If: store.Absent()}
	remove := store.Write{Verb: store.Delete, Item: store.Item{Key: key}, If: store.Present()}
	check := store.Write{Verb: store.Check, Item: store.Item{Key: store.Key{Table: store.Meta, Partition: "p", Sort: "t"}}, If: store.Present()}
	return map[string]func(context.Context) error{
		"get": func(ctx context.Context) error { _, err := s.Get(ctx, key); return err },
		"range": func(ctx context.Context) error {
			_, err := s.Range(ctx, store.Range{Table: store.Meta, Partition: "p"})
			return err
		},
		"put":         func(ctx context.Context) error { return s.Commit(ctx, put) },
		"delete":      func(ctx context.Context) error { return s.Commit(ctx, remove) },
		"transaction": func(ctx context.Context) error { return s.Commit(ctx, put, check) },
	}
}

func TestBudgets(t *testing.T) {
	for _, row := range []struct {
		name        string
		fault       fault
		read, write error
		least       time.Duration // of a read
		calls       int           // of a read
	}{
		{"hangs", hang, store.ErrUnavailable, store.ErrOutcomeUnknown, 3 * time.Second, 3},
		{"answers too late", slow(time.Second+time.Millisecond, reply(200, `{}`)), store.ErrUnavailable, store.ErrOutcomeUnknown, 3 * time.Second, 3},
		{"answers in time", slow(time.Second-time.Millisecond, reply(200, `{}`)), nil, nil, time.Second - time.Millisecond, 1},
		{"throttles late", slow(900*time.Millisecond, exception(400, "ThrottlingException")), store.ErrUnavailable, store.ErrUnavailable, 2700 * time.Millisecond, 3},
		{"fails late", slow(900*time.Millisecond, exception(500, "InternalServerError")), store.ErrUnavailable, store.ErrOutcomeUnknown, 2700 * time.Millisecond, 3},
		{"conflicts late", slow(900*time.Millisecond, exception(400, "TransactionConflictException")), store.ErrConflict, store.ErrConflict, 2700 * time.Millisecond, 3}, // a fourth would not end in time,
	} {
		for name := range operations(nil) {
			t.Run(row.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, s := deaf(row.fault)
					start := time.Now()
					err := operations(s)[name](t.Context())
					took := time.Since(start)
					want, bound := row.read, longest
					if name != "get" && name != "range" {
						want = row.write
						if errors.Is(want, store.ErrOutcomeUnknown) {
							bound = withReread
						}
					}
					if !errors.Is(err, want) {
						t.Errorf("error: %v, want %v", err, want)
					}
					if took < row.least || took > bound {
						t.Errorf("took %v, want from %v to %v", took, row.least, bound)
					}
					if name == "get" && w.total() != row.calls {
						t.Errorf("%d calls, want %d", w.total(), row.calls)
					}
				})
			})
		}
	}
}

func TestContextEnds(t *testing.T) {
	for name := range operations(nil) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, s := deaf(hang)
				ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
				defer cancel()
				start := time.Now()
				err := operations(s)[name](ctx)
				if took := time.Since(start); took != 1500*time.Millisecond {
					t.Errorf("took %v, want as long as the context", took)
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error: %v, want that of the context", err)
				}
				want := store.ErrOutcomeUnknown
				if name == "get" || name == "range" {
					want = store.ErrUnavailable
				}
				if !errors.Is(err, want) {
					t.Errorf("error: %v, want %v", err, want)
				}
				before := w.total()
				if err := operations(s)[name](ctx); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("with an ended context: %v, want ErrUnavailable", err)
				}
				if n := w.total() - before; n != 0 {
					t.Errorf("with an ended context: %d calls", n)
				}
			})
		})
	}
}

// TestRangeEnds: a partition without end, one page a second.
func TestRangeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := deaf(slow(900*time.Millisecond, reply(200, `{"LastEvaluatedKey":{"pk":{"S":"p"},"sk":{"S":"s"}}}`)))
		start := time.Now()
		_, err := s.Range(t.Context(), store.Range{Table: store.Meta, Partition: "p"})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("error: %v, want ErrUnavailable", err)
		}
		if took := time.Since(start); took != 25*time.Second {
			t.Errorf("took %v, want 25 s", took)
		}
	})
}

// TestQuota: an outage must not triple the load on what is down.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := deaf(exception(400, "ThrottlingException"))
		get := operations(s)["get"]
		const n = 100
		for range n {
			if err := get(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		// 500 tokens, five for each attempt after the first.
		if got := w.total(); got != n+100 {
			t.Errorf("%d calls for %d reads of an engine that is down, want %d", got, n, n+100)
		}
		w.always("BatchGetItem", reply(200, `{}`))
		for range 5 {
			if err := get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.script("BatchGetItem", exception(400, "ThrottlingException"))
		if err := get(t.Context()); err != nil {
			t.Errorf("five successes pay for one attempt: %v", err)
		}
	})
}

// TestCapacity asserts what AWS bills for each operation, in request units, and
// prints it at the list price of on-demand tables in us-east-1.
func TestCapacity(t *testing.T) {
	const perWrite, perRead = 0.625 / 1e6, 0.125 / 1e6 // USD a unit, list price of 2024-11-01
	type units struct{ read, write float64 }
	used := map[string]units{}
	b := newBroken(t, dynamo.WithCapacityObserver(func(op, table string, read, write float64) {
		u := used[op+" "+table]
		used[op+" "+table] = units{u.read + read, u.write + write}
	}))
	item := func(table store.Table, sort string, bytes int) store.Item {
		i := b.item(table, sort, 1)
		i.Attributes["bytes"] = make([]byte, bytes)
		return i
	}
	write := func(i store.Item) store.Write {
		return store.Write{Verb: store.Put, Item: i, If: store.Absent()}
	}
	small, large := item(store.Meta, "a", 700), item(store.Vault, "b", 4500)
	missing := b.item(store.Audit, "c", 1)
	for _, row := range []struct {
		name string
		do   func() error
		want map[string]units
	}{
		{"put of 1 KB", func() error { return b.store.Commit(t.Context(), write(small)) }, map[string]units{"PutItem meta": {0, 1}}},
		{"delete of 1 KB", func() error {
			return b.store.Commit(t.Context(), store.Write{Verb: store.Delete, Item: small, If: store.Present()})
		}, map[string]units{"DeleteItem meta": {0, 1}}},
		{"commit of 1 KB and 5 KB", func() error { return b.store.Commit(t.Context(), write(small), write(large)) }, map[string]units{"TransactWriteItems meta": {0, 2}, "TransactWriteItems vault": {0, 10}}},
		{"get of 1 KB, 5 KB and nothing", func() error {
			_, err := b.store.Get(t.Context(), small.Key, large.Key, missing.Key)
			return err
		}, map[string]units{"BatchGetItem meta": {1, 0}, "BatchGetItem vault": {2, 0}, "BatchGetItem audit": {1, 0}}},
		{"range of 1 KB", func() error {
			_, err := b.store.Range(t.Context(), store.Range{Table: store.Meta, Partition: b.partition})
			return err
		}, map[string]units{"Query meta": {1, 0}}},
	} {
		clear(used)
		if err := row.do(); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		var sum units
		for call, u := range used {
			sum.read, sum.write = sum.read+u.read, sum.write+u.write
			if u != row.want[call] {
				t.Errorf("%s: %s used %v, want %v", row.name, call, u, row.want[call])
			}
		}
		if len(used) != len(row.want) {
			t.Errorf("%s: used %v, want %v", row.name, used, row.want)
		}
		t.Logf("%-30s %4.1f read %4.1f write units: %.3f USD a million", row.name, sum.read, sum.write, 1e6*(sum.read*perRead+sum.write*perWrite))
	}
}
