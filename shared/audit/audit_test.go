package audit_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(tb testing.TB) store.Store {
	tb.Helper()
	s, err := embedded.Open(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func entry(n int, event audit.Event) audit.Entry {
	at := start.Add(time.Duration(n) * time.Hour)
	return audit.Entry{
		ID: id.New(at), Org: 101, Credential: 5008, Event: event, At: at,
		Summary: []string{"name changed"}, Changes: map[string]audit.Change{"name": {"a", "b"}, "description": {nil, "x"}},
		UserID: 42, UserEmail: "a@example.com", OwnerID: 43, OwnerEmail: "b@example.com",
		Origin: identity.Origin{IP: "127.0.0.1", UserAgent: "test", URL: "/data_credentials/5008", RequestID: "r1"},
	}
}

func head(t *testing.T, s store.Store) audit.Head {
	t.Helper()
	items, err := s.Get(t.Context(), audit.HeadKey(101, 5008))
	if err != nil {
		t.Fatal(err)
	}
	return audit.DecodeHead(items[0])
}

func record(t *testing.T, s store.Store, h audit.Head, e audit.Entry, gone bool) error {
	t.Helper()
	writes, err := audit.Record(h, gone, e)
	if err != nil {
		t.Fatal(err)
	}
	return s.Commit(t.Context(), writes...)
}

func TestReadReturnsWhatWasRecordedNewestFirst(t *testing.T) {
	s := open(t)
	made, seen, ended := entry(0, audit.Created), entry(1, audit.Probed), entry(2, audit.Destroyed)
	if err := record(t, s, head(t, s), made, false); err != nil {
		t.Fatal(err)
	}
	w, err := audit.Observation(seen)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if err := record(t, s, head(t, s), ended, true); err != nil {
		t.Fatal(err)
	}
	if h := head(t, s); h.Number != 2 || !h.Gone || h.OwnerID != 43 || h.OwnerEmail != "b@example.com" {
		t.Errorf("head %+v, want the tombstone of two changes", h)
	}
	for _, row := range []struct {
		name string
		q    audit.Query
		want []audit.Entry
	}{
		{"all", audit.Query{}, []audit.Entry{ended, seen, made}},
		{"from is inclusive", audit.Query{From: start.Add(time.Hour)}, []audit.Entry{ended, seen}},
		{"to is exclusive", audit.Query{To: start.Add(2 * time.Hour)}, []audit.Entry{seen, made}},
		{"by event", audit.Query{Filter: audit.Filter{Events: []audit.Event{audit.Probed, audit.Created}}}, []audit.Entry{seen, made}},
		{"an empty span", audit.Query{From: start.Add(time.Hour), To: start}, []audit.Entry{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.q.Org, row.q.Credential, row.q.Limit = 101, 5008, 10
			got, err := audit.Read(t.Context(), s, row.q)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Entries, row.want) || got.Total != len(row.want) || got.Older || got.Newer {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
		})
	}
	if other, err := audit.Read(t.Context(), s, audit.Query{Org: 102, Credential: 5008, Limit: 10}); err != nil || len(other.Entries) != 0 {
		t.Errorf("another organisation reads %d entries, %v", len(other.Entries), err)
	}
}

func TestTwoChangesFromOneHeadCannotBothCommit(t *testing.T) {
	s := open(t)
	h := head(t, s)
	if err := record(t, s, h, entry(0, audit.Created), false); err != nil {
		t.Fatal(err)
	}
	var refused *store.ConditionError
	if err := record(t, s, h, entry(1, audit.Updated), false); !errors.As(err, &refused) {
		t.Errorf("a second first change: %v, want a failed condition", err)
	}
	h = head(t, s)
	if err := record(t, s, h, entry(2, audit.Updated), false); err != nil {
		t.Fatal(err)
	}
	if err := record(t, s, h, entry(3, audit.Updated), false); !errors.As(err, &refused) {
		t.Errorf("a change from a stale head: %v, want a failed condition", err)
	}
}

func TestChainNamesEachChangeBeforeIt(t *testing.T) {
	s := open(t)
	for n := range 3 {
		if err := record(t, s, head(t, s), entry(n, audit.Updated), false); err != nil {
			t.Fatal(err)
		}
	}
	page, err := s.Range(t.Context(), store.Range{Table: store.Audit, Partition: audit.HeadKey(101, 5008).Partition, From: "E#", To: "E#~"})
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("%d entries, %v", len(page.Items), err)
	}
	hashes := map[string]bool{}
	for n, item := range page.Items {
		if got := item.Attributes.Int("n"); got != int64(n+1) {
			t.Errorf("entry %d carries number %d", n, got)
		}
		if prev := item.Attributes.Text("prev"); hashes[prev] || (n == 0) != (prev == "") {
			t.Errorf("entry %d follows %q", n, prev)
		} else {
			hashes[prev] = true
		}
	}
	if hashes[head(t, s).Hash] {
		t.Error("the head names an entry that another one follows")
	}
}
