package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/store"
)

// desk signs in whoever says "good" and keeps, like a sign-in on a store, to
// one answer for everybody else. It notes what happened, in order.
type desk struct {
	scopes []access.Scope
	steps  []string
	fails  error // of the audit of refusals
}

func (d *desk) Authenticate(ctx context.Context, bearer string, from identity.Origin, l identity.Load) (identity.Caller, error) {
	d.steps = append(d.steps, "sign-in")
	if _, bounded := ctx.Deadline(); !bounded {
		return identity.Caller{}, errors.New("no deadline")
	}
	if bearer != "good" {
		return identity.Caller{}, fault.New(fault.CodeUnauthenticated, "why")
	}
	if l != nil {
		l.Fill(make([]store.Item, len(l.Keys(7))))
	}
	return identity.Caller{Org: identity.Org{ID: 7}, User: identity.User{ID: 8}, KeyID: 9, Scopes: d.scopes, Origin: from}, nil
}

// thing is a load that notes what it was given.
type thing struct{ id, org, rows int64 }

func (l *thing) Of(id int64)                     { l.id = id }
func (l *thing) Keys(org int64) []store.Key      { l.org = org; return make([]store.Key, 2) }
func (l *thing) Fill(rows []store.Item)          { l.rows = int64(len(rows)) }
func (*thing) Resource() string                  { return "Thing" }
func (*thing) OwnerSeenBy(identity.Caller) int64 { return 42 }

func (d *desk) Denied(_ context.Context, who identity.Caller, r access.Refusal) error {
	d.steps = append(d.steps, fmt.Sprintf("denied %d %s %s %s %d of %d", who.KeyID, r.Route, r.Missing, r.Resource, r.ResourceID, r.Owner))
	return d.fails
}

type kit struct {
	*desk
	http.Handler
	log bytes.Buffer
}

func newKit(t *testing.T, routes ...httpapi.Route) *kit {
	t.Helper()
	k := &kit{desk: &desk{scopes: access.Scopes}}
	var err error
	k.Handler, err = httpapi.Stack(httpapi.Config{
		SignIn: k.desk, Denials: k.desk, Logger: slog.New(slog.NewJSONHandler(&k.log, nil)),
		Clock: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}, routes)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kit) send(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r = r.WithContext(httpapi.WithRequestID(r.Context(), "req-1"))
	r.Header.Set("Authorization", "Bearer good")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w
}

func wants(t *testing.T, w *httptest.ResponseRecorder, status int, code string) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("the body is no JSON object: %v", err)
	}
	if w.Code != status || code != "" && body["error_code"] != code {
		t.Errorf("answered %d %v, want %d %s", w.Code, body["error_code"], status, code)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "X-Request-Id": "req-1",
	} {
		if got := w.Header()[http.CanonicalHeaderKey(name)]; len(got) != 1 || got[0] != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	return body
}

func echo(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	return httpapi.Answer{Body: map[string]string{"id": r.HTTP.PathValue("id"), "pattern": r.HTTP.Pattern}}, nil
}

func TestTheOrderOfTheStack(t *testing.T) {
	handled := 0
	route := httpapi.On("POST /things/{id}", access.Update, func(_ context.Context, r *httpapi.Request, l *thing) (httpapi.Answer, error) {
		handled++
		if *l != (thing{id: 3, org: 7, rows: 2}) || r.Caller.KeyID != 9 || r.Origin.RequestID != "req-1" {
			t.Errorf("the endpoint sees %v, key %d, request %q", l, r.Caller.KeyID, r.Origin.RequestID)
		}
		return httpapi.Answer{Header: http.Header{"Etag": {`"v1"`}, "Cache-Control": {"public"}}}, nil
	})
	big := strings.Repeat(" ", httpapi.MaxBodyBytes+1)
	for _, row := range []struct {
		name, target, body, bearer string
		scopes                     []access.Scope
		auditFails                 error
		status                     int
		code                       string
		steps                      []string
		handled                    int
	}{
		{"served", "/things/3", "{}", "good", access.Scopes, nil, 200, "", []string{"sign-in"}, 1},
		{"a body at the limit", "/things/3", big[1:], "good", access.Scopes, nil, 200, "", []string{"sign-in"}, 1},
		{"no id, which nothing is loaded for", "/things/x", "{}", "good", access.Scopes, nil, 404, "not_found", []string{"sign-in"}, 0},
		{"no route, before anything else", "/nothing", big, "bad", nil, nil, 404, "route_not_found", nil, 0},
		{"nobody, before the body", "/things/3", big, "bad", nil, nil, 401, "unauthenticated", []string{"sign-in"}, 0},
		{"too long", "/things/3", big, "good", access.Scopes, nil, 413, "too_large", []string{"sign-in"}, 0},
		{
			"no scope, before the body", "/things/3", big, "good",
			[]access.Scope{access.ScopeRead},
			nil, 403, "scope_missing",
			[]string{"sign-in", "denied 9 POST /things/{id} [write] Thing 3 of 42"},
			0,
		},
		{
			"a refusal that cannot be recorded", "/things/3", "{", "good", nil, store.ErrUnavailable, 503, "store_unavailable",
			[]string{"sign-in", "denied 9 POST /things/{id} [write] Thing 3 of 42"},
			0,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			handled = 0
			k := newKit(t, route)
			k.scopes, k.fails = row.scopes, row.auditFails
			w := k.send("POST", row.target, row.body, "Authorization", "Bearer "+row.bearer)
			wants(t, w, row.status, row.code)
			if !slices.Equal(k.steps, row.steps) || handled != row.handled {
				t.Errorf("steps %q, handled %d; want %q, %d", k.steps, handled, row.steps, row.handled)
			}
			if lines := strings.Count(k.log.String(), "\n"); lines != 1 {
				t.Errorf("%d lines in the log, want 1", lines)
			}
			if tag := w.Header().Get("Etag"); (tag == `"v1"`) != (row.status == 200) {
				t.Errorf("ETag %q with status %d", tag, row.status)
			}
		})
	}
}

func TestAuthorizationHeaders(t *testing.T) {
	for _, row := range []struct {
		values []string
		want   string
		ok     bool
	}{
		{[]string{"Bearer abc"}, "abc", true},
		{[]string{"bearer abc"}, "abc", true},
		{[]string{"BEARER  abc "}, "abc", true},
		{nil, "", false},
		{[]string{""}, "", false},
		{[]string{"Bearer"}, "", false},
		{[]string{"Bearer "}, "", false},
		{[]string{"Basic abc"}, "", false},
		{[]string{"Bearer a b"}, "", false},
		{[]string{"Bearer abc", "Bearer def"}, "", false},
	} {
		got, ok := httpapi.Credentials(http.Header{"Authorization": row.values}, "Bearer")
		if ok != row.ok || ok && got != row.want {
			t.Errorf("%q gives %q, %v", row.values, got, ok)
		}
	}
}

func TestContentEncoding(t *testing.T) {
	k := newKit(t, httpapi.Route{Pattern: "POST /a", Needs: access.Update, Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
		_, err := r.Body("a")
		return httpapi.Answer{}, err
	}})
	for coding, status := range map[string]int{
		"": 200, "identity": 200, "Identity": 200, " ": 200,
		"gzip": 415, "GZIP": 415, "identity, gzip": 415, "br": 415, "deflate": 415, "zstd": 415, "x-made-up": 415, "aws-chunked": 415,
	} {
		w := k.send("POST", "/a", `{"a":1}`, "Content-Encoding", coding)
		code := ""
		if status == 415 {
			code = "unsupported_media_type"
		}
		wants(t, w, status, code)
		if got := w.Header().Get("Accept-Encoding"); (got == "identity") != (status == 415) {
			t.Errorf("%q: Accept-Encoding %q", coding, got)
		}
	}
	// Clients name odd types for JSON; the body decides.
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"} {
		wants(t, k.send("POST", "/a", `{"a":1}`, "Content-Type", kind), 200, "")
	}
	if w := k.send("POST", "/a", "", "Content-Encoding", "gzip"); w.Code != 400 {
		t.Errorf("without a body: %d, want the 400 for that", w.Code)
	}
}

func TestStackRefusesRoutes(t *testing.T) {
	d := &desk{}
	cfg := httpapi.Config{SignIn: d, Denials: d, Logger: slog.New(slog.DiscardHandler)}
	good := httpapi.Route{Pattern: "GET /a", Public: true, Handle: echo}
	for name, row := range map[string]struct {
		cfg    httpapi.Config
		routes []httpapi.Route
	}{
		"nothing":               {cfg, nil},
		"no parts":              {httpapi.Config{}, []httpapi.Route{good}},
		"neither public nor no": {cfg, []httpapi.Route{{Pattern: "GET /a", Handle: echo}}},
		"public and not":        {cfg, []httpapi.Route{{Pattern: "GET /a", Public: true, Needs: access.Read, Handle: echo}}},
		"unknown permission":    {cfg, []httpapi.Route{{Pattern: "GET /a", Needs: 1 << 15, Handle: echo}}},
		"no handler":            {cfg, []httpapi.Route{{Pattern: "GET /a", Public: true}}},
		"twice":                 {cfg, []httpapi.Route{good, good}},
		"conflict":              {cfg, []httpapi.Route{{Pattern: "GET /{a}/b", Public: true, Handle: echo}, {Pattern: "GET /a/{b}", Public: true, Handle: echo}}},
		"no method":             {cfg, []httpapi.Route{{Pattern: "/a", Public: true, Handle: echo}}},
		"a tree":                {cfg, []httpapi.Route{{Pattern: "GET /a/", Public: true, Handle: echo}}},
		"the rest":              {cfg, []httpapi.Route{{Pattern: "GET /a/{b...}", Public: true, Handle: echo}}},
		"an id of nothing":      {cfg, []httpapi.Route{{Pattern: "GET /a/{id}", Public: true, Handle: echo}}},
		"a resource without id": {cfg, []httpapi.Route{{Pattern: "GET /a", Public: true, Resource: "A", Handle: echo}}},
	} {
		if h, err := httpapi.Stack(row.cfg, row.routes); err == nil || h != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := httpapi.Stack(cfg, []httpapi.Route{good}); err != nil {
		t.Errorf("a good route is refused: %v", err)
	}
}

func TestTheGatewaysRouteIsCompared(t *testing.T) {
	k := newKit(t, httpapi.Route{Pattern: "GET /things/{id}", Public: true, Resource: "Thing", Handle: echo})
	for key, status := range map[string]int{"GET /things/{id}": 200, "GET /things/{id}/tags": 404, "$default": 404} {
		r := httptest.NewRequest("GET", "/things/3", nil)
		w := httptest.NewRecorder()
		k.ServeHTTP(w, r.WithContext(httpapi.WithRouteKey(r.Context(), key)))
		if w.Code != status {
			t.Errorf("with route key %q: %d, want %d", key, w.Code, status)
		}
	}
}

type explosive struct{}

func (explosive) MarshalJSONTo(*jsontext.Encoder) error { panic("hunter2-in-encoder") }

func TestAPanicIsAnErrorLikeAnyOther(t *testing.T) {
	for name, handle := range map[string]func(context.Context, *httpapi.Request) (httpapi.Answer, error){
		"a text": func(context.Context, *httpapi.Request) (httpapi.Answer, error) { panic("hunter2") },
		"an error": func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
			panic(errors.New("hunter2"))
		},
		"abort": func(context.Context, *httpapi.Request) (httpapi.Answer, error) { panic(http.ErrAbortHandler) },
		"nil": func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
			var p *int
			_ = *p
			return httpapi.Answer{}, nil
		},
		"in the encoder": func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
			return httpapi.Answer{Body: explosive{}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, httpapi.Route{Pattern: "GET /a", Public: true, Handle: handle})
			w := k.send("GET", "/a", "")
			wants(t, w, 500, "internal")
			line := k.log.String()
			if strings.Contains(w.Body.String()+line, "hunter2") {
				t.Error("the panic's value leaks")
			}
			if !strings.Contains(line, "panic of type") || !strings.Contains(line, "TestAPanic") && name != "in the encoder" {
				t.Errorf("the log does not say where the panic came from: %s", line)
			}
		})
	}
}

func TestTheLogLine(t *testing.T) {
	k := newKit(t, httpapi.Route{
		Pattern: "POST /things/{id}", Needs: access.Update, Resource: "Thing", Query: []string{"token"},
		Handle: func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
			return httpapi.Answer{}, fmt.Errorf("doing: %w", fault.New(fault.CodeInternal, "x").Because(errors.New("the cause")))
		},
	})
	k.send("POST", "/things/3?token=canary-query", `{"p":"canary-body"}`,
		"X-Other", "canary-header", "User-Agent", "agent\x1b[31m\n\u202e"+strings.Repeat("é", 200))
	var line map[string]any
	if err := json.Unmarshal(k.log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"time", "level", "msg", "request_id", "method", "route", "status", "latency_ms", "bytes_in", "bytes_out",
		"client", "user_agent", "org", "user", "key", "error_code", "cause",
	}
	for name := range line {
		if !slices.Contains(allowed, name) {
			t.Errorf("the field %q is not on the list", name)
		}
	}
	for _, name := range allowed {
		if _, ok := line[name]; !ok {
			t.Errorf("the field %q is missing", name)
		}
	}
	if strings.Contains(k.log.String(), "canary") {
		t.Error("what was sent is in the log")
	}
	if a := line["user_agent"].(string); len(a) > 100 || !strings.HasPrefix(a, "agent[31mé") {
		t.Errorf("user agent of %d bytes: %q", len(a), a)
	}
	if line["route"] != "POST /things/{id}" || line["key"] != 9.0 || line["bytes_in"] != 19.0 || !strings.Contains(line["cause"].(string), "the cause") {
		t.Errorf("the line is %v", line)
	}
	k.log.Reset()
	k.send("MADE-UP-canary", "/canary", "")
	if strings.Contains(k.log.String(), "canary") || !strings.Contains(k.log.String(), `"route":"none"`) {
		t.Errorf("a request for no route is logged as %s", k.log.String())
	}
}

func TestABodyThatBreaksOff(t *testing.T) {
	k := newKit(t, httpapi.Route{Pattern: "POST /a", Needs: access.Update, Handle: echo})
	r := httptest.NewRequest("POST", "/a", io.MultiReader(strings.NewReader("{"), brokenReader{}))
	r.Header.Set("Authorization", "Bearer good")
	r = r.WithContext(httpapi.WithRequestID(r.Context(), "req-1"))
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	wants(t, w, 400, "malformed_request")
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnUnchangedAnswerHasNoBody(t *testing.T) {
	k := newKit(t, httpapi.Route{Pattern: "GET /a", Public: true, Handle: func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
		return httpapi.Answer{Status: http.StatusNotModified}, nil
	}})
	if w := k.send("GET", "/a", ""); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("%d with %d bytes", w.Code, w.Body.Len())
	}
}
