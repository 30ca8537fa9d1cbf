package storetest

import (
	"fmt"
	"slices"
	"time"

	"credence/shared/store"
)

var itemCases = []testCase{
	{"every attribute comes back as it was", testRoundTrip},
	{"tables are apart", testTables},
	{"sort keys order as bytes", testByteOrder},
	{"get answers in the order asked, equal keys too", testGetOrder},
	{"put replaces whole, delete is final", testReplace},
	{"an item expires to the second", testExpiry},
	{"what is read is the caller's", testReadIsOwned},
	{"what is written is copied", testWriteIsCopied},
	{"a read sees every commit before it", testReadYourWrites},
}

const biggest = int64(1)<<53 - 1

func testRoundTrip(e *env) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	tests := map[string]store.Attributes{
		"none":            {},
		"empty string":    {"a": ""},
		"empty bytes":     {"a": []byte{}},
		"nil bytes":       {"a": []byte(nil)},
		"string":          {"a": "Zürich 🜚 \u0000 \" \\ \n"},
		"number as text":  {"a": "1", "b": int64(1)},
		"zero":            {"a": int64(0)},
		"minus one":       {"a": int64(-1)},
		"round number":    {"a": int64(9_007_199_254_740_000)},
		"greatest number": {"a": biggest},
		"least number":    {"a": -biggest},
		"true":            {"a": true},
		"false":           {"a": false},
		"every byte":      {"a": all},
		"not UTF-8":       {"a": []byte{0xff, 0xfe, 0xc0, 0x80}},
		"odd names":       {"a b": "1", "#n": "2", ":v": "3", "a.b[0]": "4", "size": "5", "ключ": "6", "PK": "7"},
		"all at once":     {"s": "x", "e": "", "n": int64(-42), "t": true, "f": false, "b": []byte{0}, "z": []byte{}},
	}
	for name, a := range tests {
		for _, expires := range []time.Time{{}, epoch.Add(time.Hour)} {
			it := e.item("round trip of "+name, a)
			it.Expires = expires
			e.mustPut(it)
			e.wantItem(it)
			p := e.mustRange(store.Range{Table: store.Meta, Partition: e.partition, From: it.Key.Sort, To: it.Key.Sort})
			if len(p.Items) != 1 {
				e.Fatalf("%s: range gives %d items, want 1", name, len(p.Items))
			}
			if diff := differ(p.Items[0], it); diff != "" {
				e.Errorf("%s: range gives %s", name, diff)
			}
		}
	}
}

func testTables(e *env) {
	tables := []store.Table{store.Meta, store.Vault, store.Audit}
	var items []store.Item
	for _, table := range tables {
		items = append(items, store.Item{
			Key:        store.Key{Table: table, Partition: e.partition, Sort: "same"},
			Attributes: store.Attributes{"table": string(table)},
		})
	}
	e.mustPut(items...)
	for _, it := range items {
		e.wantItem(it)
		p := e.mustRange(store.Range{Table: it.Key.Table, Partition: e.partition})
		if len(p.Items) != 1 || differ(p.Items[0], it) != "" {
			e.Errorf("range of %s: %d items or another table's", it.Key.Table, len(p.Items))
		}
	}
	e.mustCommit(remove(items[0].Key, store.Always()))
	e.wantAbsent(items[0].Key)
	e.wantItem(items[1])
}

func testByteOrder(e *env) {
	// UTF-16 order would put U+10000 before U+FF61, a collation a beside A, and
	// an escape of 0x00 or a joined key would misplace the first ones.
	sorts := []string{"\x00", "\x00\x00", "\x00\x01", "\x01", "\x01\x00", "#", "A", "A\x00", "A\x01", "A#", "AA", "Z", "a", "a\x7f", "é", "｡", "\U00010000"}
	if !slices.IsSorted(sorts) {
		e.Fatal("the wanted order is no byte order")
	}
	for i := range sorts {
		e.mustPut(e.item(sorts[(i*7)%len(sorts)], nil))
	}
	// Neighbours whose joined keys could fall between.
	for _, p := range []string{e.partition + "\x00", e.partition + "A", e.partition + "#", e.partition[:len(e.partition)-1]} {
		e.mustPut(store.Item{Key: store.Key{Table: store.Meta, Partition: p, Sort: "A"}})
	}
	p := e.mustRange(store.Range{Table: store.Meta, Partition: e.partition})
	wantSorts(e, p.Items, sorts)
	p = e.mustRange(store.Range{Table: store.Meta, Partition: e.partition, Descending: true})
	back := slices.Clone(sorts)
	slices.Reverse(back)
	wantSorts(e, p.Items, back)
}

func wantSorts(e *env, items []store.Item, want []string) {
	e.Helper()
	got := make([]string, len(items))
	for i, it := range items {
		got[i] = it.Key.Sort
		if it.Key.Partition != e.partition || it.Key.Table != store.Meta {
			e.Errorf("item %d of another partition", i)
		}
	}
	if !slices.Equal(got, want) {
		e.Errorf("sort keys %q, want %q", got, want)
	}
}

func testGetOrder(e *env) {
	a, b := e.item("a", store.Attributes{"n": int64(1)}), e.item("b", store.Attributes{"n": int64(2)})
	e.mustPut(a, b)
	none := e.key("none")
	keys := []store.Key{b.Key, none, a.Key, b.Key, none, a.Key, b.Key}
	for i, got := range e.mustGet(keys...) {
		want := map[store.Key]store.Item{a.Key: a, b.Key: b}[keys[i]]
		if diff := differ(got, want); diff != "" {
			e.Errorf("answer %d: %s", i, diff)
		}
	}
	// The copies for equal keys are apart, like those of two calls.
	items := e.mustGet(a.Key, a.Key)
	items[0].Attributes["n"] = int64(9)
	if items[1].Attributes["n"] != int64(1) {
		e.Error("equal keys share one map")
	}
	if got, err := e.get(); err != nil || len(got) != 0 {
		e.Errorf("get of no keys: %d items, %v", len(got), err)
	}
}

func testReplace(e *env) {
	e.mustPut(e.item("k", store.Attributes{"old": "x", "both": "x"}))
	it := e.item("k", store.Attributes{"both": "y", "new": int64(1)})
	e.mustPut(it)
	e.wantItem(it)
	e.mustCommit(remove(it.Key, store.Always()))
	e.wantAbsent(it.Key)
	e.mustCommit(remove(it.Key, store.Always())) // nothing there: still done
	// Attributes of a Delete are not looked at.
	w := remove(it.Key, store.Always())
	w.Item.Attributes = store.Attributes{"a": struct{}{}}
	e.mustCommit(w)
	e.wantAbsent(it.Key)
}

func testExpiry(e *env) {
	it := e.item("k", store.Attributes{"n": int64(1)})
	it.Expires = epoch.Add(10*time.Second + 900*time.Millisecond)
	e.mustPut(it)
	it.Expires = epoch.Add(10 * time.Second) // kept to the second
	e.clock.set(epoch.Add(9*time.Second + 999*time.Millisecond))
	e.wantItem(it)
	e.clock.set(epoch.Add(10 * time.Second))
	e.wantAbsent(it.Key)
	if p := e.mustRange(store.Range{Table: store.Meta, Partition: e.partition}); len(p.Items) != 0 || p.More {
		e.Errorf("range gives %d expired items, more %v", len(p.Items), p.More)
	}
	// Put again without an end, it stays.
	it.Expires = time.Time{}
	e.mustPut(it)
	e.clock.set(epoch.Add(time.Hour))
	e.wantItem(it)
}

// keptItem is made anew each time, so that a store which shares memory with its
// caller cannot spoil what is wanted along with what is stored.
func keptItem(e *env) store.Item {
	return e.item("k", store.Attributes{"b": []byte("kept"), "s": "kept"})
}

func spoil(i store.Item) {
	copy(i.Attributes.Bytes("b"), "XXXX")
	i.Attributes["s"] = "X"
	delete(i.Attributes, "b")
}

func testReadIsOwned(e *env) {
	e.mustPut(keptItem(e))
	k := e.key("k")
	for range 3 {
		spoil(e.mustGet(k)[0])
		e.wantItem(keptItem(e))
		spoil(e.mustRange(store.Range{Table: store.Meta, Partition: e.partition}).Items[0])
		e.wantItem(keptItem(e))
	}
}

func testWriteIsCopied(e *env) {
	given := keptItem(e)
	e.mustPut(given)
	spoil(given)
	e.wantItem(keptItem(e))
}

func testReadYourWrites(e *env) {
	k := e.key("k")
	for n := int64(1); n <= 50; n++ {
		e.mustPut(store.Item{Key: k, Attributes: store.Attributes{"n": n}})
		if got := e.mustGet(k)[0].Attributes.Int("n"); got != n {
			e.Fatalf("get gives %d after %d was committed", got, n)
		}
		p := e.mustRange(store.Range{Table: store.Meta, Partition: e.partition})
		if len(p.Items) != 1 || p.Items[0].Attributes.Int("n") != n {
			e.Fatalf("range does not give %d after it was committed", n)
		}
	}
	for n := range 20 {
		k := e.key(fmt.Sprintf("gone %d", n))
		e.mustPut(store.Item{Key: k})
		e.mustCommit(remove(k, store.Present()))
		e.wantAbsent(k)
	}
}
