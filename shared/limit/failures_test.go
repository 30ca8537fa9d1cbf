package limit_test

import (
	"fmt"
	"testing"
	"time"

	"credence/shared/limit"
)

// attack fails as often as it is admitted, of so many attempts.
func attack(f *limit.Failures, a limit.Attempt, attempts int, exists bool) int {
	admitted := 0
	for range attempts {
		if f.Wait(a) == 0 {
			admitted++
			f.Failed(a, exists)
		}
	}
	return admitted
}

func newFailures(t *testing.T) (*limit.Failures, *time.Time) {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return limit.NewFailures(func() time.Time { return now }), &now
}

func TestFailures(t *testing.T) {
	f, now := newFailures(t)
	forged := limit.Attempt{Source: "192.0.2.1", Org: 1}
	right := limit.Attempt{Source: "192.0.2.1", Org: 1, Digest: [32]byte{1}}
	f.Accepted(right)
	if n := attack(f, forged, 4000, true); n != 20 {
		t.Errorf("%d forged keys were looked up, want 20", n)
	}
	for name, row := range map[string]struct {
		attempt  limit.Attempt
		admitted bool
	}{
		"another key from there":             {limit.Attempt{Source: "192.0.2.1", Org: 1, Digest: [32]byte{9}}, false},
		"the right key from there":           {right, true},
		"the right key from elsewhere":       {limit.Attempt{Source: "192.0.2.2", Org: 1, Digest: [32]byte{2}}, true},
		"another organisation's, from there": {limit.Attempt{Source: "192.0.2.1", Org: 2, Digest: [32]byte{3}}, true},
		"the same address in IPv6":           {limit.Attempt{Source: "::ffff:192.0.2.1", Org: 1}, false},
	} {
		if wait := f.Wait(row.attempt); (wait == 0) != row.admitted {
			t.Errorf("%s: waits %v", name, wait)
		}
	}
	if wait := f.Wait(forged); wait <= 0 || wait > 3*time.Second {
		t.Errorf("the wait is %v, want up to 3 s", wait)
	}
	*now = now.Add(3 * time.Second)
	if n := attack(f, forged, 100, true); n != 1 {
		t.Errorf("three seconds later %d are looked up, want 1", n)
	}
	// A right key that stops being right is a wrong key.
	f.Failed(right, true)
	if f.Wait(right) == 0 {
		t.Error("a key that was accepted once is admitted for ever")
	}
}

// A source that names many organisations has a bound for all of them.
func TestFailuresOfMadeUpOrganisations(t *testing.T) {
	f, _ := newFailures(t)
	looked := 0
	for org := range int64(1000) {
		looked += attack(f, limit.Attempt{Source: "2001:db8::1", Org: org}, 5, false)
	}
	if looked != 100 {
		t.Errorf("%d were looked up, want 100", looked)
	}
	if f.Wait(limit.Attempt{Source: "2001:db8::ffff:1", Org: 5000}) == 0 {
		t.Error("the next address of the same network is another source")
	}
	if f.Wait(limit.Attempt{Source: "2001:db8:0:1::1", Org: 5000}) != 0 {
		t.Error("another network pays for it")
	}
}

// Under an attack from everywhere each source has one attempt, and a source that
// did not fail is admitted.
func TestFailuresFromEverywhere(t *testing.T) {
	f, _ := newFailures(t)
	looked := 0
	for n := range 1000 {
		looked += attack(f, limit.Attempt{Source: fmt.Sprintf("198.51.%d.%d", n/250, n%250), Org: 1}, 50, true)
	}
	if looked > 1200 {
		t.Errorf("%d were looked up, want one a source and 200 of the organisation", looked)
	}
	if wait := f.Wait(limit.Attempt{Source: "192.0.2.7", Org: 1, Digest: [32]byte{7}}); wait != 0 {
		t.Errorf("the right key waits %v at a source that did not fail", wait)
	}
}
