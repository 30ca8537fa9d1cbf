//go:build linux

package account_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/endtoend"
	"credence/shared/lambdahttp/runtimehost/account"
)

// targets is where the suite listens for probes. No probe on Lambda may reach
// loopback or an address of its own interfaces, so it is a private address that
// no interface has and that a network namespace of the test's own routes back to
// it, allowed there as an operator would allow one.
const (
	targets = "10.99.0.1"
	inside  = "CREDENCE_OWN_NETWORK"
)

// TestEndToEnd runs the suite of the contract, unchanged, over the bootstraps
// behind the routes of the template. Then it holds the roles to what their
// functions did: nothing was refused, and nothing is granted that no part of
// the suite needs.
func TestEndToEnd(t *testing.T) {
	if os.Getenv(inside) == "" {
		elsewhere(t)
		return
	}
	a := open(t)
	front, err := a.Front()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(front)
	defer server.Close()
	filler := account.NewFiller(a)
	var keys [2]string
	for i := range keys {
		if keys[i], err = filler.Key(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	service := endtoend.Service{
		URL: server.URL, Targets: targets,
		Keys: [2]endtoend.OrgKeys{{Admin: keys[0], User: member(t, a, filler)}, {Admin: keys[1]}},
	}
	endtoend.Run(t, service)
	t.Run("an eleventh version by way of a probe", func(t *testing.T) { eleventh(t, server.URL, filler) })
	t.Run("rights", func(t *testing.T) { rights(t, a) })
}

// elsewhere runs this test in a network namespace that has the address.
func elsewhere(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the whole suite takes a minute")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := `ip link set lo up && ip route add local ` + targets + `/32 dev lo && exec "$0" -test.run '^` + t.Name() + `$' -test.v`
	check := exec.Command("unshare", "-n", "sh", "-c", "ip link set lo up")
	if out, err := check.CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("making a network namespace: %v: %s", err, out)
		}
		t.Skipf("no network namespace can be made here: %v", err)
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", script, program)
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// member makes a user of the first organisation who is no admin.
func member(t *testing.T, a *account.Account, filler *account.Filler) string {
	t.Helper()
	command, err := filler.Fill(t.Context(), []byte(`{"action":"user add","org":${ORG},"email":"member@org0.example"}`))
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.Invoke(t.Context(), "admin", command)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Made struct {
			Key string `json:"service_key"`
		} `json:"made"`
	}
	if err := json.Unmarshal(res.Payload, &out); err != nil || out.Made.Key == "" {
		t.Fatalf("no user was made: %s", res.Log)
	}
	return out.Made.Key
}

// eleventh has the probe function drop the oldest version, for which alone it
// may delete.
func eleventh(t *testing.T, api string, filler *account.Filler) {
	id, token, body := tenVersions(t, api, filler)
	status, answer := send(t, "POST", api+"/data_credentials/"+id+"/versions", token, body)
	if status != http.StatusOK {
		t.Fatalf("POST versions: %d %s", status, answer)
	}
	status, answer = send(t, "GET", api+"/data_credentials/"+id+"/versions", token, "")
	var versions []struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal([]byte(answer), &versions); err != nil || status != http.StatusOK || len(versions) != 10 {
		t.Errorf("%d versions, %d, %v: want ten; %s", len(versions), status, err, answer)
	}
}

// tenVersions makes a credential with as many versions as are kept, and the
// body of another one that works.
func tenVersions(t *testing.T, api string, filler *account.Filler) (id, token, body string) {
	t.Helper()
	text, err := filler.Fill(t.Context(), []byte("${CREDENTIAL} ${TOKEN}")) // has two versions
	if err != nil {
		t.Fatal(err)
	}
	id, token, _ = strings.Cut(string(text), " ")
	body = proven(t)
	for range 8 {
		if status, answer := send(t, "PUT", api+"/data_credentials/"+id, token, body); status != http.StatusOK {
			t.Fatalf("PUT: %d %s", status, answer)
		}
	}
	return id, token, body
}

// proven serves a target and returns a body whose credentials it accepts.
func proven(t *testing.T) (body string) {
	t.Helper()
	listener, err := net.Listen("tcp", targets+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "right" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	return fmt.Sprintf(`{"credentials":{"api_key":"right","base_url":"http://%s/"}}`, listener.Addr())
}

func send(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	return sendAs(t, method, url, "Bearer "+token, body)
}

func sendAs(t *testing.T, method, url, sign, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", sign)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// rights compares what the roles allow with what was done.
func rights(t *testing.T, a *account.Account) {
	made, refused := a.Calls()
	for _, c := range refused {
		t.Errorf("the role does not allow what its function did: %v", c)
	}
	for _, d := range a.Deployed() {
		if d.Folder == "admin" {
			continue // has no route; TestChangeOfKey holds it to its commands
		}
		needed(t, d, made)
	}
	if len(made) < 20 {
		t.Errorf("only these calls were made: %v", made)
	}
}
