//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// must skips a test that needs an engine where there is none.
func must(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("no dynoxide: .ci/install-dynoxide installs it")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		nil, {"help"}, {"invoke"}, {"invoke", "create"}, {"invoke", "create", "a", "b"}, {"serve", "x"}, {"serve", "--port", "1"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v, want the usage", args, err)
		}
	}
}

// TestInvoke is `make invoke`: what the function answers goes to standard
// output, what it logs beside it.
func TestInvoke(t *testing.T) {
	t.Chdir("../../../..")
	var out, log bytes.Buffer
	must(t, run(t.Context(), []string{"invoke", "create", "events/create.json"}, &out, &log))
	if !strings.Contains(out.String(), `"statusCode": 200`) || strings.Contains(out.String(), "not a secret") {
		t.Errorf("answered %s", &out)
	}
	for _, want := range []string{`"route":"POST /data_credentials"`, "cold start true, init "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, &log)
		}
	}
	for want, args := range map[string][]string{
		"there is no function": {"invoke", "nothing", "events/create.json"},
		"reading the event":    {"invoke", "create", "events/nothing.json"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}

// TestServe is `make lambda`: it says where it listens and with what to sign in,
// serves, and ends when told to.
func TestServe(t *testing.T) {
	t.Chdir("../../../..")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, ended := &output{first: make(chan string, 1)}, make(chan error, 1)
	go func() { ended <- run(ctx, []string{"serve", "--addr", "127.0.0.1:0"}, said, io.Discard) }()
	var text string
	select {
	case text = <-said.first:
	case err := <-ended:
		must(t, err)
		t.Fatal("it ended by itself")
	}
	found := regexp.MustCompile(`(?s)(http://127\.0\.0\.1:\d+)\n.*\n(crk_\S+)\ncrk_\S+\n$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("it said %q", text)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, found[1]+"/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Basic "+found[2])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("signing in: %d", res.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("told to end: %v", err)
	}
}

// output hands over the first that is written to it.
type output struct{ first chan string }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	select {
	case o.first <- string(p):
	default:
	}
	return len(p), nil
}
