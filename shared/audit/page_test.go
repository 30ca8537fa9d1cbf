package audit_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/identity"
	"credence/shared/store"
)

// counted counts the items and the calls of ranges.
type counted struct {
	store.Store
	items, calls, most int
}

func (c *counted) Range(ctx context.Context, r store.Range) (store.Page, error) {
	p, err := c.Store.Range(ctx, r)
	c.calls++
	c.items += len(p.Items)
	c.most = max(c.most, len(p.Items))
	return p, err
}

// filled stores a log of n entries and returns their ids, oldest first. Each
// tenth is an update of the name, the others are probes.
func filled(tb testing.TB, s store.Store, n int) []int64 {
	tb.Helper()
	var ids []int64
	var writes []store.Write
	for i := range n {
		e := entry(0, audit.Probed)
		e.ID, e.At, e.Changes, e.Summary = int64(i+1)<<20, start, nil, []string{"valid: OK"}
		if i%10 == 0 {
			e.Event, e.Changes = audit.Updated, map[string]audit.Change{"name": {"a", "b"}}
		}
		w, err := audit.Observation(e)
		if err != nil {
			tb.Fatal(err)
		}
		ids, writes = append(ids, e.ID), append(writes, w)
		if len(writes) == store.MaxWritesPerCommit || i == n-1 {
			if err := s.Commit(tb.Context(), writes...); err != nil {
				tb.Fatal(err)
			}
			writes = nil
		}
	}
	return ids
}

func read(tb testing.TB, s store.Store, q audit.Query) audit.Page {
	tb.Helper()
	q.Org = 101
	p, err := audit.Read(tb.Context(), s, q)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func idsOf(p audit.Page) []int64 {
	var ids []int64
	for _, e := range p.Entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestAPageReadsAPage(t *testing.T) {
	c := &counted{Store: open(t)}
	ids := filled(t, c.Store, 7000)
	slices.Reverse(ids)
	updates := audit.Filter{Events: []audit.Event{audit.Updated}}
	for name, row := range map[string]struct {
		q     audit.Query
		want  []int64
		items int // at most
		deep  bool
	}{
		"the first page":                   {audit.Query{Limit: 10}, ids[:10], 101, false},
		"a page of a thousand":             {audit.Query{Limit: 1000}, ids[:1000], 1001, false},
		"behind a cursor":                  {audit.Query{Limit: 10, After: ids[6000]}, ids[6001:6011], 101, false},
		"before a cursor":                  {audit.Query{Limit: 10, After: ids[6000], Newer: true}, ids[5990:6000], 101, false},
		"the third page":                   {audit.Query{Limit: 10, Skip: 20}, ids[20:30], 101, false},
		"the page of the five thousandth":  {audit.Query{Limit: 100, Skip: 4900}, ids[4900:5000], 5101, false},
		"a page too deep":                  {audit.Query{Limit: 10, Skip: 6500}, nil, audit.MaxScanned, true},
		"with a filter that fits at times": {audit.Query{Limit: 3, Filter: updates}, []int64{ids[9], ids[19], ids[29]}, 101, false},
		"with a filter that fits nothing": {
			audit.Query{Limit: 3, Filter: audit.Filter{Events: []audit.Event{audit.Revealed}}},
			nil, audit.MaxScanned, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.items, c.most = 0, 0
			row.q.Credential = 5008
			p := read(t, c, row.q)
			if !slices.Equal(idsOf(p), row.want) || p.TooDeep != row.deep || p.Total != -1 || !p.Older {
				t.Errorf("%d entries %v, too deep %v, total %d, older %v", len(p.Entries), idsOf(p), p.TooDeep, p.Total, p.Older)
			}
			if c.items > row.items || c.most > 1001 {
				t.Errorf("%d items read, %d at once, want at most %d", c.items, c.most, row.items)
			}
		})
	}
}

// TestFollowingCursors walks a log forth and back, while entries are added, and
// sees each entry that was there exactly once.
func TestFollowingCursors(t *testing.T) {
	s := open(t)
	ids := filled(t, s, 6500)
	slices.Reverse(ids)
	rare := audit.Filter{Changed: []string{"name"}}
	for name, row := range map[string]struct {
		limit int
		f     audit.Filter
		want  func(i int) bool
	}{
		"all":      {97, audit.Filter{}, func(int) bool { return true }},
		"filtered": {200, rare, func(i int) bool { return (len(ids)-1-i)%10 == 0 }},
		"none":     {10, audit.Filter{Events: []audit.Event{audit.Revealed}}, func(int) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			var want []int64
			for i, n := range ids {
				if row.want(i) {
					want = append(want, n)
				}
			}
			var forth, back []int64
			q := audit.Query{Credential: 5008, Limit: row.limit, Filter: row.f}
			for {
				p := read(t, s, q)
				forth = append(forth, idsOf(p)...)
				if !p.Older {
					break
				}
				q.After = p.Oldest
			}
			for q.After, q.Newer = 1, true; ; {
				p := read(t, s, q)
				back = append(slices.Clone(idsOf(p)), back...)
				if !p.Newer {
					break
				}
				q.After = p.Newest
			}
			if !slices.Equal(forth, want) || !slices.Equal(back, want) {
				t.Errorf("forth %d, back %d, want %d", len(forth), len(back), len(want))
			}
		})
	}
}

func TestTotals(t *testing.T) {
	s := open(t)
	filled(t, s, 50)
	for _, row := range []struct {
		q            audit.Query
		total        int
		older, newer bool
	}{
		{audit.Query{Limit: 10}, 50, true, false},
		{audit.Query{Limit: 50}, 50, false, false},
		{audit.Query{Limit: 10, Skip: 40}, 50, false, true},
		{audit.Query{Limit: 10, Skip: 60}, 50, false, true},
		{audit.Query{Limit: 10, Filter: audit.Filter{Events: []audit.Event{audit.Updated}}}, 5, false, false},
		{audit.Query{Limit: 10, Filter: audit.Filter{Without: []audit.Event{audit.Updated}}}, 45, true, false},
		{audit.Query{Limit: 10, Filter: audit.Filter{Changed: []string{"name", "x"}}}, 5, false, false},
		{audit.Query{Limit: 10, Filter: audit.Filter{Changed: []string{"config"}}}, 0, false, false},
		{audit.Query{Limit: 10, Filter: audit.Filter{Kept: []string{"name"}}}, 45, true, false},
	} {
		row.q.Credential = 5008
		if p := read(t, s, row.q); p.Total != row.total || p.Older != row.older || p.Newer != row.newer {
			t.Errorf("%+v: total %d, older %v, newer %v", row.q, p.Total, p.Older, p.Newer)
		}
	}
}

// A replaced secret is a change of "credentials", whose values no entry holds.
func TestAReplacedSecretIsAChange(t *testing.T) {
	s := open(t)
	e := entry(0, audit.Updated)
	e.Summary, e.Changes = []string{audit.SecretReplaced, "replaced password"}, nil
	if err := record(t, s, head(t, s), e, false); err != nil {
		t.Fatal(err)
	}
	if p := read(t, s, audit.Query{Credential: 5008, Limit: 1, Filter: audit.Filter{Changed: []string{"credentials"}}}); len(p.Entries) != 1 {
		t.Error("the entry is left out")
	}
}

// daily records one sign-in an hour, from start back through the hours.
func daily(t *testing.T, s store.Store, hours int) {
	t.Helper()
	for h := range hours {
		by := identity.Caller{User: identity.User{ID: 42, Email: "a@example.com"}, KeyID: 9, KeyName: "job"}
		w, err := audit.Journal{}.Write(identity.Occurrence{
			Org: 101, User: 42, Key: 9, KeyName: "job", Event: identity.EventSignIn, By: by, At: start.Add(-time.Duration(h) * time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, w.Item)
	}
}

func TestAnOrganisationsLogGoesThroughItsDays(t *testing.T) {
	c := &counted{Store: open(t)}
	daily(t, c.Store, 60)
	q := audit.Query{Limit: 7, From: start.AddDate(0, 0, -30), To: start.Add(time.Hour)}
	var seen []time.Time
	for {
		p := read(t, c, q)
		for _, e := range p.Entries {
			if e.Subject != (audit.Subject{Type: "ServiceKey", ID: 9, Name: "job"}) || e.KeyID != 9 || e.KeyName != "job" || e.UserID != 42 || e.Org != 101 {
				t.Fatalf("entry %+v", e)
			}
			seen = append(seen, e.At)
		}
		if !p.Older {
			break
		}
		q.After = p.Oldest
	}
	for h, at := range seen {
		if !at.Equal(start.Add(-time.Duration(h) * time.Hour)) {
			t.Fatalf("entry %d is of %v", h, at)
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d entries, want 60", len(seen))
	}
	c.calls = 0
	if read(t, c, audit.Query{Limit: 7, From: q.From, To: q.To}); c.calls > 2 {
		t.Errorf("the first page takes %d ranges", c.calls)
	}
}

// A span of years without entries is read in bounded steps.
func TestEmptyDaysAreBounded(t *testing.T) {
	c := &counted{Store: open(t)}
	daily(t, c.Store, 1)
	q := audit.Query{Limit: 5, To: start.AddDate(0, 0, 1000)}
	var got, steps int
	for {
		c.calls = 0
		p := read(t, c, q)
		got, steps = got+len(p.Entries), steps+1
		if c.calls > audit.MaxDays {
			t.Fatalf("%d ranges in one read", c.calls)
		}
		if !p.Older {
			break
		}
		if p.Total != -1 {
			t.Errorf("step %d counts %d entries of a span that was not read", steps, p.Total)
		}
		q.After = p.Oldest
	}
	if got != 1 || steps < 3 {
		t.Errorf("%d entries in %d steps", got, steps)
	}
}

// BenchmarkPage reads a page of ten from a log of 200,000 entries.
func BenchmarkPage(b *testing.B) {
	c := &counted{Store: open(b)}
	ids := filled(b, c.Store, 200_000)
	for name, q := range map[string]audit.Query{
		"newest": {Limit: 10}, "behind a cursor": {Limit: 10, After: ids[100_000]}, "of 1,000": {Limit: 1000},
	} {
		q.Credential = 5008
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c.items = 0
			for b.Loop() {
				if p := read(b, c, q); len(p.Entries) != q.Limit {
					b.Fatal(fmt.Sprint(len(p.Entries)))
				}
			}
			b.ReportMetric(float64(c.items)/float64(b.N), "items/op")
		})
	}
}
