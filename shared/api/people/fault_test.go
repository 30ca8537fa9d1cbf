package people_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"credence/shared/api/people"
	"credence/shared/audit"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/store/embedded"
	"credence/shared/store/storetest"
)

// TestAnswersOfTeamsAreTrue has each call of the store fail that a change of a team
// makes: an answer that is no success, which says that nothing was changed, leaves the
// team as it was.
func TestAnswersOfTeamsAreTrue(t *testing.T) {
	kept, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	store := storetest.NewFaulty(kept)
	id := identity.New(store, audit.Journal{}, time.Now)
	made, err := id.CreateOrg(t.Context(), identity.Org{Name: "Acme", EmailDomain: "acme.example"}, identity.User{Email: "ada@acme.example"}, false)
	if err != nil {
		t.Fatal(err)
	}
	other, err := id.CreateUser(t.Context(), made.Org, identity.User{Email: "mo@acme.example"})
	if err != nil {
		t.Fatal(err)
	}
	session, err := id.SignIn(t.Context(), made.Text, identity.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := httpapi.Stack(httpapi.Config{SignIn: id, Denials: audit.Refusals{Store: store, Now: time.Now}, Logger: slog.New(slog.DiscardHandler)},
		people.API{Identity: id}.Routes())
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path, body string) (int, string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+session.Token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if code, text := send("POST", "/teams", `{"name":"t","members":[{"id":1,"admn":true}]}`); code != http.StatusBadRequest || !strings.Contains(text, `"/members/0/admn"`) || !strings.Contains(text, "Did you mean admin?") {
		t.Errorf("a misspelled field of a member: %d %s", code, text)
	}
	member := fmt.Sprintf(`[{"id":%d}]`, other.User.ID)
	for n, row := range []struct{ method, path, body string }{
		{"POST", "/teams", `{"name":"made %d","members":` + member + `}`},
		{"PUT", "/teams/ID", `{"name":"changed %d"}`},
		{"PUT", "/teams/ID/members", `{"members":` + member + `}`},
		{"DELETE", "/teams/ID/members", `{"members":` + member + `}`},
	} {
		for nth := 1; ; nth++ {
			_, text := send("POST", "/teams", fmt.Sprintf(`{"name":"team %d %d"}`, n, nth))
			var team int64
			if _, err := fmt.Sscanf(text, `{"id":%d`, &team); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			path, body := strings.Replace(row.path, "ID", fmt.Sprint(team), 1), row.body
			if strings.Contains(body, "%d") {
				body = fmt.Sprintf(body, nth)
			}
			if row.method == "DELETE" {
				send("PUT", path, body)
			}
			state := func() string {
				_, one := send("GET", fmt.Sprint("/teams/", team), "")
				_, all := send("GET", "/teams", "")
				return one + all
			}
			before := state()
			store.Plan(nth, storetest.Away, nil)
			code, answer := send(row.method, path, body)
			happened := store.Happened()
			store.Reset()
			if !happened {
				if code != http.StatusOK || nth < 3 {
					t.Errorf("%s %s: %d %s after %d calls", row.method, row.path, code, answer, nth-1)
				}
				break
			}
			if changed := state() != before; changed != (code == http.StatusOK) {
				t.Errorf("%s %s, call %d: answered %d %s, changed %v", row.method, row.path, nth, code, answer, changed)
			}
		}
	}
}
