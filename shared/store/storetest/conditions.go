package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"credence/shared/store"
)

var conditionCases = []testCase{
	{"each condition, verb and state", testConditionTable},
	{"equal compares value and type", testEqual},
	{"every failed condition may be told, one must", testSeveralFail},
	{"one failed condition writes nothing", testAtomic},
	{"a commit is judged by the state before it", testJudgedBefore},
	{"conditions hold in the hundredth commit as in the first", testManyConditions},
}

// state is what lies under the key before the commit.
type state struct {
	name    string
	item    func(e *env) *store.Item
	present bool
	equal   bool // attribute "rev" is int64 7
}

var states = []state{
	{"nothing", func(*env) *store.Item { return nil }, false, false},
	{"item with the value", stored(store.Attributes{"rev": int64(7)}, 0), true, true},
	{"item with another value", stored(store.Attributes{"rev": int64(8)}, 0), true, false},
	{"item without the attribute", stored(store.Attributes{"other": int64(7)}, 0), true, false},
	{"item with no attribute at all", stored(nil, 0), true, false},
	{"item with the value that will expire", stored(store.Attributes{"rev": int64(7)}, time.Hour), true, true},
	{"expired item with the value", stored(store.Attributes{"rev": int64(7)}, -time.Hour), false, false},
	{"item with the value expiring this second", stored(store.Attributes{"rev": int64(7)}, -1), false, false},
}

// stored makes an item that ends so long from the epoch; 0 = never, -1 = at
// the epoch itself.
func stored(a store.Attributes, ends time.Duration) func(*env) *store.Item {
	return func(e *env) *store.Item {
		it := e.item("", a)
		switch ends {
		case 0:
		case -1:
			it.Expires = epoch
		default:
			it.Expires = epoch.Add(ends)
		}
		return &it
	}
}

func testConditionTable(e *env) {
	conditions := []struct {
		name  string
		make  store.Condition
		holds func(state) bool
	}{
		{"absent", store.Absent(), func(s state) bool { return !s.present }},
		{"present", store.Present(), func(s state) bool { return s.present }},
		{"equal", store.Equal("rev", int64(7)), func(s state) bool { return s.equal }},
		{"always", store.Always(), func(state) bool { return true }},
	}
	verbs := map[string]store.Verb{"put": store.Put, "delete": store.Delete, "check": store.Check}
	for _, s := range states {
		for _, c := range conditions {
			for verbName, verb := range verbs {
				if verb == store.Check && c.name == "always" {
					continue // refused, see the limits
				}
				for _, alone := range []bool{true, false} {
					name := fmt.Sprintf("%s/%s/%s/alone=%v", s.name, verbName, c.name, alone)
					e.Run(name, func(t *testing.T) {
						sub := &env{T: t, store: e.store, clock: e.clock, partition: e.partition + name}
						tryCondition(sub, s, trial{verb, c.make, c.holds(s)}, alone)
					})
				}
			}
		}
	}
}

// trial is a write to try, and whether its condition holds.
type trial struct {
	verb      store.Verb
	condition store.Condition
	holds     bool
}

// tryCondition commits one write, alone or with a companion, since engines
// have one call for one write and another for several.
func tryCondition(e *env, s state, try trial, alone bool) {
	verb, c, holds := try.verb, try.condition, try.holds
	before := s.item(e)
	k := e.key("k")
	if before != nil {
		before.Key = k
		e.mustPut(*before)
	}
	w := store.Write{Verb: verb, Item: store.Item{Key: k}, If: c}
	if verb == store.Put {
		w.Item.Attributes = store.Attributes{"new": true}
	}
	writes := []store.Write{w}
	companion := e.item("companion", store.Attributes{"x": "y"})
	if !alone {
		writes = append(writes, put(companion, store.Absent()))
	}
	err := e.commit(writes...)
	if !holds {
		wantFailed(e, err, 0)
		e.wantAbsent(companion.Key)
		if before != nil && s.present {
			e.wantItem(*before)
		} else {
			e.wantAbsent(k)
		}
		return
	}
	if err != nil {
		e.Fatalf("commit: %v, want none", err)
	}
	if !alone {
		e.wantItem(companion)
	}
	switch {
	case verb == store.Put:
		e.wantItem(w.Item)
	case verb == store.Delete || !s.present:
		e.wantAbsent(k)
	default:
		e.wantItem(*before)
	}
}

// wantFailed requires a *ConditionError that names at least one of the writes
// which failed and none which did not.
func wantFailed(e *env, err error, failed ...int) {
	e.Helper()
	var c *store.ConditionError
	if !errors.As(err, &c) {
		e.Errorf("commit: %v, want a ConditionError", err)
		return
	}
	if len(c.Failed) == 0 || !slices.IsSorted(c.Failed) {
		e.Errorf("failed writes %v: none, or out of order", c.Failed)
	}
	for _, f := range c.Failed {
		if !slices.Contains(failed, f) || !store.ConditionFailed(err, f) {
			e.Errorf("write %d is said to have failed, only %v did", f, failed)
		}
	}
}

func testEqual(e *env) {
	tests := []struct {
		name         string
		there, asked any
		holds        bool
	}{
		{"same string", "7", "7", true},
		{"string and number", "7", int64(7), false},
		{"number and string", int64(7), "7", false},
		{"string and bytes", "7", []byte("7"), false},
		{"bytes and string", []byte("7"), "7", false},
		{"same bytes", []byte{0, 1}, []byte{0, 1}, true},
		{"bytes with one more", []byte{0, 1}, []byte{0, 1, 0}, false},
		{"empty string", "", "", true},
		{"empty string and other", "x", "", false},
		{"empty bytes", []byte{}, []byte{}, true},
		{"nil bytes and empty bytes", []byte{}, []byte(nil), true},
		{"empty bytes and empty string", []byte{}, "", false},
		{"same truth", true, true, true},
		{"other truth", true, false, false},
		{"truth and number", true, int64(1), false},
		{"false and zero", false, int64(0), false},
		{"zero and empty string", int64(0), "", false},
		{"greatest number", biggest, biggest, true},
		{"greatest number less one", biggest - 1, biggest, false},
		{"least number", -biggest, -biggest, true},
		{"case", "a", "A", false},
		{"composed and decomposed", "\u00e9", "e\u0301", false},
	}
	for i, test := range tests {
		for name := range map[string]bool{"v": true, "size": true, "#a.b c": true} {
			it := e.item(fmt.Sprintf("%d %s", i, name), store.Attributes{name: test.there})
			e.mustPut(it)
			err := e.commit(put(e.item(it.Key.Sort, nil), store.Equal(name, test.asked)))
			if test.holds && err != nil {
				e.Errorf("%s: %v, want none", test.name, err)
			}
			if !test.holds {
				wantFailed(e, err, 0)
				e.wantItem(it)
			}
		}
	}
}

func testSeveralFail(e *env) {
	e.mustPut(e.item("there", store.Attributes{"rev": int64(1)}))
	writes := []store.Write{
		put(e.item("new 0", nil), store.Absent()),
		put(e.item("there", nil), store.Absent()),
		put(e.item("new 2", nil), store.Always()),
		check(e.key("none"), store.Present()),
		remove(e.key("none 4"), store.Equal("rev", int64(1))),
		check(e.key("none 5"), store.Absent()),
	}
	wantFailed(e, e.commit(writes...), 1, 3, 4)
	e.wantAbsent(e.key("new 0"), e.key("new 2"), e.key("none"), e.key("none 4"))
	e.wantItem(e.item("there", store.Attributes{"rev": int64(1)}))
}

func testAtomic(e *env) {
	const n = 12
	gone := e.item("gone", store.Attributes{"v": "stays"})
	for bad := range n {
		e.mustPut(gone)
		var writes []store.Write
		var keys []store.Key
		for i := range n {
			it := e.item(fmt.Sprintf("%d of %d", i, bad), nil)
			keys = append(keys, it.Key)
			c := store.Absent()
			if i == bad {
				c = store.Present()
			}
			writes = append(writes, put(it, c))
		}
		writes = append(writes, remove(gone.Key, store.Always()))
		wantFailed(e, e.commit(writes...), bad)
		e.wantAbsent(keys...)
		e.wantItem(gone)
		writes[bad].If = store.Absent()
		e.mustCommit(writes...)
		for i, it := range e.mustGet(keys...) {
			if !it.Found() {
				e.Errorf("item %d of a commit that succeeded is missing", i)
			}
		}
		e.wantAbsent(gone.Key)
	}
}

func testJudgedBefore(e *env) {
	e.mustPut(e.item("a", nil))
	// The removal of a does not make its neighbour's condition hold, nor does
	// the order of the writes matter.
	e.mustCommit(remove(e.key("a"), store.Present()), put(e.item("b", nil), store.Absent()))
	wantFailed(e, e.commit(put(e.item("a", nil), store.Absent()), check(e.key("c"), store.Present()), put(e.item("d", nil), store.Absent())), 1)
	e.wantAbsent(e.key("a"), e.key("c"), e.key("d"))
}

func testManyConditions(e *env) {
	for i := range 60 {
		k := e.key(fmt.Sprint(i))
		first := store.Item{Key: k, Attributes: store.Attributes{"rev": int64(1)}}
		e.mustCommit(put(first, store.Absent()))
		second := store.Item{Key: k, Attributes: store.Attributes{"rev": int64(2)}}
		wantFailed(e, e.commit(put(second, store.Absent())), 0)
		e.wantItem(first)
		e.mustCommit(put(second, store.Equal("rev", int64(1))))
		wantFailed(e, e.commit(put(first, store.Equal("rev", int64(1)))), 0)
		e.wantItem(second)
	}
}
