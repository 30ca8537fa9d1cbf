// Package limit bounds the work that a process accepts: how much is under way at
// once (Slots), and how often a source may fail (Failures). All state is in
// memory and belongs to one process.
package limit

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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
// each holder, so that one holder never takes what the others need. The last
// quarter of the total is for holders of the first level that have nothing under
// way, so that a few holders never take it together either. It may be used by
// many goroutines at once. A nil *Slots admits everything, for a process
// that serves one request at a time.
type Slots struct {
	common *semaphore.Weighted // three quarters of the total
	last   *semaphore.Weighted // the rest
	size   int64               // of common
	shares []int64

	mu      sync.Mutex
	holders map[holder]*share
	spare   [][]*share // by level: shares without users, kept for the next holder
}

// maxSpare bounds the spare shares of a level.
const maxSpare = 64

// holder is a holder of one level: the ids of two levels may be equal.
type holder struct {
	level int
	id    int64
}

type share struct {
	holder holder
	units  *semaphore.Weighted
	users  int // goroutines that wait for units or have some; guarded by Slots.mu
}

// NewSlots makes Slots of total units. The i-th share is the number of units
// that one holder of level i may have, such as an organisation and a key.
func NewSlots(total int64, shares ...int64) *Slots {
	last := total / 4
	return &Slots{
		common: semaphore.NewWeighted(total - last), last: semaphore.NewWeighted(last), size: total - last, shares: shares,
		holders: map[holder]*share{}, spare: make([][]*share, len(shares)),
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
	for level := range s.shares {
		n = min(n, s.shares[level])
	}
	h := &hold{slots: s, units: min(n, s.size), shares: make([]*share, 0, len(ids))}
	patience := patience{ctx: ctx, wait: wait}
	defer patience.end()
	first := false
	for level, id := range ids {
		own, alone := s.join(holder{level, id})
		first = first || level == 0 && alone
		if !patience.acquire(own.units, h.units) {
			s.leave(own)
			h.free()
			return nil, ErrShare
		}
		h.shares = append(h.shares, own)
	}
	switch {
	case s.common.TryAcquire(h.units):
		h.of = s.common
	case first && s.last.TryAcquire(h.units):
		h.of = s.last
	case patience.acquire(s.common, h.units):
		h.of = s.common
	default:
		h.free()
		return nil, ErrTotal
	}
	return h.free, nil
}

// hold is what one Take has.
type hold struct {
	slots  *Slots
	units  int64
	shares []*share
	of     *semaphore.Weighted // the part of the total that it has units of; nil if none
	freed  atomic.Bool
}

// free gives everything back, once.
func (h *hold) free() {
	if h.freed.Swap(true) {
		return
	}
	if h.of != nil {
		h.of.Release(h.units)
	}
	for _, own := range slices.Backward(h.shares) {
		own.units.Release(h.units)
		h.slots.leave(own)
	}
}

// join returns the share of a holder, and whether nobody else uses it. It exists
// while somebody waits for it or has a part of it.
func (s *Slots) join(h holder) (own *share, alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own = s.holders[h]
	if own == nil {
		if spare := s.spare[h.level]; len(spare) > 0 {
			own, s.spare[h.level] = spare[len(spare)-1], spare[:len(spare)-1]
		} else {
			own = &share{units: semaphore.NewWeighted(s.shares[h.level])}
		}
		own.holder = h
		s.holders[h] = own
	}
	own.users++
	return own, own.users == 1
}

// leave undoes join. A share without users has all its units.
func (s *Slots) leave(own *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own.users--; own.users > 0 {
		return
	}
	delete(s.holders, own.holder)
	if level := own.holder.level; len(s.spare[level]) < maxSpare {
		s.spare[level] = append(s.spare[level], own)
	}
}

// patience bounds the time that one Take waits in all. Its timer starts with the
// first wait, which most calls never come to.
type patience struct {
	ctx    context.Context
	wait   time.Duration
	cancel context.CancelFunc
}

func (p *patience) acquire(units *semaphore.Weighted, n int64) bool {
	if units.TryAcquire(n) {
		return true
	}
	if p.wait <= 0 {
		return false
	}
	if p.cancel == nil {
		p.ctx, p.cancel = context.WithTimeout(p.ctx, p.wait)
	}
	return units.Acquire(p.ctx, n) == nil
}

func (p *patience) end() {
	if p.cancel != nil {
		p.cancel()
	}
}
