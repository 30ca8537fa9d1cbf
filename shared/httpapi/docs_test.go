package httpapi

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocsTellTheBounds holds docs/limits.md to the bounds.
func TestDocsTellTheBounds(t *testing.T) {
	text, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, phrase := range []string{
		fmt.Sprintf("| authenticated requests under way | %d | %d |", requestsTotal, requestsOfOrg),
		fmt.Sprintf("| %d MB; a body counts as at least %d KB | %d MB |", bodiesTotal>>20, leastBody>>10, bodiesOfOrg>>20),
		fmt.Sprintf("| time for a body to arrive | %.0f s |", bodyTime.Seconds()),
		fmt.Sprintf("audit logs under way | %d | %d | – | waits up to %.0f s", MaxLists, heavyOfOrg, heavyWait.Seconds()),
		fmt.Sprintf("| answers above %d KB, until the client has them | %d MB | %d MB |", longAnswer>>10, answersTotal>>20, answersOfOrg>>20),
		fmt.Sprintf("at most %d KB and arrives\nwithin a second", maxDiscard>>10),
	} {
		if !strings.Contains(string(text), phrase) {
			t.Errorf("docs/limits.md lacks %q", phrase)
		}
	}
}
