package lambdahttp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"

	"credence/shared/httpapi"
	"credence/shared/lambdahttp"
	"credence/shared/lambdahttp/internal/rows"
)

// TestWhatOnlyTheGatewaySends holds what has no counterpart behind net/http.
func TestWhatOnlyTheGatewaySends(t *testing.T) {
	f := handler(rows.Handler())
	for _, row := range []struct {
		name, key, path string
		change          func(*events.APIGatewayV2HTTPRequest)
		status          int
		see             func(rows.Seen) bool
	}{
		{
			name: "an escaped slash stays within one id", key: "GET /echo/{id}", path: "/echo/a%2Fb", status: 200,
			see: func(s rows.Seen) bool { return s.ID == "a/b" },
		},
		{name: "a slash that the gateway decoded", key: "GET /echo/{id}", path: "/echo/a/b", status: 404},
		{name: "a decoded slash that makes another route", key: "GET /echo/{id}", path: "/echo/7/part", status: 404},
		{name: "the catch-all route", key: "$default", path: "/echo", status: 404},
		{name: "no route key", key: "", path: "/echo", status: 404},
		{name: "a route for any method", key: "ANY /echo", path: "/echo", status: 404},
		{
			name: "another stage than $default", key: "GET /echo", path: "/prod/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.Stage = "prod" },
		},
		{
			name: "a stage that is named as what follows", key: "GET /echo", path: "/echo/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.Stage = "echo" },
		},
		{
			name: "a stage whose name begins a path", key: "GET /echo", path: "/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.Stage = "ec" },
		},
		{
			name: "a mapping of a custom domain", key: "GET /echo/{id}", path: "/keys/v1/echo/7", status: 200,
			see: func(s rows.Seen) bool { return s.ID == "7" },
		},
		{name: "a mapping before another route", key: "GET /echo/{id}", path: "/v1/other/7", status: 404},
		{name: "a mapping before all routes", key: "$default", path: "/v1/echo", status: 404},
		{
			name: "a client's own gateway context", key: "GET /echo", path: "/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) {
				e.Headers["x-golambdaproxy-apigw-context"] = `{"accountId":"1"}`
				e.Headers["X-GoLambdaProxy-ApiGw-StageVars"] = `{}`
			},
			see: func(s rows.Seen) bool {
				for name := range s.Header {
					if strings.Contains(strings.ToLower(name), "golambdaproxy") {
						return false
					}
				}
				return true
			},
		},
		{
			name: "a header of the framing, which was the gateway's", key: "GET /echo", path: "/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.Headers["transfer-encoding"] = "chunked" },
			see:    func(s rows.Seen) bool { return s.Header["Transfer-Encoding"] == "" },
		},
		{
			name: "no rawPath", key: "GET /echo", path: "/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = "" },
			see:    func(s rows.Seen) bool { return s.Path == "/echo" },
		},
		{
			name: "no host header", key: "GET /echo", path: "/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) { delete(e.Headers, "host") },
			see:    func(s rows.Seen) bool { return s.Host == "api.example.com" },
		},
		{
			name: "an IPv6 client", key: "GET /echo", path: "/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.SourceIP = "2001:db8::7" },
			see:    func(s rows.Seen) bool { return s.HostPort },
		},
		{
			name: "a query that holds what a request line cannot", key: "GET /echo", path: "/echo", status: 200,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.RawQueryString = "a=x y#z\n%zz&b=2" },
			see:    func(s rows.Seen) bool { return s.RawQuery == "a=x%20y%23z%0A%zz&b=2" && s.Query["b"][0] == "2" },
		},
		{
			name: "a body that is not the base64 it claims", key: "POST /echo", path: "/echo", status: 400,
			change: func(e *events.APIGatewayV2HTTPRequest) {
				e.RequestContext.HTTP.Method, e.Body, e.IsBase64Encoded = "POST", "!canary!", true
			},
		},
		{
			name: "no method", key: "GET /echo", path: "/echo", status: 400,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "" },
		},
		{
			name: "a method that is no token", key: "GET /echo", path: "/echo", status: 400,
			change: func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "GET /canary" },
		},
		{name: "payload format 1.0", key: "GET /echo", path: "/echo", status: 400, change: func(e *events.APIGatewayV2HTTPRequest) { e.Version = "1.0" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := invoke(t, f, eventFor(t, row.key, http.MethodGet, row.path, row.change))
			if got.Status != row.status {
				t.Fatalf("status %d, want %d; body %s", got.Status, row.status, got.Body)
			}
			if row.status == http.StatusBadRequest {
				wantRefusal(t, got, "invalid_request")
				if bytes.Contains(got.Body, []byte("canary")) {
					t.Error("the answer echoes the request")
				}
			}
			if row.see == nil {
				return
			}
			var seen rows.Seen
			if err := json.Unmarshal(got.Body, &seen); err != nil {
				t.Fatal(err)
			}
			if !row.see(seen) {
				t.Errorf("the handler saw %+v", seen)
			}
		})
	}
}

// wantRefusal checks the error body: every field, and the code.
func wantRefusal(t *testing.T, got rows.Exchange, code string) {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(got.Body, &body); err != nil {
		t.Fatalf("the body is not JSON: %v", err)
	}
	for _, field := range []string{"message", "error", "error_code", "details", "resource_type", "resource_id", "request_id"} {
		if _, ok := body[field]; !ok {
			t.Errorf("the error body has no %s", field)
		}
	}
	if body["error_code"] != code {
		t.Errorf("error_code %v, want %s", body["error_code"], code)
	}
	if got.Header["Content-Type"] != "application/json" || got.Header["Cache-Control"] != "no-store" {
		t.Errorf("headers %v", got.Header)
	}
}

func TestNotAnEvent(t *testing.T) {
	called := false
	f := handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	for _, payload := range []string{"", "null", "[]", "{", `{"Records":[]}`, `{"version":2}`, `{"version":"2.0","rawPath":7}`, `{"version":"2.0"}`} {
		got := invoke(t, f, []byte(payload))
		if got.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d", payload, got.Status)
		}
		wantRefusal(t, got, "invalid_request")
	}
	if called {
		t.Error("the handler was called")
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	for name, value := range map[string]any{
		"text": "canary-7f3a", "error": errors.New("canary-7f3a"), "abort": http.ErrAbortHandler,
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			f := lambdahttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half an answer")
				panic(value)
			}), lambdahttp.Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			got := invoke(t, f, eventFor(t, "GET /echo", http.MethodGet, "/echo", nil))
			if got.Status != http.StatusInternalServerError {
				t.Errorf("status %d", got.Status)
			}
			wantRefusal(t, got, "internal")
			if bytes.Contains(got.Body, []byte("half")) || bytes.Contains(got.Body, []byte("canary")) {
				t.Errorf("body %s", got.Body)
			}
			for _, want := range []string{`"request_id":"LV7fzho-PHcEJ01="`, `"panic_type"`, "TestPanicIsAnAnswer"} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log does not hold %s: %s", want, log.String())
				}
			}
			if strings.Contains(log.String(), "canary") {
				t.Error("the log holds the panic's value")
			}
		})
	}
	t.Run("a status that is none", func(t *testing.T) {
		f := handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(7) }))
		wantRefusal(t, invoke(t, f, eventFor(t, "GET /echo", http.MethodGet, "/echo", nil)), "internal")
	})
}

// TestAnswerTooLarge: 6 MB is the limit of the encoded answer, so quoting and
// base64 count.
func TestAnswerTooLarge(t *testing.T) {
	for _, row := range []struct {
		name, body string
		status     int
	}{
		{"just fits", strings.Repeat("x", 6<<20-1000), http.StatusOK},
		{"too long", strings.Repeat("x", 6<<20), http.StatusInternalServerError},
		{"too long when quoted", strings.Repeat(`"`, 3<<20), http.StatusInternalServerError},
		{"too long in base64", strings.Repeat("\xff", 5<<20), http.StatusInternalServerError},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, row.body) }))
			got := invoke(t, f, eventFor(t, "GET /echo", http.MethodGet, "/echo", nil))
			if got.Status != row.status {
				t.Fatalf("status %d, want %d", got.Status, row.status)
			}
			if row.status != http.StatusOK {
				wantRefusal(t, got, "internal")
			}
		})
	}
}

// TestDeadline: a request ends at the earlier of the budget and half a second
// before Lambda's deadline.
func TestDeadline(t *testing.T) {
	for _, row := range []struct {
		name           string
		lambda, budget time.Duration // 0 = none
		want           time.Duration // 0 = none
	}{
		{"neither", 0, 0, 0},
		{"Lambda alone", 10 * time.Second, 0, 9500 * time.Millisecond},
		{"budget alone", 0, 6 * time.Second, 6 * time.Second},
		{"budget is less", 10 * time.Second, 6 * time.Second, 6 * time.Second},
		{"Lambda is less", 3 * time.Second, 6 * time.Second, 2500 * time.Millisecond},
		{"budget within the margin", 6200 * time.Millisecond, 6 * time.Second, 5700 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got time.Time
			var limited bool
			f := lambdahttp.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got, limited = r.Context().Deadline()
			}), lambdahttp.Options{Budget: row.budget, Logger: slog.New(slog.DiscardHandler)})
			ctx, start := context.Background(), time.Now()
			if row.lambda > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, start.Add(row.lambda))
				defer cancel()
			}
			if _, err := f.Invoke(ctx, eventFor(t, "GET /echo", http.MethodGet, "/echo", nil)); err != nil {
				t.Fatal(err)
			}
			if limited != (row.want > 0) {
				t.Fatalf("limited = %v", limited)
			}
			// The budget counts from within Invoke, somewhere between start and now.
			if limited && (got.Before(start.Add(row.want)) || got.After(time.Now().Add(row.want))) {
				t.Errorf("the deadline is %v after the start, want %v", got.Sub(start), row.want)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	var got string
	f := handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = httpapi.RequestID(r.Context()) }))
	invoke(t, f, eventFor(t, "GET /echo", http.MethodGet, "/echo", nil))
	if got != "LV7fzho-PHcEJ01=" {
		t.Errorf("request id %q", got)
	}
}

// FuzzInvoke: whatever the event, there is an answer and never an error or a
// panic, and what the client sent as its path stays within it.
func FuzzInvoke(f *testing.F) {
	for event := range requests(f) {
		f.Add(read(f, event))
	}
	f.Add([]byte(`{"version":"2.0","rawPath":"//a/../%","requestContext":{"http":{"method":"GET"}}}`))
	mux := handler(rows.Handler())
	any := handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/") || r.URL.Host != "" || r.URL.Fragment != "" || r.Header.Get("Host") != "" {
			panic("the request is not one that a server reads")
		}
		_, _ = io.Copy(w, r.Body)
	}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if got := invoke(t, mux, payload); got.Status < 200 || got.Status > http.StatusMethodNotAllowed {
			t.Errorf("status %d: %s", got.Status, got.Body)
		}
		got := invoke(t, any, payload)
		if got.Status != http.StatusOK && got.Status != http.StatusBadRequest {
			t.Errorf("status %d: %s", got.Status, got.Body)
		}
		var event events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &event); err != nil || got.Status != http.StatusOK {
			return
		}
		want := []byte(event.Body)
		if event.IsBase64Encoded {
			want, _ = base64.StdEncoding.DecodeString(event.Body)
		}
		if event.RequestContext.HTTP.Method != http.MethodHead && !bytes.Equal(want, got.Body) {
			t.Error("the body came back changed")
		}
	})
}
