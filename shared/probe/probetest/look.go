package probetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"credence/shared/probe"
)

// SoundLook checks what holds of the result of every look, as Sound does for a
// probe. A look may also end in a place that is not there or not allowed, at
// the setting or the field of the request that named it, and claims nothing of
// the secret but that it was refused.
func SoundLook(t testing.TB, r probe.Result, forbidden ...string) {
	t.Helper()
	if r.Code != probe.WarnResourceNotFound && r.Code != probe.WarnScopeMissing {
		if slices.Contains(asked, r.Pointer) {
			r.Pointer = ""
		}
		Sound(t, r, forbidden...)
		return
	}
	if r.Verdict != probe.Unknown || r.Status != 400 || r.Stop || r.Retryable {
		t.Errorf("%s: verdict %s, status %d, stop %v, retryable %v", r.Code, r.Verdict, r.Status, r.Stop, r.Retryable)
	}
	if !strings.HasSuffix(r.Message, ".") || !strings.HasPrefix(r.Pointer, "/credentials/") && !slices.Contains(asked, r.Pointer) {
		t.Errorf("%s at %q: %q", r.Code, r.Pointer, r.Message)
	}
	soundStages(t, r)
	silent(t, r, forbidden)
}

// asked are the pointers to fields of a request for a look.
var asked = []string{"/" + probe.AskedPath, "/" + probe.AskedDatabase, "/" + probe.AskedTable}

// Outline is a tree in one line: each name quoted, a file with its size, a
// folder with what is in it.
func Outline(nodes []probe.Node) string {
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		texts[i] = strconv.Quote(n.Name)
		if n.Kind == probe.File {
			texts[i] += fmt.Sprintf(":%d", n.Size)
		} else {
			texts[i] += "{" + Outline(n.Nodes) + "}"
		}
	}
	return strings.Join(texts, " ")
}

// Lines writes a tree of databases down, a line for each node and column: its
// names, parted by " > ", and what else is known of a column.
func Lines(nodes []probe.Node) []string {
	var lines []string
	for _, n := range nodes {
		lines = append(lines, n.Name)
		for _, c := range n.Columns {
			line := n.Name + " > " + c.Name + " " + c.Type
			if c.PrimaryKey {
				line += ", key"
			}
			if c.Default != nil {
				line += ", default " + *c.Default
			}
			lines = append(lines, line)
		}
		for _, line := range Lines(n.Nodes) {
			lines = append(lines, n.Name+" > "+line)
		}
	}
	return lines
}
