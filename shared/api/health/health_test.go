package health

import (
	"context"
	"errors"
	"testing"
	"time"

	"credence/shared/fault"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

// failing is a store whose commits fail while err is set.
type failing struct {
	store.Store
	err     error
	commits int
}

func (f *failing) Commit(ctx context.Context, writes ...store.Write) error {
	f.commits++
	if f.err != nil {
		return f.err
	}
	return f.Store.Commit(ctx, writes...)
}

// TestHealthKnowsOfWrites: a store that takes no writes is reported within
// writesEvery, and as soon as it takes them again; in between nothing is written.
func TestHealthKnowsOfWrites(t *testing.T) {
	s, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	f := &failing{Store: s}
	api := API{Store: f, Writes: &Writes{Store: f, Now: func() time.Time { return now }}, Version: "1"}
	full := errors.Join(store.ErrUnavailable, errors.New("no space left on device"))
	for _, step := range []struct {
		name    string
		after   time.Duration
		err     error
		ok      bool
		commits int
	}{
		{"at first", 0, nil, true, 1},
		{"asked again", time.Second, nil, true, 1},
		{"the disk is full", time.Second, full, true, 1},
		{"and that is found out", writesEvery, full, false, 2},
		{"not tried again at once", time.Second, full, false, 2},
		{"there is room again", writesEvery, nil, true, 3},
	} {
		now, f.err = now.Add(step.after), step.err
		// A caller that has gone away changes nothing of the outcome for others.
		gone, cancel := context.WithCancel(t.Context())
		read, err := api.health(gone, nil)
		cancel()
		if (err == nil) != step.ok || step.ok != (read.Body != nil) || f.commits != step.commits {
			t.Errorf("%s: %v after %d writes, want ok %v after %d", step.name, err, f.commits, step.ok, step.commits)
		}
		if err != nil && !fault.Is(err, fault.CodeStoreUnavailable) {
			t.Errorf("%s: %v, want store_unavailable", step.name, err)
		}
	}
	api.Writes = nil
	f.err = full
	if _, err := api.health(t.Context(), nil); err != nil || f.commits != 3 {
		t.Errorf("without Writes: %v, and %d writes", err, f.commits)
	}
}

// A change that the store did not take is reported, also while the small row of
// the route's own finds room, and not for ever.
func TestHealthKnowsOfFailedChanges(t *testing.T) {
	s, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var failed time.Time
	api := API{Store: s, Writes: &Writes{Store: s, Now: func() time.Time { return now }, Failure: func() time.Time { return failed }}}
	for _, step := range []struct {
		name  string
		after time.Duration
		fails bool
		ok    bool
	}{
		{"at first", 0, false, true},
		{"a change failed", time.Second, true, false},
		{"a little later", failureShown - time.Second, false, false},
		{"long after", time.Second, false, true},
	} {
		if now = now.Add(step.after); step.fails {
			failed = now
		}
		if _, err := api.health(t.Context(), nil); (err == nil) != step.ok || err != nil && !fault.Is(err, fault.CodeStoreUnavailable) {
			t.Errorf("%s: %v, want ok %t", step.name, err, step.ok)
		}
	}
}
