// Package verdicts is a bench of behaviours: what servers answer, as their
// documents describe it, and the verdict that a right and a wrong secret must
// get there. Its rows are data: README.md describes their form.
package verdicts

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"gopkg.in/yaml.v3"

	types "credence/shared/connector/builtin"
	"credence/shared/probe"
	"credence/shared/probe/builtin"
	gcsprobe "credence/shared/probe/gcs"
	"credence/shared/probe/probetest"
	s3probe "credence/shared/probe/s3"
)

var (
	update = flag.Bool("update", false, "write testdata/words.golden anew")
	show   = flag.Bool("matrix", false, "print the confusion matrix")
)

// row is one behaviour.
type row struct {
	Name        string         `yaml:"name"`
	Source      string         `yaml:"source"` // of the behaviour
	TLS         string         `yaml:"tls"`    // "", "on", "wants a certificate", "only HTTP/2"
	Secret      string         `yaml:"secret"` // the right one
	Others      []string       `yaml:"others"` // wrong ones besides those that are made
	Server      []rule         `yaml:"server"`
	Database    *database      `yaml:"database"` // in place of Server
	Alert       string         `yaml:"alert"`    // in place of Server
	Credentials map[string]any `yaml:"credentials"`
	Right       string         `yaml:"right"` // verdict code field +WARNING
	Wrong       string         `yaml:"wrong"` // "" for a behaviour without a secret
	Hint        string         `yaml:"hint"`  // what the message must contain
}

const usualSecret = "right-5f1d0c7e93abK4"

// TestVerdicts runs each row with the right secret and with wrong ones.
func TestVerdicts(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rows: %v", err)
	}
	m := &matrix{counts: map[string]*count{}}
	var words probetest.Words
	t.Cleanup(func() { words.Golden(t, *update) })
	t.Cleanup(func() {
		if *show {
			_, _ = fmt.Fprintln(os.Stdout, m)
		}
	})
	for _, file := range files {
		typ := strings.TrimSuffix(file, ".yaml")
		for _, r := range read(t, file) {
			t.Run(typ+"/"+r.Name, func(t *testing.T) {
				t.Parallel()
				secret := cmp.Or(r.Secret, usualSecret)
				m.row(typ)
				words.Keep(typ+": "+r.Name, r.run(t, m, typ, secret))
				if r.Wrong == "" {
					return
				}
				for _, other := range append(wrongs(secret), r.Others...) {
					words.Keep(typ+": "+r.Name+", wrong", r.run(t, m, typ, other))
				}
			})
		}
	}
}

func read(t *testing.T, file string) []row {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&rows); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return rows
}

// wrongs are two wrong secrets: one letter changed, and another of the same
// length.
func wrongs(secret string) []string {
	changed := []byte(secret)
	last := bytes.LastIndexFunc(changed, func(c rune) bool { return c != '=' && c != ' ' && c != '"' && c < 0x80 })
	changed[last] = map[bool]byte{true: 'x', false: 'y'}[changed[last] != 'x']
	made := []byte(secret)
	for i, c := range made {
		if c|0x20 >= 'a' && c|0x20 <= 'z' && i > 4 {
			made[i] = byte('a' + rand.IntN(26))
		}
	}
	return []string{string(changed), string(made)}
}

// run probes with a secret and holds the result to the row.
func (r row) run(t *testing.T, m *matrix, typ, presented string) probe.Result {
	t.Helper()
	right := cmp.Or(r.Secret, usualSecret)
	server := r.start(t, typ, right)
	server.keyFile = keyFile(t, presented == right)
	text, err := json.Marshal(fill(r.Credentials, presented, server))
	if err != nil {
		t.Fatal(err)
	}
	registry, err := types.Registry()
	if err != nil {
		t.Fatal(err)
	}
	declared, ok := registry.Lookup(typ)
	if !ok {
		t.Fatalf("%s is no type", typ)
	}
	settings, faults := declared.Check(text)
	if len(faults) > 0 {
		t.Fatalf("the credential cannot be saved: %v", faults)
	}
	got := probe.NewRunner(probers(server.url), probetest.Loopback(t, server.names), probe.Config{}).Run(t.Context(), typ, settings)
	probetest.Sound(t, got, right, presented)
	want := r.Right
	if presented != right {
		want = r.Wrong
	}
	if said := describe(got); said != want {
		t.Errorf("got %q, want %q: %s", said, want, got.Message)
	}
	if presented != right && r.Hint != "" && !strings.Contains(got.Message, r.Hint) {
		t.Errorf("the message has no hint %q: %s", r.Hint, got.Message)
	}
	m.count(typ, got.Verdict, want, presented == right || r.Wrong == "")
	return got
}

// start starts the row's server; it ends with the test.
func (r row) start(t *testing.T, typ, right string) *server {
	t.Helper()
	switch {
	case r.Alert != "":
		return r.refuse(t, typ)
	case r.Database == nil:
		return start(t, r, right)
	}
	s := probetest.Serve(t, func(_ context.Context, c net.Conn) { r.Database.serve(typ, right, c) })
	return &server{port: s.Port}
}

// probers are those of the service, of which the hosts of Google and of Amazon
// are the server.
func probers(address string) map[string]probe.Prober {
	all := maps.Clone(builtin.Probers())
	all["gcs"], all["s3"] = gcsprobe.At(address), s3probe.At(address)
	return all
}

// describe is a result as rows write it.
func describe(r probe.Result) string {
	parts := []string{string(r.Verdict), string(r.Code)}
	if r.Pointer != "" {
		parts = append(parts, strings.TrimPrefix(r.Pointer, "/credentials/"))
	}
	for _, w := range r.Warnings {
		if w.Code != probe.WarnTLSUnverified {
			parts = append(parts, "+"+string(w.Code))
		}
	}
	return strings.Join(parts, " ")
}

// fill puts the secret and the address into the values of a credential.
func fill(credentials map[string]any, secret string, s *server) map[string]any {
	filled := map[string]any{}
	for name, value := range credentials {
		if text, ok := value.(string); ok {
			value = strings.NewReplacer("URL_PARAMETER", "URL_PARAMETER", "SERVERPORT", s.port, "SECRET", secret, "URL", s.url, "AUTHORITY", s.authority, "CERTIFICATE", s.certificate, "CLIENTKEY", s.key, "KEYFILE", s.keyFile).Replace(text)
		}
		filled[name] = value
	}
	return filled
}

// matrix counts verdicts by type.
type matrix struct {
	mu     sync.Mutex
	counts map[string]*count
}

type count struct{ rows, probes, falseGreen, falseRed, undecided int }

func (m *matrix) of(typ string) *count {
	if m.counts[typ] == nil {
		m.counts[typ] = &count{}
	}
	return m.counts[typ]
}

func (m *matrix) row(typ string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(typ).rows++
}

func (m *matrix) count(typ string, got probe.Verdict, want string, right bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.of(typ)
	c.probes++
	switch decided := !strings.HasPrefix(want, string(probe.Unknown)); {
	case got == probe.Valid && !right:
		c.falseGreen++
	case got == probe.Invalid && right && !strings.HasPrefix(want, string(probe.Invalid)):
		c.falseRed++
	case got == probe.Unknown && decided:
		c.undecided++
	}
}

func (m *matrix) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := fmt.Sprintf("\n%-10s %6s %8s %12s %10s %27s\n", "type", "rows", "probes", "false green", "false red", "unknown though decidable")
	names := make([]string, 0, len(m.counts))
	for name := range m.counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c := m.counts[name]
		text += fmt.Sprintf("%-10s %6d %8d %12d %10d %27d\n", name, c.rows, c.probes, c.falseGreen, c.falseRed, c.undecided)
	}
	return text
}
