package database

import "credence/shared/probe"

// Outline gathers a tree of databases, tables and columns. It takes them a
// level at a time, so that where there are too many, what is left out lies as
// deep as can be. The zero value is empty.
type Outline struct {
	Truncated bool // there is more than was taken

	nodes     []probe.Node
	databases map[string]int    // where in nodes
	tables    map[[2]string]int // where in the nodes of the database
	count     int
}

// Room is how many more it takes.
func (o *Outline) Room() int { return probe.MaxNodes - o.count }

// take counts one more; false, and truncated, if there is no room.
func (o *Outline) take() bool {
	if o.Room() == 0 {
		o.Truncated = true
		return false
	}
	o.count++
	return true
}

// Database adds a database; false if there is no room. On the wire a tree is
// known by its names, so one that is there already is left out.
func (o *Outline) Database(name string) bool {
	if _, ok := o.databases[name]; ok {
		o.Truncated = true
		return true
	}
	if !o.take() {
		return false
	}
	if o.databases == nil {
		o.databases, o.tables = map[string]int{}, map[[2]string]int{}
	}
	o.databases[name] = len(o.nodes)
	o.nodes = append(o.nodes, probe.Node{Name: o.text(name), Kind: probe.Database})
	return true
}

// Table adds a table of a database that was added; of others nothing is taken.
// False if there is no room.
func (o *Outline) Table(database, name string) bool {
	d, ok := o.databases[database]
	if !ok {
		return true
	}
	key := [2]string{database, name}
	if _, ok := o.tables[key]; ok {
		o.Truncated = true
		return true
	}
	if !o.take() {
		return false
	}
	in := &o.nodes[d]
	o.tables[key] = len(in.Nodes)
	in.Nodes = append(in.Nodes, probe.Node{Name: o.text(name), Kind: probe.Table})
	return true
}

// Column adds a column of a table that was added; of others nothing is taken.
// False if there is no room.
func (o *Outline) Column(database, table string, c probe.Column) bool {
	t, ok := o.tables[[2]string{database, table}]
	if !ok {
		return true
	}
	if !o.take() {
		return false
	}
	c.Name, c.Type = o.text(c.Name), o.text(c.Type)
	if c.Default != nil {
		value := o.text(*c.Default)
		c.Default = &value
	}
	in := &o.nodes[o.databases[database]].Nodes[t]
	in.Columns = append(in.Columns, c)
	return true
}

func (o *Outline) text(s string) string {
	if len(s) > MaxText {
		s, o.Truncated = trim(s[:MaxText]), true
	}
	return s
}

// Tree is what was gathered.
func (o *Outline) Tree() probe.Tree { return probe.Tree{Nodes: o.nodes, Truncated: o.Truncated} }
