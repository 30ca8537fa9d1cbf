package s3probe_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/go-json-experiment/json"

	connector "credence/shared/connector/s3"
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

// saved checks settings as they are checked when they are saved.
func saved(t *testing.T, s settings) probe.Settings {
	t.Helper()
	object, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	checked, faults := connector.Type().Check(object)
	if len(faults) > 0 {
		t.Fatalf("the settings cannot be saved: %v", faults)
	}
	return struct{ probe.Settings }{checked} // hides the names that were sent: rows point at the canonical ones
}

// stored are settings that were never checked: what an older version, or
// somebody with a way into the store, may have left there.
type stored settings

func (s stored) Text(name string) string         { v, _ := s[name].(string); return v }
func (s stored) Secret(name string) secret.Value { return secret.NewText(s.Text(name)) }
func (s stored) Int(string) (int64, bool)        { return 0, false }
func (s stored) Bool(string) (bool, bool)        { return false, false }
func (s stored) Has(name string) bool            { return s.Text(name) != "" }
func (s stored) Method() string                  { return s.Text("s3_auth_type") }

// trial is one probe and what must come of it.
type trial struct {
	settings probe.Settings
	prober   probe.Prober
	resolver netguard.Resolver
	budget   time.Duration
}

func (r trial) run(t *testing.T) (got probe.Result) {
	t.Helper()
	r.within(t, func(runner *probe.Runner) { got = runner.Run(t.Context(), "s3", r.settings) })
	probetest.Sound(t, got, r.secrets()...)
	told(t, got)
	return got
}

// tree looks at a place, sample at a file.
func (r trial) tree(t *testing.T, path string, depth int) (tree probe.Tree, got probe.Result) {
	t.Helper()
	r.within(t, func(runner *probe.Runner) {
		tree, got = runner.Tree(t.Context(), "s3", r.settings, probe.Place{Path: path}, depth)
	})
	probetest.SoundLook(t, got, r.secrets()...)
	told(t, got)
	return tree, got
}

func (r trial) sample(t *testing.T, path string) (sample probe.Sample, got probe.Result) {
	t.Helper()
	r.within(t, func(runner *probe.Runner) {
		sample, got = runner.Sample(t.Context(), "s3", r.settings, probe.Place{Path: path})
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
	runner := probe.NewRunner(map[string]probe.Prober{"s3": r.prober}, probetest.Loopback(t, r.resolver), probe.Config{Budget: r.budget})
	began := time.Now()
	do(runner)
	if took := time.Since(began); took > limit+probetest.Slack {
		t.Errorf("it took %v of %v", took, limit)
	}
}

func (r trial) secrets() []string {
	return []string{"canary", r.settings.Text("access_key"), r.settings.Text("secret_key"), r.settings.Text("session_token")}
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

func credentials(key, secret, token string) func(context.Context) (aws.Credentials, error) {
	return func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: key, SecretAccessKey: secret, SessionToken: token}, nil
	}
}
