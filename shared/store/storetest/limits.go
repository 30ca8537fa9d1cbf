package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"credence/shared/store"
)

var limitCases = []testCase{
	{"keys of a get", testKeysPerGet},
	{"writes of a commit", testWritesPerCommit},
	{"length of keys", testKeyLength},
	{"size of an item", testItemSize},
	{"size of a commit", testCommitSize},
	{"what is no request at all", testInvalid},
}

func testKeysPerGet(e *env) {
	var items []store.Item
	var keys []store.Key
	for i := range store.MaxKeysPerGet + 1 {
		it := e.item(fmt.Sprintf("%03d", i), store.Attributes{"n": int64(i)})
		items = append(items, it)
		keys = append(keys, it.Key)
	}
	e.mustPut(items...)
	for i, it := range e.mustGet(keys[:store.MaxKeysPerGet]...) {
		if diff := differ(it, items[i]); diff != "" {
			e.Errorf("item %d: %s", i, diff)
		}
	}
	if _, err := e.get(keys...); !errors.Is(err, store.ErrTooLarge) {
		e.Errorf("get of %d keys: %v, want ErrTooLarge", len(keys), err)
	}
}

func testWritesPerCommit(e *env) {
	var writes []store.Write
	var keys []store.Key
	for i := range store.MaxWritesPerCommit + 1 {
		it := e.item(fmt.Sprintf("%03d", i), nil)
		writes = append(writes, put(it, store.Absent()))
		keys = append(keys, it.Key)
	}
	if err := e.commit(writes...); !errors.Is(err, store.ErrTooLarge) {
		e.Errorf("commit of %d writes: %v, want ErrTooLarge", len(writes), err)
	}
	e.wantAbsent(keys...)
	e.mustCommit(writes[:store.MaxWritesPerCommit]...)
	for i, it := range e.mustGet(keys[:store.MaxWritesPerCommit]...) {
		if !it.Found() {
			e.Errorf("item %d is missing", i)
		}
	}
	e.wantAbsent(keys[store.MaxWritesPerCommit])
}

func testKeyLength(e *env) {
	p := e.partition + strings.Repeat("p", store.MaxPartitionBytes-len(e.partition))
	s := strings.Repeat("s", store.MaxSortBytes)
	longest := store.Item{Key: store.Key{Table: store.Vault, Partition: p, Sort: s}, Attributes: store.Attributes{"a": "b"}}
	e.mustPut(longest)
	e.wantItem(longest)
	r := store.Range{Table: store.Vault, Partition: p, From: s, To: s}
	if got := e.mustRange(r); len(got.Items) != 1 {
		e.Errorf("range at the longest key: %d items, want 1", len(got.Items))
	}
	for _, k := range []store.Key{
		{Table: store.Vault, Partition: p + "p", Sort: s},
		{Table: store.Vault, Partition: p, Sort: s + "s"},
	} {
		if err := e.commit(put(store.Item{Key: k}, store.Always())); !errors.Is(err, store.ErrTooLarge) {
			e.Errorf("commit of an overlong key: %v, want ErrTooLarge", err)
		}
		if _, err := e.get(k); !errors.Is(err, store.ErrTooLarge) {
			e.Errorf("get of an overlong key: %v, want ErrTooLarge", err)
		}
	}
	for _, r := range []store.Range{
		{Table: store.Vault, Partition: p + "p"},
		{Table: store.Vault, Partition: p, From: s + "s"},
		{Table: store.Vault, Partition: p, To: s + "s"},
		{Table: store.Vault, Partition: p, After: s + "s"},
	} {
		if _, err := e.store.Range(e.Context(), r); !errors.Is(err, store.ErrTooLarge) {
			e.Errorf("range with an overlong key: %v, want ErrTooLarge", err)
		}
	}
}

// sized makes an item of exactly so many bytes.
func sized(e *env, sort string, n int) store.Item {
	it := e.item(sort, store.Attributes{"b": []byte{}})
	it.Attributes["b"] = make([]byte, n-store.ItemBytes(it))
	return it
}

func testItemSize(e *env) {
	whole := sized(e, "whole", store.MaxItemBytes)
	e.mustPut(whole)
	e.wantItem(whole)
	for _, neighbour := range []bool{false, true} {
		over := sized(e, "over", store.MaxItemBytes+1)
		writes := []store.Write{put(over, store.Always())}
		if neighbour {
			writes = append(writes, put(e.item("neighbour", nil), store.Always()))
		}
		if err := e.commit(writes...); !errors.Is(err, store.ErrTooLarge) {
			e.Errorf("item of one byte too much: %v, want ErrTooLarge", err)
		}
		e.wantAbsent(over.Key, e.key("neighbour"))
	}
	// Names count too.
	it := e.item("names", store.Attributes{})
	for i := range 2000 {
		it.Attributes[fmt.Sprintf("%0*d", store.MaxNameBytes, i)] = ""
	}
	if err := e.commit(put(it, store.Always())); !errors.Is(err, store.ErrTooLarge) {
		e.Errorf("item of too many names: %v, want ErrTooLarge", err)
	}
	e.wantAbsent(it.Key)
}

// testCommitSize fills a commit to its last byte, under the shortest condition
// and under the longest, over the items of the one before.
func testCommitSize(e *env) {
	name, text := strings.Repeat("n", store.MaxNameBytes), strings.Repeat("x", 1000)
	for _, condition := range []store.Condition{store.Absent(), store.Equal(name, text)} {
		var writes []store.Write
		var keys []store.Key
		for left := store.MaxCommitBytes; left > 0; {
			w := put(e.item(fmt.Sprintf("%02d", len(writes)), store.Attributes{"b": []byte{}, name: text}), condition)
			room := min(store.MaxItemBytes-store.ItemBytes(w.Item), left-store.WriteBytes(w))
			w.Item.Attributes["b"] = make([]byte, room)
			writes, keys = append(writes, w), append(keys, w.Item.Key)
			left -= store.WriteBytes(w)
		}
		before := e.mustGet(keys...)
		last := writes[len(writes)-1].Item
		last.Attributes["b"] = append(last.Attributes.Bytes("b"), 0)
		if err := e.commit(writes...); !errors.Is(err, store.ErrTooLarge) {
			e.Errorf("commit of one byte too much: %v, want ErrTooLarge", err)
		}
		for i, it := range e.mustGet(keys...) {
			if diff := differ(it, before[i]); diff != "" {
				e.Errorf("item %d after a commit that was refused: %s", i, diff)
			}
		}
		last.Attributes["b"] = last.Attributes.Bytes("b")[1:]
		e.mustCommit(writes...)
		for _, w := range writes {
			e.wantItem(w.Item)
		}
	}
}

// invalidWrites are refused in any company; the last one beside a write of
// the key "good".
func invalidWrites(e *env) map[string]store.Write {
	with := func(a store.Attributes) store.Write { return put(e.item("bad", a), store.Always()) }
	on := func(k store.Key) store.Write { return put(store.Item{Key: k}, store.Always()) }
	ending := func(t time.Time) store.Write {
		return put(store.Item{Key: e.key("bad"), Expires: t}, store.Always())
	}
	return map[string]store.Write{
		"no verb":                  {Item: e.item("bad", nil), If: store.Always()},
		"unknown verb":             {Verb: 9, Item: e.item("bad", nil), If: store.Always()},
		"no condition":             {Verb: store.Put, Item: e.item("bad", nil)},
		"delete with no condition": {Verb: store.Delete, Item: e.item("bad", nil)},
		"check with no condition":  {Verb: store.Check, Item: e.item("bad", nil)},
		"check that always holds":  check(e.key("bad"), store.Always()),
		"no table":                 on(store.Key{Partition: e.partition, Sort: "bad"}),
		"unknown table":            on(store.Key{Table: "other", Partition: e.partition, Sort: "bad"}),
		"no partition":             on(store.Key{Table: store.Meta, Sort: "bad"}),
		"no sort key":              on(e.key("")),
		"partition not UTF-8":      on(store.Key{Table: store.Meta, Partition: "\xff", Sort: "bad"}),
		"sort key not UTF-8":       on(e.key("bad\xc3")),
		"text not UTF-8":           with(store.Attributes{"a": "\xed\xa0\x80"}),
		"name not UTF-8":           with(store.Attributes{"\xff": "a"}),
		"empty name":               with(store.Attributes{"": "a"}),
		"name pk":                  with(store.Attributes{"pk": "a"}),
		"name sk":                  with(store.Attributes{"sk": "a"}),
		"name ttl":                 with(store.Attributes{"ttl": int64(1)}),
		"nil":                      with(store.Attributes{"a": nil}),
		"int":                      with(store.Attributes{"a": 1}),
		"float":                    with(store.Attributes{"a": 1.5}),
		"list":                     with(store.Attributes{"a": []string{"b"}}),
		"map":                      with(store.Attributes{"a": store.Attributes{}}),
		"number too great":         with(store.Attributes{"a": biggest + 1}),
		"number too small":         with(store.Attributes{"a": -biggest - 1}),
		"expiry before 1970":       ending(time.Unix(-5, 0)),
		"expiry at second zero":    ending(time.Unix(0, 0)),
		"equal on name ttl":        put(e.item("bad", nil), store.Equal("ttl", int64(1))),
		"equal to nil":             put(e.item("bad", nil), store.Equal("a", nil)),
		"equal to int":             check(e.key("bad"), store.Equal("a", 1)),
		"same key again":           remove(e.key("good"), store.Always()),
	}
}

func testInvalid(e *env) {
	good := put(e.item("good", nil), store.Always())
	refused := func(name string, err error) {
		if !errors.Is(err, store.ErrInvalid) {
			e.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for name, bad := range invalidWrites(e) {
		refused(name, e.commit(good, bad))
		if name != "same key again" {
			refused(name+", alone", e.commit(bad))
		}
		e.wantAbsent(e.key("good"), e.key("bad"))
	}
	refused("no writes", e.commit())
	_, err := e.get(good.Item.Key, store.Key{})
	refused("get of the zero key", err)
	for name, r := range map[string]store.Range{
		"range of no table":     {Partition: e.partition},
		"range of no partition": {Table: store.Meta},
		"range not UTF-8":       {Table: store.Meta, Partition: e.partition, From: "\xff"},
		"range below zero":      {Table: store.Meta, Partition: e.partition, Limit: -1},
	} {
		_, err := e.store.Range(e.Context(), r)
		refused(name, err)
	}
}
