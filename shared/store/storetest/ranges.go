package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"credence/shared/store"
)

var rangeCases = []testCase{
	{"every bound, direction and limit", testRangeTable},
	{"pages join without gap or repeat", testPaging},
	{"expired items count for nothing", testRangeExpired},
	{"pages beyond a megabyte", testRangeLarge},
	{"a megabyte of expired items ahead", testRangeManyExpired},
	{"an empty partition", testRangeEmpty},
	{"keys alone", testRangeKeys},
	{"a deleted item can be continued from", testRangeContinueDeleted},
}

// wantRange is the contract said with a sorted slice.
func wantRange(sorts []string, r store.Range) (want []string, more bool) {
	for _, s := range sorts {
		if (r.From == "" || s >= r.From) && (r.To == "" || s <= r.To) {
			want = append(want, s)
		}
	}
	if r.Descending {
		slices.Reverse(want)
	}
	want = slices.DeleteFunc(want, func(s string) bool {
		return r.After != "" && (!r.Descending && s <= r.After || r.Descending && s >= r.After)
	})
	if r.Limit > 0 && len(want) > r.Limit {
		return want[:r.Limit], true
	}
	return want, false
}

// testRangeKeys reads a range with keys only: the same keys as otherwise, without
// attributes, and without what has expired.
func testRangeKeys(e *env) {
	e.mustPut(e.item("a", store.Attributes{"s": "text", "n": int64(7), "b": []byte("bytes")}))
	e.mustPut(e.item("b", store.Attributes{}))
	passing := e.item("c", store.Attributes{"s": "gone"})
	passing.Expires = e.clock.now().Add(time.Hour)
	e.mustPut(passing)
	for _, expired := range []bool{false, true} {
		if expired {
			e.clock.set(e.clock.now().Add(2 * time.Hour))
		}
		whole := e.mustRange(store.Range{Table: store.Meta, Partition: e.partition})
		keys := e.mustRange(store.Range{Table: store.Meta, Partition: e.partition, KeysOnly: true})
		if len(keys.Items) != len(whole.Items) || keys.More != whole.More {
			e.Fatalf("%d keys, want %d", len(keys.Items), len(whole.Items))
		}
		for n, i := range keys.Items {
			if i.Key != whole.Items[n].Key || len(i.Attributes) > 0 || !i.Expires.IsZero() {
				e.Errorf("item %d is %+v, want only the key %v", n, i, whole.Items[n].Key)
			}
		}
	}
}

func testRangeTable(e *env) {
	sorts := []string{"b", "d", "d\x00", "f", "h"}
	for _, s := range sorts {
		e.mustPut(e.item(s, store.Attributes{"s": s}))
	}
	// Partitions on both sides, with sort keys that would fit.
	for _, p := range []string{e.partition + "!", e.partition[:len(e.partition)-1]} {
		for _, s := range sorts {
			e.mustPut(store.Item{Key: store.Key{Table: store.Meta, Partition: p, Sort: s}})
		}
	}
	ends := []string{"", "a", "b", "c", "d", "d\x00", "h", "i"}
	afters := []string{"", "a", "b", "c", "d", "h", "i"}
	for _, from := range ends {
		for _, to := range ends {
			for _, after := range afters {
				for _, limit := range []int{0, 1, 2, 5} {
					for _, descending := range []bool{false, true} {
						tryRange(e, sorts, store.Range{
							Table: store.Meta, Partition: e.partition, From: from, To: to,
							After: after, Limit: limit, Descending: descending,
						})
					}
				}
			}
		}
	}
}

func tryRange(e *env, sorts []string, r store.Range) {
	e.Helper()
	want, more := wantRange(sorts, r)
	p := e.mustRange(r)
	got := make([]string, 0, len(p.Items))
	for _, it := range p.Items {
		got = append(got, it.Key.Sort)
		if it.Attributes.Text("s") != it.Key.Sort {
			e.Errorf("from %q to %q: an item with another's attributes", r.From, r.To)
		}
	}
	if !slices.Equal(got, want) {
		e.Errorf("from %q to %q after %q limit %d descending %v: %q, want %q",
			r.From, r.To, r.After, r.Limit, r.Descending, got, want)
	}
	if more && !p.More {
		e.Errorf("from %q to %q after %q limit %d descending %v: no more, but something follows",
			r.From, r.To, r.After, r.Limit, r.Descending)
	}
}

// walk reads page after page until there is no more.
func walk(e *env, r store.Range) []string {
	e.Helper()
	var got []string
	for range 1000 {
		p := e.mustRange(r)
		for _, it := range p.Items {
			got = append(got, it.Key.Sort)
		}
		if !p.More {
			return got
		}
		r.After = p.Items[len(p.Items)-1].Key.Sort
	}
	e.Fatal("the range does not end")
	return nil
}

func testPaging(e *env) {
	var sorts []string
	var items []store.Item
	for i := range 57 {
		sorts = append(sorts, fmt.Sprintf("S#%04d", i*3))
		items = append(items, e.item(sorts[i], nil))
	}
	e.mustPut(items...)
	for _, limit := range []int{0, 1, 2, 7, 19, 56, 57, 58} {
		for _, descending := range []bool{false, true} {
			r := store.Range{Table: store.Meta, Partition: e.partition, Limit: limit, Descending: descending}
			want, _ := wantRange(sorts, store.Range{Descending: descending})
			if got := walk(e, r); !slices.Equal(got, want) {
				e.Errorf("limit %d descending %v: %d items, or out of order", limit, descending, len(got))
			}
			r.From, r.To = sorts[10], sorts[40]
			if got := walk(e, r); len(got) != 31 {
				e.Errorf("limit %d descending %v: %d items between bounds, want 31", limit, descending, len(got))
			}
		}
	}
}

func testRangeExpired(e *env) {
	var live []string
	var items []store.Item
	for i := range 40 {
		it := e.item(fmt.Sprintf("%02d", i), nil)
		switch i % 4 {
		case 3:
			live = append(live, it.Key.Sort)
			it.Expires = epoch.Add(time.Hour)
		case 2:
			it.Expires = epoch
		default:
			it.Expires = epoch.Add(-time.Hour)
		}
		items = append(items, it)
	}
	e.mustPut(items...)
	for _, limit := range []int{0, 1, 3, 9, 10, 11} {
		for _, descending := range []bool{false, true} {
			r := store.Range{Table: store.Meta, Partition: e.partition, Limit: limit, Descending: descending}
			want, _ := wantRange(live, r)
			if p := e.mustRange(r); len(p.Items) != len(want) {
				e.Errorf("limit %d descending %v: page of %d items, want %d", limit, descending, len(p.Items), len(want))
			}
			want, _ = wantRange(live, store.Range{Descending: descending})
			if got := walk(e, r); !slices.Equal(got, want) {
				e.Errorf("limit %d descending %v: %q, want %q", limit, descending, got, want)
			}
		}
	}
}

// large puts n items of 300 KB and returns their sort keys.
func large(e *env, prefix string, n int, expires time.Time) []string {
	e.Helper()
	sorts := make([]string, n)
	for i := range sorts {
		sorts[i] = fmt.Sprintf("%s%02d", prefix, i)
		it := e.item(sorts[i], store.Attributes{"b": bytes.Repeat([]byte{byte(i)}, 300<<10)})
		it.Expires = expires
		e.mustPut(it)
	}
	return sorts
}

func testRangeLarge(e *env) {
	sorts := large(e, "L", 12, time.Time{})
	for _, limit := range []int{0, 3, 5, 12} {
		for _, descending := range []bool{false, true} {
			r := store.Range{Table: store.Meta, Partition: e.partition, Limit: limit, Descending: descending}
			want, _ := wantRange(sorts, store.Range{Descending: descending})
			if got := walk(e, r); !slices.Equal(got, want) {
				e.Errorf("limit %d descending %v: %q, want %q", limit, descending, got, want)
			}
			want, _ = wantRange(sorts, r)
			if p := e.mustRange(r); len(p.Items) != len(want) {
				e.Errorf("limit %d descending %v: page of %d items, want %d", limit, descending, len(p.Items), len(want))
			}
		}
	}
	var keys []store.Key
	for _, s := range sorts {
		keys = append(keys, e.key(s))
	}
	for i, it := range e.mustGet(keys...) {
		b := it.Attributes.Bytes("b")
		if len(b) != 300<<10 || b[0] != byte(i) || b[len(b)-1] != byte(i) {
			e.Errorf("large item %d came back otherwise", i)
		}
	}
}

func testRangeManyExpired(e *env) {
	large(e, "M", 8, epoch.Add(-time.Second))
	e.mustPut(e.item("A", nil), e.item("Z", nil))
	for _, limit := range []int{0, 1, 2} {
		for _, descending := range []bool{false, true} {
			r := store.Range{Table: store.Meta, Partition: e.partition, Limit: limit, Descending: descending}
			want, _ := wantRange([]string{"A", "Z"}, store.Range{Descending: descending})
			if got := walk(e, r); !slices.Equal(got, want) {
				e.Errorf("limit %d descending %v: %q, want %q", limit, descending, got, want)
			}
		}
	}
}

func testRangeEmpty(e *env) {
	for _, limit := range []int{0, 1} {
		p := e.mustRange(store.Range{Table: store.Audit, Partition: e.partition, Limit: limit})
		if len(p.Items) != 0 || p.More {
			e.Errorf("limit %d: %d items, more %v", limit, len(p.Items), p.More)
		}
	}
}

func testRangeContinueDeleted(e *env) {
	for _, s := range []string{"a", "b", "c", "d"} {
		e.mustPut(e.item(s, nil))
	}
	r := store.Range{Table: store.Meta, Partition: e.partition, Limit: 2}
	p := e.mustRange(r)
	wantSorts(e, p.Items, []string{"a", "b"})
	e.mustCommit(remove(e.key("b"), store.Present()), put(e.item("bb", nil), store.Absent()))
	r.After = "b"
	wantSorts(e, e.mustRange(r).Items, []string{"bb", "c"})
}
