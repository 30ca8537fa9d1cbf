//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// inside is set for a process that has a network of its own.
const inside = "CREDENCE_OWN_NETWORK"

// TestAnyRequest has schemathesis ask the server whatever its OpenAPI document
// allows, and what it does not, and holds every answer to the document; none may
// be a fault of the server. schemathesis is found under the name in
// CREDENCE_SCHEMATHESIS or where .ci/install-schemathesis puts it. Without it
// the test is skipped; where CI is set it fails.
//
// What it makes up may name any host, and a probe would go there: so all of it
// runs in a network namespace in which there is nothing but loopback.
func TestAnyRequest(t *testing.T) {
	tool := os.Getenv("CREDENCE_SCHEMATHESIS")
	if tool == "" {
		tool = filepath.Join("..", "..", ".bin", "schemathesis-venv", "bin", "schemathesis")
	}
	tool, err := filepath.Abs(tool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tool); err != nil {
		lacking(t, "no schemathesis: .ci/install-schemathesis installs it")
	}
	if testing.Short() {
		t.Skip("it asks for half a minute")
	}
	if os.Getenv(inside) == "" {
		alone(t)
		return
	}
	s := start(t, t.TempDir())
	env := signedIn(t, s)
	t.Run("all that the document describes", func(t *testing.T) {
		out, code := random(t, tool, s.url, env)
		tested := regexp.MustCompile(`Tested: (\d+)`).FindStringSubmatch(out)
		if code != 0 || tested == nil {
			t.Fatalf("schemathesis ends with %d:\n%s", code, out)
		}
		if n, err := strconv.Atoi(tested[1]); err != nil || n < 40 {
			t.Errorf("it asked %s operations: too few to be all", tested[1])
		}
	})
	t.Run("a document that is wrong", func(t *testing.T) {
		out, code := random(t, tool, lying(t, s.url), env, "--include-operation-id", "listTypes", "--phases", "coverage")
		if code != 1 || !regexp.MustCompile(`Response violates schema`).MatchString(out) {
			t.Errorf("it is not found out; schemathesis ends with %d:\n%s", code, out)
		}
	})
}

// alone runs the test that calls it in a network namespace of its own.
func alone(t *testing.T) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("unshare", "-n", "sh", "-c", "ip link set lo up").CombinedOutput(); err != nil {
		lacking(t, "no network namespace can be made here: "+err.Error()+" "+string(out))
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up && exec "$0" -test.run "^$1\$" -test.v`, program, t.Name())
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// signedIn is the environment that testdata/schemathesis.toml reads: a key, a
// session of it, another one to end, and one of another user. Of the keys that
// he has, the newest come first in a list and so are changed first; the one he
// signed in with is the last to go. The key that is tried for signing in is
// another than that of the session, whose oldest sessions would end by it.
func signedIn(t *testing.T, s *server) []string {
	t.Helper()
	const email = "plain@example.com"
	admin, asks := key(t, s.out.String()), key(t, command(t, 0, "key", "add", "admin@example.com", "--data", s.dir))
	other := key(t, command(t, 0, "user", "add", email, "--data", s.dir))
	for range 6 {
		command(t, 0, "key", "add", email, "--data", s.dir)
	}
	return append(os.Environ(),
		"CREDENCE_KEY="+admin, "CREDENCE_TOKEN="+session(t, s.url, asks), "CREDENCE_LAST_TOKEN="+session(t, s.url, asks),
		"CREDENCE_OTHER_TOKEN="+session(t, s.url, other))
}

// random runs schemathesis to its end and returns what it says, in which
// secrets are masked, and how it ends.
func random(t *testing.T, tool, api string, env []string, more ...string) (string, int) {
	t.Helper()
	config, err := filepath.Abs(filepath.Join("testdata", "schemathesis.toml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, append([]string{"--config-file", config, "run", api + "/openapi.json"}, more...)...)
	cmd.Env, cmd.Dir = env, t.TempDir() // it leaves folders where it runs
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("running schemathesis: %v", err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// lying stands before the server and changes one word of its document.
func lying(t *testing.T, api string) string {
	t.Helper()
	target, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Accept-Encoding", "identity") // to be changed as text
		},
		ModifyResponse: func(res *http.Response) error {
			if res.Request.URL.Path != "/openapi.json" {
				return nil
			}
			text, err := io.ReadAll(res.Body)
			if err != nil {
				return err
			}
			wrong := bytes.Replace(text, []byte(`"nexset_api_compatible":{"type":"boolean"}`), []byte(`"nexset_api_compatible":{"type":"integer"}`), 1)
			if bytes.Equal(wrong, text) {
				return errors.New("nothing to change")
			}
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(wrong)), int64(len(wrong))
			res.Header.Del("Content-Length")
			return nil
		},
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return front.URL
}
