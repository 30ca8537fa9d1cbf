package signin_test

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/api/people"
	"credence/shared/api/signin"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/store/embedded"
)

var update = flag.Bool("update", false, "write the golden files anew")

// service is the family behind the Stack on a store of its own. Its clock
// stands still once the first key is a minute old: ids of one millisecond come
// in no order.
type service struct {
	http.Handler
	t      *testing.T
	id     *identity.Service
	org    identity.Org
	admin  identity.User
	key    string
	keyID  int64
	log    *bytes.Buffer
	golden strings.Builder
	names  []string // number or secret, then what the golden file calls it
}

func newService(t *testing.T) *service {
	t.Helper()
	at := time.Date(2026, 3, 4, 5, 6, 7, 80_000_000, time.UTC)
	now := func() time.Time { return at }
	store, err := embedded.Open(t.TempDir(), embedded.WithClock(now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &service{t: t, log: &bytes.Buffer{}, id: identity.New(store, audit.Journal{}, now)}
	made, err := s.id.CreateOrg(t.Context(), identity.Org{Name: "Acme", EmailDomain: "acme.example"}, identity.User{Email: "ada@acme.example", FullName: "Ada Acme"}, false)
	check(t, err)
	s.org, s.admin, s.key, s.keyID = made.Org, made.User, made.Text, made.Key.ID
	at = at.Add(time.Minute)
	s.Handler, err = httpapi.Stack(httpapi.Config{
		SignIn: s.id, Denials: audit.Refusals{Store: store, Now: now}, Logger: slog.New(slog.NewJSONHandler(s.log, nil)), Clock: now,
	}, signin.API{Identity: s.id}.Routes(), people.API{Identity: s.id, Grants: credential.Service{Store: store, Now: now}}.Routes())
	check(t, err)
	s.name(fmt.Sprint(s.org.ID), "<org>")
	s.name(fmt.Sprint(s.admin.ID), "<admin>")
	s.name(fmt.Sprint(made.Key.ID), "<first key>")
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *service) name(what, called string) { s.names = append([]string{what, called}, s.names...) }

// send asks with an Authorization header and returns the decoded answer.
func (s *service) send(request, authorization, body string) (int, map[string]any) {
	s.t.Helper()
	method, target, _ := strings.Cut(request, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r = r.WithContext(httpapi.WithRequestID(r.Context(), "req-1"))
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	out := map[string]any{}
	if raw := jsontext.Value(w.Body.Bytes()); raw.Kind() == '{' {
		check(s.t, json.Unmarshal(raw, &out))
	}
	for _, field := range []string{"access_token", "api_key"} {
		if text, ok := out[field].(string); ok {
			s.name(text, "<"+field+">")
			if field == "api_key" {
				s.name(fmt.Sprintf("%.0f", out["id"]), "<key>")
			}
			if strings.Contains(s.log.String(), text[len(text)-40:]) {
				s.t.Errorf("%s: a secret is in the log", request)
			}
		}
	}
	if made := "/users /teams"; method == "POST" && strings.Contains(made, target) && w.Code == http.StatusOK {
		s.name(fmt.Sprintf("%.0f", out["id"]), "<of "+target+">")
	}
	raw := jsontext.Value(w.Body.Bytes())
	check(s.t, raw.Indent())
	fmt.Fprintf(&s.golden, "%s\n%d %s\n", s.renamed(request), w.Code, s.renamed(string(raw)))
	if total := w.Header().Get("X-Total-Count"); total != "" {
		fmt.Fprintf(&s.golden, "X-Total-Count: %s\n", total)
	}
	return w.Code, out
}

func (s *service) renamed(text string) string { return strings.NewReplacer(s.names...).Replace(text) }

func (s *service) token(key string) string {
	s.t.Helper()
	code, out := s.send("POST /token", "Basic "+key, "")
	if code != 200 {
		s.t.Fatalf("signing in: %d", code)
	}
	return "Bearer " + out["access_token"].(string)
}

// TestTheWire pins every body of the family in a file to be read.
func TestTheWire(t *testing.T) {
	s := newService(t)
	bearer := s.token(s.key)
	wants := func(want int, request, body string) map[string]any {
		t.Helper()
		code, out := s.send(request, bearer, body)
		if code != want {
			t.Errorf("%s: %d, want %d", request, code, want)
		}
		return out
	}
	wants(200, "GET /users/current", "")
	made := wants(200, "POST /service_keys", `{"name":"job","description":"nightly","scopes":["read","probe"],"expires_at":"2026-04-01T00:00:00+02:00","id":5,"status":"x","api_key":"x"}`)
	id := fmt.Sprintf("%.0f", made["id"])
	path := "/service_keys/" + id
	wants(200, "GET "+path, "")
	wants(200, "PUT "+path, `{"name":"night job","description":null}`)
	wants(200, "PUT "+path, `{}`)
	for _, method := range []string{"PUT ", "POST "} {
		wants(200, method+path+"/pause", "")
		wants(200, method+path+"/activate", "")
		if again := wants(200, method+path+"/rotate", ""); again["api_key"] == made["api_key"] {
			t.Error("rotated to the same secret")
		}
	}
	wants(200, "GET /service_keys", "")
	wants(200, "GET /service_keys?page=2&per_page=1&sort_by=name&sort_order=ASC", "")
	wants(400, "POST /service_keys", `{"name":"","scopes":["read","all"],"expires_at":"tomorrow","owner_id":"x","description":7}`)
	wants(400, "POST /service_keys", ``)
	wants(400, "GET /service_keys?sort_by=age&page=0", "")
	wants(404, "GET /service_keys/1", "")
	wants(404, "DELETE /service_keys/abc", "")
	wants(200, "DELETE "+path, "")
	wants(404, "PUT "+path, `{"name":"x"}`)
	wants(200, "POST /token/refresh", "")
	wants(200, "POST /token/logout", "")
	wants(401, "GET /users/current", "")

	s.compare("testdata/wire.golden")
}

// TestTheWireOfPeople pins the bodies of users, organisations and keys for
// others.
func TestTheWireOfPeople(t *testing.T) {
	s := newService(t)
	made, err := s.id.CreateUser(t.Context(), s.org, identity.User{Email: "mo@acme.example", FullName: "Mo Member"})
	check(t, err)
	s.name(fmt.Sprint(made.User.ID), "<member>")
	s.name(fmt.Sprint(made.Key.ID), "<member's first key>")
	admin, member := s.token(s.key), s.token(made.Text)
	s.golden.Reset() // signing in is in the other file
	org, user, boss := fmt.Sprintf("/orgs/%d", s.org.ID), fmt.Sprintf("/users/%d", made.User.ID), fmt.Sprintf("/users/%d", s.admin.ID)
	wants := func(want int, bearer, request, body string) map[string]any {
		t.Helper()
		code, out := s.send(request, bearer, body)
		if code != want {
			t.Errorf("%s: %d, want %d", request, code, want)
		}
		return out
	}
	wants(200, admin, "GET /users?sort_by=name&sort_order=ASC", "")
	wants(200, admin, "GET /users?page=2&per_page=1&sort_by=created_at&sort_order=ASC", "")
	wants(403, member, "GET /users", "")
	wants(200, admin, "GET "+user, "")
	wants(404, member, "GET "+boss, "")
	wants(200, member, "PUT "+user, `{"full_name":"Mo M. Member","id":5,"email":"mo@acme.example"}`)
	wants(403, member, "PUT "+user, `{"email":"other@acme.example"}`)
	wants(200, admin, "PUT "+user, `{"email":"mo.member@acme.example"}`)
	wants(400, admin, "POST /users", `{"email":"MO.member@acme.example"}`)
	wants(403, member, "PUT "+user, `{"is_admin":true}`)
	wants(200, admin, "PUT "+user, `{"is_admin":true,"status":"ACTIVE"}`)
	wants(403, admin, "PUT "+boss, `{"status":"DEACTIVATED"}`)
	wants(400, admin, "PUT "+user, `{"full_name":"","status":"GONE","is_admin":"maybe"}`)
	wants(200, member, "GET /orgs", "")
	wants(200, member, "GET "+org, "")
	wants(404, admin, "GET /orgs/1", "")
	wants(200, member, "GET "+org+"/members", "")
	wants(200, admin, "POST /users", `{"email":"lovelace@acme.example","name":"Ada Lovelace","admin":false,"user_tier":"FREE"}`)
	wants(400, admin, "POST /users", `{"full_name":"","org_id":1,"password":"p"}`)
	team := wants(200, member, "POST /teams", fmt.Sprintf(`{"name":"Data","members":[{"id":%d,"admin":true},{"email":"MO.member@acme.example"}]}`, s.admin.ID))
	path := fmt.Sprintf("/teams/%.0f", team["id"])
	wants(200, admin, "GET /teams?per_page=5", "")
	wants(200, member, "PUT "+path, `{"name":"Data engineering","description":"Loads the warehouse"}`)
	wants(200, member, "DELETE "+path+"/members", fmt.Sprintf(`{"members":[{"id":%d}]}`, s.admin.ID))
	wants(200, member, "GET "+path+"/members", "")
	wants(400, member, "PUT "+path+"/members", `{"members":[{"admin":true},{"id":5},{"email":"nobody@acme.example"}]}`)
	wants(400, member, "PUT "+path+"/members", `{"members":[{"id":5},{"email":"nobody@acme.example"}]}`)
	wants(200, member, "DELETE "+path+"?force=1", "")
	wants(404, member, "GET "+path, "")
	k := wants(200, admin, "POST /service_keys", fmt.Sprintf(`{"name":"for Mo","owner_id":%d}`, made.User.ID))
	key := fmt.Sprintf("/service_keys/%.0f", k["id"])
	wants(400, admin, "PUT "+key, `{"scopes":["read","reveal"],"expires_at":"2027-03-04T05:06:08Z"}`)
	wants(200, admin, fmt.Sprintf("GET /service_keys?owner_id=%d&sort_by=name&sort_order=DESC", made.User.ID), "")
	wants(200, admin, "PUT "+user, `{"status":"DEACTIVATED"}`)
	wants(401, member, "GET /users/current", "")
	_, err = s.id.DeleteKey(t.Context(), identity.Operator(s.org), s.keyID)
	check(t, err)
	text, err := s.adminKey()
	check(t, err)
	wants(200, s.token(text), "GET "+key, "") // ENDED with the key that made it
	s.compare("testdata/people.golden")
}

// adminKey makes another key of the admin, as the operator.
func (s *service) adminKey() (string, error) {
	name := "another key"
	k, text, err := s.id.CreateKey(s.t.Context(), identity.Operator(s.org), identity.Draft{Name: &name, OwnerID: &s.admin.ID})
	s.name(fmt.Sprint(k.ID), "<another key>")
	return text, err
}

// compare holds what was sent and answered to a golden file.
func (s *service) compare(file string) {
	t := s.t
	t.Helper()
	got := s.golden.String()
	if *update {
		check(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	check(t, err)
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference", file)
	}
}

func TestSigningIn(t *testing.T) {
	s := newService(t)
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	typo := s.key[:len(s.key)-12] + "x" + s.key[len(s.key)-11:]
	if typo == s.key {
		typo = s.key[:len(s.key)-12] + "y" + s.key[len(s.key)-11:]
	}
	for name, row := range map[string]struct {
		header string
		status int
		code   fault.Code
	}{
		"the raw key":             {"Basic " + s.key, 200, ""},
		"another case":            {"basic " + s.key, 200, ""},
		"as curl -u KEY: sends":   {basic(s.key + ":"), 200, ""},
		"base64 of the key alone": {basic(s.key), 200, ""},
		"a typing error":          {"Basic " + typo, 401, fault.CodeUnauthenticated},
		"a typing error, base64":  {basic(typo + ":"), 401, fault.CodeUnauthenticated},
		"cut short":               {"Basic " + s.key[:30], 401, fault.CodeUnauthenticated},
		"a password beside it":    {basic(s.key + ":password"), 401, fault.CodeUnauthenticated},
		"a session's token":       {"Basic " + strings.TrimPrefix(s.token(s.key), "Bearer "), 401, fault.CodeUnauthenticated},
		"user and password":       {basic("ada@acme.example:password"), 401, fault.CodeUnauthenticated},
		"any word":                {"Basic invalid-key-12345", 401, fault.CodeUnauthenticated},
		"what is not base64":      {"Basic ===", 401, fault.CodeUnauthenticated},
		"several words":           {"Basic not a key", 401, fault.CodeUnauthenticated},
		"a word alone":            {"invalid-key-12345", 401, fault.CodeUnauthenticated},
		"no header":               {"", 400, fault.CodeMalformedAuth},
		"the scheme alone":        {"Basic", 400, fault.CodeMalformedAuth},
		"the scheme and a space":  {"basic ", 400, fault.CodeMalformedAuth},
		"a blank header":          {"  ", 400, fault.CodeMalformedAuth},
		"another scheme alone":    {"Bearer", 401, fault.CodeUnauthenticated},
		"no scheme":               {s.key, 401, fault.CodeUnauthenticated},
		"two words":               {"Basic " + s.key + " x", 401, fault.CodeUnauthenticated},
		"another scheme":          {"Digest " + s.key, 401, fault.CodeUnauthenticated},
		"a bearer":                {"Bearer " + s.key, 401, fault.CodeUnauthenticated},
		"a JWT":                   {"Bearer eyJhbGciOiJub25lIn0.e30.", 401, fault.CodeUnauthenticated},
	} {
		code, out := s.send("POST /token", row.header, "")
		if code != row.status || row.code != "" && out["error_code"] != string(row.code) {
			t.Errorf("%s: %d %v, want %d %s", name, code, out["error_code"], row.status, row.code)
		}
		if text := fmt.Sprint(out["message"], out["details"]); strings.Contains(text, "password") || strings.Contains(text, s.key[10:]) {
			t.Errorf("%s: the answer repeats what was sent", name)
		}
	}
	if strings.Contains(s.log.String(), s.key[len(s.key)-40:]) {
		t.Error("the key is in the log")
	}
}

func TestScopesBindKeys(t *testing.T) {
	s := newService(t)
	full := s.token(s.key)
	_, made := s.send("POST /service_keys", full, `{"name":"reader","scopes":["read"]}`)
	reader := s.token(made["api_key"].(string))
	path := fmt.Sprintf("/service_keys/%.0f", made["id"])
	for _, request := range []string{"POST /service_keys", "PUT " + path, "DELETE " + path, "POST " + path + "/rotate", "PUT " + path + "/pause", "POST " + path + "/activate"} {
		if code, out := s.send(request, reader, `{"name":"x"}`); code != 403 || out["error_code"] != "scope_missing" {
			t.Errorf("%s with a key that only reads: %d %v", request, code, out["error_code"])
		}
	}
	for _, request := range []string{"GET /users/current", "GET /service_keys", "GET " + path} {
		if code, _ := s.send(request, reader, ""); code != 200 {
			t.Errorf("%s with a key that only reads: %d", request, code)
		}
		if code, _ := s.send(request, "", ""); code != 401 {
			t.Errorf("%s without a token: %d", request, code)
		}
	}
}
