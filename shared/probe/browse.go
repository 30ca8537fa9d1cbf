package probe

import (
	"context"
	"strings"
	"time"
)

// Places is what the parts of a system are named by.
type Places uint8

// The kinds of places.
const (
	InFiles     Places = iota + 1 // a path: Place.Path
	InDatabases                   // a database and a table of it: Place.Database, Place.Table
)

// Place names a part of a system; what is empty is not narrowed down. The
// texts come from the caller of the service: a prober passes them on as data,
// never as part of a command, a host or a path of this machine.
type Place struct {
	Path     string // of a folder or file, in the system's own spelling
	Database string
	Table    string // its name, or the schema's, a dot and its name
}

// The fields of a request that name a place, for Finding.Asked.
const (
	AskedPath     = "path"
	AskedDatabase = "database"
	AskedTable    = "table"
)

// Browser is a Prober whose system can be looked into. Like Probe, its methods
// record their stages in the attempt, sign in once, keep the limits of the
// attempt's dialer and repeat no word of the system but names and data that
// were asked for. They prove nothing: no verdict follows from them, so they
// need not tell who accepted the secret. A place that is not there ends in
// WarnResourceNotFound, one that may not be looked at in WarnScopeMissing, both
// At or Asked the field that named it. Limits of a Tree and a Sample are theirs
// to keep while they read; what is beyond is cut off all the same, and told.
type Browser interface {
	Prober
	// Places tells what names the parts of the system.
	Places() Places
	// Tree lists what is at a place, depth levels deep: 1 is what lies
	// directly in it.
	Tree(ctx context.Context, a *Attempt, at Place, depth int) (Tree, Finding)
	// Sample reads the beginning of what is at a place.
	Sample(ctx context.Context, a *Attempt, at Place) (Sample, Finding)
}

// Limits of what is shown of a system.
const (
	MaxDepth       = 10
	MaxNodes       = 5000     // of a tree, columns included
	MaxSampleBytes = 64 << 10 // of a file
	MaxSampleRows  = 20       // of a table
	MaxCellBytes   = 1 << 10  // of a value in it
	maxNameBytes   = 1 << 10
)

// NodeKind is what a node of a tree is.
type NodeKind string

// The kinds of nodes.
const (
	Folder   NodeKind = "folder"
	File     NodeKind = "file"
	Database NodeKind = "database"
	Table    NodeKind = "table"
)

// Node is one thing in a system, with what is in it.
type Node struct {
	Name  string
	Kind  NodeKind
	Nodes []Node // in a folder or a database, as deep as was asked

	Size              int64     // of a file, in bytes
	Created, Modified time.Time // of a file; zero where the system does not tell

	Columns []Column // of a table, where the depth reaches them
}

// Column is one column of a table.
type Column struct {
	Name       string
	Type       string // in the system's own words
	PrimaryKey bool
	Default    *string // an expression of the system's; nil for none
}

// Tree is what lies at a place.
type Tree struct {
	Nodes     []Node
	Truncated bool // there is more than is listed
}

// Sample is the beginning of a file, or some rows of a table.
type Sample struct {
	ContentType string // as the system or the content tells; never a reason to trust it
	Bytes       []byte // of a file, else nil
	Columns     []string
	Rows        [][]any // of a table: nil, bool, int64, float64 or string
	Truncated   bool    // there is more than is shown
	Path        string  // of the file that stands for the folder that was asked for; else ""
}

// Asked names the field of the request, one of the AskedX, that named the
// place at fault.
func (f Finding) Asked(field sentence) Finding {
	f.asked = string(field)
	return f
}

// Browses tells what names the parts of systems of a type; false if credentials
// of the type cannot be looked into.
func (r *Runner) Browses(typeName string) (Places, bool) {
	b, ok := r.probers[typeName].(Browser)
	if !ok {
		return 0, false
	}
	return b.Places(), true
}

// NotBrowsed is the result for a type whose systems cannot be looked into.
func NotBrowsed(typeName string, at time.Time) Result {
	result := NotRun(CodeNoProbeForType, typeName, at)
	result.Message = "Systems of this type cannot be looked into from here. The credential can be probed and used all the same."
	return result
}

// Tree lists what is at a place of the system. Within the budget it always
// answers; a tree comes with CodeOK only. The result says nothing of the
// secret, but that it was refused where it was.
func (r *Runner) Tree(ctx context.Context, typeName string, settings Settings, at Place, depth int) (Tree, Result) {
	tree, result := browse(ctx, r, subject{typeName: typeName, settings: settings}, func(ctx context.Context, a *Attempt, b Browser) (Tree, Finding) {
		return b.Tree(ctx, a, at, depth)
	})
	left := MaxNodes
	tree.Nodes = tree.prune(tree.Nodes, depth, &left)
	return tree, result
}

// Sample reads the beginning of what is at a place of the system, as Tree
// lists it.
func (r *Runner) Sample(ctx context.Context, typeName string, settings Settings, at Place) (Sample, Result) {
	sample, result := browse(ctx, r, subject{typeName: typeName, settings: settings}, func(ctx context.Context, a *Attempt, b Browser) (Sample, Finding) {
		return b.Sample(ctx, a, at)
	})
	sample.cut()
	return sample, result
}

// browse runs an attempt that looks at something. What a prober that was left
// behind finds later is dropped.
func browse[T any](ctx context.Context, r *Runner, s subject, do func(context.Context, *Attempt, Browser) (T, Finding)) (T, Result) {
	var none T
	b, ok := r.probers[s.typeName].(Browser)
	if !ok {
		return none, NotBrowsed(s.typeName, r.config.Now())
	}
	found := make(chan T, 1)
	result := r.attempt(ctx, s, b.Ports(), (*Attempt).shown, func(ctx context.Context, a *Attempt) Finding {
		what, f := do(ctx, a, b)
		found <- what
		return f
	})
	if result.Code != CodeOK {
		return none, result
	}
	return <-found, result
}

// shown refuses a finding that the stages of a look do not bear out, as honest
// does for a probe. Nothing is claimed of the secret but that it was refused.
func (a *Attempt) shown(f Finding) Finding {
	switch auth := a.stages[Auth].Outcome; {
	case f.Code == CodeOK, f.Code == WarnResourceNotFound, f.Code == WarnScopeMissing:
		if a.failure == nil || f.Code != CodeOK {
			return f
		}
	case f.Code.Known() && (f.Code.Verdict() != Invalid || auth == StageFailed):
		return f
	}
	a.log.Error("what a prober shows does not follow from its stages", "code", string(f.Code))
	return Found(CodeProbeInternal, "")
}

// prune keeps of nodes what fits, their names as text that can be sent: they
// are the words of a system that is not trusted.
func (t *Tree) prune(nodes []Node, depth int, left *int) []Node {
	if depth == 0 {
		return nil
	}
	for i := range nodes {
		n := &nodes[i]
		if *left--; *left < 0 {
			t.Truncated = true
			return nodes[:i]
		}
		n.Name = t.name(n.Name)
		n.Nodes = t.prune(n.Nodes, depth-1, left)
		if fit := max(0, *left); len(n.Columns) > fit {
			n.Columns, t.Truncated = n.Columns[:fit], true
		}
		*left -= len(n.Columns)
		for j := range n.Columns {
			c := &n.Columns[j]
			c.Name, c.Type = t.name(c.Name), t.name(c.Type)
			if c.Default != nil {
				*c.Default = t.name(*c.Default)
			}
		}
	}
	return nodes
}

func (t *Tree) name(s string) string {
	s, cut := text(s, maxNameBytes)
	t.Truncated = t.Truncated || cut
	return s
}

func (s *Sample) cut() {
	if len(s.Bytes) > MaxSampleBytes {
		s.Bytes, s.Truncated = s.Bytes[:MaxSampleBytes], true
	}
	if len(s.Rows) > MaxSampleRows {
		s.Rows, s.Truncated = s.Rows[:MaxSampleRows], true
	}
	s.ContentType, _ = text(s.ContentType, maxNameBytes)
	shorten := func(v string, most int) string {
		v, cut := text(v, most)
		s.Truncated = s.Truncated || cut
		return v
	}
	for i, name := range s.Columns {
		s.Columns[i] = shorten(name, maxNameBytes)
	}
	for _, row := range s.Rows {
		for i, v := range row {
			if v, ok := v.(string); ok {
				row[i] = shorten(v, MaxCellBytes)
			}
		}
	}
}

// text makes of a system's bytes a text of UTF-8 that is no longer than most,
// and tells whether it was.
func text(s string, most int) (kept string, cut bool) {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ToValidUTF8(s[:min(len(s), most)], ""), len(s) > most // a character may be cut in two
}
