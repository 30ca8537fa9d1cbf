package credential_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/credential"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

// chosen is what a Query asks which rows are wanted.
type chosen = func(total int, compare func(int, credential.Mark) int) (from, to int, err error)

func whole(total int, _ func(int, credential.Mark) int) (int, int, error) { return 0, total, nil }

func (w *world) list(who identity.Caller, q credential.Query) ([]credential.View, int) {
	w.Helper()
	if q.Window == nil {
		q.Window = whole
	}
	if q.Order == "" {
		q.Order = credential.ByCreation
	}
	views, total, err := w.service.List(context.Background(), who, q)
	w.must(err)
	return views, total
}

func listed(views []credential.View) []int64 {
	ids := make([]int64, len(views))
	for n, v := range views {
		ids[n] = v.ID
	}
	return ids
}

func window(page, size int) chosen {
	return func(total int, _ func(int, credential.Mark) int) (int, int, error) {
		return min((page-1)*size, total), min(page*size, total), nil
	}
}

func TestListPagesOverManyCredentials(t *testing.T) {
	w := newWorld(t)
	var ids []int64
	for n := range 250 {
		who := w.owner
		if n%2 == 1 {
			who = w.heir
		}
		ids = append(ids, w.create(who).ID)
	}
	newest := slices.Clone(ids)
	slices.Reverse(newest)
	all := credential.Filter{Least: access.Collaborator}
	for _, row := range []struct {
		name      string
		ascending bool
		page      int
		size      int
		want      []int64
	}{
		{"first", false, 1, 100, newest[:100]},
		{"third", false, 3, 100, newest[200:]},
		{"past the end", false, 4, 100, []int64{}},
		{"oldest first", true, 2, 7, ids[7:14]},
		{"all", false, 1, 1000, newest},
	} {
		w.store.Reset()
		views, total := w.list(w.admin, credential.Query{Filter: all, Ascending: row.ascending, Window: window(row.page, row.size)})
		if got := listed(views); total != 250 || !slices.Equal(got, row.want) {
			t.Errorf("%s: %d of %d, want %d", row.name, len(got), total, len(row.want))
		}
		// One range, then the page and its owners side by side.
		if c := w.store.Calls(); c.Ranges != 1 || c.Gets > (row.size+2+99)/100 || c.Commits != 0 {
			t.Errorf("%s: %+v", row.name, c)
		}
		for _, v := range views {
			if v.Role != access.Admin || v.Owner.Email == "" || v.Owner.ID != v.Credential.Owner {
				t.Fatalf("%s: role %v, owner %+v", row.name, v.Role, v.Owner)
			}
		}
	}
	if views, total := w.list(w.owner, credential.Query{Window: window(1, 10)}); total != 125 || len(views) != 10 || views[0].Role != access.Owner {
		t.Errorf("the owner lists %d of %d", len(views), total)
	}
	failed := errors.New("too many")
	if _, _, err := w.service.List(context.Background(), w.owner, credential.Query{
		Order: credential.ByName, Window: func(int, func(int, credential.Mark) int) (int, int, error) { return 0, 0, failed },
	}); !errors.Is(err, failed) {
		t.Errorf("the window's error: %v", err)
	}
}

func TestListFiltersAndSorts(t *testing.T) {
	w := newWorld(t)
	make := func(who identity.Caller, name string, tags ...string) int64 {
		d := w.draft()
		d.Name, d.Tags = &name, &tags
		return w.createFrom(who, d).ID
	}
	bravo, alpha, charlie := make(w.owner, "bravo", "x"), make(w.owner, "Alpha", "x", "y"), make(w.owner, "charlie")
	foreign := make(w.heir, "delta", "y")
	mine := make(w.admin, "Echo")
	w.probeAs(bravo, probe.CodeOK)
	w.probeAs(alpha, probe.CodeAuthRejected)
	w.probeAs(charlie, probe.CodeTCPTimeout)
	bucket, err := w.update(w.owner, charlie, credential.Draft{Type: ptr("s3"), Credentials: s3("k")})
	w.must(err)
	w.clock.advance(1e9)
	if _, err := w.update(w.owner, bravo, credential.Draft{Format: ptr("2")}); err != nil {
		t.Fatal(err)
	}
	w.probeAs(bucket.ID, probe.CodeTCPTimeout)
	for _, row := range []struct {
		name string
		who  identity.Caller
		q    credential.Query
		want []int64
	}{
		{"the owner's", w.owner, credential.Query{}, []int64{charlie, alpha, bravo}},
		{"a member's", w.member, credential.Query{Filter: credential.Filter{Least: access.Collaborator}}, []int64{}},
		{"an admin's own", w.admin, credential.Query{}, []int64{mine}},
		{"an admin's own, said", w.admin, credential.Query{Filter: credential.Filter{Least: access.Owner}}, []int64{mine}},
		{"an admin's", w.admin, credential.Query{Filter: credential.Filter{Least: access.Admin}}, []int64{mine, foreign, charlie, alpha, bravo}},
		{"as operator", w.admin, credential.Query{Filter: credential.Filter{Least: access.Operator}}, []int64{mine, foreign, charlie, alpha, bravo}},
		{"another organisation's", w.strangersAdmin, credential.Query{Filter: credential.Filter{Least: access.Collaborator}}, []int64{}},
		{"by id", w.owner, credential.Query{Order: credential.ByID, Ascending: true}, []int64{bravo, alpha, charlie}},
		{"by name", w.owner, credential.Query{Order: credential.ByName, Ascending: true}, []int64{alpha, bravo, charlie}},
		{"by name, last first", w.owner, credential.Query{Order: credential.ByName}, []int64{charlie, bravo, alpha}},
		{"by update", w.owner, credential.Query{Order: credential.ByUpdate, Ascending: true}, []int64{alpha, charlie, bravo}},
		{"by update, last first", w.owner, credential.Query{Order: credential.ByUpdate}, []int64{bravo, charlie, alpha}},
		{"of a type", w.owner, credential.Query{Filter: credential.Filter{Type: "s3"}}, []int64{charlie}},
		{"of a name", w.owner, credential.Query{Filter: credential.Filter{Name: "ALPHA"}}, []int64{alpha}},
		{"of part of a name", w.owner, credential.Query{Filter: credential.Filter{Name: "HA"}}, []int64{charlie, alpha}},
		{"of ids", w.owner, credential.Query{Filter: credential.Filter{IDs: []int64{alpha, foreign, 5}}}, []int64{alpha}},
		{"of ids and a tag", w.admin, credential.Query{Filter: credential.Filter{Least: access.Admin, IDs: []int64{alpha, foreign}, Tags: []string{"x"}}}, []int64{alpha}},
		{"none", w.owner, credential.Query{Filter: credential.Filter{None: true}}, []int64{}},
		{"verified", w.owner, credential.Query{Filter: credential.Filter{Status: "verified"}}, []int64{bravo}},
		{"of a status", w.owner, credential.Query{Filter: credential.Filter{Status: "200 ok"}}, []int64{bravo}},
		{"failed", w.owner, credential.Query{Filter: credential.Filter{Status: "FAILED"}}, []int64{alpha}},
		{"unverified", w.owner, credential.Query{Filter: credential.Filter{Status: "UNVERIFIED"}}, []int64{charlie}},
		{"active", w.owner, credential.Query{Filter: credential.Filter{Status: "ACTIVE"}}, []int64{charlie, alpha, bravo}},
		{"of no status", w.owner, credential.Query{Filter: credential.Filter{Status: "PAUSED"}}, []int64{}},
		{"valid", w.owner, credential.Query{Filter: credential.Filter{Validity: credential.ValidityValid}}, []int64{bravo}},
		{"invalid", w.owner, credential.Query{Filter: credential.Filter{Validity: credential.ValidityInvalid}}, []int64{alpha}},
		{"unknown", w.owner, credential.Query{Filter: credential.Filter{Validity: credential.ValidityUnknown}}, []int64{charlie}},
		{"untested", w.admin, credential.Query{Filter: credential.Filter{Least: access.Admin, Validity: credential.Untested}}, []int64{mine, foreign}},
		{"tagged", w.owner, credential.Query{Filter: credential.Filter{Tags: []string{"x"}}}, []int64{alpha, bravo}},
		{"tagged twice", w.admin, credential.Query{Filter: credential.Filter{Least: access.Admin, Tags: []string{"y", "x"}}}, []int64{alpha}},
		{"a filter's second page", w.owner, credential.Query{Filter: credential.Filter{Tags: []string{"x"}}, Window: window(2, 1)}, []int64{bravo}},
	} {
		t.Run(row.name, func(t *testing.T) {
			views, total := w.list(row.who, row.q)
			if got := listed(views); !slices.Equal(got, row.want) || row.q.Window == nil && total != len(row.want) {
				t.Errorf("got %v of %d, want %v", got, total, row.want)
			}
		})
	}
}

// TestMarksKeepTheirPlace walks a list by marks, in each order and direction,
// while credentials are made, changed and destroyed: each one that stays, and
// keeps the value that the list is sorted by, is seen exactly once.
func TestMarksKeepTheirPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var w *world
	create := func() int64 {
		w.clock.advance(1e6)
		d := w.draft()
		d.Name, d.Tags = ptr(string(rune('A'+r.IntN(3)))+string(rune('a'+r.IntN(2)))), &[]string{"x"}
		return w.createFrom(w.owner, d).ID
	}
	for _, order := range []credential.Order{credential.ByCreation, credential.ByID, credential.ByName, credential.ByUpdate} {
		for n, f := range []credential.Filter{{}, {}, {Tags: []string{"x"}}, {Name: "a"}} {
			var all []int64
			w = newWorld(t)
			for range 12 {
				all = append(all, create())
			}
			seen, moved := map[int64]int{}, map[int64]bool{}
			q := credential.Query{Filter: f, Order: order, Ascending: n%2 == 0}
			for after := new(credential.Mark); after != nil; {
				var views []credential.View
				views, after = w.behind(q, *after, 3)
				for _, v := range views {
					seen[v.ID]++
				}
				create()
				gone := all[r.IntN(len(all))]
				moved[gone] = true
				if r.IntN(2) == 0 {
					w.clock.advance(1e6)
					_, _ = w.update(w.owner, gone, credential.Draft{Name: ptr("zz")}) // may be gone already
				} else {
					_ = w.delete(w.owner, gone)
				}
			}
			for _, id := range all {
				matches := f.Name == "" || seen[id] > 0 // of the names, only some hold the part
				if n := seen[id]; !moved[id] && (n > 1 || n == 0 && matches) {
					t.Errorf("%s %+v: credential %d stayed and was seen %d times", order, f, id, n)
				}
			}
		}
	}
}

// behind lists a page behind a mark, and the mark of its last row; nil after the
// last page.
func (w *world) behind(q credential.Query, m credential.Mark, size int) ([]credential.View, *credential.Mark) {
	more := false
	q.Window = func(total int, compare func(int, credential.Mark) int) (int, int, error) {
		from := 0
		if m != (credential.Mark{}) {
			from = sort.Search(total, func(i int) bool { return compare(i, m) > 0 })
		}
		more = from+size < total
		return from, min(from+size, total), nil
	}
	views, _ := w.list(w.owner, q)
	if !more {
		return views, nil
	}
	last := views[len(views)-1]
	return views, &credential.Mark{Text: last.Name, Number: last.UpdatedAt.UnixMilli(), ID: last.ID}
}

func TestListLeavesOutWhatWentMeanwhile(t *testing.T) {
	w := newWorld(t)
	kept, gone, given := w.create(w.owner).ID, w.create(w.owner).ID, w.create(w.owner).ID
	w.store.Plan(2, storetest.Afterwards, func() {
		w.must(w.delete(w.owner, gone))
		_, err := w.update(w.owner, given, credential.Draft{Owner: &w.heir.User.ID})
		w.must(err)
	})
	views, total := w.list(w.owner, credential.Query{})
	if got := listed(views); !slices.Equal(got, []int64{kept}) || total != 3 {
		t.Errorf("got %v of %d", got, total)
	}
	for nth := 1; nth <= 2; nth++ {
		w.store.Plan(nth, storetest.Away, nil)
		if _, _, err := w.service.List(context.Background(), w.owner, credential.Query{Order: credential.ByName, Window: whole}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("read %d fails: %v", nth, err)
		}
	}
}

// An index row grants nothing: one that was planted shows nothing.
func TestIndexRowsGrantNothing(t *testing.T) {
	w := newWorld(t)
	v := w.create(w.owner)
	planted := store.Item{
		Key: store.Key{
			Table: store.Meta, Partition: fmt.Sprintf("ORG#%d#U#%d", v.Org.ID, w.member.User.ID), Sort: fmt.Sprintf("CRED#%016d", v.ID),
		},
		Attributes: store.Attributes{"role": "owner"},
	}
	w.must(w.store.Store.Commit(context.Background(), store.Write{Verb: store.Put, Item: planted, If: store.Absent()}))
	if views, _ := w.list(w.member, credential.Query{}); len(views) != 0 {
		t.Error("it is listed")
	}
}

// TestUnused: a credential is unused for a time if it exists since before that time and
// nobody has read its secret in it.
func TestUnused(t *testing.T) {
	w := newWorld(t)
	read, unread := w.create(w.owner), w.create(w.owner)
	deleted := w.create(w.owner)
	for _, id := range []int64{read.ID, deleted.ID} {
		_, err := w.reveal(w.owner, id, 0)
		w.must(err)
	}
	w.must(w.delete(w.owner, deleted.ID))
	w.clock.advance(40 * 24 * time.Hour)
	fresh := w.create(w.owner)
	unused := func(days int) []int64 {
		since := w.clock.peek().AddDate(0, 0, -days)
		views, total := w.list(w.owner, credential.Query{Filter: credential.Filter{UnusedSince: since}, Ascending: true})
		if total != len(views) {
			t.Errorf("a total of %d for %d", total, len(views))
		}
		return listed(views)
	}
	if got := unused(30); !slices.Equal(got, []int64{read.ID, unread.ID}) {
		t.Errorf("for 30 days: %v, want %v", got, []int64{read.ID, unread.ID})
	}
	if got := unused(60); len(got) != 0 {
		t.Errorf("for 60 days: %v, want none, since none is as old", got)
	}
	_, err := w.reveal(w.owner, read.ID, 0)
	w.must(err)
	if got := unused(30); !slices.Equal(got, []int64{unread.ID}) {
		t.Errorf("for 30 days, after a read: %v, want %v without %d", got, unread.ID, fresh.ID)
	}
}
