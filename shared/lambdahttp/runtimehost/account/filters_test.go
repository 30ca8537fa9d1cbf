//go:build unix

package account_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"gopkg.in/yaml.v3"

	"credence/shared/envelope/kmstest"
	"credence/shared/lambdahttp/runtimehost/account"
)

// counts tells how many lines of a function's log the template's filters count
// for a metric, as CloudWatch reads them: a line counts where one of the terms
// of the pattern holds for the JSON that it is.
func counts(t *testing.T, functionID, metric string, log []byte) int {
	t.Helper()
	terms := filter(t, functionID, metric)
	n := 0
	for line := range bytes.Lines(log) {
		var members map[string]any
		if json.Unmarshal(line, &members) != nil {
			continue
		}
		for _, term := range terms {
			if members[term[0]] == term[1] {
				n++
				break
			}
		}
	}
	return n
}

var term = regexp.MustCompile(`\(?\$\.([a-z_]+) = "([^"]*)"\)?`)

// filter reads the pattern that counts for a metric in a function's log: members
// and what they must be. It is empty where there is no such filter.
func filter(t *testing.T, functionID, metric string) [][2]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var terms [][2]string
	for id, r := range doc.Resources {
		var f struct {
			Log        string `yaml:"LogGroupName"`
			Pattern    string `yaml:"FilterPattern"`
			Transforms []struct {
				Metric string `yaml:"MetricName"`
			} `yaml:"MetricTransformations"`
		}
		if r.Type != "AWS::Logs::MetricFilter" {
			continue
		}
		if err := r.Properties.Decode(&f); err != nil {
			t.Fatal(err)
		}
		if f.Log != strings.TrimSuffix(functionID, "Function")+"Log" || f.Transforms[0].Metric != metric {
			continue
		}
		if rest := strings.Trim(term.ReplaceAllString(f.Pattern, ""), "{ |}"); rest != "" {
			t.Fatalf("%s: of its pattern %q is not read", id, rest)
		}
		for _, found := range term.FindAllStringSubmatch(f.Pattern, -1) {
			terms = append(terms, [2]string{found[1], found[2]})
		}
	}
	return terms
}

// Metrics that the template counts in logs.
const (
	integrityFailures  = "IntegrityFailures"
	keyServiceFailures = "KeyServiceFailures"
)

// step is something that opens or moves secrets.
type step struct {
	account  *account.Account
	function string
	payload  []byte
}

// steps are all of them, for a new credential.
func steps(t *testing.T, a, moving *account.Account, filler *account.Filler) (all []step, id string) {
	t.Helper()
	text, err := filler.Fill(t.Context(), []byte("${CREDENTIAL} ${TOKEN} ${ORG}"))
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.Fields(string(text))
	for _, routeKey := range []string{"GET /data_credentials/{id}/credentials", "POST /data_credentials/{id}/copy", "POST /data_credentials/{id}/probe"} {
		method, path, _ := strings.Cut(strings.Replace(routeKey, "{id}", filled[0], 1), " ")
		payload := fmt.Appendf(nil, `{"version":"2.0","routeKey":%q,"rawPath":%q,"headers":{"authorization":"Bearer %s"},`+
			`"requestContext":{"http":{"method":%q,"path":%q,"sourceIp":"127.0.0.1"}}}`, routeKey, path, filled[1], method, path)
		all = append(all, step{a, a.Serving(routeKey), payload})
	}
	return append(all, step{moving, "AdminFunction", []byte(`{"action":"rewrap","org":` + filled[2] + `}`)}), filled[0]
}

// TestIntegrityIsCounted exchanges what is sealed in two versions of a secret.
// Who opens or moves it is kept from it, and says so in one line that the alarm
// counts; before that, nobody says anything that an alarm counts.
func TestIntegrityIsCounted(t *testing.T) {
	open(t)
	kms := kmstest.New()
	old, current := kms.AddKey("77777777-7777-4777-8777-777777777777"), kms.AddKey("88888888-8888-4888-8888-888888888888")
	a := reopen(t, kms, old, "")
	moving := reopen(t, kms, current, old) // so that there is something to move
	filler := account.NewFiller(a)
	count := func(all []step, want int) {
		t.Helper()
		for i, s := range all {
			res, err := s.account.Invoke(t.Context(), s.function, s.payload)
			if err != nil || res.FunctionError != "" {
				t.Fatalf("step %d: %v %s", i, err, res.Log)
			}
			failures, away := counts(t, s.function, integrityFailures, res.Log), counts(t, s.function, keyServiceFailures, res.Log)
			if failures != want || away != 0 {
				t.Errorf("step %d: %d lines are counted, want %d, and %d for the key service: %s", i, failures, want, away, res.Log)
			}
		}
	}
	well, _ := steps(t, a, moving, filler)
	count(well, 0)
	ill, id := steps(t, a, moving, filler)
	exchange(t, id)
	count(ill, 1)
}

// exchange swaps all that two items of the vault hold but their keys.
func exchange(t *testing.T, id string) {
	t.Helper()
	var pair []item
	for _, i := range scan(t, "VaultTable") {
		if sk, ok := i["sk"]["S"].(string); ok && strings.Contains(sk, id+"#") {
			pair = append(pair, i)
		}
	}
	if len(pair) != 2 {
		t.Fatalf("the vault has %d items of the credential, want its two versions", len(pair))
	}
	pair[0]["sk"], pair[1]["sk"] = pair[1]["sk"], pair[0]["sk"]
	for _, i := range pair {
		put(t, "VaultTable", i)
	}
}
