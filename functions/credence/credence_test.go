package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/endtoend"
)

// server is the program under test, started as a person starts it.
type server struct {
	dir, url string
	out      *printed
	stop     context.CancelFunc
	ended    chan int
}

// printed takes what a program prints while others read it.
type printed struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *printed) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *printed) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

var servesAt = regexp.MustCompile(`serves (https?://\S+)`)

func start(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &server{dir: dir, out: &printed{}, stop: stop, ended: make(chan int, 1)}
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--data", dir}, args...)
	logs := &printed{}
	go func() { s.ended <- run(ctx, args, streams{s.out, logs}) }()
	t.Cleanup(func() { s.end(t) })
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if m := servesAt.FindStringSubmatch(s.out.String()); m != nil {
			s.url = m[1]
			if res, err := http.Get(s.url + "/health"); err == nil {
				_ = res.Body.Close()
				return s
			}
		}
		select {
		case code := <-s.ended:
			t.Fatalf("the server ended with %d: %s%s", code, s.out, logs)
		default:
		}
	}
	t.Fatalf("the server does not answer: %s%s", s.out, logs)
	return nil
}

func (s *server) end(t *testing.T) {
	s.stop()
	select {
	case code := <-s.ended:
		if code != 0 {
			t.Errorf("the server ended with %d", code)
		}
		s.ended <- 0 // whoever ends it again
	case <-time.After(15 * time.Second):
		t.Error("the server does not end")
	}
}

var keyLine = regexp.MustCompile(`(?m)^crk_\S+$`)

// key takes the one key out of what was printed.
func key(t *testing.T, printed string) string {
	t.Helper()
	found := keyLine.FindAllString(printed, -1)
	if len(found) != 1 || strings.Count(printed, found[0]) != 1 {
		t.Fatalf("the output shows %d keys alone on a line, want one, once", len(found))
	}
	return found[0]
}

// session authenticates with a key and returns the token.
func session(t testing.TB, api, key string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Basic "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.UnmarshalRead(res.Body, &out); err != nil || out.Token == "" {
		t.Fatalf("signing in answers %d: %v", res.StatusCode, err)
	}
	return out.Token
}

// command runs an admin command to its end.
func command(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, streams{&out, &errs}); code != want {
		t.Fatalf("%v: exit %d, want %d: %s%s", args, code, want, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

func suiteOn(t *testing.T, s *server) endtoend.Service {
	t.Helper()
	first := key(t, s.out.String())
	org := regexp.MustCompile(`organisation "[^"]*" \((\d+)\)`).FindStringSubmatch(s.out.String())[1]
	user := key(t, command(t, 0, "user", "add", "plain@example.com", "--org", org, "--data", s.dir))
	other := key(t, command(t, 0, "org", "add", "Other", "--data", s.dir))
	return endtoend.Service{
		URL: s.url, Targets: "127.0.0.1",
		Keys: [2]endtoend.OrgKeys{{Admin: first, User: user}, {Admin: other}},
	}
}

func TestEndToEnd(t *testing.T) {
	s := start(t, t.TempDir())
	service := suiteOn(t, s)
	endtoend.Run(t, service)
}

func TestFirstAndLaterStarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	s := start(t, dir)
	first := key(t, s.out.String())
	for name, mode := range map[string]os.FileMode{"key": 0o600, "admin.sock": 0o600, "credence.db": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %o", name, info, err, mode)
		}
	}
	if second := key(t, command(t, 0, "key", "add", "admin@example.com", "--data", dir)); second == first {
		t.Error("key add printed the same key")
	}
	s.end(t)
	third := key(t, command(t, 0, "key", "add", "admin@example.com", "--data", dir))
	later := start(t, dir)
	if strings.Contains(later.out.String(), "crk_") || !strings.Contains(later.out.String(), "key add") || !strings.Contains(later.out.String(), dir) {
		t.Errorf("a later start says:\n%s", later.out)
	}
	for _, k := range []string{first, third} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, later.url+"/token", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Basic "+k)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("a key does not sign in after a restart: %d", res.StatusCode)
		}
	}
}

func TestRefusals(t *testing.T) {
	running := start(t, t.TempDir())
	occupied := strings.TrimPrefix(running.url, "http://")
	wide := filepath.Join(t.TempDir(), "wide")
	lost := t.TempDir()
	start(t, lost).end(t)
	if err := os.Remove(filepath.Join(lost, "key")); err != nil {
		t.Fatal(err)
	}
	s := start(t, wide)
	s.end(t)
	if err := os.Chmod(filepath.Join(wide, "key"), 0o644); err != nil {
		t.Fatal(err)
	}
	notFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		args []string
		exit int
		says string
	}{
		{"a port in use", []string{"serve", "--addr", occupied, "--data", t.TempDir()}, 1, "listens on this address already"},
		{"a folder in use", []string{"serve", "--addr", "127.0.0.1:0", "--data", running.dir}, 1, "another process"},
		{"no folder", []string{"serve", "--addr", "127.0.0.1:0", "--data", notFolder}, 1, "is a file, or lies below one. Choose a data folder with --data."},
		{"a key file that is missing", []string{"serve", "--addr", "127.0.0.1:0", "--data", lost}, 1, "missing"},
		{"a key file that others may read", []string{"serve", "--addr", "127.0.0.1:0", "--data", wide}, 1, "chmod 600"},
		{"others can reach it", []string{"serve", "--addr", "0.0.0.0:0"}, 2, "--public"},
		{"others can reach it in clear", []string{"serve", "--addr", "0.0.0.0:0", "--public"}, 2, "must not cross a network in clear"},
		{"a public range", []string{"serve", "--allow", "8.8.8.0/24"}, 2, "--allow"},
		{"a name for an address", []string{"serve", "--egress", "nat.example.com"}, 2, "--egress"},
		{"the metadata address", []string{"serve", "--allow", "169.254.169.254/32"}, 2, "--allow"},
		{"no certificate", []string{"serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--tls-cert", notFolder, "--tls-key", notFolder}, 1, "TLS certificate"},
		{"a store that is away", []string{"serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--store", "dynamodb", "--dynamodb-endpoint", "http://127.0.0.1:1"}, 1, "does not answer"},
		{"no such store", []string{"serve", "--store", "paper"}, 2, "--store"},
		{"two faults at once", []string{"serve", "--addr", "x", "--store", "paper"}, 2, "--store"},
		{"a user of no data", []string{"user", "add", "a@example.com", "--data", filepath.Join(t.TempDir(), "none")}, 1, "no data"},
		{"no address", []string{"user", "add", "not-an-address", "--data", running.dir}, 1, "address"},
		{"an address twice", []string{"user", "add", "admin@example.com", "--data", running.dir}, 1, "this address"},
		{"a user who is not", []string{"key", "add", "nobody@example.com", "--data", running.dir}, 1, "no user"},
		{"an organisation that is not", []string{"user", "add", "a@example.com", "--org", "7", "--data", running.dir}, 1, "--org"},
		{"nothing to add", []string{"key", "add"}, 2, "Usage"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if out := command(t, row.exit, row.args...); !strings.Contains(out, row.says) {
				t.Errorf("says %q, want it to say %q", out, row.says)
			}
		})
	}
}
