package account_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/lambdahttp/runtimehost/account"
)

// lateAnswers are ways in which DynamoDB is slow to the probe function. The claim
// is the first TransactWriteItems, the outcome the second.
var lateAnswers = map[string]func(behind http.Handler) meddling{
	"every call 300 ms late": func(http.Handler) meddling {
		return func(http.ResponseWriter, *http.Request, string, int) bool {
			time.Sleep(300 * time.Millisecond)
			return false
		}
	},
	"the outcome carried out, its answer 1.3 s late": func(behind http.Handler) meddling {
		return func(w http.ResponseWriter, r *http.Request, operation string, n int) bool {
			if operation != "TransactWriteItems" || n != 2 {
				return false
			}
			kept := httptest.NewRecorder()
			behind.ServeHTTP(kept, r)
			time.Sleep(1300 * time.Millisecond) // longer than an attempt
			maps.Copy(w.Header(), kept.Header())
			w.WriteHeader(kept.Code)
			_, _ = kept.Body.WriteTo(w)
			return true
		}
	},
	"the first read 1.3 s late": func(http.Handler) meddling {
		return func(_ http.ResponseWriter, _ *http.Request, operation string, n int) bool {
			if operation == "BatchGetItem" && n == 1 {
				time.Sleep(1300 * time.Millisecond)
			}
			return false
		}
	},
}

// TestWireLateProbe: although DynamoDB is slow, a proposal that the target accepts is
// adopted, and the outcome of a probe is kept.
func TestWireLateProbe(t *testing.T) {
	if os.Getenv(inside) == "" {
		elsewhere(t)
		return
	}
	a := open(t)
	filler := account.NewFiller(a)
	front, err := a.Front()
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(front)
	defer api.Close()
	body := proven(t)
	for name, late := range lateAnswers {
		for _, route := range []string{"versions-propose", "probe"} {
			t.Run(route+"/"+name, func(t *testing.T) {
				at, token, payload := lateProbe(t, filler, api.URL, route, body)
				h := newHop(t, engine(t))
				h.meddle = late(engine(t))
				said, log := answered(t, wired(t, a, "probe", h.URL, ""), payload, storeLimit)
				if !strings.HasPrefix(said, "200") {
					t.Errorf("answered %s after %v: %s", said, h.counts(), log)
				}
				var now struct {
					Version   int `json:"version"`
					LastProbe struct {
						Verdict string `json:"verdict"`
					} `json:"last_probe"`
				}
				_, answer := send(t, "GET", at, token, "")
				if err := json.Unmarshal([]byte(answer), &now); err != nil || now.Version != 3 || now.LastProbe.Verdict != "valid" {
					t.Errorf("stored %s, want version 3, found valid", answer)
				}
			})
		}
	}
}

// lateProbe makes a credential, stores what the body holds if the route is not to
// propose it, and returns the event of the route.
func lateProbe(t *testing.T, filler *account.Filler, api, route, body string) (at, token string, payload []byte) {
	t.Helper()
	ids, err := filler.Fill(t.Context(), []byte("${CREDENTIAL} ${TOKEN}"))
	if err != nil {
		t.Fatal(err)
	}
	id, token, _ := strings.Cut(string(ids), " ")
	text, err := os.ReadFile(filepath.Join(top, "events", route+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(strings.NewReplacer("${CREDENTIAL}", id, "${TOKEN}", token).Replace(string(text))), &e); err != nil {
		t.Fatal(err)
	}
	at = api + "/data_credentials/" + id
	if _, ok := e["body"]; ok {
		e["body"] = body
	} else if status, answer := send(t, "PUT", at, token, body); status != http.StatusOK {
		t.Fatalf("PUT: %d %s", status, answer)
	}
	if payload, err = json.Marshal(e); err != nil {
		t.Fatal(err)
	}
	return at, token, payload
}
