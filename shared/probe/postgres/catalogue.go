package postgres

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"credence/shared/probe"
	"credence/shared/probe/database"
)

// More SQLSTATEs.
const (
	queryCanceled = "57014" // statement_timeout
	lockTimeout   = "55P03"
	readOnly      = "25006"
)

// begin opens the transaction in which a look reads. It writes nothing, waits
// for nobody for long (a role's own limits stay where they are stricter), and
// texts come in one form, whatever the server's or the role's settings say.
// Operators and types are the system's where others of their names are made;
// the rest of the path stays, by which a view's functions find theirs. Notices
// are not sent.
func (v *view) begin(ctx context.Context) error {
	statement, lock := database.Patience(ctx)
	_, err := v.conn.Exec(ctx, `BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY;
SELECT pg_catalog.set_config('search_path', pg_catalog.regexp_replace(pg_catalog.current_setting('search_path'), '^(?=.)', 'pg_catalog, '), true);
SET LOCAL client_min_messages = 'error'; SET LOCAL client_encoding = '`+v.encoding()+`';
SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 3;
SELECT pg_catalog.set_config(name, LEAST(NULLIF(setting::bigint, 0), CASE name WHEN 'lock_timeout' THEN `+millis(lock)+` ELSE `+millis(statement)+` END)::text, true)
 FROM pg_catalog.pg_settings WHERE name IN ('lock_timeout', 'statement_timeout')`).ReadAll()
	return v.explain(err)
}

func millis(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

// encoding is UTF8, but in a database that keeps bytes as they came: of those
// nothing is known.
func (v *view) encoding() string {
	if v.conn.ParameterStatus("server_encoding") == "SQL_ASCII" {
		return "SQL_ASCII"
	}
	return "UTF8"
}

// explain words an error met while listing.
func (v *view) explain(err error) error {
	switch state := sqlState(err); {
	case err == nil:
		return nil
	case state == queryCanceled:
		return database.ErrListLate
	case state == lockTimeout && v.at.Table != "": // the default of a column is not told without its table
		return database.ErrTableLocked
	case state == lockTimeout:
		return database.ErrListLocked
	case state != "":
		return unavailable(state)
	}
	return cmp.Or(v.fault, err)
}

// query is a statement with what it is given, as text: NULL or a name is data.
type query struct {
	text    string
	args    []string
	columns int     // of its result
	formats []int16 // of its result; nil for text
}

// read runs a query and hands each row to take until that has enough. The error
// is the driver's.
func (v *view) read(ctx context.Context, q query, take func(row [][]byte) bool) error {
	if v.full {
		return nil
	}
	args := make([][]byte, len(q.args))
	for i, arg := range q.args {
		args[i] = []byte(arg)
	}
	rows := v.conn.ExecParams(ctx, q.text, args, nil, nil, q.formats)
	for rows.NextRow() {
		row := rows.Values()
		if len(row) != q.columns {
			return errMismatch
		}
		if v.full = !v.meter.Take(row); v.full {
			_ = v.raw.Close() // what is on its way is not waited for
			return nil
		}
		if !take(row) {
			break
		}
	}
	_, err := rows.Close()
	return err
}

// databases are the others that the role may connect to. Who signed in counts
// for that, whatever SET ROLE its settings hold.
func (v *view) databases(ctx context.Context) (names []string, err error) {
	err = v.read(ctx, query{`SELECT datname FROM pg_catalog.pg_database
 WHERE datallowconn AND NOT datistemplate AND datname <> pg_catalog.current_database() AND pg_catalog.has_database_privilege(session_user, oid, 'CONNECT')
 ORDER BY datname LIMIT $1`, []string{strconv.Itoa(probe.MaxNodes + 1)}, 1, nil}, func(row [][]byte) bool {
		names = append(names, string(row[0]))
		return true
	})
	return names, v.explain(err)
}

// relation is a table or view.
type relation struct {
	oid, schema, name string
	label             string // the name by which it is shown and asked for
}

// relations are the tables and views but the system's own. $1 is the schema
// whose tables go by their bare names.
const relations = `(SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name,
 (CASE WHEN n.nspname::text = $1 THEN '' ELSE n.nspname || '.' END || c.relname) COLLATE "C" AS label,
 (pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')) IS TRUE AS readable
 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname::text <> 'information_schema' AND pg_catalog.left(n.nspname::text, 3) <> 'pg_') AS r`

// readable hands out the tables that the role may read, by their labels, and of
// equal ones first the one that resolve finds.
func (v *view) readable(ctx context.Context, limit int, take func(relation) bool) error {
	return v.explain(v.read(ctx, query{`SELECT oid, schema, name, label FROM ` + relations + `
 WHERE readable ORDER BY label, schema = $1 DESC, pg_catalog.length(schema) LIMIT $2`, []string{v.schema, strconv.Itoa(limit)}, 4, nil}, func(row [][]byte) bool {
		return take(relationOf(row))
	}))
}

func relationOf(row [][]byte) relation {
	return relation{string(row[0]), string(row[1]), string(row[2]), string(row[3])}
}

// resolve finds the table that was asked for: of the schema whose tables go by
// their bare names, or by any schema's name, a dot and its own.
func (v *view) resolve(ctx context.Context) (relation, error) {
	var (
		r        relation
		found    bool
		readable bool
	)
	if !database.Named(v.at.Table) {
		return r, errTableAbsent
	}
	err := v.read(ctx, query{`SELECT oid, schema, name, label, readable FROM ` + relations + `
 WHERE schema = $1 AND name = $2 OR schema || '.' || name = $2
 ORDER BY readable DESC, (schema = $1 AND name = $2) DESC, pg_catalog.length(schema) LIMIT 1`, []string{v.schema, v.at.Table}, 5, nil}, func(row [][]byte) bool {
		r, found, readable = relationOf(row), true, string(row[4]) == "t"
		return true
	})
	switch {
	case err != nil:
		return r, v.explain(err)
	case !found:
		return r, errTableAbsent
	case !readable:
		return r, database.ErrTableDenied
	}
	return r, nil
}

var errTableAbsent = probe.Found(probe.WarnResourceNotFound, "There is no such table or view in the database. Write it as the tree shows it: its name, or its schema, a dot and its name.").Asked(probe.AskedTable)

// column is a column that the role may read.
type column struct {
	probe.Column
	table relation
	kind  database.Kind
}

// kinds are those of types, by their numbers: all others are text.
var kinds = map[string]database.Kind{
	"16": database.Bool, "21": database.Integer, "23": database.Integer, "20": database.Integer, "26": database.Integer,
	"700": database.Float, "701": database.Float, "17": database.Binary,
}

// columns hands out the columns of tables, in the order of both. A domain shows
// its values as its type does.
func (v *view) columns(ctx context.Context, tables []relation, limit int, take func(column) bool) error {
	oids := make([]string, len(tables))
	for i, r := range tables {
		oids[i] = r.oid
	}
	most := strconv.Itoa(database.MaxText + 1)
	q := query{`SELECT o.n, a.attname, pg_catalog.left(pg_catalog.format_type(a.atttypid, a.atttypmod), ` + most + `),
 EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'p' AND a.attnum = ANY (k.conkey)),
 pg_catalog.left(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ` + most + `), COALESCE(NULLIF(t.typbasetype, 0), t.oid)
 FROM pg_catalog.unnest($1::oid[]) WITH ORDINALITY AS o (oid, n) JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid
 JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
 ORDER BY o.n, a.attnum LIMIT $2`, []string{"{" + strings.Join(oids, ",") + "}", strconv.Itoa(limit)}, 6, nil}
	mismatch := false
	err := v.read(ctx, q, func(row [][]byte) bool {
		n, err := strconv.Atoi(string(row[0]))
		if mismatch = err != nil || n < 1 || n > len(tables); mismatch {
			return false
		}
		c := column{probe.Column{Name: string(row[1]), Type: string(row[2]), PrimaryKey: string(row[3]) == "t"}, tables[n-1], kinds[string(row[5])]}
		if row[4] != nil {
			value := string(row[4])
			c.Default = &value
		}
		return take(c)
	})
	if mismatch {
		return errMismatch
	}
	return v.explain(err)
}

// rows reads rows of a table. Each value is cut by the server, and comes as the
// bytes that it is: of UTF-8, or its own.
func (v *view) rows(ctx context.Context, r relation, e *database.Excerpt) error {
	var text strings.Builder
	text.WriteString("SELECT ")
	for i, c := range e.Columns() {
		if i > 0 {
			text.WriteString(", ")
		}
		name, most := quote(c.Name), strconv.Itoa(e.Bytes(c.Kind))
		if c.Kind != database.Binary {
			name = "pg_catalog.convert_to(pg_catalog.left(" + name + "::pg_catalog.text, " + most + "), '" + v.encoding() + "')"
		}
		text.WriteString("pg_catalog.substr(" + name + ", 1, " + most + ")")
	}
	text.WriteString(" FROM " + quote(r.schema) + "." + quote(r.name) + " LIMIT " + strconv.Itoa(probe.MaxSampleRows+1))
	err := v.read(ctx, query{text.String(), nil, len(e.Columns()), []int16{pgproto3.BinaryFormat}}, e.Row)
	switch state := sqlState(err); {
	case state == "":
		return v.explain(err)
	case state == noPrivilege:
		return database.ErrTableDenied
	case state == queryCanceled:
		return database.ErrTableLate
	case state == lockTimeout:
		return database.ErrTableLocked
	case state == readOnly:
		return database.ErrTableWrites
	case strings.HasPrefix(state, "57P"): // its operator ends it
		return unavailable(cannotConnectNow)
	}
	return database.ErrTableBroken
}

// quote makes an identifier of a name of the catalogue: within double quotes
// every character but the double quote is data.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
