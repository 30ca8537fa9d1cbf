package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// prelude makes the commands of a document run against a server of their own:
// the program is built as the document says, the server starts in the background
// and takes its address from the environment, and what only root may do is left
// out. KEY is read from what the first start printed.
const prelude = `
unset MAKEFLAGS MAKELEVEL
export CREDENCE_ADDR=$ADDR GOBIN=$HOME_/bin DATA=$HOME_/.data PATH=$HOME_/bin:$PATH
mkdir -p $HOME_/bin $HOME_/backups; cd $HOME_
SERVER=
halt() { if [ -n "$SERVER" ]; then kill $SERVER; wait $SERVER || true; SERVER=; fi; }
trap halt EXIT
begin() {
    halt
    (exec "$@") >>serve.txt 2>&1 &
    SERVER=$!
    for _ in $(seq 600); do
        if curl -sf http://$ADDR/health >/dev/null; then return 0; fi
        if ! kill -0 $SERVER; then cat serve.txt; return 1; fi
        sleep 0.1
    done
    return 1
}
make() { if [ "$1" = run ]; then begin make -C $REPO BIN=$GOBIN "$@"; else command make -C $REPO BIN=$GOBIN "$@"; fi; }
go() { command go -C $REPO "$@"; }
git() { [ "$*" = pull ]; }
credence() { if [ "$1" = serve ]; then begin credence "$@"; else command credence "$@"; fi; }
systemctl() { if [ "$1" = stop ]; then halt; else begin credence serve; fi; }
read() { KEY=$(grep -m1 '^crk_' serve.txt); }
`

// runDocument runs every block of commands of a document, in order, and returns
// what they print. before runs first: it starts a server for a document that
// expects one. Blocks that need another machine or root are marked as console
// sessions in the document.
func runDocument(t *testing.T, path, before string, replace ...string) string {
	t.Helper()
	for _, tool := range []string{"bash", "curl", "sed", "grep", "seq", "make", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacking(t, tool+" is missing")
		}
	}
	if testing.Short() {
		t.Skip("it builds the program and waits between probes")
	}
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, home := listener.Addr().String(), t.TempDir()
	_ = listener.Close()
	script := strings.NewReplacer(append(replace, "127.0.0.1:3000", addr)...).Replace(strings.Join(blocks(t, path, "sh"), "\n"))
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", prelude+before+script)
	cmd.Env = append(os.Environ(), "HOME_="+home, "REPO="+repo, "ADDR="+addr, "ALLOW=", "STORE=", "ENDPOINT=")
	cmd.Env = slices.DeleteFunc(cmd.Env, func(e string) bool { return strings.HasPrefix(e, "CREDENCE_") })
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("the server outlives the commands of the document")
	}
	return string(out)
}

// blocks returns the fenced blocks of one language in a document.
func blocks(t *testing.T, path, language string) []string {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		t.Fatalf("%s has no block of %s", path, language)
	}
	return out
}

// wants holds what a document's commands print to what its text promises, in order.
func wants(t *testing.T, printed string, promises ...string) {
	t.Helper()
	rest := printed
	for _, want := range promises {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Errorf("nothing printed after the promise before has %s:\n%s", want, printed)
			return
		}
		rest = after
	}
}

func TestReadme(t *testing.T) {
	t.Parallel()
	ten := blocks(t, "../../README.md", "sh")[1]
	if !strings.HasPrefix(ten, "read -rs KEY") || strings.Count(ten, "\n") != 10 {
		t.Fatalf("the README has no ten lines that begin with the key:\n%s", ten)
	}
	wants(t, runDocument(t, "../../README.md", ""),
		`"verdict":"valid"`, `"secret_version":2`, `"verdict":"invalid","error_code":"AUTH_REJECTED","pointer":"/credentials/api.key.auth.value"`,
		`[{"id":`, `"api.key.auth.value":"Bearer wrong"`, `"event":"reveal"`, `"event":"create"`,
		"My organisation", "user loader@example.com", "crk_", "first key",
		`"sslmode":"disable"`, `"switched":false`, `"switched":true`, `"verdict":"valid"`, `"active":true`, `"secret_version":1`,
		"credence.backup: ", "0 faults")
}

func TestOneMachine(t *testing.T) {
	t.Parallel()
	const page = "../../docs/one-machine.md"
	wants(t, runDocument(t, page, "", "/var/lib/credence", "$HOME_/lib/credence", "/var/backups", "$HOME_/backups"),
		"credence 0.", `"status":"ok"`, "My organisation", "crk_", "nightly", "PAUSED", "crk_", "DEACTIVATED", "ACTIVE", "is deleted",
		"credence-1.backup: ", "0 faults", "holds the store as it was", "0 faults", "0 faults", "data keys moved", "bytes before", "0 faults")
}

// served starts a server on the default folder, with a credential whose secret a check opens.
const served = `
go install ./functions/credence
credence serve
ORG=$(credence org list --json | sed -n '1,/"id"/s/.*"id": \([0-9]*\).*/\1/p')
TOKEN=$(curl -s -X POST http://$ADDR/token -H "Authorization: Basic $(grep -m1 '^crk_' serve.txt)" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -sf http://$ADDR/data_credentials -H "Authorization: Bearer $TOKEN" \
    -d '{"name":"a","credentials_type":"rest","credentials":{"api_key":"correct-horse","base_url":"https://api.example.com"}}' >/dev/null
mkdir safe
`

func TestBackupPage(t *testing.T) {
	t.Parallel()
	wants(t, runDocument(t, "../../docs/backup.md", served, "/var/backups", "$HOME_/backups", "/srv/credence", "$HOME_/restored", "/safe/", "$HOME_/safe/"),
		".backup: ", "holds the store as it was", "1 secret, each opened", "0 faults", "0 faults", "each opened", "0 faults", "0 faults",
		"bytes before", "1 data keys moved", "each opened", "0 faults")
}

func TestAuditPage(t *testing.T) {
	t.Parallel()
	wants(t, runDocument(t, "../../docs/audit.md", served),
		"My organisation", "TIME", "sign_in", "TIME", `"event":"key_created"`, "AUDIT DAYS  90")
}

func TestSourcesPage(t *testing.T) {
	t.Parallel()
	wants(t, runDocument(t, "../../docs/sources.md", served),
		`"status":"INIT"`, `"source_type":"rest"`, `"sink_type":"rest"`, `"data_sources":[{"type":"data_source"`, `"error":"Method Not Allowed"`,
		`"data_credentials_id":null`, `"message":"Ok"`, `"status":"PAUSED"`, `"copied_from_id":`, `"message":"Ok"`, `"event":"destroy"`)
}

func TestUsagePage(t *testing.T) {
	t.Parallel()
	wants(t, runDocument(t, "../../docs/usage.md", served),
		`"type":"pipeline"`, `"api_key":"correct-horse"`, `"read_by":[{"user":`, `"version":2,"active":true`, `"last_read_by":[]`, `"last_read_by":[{"principal"`,
		`"api_key":"correct-horse-2"`, `"last_read_by":[{"principal"`, `"last_read_by":[]`, `[]`)
}

func TestSharingPage(t *testing.T) {
	t.Parallel()
	wants(t, runDocument(t, "../../docs/sharing.md", served),
		`"name":"Data Ops"`, `"type":"TEAM"`, `"email":"loader@example.com"`, `"type":"USER"`, `"because":[{"type":"OWNER"`, `"type":"TEAM"`, `[{"id":`,
		`"access_roles":["reveal"]`, `"status":"DEACTIVATED"`, `"done":true`, `"type":"TEAM"`)
}

func TestPeoplePage(t *testing.T) {
	t.Parallel()
	wants(t, runDocument(t, "../../docs/people.md", served),
		`"full_name":"Ada Lovelace"`, `"pointer":"/email","code":"duplicate"`, `"name":"Data engineering"`, `"description":"Loads the warehouse"`,
		`"email":"ada@example.com"`, `"email":"admin@example.com"`, `"error_code":"not_found"`, `"status":"DEACTIVATED"`, "401", `"name":"first key"`,
		`"event":"user_suspended"`, `"message":"Ok"`)
}

func TestKeysPage(t *testing.T) {
	t.Parallel()
	wants(t, runDocument(t, "../../docs/keys.md", ""),
		`"status":"PAUSED"`, `"status":"ACTIVE"`, `"api_key":"crk_`, `"message":"Ok"`,
		`"scopes":["read","probe","use","write","share"]`, `"scopes":["read","probe","use","write","share","reveal"]`,
		`[{"id":`, `"message":"Ok"`, `"name":"replacement"`,
		"loader@example.com", "PAUSED", "ACTIVE", "crk_", "is deleted", "first key", "crk_",
		`"status":"DEACTIVATED"`, `[{"id":`, "DEACTIVATED", "ACTIVE", "DEACTIVATED", "My organisation")
}

// TestUnit reads the systemd unit of the page: each setting is one of systemd's,
// and the command line and its environment are ones that the program takes.
func TestUnit(t *testing.T) {
	settings := map[string][]string{
		"[Unit]": {"Description", "After", "Wants"},
		"[Service]": {
			"ExecStart", "Environment", "User", "StateDirectory", "StateDirectoryMode", "UMask", "Restart", "RestartSec", "NoNewPrivileges",
			"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "CapabilityBoundingSet", "RestrictAddressFamilies", "LimitCORE",
		},
		"[Install]": {"WantedBy"},
	}
	var variables []string
	flags := map[string]bool{}
	collect(model(t).Node, flags, map[string]bool{})
	for f := range flags {
		variables = append(variables, variable(strings.TrimPrefix(f, "--")))
	}
	unit := blocks(t, "../../docs/one-machine.md", "ini")[0]
	verifyUnit(t, unit)
	section := ""
	for _, line := range strings.Split(unit, "\n") {
		name, value, assigned := strings.Cut(line, "=")
		switch {
		case line == "":
		case !assigned:
			if section = line; settings[section] == nil {
				t.Errorf("there is no section %s", line)
			}
		case !slices.Contains(settings[section], name):
			t.Errorf("%s has no setting %s", section, name)
		case name == "Environment":
			for _, assignment := range strings.Fields(value) {
				if name, _, _ := strings.Cut(assignment, "="); !slices.Contains(variables, name) {
					t.Errorf("%s sets no flag", name)
				}
			}
		case name == "ExecStart":
			words := strings.Fields(value)
			var line commandLine
			p, err := newParser(&line, streams{}, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Parse(words[1:]); err != nil || words[0] != "/usr/local/bin/credence" {
				t.Errorf("%s is no command line: %v", value, err)
			}
		}
	}
}

// verifyUnit lets systemd read the unit, where it is installed, with a program
// that exists in the place of the installed one.
func verifyUnit(t *testing.T, unit string) {
	t.Helper()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "credence.service")
	if err := os.WriteFile(path, []byte(strings.Replace(unit, "/usr/local/bin/credence", self, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), tool, "verify", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
}
