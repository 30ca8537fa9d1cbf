package credential

import (
	"context"
	"fmt"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
)

// Look names what to look at in the system that a credential is for.
type Look struct {
	At    probe.Place
	Depth int // of a tree: 1 to probe.MaxDepth
}

// Tree lists what is at a place of the system. It needs the right to probe,
// takes the same leases and is audited as a probe before the answer leaves, but
// keeps no distance to the last probe and changes no verdict. There is a tree
// where the result's code is OK. A place that does not fit the type is a fault,
// of which nothing was dialled. Too soon after another look or probe that has
// not ended it answers CodeTooManyRequests.
func (t Tester) Tree(ctx context.Context, who identity.Caller, l *ForProbe, at Look) (probe.Tree, probe.Result, error) {
	return look(ctx, t, who, l, looking[probe.Tree]{at, "tree", func(ctx context.Context, b begun) (probe.Tree, probe.Result) {
		return t.Runner.Tree(ctx, b.credential.Type, b.settings, at.At, at.Depth)
	}})
}

// Sample reads the beginning of what is at a place of the system, as Tree lists
// it: of a file, or of a table.
func (t Tester) Sample(ctx context.Context, who identity.Caller, l *ForProbe, at Look) (probe.Sample, probe.Result, error) {
	return look(ctx, t, who, l, looking[probe.Sample]{at, "sample", func(ctx context.Context, b begun) (probe.Sample, probe.Result) {
		return t.Runner.Sample(ctx, b.credential.Type, b.settings, at.At)
	}})
}

// looking is a look under way.
type looking[T any] struct {
	Look
	what string // tree or sample
	do   func(ctx context.Context, b begun) (T, probe.Result)
}

func look[T any](ctx context.Context, t Tester, who identity.Caller, l *ForProbe, asked looking[T]) (T, probe.Result, error) {
	var none T
	c, _, err := t.open(ctx, who, &l.ForRead, access.Probe)
	if err != nil {
		return none, probe.Result{}, err
	}
	places, ok := t.Runner.Browses(c.Type)
	if !ok {
		return none, probe.NotBrowsed(c.Type, t.now()), nil
	}
	if err := asked.fits(places, asked.what); err != nil {
		return none, probe.Result{}, err
	}
	free, err := t.slot(ctx, who)
	if err != nil {
		return none, probe.Result{}, err
	}
	defer free()
	b, err := t.begin(ctx, who, l, asked.named())
	if err != nil {
		return none, probe.Result{}, err
	}
	if b.failed != nil {
		return none, *b.failed, t.end(ctx, who, b, outcome{result: *b.failed, instead: asked.named()})
	}
	found, result := asked.do(ctx, b)
	name := asked.named()
	if s, ok := any(found).(probe.Sample); ok && s.Path != "" {
		name += aim(fmt.Sprintf(", its file %q", s.Path))
	}
	if err := t.end(ctx, who, b, outcome{result: result, instead: name}); err != nil {
		return none, probe.Result{}, err
	}
	return found, result, nil
}

// fits faults what does not name a place in such a system.
func (l Look) fits(places probe.Places, what string) error {
	var faults []fault.Detail
	refuse := func(field, code, message string) {
		faults = append(faults, fault.Detail{Pointer: "/" + field, Code: code, Message: message})
	}
	misplaced := func(field, value, message string) {
		if value != "" {
			refuse(field, fault.DetailForbidden, message)
		}
	}
	switch places {
	case probe.InFiles:
		misplaced(probe.AskedDatabase, l.At.Database, "This is a store of files, which has no databases. Name a path.")
		misplaced(probe.AskedTable, l.At.Table, "This is a store of files, which has no tables. Name a path.")
		if what == "sample" && l.At.Path == "" {
			refuse(probe.AskedPath, fault.DetailRequired, "Name the path of the file, as the tree shows it.")
		}
	case probe.InDatabases:
		misplaced(probe.AskedPath, l.At.Path, "This is a database, which has no paths. Name a database and a table.")
		if what == "sample" && l.At.Table == "" {
			refuse(probe.AskedTable, fault.DetailRequired, "Name the table, as the tree shows it.")
		}
	}
	return fault.Invalid(faults)
}

// named is what the look is called in the audit: the place is what an auditor
// asks for.
func (l looking[T]) named() aim {
	name := l.what
	for _, part := range []string{l.At.Path, l.At.Database, l.At.Table} {
		if part != "" {
			name += fmt.Sprintf(" of %q", part)
		}
	}
	return aim(name)
}
