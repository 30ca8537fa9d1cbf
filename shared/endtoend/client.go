package endtoend

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// session is a signed-in caller.
type session struct {
	su        *suite
	token     string
	user, org int64
}

// signIn trades a service key for a session.
func (su *suite) signIn(t *testing.T, key string) *session {
	t.Helper()
	su.leaks.watch(key)
	r := su.post(t, "/token", nil, header("Authorization", "Basic "+key), revealing())
	if r.code != http.StatusOK {
		t.Fatalf("signing in answers %d %s", r.code, r.errorCode())
	}
	r.form(t, tokenForm)
	su.leaks.watch(r.text("access_token"))
	return &session{su: su, token: r.text("access_token"), user: r.int("user", "id"), org: r.int("org", "id")}
}

// option changes a request before it is sent.
type option func(*ask)

// ask is a request in the making.
type ask struct {
	header    http.Header
	revealing bool
}

// header sets a request header; "" removes it.
func header(name, value string) option {
	return func(a *ask) {
		a.header.Del(name)
		if value != "" {
			a.header.Set(name, value)
		}
	}
}

// revealing marks the few requests whose answer is a secret: reveal, and what
// makes a key or a token.
func revealing() option { return func(a *ask) { a.revealing = true } }

// raw is a body that is sent as it stands.
type raw string

// reply is an answer, read to its end.
type reply struct {
	asked  string // method and path, for messages
	code   int
	header http.Header
	body   []byte
	value  any // of the body, nil when it is no JSON
	// against is what of it, or of its request, the service's own document
	// does not allow.
	against []string
}

func (su *suite) post(t *testing.T, path string, body any, options ...option) *reply {
	t.Helper()
	return su.send(t, http.MethodPost, path, body, options...)
}

func (su *suite) get(t *testing.T, path string, options ...option) *reply {
	t.Helper()
	return su.send(t, http.MethodGet, path, nil, options...)
}

func (s *session) post(t *testing.T, path string, body any, options ...option) *reply {
	t.Helper()
	return s.send(t, http.MethodPost, path, body, options...)
}

func (s *session) get(t *testing.T, path string, options ...option) *reply {
	t.Helper()
	return s.send(t, http.MethodGet, path, nil, options...)
}

func (s *session) put(t *testing.T, path string, body any, options ...option) *reply {
	t.Helper()
	return s.send(t, http.MethodPut, path, body, options...)
}

func (s *session) delete(t *testing.T, path string, body any, options ...option) *reply {
	t.Helper()
	return s.send(t, http.MethodDelete, path, body, options...)
}

func (s *session) send(t *testing.T, method, path string, body any, options ...option) *reply {
	t.Helper()
	return s.su.send(t, method, path, body, append([]option{header("Authorization", "Bearer "+s.token)}, options...)...)
}

// send asks and looks at what is true of every answer: its headers, that it is
// strict JSON, that a refusal has the one form, and that no secret shows. A
// service that does not answer ends the test.
func (su *suite) send(t *testing.T, method, path string, body any, options ...option) *reply {
	t.Helper()
	a := &ask{header: http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}}}
	for _, o := range options {
		o(a)
	}
	// Times are in milliseconds: what follows must be later to be told apart.
	time.Sleep(2 * time.Millisecond)
	r, err := su.exchange(method, path, body, a)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	r.everyAnswer(t)
	if !a.revealing {
		su.leaked(t, r)
	}
	return r
}

// exchange is one request and its answer.
func (su *suite) exchange(method, path string, body any, a *ask) (*reply, error) {
	payload, err := encode(body)
	if err != nil {
		return nil, fmt.Errorf("encoding a body: %w", err)
	}
	var sent io.Reader = http.NoBody
	if body != nil {
		sent = bytes.NewReader(payload)
	}
	// Clean-up runs after a test's own context has ended; the client's
	// time-out bounds this instead.
	req, err := http.NewRequestWithContext(context.Background(), method, su.URL+path, sent)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header = a.header
	res, err := su.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	r := &reply{asked: method + " " + path, code: res.StatusCode, header: res.Header, body: text}
	if su.described != nil {
		r.against = su.described.look(method, path, payload, r)
	}
	return r, nil
}

func encode(body any) ([]byte, error) {
	switch body := body.(type) {
	case nil:
		return nil, nil
	case raw:
		return []byte(body), nil
	}
	// The same bytes each time: what is sent again must be the same request.
	return json.Marshal(body, json.Deterministic(true))
}

// alwaysHeaders holds an answer, JSON or a file, to the document and to what
// every answer says beside its body.
func (r *reply) alwaysHeaders(t *testing.T) {
	t.Helper()
	for _, fault := range r.against {
		t.Errorf("%s: %d: %s", r.asked, r.code, fault)
	}
	if got := r.header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("%s: header X-Content-Type-Options is %q", r.asked, got)
	}
	if r.header.Get("X-Request-Id") == "" {
		t.Errorf("%s: no X-Request-Id", r.asked)
	}
	if r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s: allows other origins", r.asked)
	}
}

// everyAnswer holds an answer to what is true of all of them.
func (r *reply) everyAnswer(t *testing.T) {
	t.Helper()
	r.alwaysHeaders(t)
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: header Cache-Control is %q, want no-store", r.asked, got)
	}
	method, _, _ := strings.Cut(r.asked, " ")
	switch {
	case r.code == http.StatusNotModified, method == http.MethodHead, method == http.MethodOptions && r.code == http.StatusNoContent:
		if len(r.body) != 0 {
			t.Errorf("%s: %d with a body", r.asked, r.code)
		}
		return
	}
	switch r.code {
	case http.StatusCreated, http.StatusNoContent, http.StatusUnprocessableEntity, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusInternalServerError:
		t.Errorf("%s: status %d, which clients do not expect", r.asked, r.code)
	}
	if media, _, _ := strings.Cut(r.header.Get("Content-Type"), ";"); media != "application/json" {
		t.Errorf("%s: Content-Type %q", r.asked, r.header.Get("Content-Type"))
	}
	value, err := decode(r.body)
	if err != nil {
		t.Fatalf("%s: %d with a body of %d bytes that is no strict JSON", r.asked, r.code, len(r.body))
	}
	r.value = value
}

// leaked fails when any secret of the run shows in the answer.
func (su *suite) leaked(t *testing.T, r *reply) {
	t.Helper()
	if su.leaks.in(r.body) {
		t.Errorf("%s: a secret shows in the body of the %d", r.asked, r.code)
	}
	for name, values := range r.header {
		if su.leaks.in([]byte(name + ": " + strings.Join(values, ","))) {
			t.Errorf("%s: a secret shows in header %s of the %d", r.asked, name, r.code)
		}
	}
}

// ok wants 200.
func (r *reply) ok(t *testing.T) *reply {
	t.Helper()
	if r.code != http.StatusOK {
		t.Fatalf("%s: %d %s %s, want 200", r.asked, r.code, r.errorCode(), r.pointers())
	}
	return r
}

// form wants a body of a shape.
func (r *reply) form(t *testing.T, s shape) *reply {
	t.Helper()
	for _, fault := range s("", r.value) {
		t.Errorf("%s: %s", r.asked, fault)
	}
	return r
}

// refused wants a refusal: its status, its code, the form that all have, and,
// where named, a detail for each pointer.
func (r *reply) refused(t *testing.T, status int, code string, pointers ...string) *reply {
	t.Helper()
	if r.code != status || code != "" && r.errorCode() != code {
		t.Errorf("%s: %d %s %s, want %d %s", r.asked, r.code, r.errorCode(), r.pointers(), status, code)
		return r
	}
	r.form(t, errorForm)
	if r.text("request_id") != r.header.Get("X-Request-Id") {
		t.Errorf("%s: the body names another request than the header", r.asked)
	}
	said := r.pointers()
	for _, p := range pointers {
		if !contains(said, p) {
			t.Errorf("%s: no detail points at %s, only at %q", r.asked, p, said)
		}
	}
	return r
}

// at walks into the body; nil when there is nothing.
func (r *reply) at(path ...string) any {
	v := r.value
	for _, p := range path {
		object, _ := v.(map[string]any)
		v = object[p]
	}
	return v
}

func (r *reply) text(path ...string) string { s, _ := r.at(path...).(string); return s }

func (r *reply) int(path ...string) int64 { return toInt(r.at(path...)) }

func (r *reply) items() []any { items, _ := r.value.([]any); return items }

func (r *reply) errorCode() string { return r.text("error_code") }

// pointers are the places that the details name.
func (r *reply) pointers() []string {
	var out []string
	details, _ := r.at("details").([]any)
	for _, d := range details {
		object, _ := d.(map[string]any)
		if p, ok := object["pointer"].(string); ok {
			out = append(out, p)
		}
	}
	return out
}
