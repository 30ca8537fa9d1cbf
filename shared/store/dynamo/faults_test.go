package dynamo_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"credence/shared/store"
)

// commitKind is a way to commit, and how to see whether it was done.
type commitKind struct {
	name, op string
	writes   func(b *broken) []store.Write
	written  func(b *broken) bool
	// meddle has somebody else write what the commit would have changed.
	meddle func(b *broken)
}

var commitKinds = []commitKind{
	{
		name: "make", op: "PutItem",
		writes: func(b *broken) []store.Write {
			return []store.Write{{Verb: store.Put, Item: b.item(store.Meta, "a", 1), If: store.Absent()}}
		},
		written: func(b *broken) bool { return b.rev(b.item(store.Meta, "a", 0).Key) == 1 },
		meddle:  func(b *broken) { b.set(b.item(store.Meta, "a", 9)) },
	}, {
		name: "change", op: "PutItem",
		writes: func(b *broken) []store.Write {
			b.set(b.item(store.Audit, "a", 1))
			return []store.Write{{Verb: store.Put, Item: b.item(store.Audit, "a", 2), If: store.Equal("rev", int64(1))}}
		},
		written: func(b *broken) bool { return b.rev(b.item(store.Audit, "a", 0).Key) == 2 },
		meddle:  func(b *broken) { b.set(b.item(store.Audit, "a", 9)) },
	}, {
		name: "delete", op: "DeleteItem",
		writes: func(b *broken) []store.Write {
			b.set(b.item(store.Meta, "a", 1))
			return []store.Write{{Verb: store.Delete, Item: b.item(store.Meta, "a", 0), If: store.Equal("rev", int64(1))}}
		},
		written: func(b *broken) bool { return b.rev(b.item(store.Meta, "a", 0).Key) == 0 },
		meddle:  func(b *broken) { b.set(b.item(store.Meta, "a", 9)) },
	}, {
		name: "transaction", op: "TransactWriteItems",
		writes: func(b *broken) []store.Write {
			b.set(b.item(store.Meta, "changed", 1), b.item(store.Vault, "deleted", 1), b.item(store.Meta, "checked", 1))
			return []store.Write{
				{Verb: store.Check, Item: b.item(store.Meta, "checked", 0), If: store.Present()},
				{Verb: store.Put, Item: b.item(store.Meta, "changed", 2), If: store.Equal("rev", int64(1))},
				{Verb: store.Delete, Item: b.item(store.Vault, "deleted", 0), If: store.Present()},
				{Verb: store.Put, Item: b.item(store.Audit, "made", 2), If: store.Absent()},
			}
		},
		written: func(b *broken) bool {
			all := []bool{
				b.rev(b.item(store.Meta, "changed", 0).Key) == 2,
				b.rev(b.item(store.Vault, "deleted", 0).Key) == 0,
				b.rev(b.item(store.Audit, "made", 0).Key) == 2,
			}
			if slices.Contains(all, true) && slices.Contains(all, false) {
				b.Errorf("half written: %v", all)
			}
			return !slices.Contains(all, false)
		},
		meddle: func(b *broken) { b.set(b.item(store.Meta, "changed", 9)) },
	},
}

type want struct {
	err     error // nil: committed
	written bool
	calls   int // of the write
	reads   int // to read back
}

var (
	committed   = want{nil, true, 1, 0}
	unavailable = want{store.ErrUnavailable, false, 3, 0}
)

func (w want) after(calls int) want { w.calls = calls; return w }
func (w want) readBack() want       { w.reads++; return w }

// commitFaults say what each way to commit must answer. faults are of the
// write, rest what it meets after them.
var commitFaults = []struct {
	name   string
	faults []fault
	rest   fault
	reads  fault // what reading back meets
	want   want
}{
	{name: "nothing", want: committed},
	{name: "a checksum that holds", rest: checked, want: committed},
	{name: "throughput exceeded, then not", faults: []fault{exception(400, "ProvisionedThroughputExceededException"), exception(400, "ThrottlingException")}, want: committed.after(3)},
	{name: "throughput exceeded", rest: exception(400, "ProvisionedThroughputExceededException"), want: unavailable},
	{name: "throttled", rest: exception(400, "ThrottlingException"), want: unavailable},
	{name: "request limit", rest: exception(400, "RequestLimitExceeded"), want: unavailable},
	{name: "no right", rest: exception(400, "AccessDeniedException"), want: unavailable.after(1)},
	{name: "no table", rest: exception(400, "ResourceNotFoundException"), want: unavailable.after(1)},
	{name: "refused as invalid", rest: exception(400, "ValidationException"), want: want{store.ErrInvalid, false, 1, 0}},
	{name: "conflict, once", faults: []fault{exception(400, "TransactionConflictException")}, want: committed.after(2)},
	{name: "conflict, thrice", faults: []fault{exception(400, "TransactionConflictException"), exception(400, "TransactionConflictException"), exception(400, "TransactionConflictException")}, want: committed.after(4)},
	{name: "conflict", rest: exception(400, "TransactionConflictException"), want: want{store.ErrConflict, false, 4, 0}},

	{name: "fault, once", faults: []fault{exception(500, "InternalServerError")}, want: committed.after(2)},
	{name: "fault", rest: exception(500, "InternalServerError"), want: unavailable.readBack()},
	{name: "fault of something before it", rest: reply(503, "<html>"), want: unavailable.readBack()},
	{name: "fault, nothing to read back", rest: exception(500, "InternalServerError"), reads: exception(400, "AccessDeniedException"), want: want{store.ErrOutcomeUnknown, false, 3, 1}},
	{name: "fault after it was applied", faults: []fault{applied(exception(500, "InternalServerError"))}, want: committed.after(2)},
	{name: "fault after it was applied, then throttled", faults: []fault{applied(exception(500, "InternalServerError"))}, rest: exception(400, "ThrottlingException"), want: committed.after(3).readBack()},
	{name: "fault after it was applied, then no right", faults: []fault{applied(exception(500, "InternalServerError"))}, rest: exception(400, "AccessDeniedException"), want: committed.after(2).readBack()},

	{name: "reply lost", faults: []fault{applied(cut)}, want: committed.after(2)},
	{name: "reply lost twice", faults: []fault{applied(timeout), applied(cut)}, want: committed.after(3)},
	{name: "reply lost, then a conflict with itself", faults: []fault{applied(timeout), exception(400, "TransactionConflictException")}, want: committed.after(3)},
	{name: "reply lost, then still under way", faults: []fault{applied(timeout), exception(400, "TransactionInProgressException")}, want: committed.after(3)},
	{name: "reply garbled", faults: []fault{applied(reply(200, `{"ConsumedCapa`))}, want: committed.after(2)},
	{name: "reply damaged", faults: []fault{damaged}, want: committed.after(2)},
	{name: "reply damaged each time", rest: damaged, want: committed.after(3).readBack()},
	{name: "checksum unreadable", faults: []fault{stating("four")}, want: committed.after(2)},
	{name: "reply lost, then silence", faults: []fault{applied(cut)}, rest: timeout, want: committed.after(3).readBack()},
	{name: "reply lost, then silence, nothing to read back", faults: []fault{applied(cut)}, rest: timeout, reads: exception(400, "AccessDeniedException"), want: want{store.ErrOutcomeUnknown, true, 3, 1}},
	{name: "reply lost, then silence, reads throttled", faults: []fault{applied(cut)}, rest: timeout, reads: exception(400, "ThrottlingException"), want: want{store.ErrOutcomeUnknown, true, 3, 3}},
	{name: "silence, once", faults: []fault{timeout}, want: committed.after(2)},
	{name: "silence", rest: timeout, want: want{store.ErrOutcomeUnknown, false, 3, 1}},
}

func TestCommitFaults(t *testing.T) {
	for _, k := range commitKinds {
		for _, row := range commitFaults {
			t.Run(k.name+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				b := newBroken(t)
				writes := k.writes(b)
				b.wire.script(k.op, row.faults...)
				b.wire.always(k.op, row.rest)
				b.wire.always("BatchGetItem", row.reads)
				b.expect(b.store.Commit(t.Context(), writes...), row.want.err)
				if got := k.written(b); got != row.want.written {
					t.Errorf("written: %v, want %v", got, row.want.written)
				}
				b.expectCalls(k.op, row.want.calls)
				b.expectCalls("BatchGetItem", row.want.reads)
			})
		}
	}
}

// expect checks for the very error, and that it keeps the engine's words.
func (b *broken) expect(got, want error) {
	b.Helper()
	if !errors.Is(got, want) {
		b.Fatalf("error: %v, want %v", got, want)
	}
	for _, e := range []error{store.ErrConflict, store.ErrUnavailable, store.ErrOutcomeUnknown, store.ErrInvalid, store.ErrTooLarge} {
		if !errors.Is(want, e) && errors.Is(got, e) {
			b.Errorf("error: %v is also %v", got, e)
		}
	}
	if got != nil && strings.Contains(got.Error(), engineWords) {
		b.Errorf("error repeats the engine: %v", got)
	}
}

func (b *broken) expectCalls(op string, want int) {
	b.Helper()
	if got := b.wire.count(op); got != want {
		b.Errorf("%d calls of %s, want %d", got, op, want)
	}
}

func TestCommitRefusedConnection(t *testing.T) {
	for _, k := range commitKinds {
		t.Run(k.name, func(t *testing.T) {
			b := newBroken(t)
			writes := k.writes(b)
			dead := closedPort(t)
			b.wire.always(k.op, func(w *wire, r *http.Request) (*http.Response, error) {
				r.URL.Host = strings.TrimPrefix(dead, "http://")
				return w.engine.RoundTrip(r)
			})
			b.expect(b.store.Commit(t.Context(), writes...), store.ErrUnavailable)
			if k.written(b) {
				t.Error("written")
			}
			b.expectCalls(k.op, 3)
			b.expectCalls("BatchGetItem", 0) // it was never sent: nothing is in doubt
		})
	}
}

func TestCommitConditions(t *testing.T) {
	for _, k := range commitKinds {
		t.Run(k.name, func(t *testing.T) {
			b := newBroken(t)
			writes := k.writes(b)
			k.meddle(b)
			err := b.store.Commit(t.Context(), writes...)
			at := slices.IndexFunc(writes, func(w store.Write) bool { return w.Verb != store.Check })
			var c *store.ConditionError
			if !errors.As(err, &c) || !slices.Equal(c.Failed, []int{at}) {
				t.Errorf("error: %v, want write %d to fail", err, at)
			}
			if k.written(b) {
				t.Error("written")
			}
			b.expectCalls(k.op, 1)
		})
	}
}

// TestCommitMeddled has somebody else write between a reply that is lost and
// the next attempt. A single write can then not be proved; a transaction is
// known by its token.
func TestCommitMeddled(t *testing.T) {
	for _, k := range commitKinds {
		b := newBroken(t)
		meddle := after(func() { k.meddle(b) }, pass)
		single := k.op != "TransactWriteItems"
		t.Run(k.name+"/applied", func(t *testing.T) {
			b.T, b.partition = t, t.Name()
			writes := k.writes(b)
			b.wire.script(k.op, applied(cut), meddle)
			var want error
			if single {
				want = store.ErrOutcomeUnknown
			}
			b.expect(b.store.Commit(t.Context(), writes...), want)
		})
		t.Run(k.name+"/not applied", func(t *testing.T) {
			b.T, b.partition = t, t.Name()
			writes := k.writes(b)
			b.wire.script(k.op, cut, meddle)
			err := b.store.Commit(t.Context(), writes...)
			if single {
				b.expect(err, store.ErrOutcomeUnknown)
			} else if !store.ConditionFailed(err, 1) {
				t.Errorf("error: %v, want write 1 to fail", err)
			}
			if k.written(b) {
				t.Error("written")
			}
		})
	}
}

// TestCommitAdrift shows why silence is no proof: the request arrives after
// the caller was answered.
func TestCommitAdrift(t *testing.T) {
	for _, k := range commitKinds {
		t.Run(k.name, func(t *testing.T) {
			b := newBroken(t)
			writes := k.writes(b)
			b.wire.script(k.op, exception(400, "ThrottlingException"), exception(400, "ThrottlingException"), hold)
			b.expect(b.store.Commit(t.Context(), writes...), store.ErrOutcomeUnknown)
			if k.written(b) {
				t.Fatal("written before it was delivered")
			}
			b.wire.deliver(t)
			if !k.written(b) {
				t.Error("delivered, but not written")
			}
		})
	}
}

// TestCommitReadsBackMeta has IAM as for functions that write to vault and
// audit without reading them.
func TestCommitReadsBackMeta(t *testing.T) {
	b := newBroken(t)
	k := commitKinds[3]
	writes := k.writes(b)
	b.wire.script(k.op, applied(cut))
	b.wire.always(k.op, timeout)
	b.wire.always("BatchGetItem", func(w *wire, r *http.Request) (*http.Response, error) {
		for _, table := range []string{tables.Vault, tables.Audit} {
			if strings.Contains(body(t, r), table) {
				return exception(400, "AccessDeniedException")(w, r)
			}
		}
		return pass(w, r)
	})
	b.expect(b.store.Commit(t.Context(), writes...), nil)
	b.expectCalls("BatchGetItem", 1)
}

// TestCommitHalfSeen reads back while the engine is still at work: one item is
// as the transaction leaves it, the other as before. That is no proof of either.
func TestCommitHalfSeen(t *testing.T) {
	b := newBroken(t)
	var writes []store.Write
	for _, sort := range []string{"a", "b"} {
		b.set(b.item(store.Meta, sort, 1))
		writes = append(writes, store.Write{Verb: store.Put, Item: b.item(store.Meta, sort, 2), If: store.Equal("rev", int64(1))})
	}
	fault := exception(500, "InternalServerError")
	b.wire.script("TransactWriteItems", fault, fault, after(func() { b.set(writes[0].Item) }, fault))
	b.expect(b.store.Commit(t.Context(), writes...), store.ErrOutcomeUnknown)
	b.expectCalls("BatchGetItem", 1)
}

// TestCommitOfChecks has nothing to be in doubt of.
func TestCommitOfChecks(t *testing.T) {
	b := newBroken(t)
	there := b.item(store.Meta, "there", 1)
	b.set(there)
	check := store.Write{Verb: store.Check, Item: there, If: store.Present()}
	b.expect(b.store.Commit(t.Context(), check), nil)
	b.expectCalls("TransactWriteItems", 1)
	check.If = store.Absent()
	if err := b.store.Commit(t.Context(), check); !store.ConditionFailed(err, 0) {
		t.Errorf("error: %v, want write 0 to fail", err)
	}
	b.wire.always("TransactWriteItems", timeout)
	b.expect(b.store.Commit(t.Context(), check), store.ErrUnavailable)
	b.expectCalls("BatchGetItem", 0)
}

func TestTransactionCanceled(t *testing.T) {
	none, condition, conflict, throttled := "None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError"
	for _, row := range []struct {
		reasons []string
		failed  []int
		err     error
		calls   int
	}{
		{reasons: []string{none, condition, none, condition}, failed: []int{1, 3}, calls: 1},
		{reasons: []string{conflict, condition, throttled, none}, failed: []int{1}, calls: 1},
		{reasons: []string{none, conflict, conflict, none}, err: store.ErrConflict, calls: 4},
		{reasons: []string{none, conflict, throttled, none}, err: store.ErrUnavailable, calls: 3},
		{reasons: []string{none, none, none, "ProvisionedThroughputExceeded"}, err: store.ErrUnavailable, calls: 3},
		{reasons: []string{none, "ValidationError", none, conflict}, err: store.ErrInvalid, calls: 1},
		{reasons: []string{none, "ItemCollectionSizeLimitExceeded", none, none}, err: store.ErrInvalid, calls: 1},
		{reasons: []string{none, "AccessDenied", none, none}, err: store.ErrUnavailable, calls: 1},
	} {
		t.Run(fmt.Sprint(row.reasons), func(t *testing.T) {
			b := newBroken(t)
			k := commitKinds[3]
			writes := k.writes(b)
			b.wire.always(k.op, canceled(row.reasons...))
			err := b.store.Commit(t.Context(), writes...)
			if row.err != nil {
				b.expect(err, row.err)
			} else if c := (*store.ConditionError)(nil); !errors.As(err, &c) || !slices.Equal(c.Failed, row.failed) {
				t.Errorf("error: %v, want writes %v to fail", err, row.failed)
			}
			if k.written(b) {
				t.Error("written")
			}
			b.expectCalls(k.op, row.calls)
		})
	}
}
