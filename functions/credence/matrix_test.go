package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/api/openapi"
	"credence/shared/identity"
)

// TestMatrix asserts testdata/matrix.txt: what each route answers to each principal.
// The principals of one organisation are the owner of the thing that the path names,
// three users who were granted it, an admin of the organisation, and a member without
// a grant; the outsider is an admin of another organisation. A role is granted in three
// ways, to the user, to a team of the user and to the whole organisation, and each
// has the same answer. A grant that has expired is none, and neither is any for a
// credential that is deleted.
func TestMatrix(t *testing.T) {
	rows := readMatrix(t)
	var described []string
	for _, pattern := range (openapi.API{}).Patterns() {
		described = append(described, pattern)
		if _, found := rows[pattern]; !found {
			t.Errorf("testdata/matrix.txt has no row for %s", pattern)
		}
	}
	m := newMatrix(t)
	for pattern, row := range rows {
		if !slices.Contains(described, pattern) {
			t.Errorf("testdata/matrix.txt has a row for %s, which is no route", pattern)
			continue
		}
		m.row(t, pattern, row)
	}
	m.expired(t, rows)
}

// principals are the columns. Those with a role hold it by a grant on a credential.
var principals = []string{"owner", "admin", "operator", "collaborator", "org-admin", "member", "outsider"}

var granted = []string{"admin", "operator", "collaborator"}

type matrixRow struct {
	want []string // a status for each principal
	body string
}

// readMatrix reads the table: method, path, a status for each principal, the body.
func readMatrix(t *testing.T) map[string]matrixRow {
	t.Helper()
	text, err := os.ReadFile("testdata/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]matrixRow{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) < 2+len(principals) {
			t.Fatalf("testdata/matrix.txt: a row has %d columns: %s", len(f), line)
		}
		row := matrixRow{want: f[2 : 2+len(principals)], body: strings.Join(f[2+len(principals):], " ")}
		rows[f[0]+" "+f[1]] = row
	}
	return rows
}

// matrix is a service with the principals signed in.
type matrix struct {
	handler http.Handler
	sign    map[string]string // headers of principals
	key     map[string]string // service keys of principals
	id      map[string]string // users
	org     string
	teams   map[string]string // of one granted user each
}

var (
	idMember   = regexp.MustCompile(`"id":(\d+)`)
	tokenField = regexp.MustCompile(`"access_token":"([^"]+)"`)
)

func newMatrix(t testing.TB) *matrix {
	t.Helper()
	p, first := newBench(t)
	m := &matrix{handler: p.handler, sign: map[string]string{}, key: map[string]string{}, id: map[string]string{}, teams: map[string]string{}}
	m.key["org-admin"] = first
	m.sign["org-admin"] = m.session(t, first)
	me := m.ok(t, "org-admin", "GET", "/users/current", "")
	m.id["org-admin"] = idMember.FindStringSubmatch(me)[1]
	m.org = regexp.MustCompile(`"default_org":\{"id":(\d+)`).FindStringSubmatch(me)[1]
	for _, name := range []string{"owner", "admin", "operator", "collaborator", "member"} {
		m.id[name] = idMember.FindStringSubmatch(m.ok(t, "org-admin", "POST", "/users", `{"email":"the-`+name+`@example.com","full_name":"`+name+`"}`))[1]
		m.key[name] = m.everyScope(t, p, m.id[name])
		m.sign[name] = m.session(t, m.key[name])
	}
	for _, name := range granted {
		m.teams[name] = idMember.FindStringSubmatch(m.ok(t, "org-admin", "POST", "/teams", `{"name":"team of `+name+`","members":[{"id":`+m.id[name]+`}]}`))[1]
	}
	other, err := p.data.identity.CreateOrg(t.Context(), identity.Org{Name: "Other", EmailDomain: "other.example"}, identity.User{Email: "admin@other.example"}, false)
	if err != nil {
		t.Fatal(err)
	}
	m.key["outsider"] = other.Text
	m.sign["outsider"] = m.session(t, other.Text)
	return m
}

// everyScope makes a key that holds every scope, so that roles alone decide. Only the
// operator makes one with reveal for somebody else.
func (m *matrix) everyScope(t testing.TB, p *program, user string) string {
	t.Helper()
	id := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	name, owner := "every scope", id(user)
	_, text, err := p.data.identity.CreateKey(t.Context(), identity.Operator(identity.Org{ID: id(m.org)}), identity.Draft{Name: &name, OwnerID: &owner, Scopes: access.Scopes})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// session signs in anew.
func (m *matrix) session(t testing.TB, key string) string {
	t.Helper()
	code, body := m.send(t, "Basic "+key, "POST", "/token", "")
	if code != http.StatusOK {
		t.Fatalf("signing in is answered %d %s", code, body)
	}
	return "Bearer " + tokenField.FindStringSubmatch(body)[1]
}

func (m *matrix) send(t testing.TB, sign, method, target, body string) (int, string) {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	r := &http.Request{
		Method: method, URL: &url.URL{Path: path, RawQuery: query}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RequestURI: target,
		Host: "localhost", RemoteAddr: "127.0.0.1:4000", Header: http.Header{"Authorization": {sign}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	w := &answer{header: http.Header{}, status: http.StatusOK}
	m.handler.ServeHTTP(w, r.WithContext(t.Context()))
	return w.status, string(w.body)
}

// ok sends a request that must succeed.
func (m *matrix) ok(t testing.TB, who, method, target, body string) string {
	t.Helper()
	code, answer := m.send(t, m.sign[who], method, target, body)
	if code != http.StatusOK {
		t.Fatalf("%s %s by %s is answered %d %s", method, target, who, code, answer)
	}
	return answer
}

const matrixCredential = `{"name":"m","credentials_type":"rest","credentials":{"api_key":"matrix-secret","base_url":"https://127.0.0.1:1/"}}`

// subject makes the thing that {id} names, owned by the owner, and returns its id.
func (m *matrix) subject(t *testing.T, pattern string) string {
	t.Helper()
	_, path, _ := strings.Cut(pattern, " ")
	family, _, one := strings.Cut(path, "/{")
	if !one {
		return ""
	}
	made := ""
	switch family {
	case "/data_credentials":
		made = m.ok(t, "owner", "POST", family, matrixCredential)
	case "/data_sources", "/data_sinks":
		made = m.ok(t, "owner", "POST", family, `{"name":"m","data_credentials":`+matrixCredential+`}`)
	case "/service_keys":
		made = m.ok(t, "owner", "POST", family, `{"name":"m","scopes":["read"]}`)
	case "/teams":
		made = m.ok(t, "owner", "POST", family, `{"name":"team `+fmt.Sprint(time.Now().UnixNano())+`"}`)
	case "/users":
		return m.id["owner"]
	case "/orgs":
		return m.org
	case "/credential_types", "/docs":
		return "rest"
	default:
		t.Fatalf("the matrix does not know %s", family)
	}
	return idMember.FindStringSubmatch(made)[1]
}

// ways are the grants by which a principal gets a role on a credential.
func (m *matrix) ways(role string) []string {
	return []string{
		`{"type":"USER","id":` + m.id[role] + `,"access_role":"` + role + `"}`,
		`{"type":"TEAM","id":` + m.teams[role] + `,"access_role":"` + role + `"}`,
		`{"type":"ORG","id":` + m.org + `,"access_role":"` + role + `"}`,
	}
}

func (m *matrix) row(t *testing.T, pattern string, row matrixRow) {
	t.Helper()
	for n, who := range principals {
		if row.want[n] == "-" {
			continue
		}
		grants := []string{""}
		if slices.Contains(granted, who) && strings.Contains(pattern, " /data_credentials/{id}") {
			grants = m.ways(who)
		}
		for _, grant := range grants {
			id := m.subject(t, pattern)
			if grant != "" {
				m.ok(t, "owner", "PUT", "/data_credentials/"+id+"/accessors", `{"accessors":[`+grant+`]}`)
			}
			m.wants(t, cell{pattern, who, id, row.body, grant}, row.want[n])
			if strings.Contains(pattern, " /service_keys/{id}") { // a user has at most 20
				m.send(t, m.sign["owner"], "DELETE", "/service_keys/"+id, "")
			}
		}
	}
	if strings.Contains(pattern, " /data_credentials/{id}") {
		id := m.subject(t, pattern)
		m.ok(t, "owner", "PUT", "/data_credentials/"+id+"/accessors", `{"accessors":[`+m.ways("admin")[0]+`]}`)
		m.ok(t, "owner", "DELETE", "/data_credentials/"+id, "")
		for _, who := range principals {
			want := "404"
			if strings.HasSuffix(pattern, "/audit_log") && (who == "owner" || who == "org-admin") {
				want = "200" // a log outlives its credential
			}
			m.wants(t, cell{pattern, who, id, row.body, "a deleted credential"}, want)
		}
	}
}

// cell is one request by one principal.
type cell struct {
	pattern, who string
	id, body     string
	why          string // the principal gets the answer
}

// wants sends the request and compares the status.
func (m *matrix) wants(t *testing.T, c cell, want string) {
	t.Helper()
	method, path, _ := strings.Cut(c.pattern, " ")
	path = regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(path, c.id)
	fill := strings.NewReplacer("OWNER", m.id["owner"], "MEMBER", m.id["member"], "ORG", m.org)
	sign := m.sign[c.who]
	switch path {
	case "/token":
		sign = "Basic " + m.key[c.who]
	case "/token/logout", "/token/refresh":
		sign = m.session(t, m.key[c.who])
	}
	if code, answer := m.send(t, sign, method, path, fill.Replace(c.body)); fmt.Sprint(code) != want {
		t.Errorf("%s by %s (%s) is answered %d, want %s: %.300s", c.pattern, c.who, c.why, code, want, answer)
	}
}

// expired has every route on a credential answer to expired grants as to none.
func (m *matrix) expired(t *testing.T, rows map[string]matrixRow) {
	t.Helper()
	type prepared struct{ pattern, id string }
	var list []prepared
	for pattern := range rows {
		if strings.Contains(pattern, " /data_credentials/{id}") {
			list = append(list, prepared{pattern, m.subject(t, pattern)})
		}
	}
	end := time.Now().Add(2 * time.Second)
	for _, p := range list {
		var grants []string
		for _, g := range m.ways("admin") {
			grants = append(grants, strings.TrimSuffix(g, "}")+`,"access_role_expires_at":"`+end.UTC().Format(time.RFC3339Nano)+`"}`)
		}
		m.ok(t, "owner", "PUT", "/data_credentials/"+p.id+"/accessors", `{"accessors":[`+strings.Join(grants, ",")+`]}`)
	}
	time.Sleep(time.Until(end) + 10*time.Millisecond)
	for _, p := range list {
		m.wants(t, cell{p.pattern, "admin", p.id, rows[p.pattern].body, "an expired grant"}, "404")
	}
}
