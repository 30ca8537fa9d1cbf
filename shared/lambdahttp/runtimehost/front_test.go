//go:build unix

package runtimehost_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"

	"credence/shared/lambdahttp/internal/rows"
	"credence/shared/lambdahttp/runtimehost"
)

// front serves route keys by one function.
func front(t *testing.T, f runtimehost.Invoker, keys ...string) string {
	t.Helper()
	var bindings []runtimehost.RouteBinding
	for _, key := range keys {
		bindings = append(bindings, runtimehost.RouteBinding{RouteKey: key, Function: f})
	}
	h, err := runtimehost.Front(bindings)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func send(t *testing.T, addr, request string) rows.Exchange {
	t.Helper()
	e, err := rows.Send(addr, []byte(request))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// requests are the requests that the adapter is tried with.
func requests(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../testdata/requests/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no requests found: %v", err)
	}
	out := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[f] = string(data)
	}
	return out
}

// TestAgreesWithNetHTTP sends the whole table to net/http and to a real
// bootstrap behind the front. The handler, and the client, must see the same.
func TestAgreesWithNetHTTP(t *testing.T) {
	server := httptest.NewServer(rows.Handler())
	defer server.Close()
	plain := server.Listener.Addr().String()
	gateway := front(t, start(t, func(c *runtimehost.Config) { delete(c.Env, "ECHO_MODE") }), rows.Patterns...)
	all := requests(t)
	for _, row := range rows.Answers() {
		for _, method := range []string{"GET", "HEAD"} {
			all[method+" "+row] = method + " /answers/" + row + " HTTP/1.1\nHost: api.example.com\n\n"
		}
	}
	for name, request := range all {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if diff := send(t, plain, request).Diff(send(t, gateway, request)); diff != "" {
				t.Errorf("net/http and the gateway differ: %s", diff)
			}
		})
	}
	// Where they cannot: the gateway routes by the path as sent and hands it
	// over decoded, so the handler refuses what would be another route.
	for _, path := range []string{"/echo/a%2Fb", "/echo/7%2Fpart"} {
		if got := send(t, gateway, "GET "+path+" HTTP/1.1\nHost: x\n\n"); got.Status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404; %s", path, got.Status, got.Body)
		}
	}
}

// invoker is a function in this process that keeps its last event.
type invoker struct {
	event  []byte
	result runtimehost.Result
	err    error
}

func (i *invoker) Invoke(_ context.Context, payload []byte) (runtimehost.Result, error) {
	i.event = payload
	return i.result, i.err
}

// TestEventsAreTheGateways compares the front's events with the golden ones,
// which stand beside the requests.
func TestEventsAreTheGateways(t *testing.T) {
	f := &invoker{result: runtimehost.Result{Payload: []byte(`{"statusCode":200}`)}}
	addr := front(t, f, rows.Patterns...)
	for file, request := range requests(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if got := send(t, addr, request); got.Status != http.StatusOK {
				t.Fatalf("status %d", got.Status)
			}
			data, err := os.ReadFile(strings.TrimSuffix(file, ".http") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			want, got := comparable(t, data), comparable(t, f.event)
			if !reflect.DeepEqual(want, got) {
				t.Errorf("the golden event and the front's differ:\n%+v\n%+v", want, got)
			}
		})
	}
}

// comparable leaves out of an event what names the account, the connection and
// the moment.
func comparable(t *testing.T, data []byte) events.APIGatewayV2HTTPRequest {
	t.Helper()
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	c := &e.RequestContext
	for _, value := range []*string{&c.AccountID, &c.APIID, &c.RequestID, &c.Time, &c.HTTP.SourceIP} {
		if *value == "" {
			t.Error("the event lacks a part of its requestContext")
		}
		*value = ""
	}
	if c.TimeEpoch == 0 {
		t.Error("the event lacks its time")
	}
	c.TimeEpoch = 0
	for _, name := range []string{"x-amzn-trace-id", "x-forwarded-for"} {
		if e.Headers[name] == "" {
			t.Errorf("the event lacks %s", name)
		}
		delete(e.Headers, name)
	}
	if len(e.QueryStringParameters) == 0 || strings.Contains(e.RawQueryString, "%zz") {
		e.QueryStringParameters = nil // of a malformed query nothing is promised
	}
	if len(e.PathParameters) == 0 {
		e.PathParameters = nil
	}
	if len(e.Cookies) == 0 {
		e.Cookies = nil
	}
	return e
}

func TestFrontFailures(t *testing.T) {
	const request = "GET /x HTTP/1.1\nHost: x\n\n"
	answer := func(payload string) *invoker {
		return &invoker{result: runtimehost.Result{Payload: []byte(payload)}}
	}
	failed := runtimehost.Result{FunctionError: "Unhandled", Payload: []byte(`{"errorMessage":"canary"}`)}
	timedOut := failed
	timedOut.TimedOut = true
	for _, row := range []struct {
		name, request string
		f             *invoker
		status        int
		body          string
	}{
		{"no such route", "GET /y HTTP/1.1\nHost: x\n\n", answer(`{}`), 404, `{"message":"Not Found"}`},
		{"no such method", "POST /x HTTP/1.1\nHost: x\n\n", answer(`{}`), 404, `{"message":"Not Found"}`},
		{"a function error", request, &invoker{result: failed}, 500, `{"message":"Internal Server Error"}`},
		{"a timeout", request, &invoker{result: timedOut}, 503, `{"message":"Service Unavailable"}`},
		{"throttled", request, &invoker{err: runtimehost.ErrThrottled}, 503, `{"message":"Service Unavailable"}`},
		{"too long for Lambda", request, &invoker{err: runtimehost.ErrTooLarge}, 413, `{"message":"Request Entity Too Large"}`},
		{"not JSON", request, answer(`{"statusCode":200`), 500, `{"message":"Internal Server Error"}`},
		{"a status that is none", request, answer(`{"statusCode":42}`), 500, `{"message":"Internal Server Error"}`},
		{"a status that is text", request, answer(`{"statusCode":"x"}`), 500, `{"message":"Internal Server Error"}`},
		{"not base64", request, answer(`{"statusCode":200,"body":"!","isBase64Encoded":true}`), 500, `{"message":"Internal Server Error"}`},
		{"an answer of another form", request, answer(`{"hello":"x"}`), 200, `{"hello":"x"}`},
		{"text alone", request, answer(`"hello"`), 200, `"hello"`},
		{"an answer", request, answer(`{"statusCode":201,"body":"eA==","isBase64Encoded":true}`), 201, `x`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := send(t, front(t, row.f, "GET /x"), row.request)
			if got.Status != row.status || string(got.Body) != row.body {
				t.Errorf("%d %s, want %d %s", got.Status, got.Body, row.status, row.body)
			}
			if row.status >= 400 && got.Header["Content-Type"] != "application/json" {
				t.Errorf("headers %v", got.Header)
			}
		})
	}
}

func TestFrontBodyTooLarge(t *testing.T) {
	f := &invoker{result: runtimehost.Result{Payload: []byte(`{"statusCode":200}`)}}
	h, err := runtimehost.Front([]runtimehost.RouteBinding{{RouteKey: "POST /x", Function: f}})
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]int{10 << 20: http.StatusOK, 10<<20 + 1: http.StatusRequestEntityTooLarge} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(strings.Repeat("x", size))))
		if w.Code != want {
			t.Errorf("%d bytes: status %d, want %d", size, w.Code, want)
		}
	}
}

// TestFrontWithFailingFunctions is the same with real processes.
func TestFrontWithFailingFunctions(t *testing.T) {
	broken := start(t, func(c *runtimehost.Config) { c.Env["ECHO_MODE"] = "init-exit" })
	got := send(t, front(t, broken, "$default"), "GET /any HTTP/1.1\nHost: x\n\n")
	if got.Status != http.StatusInternalServerError || strings.Contains(string(got.Body), "exit") {
		t.Errorf("a function that cannot start: %d %s", got.Status, got.Body)
	}
	tooLong := front(t, start(t, func(c *runtimehost.Config) { delete(c.Env, "ECHO_MODE") }), "POST /echo")
	body := strings.Repeat("x", 5<<20)
	request := "POST /echo HTTP/1.1\nHost: x\nContent-Type: application/octet-stream\nContent-Length: 5242880\n\n"
	if got := send(t, tooLong, request+body); got.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that base64 makes larger than 6 MB: %d", got.Status)
	}
}

func TestRouteChoice(t *testing.T) {
	keys := []string{
		"$default", "ANY /{proxy+}", "GET /pets/{proxy+}", "ANY /pets/{id}", "GET /pets/{id}", "GET /pets/dog",
		"GET /pets/dog/{n}", "GET /pets/dog/1", "GET /pets/{id}/toys", "POST /pets", "GET /",
	}
	f := &invoker{result: runtimehost.Result{Payload: []byte(`{"statusCode":200}`)}}
	addr := front(t, f, keys...)
	for _, row := range []struct {
		request, key string
		vars         map[string]string
	}{
		{"GET /", "GET /", nil},
		{"GET /pets/dog", "GET /pets/dog", nil},
		{"GET /pets/6", "GET /pets/{id}", map[string]string{"id": "6"}},
		{"PUT /pets/6", "ANY /pets/{id}", map[string]string{"id": "6"}},
		{"GET /pets/dog/1", "GET /pets/dog/1", nil},
		{"GET /pets/dog/2", "GET /pets/dog/{n}", map[string]string{"n": "2"}},
		{"GET /pets/6/toys", "GET /pets/{id}/toys", map[string]string{"id": "6"}},
		{"GET /pets/6/cats/7", "GET /pets/{proxy+}", map[string]string{"proxy": "6/cats/7"}},
		{"GET /pets/a%2Fb", "GET /pets/{id}", map[string]string{"id": "a/b"}},
		{"PUT /pets/6/cats", "ANY /{proxy+}", map[string]string{"proxy": "pets/6/cats"}},
		{"GET /other", "ANY /{proxy+}", map[string]string{"proxy": "other"}},
		{"POST /", "$default", nil},
	} {
		send(t, addr, row.request+" HTTP/1.1\nHost: x\n\n")
		var e events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(f.event, &e); err != nil {
			t.Fatal(err)
		}
		if e.RouteKey != row.key || e.RequestContext.RouteKey != row.key || !maps.Equal(e.PathParameters, row.vars) {
			t.Errorf("%s: %s %v, want %s %v", row.request, e.RouteKey, e.PathParameters, row.key, row.vars)
		}
	}
}

func TestFrontRefusesRoutes(t *testing.T) {
	f := &invoker{}
	for _, keys := range [][]string{
		{""},
		{"GET"},
		{"GET x"},
		{"get /x"},
		{"GET /{}"},
		{"GET /{id"},
		{"GET /{p+}/x"},
		{"GET /x", "GET /x"},
		{"GET /{a}", "GET /{b}"},
		{"$default", "$default"},
	} {
		var bindings []runtimehost.RouteBinding
		for _, key := range keys {
			bindings = append(bindings, runtimehost.RouteBinding{RouteKey: key, Function: f})
		}
		if _, err := runtimehost.Front(bindings); err == nil {
			t.Errorf("%q: accepted", keys)
		}
	}
	if _, err := runtimehost.Front([]runtimehost.RouteBinding{{RouteKey: "GET /x"}}); err == nil {
		t.Error("a route without a function: accepted")
	}
}
