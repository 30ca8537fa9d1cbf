package probetest

import (
	"fmt"
	"strconv"
	"strings"

	"credence/shared/probe"
)

// Outline is a tree of files in one line: each name quoted, a file with its
// size, a folder with what is in it.
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
