package probetest

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gopkg.in/yaml.v3"

	"credence/shared/connector"
	"credence/shared/probe"
)

//go:embed testdata/values.yaml
var values []byte

// odd is a value of a field that a client may change or refuse on its way to a
// server.
type odd struct {
	Value   string
	Times   int               // the value is repeated as often; 0 is once
	Differs map[string]string // by client: why it and the prober come to different results
}

// Compare sends the values of a section of testdata/values.yaml with an
// independent client and with the prober to one server. client is that client, or the server. try returns what each
// made of a value, in the same words. They must be equal unless the table
// explains the difference, and differ where it explains one. fill replaces the
// names in a value, such as PORT, as strings.NewReplacer does.
func Compare(t *testing.T, client, section string, try func(t *testing.T, value string) (theirs, ours string), fill ...string) {
	t.Helper()
	var sections map[string][]odd
	if err := yaml.Unmarshal(values, &sections); err != nil {
		t.Fatal(err)
	}
	rows := sections[section]
	if len(rows) < 40 {
		t.Fatalf("%s: %d values, want 40 at least", section, len(rows))
	}
	names := strings.NewReplacer(fill...)
	admitted := 0
	for _, r := range rows {
		value := names.Replace(strings.Repeat(r.Value, max(1, r.Times)))
		theirs, ours := try(t, value)
		if strings.Contains(theirs, Word(true)) {
			admitted++
		}
		switch why := r.Differs[client]; {
		case theirs != ours && why == "":
			t.Errorf("%s %.80q: %s says %q, the prober %q", section, value, client, theirs, ours)
		case theirs == ours && why != "":
			t.Errorf("%s %.80q: both say %q; the table explains a difference: %s", section, value, ours, why)
		}
	}
	if admitted == 0 {
		t.Errorf("%s: %s admits none, so nothing is compared", section, client)
	}
}

// Admits checks a credential as it is stored, then probes it. It reports whether
// the secret is proven and everything is there that the credential names.
func Admits(t *testing.T, typ *connector.Type, prober probe.Prober, settings map[string]any) bool {
	t.Helper()
	object, err := json.Marshal(settings)
	if err != nil {
		return false // not UTF-8
	}
	checked, faults := typ.Check(object)
	if len(faults) > 0 {
		return false
	}
	got := probe.NewRunner(map[string]probe.Prober{typ.Name: prober}, Loopback(t, nil), probe.Config{Budget: 6 * probe.Budget}).Run(t.Context(), typ.Name, checked)
	for _, w := range got.Warnings {
		if w.Code == probe.WarnResourceNotFound || w.Code == probe.WarnScopeMissing {
			return false
		}
	}
	return got.Code == probe.CodeOK
}

// Spellings are a value as JSON: a string, and if it is a number, that too.
func Spellings(value string) []any {
	if raw := jsontext.Value(value); raw.IsValid() && raw.Kind() == '0' && strings.TrimSpace(value) == value {
		return []any{value, raw}
	}
	return []any{value}
}

// Word is a result in the words of Compare.
func Word(admitted bool) string {
	if admitted {
		return "admitted "
	}
	return "refused "
}
