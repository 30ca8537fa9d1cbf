package gcsprobe_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	connector "credence/shared/connector/gcs"
	"credence/shared/probe"
	"credence/shared/probe/netguard"
	"credence/shared/probe/probetest"
	"credence/shared/secret"
)

type settings map[string]any

// and gives the settings with more; nil takes one away.
func (s settings) and(more settings) settings {
	all := maps.Clone(s)
	for name, value := range more {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	return all
}

// text is the settings as JSON.
func (s settings) text(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// trusting are settings that trust the certificate of a double besides.
type trusting struct {
	probe.Settings
	ca string
}

func (s trusting) Text(name string) string {
	if name == "tls.ca_certificate" {
		return s.ca
	}
	return s.Settings.Text(name)
}

// saved checks settings as they are checked when they are saved.
func saved(t *testing.T, s settings, ca string) probe.Settings {
	t.Helper()
	checked, faults := connector.Type().Check([]byte(s.text(t)))
	if len(faults) > 0 {
		t.Fatalf("the settings cannot be saved: %v", faults)
	}
	return trusting{checked, ca}
}

// stored are settings that were never checked: what an older version, or
// somebody with a way into the store, may have left there.
type stored settings

func (s stored) Text(name string) string         { v, _ := s[name].(string); return v }
func (s stored) Secret(name string) secret.Value { return secret.NewText(s.Text(name)) }
func (s stored) Int(string) (int64, bool)        { return 0, false }
func (s stored) Bool(name string) (bool, bool)   { v, ok := s[name].(bool); return v, ok }
func (s stored) Has(name string) bool            { _, ok := s[name]; return ok }
func (s stored) Method() string                  { return "" }

// nowhere is a name server that knows no name and keeps what it is asked.
type nowhere struct{ asked []string }

func (n *nowhere) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.asked = append(n.asked, host)
	return nil, &net.DNSError{Name: host, IsNotFound: true}
}

// trial is one probe.
type trial struct {
	settings probe.Settings
	prober   probe.Prober
	resolver netguard.Resolver
	budget   time.Duration
}

func (r trial) run(t *testing.T) (got probe.Result) {
	t.Helper()
	r.within(t, func(runner *probe.Runner) { got = runner.Run(t.Context(), "gcs", r.settings) })
	probetest.Sound(t, got, r.secrets()...)
	if row, ok := strings.CutPrefix(t.Name(), said); ok {
		words.Keep(strings.ReplaceAll(row, "_", " "), got)
	}
	told(t, got)
	return got
}

// tree looks at a place, sample at a file.
func (r trial) tree(t *testing.T, path string, depth int) (tree probe.Tree, got probe.Result) {
	t.Helper()
	r.within(t, func(runner *probe.Runner) {
		tree, got = runner.Tree(t.Context(), "gcs", r.settings, probe.Place{Path: path}, depth)
	})
	probetest.SoundLook(t, got, r.secrets()...)
	told(t, got)
	return tree, got
}

func (r trial) sample(t *testing.T, path string) (sample probe.Sample, got probe.Result) {
	t.Helper()
	r.within(t, func(runner *probe.Runner) {
		sample, got = runner.Sample(t.Context(), "gcs", r.settings, probe.Place{Path: path})
	})
	probetest.SoundLook(t, got, r.secrets()...)
	told(t, got)
	return sample, got
}

func (r trial) within(t *testing.T, do func(*probe.Runner)) {
	t.Helper()
	limit := r.budget
	if limit == 0 {
		limit = probe.Budget
	}
	runner := probe.NewRunner(map[string]probe.Prober{"gcs": r.prober}, probetest.Loopback(t, r.resolver), probe.Config{Budget: r.budget})
	began := time.Now()
	do(runner)
	if took := time.Since(began); took > limit+probetest.Slack {
		t.Errorf("it took %v of %v", took, limit)
	}
}

func (r trial) secrets() []string {
	return []string{"canary", "-----BEGIN", "MII", r.settings.Text("access_token")}
}

func told(t *testing.T, got probe.Result) {
	t.Helper()
	if testing.Verbose() {
		t.Logf("%s %s %d %v %v: %s", got.Code, got.Pointer, got.Status, got.Warnings, got.Facts, got.Message)
	}
}

// want is what a row asserts.
type want struct {
	code    probe.Code
	pointer string
	warning probe.Code // the only one; "" for none
	at      string     // the warning's pointer
}

func (w want) hold(t *testing.T, got probe.Result) {
	t.Helper()
	pointer := func(field string) string {
		if field == "" {
			return ""
		}
		return "/credentials/" + field
	}
	if got.Code != w.code || got.Pointer != pointer(w.pointer) {
		t.Errorf("got %s at %q, want %s at %q: %s %+v", got.Code, got.Pointer, w.code, pointer(w.pointer), got.Message, got.Stages)
	}
	var warning probe.Warning
	if len(got.Warnings) > 0 {
		warning = got.Warnings[0]
	}
	if len(got.Warnings) > 1 || warning.Code != w.warning || warning.Pointer != pointer(w.at) {
		t.Errorf("warnings %+v, want %q at %q", got.Warnings, w.warning, pointer(w.at))
	}
}

func newKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// pkcs8 is a key in the form in which Google hands it out.
func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
