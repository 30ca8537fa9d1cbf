//go:build unix

package account_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/envelope/kmstest"
	"credence/shared/lambdahttp/runtimehost/account"
)

// troubled is the engine behind something that can go wrong.
type troubled struct {
	*httptest.Server
	mode atomic.Pointer[string] // nil = well
}

func newTroubled(t *testing.T) *troubled {
	t.Helper()
	to, err := url.Parse(deployment.config.Engine)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	tr := &troubled{}
	tr.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mode := tr.mode.Load()
		if mode == nil {
			proxy.ServeHTTP(w, r)
			return
		}
		switch *mode {
		case "hangs":
			_, _ = io.Copy(io.Discard, r.Body) // then net/http watches the connection
			<-r.Context().Done()
		case "breaks off":
			panic(http.ErrAbortHandler)
		case "is ill":
			w.WriteHeader(http.StatusInternalServerError)
		case "throttles":
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}`))
		}
	}))
	t.Cleanup(tr.Close)
	return tr
}

// TestFaults: whatever is away, every function answers by itself before Lambda
// would end it, with a 503 that says when to come back, and goes on when what
// was away is back.
func TestFaults(t *testing.T) {
	open(t)
	engine := newTroubled(t)
	kms := kmstest.New()
	cfg := deployment.config
	cfg.Engine, cfg.KMS, cfg.KeyARN = engine.URL, kms, kms.AddKey("33333333-3333-4333-8333-333333333333")
	a, err := account.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	filler := account.NewFiller(a)
	events := map[string][]byte{}
	for _, name := range []string{"token", "create", "list", "get", "update", "reveal", "probe", "health", "tags-add", "accessors-add", "sources-create", "teams-create"} {
		text, err := os.ReadFile(filepath.Join(top, "events", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if events[name], err = filler.Fill(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []string{"hangs", "breaks off", "is ill", "throttles"} {
		engine.mode.Store(&mode)
		t.Run("the store "+mode, func(t *testing.T) {
			for name, event := range events {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					answers(t, a, event, "store_unavailable")
				})
			}
		})
		engine.mode.Store(nil)
	}
	for _, f := range []struct {
		name  string
		fault kmstest.Fault
	}{{"hangs", kmstest.Hang}, {"breaks off", kmstest.LostReply}, {"is ill", kmstest.Internal}, {"throttles", kmstest.Throttled}} {
		for _, name := range []string{"create", "update", "reveal", "probe", "list", "get", "tags-add", "health", "sources-create"} {
			t.Run("the key service "+f.name+"/"+name, func(t *testing.T) {
				uses := keyUses[name]
				if uses == 0 { // it works because it does not even ask
					before := kms.Calls(kmstest.Everything)
					answers(t, a, events[name], "")
					if after := kms.Calls(kmstest.Everything); after != before {
						t.Errorf("%d calls of the key service, want none", after-before)
					}
					return
				}
				kms.Inject(uses, f.fault, f.fault) // both attempts
				answers(t, a, events[name], "kms_unavailable")
			})
		}
	}
	for _, name := range []string{"token", "create", "get", "reveal", "health"} {
		t.Run("afterwards/"+name, func(t *testing.T) { answers(t, a, events[name], "") })
	}
}

// keyUses are the events that need the key, and for what.
var keyUses = map[string]kmstest.Operation{"create": kmstest.GenerateDataKey, "sources-create": kmstest.GenerateDataKey, "update": kmstest.GenerateDataKey, "reveal": kmstest.Decrypt, "probe": kmstest.Decrypt}

// answers wants a 503 with a code, or without one a 200.
func answers(t *testing.T, a *account.Account, event []byte, code string) {
	t.Helper()
	var to struct {
		RouteKey string `json:"routeKey"`
	}
	if err := json.Unmarshal(event, &to); err != nil {
		t.Fatal(err)
	}
	res, err := a.Invoke(t.Context(), a.Serving(to.RouteKey), event)
	if err != nil || res.FunctionError != "" {
		t.Fatalf("the function failed: %v, %s", err, res.Log)
	}
	answer, err := account.Answer(res.Payload)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("answered %d after %v", answer.StatusCode, res.Duration)
	var body struct {
		Code string `json:"error_code"`
	}
	if code != "" {
		if err := json.Unmarshal([]byte(answer.Body), &body); err != nil {
			t.Fatal(err)
		}
	}
	want := http.StatusOK
	if code != "" {
		want = http.StatusServiceUnavailable
	}
	if answer.StatusCode != want || body.Code != code {
		t.Errorf("answered %d %s, want %d %s; logged %s", answer.StatusCode, body.Code, want, code, res.Log)
	}
	if code != "" && !strings.Contains(string(res.Log), `"error_code":"`+code+`"`) {
		t.Errorf("logged %s, want one line with error_code %s", res.Log, code)
	}
	// The template's filters count lines, and its alarms those.
	counted := 0
	if code == "kms_unavailable" {
		counted = 1
	}
	if n := counts(t, a.Serving(to.RouteKey), keyServiceFailures, res.Log); n != counted {
		t.Errorf("%d lines are counted, want %d: %s", n, counted, res.Log)
	}
	if code != "" && strings.TrimSpace(answer.Headers["Retry-After"]) == "" {
		t.Errorf("a 503 without Retry-After: %v", answer.Headers)
	}
}
