package health

import (
	"context"
	"errors"
	"sync"
	"time"

	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// Writes finds out whether a store takes writes: a full or read-only disk serves
// reads as before. It writes one row of its own, at most once in writesEvery
// however often it is asked, and in between answers as the last time. It may be
// used from many goroutines.
//
// The row is small: it may still find room where a change does not. So a change
// that the store did not take is reported too, for failureShown.
type Writes struct {
	Store store.Store
	Now   func() time.Time
	// Failure returns when the store last failed to take a change, the zero time if
	// it never did; nil = not known.
	Failure func() time.Time

	mu    sync.Mutex
	tried time.Time
	err   error
}

const (
	writesEvery   = 5 * time.Second
	writesTimeout = 3 * time.Second
	failureShown  = 15 * time.Second
)

// try writes, unless it did a moment ago or somebody else just does.
func (w *Writes) try(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.Now()
	if w.Failure != nil {
		if at := w.Failure(); !at.IsZero() && now.Sub(at) < failureShown {
			return noWrites(errors.New("a change was not taken"))
		}
	}
	if !w.tried.IsZero() && now.Sub(w.tried) < writesEvery {
		return w.err
	}
	// The outcome is for later callers too, so it does not depend on this one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writesTimeout)
	defer cancel()
	row := store.Item{
		Key:        store.Key{Table: store.Meta, Partition: identity.SystemKey(0).Partition, Sort: "HEALTH"},
		Attributes: store.Attributes{},
	}
	row.Attributes.SetTime("at", now)
	err := w.Store.Commit(ctx, store.Write{Verb: store.Put, Item: row, If: store.Always()})
	w.tried, w.err = now, nil
	if err != nil {
		w.err = noWrites(err)
	}
	return w.err
}

func noWrites(cause error) error {
	return fault.New(fault.CodeStoreUnavailable,
		"The store can be read and takes no writes: its disk may be full or read-only. Make room, or make it writable; every change that was acknowledged is kept.").
		After(writesEvery).Because(cause)
}
