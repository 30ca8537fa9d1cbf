package limit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/limit"
)

func TestSlots(t *testing.T) {
	ctx := t.Context()
	s := limit.NewSlots(12, 6, 4) // of which the last 3 are for organisations without any
	take := func(n, org, key int64, want error) func() {
		t.Helper()
		free, err := s.Take(ctx, 0, n, org, key)
		if !errors.Is(err, want) {
			t.Fatalf("taking %d for %d/%d: %v, want %v", n, org, key, err, want)
		}
		return free
	}
	first := take(4, 1, 1, nil)
	take(1, 1, 1, limit.ErrShare) // of the key
	second := take(2, 1, 2, nil)
	take(1, 1, 3, limit.ErrShare) // of the organisation
	other := take(3, 2, 7, nil)
	take(1, 2, 8, limit.ErrTotal)
	third := take(2, 3, 9, nil)
	take(1, 3, 9, limit.ErrTotal)
	take(2, 4, 9, limit.ErrTotal)
	fourth := take(1, 4, 9, nil)
	take(1, 5, 9, limit.ErrTotal)
	third()
	fourth()
	first()
	first() // gives nothing back twice
	take(1, 3, 9, nil)()
	take(4, 1, 1, nil)()
	second()
	other()
	take(99, 2, 7, nil)() // is the whole share of a key
	for range 100 {       // nothing is left behind by what was refused
		take(4, 1, 1, nil)()
	}
	free, err := (*limit.Slots)(nil).Take(ctx, 0, 99, 1)
	if err != nil {
		t.Error(err)
	}
	free()
}

// A holder that waits for its share keeps nobody else waiting.
func TestSlotsWaiting(t *testing.T) {
	s := limit.NewSlots(4, 1)
	held, err := s.Take(t.Context(), 0, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	var admitted atomic.Int32
	for range 50 {
		waiting.Go(func() {
			free, err := s.Take(ctx, time.Minute, 1, 1)
			if err == nil {
				admitted.Add(1)
				free()
			} else if !errors.Is(err, limit.ErrShare) {
				t.Error(err)
			}
		})
	}
	for range 100 {
		free, err := s.Take(t.Context(), 0, 1, 2)
		if err != nil {
			t.Fatalf("another holder: %v", err)
		}
		free()
	}
	if admitted.Load() != 0 {
		t.Error("a share was exceeded")
	}
	held()
	for admitted.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	waiting.Wait()
	if _, err := s.Take(t.Context(), 0, 1, 1); err != nil {
		t.Errorf("after all of it: %v", err)
	}
}
