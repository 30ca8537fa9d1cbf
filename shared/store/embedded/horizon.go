package embedded

import (
	"context"
	"errors"
	"sync"
)

var errBroken = errors.New("the disk failed while it confirmed a commit; the store must be opened again")

// horizon is the last transaction known to be durable. The engine shows a
// transaction to readers as soon as it is written, and syncs it after that: a
// reader who starts in between holds a snapshot that a loss of power could
// still undo. It waits here for the sync, at most the rest of one.
type horizon struct {
	mu     sync.Mutex
	last   int
	broken bool
	moved  chan struct{} // closed and replaced at each change
}

func newHorizon(last int) *horizon {
	return &horizon{last: last, moved: make(chan struct{})}
}

// reach declares a transaction and all before it durable.
func (h *horizon) reach(id int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = id
	h.signal()
}

// shatter declares that what lies beyond the horizon is neither durable nor
// gone. After a failed sync the kernel may have dropped the pages and a second
// sync may succeed without them, so nothing but opening the file again, which
// reads what the disk has, can tell.
func (h *horizon) shatter() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = true
	h.signal()
}

func (h *horizon) signal() {
	close(h.moved)
	h.moved = make(chan struct{})
}

// intact is nil until shatter.
func (h *horizon) intact() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken {
		return errBroken
	}
	return nil
}

// wait returns when the transaction is durable.
func (h *horizon) wait(ctx context.Context, id int) error {
	for {
		h.mu.Lock()
		last, broken, moved := h.last, h.broken, h.moved
		h.mu.Unlock()
		if broken {
			return errBroken
		}
		if id <= last {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
