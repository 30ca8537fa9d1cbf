package store_test

import (
	"strings"
	"testing"
	"time"

	"credence/shared/store"
)

func TestItemBytes(t *testing.T) {
	// "pk" + 1, "sk" + 1: six bytes of key.
	for name, test := range map[string]struct {
		attributes store.Attributes
		expires    time.Time
		want       int
	}{
		"key only":         {nil, time.Time{}, 6},
		"text":             {store.Attributes{"ab": "é"}, time.Time{}, 6 + 2 + 2},
		"empty text":       {store.Attributes{"ab": ""}, time.Time{}, 6 + 2},
		"bytes":            {store.Attributes{"a": make([]byte, 10)}, time.Time{}, 6 + 1 + 10},
		"truth":            {store.Attributes{"a": false}, time.Time{}, 6 + 1 + 1},
		"zero":             {store.Attributes{"a": int64(0)}, time.Time{}, 6 + 1 + 2},
		"one digit":        {store.Attributes{"a": int64(7)}, time.Time{}, 6 + 1 + 2},
		"trailing zeroes":  {store.Attributes{"a": int64(7_000_000)}, time.Time{}, 6 + 1 + 2},
		"negative":         {store.Attributes{"a": int64(-7)}, time.Time{}, 6 + 1 + 3},
		"sixteen digits":   {store.Attributes{"a": int64(9_007_199_254_740_991)}, time.Time{}, 6 + 1 + 10},
		"ten-digit expiry": {nil, time.Unix(1_900_000_001, 0), 6 + 3 + 7},
	} {
		it := store.Item{Key: store.Key{Table: store.Meta, Partition: "p", Sort: "s"}, Attributes: test.attributes, Expires: test.expires}
		if got := store.ItemBytes(it); got != test.want {
			t.Errorf("%s: %d bytes, want %d", name, got, test.want)
		}
	}
}

func TestNarrow(t *testing.T) {
	for name, test := range map[string]struct {
		r     store.Range
		after string
		some  bool
	}{
		"open":                     {store.Range{}, "", true},
		"from behind to":           {store.Range{From: "b", To: "a"}, "", false},
		"one key":                  {store.Range{From: "a", To: "a"}, "", true},
		"after inside":             {store.Range{From: "a", To: "c", After: "b"}, "b", true},
		"after the first":          {store.Range{From: "a", To: "c", After: "a"}, "a", true},
		"after before the first":   {store.Range{From: "b", To: "c", After: "a"}, "", true},
		"after the last":           {store.Range{From: "a", To: "c", After: "c"}, "c", false},
		"after behind the last":    {store.Range{To: "c", After: "d"}, "d", false},
		"down, after inside":       {store.Range{From: "a", To: "c", After: "b", Descending: true}, "b", true},
		"down, after above":        {store.Range{From: "a", To: "c", After: "d", Descending: true}, "", true},
		"down, after the greatest": {store.Range{From: "a", To: "c", After: "c", Descending: true}, "c", true},
		"down, after the least":    {store.Range{From: "a", To: "c", After: "a", Descending: true}, "a", false},
	} {
		got, some := test.r.Narrow()
		if some != test.some || some && got.After != test.after {
			t.Errorf("%s: after %q, some %v; want %q, %v", name, got.After, some, test.after, test.some)
		}
	}
}

// What is refused may be secret or a person's address: it must not come back in
// the error. The refusals themselves are storetest's.
func TestRefusalsDoNotEcho(t *testing.T) {
	const canary = "canary-7f3a"
	k := store.Key{Table: store.Meta, Partition: canary, Sort: canary}
	bad := k
	bad.Sort += "\xff"
	long := k
	long.Partition += strings.Repeat("x", store.MaxPartitionBytes)
	put := func(a store.Attributes) store.Write {
		return store.Write{Verb: store.Put, Item: store.Item{Key: k, Attributes: a}, If: store.Always()}
	}
	for name, err := range map[string]error{
		"get":       store.ValidateGet([]store.Key{bad}),
		"long":      store.ValidateGet([]store.Key{long}),
		"table":     store.ValidateGet([]store.Key{{Table: canary, Partition: canary, Sort: canary}}),
		"range":     store.ValidateRange(store.Range{Table: store.Meta, Partition: canary, From: bad.Sort}),
		"value":     store.ValidateCommit([]store.Write{put(store.Attributes{canary: canary + "\xff"})}),
		"type":      store.ValidateCommit([]store.Write{put(store.Attributes{canary: []string{canary}})}),
		"name":      store.ValidateCommit([]store.Write{put(store.Attributes{canary + "\xff": canary})}),
		"twice":     store.ValidateCommit([]store.Write{put(nil), put(nil)}),
		"condition": store.ValidateCommit([]store.Write{{Verb: store.Delete, Item: store.Item{Key: k}, If: store.Equal(canary, struct{ s string }{canary})}}),
	} {
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: accepted, or the refusal repeats the input", name)
		}
	}
}
