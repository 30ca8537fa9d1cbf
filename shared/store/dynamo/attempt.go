package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"credence/shared/store"
)

// limits bound an operation: Get 3.6 s, Commit 4.6 s (a second more to read
// back), Range 3.6 s a page of 1 MB and 25 s in all.
type limits struct {
	attempt   time.Duration // one exchange, from dialling to the last byte
	attempts  int           // in all, of which all may fail but the last
	conflicts int           // further attempts after another transaction's
	backoff   time.Duration // the longest wait between attempts
	ranges    time.Duration // all pages of a Range
}

var standardLimits = limits{
	attempt:   time.Second,
	attempts:  3,
	conflicts: 3,
	backoff:   300 * time.Millisecond,
	ranges:    25 * time.Second, // below the 30 s at which an HTTP API gives up
}

// firstBackoff doubles with each failure until limits.backoff is reached.
const firstBackoff = 50 * time.Millisecond

// budget is when the last attempt must have ended.
func (l limits) budget() time.Duration {
	return time.Duration(l.attempts)*l.attempt + time.Duration(l.attempts-1)*l.backoff
}

// outcome is what is known of a call after one attempt.
type outcome uint8

const (
	done       outcome = iota
	refused            // a condition does not hold: nothing was written
	contended          // another transaction is at work on an item: nothing was written
	turnedAway         // never sent, or throttled: nothing was written
	rejected           // will never be accepted as it is: nothing was written
	faulted            // the engine failed, perhaps after it had written
	unanswered         // may have been written, or may yet be
)

// attempt makes one bounded exchange and classifies how it ended.
func (s *Store) attempt(ctx context.Context, call func(context.Context) error) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.attempt)
	defer cancel()
	var w wire
	err := call(httptrace.WithClientTrace(ctx, w.trace()))
	if err == nil {
		// One token back for a success, as the SDK's standard mode does; the
		// bucket's error is never set.
		_ = s.quota.AddTokens(retry.DefaultNoRetryIncrement)
		return done, nil
	}
	return classify(err, &w), err
}

// wire learns from net/http whether a request got as far as being sent: the
// only proof that a write without an answer has not been made.
type wire struct{ dialled, wrote atomic.Bool }

func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { w.dialled.Store(true) },
		WroteHeaders: func() { w.wrote.Store(true) },
	}
}

// unsent is false too if no net/http was seen at work.
func (w *wire) unsent() bool { return w.dialled.Load() && !w.wrote.Load() }

func classify(err error, w *wire) outcome {
	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		return classifyReasons(canceled.CancellationReasons)
	}
	// A fault may come from what stands before the engine, without a code.
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) && status.HTTPStatusCode() >= 500 {
		return faulted
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		if w.unsent() {
			return turnedAway
		}
		return unanswered
	}
	if api.ErrorFault() == smithy.FaultServer {
		return faulted
	}
	switch code := api.ErrorCode(); code {
	case "ConditionalCheckFailedException":
		return refused
	case "TransactionConflictException", "ReplicatedWriteConflictException":
		return contended
	case "TransactionInProgressException":
		return unanswered // it is ours: an attempt before this one is under way
	default:
		if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
			return turnedAway
		}
		return rejected
	}
}

// classifyReasons of a cancelled transaction: a condition that does not hold
// outweighs the rest, for it answers the caller's question; then what is worth
// another attempt only if nothing else was wrong.
func classifyReasons(reasons []types.CancellationReason) outcome {
	worst := contended
	rank := map[outcome]int{contended: 0, turnedAway: 1, rejected: 2, refused: 3}
	for _, r := range reasons {
		o := rejected
		switch code(r) {
		case "", "None":
			continue
		case "ConditionalCheckFailed":
			o = refused
		case "TransactionConflict":
			o = contended
		case "ProvisionedThroughputExceeded", "ThrottlingError":
			o = turnedAway
		}
		if rank[o] > rank[worst] {
			worst = o
		}
	}
	return worst
}

// tries counts the attempts of one operation.
type tries struct {
	store             *Store
	start             time.Time
	failed, contended int
}

func (s *Store) tries() tries { return tries{store: s, start: time.Now()} }

// again waits before the next attempt, and is false if there is to be none.
func (t *tries) again(ctx context.Context, o outcome) bool {
	l := t.store.limits
	switch o {
	case contended:
		t.contended++
		if t.contended > l.conflicts {
			return false
		}
	case turnedAway, faulted, unanswered:
		t.failed++
		if t.failed >= l.attempts {
			return false
		}
	default:
		return false
	}
	// A random part of the wait, so that those turned away together do not come
	// back together.
	wait := rand.N(min(l.backoff, firstBackoff<<(t.failed+t.contended-1))) //nolint:gosec // waits need to differ, not to be secret
	// An attempt gets its full time or is not made: cut short by the budget, a
	// write would be in doubt for no reason.
	if time.Since(t.start)+wait+l.attempt > l.budget() {
		return false
	}
	// The quota keeps an outage from tripling the load on what is down.
	if _, err := t.store.quota.GetToken(ctx, retry.DefaultRetryCost); err != nil {
		return false
	}
	return pause(ctx, wait)
}

// pause is false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// read repeats a call that changes nothing until it is answered.
func (s *Store) read(ctx context.Context, doing string, call func(context.Context) error) error {
	for t := s.tries(); ; {
		o, err := s.attempt(ctx, call)
		if o == done {
			return nil
		}
		if !t.again(ctx, o) {
			return unavailable(ctx, doing, o, err)
		}
	}
}

// unavailable is the error for a call that had no effect. Its cause is named
// by code: what an engine says may repeat what it was sent.
func unavailable(ctx context.Context, doing string, o outcome, cause error) error {
	kind := store.ErrUnavailable
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %s: %w: %w", doing, name(cause), kind, ctx.Err())
	case o == contended:
		kind = store.ErrConflict
	case o == rejected && isInvalid(cause):
		kind = store.ErrInvalid
	}
	return fmt.Errorf("%s: %s: %w", doing, name(cause), kind)
}

// isInvalid tells a request that is wrong in itself from one that is refused
// for rights, credentials or a missing table, which are for operators to mend.
func isInvalid(err error) bool {
	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		for _, r := range canceled.CancellationReasons {
			if code(r) == "ValidationError" || code(r) == "ItemCollectionSizeLimitExceeded" {
				return true
			}
		}
		return false
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "ValidationException", "IdempotentParameterMismatchException", "ItemCollectionSizeLimitExceededException":
		return true
	}
	return false
}

// name says what went wrong in words that are ours or a fixed code, never in
// the engine's.
func name(err error) string {
	var api smithy.APIError
	var request interface{ ServiceRequestID() string }
	var errno syscall.Errno
	switch {
	case err == nil:
		return "no progress"
	case errors.As(err, &api) && errors.As(err, &request) && request.ServiceRequestID() != "":
		return fmt.Sprintf("%s, request %s", api.ErrorCode(), request.ServiceRequestID())
	case errors.As(err, &api):
		return api.ErrorCode()
	case errors.Is(err, errChecksum):
		return errChecksum.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &errno):
		return errno.Error()
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return fmt.Sprintf("%T", err)
}

func code(r types.CancellationReason) string {
	if r.Code == nil {
		return ""
	}
	return *r.Code
}
