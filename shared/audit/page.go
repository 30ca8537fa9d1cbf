package audit

import (
	"context"
	"iter"
	"slices"
	"time"

	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// Bounds of one Read, whatever the query and the size of the log.
const (
	MaxScanned = 6000 // entries that are read
	MaxDays    = 402  // days of an organisation's log that are read: the default of their keeping
	lookAhead  = 100  // entries that are read behind a short page, to count a short log
	chunk      = 1001 // entries that are held at once
)

// Page is a part of a log, newest entry first.
type Page struct {
	Entries []Entry
	// Older and Newer report whether entries of the query lie, or may lie,
	// behind the page and before it.
	Older, Newer bool
	// Oldest and Newest are where the neighbouring pages begin, as Query.After.
	// Where a bound ended the reading, Oldest lies behind the last entry of the
	// page, and the page may be short.
	Oldest, Newest int64
	Total          int  // entries of the query; -1 = not counted
	TooDeep        bool // a bound was met before an entry behind Skip others
}

// Read returns one page of a log. It reads about as many entries as the page
// holds: with a filter, or an amount to skip, as many as that takes, up to
// MaxScanned entries and MaxDays days.
func Read(ctx context.Context, s store.Store, q Query) (Page, error) {
	w := &walk{store: s, q: q, page: Page{Entries: []Entry{}, Total: -1, Newer: q.Skip > 0}}
	ended, err := w.run(ctx)
	if err != nil {
		return Page{}, err
	}
	p := w.page
	if ended && q.After == 0 {
		p.Total = w.matched
	}
	p.TooDeep = !ended && q.Skip > 0 && w.matched <= q.Skip
	further := w.matched > q.Skip+len(p.Entries) || !ended
	if q.Newer {
		slices.Reverse(p.Entries)
		p.Older, p.Newer = true, further
	} else {
		p.Older, p.Newer = further, p.Newer || q.After != 0
	}
	p.Newest, p.Oldest = w.first, w.last
	if q.Newer {
		p.Newest, p.Oldest = w.last, w.first
	}
	return p, nameOwners(ctx, s, q.Org, p.Entries)
}

// nameOwners fills in the addresses of owners that the writer of an entry had
// no need to read. A user that is not there any more stays without one.
func nameOwners(ctx context.Context, s store.Store, org int64, entries []Entry) error {
	mails := map[int64]string{}
	var keys []store.Key
	for _, e := range entries {
		if _, seen := mails[e.OwnerID]; !seen && e.OwnerEmail == "" && e.OwnerID != 0 {
			mails[e.OwnerID] = ""
			keys = append(keys, identity.UserKey(org, e.OwnerID))
		}
	}
	for some := range slices.Chunk(keys, store.MaxKeysPerGet) {
		items, err := s.Get(ctx, some...)
		if err != nil {
			return err
		}
		for _, item := range items {
			if !item.Found() {
				continue
			}
			u, err := identity.DecodeUser(item)
			if err != nil {
				return err
			}
			mails[u.ID] = u.Email
		}
	}
	for i, e := range entries {
		if e.OwnerEmail == "" {
			entries[i].OwnerEmail = mails[e.OwnerID]
		}
	}
	return nil
}

// walk reads a log in one direction until the page is full.
type walk struct {
	store         store.Store
	q             Query
	page          Page
	scanned, days int
	matched       int   // entries that the filter admits, skipped ones included
	first, last   int64 // ids of the page's first entry read and of where its reading ended
}

// full reports that the page is full and that an entry follows it.
func (w *walk) full() bool { return w.matched > w.q.Skip+w.q.Limit }

// run reports whether it read up to the end of the span.
func (w *walk) run(ctx context.Context) (ended bool, err error) {
	for r := range w.q.ranges() {
		if w.q.Credential == 0 {
			w.days++
		}
		if w.full() || w.scanned >= MaxScanned || w.days > MaxDays {
			w.stop(r)
			return false, nil
		}
		if ended, err = w.partition(ctx, r); err != nil || !ended {
			return false, err
		}
	}
	return true, nil
}

// stop moves the place where the next page begins to just before a range that
// is not read any more.
func (w *walk) stop(r idRange) {
	if len(w.page.Entries) == w.q.Limit {
		return
	}
	w.last = r.high + 1
	if w.q.Newer {
		w.last = r.low - 1
	}
}

// partition reads one range until the page is full, and reports whether it read
// all of it.
func (w *walk) partition(ctx context.Context, r idRange) (bool, error) {
	ask := store.Range{
		Table: store.Audit, Partition: r.partition, From: sortKey(r.low), To: sortKey(r.high), Descending: !w.q.Newer,
	}
	for {
		wanted := w.q.Skip + w.q.Limit - w.matched
		ask.Limit = min(max(wanted, lookAhead)+1, chunk, MaxScanned-w.scanned)
		page, err := w.store.Range(ctx, ask)
		if err != nil {
			return false, err
		}
		for _, item := range page.Items {
			if err := w.take(item); err != nil {
				return false, err
			}
		}
		if !page.More {
			return true, nil
		}
		if w.full() || w.scanned >= MaxScanned {
			return false, nil
		}
		ask.After = page.Items[len(page.Items)-1].Key.Sort
	}
}

// take puts an entry on the page if it belongs there.
func (w *walk) take(item store.Item) error {
	w.scanned++
	open := len(w.page.Entries) < w.q.Limit
	var e Entry
	if err := e.place(item.Key); err != nil {
		return err
	}
	if open {
		w.last = e.ID
	}
	if !w.q.event(Event(item.Attributes.Text("event"))) {
		return nil
	}
	onPage := open && w.matched >= w.q.Skip
	if onPage || w.q.byFields() {
		var err error
		if e, err = Decode(item); err != nil {
			return err
		}
		if !w.q.fields(e) {
			return nil
		}
	}
	if onPage {
		if len(w.page.Entries) == 0 {
			w.first = e.ID
		}
		w.page.Entries = append(w.page.Entries, e)
	}
	w.matched++
	return nil
}

// idRange is the part of one partition that a query covers.
type idRange struct {
	partition string
	low, high int64
}

// ranges yields the partitions of a query in the order of its reading: the one
// of a credential, or one a day of an organisation's log.
func (q Query) ranges() iter.Seq[idRange] {
	low, high := q.span()
	return func(yield func(idRange) bool) {
		if low > high {
			return
		}
		if q.Credential != 0 {
			yield(idRange{credentialPartition(q.Org, q.Credential), low, high})
			return
		}
		day, step := id.Time(high).Truncate(24*time.Hour), -1
		if q.Newer {
			day, step = id.Time(low).Truncate(24*time.Hour), 1
		}
		for ; ; day = day.AddDate(0, 0, step) {
			r := idRange{dayPartition(q.Org, day), max(low, id.First(day)), min(high, id.First(day.AddDate(0, 0, 1))-1)}
			if r.low > r.high || !yield(r) {
				return
			}
		}
	}
}
