package id_test

import (
	"testing"
	"time"

	"credence/shared/id"
)

func TestNewIsOrderedByTimeAndFitsEveryClient(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := int64(0)
	for ms := range 1000 {
		now := at.Add(time.Duration(ms) * time.Millisecond)
		n := id.New(now)
		if n <= last || n > id.Max || n < id.First(now) || n >= id.First(now.Add(time.Millisecond)) {
			t.Fatalf("id %d at %v, after %d", n, now, last)
		}
		if got := id.Time(n); !got.Equal(now) {
			t.Fatalf("id %d made at %v gives %v", n, now, got)
		}
		last = n
	}
}

func TestNewSpreadsWithinAMillisecond(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seen := map[int64]bool{}
	for range 1000 {
		seen[id.New(now)] = true
	}
	if len(seen) < 800 { // 1000 draws of 4096 leave about 887 distinct; 800 is 20 deviations away
		t.Errorf("%d distinct ids of 1000", len(seen))
	}
}

func TestNewLeavesOutTaken(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var taken []int64
	for n := range int64(1 << 12) {
		if n != 7 {
			taken = append(taken, id.At(now, n))
		}
	}
	if got, want := id.New(now, taken...), id.At(now, 7); got != want {
		t.Errorf("%d, want %d, the only one that is free", got, want)
	}
}

func TestFirstIsBounded(t *testing.T) {
	for _, row := range []struct {
		at   time.Time
		want int64
	}{
		{time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		{time.Date(2024, 1, 1, 0, 0, 0, int(time.Millisecond), time.UTC), 1 << 12},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), (1<<41 - 1) << 12},
	} {
		if got := id.First(row.at); got != row.want || got > id.Max {
			t.Errorf("First(%v) = %d, want %d", row.at, got, row.want)
		}
	}
}
