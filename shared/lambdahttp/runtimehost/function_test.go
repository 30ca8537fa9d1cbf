//go:build unix

package runtimehost_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/lambdahttp/runtimehost"
)

// bootstrap is the echo function, built as a deployed one is.
var bootstrap string

// orphanHost names a binary: this process is then one that TestNoOrphans runs
// and kills.
const orphanHost = "RUNTIMEHOST_ORPHAN_BINARY"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(orphanHost) != "" {
		return m.Run() // it builds nothing that it could leave behind
	}
	dir, err := os.MkdirTemp("", "runtimehost")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	bootstrap = filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", bootstrap, "./internal/echo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the echo function: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// start runs the echo function, raw unless change says otherwise.
func start(t *testing.T, change func(*runtimehost.Config)) *runtimehost.Function {
	t.Helper()
	cfg := runtimehost.Config{Binary: bootstrap, Env: map[string]string{"ECHO_MODE": "raw"}, Timeout: time.Minute, MaxEnvironments: 1}
	if change != nil {
		change(&cfg)
	}
	f, err := runtimehost.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func invoke(t *testing.T, f *runtimehost.Function, format string, args ...any) runtimehost.Result {
	t.Helper()
	r, err := f.Invoke(context.Background(), fmt.Appendf(nil, format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type said struct {
	PID  int               `json:"pid"`
	Env  map[string]string `json:"env"`
	Left int64             `json:"left_ms"`
}

func says(t *testing.T, r runtimehost.Result) said {
	t.Helper()
	var s said
	if r.FunctionError != "" {
		t.Fatalf("the function failed: %s", r.Payload)
	}
	if err := json.Unmarshal(r.Payload, &s); err != nil || s.PID == 0 {
		t.Fatalf("answer %s: %v", r.Payload, err)
	}
	return s
}

// wantFailure checks that a function failed with an error document.
func wantFailure(t *testing.T, r runtimehost.Result, kind, message string) {
	t.Helper()
	var doc struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal(r.Payload, &doc); err != nil {
		t.Fatalf("the error document is not JSON: %s", r.Payload)
	}
	if r.FunctionError != "Unhandled" || doc.Type != kind || !strings.Contains(doc.Message, message) {
		t.Errorf("FunctionError %q, %s", r.FunctionError, r.Payload)
	}
}

// exists reports whether a process runs. A dead child nobody waited for does.
func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestColdThenWarm(t *testing.T) {
	f := start(t, nil)
	first := invoke(t, f, `{"do":"one"}`)
	if !first.Cold || first.InitDuration <= 0 || first.Duration <= 0 {
		t.Errorf("first: %+v", first)
	}
	pid := says(t, first).PID
	for range 3 {
		r := invoke(t, f, `{"do":"again"}`)
		if r.Cold || r.InitDuration != 0 || says(t, r).PID != pid {
			t.Errorf("not the same environment: %+v", r)
		}
		if string(r.Log) != "doing again\n" {
			t.Errorf("log %q", r.Log)
		}
	}
}

func TestEnvironmentVariables(t *testing.T) {
	t.Setenv("CREDENCE_LEAK", "of this process")
	f := start(t, func(c *runtimehost.Config) {
		c.Env["TABLE"], c.MemoryMB = "meta", 1024
	})
	s := says(t, invoke(t, f, `{}`))
	for name, want := range map[string]string{
		"TABLE": "meta", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "CREDENCE_LEAK": "", "PATH": "",
	} {
		if s.Env[name] != want {
			t.Errorf("%s = %q, want %q", name, s.Env[name], want)
		}
	}
	if !strings.HasPrefix(s.Env["AWS_LAMBDA_RUNTIME_API"], "127.0.0.1:") {
		t.Errorf("the runtime API is at %q", s.Env["AWS_LAMBDA_RUNTIME_API"])
	}
	if s.Left <= 0 || s.Left > time.Minute.Milliseconds() {
		t.Errorf("the deadline is %d ms away", s.Left)
	}
}

// gate holds requests until count of them are there, or open is closed.
func gate(t *testing.T, count int) (url string, arrived chan struct{}, open chan struct{}) {
	t.Helper()
	arrived, open = make(chan struct{}, count), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-open:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, arrived, open
}

func TestConcurrency(t *testing.T) {
	const n = 3
	f := start(t, func(c *runtimehost.Config) { c.MaxEnvironments = n })
	url, arrived, open := gate(t, n)
	results := make(chan runtimehost.Result, n)
	for range n {
		go func() {
			r, err := f.Invoke(context.Background(), fmt.Appendf(nil, `{"do":"gate","gate":%q}`, url))
			if err != nil {
				t.Error(err)
			}
			results <- r
		}()
	}
	for range n {
		<-arrived
	}
	if _, err := f.Invoke(context.Background(), []byte(`{}`)); !errors.Is(err, runtimehost.ErrThrottled) {
		t.Errorf("with all environments busy: %v", err)
	}
	close(open)
	pids := map[int]bool{}
	for range n {
		r := <-results
		if !r.Cold {
			t.Error("an environment served two at once")
		}
		pids[says(t, r).PID] = true
	}
	if len(pids) != n {
		t.Errorf("%d processes, want %d", len(pids), n)
	}
	if r := invoke(t, f, `{}`); r.Cold || !pids[says(t, r).PID] {
		t.Error("an idle environment was not used")
	}
}

func TestFailures(t *testing.T) {
	for _, row := range []struct {
		name, event   string
		kind, message string
		dropped       bool
	}{
		{"an error", `{"do":"error"}`, "errorString", "an error on purpose", false},
		{"a panic", `{"do":"panic"}`, "string", "on purpose", true},
		{"an exit", `{"do":"exit"}`, "Runtime.ExitError", "Runtime exited with error: exit status 7", true},
		{"an answer above 6 MB", `{"do":"big","size":6300000}`, "Function.ResponseSizeTooLarge", "6291556", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := start(t, nil)
			pid := says(t, invoke(t, f, `{}`)).PID
			wantFailure(t, invoke(t, f, "%s", row.event), row.kind, row.message)
			if gone := !exists(pid); gone != row.dropped {
				t.Errorf("process gone = %v, want %v", gone, row.dropped)
			}
			after := invoke(t, f, `{}`)
			if after.Cold != row.dropped {
				t.Errorf("cold afterwards = %v, want %v", after.Cold, row.dropped)
			}
		})
	}
}

func TestTimeoutKills(t *testing.T) {
	f := start(t, func(c *runtimehost.Config) { c.Timeout = 2 * time.Second })
	pid := says(t, invoke(t, f, `{}`)).PID
	r := invoke(t, f, `{"do":"hang"}`)
	wantFailure(t, r, "Sandbox.Timedout", "Task timed out after 2.00 seconds")
	if !r.TimedOut || r.Duration < 2*time.Second {
		t.Errorf("TimedOut %v after %v", r.TimedOut, r.Duration)
	}
	if exists(pid) {
		t.Error("the process still runs")
	}
	if string(r.Log) != "doing hang\n" {
		t.Errorf("log %q", r.Log)
	}
	if !invoke(t, f, `{}`).Cold {
		t.Error("the environment was used again")
	}
}

func TestInitFails(t *testing.T) {
	f := start(t, func(c *runtimehost.Config) { c.Env["ECHO_MODE"] = "init-exit" })
	for range 2 { // a failed environment does not count against the limit
		r := invoke(t, f, `{}`)
		wantFailure(t, r, "Runtime.ExitError", "exit status 3")
		if !r.Cold || !strings.Contains(string(r.Log), "init goes wrong") {
			t.Errorf("cold %v, log %q", r.Cold, r.Log)
		}
	}
	text := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(text, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	f = start(t, func(c *runtimehost.Config) { c.Binary = text })
	wantFailure(t, invoke(t, f, `{}`), "Runtime.InvalidEntrypoint", "could not be started")
}

func TestLogIsCapped(t *testing.T) {
	f := start(t, nil)
	r := invoke(t, f, `{"do":"chatter","size":2000000}`)
	if len(r.Log) != 256<<10 || !bytes.HasSuffix(r.Log, []byte("chatter \n")) {
		t.Errorf("%d bytes of log, ending in %q", len(r.Log), r.Log[max(0, len(r.Log)-20):])
	}
	if r := invoke(t, f, `{"do":"quiet"}`); string(r.Log) != "doing quiet\n" {
		t.Errorf("log %.100q", r.Log)
	}
}

func TestPayloadTooLarge(t *testing.T) {
	f := start(t, nil)
	if _, err := f.Invoke(context.Background(), make([]byte, 6_291_557)); !errors.Is(err, runtimehost.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

// TestCallerGivesUp: as on Lambda, the function runs on and its environment is
// used again.
func TestCallerGivesUp(t *testing.T) {
	f := start(t, nil)
	url, arrived, open := gate(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := f.Invoke(ctx, fmt.Appendf(nil, `{"do":"gate","gate":%q}`, url))
		failed <- err
	}()
	<-arrived
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(open)
	r := untilFree(t, f)
	if r.Cold {
		t.Error("the environment was not used again")
	}
}

// untilFree invokes until the only environment is free again.
func untilFree(t *testing.T, f *runtimehost.Function) runtimehost.Result {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r, err := f.Invoke(context.Background(), []byte(`{}`))
		if errors.Is(err, runtimehost.ErrThrottled) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Fatal("the environment never became free")
	return runtimehost.Result{}
}

// gone waits for a process to end.
func gone(pid int) bool {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !exists(pid) {
			return true
		}
	}
	return false
}

// TestDiesWhileIdle: a process that ends between two invocations costs nobody
// his answer once that is known.
func TestDiesWhileIdle(t *testing.T) {
	f := start(t, nil)
	pid := says(t, invoke(t, f, `{}`)).PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !gone(pid) {
		t.Fatal("the process was not waited for")
	}
	r := invoke(t, f, `{}`)
	if r.FunctionError != "" { // the death was noticed by the invocation itself
		wantFailure(t, r, "Runtime.ExitError", "signal: killed")
		r = invoke(t, f, `{}`)
	}
	if !r.Cold || says(t, r).PID == pid {
		t.Errorf("after the process died: %+v", r)
	}
}

func TestClose(t *testing.T) {
	f := start(t, func(c *runtimehost.Config) { c.MaxEnvironments = 2 })
	url, arrived, _ := gate(t, 1)
	busy := make(chan runtimehost.Result, 1)
	go func() {
		r, err := f.Invoke(context.Background(), fmt.Appendf(nil, `{"do":"gate","gate":%q}`, url))
		if err != nil {
			t.Error(err)
		}
		busy <- r
	}()
	<-arrived
	pid := says(t, invoke(t, f, `{}`)).PID
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if exists(pid) {
		t.Error("the idle process still runs")
	}
	wantFailure(t, <-busy, "Sandbox.Closed", "shut down")
	if _, err := f.Invoke(context.Background(), []byte(`{}`)); !errors.Is(err, runtimehost.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	f, err := runtimehost.Start(ctx, runtimehost.Config{
		Binary: bootstrap, Env: map[string]string{"ECHO_MODE": "raw"}, Timeout: time.Minute, MaxEnvironments: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	pid := says(t, invoke(t, f, `{}`)).PID
	cancel()
	if !gone(pid) {
		t.Error("the process still runs")
	}
	if _, err := f.Invoke(context.Background(), []byte(`{}`)); !errors.Is(err, runtimehost.ErrClosed) {
		t.Errorf("after the context's end: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	good := runtimehost.Config{Binary: bootstrap, Timeout: time.Second, MaxEnvironments: 1}
	for name, change := range map[string]func(*runtimehost.Config){
		"no binary":               func(c *runtimehost.Config) { c.Binary = bootstrap + "-not-there" },
		"a folder":                func(c *runtimehost.Config) { c.Binary = filepath.Dir(bootstrap) },
		"no timeout":              func(c *runtimehost.Config) { c.Timeout = 0 },
		"too long a timeout":      func(c *runtimehost.Config) { c.Timeout = 16 * time.Minute },
		"no environment":          func(c *runtimehost.Config) { c.MaxEnvironments = 0 },
		"a variable of Lambda's":  func(c *runtimehost.Config) { c.Env = map[string]string{"AWS_LAMBDA_RUNTIME_API": "x"} },
		"a malformed variable":    func(c *runtimehost.Config) { c.Env = map[string]string{"A=B": "x"} },
		"a variable without name": func(c *runtimehost.Config) { c.Env = map[string]string{"": "x"} },
	} {
		cfg := good
		change(&cfg)
		if f, err := runtimehost.Start(context.Background(), cfg); err == nil {
			_ = f.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
