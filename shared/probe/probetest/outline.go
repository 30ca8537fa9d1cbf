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
