package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/audit"
	"credence/shared/store"
)

// formatOne stores a log that was recorded in format 1.
func formatOne(t *testing.T, s store.Store) {
	t.Helper()
	text, err := os.ReadFile("testdata/format1.json")
	if err != nil {
		t.Fatal(err)
	}
	var log map[string]map[string]any
	if err := json.UnmarshalRead(bytes.NewReader(text), &log); err != nil {
		t.Fatal(err)
	}
	for sort, attributes := range log {
		for name, v := range attributes {
			if n, ok := v.(float64); ok {
				attributes[name] = int64(n)
			}
		}
		put(t, s, store.Item{Key: at(sort), Attributes: attributes})
	}
}

func at(sort string) store.Key {
	k := audit.HeadKey(101, 5008)
	k.Sort = sort
	return k
}

func put(t *testing.T, s store.Store, i store.Item) {
	t.Helper()
	if err := s.Commit(t.Context(), store.Write{Verb: store.Put, Item: i, If: store.Always()}); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, s store.Store, k store.Key) {
	t.Helper()
	if err := s.Commit(t.Context(), store.Write{Verb: store.Delete, Item: store.Item{Key: k}, If: store.Present()}); err != nil {
		t.Fatal(err)
	}
}

// changes records n changes and, last, an observation.
func changes(t *testing.T, s store.Store, n int) []store.Item {
	t.Helper()
	for i := range n {
		if err := record(t, s, head(t, s), entry(i, audit.Updated), false); err != nil {
			t.Fatal(err)
		}
	}
	seen := entry(n, audit.Probed)
	w, err := audit.Observation(seen)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, w.Item)
	return items(t, s)
}

// items are the entries of the log, oldest first, the observation last.
func items(t *testing.T, s store.Store) []store.Item {
	t.Helper()
	page, err := s.Range(t.Context(), store.Range{Table: store.Audit, Partition: at("E#").Partition, From: "E#", To: "E#~"})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

// faults lists the faults of the log, each as its code and what it is about.
func faults(t *testing.T, s store.Store) []string {
	t.Helper()
	report, err := audit.Verify(t.Context(), s, 101, 5008)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range report.Faults {
		if f.Key.Partition != at("").Partition || f.Message == "" {
			t.Errorf("fault %+v", f)
		}
		out = append(out, string(f.Code)+" "+f.Message)
	}
	return out
}

func TestVerifyAcceptsWhatWasRecorded(t *testing.T) {
	s := open(t)
	if got := faults(t, s); got != nil {
		t.Errorf("an empty log: %q", got)
	}
	formatOne(t, s)
	if got := faults(t, s); got != nil {
		t.Errorf("a log of format 1: %q", got)
	}
	changes(t, s, 5) // go on behind those of format 1
	report, err := audit.Verify(t.Context(), s, 101, 5008)
	if err != nil || len(report.Faults) > 0 || report.Changes != 8 || report.Observations != 2 {
		t.Errorf("a log of both formats: %+v, %v", report, err)
	}
}

// TestVerifyFindsEveryAlteration alters each attribute of each change, the key
// and the expiry included, and removes each attribute: Verify names that change.
func TestVerifyFindsEveryAlteration(t *testing.T) {
	s := open(t)
	log := changes(t, s, 4)
	for n, item := range log[:4] {
		for name, v := range item.Attributes {
			for _, removed := range []bool{false, true} {
				bad := store.Item{Key: item.Key, Attributes: store.Attributes{}}
				for k, v := range item.Attributes {
					bad.Attributes[k] = v
				}
				switch v := v.(type) {
				case string:
					bad.Attributes[name] = v + " "
				case int64:
					bad.Attributes[name] = v + 1
				}
				if removed {
					delete(bad.Attributes, name)
				}
				put(t, s, bad)
				got := faults(t, s)
				if len(got) == 0 || !slices.ContainsFunc(got, func(f string) bool { return names(f, n+1) }) {
					t.Errorf("%s of change %d altered (removed: %v): %q", name, n+1, removed, got)
				}
				put(t, s, item)
			}
		}
		if got := faults(t, s); got != nil {
			t.Fatalf("restored: %q", got)
		}
	}
}

// names reports whether a fault is about a change: its number stands alone.
func names(fault string, n int) bool {
	return strings.Contains(fault+" ", fmt.Sprintf(" %d ", n)) || strings.Contains(fault, fmt.Sprintf(" %d:", n)) ||
		strings.HasPrefix(fault, "unreadable")
}

func TestVerifyNamesTheDamage(t *testing.T) {
	for name, row := range map[string]struct {
		damage func(t *testing.T, s store.Store, log []store.Item)
		want   []string
	}{
		"a change in the middle is removed": {
			func(t *testing.T, s store.Store, log []store.Item) { remove(t, s, log[1].Key) },
			[]string{"missing Change 2 is missing."},
		},
		"the first two are removed": {
			func(t *testing.T, s store.Store, log []store.Item) {
				remove(t, s, log[0].Key)
				remove(t, s, log[1].Key)
			},
			[]string{"missing Changes 1 to 2 are missing."},
		},
		"the last is removed": {
			func(t *testing.T, s store.Store, log []store.Item) { remove(t, s, log[3].Key) },
			[]string{"missing Change 4 is missing."},
		},
		"all are removed": {func(t *testing.T, s store.Store, log []store.Item) {
			for _, i := range log[:4] {
				remove(t, s, i.Key)
			}
		}, []string{"missing Changes 1 to 4 are missing."}},
		"a change has another id": {func(t *testing.T, s store.Store, log []store.Item) {
			remove(t, s, log[1].Key)
			log[1].Key.Sort = fmt.Sprintf("E#%016d", head(t, s).LastID-1)
			put(t, s, log[1])
		}, []string{"missing Change 2 is missing.", "order Change 2 comes after change 3."}},
		"a change has another id, in its place": {func(t *testing.T, s store.Store, log []store.Item) {
			remove(t, s, log[1].Key)
			var n int64
			_, _ = fmt.Sscanf(log[1].Key.Sort, "E#%d", &n)
			log[1].Key.Sort = fmt.Sprintf("E#%016d", n+1)
			put(t, s, log[1])
		}, []string{"altered Change 2 is not the one that was recorded: its digest differs."}},
		"the last change is altered": {func(t *testing.T, s store.Store, log []store.Item) {
			log[3].Attributes["ip"] = "192.0.2.1"
			put(t, s, log[3])
		}, []string{"altered Change 4 is not the one that was recorded: its digest differs from that of the head."}},
		"a change would expire": {func(t *testing.T, s store.Store, log []store.Item) {
			log[2].Expires = time.Now().Add(time.Hour)
			put(t, s, log[2])
		}, []string{"expires Change 3 expires; changes are kept for ever."}},
		"the head is removed": {
			func(t *testing.T, s store.Store, _ []store.Item) { remove(t, s, at("HEAD")) },
			[]string{"head The head is missing, or names change 0 although change 4 follows."},
		},
		"the head names another owner": {func(t *testing.T, s store.Store, _ []store.Item) {
			h := get(t, s, at("HEAD"))
			h.Attributes["owner"] = int64(7)
			put(t, s, h)
		}, []string{"head The head does not agree with change 4, the last one."}},
		"the head is a tombstone": {func(t *testing.T, s store.Store, _ []store.Item) {
			h := get(t, s, at("HEAD"))
			h.Attributes["gone"] = true
			put(t, s, h)
		}, []string{"head The head does not agree with change 4, the last one."}},
		"the observation is moved": {func(t *testing.T, s store.Store, log []store.Item) {
			remove(t, s, log[4].Key)
			log[4].Key.Sort = fmt.Sprintf("E#%016d", head(t, s).LastID+9)
			put(t, s, log[4])
		}, []string{fmt.Sprintf("moved The id of observation %d is of another time than the entry.", 0)}},
		"a change's text is no JSON": {func(t *testing.T, s store.Store, log []store.Item) {
			log[1].Attributes["summary"] = "["
			put(t, s, log[1])
		}, []string{"unreadable The entry does not decode, or has a format that this version does not know.", "altered Change 2 is not the one that was recorded: its digest differs."}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			row.damage(t, s, changes(t, s, 4))
			got := faults(t, s)
			if len(got) == 1 && strings.HasPrefix(got[0], "moved") && strings.HasPrefix(row.want[0], "moved") {
				return // its id is random
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

// A log moved to another credential or organisation is not that one's log.
func TestVerifyBindsTheCredential(t *testing.T) {
	s := open(t)
	changes(t, s, 2)
	for _, to := range []store.Key{audit.HeadKey(101, 5009), audit.HeadKey(102, 5008)} {
		for _, i := range append(items(t, s), get(t, s, at("HEAD"))) {
			i.Key.Partition = to.Partition
			put(t, s, i)
		}
	}
	for _, to := range [][2]int64{{101, 5009}, {102, 5008}} {
		report, err := audit.Verify(t.Context(), s, to[0], to[1])
		if err != nil || len(report.Faults) == 0 {
			t.Errorf("moved to %v: %+v, %v", to, report, err)
		}
	}
}

func TestVerifyBoundsItsReport(t *testing.T) {
	s := open(t)
	for _, i := range changes(t, s, audit.MaxFaults+20) {
		i.Attributes["summary"] = "["
		put(t, s, i)
	}
	report, err := audit.Verify(t.Context(), s, 101, 5008)
	if err != nil || len(report.Faults) != audit.MaxFaults || !report.More {
		t.Errorf("%d faults, more: %v, %v", len(report.Faults), report.More, err)
	}
}

// A change committed between the reads of Verify is no fault.
func TestVerifyBesideChanges(t *testing.T) {
	s := open(t)
	changes(t, s, 2)
	n := 2
	report, err := audit.Verify(t.Context(), &racing{Store: s, between: func() {
		if n++; n < 6 {
			if err := record(t, s, head(t, s), entry(n, audit.Updated), false); err != nil {
				t.Error(err)
			}
		}
	}}, 101, 5008)
	if err != nil || len(report.Faults) > 0 || report.Changes != 5 {
		t.Errorf("%+v, %v", report, err)
	}
}

// racing runs between after each range.
type racing struct {
	store.Store
	between func()
}

func (r *racing) Range(ctx context.Context, q store.Range) (store.Page, error) {
	defer r.between()
	return r.Store.Range(ctx, q)
}

func get(t *testing.T, s store.Store, k store.Key) store.Item {
	t.Helper()
	found, err := s.Get(t.Context(), k)
	if err != nil || !found[0].Found() {
		t.Fatalf("%s is not there: %v", k.Sort, err)
	}
	return found[0]
}
