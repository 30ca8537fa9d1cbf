//go:build unix

package runtimehost

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestRuntimeAPI speaks to the API as a runtime does that follows no order.
func TestRuntimeAPI(t *testing.T) {
	env := &environment{
		ready: make(chan struct{}, 1), next: make(chan *invocation, 1), initFail: make(chan []byte, 1),
		exited: make(chan struct{}), killed: make(chan struct{}),
	}
	server := httptest.NewServer(env.api())
	defer server.Close()
	call := func(method, path, body string, want int) http.Header {
		t.Helper()
		req, err := http.NewRequest(method, server.URL+"/2018-06-01/runtime/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s %s: %d, want %d", method, path, resp.StatusCode, want)
		}
		return resp.Header
	}
	call("POST", "invocation/none/response", "{}", http.StatusBadRequest)
	call("POST", "init/error", `{"errorType":"Runtime.Bad"}`, http.StatusAccepted)
	call("POST", "init/error", `{}`, http.StatusForbidden)

	inv := &invocation{id: requestID(), payload: []byte(`{"a":1}`), deadline: time.UnixMilli(1776784101067), answer: make(chan answer, 1)}
	env.next <- inv
	h := call("GET", "invocation/next", "", http.StatusOK)
	for name, want := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id": inv.id,
		"Lambda-Runtime-Deadline-Ms":    "1776784101067",
		"Content-Length":                "7",
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, h.Get(name), want)
		}
	}
	if !strings.HasPrefix(h.Get("Lambda-Runtime-Invoked-Function-Arn"), "arn:aws:lambda:") || len(h.Get("Lambda-Runtime-Trace-Id")) != len("Root=1-5e9f0c65-1de4d666d4dd26aced652b6c;Sampled=0") {
		t.Errorf("headers %v", h)
	}
	call("GET", "invocation/next", "", http.StatusForbidden) // the last one has no answer yet
	call("POST", "invocation/other/response", "{}", http.StatusBadRequest)
	call("POST", "invocation/"+inv.id+"/response", strings.Repeat("x", maxPayload+1), http.StatusRequestEntityTooLarge)
	if a := <-inv.answer; !a.failed || !strings.Contains(string(a.payload), "ResponseSizeTooLarge") {
		t.Errorf("answer %s", a.payload)
	}
	call("POST", "invocation/"+inv.id+"/error", "{}", http.StatusBadRequest) // it has its answer
	if env.reusable() {
		t.Error("a runtime that has not come back for more is taken for ready")
	}
}

// TestStreamedFailure: a failure that a runtime finds while it answers comes in
// trailers.
func TestStreamedFailure(t *testing.T) {
	env := &environment{current: &invocation{id: "id", answer: make(chan answer, 1)}}
	inv := env.current
	r := httptest.NewRequest(http.MethodPost, "/2018-06-01/runtime/invocation/id/response", strings.NewReader("half"))
	r.Trailer = http.Header{"Lambda-Runtime-Function-Error-Type": {"Bad"}, "Lambda-Runtime-Function-Error-Body": {"eyJlcnJvclR5cGUiOiJCYWQifQ=="}}
	env.api().ServeHTTP(httptest.NewRecorder(), r)
	if a := <-inv.answer; !a.failed || string(a.payload) != `{"errorType":"Bad"}` {
		t.Errorf("answer %+v", a)
	}
}

// TestFrontWaits: the gateway gives up on a function by itself.
func TestFrontWaits(t *testing.T) {
	routes, err := parseRoutes([]RouteBinding{{RouteKey: "GET /x", Function: sleeper{}}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	(&front{routes: routes, wait: time.Millisecond}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != `{"message":"Service Unavailable"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type sleeper struct{}

func (sleeper) Invoke(ctx context.Context, _ []byte) (Result, error) {
	<-ctx.Done()
	return Result{}, errors.New("given up")
}
