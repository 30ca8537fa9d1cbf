package probetest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"credence/shared/probe"
)

// Words keeps what the failures and warnings of a prober's table say to a
// person, for a golden file to be read by one: each saying once, with the rows
// that met it. It may be used by parallel rows.
type Words struct {
	mu   sync.Mutex
	rows map[string][]string // by saying
}

// Keep notes what a row says. A result that says nothing is left out.
func (w *Words) Keep(row string, r probe.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows == nil {
		w.rows = map[string][]string{}
	}
	keep := func(head, message string) {
		saying := head + "\n" + message
		if !slices.Contains(w.rows[saying], row) {
			w.rows[saying] = append(w.rows[saying], row)
		}
	}
	if r.Code != probe.CodeOK {
		failed := ""
		for _, s := range r.Stages {
			if s.Outcome == probe.StageFailed {
				failed = ", in " + s.Name
			}
		}
		keep(fmt.Sprintf("%s (%s%s)%s", r.Code, r.Verdict, failed, at(r.Pointer)), r.Message)
	}
	for _, warning := range r.Warnings {
		keep(fmt.Sprintf("%s (a warning)%s", warning.Code, at(warning.Pointer)), warning.Message)
	}
}

func at(pointer string) string {
	if pointer == "" {
		return ""
	}
	return " at " + strings.TrimPrefix(pointer, "/credentials/")
}

// Golden holds the sayings equal to testdata/words.golden, or writes it if
// update says so, when the rows of the table have run. It looks at nothing where
// they did not all run, for want of a server or because -run picked some: those
// do not say all that the file holds.
func (w *Words) Golden(t testing.TB, update bool) {
	t.Helper()
	if t.Skipped() {
		return
	}
	if picked := flag.Lookup("test.run"); picked != nil && strings.Contains(picked.Value.String(), "/") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var sayings []string
	for saying, rows := range w.rows {
		slices.Sort(rows)
		sayings = append(sayings, saying+"\n    when: "+strings.Join(rows, "; ")+"\n")
	}
	slices.Sort(sayings)
	got := strings.Join(sayings, "\n")
	path := filepath.Join("testdata", "words.golden")
	if update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	for _, saying := range sayings {
		if !strings.Contains(string(want), saying) {
			t.Errorf("%s does not hold:\n%s", path, saying)
		}
	}
	t.Errorf("what is said is not what %s holds; if it should be, run the test with -update and read the difference", path)
}
