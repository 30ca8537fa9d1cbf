// Package limit bounds the work that a process accepts: how much is under way at
// once (Slots), and how often a source may fail (Failures). All state is in
// memory and belongs to one process.
package limit

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// The errors of Take.
var (
	// ErrShare reports that one of the holders already has its share.
	ErrShare = errors.New("the holder has its share of the slots")
	// ErrTotal reports that the process has no unit left, whoever holds them.
	ErrTotal = errors.New("all slots are taken")
)

// Slots bounds work under way: a total for the process, and a share of it for
// each holder, so that one holder never takes what the others need. It may be
// used by many goroutines at once. A nil *Slots admits everything, for a process
// that serves one request at a time.
type Slots struct {
	total  *semaphore.Weighted
	size   int64
	shares []int64

	mu      sync.Mutex
	holders map[holder]*share
}

// holder is a holder of one level: the ids of two levels may be equal.
type holder struct {
	level int
	id    int64
}

type share struct {
	units *semaphore.Weighted
	users int // goroutines that wait for units or have some; guarded by Slots.mu
}

// NewSlots makes Slots of total units. The i-th share is the number of units
// that one holder of level i may have, such as an organisation and a key.
func NewSlots(total int64, shares ...int64) *Slots {
	return &Slots{
		total: semaphore.NewWeighted(total), size: total, shares: shares,
		holders: map[holder]*share{},
	}
}

// Take takes n units for the holders, one id a level in the order of NewSlots,
// and waits up to wait for them; 0 does not wait. More than a share is taken as
// the whole share. The error is ErrShare or ErrTotal, also when ctx ends. The
// function it returns gives the units back and may be called more than once.
//
// A holder waits for its own share first, so its waiting requests stand in no
// other holder's way.
func (s *Slots) Take(ctx context.Context, wait time.Duration, n int64, ids ...int64) (func(), error) {
	if s == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for level := range s.shares {
		n = min(n, s.shares[level])
	}
	n = min(n, s.size)
	var undo []func()
	free := sync.OnceFunc(func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	})
	for level, id := range ids {
		release, ok := s.share(ctx, wait > 0, n, holder{level, id})
		if !ok {
			free()
			return nil, ErrShare
		}
		undo = append(undo, release)
	}
	if !acquire(ctx, s.total, wait > 0, n) {
		free()
		return nil, ErrTotal
	}
	undo = append(undo, func() { s.total.Release(n) })
	return free, nil
}

// share takes n units of one holder's share. The share exists while somebody
// waits for it or has a part of it.
func (s *Slots) share(ctx context.Context, waits bool, n int64, h holder) (func(), bool) {
	s.mu.Lock()
	own := s.holders[h]
	if own == nil {
		own = &share{units: semaphore.NewWeighted(s.shares[h.level])}
		s.holders[h] = own
	}
	own.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(s.holders, h)
		}
	}
	if !acquire(ctx, own.units, waits, n) {
		leave()
		return nil, false
	}
	return func() { own.units.Release(n); leave() }, true
}

func acquire(ctx context.Context, units *semaphore.Weighted, waits bool, n int64) bool {
	return units.TryAcquire(n) || waits && units.Acquire(ctx, n) == nil
}
