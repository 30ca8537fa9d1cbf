//go:build unix

package account_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credence/shared/lambdahttp/runtimehost"
)

// TestWrongDeployments: a function that is not told what it needs does not
// start, and its one line of log names all that is missing.
func TestWrongDeployments(t *testing.T) {
	a := open(t)
	for _, d := range a.Deployed() {
		t.Run(d.Folder, func(t *testing.T) {
			log := firstStart(t, d.Folder, map[string]string{"AWS_EC2_METADATA_DISABLED": "true"})
			for name := range d.Env {
				required := strings.HasSuffix(name, "_TABLE") || name == "KMS_KEY"
				if strings.Contains(log, name+" is not set") != required {
					t.Errorf("of %s, which is required %v, the log says %s", name, required, log)
				}
			}
			if !strings.Contains(log, "AWS_REGION") || strings.Count(strings.TrimSpace(log), "\n") != 0 {
				t.Errorf("the log is %s, want one line that names the region too", log)
			}
		})
	}
	for name, change := range map[string]struct{ variable, value, says string }{
		"an alias":      {"KMS_KEY", "alias/credence", "neither a key id nor the ARN"},
		"a key twice":   {"KMS_PREVIOUS_KEYS", "a,a", "twice"},
		"a public list": {"PROBE_ALLOWED_RANGES", "8.8.8.0/24,127.0.0.0/8", "127.0.0.0/8"},
		"no addresses":  {"PROBE_EGRESS", "198.51.100.7,nat.example.com", "nat.example.com"},
	} {
		env := map[string]string{
			"AWS_REGION": "eu-central-1", "META_TABLE": "m", "VAULT_TABLE": "v", "AUDIT_TABLE": "a", "KMS_KEY": "k",
		}
		maps.Copy(env, map[string]string{change.variable: change.value})
		if log := firstStart(t, "probe", env); !strings.Contains(log, change.says) {
			t.Errorf("%s: the log is %s, want it to say %q", name, log, change.says)
		}
	}
}

// firstStart is what a bootstrap logs that must not come to serve.
func firstStart(t *testing.T, folder string, env map[string]string) string {
	t.Helper()
	f, err := runtimehost.Start(t.Context(), runtimehost.Config{
		Binary: filepath.Join(deployment.config.Bootstraps, folder), Env: env, Timeout: 5 * time.Second, MaxEnvironments: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	res, err := f.Invoke(t.Context(), []byte(`{}`))
	if err != nil || res.FunctionError == "" {
		t.Errorf("%s starts all the same: %v", folder, err)
	}
	return string(res.Log)
}
