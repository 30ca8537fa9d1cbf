package lambdahttp_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/lambdahttp"
	"credence/shared/lambdahttp/internal/rows"
)

// handler runs h as Lambda would, with a silent log.
func handler(h http.Handler) lambda.Handler {
	return lambdahttp.Handler(h, lambdahttp.Options{Logger: slog.New(slog.DiscardHandler)})
}

// invoke gives one event to a function and reads its answer as the gateway
// does.
func invoke(t testing.TB, f lambda.Handler, event []byte) rows.Exchange {
	t.Helper()
	out, err := f.Invoke(context.Background(), event)
	if err != nil {
		t.Fatalf("an error reached the runtime: %v", err)
	}
	var resp events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(out, &resp); err != nil {
		t.Fatalf("the answer is not JSON: %v", err)
	}
	body := []byte(resp.Body)
	if resp.IsBase64Encoded {
		if body, err = base64.StdEncoding.DecodeString(resp.Body); err != nil {
			t.Fatalf("the body is not base64: %v", err)
		}
	}
	header := http.Header{}
	for name, value := range resp.Headers {
		header.Set(name, value)
	}
	header["Set-Cookie"] = resp.Cookies
	e := rows.NewExchange(resp.StatusCode, header, body)
	if len(resp.Cookies) == 0 {
		e.Cookies = nil
	}
	return e
}

// requests are the pairs of testdata: a request as a client writes it and the
// event that the gateway makes of it.
func requests(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/requests/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden events found: %v", err)
	}
	pairs := map[string]string{}
	for _, f := range files {
		pairs[f] = strings.TrimSuffix(f, ".json") + ".http"
	}
	return pairs
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRequestsAgree sends each request of testdata to net/http and its event to
// the adapter. The handler must see the same.
func TestRequestsAgree(t *testing.T) {
	server := httptest.NewServer(rows.Handler())
	defer server.Close()
	f := handler(rows.Handler())
	for event, request := range requests(t) {
		t.Run(filepath.Base(request), func(t *testing.T) {
			want, err := rows.Send(server.Listener.Addr().String(), read(t, request))
			if err != nil {
				t.Fatal(err)
			}
			if want.Status != http.StatusOK {
				t.Fatalf("net/http answered %d: the row is not what it means to be", want.Status)
			}
			if diff := want.Diff(invoke(t, f, read(t, event))); diff != "" {
				t.Errorf("net/http and the adapter differ: %s", diff)
			}
		})
	}
}

// TestAnswersAgree answers in each way through both. The client must see the
// same.
func TestAnswersAgree(t *testing.T) {
	server := httptest.NewServer(rows.Handler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer server.Close()
	f := handler(rows.Handler())
	for _, row := range rows.Answers() {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(method+" "+row, func(t *testing.T) {
				want, err := rows.Send(server.Listener.Addr().String(), []byte(method+" /answers/"+row+" HTTP/1.1\nHost: api.example.com\n\n"))
				if err != nil {
					t.Fatal(err)
				}
				got := invoke(t, f, eventFor(t, method+" /answers/{row}", method, "/answers/"+row, nil))
				if diff := want.Diff(got); diff != "" {
					t.Errorf("net/http and the adapter differ: %s", diff)
				}
			})
		}
	}
}

// eventFor is the event of testdata's plain request with another route, method
// and path, changed further by change.
func eventFor(t testing.TB, key, method, path string, change func(*events.APIGatewayV2HTTPRequest)) []byte {
	t.Helper()
	var event events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(read(t, "testdata/requests/plain.json"), &event); err != nil {
		t.Fatal(err)
	}
	event.RouteKey, event.RequestContext.RouteKey = key, key
	event.RawPath, event.RequestContext.HTTP.Path = path, path
	event.RequestContext.HTTP.Method = method
	if change != nil {
		change(&event)
	}
	out, err := json.Marshal(event, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
