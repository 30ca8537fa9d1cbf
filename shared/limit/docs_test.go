package limit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocsTellTheRates holds docs/limits.md to the rates of Failures.
func TestDocsTellTheRates(t *testing.T) {
	text, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, phrase := range []string{
		fmt.Sprintf("| of one source that names one organisation | %d | %g s |", failuresOfPair, pairInterval.Seconds()),
		fmt.Sprintf("| of one source, whatever it names | %d | %g s |", failuresOfSource, sourceInterval.Seconds()),
		fmt.Sprintf("| of one organisation, from every source | %d | %g s |", failuresOfOrg, orgInterval.Seconds()),
	} {
		if !strings.Contains(string(text), phrase) {
			t.Errorf("docs/limits.md lacks %q", phrase)
		}
	}
}
