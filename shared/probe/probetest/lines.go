package probetest

import "credence/shared/probe"

// Lines writes a tree down, a line for each node and column: its names,
// parted by " > ", and what else is known of a column.
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
