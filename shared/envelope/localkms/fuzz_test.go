package localkms

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const seedFolder = "testdata/fuzz/FuzzParse"

// FuzzParse: whatever is accepted is spelt exactly so, and no text panics.
func FuzzParse(f *testing.F) {
	f.Add([]byte(goodText()))
	f.Fuzz(func(t *testing.T, text []byte) {
		fileKey, err := parse(text)
		if err != nil {
			if fileKey != nil {
				t.Error("a key beside an error")
			}
			return
		}
		if string(spell(fileKey)) != string(text) {
			t.Error("accepted a text that is not the spelling of its key")
		}
	})
}

// TestFuzzSeeds fails when the seeds have moved: a fuzz target without any passes
// and tests nothing.
func TestFuzzSeeds(t *testing.T) {
	seeds, err := filepath.Glob(seedFolder + "/*")
	if err != nil || len(seeds) < 8 {
		t.Fatalf("%d seeds in %s, want at least 8: %v", len(seeds), seedFolder, err)
	}
	accepted := 0
	for _, name := range seeds {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatalf("reading a seed: %v", err)
		}
		line, found := strings.CutPrefix(string(file), "go test fuzz v1\n[]byte(")
		text, err := strconv.Unquote(strings.TrimSuffix(line, ")\n"))
		if !found || err != nil {
			t.Fatalf("%s is no seed: %v", name, err)
		}
		if _, err := parse([]byte(text)); err == nil {
			accepted++
		}
	}
	if accepted == 0 || accepted == len(seeds) {
		t.Errorf("%d of %d seeds parse, want some and not all", accepted, len(seeds))
	}
}
