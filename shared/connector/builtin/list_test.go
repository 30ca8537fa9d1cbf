package builtin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credence/shared/connector"
)

// TestGoldenList shows the list with each field and its marks. A number that
// changes here is another connector to every client that kept it.
func TestGoldenList(t *testing.T) {
	var b strings.Builder
	for _, typ := range registry(t).All() {
		fmt.Fprintf(&b, "%d %s (%s)\n", typ.ID, typ.Name, typ.Title)
		for _, f := range typ.Fields {
			fmt.Fprintf(&b, "  %-38s %-6s %s\n", strings.Join(slices.Concat([]string{f.Name}, f.Also, f.Encoded), ", "), f.Kind, marks(typ, f))
		}
		for _, m := range typ.Methods {
			fmt.Fprintf(&b, "  by %s: %s\n", m.Name, strings.Join(m.Needs, ", "))
		}
	}
	path := filepath.Join("testdata", "types.txt")
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	got := strings.Join(lines, "\n")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference", path)
	}
}

func marks(typ *connector.Type, f connector.Field) string {
	var found []string
	for _, mark := range []struct {
		name string
		on   bool
	}{
		{"required", slices.Contains(typ.Needs, f.Name)},
		{"secret", f.Secret},
		{"public", f.Public},
		{"destination", f.Destination},
		{"identity", f.Identity},
	} {
		if mark.on {
			found = append(found, mark.name)
		}
	}
	return strings.Join(found, " ")
}
