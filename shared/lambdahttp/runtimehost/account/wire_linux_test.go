package account_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/envelope/kmstest"
	"credence/shared/lambdahttp/runtimehost"
	"credence/shared/lambdahttp/runtimehost/account"
)

// hop is what a bootstrap takes for DynamoDB or KMS: it counts, and meddles.
type hop struct {
	*httptest.Server
	connections atomic.Int64
	// meddle answers in place of what is behind, if it says so. n counts the
	// requests of this operation, from 1.
	meddle meddling

	mu       sync.Mutex
	requests map[string]int // by operation
}

// meddling is the type of hop.meddle.
type meddling = func(w http.ResponseWriter, r *http.Request, operation string, n int) bool

func newHop(t *testing.T, behind http.Handler) *hop {
	t.Helper()
	h := &hop{requests: map[string]int{}, meddle: func(http.ResponseWriter, *http.Request, string, int) bool { return false }}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		h.mu.Lock()
		h.requests[operation]++
		n := h.requests[operation]
		h.mu.Unlock()
		if !h.meddle(w, r, operation, n) {
			behind.ServeHTTP(w, r)
		}
	}))
	h.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			h.connections.Add(1)
		}
	}
	h.Start()
	t.Cleanup(h.Close)
	return h
}

// counts is how often each operation was asked for.
func (h *hop) counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.requests)
}

func engine(t *testing.T) http.Handler {
	t.Helper()
	to, err := url.Parse(deployment.config.Engine)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
}

// wired is a bootstrap of its own, which finds DynamoDB and KMS where it is
// told. An empty address is that of the healthy one.
func wired(t *testing.T, a *account.Account, folder, store, keys string) *runtimehost.Function {
	t.Helper()
	if store == "" {
		store = deployment.config.Engine
	}
	if keys == "" {
		keys = newHop(t, a.KMS.Handler(kmstest.Everything)).URL
	}
	for _, d := range a.Deployed() {
		if d.Folder != folder {
			continue
		}
		env := maps.Clone(d.Env)
		maps.Copy(env, map[string]string{
			"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
			"AWS_ENDPOINT_URL_DYNAMODB": store, "AWS_ENDPOINT_URL_KMS": keys,
		})
		f, err := runtimehost.Start(t.Context(), runtimehost.Config{
			Binary: filepath.Join(deployment.config.Bootstraps, folder), Env: env, Timeout: d.Timeout, MemoryMB: d.MemoryMB, MaxEnvironments: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	t.Fatalf("no function %q", folder)
	return nil
}

func event(t *testing.T, filler *account.Filler, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "events", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err = filler.Fill(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	return text
}

// answered invokes, holds the function to an answer of its own within a limit,
// and gives status, code, and what it logged.
func answered(t *testing.T, f *runtimehost.Function, payload []byte, limit time.Duration) (said, log string) {
	t.Helper()
	res, err := f.Invoke(t.Context(), payload)
	if err != nil || res.FunctionError != "" {
		t.Fatalf("the function failed: %v, %s %s", err, res.Payload, res.Log)
	}
	if res.Duration > limit {
		t.Errorf("answered after %v, later than %v", res.Duration, limit)
	}
	answer, err := account.Answer(res.Payload)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", res.Duration)
	return coded(answer.StatusCode, answer.Body), string(res.Log)
}

// Limits that the service promises: whatever DynamoDB does there is an answer
// within the budget of a request, and within 3 s whatever KMS does.
const (
	storeLimit = 6500 * time.Millisecond
	keyLimit   = 3 * time.Second
)

// full is an address where nobody picks up: its listener's queue is full, so
// that the kernel drops whoever would connect.
func full(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 8 {
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address // it is full
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue of a listener does not fill")
	return ""
}

// silent accepts connections, reads, and never says a word.
func silent(t *testing.T) (address string, accepted *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	accepted = &atomic.Int64{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
		}
	}()
	return l.Addr().String(), accepted
}

// TestWireBeforeARequest: neither a connection that is never taken nor a TLS
// handshake that is never answered holds a function up.
func TestWireBeforeARequest(t *testing.T) {
	a := open(t)
	filler := account.NewFiller(a)
	health, create := event(t, filler, "health"), event(t, filler, "create")
	t.Run("connecting to DynamoDB", func(t *testing.T) {
		// That it was the dialer which gave up, after half a second, and not the
		// attempt, after one, shows in three of them ending before three seconds.
		said, log := answered(t, wired(t, a, "get", "http://"+full(t), ""), health, 3*time.Second)
		if said != "503 store_unavailable" {
			t.Errorf("answered %s, want 503 for want of a connection: %s", said, log)
		}
	})
	t.Run("connecting to KMS", func(t *testing.T) {
		said, log := answered(t, wired(t, a, "create", "", "http://"+full(t)), create, keyLimit)
		if said != "503 kms_unavailable" {
			t.Errorf("answered %s, want 503 for want of a connection: %s", said, log)
		}
	})
	t.Run("TLS with DynamoDB", func(t *testing.T) {
		address, accepted := silent(t)
		said, _ := answered(t, wired(t, a, "get", "https://"+address, ""), health, storeLimit)
		if said != "503 store_unavailable" || accepted.Load() != 3 {
			t.Errorf("answered %s after %d handshakes, want 503 after 3", said, accepted.Load())
		}
	})
	t.Run("TLS with KMS", func(t *testing.T) {
		address, accepted := silent(t)
		said, _ := answered(t, wired(t, a, "create", "", "https://"+address), create, keyLimit)
		if said != "503 kms_unavailable" || accepted.Load() != 2 {
			t.Errorf("answered %s after %d handshakes, want 503 after 2", said, accepted.Load())
		}
	})
}

// troubles are what can befall a request that has arrived.
var troubles = map[string]func(http.ResponseWriter, *http.Request){
	"no header": func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // then net/http watches the connection
		<-r.Context().Done()
	},
	"a body that drips": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "1000")
		for {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(50 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	},
	"a body cut short": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"`)
		panic(http.ErrAbortHandler)
	},
	"an error of the engine": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
}

// TestWireAttempts counts what a function asks for before it gives up: DynamoDB
// three times, KMS twice.
func TestWireAttempts(t *testing.T) {
	a := open(t)
	filler := account.NewFiller(a)
	health, create, reveal := event(t, filler, "health"), event(t, filler, "create"), event(t, filler, "reveal")
	for name, trouble := range troubles {
		meddle := func(w http.ResponseWriter, r *http.Request, _ string, _ int) bool { trouble(w, r); return true }
		t.Run("DynamoDB/"+name, func(t *testing.T) {
			t.Parallel()
			h := newHop(t, engine(t))
			h.meddle = meddle
			said, log := answered(t, wired(t, a, "get", h.URL, ""), health, storeLimit)
			if n := h.counts()["BatchGetItem"]; said != "503 store_unavailable" || n != 3 {
				t.Errorf("answered %s after %d attempts, want 503 after 3: %s", said, n, log)
			}
		})
		for folder, row := range map[string]struct {
			operation string
			event     []byte
		}{"create": {"GenerateDataKey", create}, "reveal": {"Decrypt", reveal}} {
			t.Run("KMS/"+name+"/"+folder, func(t *testing.T) {
				t.Parallel()
				h := newHop(t, a.KMS.Handler(kmstest.Everything))
				h.meddle = meddle
				said, log := answered(t, wired(t, a, folder, "", h.URL), row.event, keyLimit)
				if n := h.counts()[row.operation]; said != "503 kms_unavailable" || n != 2 {
					t.Errorf("answered %s after %d attempts, want 503 after 2: %s", said, n, log)
				}
			})
		}
	}
}

// TestWireRecovers: the last attempt counts as much as the first.
func TestWireRecovers(t *testing.T) {
	a := open(t)
	create := event(t, account.NewFiller(a), "create")
	store, keys := newHop(t, engine(t)), newHop(t, a.KMS.Handler(kmstest.Everything))
	ill := troubles["an error of the engine"]
	store.meddle = func(w http.ResponseWriter, r *http.Request, operation string, n int) bool {
		if operation == "BatchGetItem" && n < 3 {
			ill(w, r)
			return true
		}
		return false
	}
	keys.meddle = func(w http.ResponseWriter, r *http.Request, _ string, n int) bool {
		if n == 1 {
			ill(w, r)
		}
		return n == 1
	}
	said, log := answered(t, wired(t, a, "create", store.URL, keys.URL), create, storeLimit)
	if reads, seals := store.counts()["BatchGetItem"], keys.counts()["GenerateDataKey"]; said != "200" || reads != 3 || seals != 2 {
		t.Errorf("answered %s after %d reads and %d data keys, want 200 after 3 and 2: %s", said, reads, seals, log)
	}
}

// TestWireReuse: requests one after the other use one connection. Both engines
// take the time here that a network takes: the SDK closes what it sends as soon
// as there is an answer, and one that comes before net/http has looked for the
// end of it costs the connection.
func TestWireReuse(t *testing.T) {
	a := open(t)
	create := event(t, account.NewFiller(a), "create")
	store, keys := newHop(t, engine(t)), newHop(t, a.KMS.Handler(kmstest.Everything))
	distant := func(http.ResponseWriter, *http.Request, string, int) bool {
		time.Sleep(5 * time.Millisecond)
		return false
	}
	store.meddle, keys.meddle = distant, distant
	f := wired(t, a, "create", store.URL, keys.URL)
	for range 8 {
		if said, log := answered(t, f, create, storeLimit); said != "200" {
			t.Fatalf("answered %s: %s", said, log)
		}
	}
	if s, k := store.connections.Load(), keys.connections.Load(); s != 1 || k != 1 || store.counts()["BatchGetItem"] != 8 || keys.counts()["GenerateDataKey"] != 8 {
		t.Errorf("8 requests took %d connections to DynamoDB and %d to KMS, want one each", s, k)
	}
}

// TestWireBudget: where each call succeeds, but so late that all of them would
// take longer than a request may, the function still answers, before its caller
// gives up and long before Lambda ends it.
func TestWireBudget(t *testing.T) {
	a := open(t)
	filler := account.NewFiller(a)
	late := func(w http.ResponseWriter, r *http.Request, _ string, n int) bool {
		if n%3 != 0 { // the first two attempts of each call
			troubles["no header"](w, r)
			return true
		}
		return false
	}
	store := newHop(t, engine(t))
	store.meddle = late
	said, log := answered(t, wired(t, a, "update", store.URL, ""), event(t, filler, "update"), storeLimit)
	if said != "503 store_unavailable" && said != "500 outcome_unknown" {
		t.Errorf("answered %s, want that the store was too slow: %s", said, log)
	}
	if n := store.counts(); n["BatchGetItem"] < 3 || n["Query"] == 0 {
		t.Errorf("%v were asked for, want three reads, of which the last came through, and the next call", n)
	}
}

// TestWireProbeBudget: a probe has 8 s, however long its target takes and however
// slow the calls before it are; then it answers.
func TestWireProbeBudget(t *testing.T) {
	if os.Getenv(inside) == "" {
		elsewhere(t)
		return
	}
	a := open(t)
	filler := account.NewFiller(a)
	target, err := net.Listen("tcp", targets+":0") // the kernel connects, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Close() }()
	probe := event(t, filler, "probe-before-saving")
	var e map[string]any
	if err := json.Unmarshal(probe, &e); err != nil {
		t.Fatal(err)
	}
	e["body"] = fmt.Sprintf(`{"credentials_type":"rest","credentials":{"api_key":"k","base_url":"http://%s/"}}`, target.Addr())
	if probe, err = json.Marshal(e); err != nil {
		t.Fatal(err)
	}
	store := newHop(t, engine(t))
	store.meddle = func(http.ResponseWriter, *http.Request, string, int) bool {
		time.Sleep(800 * time.Millisecond)
		return false
	}
	said, log := answered(t, wired(t, a, "probe", store.URL, ""), probe, 8500*time.Millisecond)
	if said != "400 TARGET_UNAVAILABLE" && said != "400 PROBE_TIMEOUT" {
		t.Errorf("answered %s, want that the target did not answer: %s", said, log)
	}
	if n := store.counts(); n["BatchGetItem"] == 0 {
		t.Errorf("DynamoDB was asked for %v", n)
	}
}
