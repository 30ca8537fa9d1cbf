//go:build unix

package account_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"

	"credence/shared/api/admin"
	"credence/shared/lambdahttp/runtimehost/account"
)

// top is the folder of go.mod, from here.
const top = "../../../.."

// shared is the one deployment of this test binary.
var deployment struct {
	once    sync.Once
	config  account.Config
	account *account.Account
	err     error
	end     []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, end := range deployment.end {
		end()
	}
	os.Exit(code)
}

// open deploys the template, with the bootstraps as they are shipped. Without
// an engine the test is skipped; where CI is set it fails.
func open(t *testing.T) *account.Account {
	t.Helper()
	deployment.once.Do(func() { deployment.account, deployment.err = deploy() })
	if errors.Is(deployment.err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("no dynoxide: .ci/install-dynoxide installs it")
	}
	if deployment.err != nil {
		t.Fatal(deployment.err)
	}
	return deployment.account
}

func deploy() (*account.Account, error) {
	ctx := context.Background()
	// The go command keeps a test's result while what the test read is the same.
	// The sources that another process compiles must be among it.
	for _, folder := range []string{"functions", "shared"} {
		err := filepath.WalkDir(filepath.Join(top, folder), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			return nil, err
		}
	}
	folder, err := os.MkdirTemp("", "credence-bootstraps-")
	if err != nil {
		return nil, err
	}
	deployment.end = append(deployment.end, func() { _ = os.RemoveAll(folder) })
	endpoint, stop, err := account.Engine(ctx, top)
	if err != nil {
		return nil, err
	}
	deployment.end = append([]func(){stop}, deployment.end...)
	if err := account.Build(ctx, top, folder); err != nil {
		return nil, err
	}
	template, err := os.ReadFile(filepath.Join(top, "template.yaml"))
	if err != nil {
		return nil, err
	}
	deployment.config = account.Config{
		Template: template, Bootstraps: folder, Engine: endpoint, Environments: 24,
		Parameters: map[string]string{"AllowedPrivateRanges": "10.99.0.0/24", "EgressAddresses": "198.51.100.7"},
	}
	a, err := account.Open(ctx, deployment.config)
	if err != nil {
		return nil, err
	}
	deployment.end = append([]func(){func() { _ = a.Close() }}, deployment.end...)
	return a, nil
}

// probes are answered 400: what the example names is this machine itself, which
// no probe may reach, and it is nothing to look into. The status is the
// contract's for "cannot tell".
func probes(routeKey string) bool {
	if routeKey == "POST /data_credentials/{id}/versions" {
		return true
	}
	return strings.Contains(routeKey, "/probe") && !strings.HasSuffix(routeKey, "/history")
}

// want is the status that a file's name and place ask for.
func want(t *testing.T, file, routeKey string) int {
	t.Helper()
	if filepath.Base(filepath.Dir(file)) == "refused" {
		status, _, _ := strings.Cut(filepath.Base(file), "-")
		n, err := strconv.Atoi(status)
		if err != nil {
			t.Fatalf("%s does not begin with a status", file)
		}
		return n
	}
	switch {
	case probes(routeKey):
		return 400
	case routeKey == "GET /":
		return 302 // to the documentation
	}
	return 200
}

func eventFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.json", "refused/*.json"} {
		found, err := filepath.Glob(filepath.Join(top, "events", pattern))
		if err != nil || len(found) < 10 {
			t.Fatalf("events/%s finds %d files, %v: too few", pattern, len(found), err)
		}
		for _, f := range found {
			if filepath.Base(f) != "env.json" {
				files = append(files, f)
			}
		}
	}
	return files
}

// TestEvents runs every file through the bootstrap of the function that serves
// its route.
func TestEvents(t *testing.T) {
	a := open(t)
	filler := account.NewFiller(a)
	for _, file := range eventFiles(t) {
		name := strings.TrimSuffix(strings.TrimPrefix(file, filepath.Join(top, "events")+"/"), ".json")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := filler.Fill(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			var event events.APIGatewayV2HTTPRequest
			if err := json.Unmarshal(payload, &event, json.RejectUnknownMembers(true)); err != nil {
				t.Fatal(err)
			}
			serving := a.Serving(event.RouteKey)
			if serving == "" {
				t.Fatalf("no function serves %q", event.RouteKey)
			}
			res, err := a.Invoke(t.Context(), serving, payload)
			if err != nil {
				t.Fatal(err)
			}
			if res.FunctionError != "" {
				t.Fatalf("the function failed: %s", res.Log)
			}
			answer, err := account.Answer(res.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if w := want(t, file, event.RouteKey); answer.StatusCode != w {
				t.Errorf("%s answered %d, want %d; it logged %s", serving, answer.StatusCode, w, res.Log)
			}
			check(t, answer, pages[event.RouteKey])
		})
	}
	_, refused := a.Calls()
	for _, c := range refused {
		t.Errorf("the role does not allow what its function did: %v", c)
	}
}

// TestAdminEvents runs the commands of the function that has no route. Last, a
// rewrap under the only key there is finds everything where it belongs.
func TestAdminEvents(t *testing.T) {
	a := open(t)
	filler := account.NewFiller(a)
	if _, err := filler.Fill(t.Context(), []byte("${CREDENTIAL}")); err != nil {
		t.Fatal(err)
	}
	names := []string{
		"org-add", "org-list", "org-show", "org-set", "user-add", "user-list", "user-show", "user-suspend", "user-activate",
		"key-add", "key-list", "key-show", "key-pause", "key-activate", "key-rotate", "key-delete",
		"rewrap", "check", "refused-unknown-org", "org-suspend", "org-activate", "audit",
	}
	for _, action := range append(admin.Actions(), admin.Rewrap, admin.Check) {
		if !slices.Contains(names, strings.ReplaceAll(action, " ", "-")) {
			t.Errorf("events/admin lacks the action %s", action)
		}
	}
	if files, err := filepath.Glob(filepath.Join(top, "events", "admin", "*")); err != nil || len(files) != len(names) {
		t.Errorf("events/admin has %q, want a file for each of %q: %v", files, names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(top, "events", "admin", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		payload, err := filler.Fill(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		res, err := a.Invoke(t.Context(), "AdminFunction", payload)
		if err != nil || res.FunctionError != "" {
			t.Fatalf("%s: %v, %s", name, err, res.Log)
		}
		var out struct {
			Error string `json:"error"`
			Made  struct {
				Key string `json:"service_key"`
			} `json:"made"`
			Rewrap struct {
				Already int      `json:"already"`
				Refused []string `json:"refused"`
				Next    string   `json:"next"`
			} `json:"rewrap"`
			Check struct {
				Users       int   `json:"users"`
				Credentials int   `json:"credentials"`
				Secrets     int   `json:"secrets"`
				Findings    []any `json:"findings"`
			} `json:"check"`
		}
		if err := json.Unmarshal(res.Payload, &out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		makes := strings.HasSuffix(name, "-add") || name == "key-rotate"
		if refused := strings.HasPrefix(name, "refused"); (out.Error != "") != refused || (out.Made.Key != "") != makes {
			t.Errorf("%s: error %q, made a key %v; logged %s", name, out.Error, out.Made.Key != "", res.Log)
		}
		if name == "rewrap" && (out.Rewrap.Already != 2 || out.Rewrap.Next != "" || len(out.Rewrap.Refused) > 0) {
			t.Errorf("rewrap: %+v, want both versions of the one credential where they belong", out.Rewrap)
		}
		if c := out.Check; name == "check" && (c.Users == 0 || c.Credentials != 1 || c.Secrets != 2 || len(c.Findings) > 0) {
			t.Errorf("check: %+v, want one credential of two versions, and no findings", c)
		}
	}
}

// kind is what an answer says of its body.
type kind struct{ media, cache string }

// pages are the routes that answer something else than JSON for this request
// alone.
var pages = map[string]kind{
	"GET /docs":        {"text/html; charset=utf-8", "no-store"},
	"GET /docs/{file}": {"text/css; charset=utf-8", "public, max-age=3600"},
}

// check holds an answer to what all answers have in common, but for what page
// says of it.
func check(t *testing.T, answer events.APIGatewayV2HTTPResponse, page kind) {
	t.Helper()
	if page == (kind{}) {
		page = kind{"application/json", "no-store"}
	}
	headers := map[string]string{}
	for name, value := range answer.Headers {
		headers[strings.ToLower(name)] = value
	}
	for name, values := range answer.MultiValueHeaders {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	for name, value := range map[string]string{"content-type": page.media, "cache-control": page.cache, "x-content-type-options": "nosniff"} {
		if headers[name] != value {
			t.Errorf("%s: %q, want %q", name, headers[name], value)
		}
	}
	var body struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if answer.StatusCode < 400 {
		return
	}
	if err := json.Unmarshal([]byte(answer.Body), &body); err != nil || body.Code == "" || body.Message == "" {
		t.Errorf("an answer of %d without a code or a message", answer.StatusCode)
	}
}
