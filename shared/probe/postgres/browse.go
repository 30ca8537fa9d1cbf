package postgres

import (
	"cmp"
	"context"

	"credence/shared/probe"
	"credence/shared/probe/database"
)

var _ probe.Browser = Prober{}

// fieldSchema is the setting that names the schema whose tables go by their
// bare names.
const fieldSchema = "schema_name"

// Places tells that databases and tables name the parts of such a system.
func (Prober) Places() probe.Places { return probe.InDatabases }

// Tree lists the databases that the role may connect to and, from depth 2 on,
// the tables and views that it may read in the one that it is connected to: a
// connection sees no other. The place names another to connect to, in place of
// the credential's. System schemas are left out.
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
	absent := errNoDatabase
	if at.Database != "" {
		login.Name, absent = at.Database, errAskedAbsent
		if !database.Named(at.Database) {
			return found, a.Explain(a.Stage(probe.Policy, func() error { return errAskedAbsent }))
		}
	}
	s, f := signIn(ctx, a, login, absent)
	if s == nil {
		return found, f
	}
	defer s.close(ctx)
	v := &view{session: s, at: at, database: login.Name, schema: cmp.Or(a.Settings().Text(fieldSchema), "public")}
	err = a.Stage(probe.Access, func() (err error) {
		if s.denial != nil {
			return v.denied(sqlState(s.denial))
		}
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
	at       probe.Place
	database string // that is connected to
	schema   string // whose tables go by their bare names
	meter    database.Meter
	full     bool // more was sent than a look takes in: nothing more is read
}

var errAskedAbsent = probe.Found(probe.WarnResourceNotFound, "There is no such database on the server. Check its name.").Asked(probe.AskedDatabase)

// denied words what the server said after it had accepted the secret.
func (v *view) denied(state string) error {
	var f probe.Finding
	switch state {
	case noDatabase:
		f = errAskedAbsent
	case noPrivilege:
		f = probe.Found(probe.WarnScopeMissing, "The role may not connect to this database. Have CONNECT granted to it.")
	case notInState:
		f = probe.Found(probe.WarnScopeMissing, "This database takes no connections. Have them allowed, or name another.")
	default:
		return unavailable(state)
	}
	if v.at.Database == "" {
		return f.Asked("").At(database.FieldName)
	}
	return f.Asked(probe.AskedDatabase)
}

// tree lists the databases, then what is in the one that is connected to.
func (v *view) tree(ctx context.Context, depth int) (probe.Tree, error) {
	var (
		o      database.Outline
		others []string
		err    error
	)
	if v.at.Database == "" && v.at.Table == "" {
		if others, err = v.databases(ctx); err != nil {
			return probe.Tree{}, err
		}
	}
	// This one first: where there are more than are listed, it is.
	o.Database(v.database)
	for _, name := range others {
		if name != v.database {
			o.Database(name)
		}
	}
	o.Truncated = o.Truncated || depth > 1 && len(others) > 0
	if v.at.Table == "" && depth == 1 {
		return v.whole(&o), nil
	}
	tables, err := v.tables(ctx, &o, depth)
	if err == nil && depth > 2 {
		err = v.columns(ctx, tables, o.Room()+1, func(c column) bool {
			return o.Column(v.database, c.table.label, c.Column)
		})
	}
	if err != nil {
		return probe.Tree{}, err
	}
	return v.whole(&o), nil
}

// tables adds the tables, or the one that was asked for.
func (v *view) tables(ctx context.Context, o *database.Outline, depth int) ([]relation, error) {
	if v.at.Table != "" {
		r, err := v.resolve(ctx)
		if err == nil && depth > 1 {
			o.Table(v.database, r.label)
		}
		return []relation{r}, err
	}
	var tables []relation
	err := v.readable(ctx, o.Room()+1, func(r relation) bool {
		// One that goes by the name of another cannot be asked for.
		if n := len(tables); n == 0 || tables[n-1].label != r.label {
			tables = append(tables, r)
		}
		return o.Table(v.database, r.label)
	})
	return tables, err
}

func (v *view) whole(o *database.Outline) probe.Tree {
	o.Truncated = o.Truncated || v.full
	return o.Tree()
}

// sample reads some rows of the table that was asked for: of those columns that
// the role may read.
func (v *view) sample(ctx context.Context) (probe.Sample, error) {
	r, err := v.resolve(ctx)
	if err != nil {
		return probe.Sample{}, err
	}
	var e database.Excerpt
	err = v.columns(ctx, []relation{r}, probe.MaxNodes, func(c column) bool {
		return e.Column(database.Selected{Name: c.Name, Kind: c.kind})
	})
	if err != nil {
		return probe.Sample{}, err
	}
	if len(e.Columns()) > 0 {
		err = v.rows(ctx, r, &e)
	}
	e.Truncated = e.Truncated || v.full
	return e.Sample(), err
}
