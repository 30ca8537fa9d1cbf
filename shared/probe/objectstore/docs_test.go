package objectstore

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/probes.md says what one tree may cost.
func TestDocsTellWhatATreeMayCost(t *testing.T) {
	page, err := os.ReadFile("../../../docs/probes.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), " ")
	for _, phrase := range []string{
		fmt.Sprintf("asks for all keys at once, %d,%03d at most", maxKeys/1000, maxKeys%1000),
		fmt.Sprintf("the upper ones first: %d lists", maxRequests),
		fmt.Sprintf("and %d KiB of answers", maxBytes>>10),
	} {
		if !strings.Contains(text, phrase) {
			t.Errorf("it does not say %q", phrase)
		}
	}
}
