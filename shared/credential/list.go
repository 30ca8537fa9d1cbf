package credential

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"credence/shared/access"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// Order is what a list is sorted by.
type Order string

// The orders. Ids grow with time, so creation and id are one order.
const (
	ByCreation Order = "created_at"
	ByID       Order = "id"
	ByUpdate   Order = "updated_at"
	ByName     Order = "name"
)

// Filter narrows a list; zero fields do not.
type Filter struct {
	None     bool        // nothing matches
	Least    access.Role // the lowest role the caller must hold; None = Owner
	IDs      []int64     // one of these
	Type     string
	Name     string // a part of it, in any case
	Status   string // the verified status, in any case, or a word for several: see statusMatches
	Validity Validity
	Tags     []string // all of them
	// EndsBefore keeps what stops working, or has stopped, before that time: by
	// its secret's end or its certificate's.
	EndsBefore time.Time
	// UnusedSince keeps what exists since before that time and whose secret nobody has
	// read since then, to the day.
	UnusedSince time.Time
}

// Query asks for a list.
type Query struct {
	Filter    Filter
	Order     Order
	Ascending bool
	// Window returns which rows, [from, to), of so many are wanted; an error of it
	// is List's. Compare orders row i against a mark.
	Window func(total int, compare func(i int, m Mark) int) (from, to int, err error)
}

// Mark is the place of a row in a list. Text is the name of a list by name,
// Number the time of change, in milliseconds, of one by that.
type Mark struct {
	Text   string
	Number int64
	ID     int64
}

// against compares a row with a mark in the order of the list.
func (q Query) against(v View, m Mark) int {
	return q.compare(v, View{Credential: Credential{ID: m.ID, Name: m.Text, UpdatedAt: time.UnixMilli(m.Number)}})
}

// List returns a page of what the caller holds a role on, and how many there
// are without paging. A page sorted by creation costs two rounds, whatever the
// number of credentials; other orders and filters read every row.
func (s Service) List(ctx context.Context, who identity.Caller, q Query) ([]View, int, error) {
	if q.Filter.None {
		from, to, err := q.Window(0, nil)
		return make([]View, to-from), 0, err
	}
	rows, err := s.index(ctx, who, q.Filter.Least)
	if err != nil {
		return nil, 0, err
	}
	if rows, err = s.unused(ctx, who.Org.ID, rows, q.Filter.UnusedSince); err != nil {
		return nil, 0, err
	}
	if ids := q.Filter.IDs; ids != nil {
		rows = slices.DeleteFunc(rows, func(r indexed) bool { return !slices.Contains(ids, r.id) })
	}
	if q.Filter.ofIndex() && (q.Order == ByCreation || q.Order == ByID) {
		if !q.Ascending {
			slices.Reverse(rows)
		}
		from, to, err := q.Window(len(rows), func(i int, m Mark) int { return q.against(View{Credential: Credential{ID: rows[i].id}}, m) })
		if err != nil {
			return nil, 0, err
		}
		views, err := s.load(ctx, who, rows[from:to])
		return views, len(rows), err
	}
	views, err := s.load(ctx, who, rows)
	if err != nil {
		return nil, 0, err
	}
	views = slices.DeleteFunc(views, func(v View) bool { return !q.Filter.matches(v) })
	slices.SortStableFunc(views, q.compare)
	from, to, err := q.Window(len(views), func(i int, m Mark) int { return q.against(views[i], m) })
	if err != nil {
		return nil, 0, err
	}
	return views[from:to], len(views), nil
}

// ofIndex reports whether the index rows alone decide what matches.
func (f Filter) ofIndex() bool {
	return f.Type == "" && f.Name == "" && f.Status == "" && f.Validity == "" && len(f.Tags) == 0 && f.EndsBefore.IsZero()
}

func (f Filter) matches(v View) bool {
	for _, tag := range f.Tags {
		if !slices.Contains(v.Tags, tag) {
			return false
		}
	}
	if first := v.Ends.First(); !f.EndsBefore.IsZero() && (first.IsZero() || !first.Before(f.EndsBefore)) {
		return false
	}
	return (f.Type == "" || f.Type == v.Type) &&
		(f.Name == "" || strings.Contains(strings.ToLower(v.Name), strings.ToLower(f.Name))) &&
		(f.Status == "" || statusMatches(f.Status, v.Credential)) &&
		(f.Validity == "" || f.Validity == v.Validity)
}

// statusMatches compares a verified status with what released clients ask for:
// the words of their own enumeration (VERIFIED, FAILED, UNVERIFIED), ACTIVE, which
// every credential is, or the status itself.
func statusMatches(wanted string, c Credential) bool {
	switch strings.ToUpper(wanted) {
	case "ACTIVE":
		return true
	case "VERIFIED":
		return !c.VerifiedAt.IsZero()
	case "UNVERIFIED":
		return c.Status == ""
	case "FAILED":
		return c.Status != "" && c.VerifiedAt.IsZero()
	}
	return strings.EqualFold(wanted, c.Status)
}

func (q Query) compare(a, b View) int {
	var n int
	switch q.Order {
	case ByUpdate:
		n = a.UpdatedAt.Compare(b.UpdatedAt)
	case ByName:
		n = strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	}
	n = cmp.Or(n, cmp.Compare(a.ID, b.ID))
	if !q.Ascending {
		n = -n
	}
	return n
}

// indexed is one line of an index, in the order of creation. Its role is for the
// filter; the right to see the credential is read from the credential's own rows.
type indexed struct {
	id, owner int64
	role      access.Role
}

// index reads which credentials the caller holds at least a role on, in the order of
// creation: all of the organisation for its admins, else those that the caller owns or
// was granted, directly, through a team or with the whole organisation. A credential
// that is reached in several ways is listed once, with the highest role.
func (s Service) index(ctx context.Context, who identity.Caller, least access.Role) ([]indexed, error) {
	if least == access.None {
		least = access.Owner
	}
	org := who.Org.ID
	owned := store.Under(store.Meta, identity.UserPartition(org, who.User.ID), rowPrefix)
	owned.KeysOnly = true
	sources := []store.Range{owned}
	switch {
	case least == access.Owner:
	case who.User.Admin:
		sources = []store.Range{store.Under(store.Meta, orgIndexPartition(org), rowPrefix)}
	default:
		sources = append(sources, store.Under(store.Meta, owned.Partition, grantPrefix), store.Under(store.Meta, allPartition(org), rowPrefix))
		for _, team := range who.Teams {
			sources = append(sources, store.Under(store.Meta, identity.TeamPartition(org, team), rowPrefix))
		}
	}
	lists, err := s.ranges(ctx, sources)
	if err != nil {
		return nil, err
	}
	now := s.now()
	rows := make([]indexed, 0, len(lists[0]))
	for n, items := range lists {
		for _, item := range items {
			r, err := decodeIndex(item, sources[n].KeysOnly, who.User.ID)
			if err != nil {
				return nil, err
			}
			if expires := item.Attributes.Time("expires"); r.role >= least && (expires.IsZero() || now.Before(expires)) {
				rows = append(rows, r)
			}
		}
	}
	if len(lists) == 1 {
		return rows, nil
	}
	slices.SortFunc(rows, func(a, b indexed) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(b.role, a.role)) })
	return slices.CompactFunc(rows, func(a, b indexed) bool { return a.id == b.id }), nil
}

// decodeIndex reads an index row: of what the caller owns, else of what was granted or,
// without a role, of all credentials of the organisation, which only an admin lists.
func decodeIndex(item store.Item, owned bool, caller int64) (indexed, error) {
	_, number, _ := strings.Cut(item.Key.Sort, "#")
	id, ok := store.Numbered(number, "")
	if !ok {
		return indexed{}, errors.New("reading an index row: its key is malformed")
	}
	if owned {
		return indexed{id, caller, access.Owner}, nil
	}
	r := indexed{id: id, owner: item.Attributes.Int("owner"), role: access.Admin}
	if name := item.Attributes.Text("role"); name != "" {
		r.role, _ = access.ParseRole(name)
	}
	return r, nil
}

// ranges reads index rows, of some sources at once.
func (s Service) ranges(ctx context.Context, sources []store.Range) ([][]store.Item, error) {
	lists, errs := make([][]store.Item, len(sources)), make([]error, len(sources))
	slots := make(chan struct{}, indexReaders)
	var wg sync.WaitGroup
	for n, source := range sources {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			page, err := s.Store.Range(ctx, source)
			lists[n], errs[n] = page.Items, err
		})
	}
	wg.Wait()
	return lists, errors.Join(errs...)
}

// indexReaders bounds how many index partitions of one list are read at once.
const indexReaders = 8

// unused leaves out what is newer than since, or was read since then; zero leaves out
// nothing. It reads one small row for each credential of the organisation that was
// ever read.
func (s Service) unused(ctx context.Context, org int64, rows []indexed, since time.Time) ([]indexed, error) {
	if since.IsZero() {
		return rows, nil
	}
	page, err := s.Store.Range(ctx, store.Under(store.Meta, usedPartition(org), rowPrefix))
	if err != nil {
		return nil, err
	}
	read := map[int64]bool{}
	for _, item := range page.Items {
		if n, ok := rowID(item.Key.Sort); ok && item.Attributes.Text("day") >= since.UTC().Format(time.DateOnly) {
			read[n] = true
		}
	}
	return slices.DeleteFunc(rows, func(r indexed) bool { return read[r.id] || !id.Time(r.id).Before(since) }), nil
}

// load reads rows, the accessors of those that the caller neither owns nor administers,
// and their owners, in one round of parallel reads. A row that is gone by now, or on
// which the caller holds no role, is left out.
func (s Service) load(ctx context.Context, who identity.Caller, rows []indexed) ([]View, error) {
	keys := make([]store.Key, 0, 2*len(rows))
	for _, r := range rows {
		keys = append(keys, RowKey(who.Org.ID, r.id))
	}
	at := map[int64]int{} // where the accessors of a credential are
	owners := map[int64]int{who.User.ID: -1}
	for _, r := range rows {
		if r.owner != who.User.ID && !who.User.Admin {
			at[r.id] = len(keys)
			keys = append(keys, accessorsKey(who.Org.ID, r.id))
		}
		if _, seen := owners[r.owner]; !seen {
			owners[r.owner] = len(keys)
			keys = append(keys, identity.UserKey(who.Org.ID, r.owner))
		}
	}
	items, err := store.GetAll(ctx, s.Store, keys)
	if err != nil {
		return nil, err
	}
	views := make([]View, 0, len(rows))
	now := s.now()
	for i, r := range rows {
		c, found, err := decode(who.Org.ID, r.id, items[i])
		if n, shared := at[r.id]; err == nil && found && shared {
			err = c.takeAccessors(items[n])
		}
		if err != nil {
			return nil, err
		}
		held := role(who, c, now)
		if !found || held == access.None {
			continue
		}
		v := View{Credential: c, Role: held, Owner: who.User, Org: who.Org}
		if c.Owner != who.User.ID {
			var row store.Item
			if n, read := owners[c.Owner]; read {
				row = items[n]
			}
			if v.Owner, err = s.ownerFrom(c, row); err != nil {
				return nil, err
			}
		}
		views = append(views, v)
	}
	return views, nil
}

// Seen returns those of the credentials that the caller holds a role on, by id. It
// reads them in one round, and their owners in another.
func (s Service) Seen(ctx context.Context, who identity.Caller, ids []int64) (map[int64]View, error) {
	rows := make([]indexed, 0, len(ids))
	for _, id := range ids {
		rows = append(rows, indexed{id: id})
	}
	views, err := s.load(ctx, who, rows)
	if err != nil {
		return nil, err
	}
	seen, keys := make(map[int64]View, len(views)), make([]store.Key, len(views))
	for i, v := range views {
		keys[i] = identity.UserKey(who.Org.ID, v.Credential.Owner)
	}
	owners, err := store.GetAll(ctx, s.Store, keys)
	if err != nil {
		return nil, err
	}
	for i, v := range views {
		if v.Owner, err = s.ownerFrom(v.Credential, owners[i]); err != nil {
			return nil, err
		}
		seen[v.ID] = v
	}
	return seen, nil
}
