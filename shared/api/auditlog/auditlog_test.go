package auditlog_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/api/auditlog"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

var update = flag.Bool("update", false, "write the golden file anew")

var now = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

// desk authenticates every request as who.
type desk struct{ who identity.Caller }

func (d *desk) Authenticate(_ context.Context, _ string, from identity.Origin, _ identity.Load) (identity.Caller, error) {
	who := d.who
	who.Origin = from
	return who, nil
}

// kit serves the log of organisation 101 to its admin.
type kit struct {
	*testing.T
	*desk
	store store.Store
	h     http.Handler
}

func newKit(t *testing.T) *kit {
	s, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	k := &kit{T: t, store: s, desk: &desk{identity.Caller{
		Org: identity.Org{ID: 101, Name: "Acme"}, User: identity.User{ID: 42, Email: "admin@acme.example", Admin: true},
		KeyID: 9, KeyName: "console", Scopes: access.Scopes,
	}}}
	clock := func() time.Time { return now }
	k.h, err = httpapi.Stack(
		httpapi.Config{SignIn: k.desk, Denials: audit.Refusals{Store: s, Now: clock}, Logger: slog.New(slog.DiscardHandler), Clock: clock},
		auditlog.API{Store: s, Clock: clock}.Routes(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// note records an occurrence about service key 7 of the caller.
func (k *kit) note(event string, at time.Time) {
	k.Helper()
	w, err := audit.Journal{}.Write(identity.Occurrence{Org: 101, User: 42, Key: 7, KeyName: "job", Event: event, By: k.who, At: at})
	if err == nil {
		err = k.store.Commit(k.Context(), w)
	}
	if err != nil {
		k.Fatal(err)
	}
}

func (k *kit) get(target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", "Bearer any")
	w := httptest.NewRecorder()
	k.h.ServeHTTP(w, r)
	return w
}

// events are the events that an answer lists.
func (k *kit) events(w *httptest.ResponseRecorder) []string {
	k.Helper()
	var rows []struct {
		Event string `json:"event"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil || w.Code != 200 {
		k.Fatalf("%d %s", w.Code, w.Body)
	}
	var out []string
	for _, r := range rows {
		out = append(out, r.Event)
	}
	return out
}

const path = "/orgs/101/audit_log"

func TestFilters(t *testing.T) {
	k := newKit(t)
	for d, event := range []string{"sign_in", "key_created", "sign_in_refused", "key_deleted"} { // newest first
		k.note(event, now.Add(-time.Hour).AddDate(0, 0, -d))
	}
	k.note("user_created", now.AddDate(0, 0, -31))
	for query, want := range map[string][]string{
		"":                                  {"sign_in", "key_created", "sign_in_refused", "key_deleted"},
		"?event_filter=key_created,sign_in": {"sign_in", "key_created"},
		"?event_filter=!key_created":        {"sign_in", "sign_in_refused", "key_deleted"},
		"?event_filter=!key_created&event_filter=!sign_in": {"sign_in_refused", "key_deleted"},
		"?event_filter=sign_in,!key_created":               {"sign_in"},
		"?event_filter=denied":                             nil,
		"?from=2026-03-18&to=2026-03-19":                   {"key_created", "sign_in_refused"},
		"?to=2026-03-17":                                   {"key_deleted", "user_created"},
		"?from=2026-02-01":                                 {"sign_in", "key_created", "sign_in_refused", "key_deleted", "user_created"},
		"?change_filter=name":                              nil,
		"?change_filter=!name":                             {"sign_in", "key_created", "sign_in_refused", "key_deleted"},
	} {
		w := k.get(path + query)
		if got := k.events(w); !slices.Equal(got, want) || w.Header().Get("X-Total-Count") != fmt.Sprint(len(want)) {
			t.Errorf("%s gives %q of %s, want %q", query, got, w.Header().Get("X-Total-Count"), want)
		}
	}
	for query, pointer := range map[string]string{
		"event_filter=update": "?event_filter", "event_filter=!explode": "?event_filter", "event_filter=!": "?event_filter",
		"from=yesterday": "?from", "to=2031-02-30": "?to", "from=2026-02-02&to=2026-02-01": "?from", "page=601": "?page", "per_page=0": "?per_page", "cursor=x": "?cursor",
	} {
		k.fill(7000)
		w := k.get(path + "?" + query)
		if w.Code != 400 || !strings.Contains(w.Body.String(), `"`+pointer+`"`) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// fill stores n sign-ins of today, unless they are there.
func (k *kit) fill(n int) {
	k.Helper()
	key := store.Key{Table: store.Audit, Partition: "ORG#101#DAY#2026-03-20", Sort: "filled"}
	if there, err := k.store.Get(k.Context(), key); err != nil || there[0].Found() {
		return
	}
	writes := []store.Write{{Verb: store.Put, Item: store.Item{Key: key}, If: store.Absent()}}
	for i := range n {
		w, err := audit.Journal{}.Write(identity.Occurrence{
			Org: 101, User: 42, Key: 7, Event: "sign_in", By: k.who, At: now.Add(-time.Duration(i) * time.Second),
		})
		if err != nil {
			k.Fatal(err)
		}
		if writes = append(writes, w); len(writes) == store.MaxWritesPerCommit || i == n-1 {
			if err := k.store.Commit(k.Context(), writes...); err != nil {
				k.Fatal(err)
			}
			writes = nil
		}
	}
}

var link = regexp.MustCompile(`<([^>]*)>; rel="(\w+)"`)

func links(w *httptest.ResponseRecorder) map[string]string {
	out := map[string]string{}
	for _, m := range link.FindAllStringSubmatch(w.Header().Get("Link"), -1) {
		out[m[2]] = m[1]
	}
	return out
}

// TestPages follows the links forth and back, while newer entries are recorded.
func TestPages(t *testing.T) {
	k := newKit(t)
	k.fill(6500)
	first := k.get(path + "?per_page=1000&event_filter=sign_in")
	if h := first.Header(); h.Get("X-Total-Count") != "" || h.Get("X-Page-Count") != "1000" || h.Get("X-Current-Page") != "1" || links(first)["Previous"] != "" {
		t.Errorf("the first page has %v", h)
	}
	seen, last := 0, first
	for w := first; ; {
		seen += len(k.events(w))
		k.note("sign_in", now.Add(time.Duration(seen)*time.Millisecond))
		last = w
		next := links(w)["Next"]
		if next == "" {
			break
		}
		w = k.get(next)
	}
	if seen != 6500 || last.Header().Get("X-Current-Page") != "7" {
		t.Errorf("%d entries, the last page is %s", seen, last.Header().Get("X-Current-Page"))
	}
	back := len(k.events(last))
	for w := last; links(w)["Previous"] != ""; {
		w = k.get(links(w)["Previous"])
		back += len(k.events(w))
	}
	if back != 6500+7 {
		t.Errorf("back through %d entries", back)
	}
	if w := k.get(path + "?page=3&per_page=10"); len(k.events(w)) != 10 || w.Header().Get("X-Current-Page") != "3" || links(w)["Previous"] == "" {
		t.Errorf("the third page: %v", w.Header())
	}
	if w := k.get(path); w.Code != 400 || !strings.Contains(w.Body.String(), "page_required") {
		t.Errorf("all at once: %d %s", w.Code, w.Body)
	}
}

// TestWhoReadsAnOrganisationsLog: its admins; a member is denied on record, and
// any other organisation does not exist.
func TestWhoReadsAnOrganisationsLog(t *testing.T) {
	k := newKit(t)
	for target, status := range map[string]int{path: 200, "/orgs/102/audit_log": 404, "/orgs/x/audit_log": 404} {
		if w := k.get(target); w.Code != status {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	k.who.User.Admin = false
	if w := k.get(path); w.Code != 403 || !strings.Contains(w.Body.String(), `"forbidden"`) {
		t.Errorf("a member: %d %s", w.Code, w.Body)
	}
	k.who.Scopes = []access.Scope{access.ScopeWrite}
	if w := k.get(path); w.Code != 403 || !strings.Contains(w.Body.String(), `"scope_missing"`) {
		t.Errorf("without the scope: %d %s", w.Code, w.Body)
	}
	k.who.User.Admin, k.who.Scopes = true, access.Scopes
	if got := k.events(k.get(path)); !slices.Equal(got, []string{"denied", "denied"}) {
		t.Errorf("the log says %q", got)
	}
}

func TestWireForm(t *testing.T) {
	entries := []auditlog.Entry{
		auditlog.Of(audit.Entry{
			ID: 1, Org: 101, Credential: 5008, Event: audit.Updated, Summary: []string{"name changed"},
			Changes: map[string]audit.Change{"name": {"a", "b"}, "description": {nil, "x"}}, UserID: 42, UserEmail: "owner@example.com",
			KeyID: 77, KeyName: "night job", OwnerID: 42, OwnerEmail: "owner@example.com",
			Origin: identity.Origin{IP: "127.0.0.1", UserAgent: "curl", URL: "/data_credentials/5008"}, At: now,
		}),
		auditlog.Of(audit.Entry{ID: 2, Org: 101, Event: "sign_in_refused", Subject: audit.Subject{Type: "ServiceKey", ID: 78}, OwnerID: 42, At: now}),
	}
	got, err := json.Marshal(entries, json.Deterministic(true), jsontext.Multiline(true), jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const golden = "testdata/entry.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs, %v:\n%s", golden, err, got)
	}
}

// TestEventsAreDocumented holds docs/audit.md to the events of each log, in order.
func TestEventsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	for of, events := range map[string][]audit.Event{"a credential": credential.Filterable(), "an organisation": auditlog.OrgEvents()} {
		_, list, _ := strings.Cut(string(page), "\nEvents of "+of+": ")
		list, _, _ = strings.Cut(list, ".\n")
		want := "`" + strings.ReplaceAll(auditlog.Names(events), ", ", "`, `") + "`"
		if got := strings.ReplaceAll(list, "\n", " "); got != want {
			t.Errorf("docs/audit.md has these events of %s: %s\nwant %s", of, got, want)
		}
	}
}
