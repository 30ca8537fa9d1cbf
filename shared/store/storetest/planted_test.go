package storetest_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/store"
	"credence/shared/store/embedded"
	"credence/shared/store/storetest"
)

// plantVariable names the fault that TestPlanted plants when this binary runs
// itself. It is read here only.
const plantVariable = "STORETEST_PLANT"

// faults are stores with one planted fault each, and one case that must fail.
var faults = map[string]struct {
	plant func(inner store.Store, now func() time.Time) store.Store
	// stopped opens the inner store with a clock that stands still, so that the
	// fault sees what has expired.
	stopped bool
	caught  string
}{
	"one condition in ten is ignored":          {plantIgnored, false, "Conditions/conditions_hold"},
	"reads are stale at times":                 {plantStale, false, "Items/a_read_sees"},
	"expired items count for the limit":        {plantCounted, true, "Ranges/expired_items"},
	"expired items hold conditions":            {plantExpiredPresent, true, "Conditions/each_condition"},
	"writes are made one by one":               {plantApart, false, "Conditions/one_failed"},
	"conditions are judged by an earlier read": {plantEarly, false, "Races/counters"},
	"checks are judged by an earlier read":     {plantEarlyChecks, false, "Races/checks_of"},
	"equal forgets the type":                   {plantUntyped, false, "Conditions/equal_compares"},
	"items are shared with the reader":         {plantShared, false, "Items/what_is_read"},
	"items are shared with the writer":         {plantShared, false, "Items/what_is_written"},
	"after is inclusive":                       {plantInclusive, false, "Ranges/every_bound"},
	"the end comes too early":                  {plantNoMore, false, "Ranges/pages_join"},
	"keys come with attributes":                {plantWhole, false, "Ranges/keys_alone"},
	"a page is cut short":                      {plantCut, false, "Ranges/pages_beyond"},
	"the wrong write is blamed":                {plantBlame, false, "Conditions/every_failed"},
	"an ended context is not looked at":        {plantDeaf, false, "Ends/an_ended"},
	"a commit cut short stays half made":       {plantHalf, false, "Races/a_commit_cut"},
	"limits are not looked at":                 {plantTrimmed, false, "Limits/keys"},
	"empty values are dropped":                 {plantNoEmpty, false, "Items/every_attribute"},
	"a closed store goes on":                   {plantOpen, false, "Ends/a_closed"},
}

func openPlain(t *testing.T, now func() time.Time) store.Store {
	s, err := embedded.Open(t.TempDir(), embedded.WithClock(now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestPlanted runs the suite on one faulty store. It is the child of
// TestSuiteCatches and does nothing by itself.
func TestPlanted(t *testing.T) {
	name := os.Getenv(plantVariable)
	if name == "" {
		t.Skip("is run by TestSuiteCatches")
	}
	fault, ok := faults[name]
	if !ok {
		return // passes, and so TestSuiteCatches fails
	}
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		if fault.stopped {
			return fault.plant(openPlain(t, func() time.Time { return time.Unix(1, 0) }), now)
		}
		return fault.plant(openPlain(t, now), now)
	})
}

func TestSuiteCatches(t *testing.T) {
	if os.Getenv(plantVariable) != "" {
		t.Skip("this is the child")
	}
	failed := regexp.MustCompile(`(?m)^ *--- FAIL: TestPlanted/(\S+)`)
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		t.Run(name, func(t *testing.T) {
			caught := faults[name].caught
			group, _, _ := strings.Cut(caught, "/")
			child := exec.CommandContext(t.Context(), os.Args[0],
				"-test.run=^TestPlanted$/^"+group+"$", "-test.v", "-test.timeout=120s")
			child.Env = append(os.Environ(), plantVariable+"="+name)
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			if err == nil || !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Fatalf("the suite lets it pass: %v", err)
			}
			for _, m := range failed.FindAllSubmatch(out, -1) {
				if strings.HasPrefix(string(m[1]), caught) {
					return
				}
			}
			t.Errorf("%s does not catch it; failed: %q", caught, failed.FindAll(out, -1))
		})
	}
}

// wrapped hands everything on, so that a fault replaces one method.
type wrapped struct {
	store.Store
	get    func(context.Context, ...store.Key) ([]store.Item, error)
	ranged func(context.Context, store.Range) (store.Page, error)
	commit func(context.Context, ...store.Write) error
}

func (w *wrapped) Get(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
	if w.get != nil {
		return w.get(ctx, keys...)
	}
	return w.Store.Get(ctx, keys...)
}

func (w *wrapped) Range(ctx context.Context, r store.Range) (store.Page, error) {
	if w.ranged != nil {
		return w.ranged(ctx, r)
	}
	return w.Store.Range(ctx, r)
}

func (w *wrapped) Commit(ctx context.Context, writes ...store.Write) error {
	if w.commit != nil {
		return w.commit(ctx, writes...)
	}
	return w.Store.Commit(ctx, writes...)
}

func plantIgnored(s store.Store, _ func() time.Time) store.Store {
	var n atomic.Int64
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		writes = slices.Clone(writes)
		if n.Add(1)%10 == 0 && writes[0].Verb == store.Put {
			writes[0].If = store.Always()
		}
		return s.Commit(ctx, writes...)
	}}
}

func plantStale(s store.Store, _ func() time.Time) store.Store {
	var mu sync.Mutex
	seen, n := map[store.Key]store.Item{}, 0
	return &wrapped{Store: s, get: func(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
		items, err := s.Get(ctx, keys...)
		mu.Lock()
		defer mu.Unlock()
		n++
		for i := range items {
			if old, ok := seen[keys[i]]; ok && n%20 == 0 {
				items[i] = old
			}
			seen[keys[i]] = items[i]
		}
		return items, err
	}}
}

func plantCounted(s store.Store, now func() time.Time) store.Store {
	return &wrapped{Store: s, ranged: func(ctx context.Context, r store.Range) (store.Page, error) {
		p, err := s.Range(ctx, r)
		p.Items = slices.DeleteFunc(p.Items, func(i store.Item) bool { return i.Expired(now()) })
		return p, err
	}}
}

func plantExpiredPresent(s store.Store, now func() time.Time) store.Store {
	return &wrapped{Store: s, get: func(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
		items, err := s.Get(ctx, keys...)
		for i := range items {
			if items[i].Expired(now()) {
				items[i] = store.Item{}
			}
		}
		return items, err
	}}
}

func plantApart(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		if err := store.ValidateCommit(writes); err != nil {
			return err
		}
		for i, w := range writes {
			if err := s.Commit(ctx, w); err != nil {
				return errors.Join(err, &store.ConditionError{Failed: []int{i}})
			}
		}
		return nil
	}}
}

// gap lets rivals in between a planted fault's question and its write: a busy
// machine might otherwise run them one after the other and hide the fault.
const gap = 5 * time.Millisecond

// plantEarly asks before it writes, which is right until there are two.
func plantEarly(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		asked := make([]store.Write, len(writes))
		given := slices.Clone(writes)
		for i, w := range writes {
			asked[i] = store.Write{Verb: store.Check, Item: w.Item, If: w.If}
			if w.Verb == store.Put {
				given[i].If = store.Always()
			}
		}
		err := s.Commit(ctx, asked...)
		if err != nil && !errors.Is(err, store.ErrInvalid) {
			return err
		}
		time.Sleep(gap)
		return s.Commit(ctx, given...)
	}}
}

func plantEarlyChecks(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		var checks, others []store.Write
		for _, w := range writes {
			if w.Verb == store.Check {
				checks = append(checks, w)
			} else {
				others = append(others, w)
			}
		}
		if len(checks) > 0 && len(others) > 0 {
			if err := s.Commit(ctx, checks...); err != nil {
				return err
			}
			time.Sleep(gap)
			return s.Commit(ctx, others...)
		}
		return s.Commit(ctx, writes...)
	}}
}

func plantUntyped(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		err := s.Commit(ctx, writes...)
		var failed *store.ConditionError
		if !errors.As(err, &failed) {
			return err
		}
		writes = slices.Clone(writes)
		for _, i := range failed.Failed {
			_ = writes[i].If.Match(func() {}, func() {}, func() {}, func(name string, value any) {
				if text, ok := value.(string); ok {
					writes[i].If = store.Equal(name, []byte(text))
				}
			})
		}
		return s.Commit(ctx, writes...)
	}}
}

// plantShared keeps the maps of its callers.
func plantShared(s store.Store, _ func() time.Time) store.Store {
	var mu sync.Mutex
	kept := map[store.Key]store.Item{}
	return &wrapped{
		Store: s,
		get: func(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
			mu.Lock()
			defer mu.Unlock()
			if len(keys) == 1 && kept[keys[0]].Found() {
				return []store.Item{kept[keys[0]]}, nil
			}
			return s.Get(ctx, keys...)
		},
		commit: func(ctx context.Context, writes ...store.Write) error {
			err := s.Commit(ctx, writes...)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && writes[0].Verb == store.Put {
				kept[writes[0].Item.Key] = writes[0].Item
			}
			return err
		},
	}
}

func plantInclusive(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, ranged: func(ctx context.Context, r store.Range) (store.Page, error) {
		if r.After != "" && r.From == "" && !r.Descending {
			r.From, r.After = r.After, ""
		}
		return s.Range(ctx, r)
	}}
}

func plantNoMore(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, ranged: func(ctx context.Context, r store.Range) (store.Page, error) {
		p, err := s.Range(ctx, r)
		p.More = p.More && len(p.Items) > 1
		return p, err
	}}
}

func plantWhole(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, ranged: func(ctx context.Context, r store.Range) (store.Page, error) {
		r.KeysOnly = false
		return s.Range(ctx, r)
	}}
}

// plantCut stops at a megabyte, as one call to DynamoDB does.
func plantCut(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, ranged: func(ctx context.Context, r store.Range) (store.Page, error) {
		p, err := s.Range(ctx, r)
		size := 0
		for i, it := range p.Items {
			if size += store.ItemBytes(it); size > 1<<20 {
				p.Items = p.Items[:i+1]
				break
			}
		}
		return p, err
	}}
}

func plantBlame(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		err := s.Commit(ctx, writes...)
		var failed *store.ConditionError
		if errors.As(err, &failed) {
			return &store.ConditionError{Failed: []int{0}}
		}
		return err
	}}
}

func plantDeaf(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		return s.Commit(context.WithoutCancel(ctx), writes...)
	}}
}

// plantHalf makes the first write only of a commit that has little time.
func plantHalf(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Millisecond {
			return s.Commit(ctx, writes...)
		}
		if err := s.Commit(context.WithoutCancel(ctx), writes[0]); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}}
}

func plantTrimmed(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, get: func(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
		items, err := s.Get(ctx, keys[:min(len(keys), store.MaxKeysPerGet)]...)
		return append(items, make([]store.Item, len(keys)-len(items))...), err
	}}
}

func plantNoEmpty(s store.Store, _ func() time.Time) store.Store {
	return &wrapped{Store: s, commit: func(ctx context.Context, writes ...store.Write) error {
		writes = slices.Clone(writes)
		for i := range writes {
			writes[i].Item.Attributes = maps.Clone(writes[i].Item.Attributes)
			maps.DeleteFunc(writes[i].Item.Attributes, func(_ string, v any) bool { return v == "" })
		}
		return s.Commit(ctx, writes...)
	}}
}

// neverClosed is a store whose Close does nothing.
type neverClosed struct{ wrapped }

func (*neverClosed) Close() error { return nil }

func plantOpen(s store.Store, _ func() time.Time) store.Store {
	return &neverClosed{wrapped{Store: s}}
}
