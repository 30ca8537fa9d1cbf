package mysql

import (
	"context"

	"credence/shared/probe"
	"credence/shared/probe/database"
)

var _ probe.Browser = Prober{}

// Places tells that databases and tables name the parts of such a system.
func (Prober) Places() probe.Places { return probe.InDatabases }

// Tree lists the databases in which the account has a right, from depth 2 on
// with their tables and views. Those of the server itself are left out.
func (Prober) Tree(ctx context.Context, a *probe.Attempt, at probe.Place, depth int) (probe.Tree, probe.Finding) {
	return look(ctx, a, at, func(v *view) (probe.Tree, error) { return v.tree(ctx, depth) })
}

// Sample reads some rows of a table or view.
func (Prober) Sample(ctx context.Context, a *probe.Attempt, at probe.Place) (probe.Sample, probe.Finding) {
	return look(ctx, a, at, func(v *view) (probe.Sample, error) { return v.sample(ctx) })
}

// look signs in as a probe does and looks, within the stage access.
func look[T any](ctx context.Context, a *probe.Attempt, at probe.Place, do func(*view) (T, error)) (found T, _ probe.Finding) {
	login, err := database.Read(a)
	if err != nil {
		return found, a.Explain(err)
	}
	s, f := open(ctx, a, login)
	if s == nil {
		return found, f
	}
	defer s.close()
	v := &view{session: s, at: at, own: login.Name}
	err = a.Stage(probe.Access, func() (err error) {
		if err := v.begin(ctx); err != nil {
			return err
		}
		found, err = do(v)
		return err
	})
	if err != nil {
		return found, a.Explain(err)
	}
	return found, probe.Found(probe.CodeOK, "")
}

// view is a look under way.
type view struct {
	*session
	at    probe.Place
	own   string // the database of the credential; "" for none
	meter database.Meter
	full  bool // more was sent than a look takes in: nothing more is read
}

// tree lists the databases, then their tables, then the columns of those.
func (v *view) tree(ctx context.Context, depth int) (probe.Tree, error) {
	var (
		o   database.Outline
		in  scope
		err error
	)
	switch {
	case v.at.Table != "":
		if in, err = v.resolve(ctx); err == nil {
			o.Database(in.database)
		}
	case v.at.Database != "":
		if in.database, err = v.enter(ctx, v.at.Database); err == nil {
			o.Database(in.database)
		}
	default:
		err = v.databases(ctx, &o)
	}
	if err == nil && depth > 1 {
		if in.table == "" {
			err = v.tables(ctx, in, o.Room()+1, o.Table)
		} else {
			o.Table(in.database, in.table)
		}
	}
	if err == nil && depth > 2 {
		err = v.columns(ctx, in, readable, o.Room()+1, func(c column) bool {
			return o.Column(c.database, c.table, c.Column)
		})
	}
	if err != nil {
		return probe.Tree{}, err
	}
	o.Truncated = o.Truncated || v.full
	return o.Tree(), nil
}

// sample reads some rows of the table that was asked for: of those columns that
// the account may read.
func (v *view) sample(ctx context.Context) (probe.Sample, error) {
	in, err := v.resolve(ctx)
	if err != nil {
		return probe.Sample{}, err
	}
	var (
		e       database.Excerpt
		sources []string
		denied  bool
	)
	err = v.columns(ctx, in, "TRUE", probe.MaxNodes, func(c column) bool {
		if !c.readable {
			denied = true
			return true
		}
		sources = append(sources, c.source())
		return e.Column(database.Selected{Name: c.Name, Kind: c.kind})
	})
	switch {
	case err != nil:
		return probe.Sample{}, err
	case len(e.Columns()) == 0 && denied:
		return probe.Sample{}, database.ErrTableDenied
	case len(e.Columns()) == 0: // of a view that is broken no columns are told
		return probe.Sample{}, database.ErrTableBroken
	}
	err = v.some(ctx, in, sources, &e)
	e.Truncated = e.Truncated || v.full
	return e.Sample(), err
}
