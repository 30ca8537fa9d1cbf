package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"credence/shared/fault"
)

// Bounds of a change that loses to others. An implementation has repeated the
// commit itself before it answers ErrConflict, so that error is worth one fresh
// start only; a *ConditionError is the first news of a rival, and is worth more.
const (
	startsAfterCondition = 8
	startsAfterConflict  = 2
	// leastTime is what one more start needs. A commit that the caller's
	// deadline cuts short leaves its outcome unknown, so none begins without it.
	leastTime = time.Second
	// waitStep bounds the random wait before the second start; the bound grows
	// by it with each start, eightfold at most.
	waitStep = 5 * time.Millisecond
)

// Overtaken reports whether err means that another commit came first. Nothing
// was written; a fresh read may lead to a commit that succeeds. It is false where
// a fault that says more stands in front.
func Overtaken(err error) bool {
	var shown *fault.Error
	return errors.As(err, &shown) && shown == overtaken
}

// StartOver reports whether a change whose commit failed with err begins again
// from a fresh read, and waits a random time first so that rivals part. attempt
// counts from 0. It returns false for any error but those of Overtaken, after
// the last attempt, and when less than a second is left until ctx ends.
//
// This is the one policy of callers; what an implementation repeats below
// Commit is its own.
func StartOver(ctx context.Context, err error, attempt int) bool {
	most := startsAfterCondition
	if errors.Is(err, ErrConflict) {
		most = startsAfterConflict
	}
	if !Overtaken(err) || attempt+1 >= most {
		return false
	}
	if end, limited := ctx.Deadline(); limited && time.Until(end) < leastTime {
		return false
	}
	bound := int64(min(attempt+1, 8)) * int64(waitStep)
	wait := time.NewTimer(time.Duration(rand.Int64N(bound))) //nolint:gosec // waits need to differ, not to be secret
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wait.C:
		return true
	}
}

// Again reports whether a change that failed with err starts over, after a wait; else
// it returns the error to answer: busy, with the cause, if the change lost to others
// until the bounds of StartOver, and err otherwise.
func Again(ctx context.Context, err error, attempt int, busy *fault.Error) (bool, error) {
	switch {
	case !Overtaken(err):
		return false, err
	case StartOver(ctx, err, attempt):
		return true, nil
	}
	// If the time is up, it went into losing to others and not into the store.
	return false, busy.Because(errors.Join(err, ctx.Err()))
}
