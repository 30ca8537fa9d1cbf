package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"credence/shared/probe"
	"credence/shared/probe/database"
)

// More error numbers.
const (
	errNameTooLong  = 1059
	errTableDenied  = 1142
	errColumnDenied = 1143
	errLockTimeout  = 1205
	errBadCharacter = 1300
	errReadOnly     = 1792 // of a transaction
	errLateMaria    = 1969 // MariaDB: max_statement_time
	errLate         = 3024 // MySQL: max_execution_time
)

// begin opens the transaction in which a look reads. It writes nothing, and
// waits for nobody for long; a server that knows no such limit is left when the
// time of the look is over. The account's own limits stay where they are
// stricter.
func (v *view) begin(ctx context.Context) error {
	statement, lock := database.Patience(ctx)
	limit, most := "max_execution_time", strconv.FormatInt(statement.Milliseconds(), 10)
	if v.line.hello.mariaDB() {
		limit, most = "max_statement_time", strconv.FormatFloat(statement.Seconds(), 'f', 3, 64)
	}
	for _, set := range []string{
		"SET SESSION time_zone = '+00:00'",
		fmt.Sprintf("SET SESSION lock_wait_timeout = LEAST(@@lock_wait_timeout, %d)", max(1, int(lock.Seconds()))),
		fmt.Sprintf("SET SESSION %[1]s = IF(@@%[1]s > 0, LEAST(@@%[1]s, %[2]s), %[2]s)", limit, most),
	} {
		if err := v.do(ctx, set); err != nil && errno(err) == 0 {
			return v.explain(err)
		}
	}
	return v.explain(v.do(ctx, "START TRANSACTION READ ONLY"))
}

// explain words an error met while listing.
func (v *view) explain(err error) error {
	switch number := errno(err); {
	case err == nil:
		return nil
	case number == errLate, number == errLateMaria:
		return database.ErrListLate
	case number == errLockTimeout && v.at.Table != "":
		return database.ErrTableLocked
	case number == errLockTimeout:
		return database.ErrListLocked
	case number != 0:
		return unavailable(number)
	}
	return v.line.cause(err)
}

// read runs a query of so many columns and hands each row to take until that
// has enough. The error is the driver's.
func (v *view) read(ctx context.Context, columns int, query string, names []string, take func(row [][]byte) bool) error {
	if v.full {
		return nil
	}
	wrong := false
	err := v.rows(ctx, query, names, func(row [][]byte) bool {
		if wrong = len(row) != columns; wrong {
			return false
		}
		if v.full = !v.meter.Take(row); v.full {
			_ = v.line.Close() // what is on its way is not waited for
			return false
		}
		return take(row)
	})
	if wrong {
		return errMismatch
	}
	return err
}

// scope is a table, a database or, empty, all databases.
type scope struct{ database, table string }

// The databases of the server itself. Each server has some of them.
var system = []string{"information_schema", "mysql", "performance_schema", "sys"}

func isSystem(name string) bool {
	return slices.ContainsFunc(system, func(s string) bool { return strings.EqualFold(name, s) })
}

// within is the condition on rows of the catalogue, with its names.
func (s scope) within() (string, []string) {
	switch {
	case s.table != "":
		return " WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", []string{s.database, s.table}
	case s.database != "":
		return " WHERE TABLE_SCHEMA = ?", []string{s.database}
	}
	return " WHERE TABLE_SCHEMA NOT IN ('" + strings.Join(system, "', '") + "')", nil
}

// databases lists those in which the account has a right.
func (v *view) databases(ctx context.Context, o *database.Outline) error {
	query := "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME LIMIT " + strconv.Itoa(probe.MaxNodes+len(system)+1)
	return v.explain(v.read(ctx, 1, query, nil, func(row [][]byte) bool {
		return isSystem(string(row[0])) || o.Database(string(row[0]))
	}))
}

// enter uses a database and gives its name as the server has it.
func (v *view) enter(ctx context.Context, name string) (string, error) {
	if !database.Named(name) || isSystem(name) {
		return "", v.atDatabase(errDatabaseAbsent)
	}
	err := v.use(ctx, name)
	switch errno(err) {
	case errNoDatabase, errWrongName, errNameTooLong, errBadCharacter:
		return "", v.atDatabase(errDatabaseAbsent)
	case errDatabaseDenied:
		return "", v.atDatabase(probe.Found(probe.WarnScopeMissing, "The account may not use this database, or it is not there. Have a right to it granted, or check its name."))
	}
	var row []string
	if err == nil {
		row, err = v.row(ctx, "SELECT DATABASE()")
	}
	if err == nil && len(row) != 1 {
		err = errMismatch
	}
	if err != nil {
		return "", v.explain(err)
	}
	return row[0], nil
}

var errDatabaseAbsent = probe.Found(probe.WarnResourceNotFound, "There is no such database on the server, or it is one of the server's own. Check its name.")

// atDatabase names the field that named the database.
func (v *view) atDatabase(f probe.Finding) probe.Finding {
	if v.at.Database == "" {
		return f.At(database.FieldName)
	}
	return f.Asked(probe.AskedDatabase)
}

// resolve finds the table that was asked for: in the database that was, else in
// the credential's, or by a database's name, a dot and its own.
func (v *view) resolve(ctx context.Context) (scope, error) {
	name := v.at.Database
	if name == "" {
		name = v.own
	}
	var missing error
	if name != "" {
		in := scope{table: v.at.Table}
		if in.database, missing = v.enter(ctx, name); missing == nil {
			if found, err := v.find(ctx, in); err != nil || found.table != "" {
				return found, err
			}
		}
	}
	if v.at.Database == "" {
		for i, c := range v.at.Table {
			if c != '.' {
				continue
			}
			if found, err := v.find(ctx, scope{v.at.Table[:i], v.at.Table[i+1:]}); err != nil || found.table != "" {
				return found, err
			}
		}
	}
	switch {
	case missing != nil:
		return scope{}, missing
	case name == "" && !strings.Contains(v.at.Table, "."):
		return scope{}, probe.Found(probe.WarnResourceNotFound, "The credential names no database. Name one beside the table.").Asked(probe.AskedDatabase)
	}
	return scope{}, probe.Found(probe.WarnResourceNotFound, "The account sees no such table or view. Write it as the tree shows it: its name, or its database, a dot and its name; or have SELECT on it granted.").Asked(probe.AskedTable)
}

// maxName is the longest name of a database or table, in characters, and maxRune
// the last character in it.
const (
	maxName = 64
	maxRune = 0xFFFF
)

// find looks a table up; the scope is empty if it is not there. The catalogue
// compares more loosely than the server does: of what it finds, the name itself
// counts, else one that differs in case, which a server that heeds none has.
func (v *view) find(ctx context.Context, in scope) (found scope, err error) {
	for _, name := range []string{in.database, in.table} {
		beyond := strings.ContainsFunc(name, func(c rune) bool { return c > maxRune })
		if !database.Named(name) || len([]rune(name)) > maxName || beyond || isSystem(in.database) {
			return scope{}, nil
		}
	}
	err = v.tables(ctx, in, probe.MaxNodes, func(name, table string) bool {
		if loose := strings.EqualFold(name, in.database) && strings.EqualFold(table, in.table); loose && found.table == "" || name == in.database && table == in.table {
			found = scope{name, table}
		}
		return true
	})
	return found, err
}

// tables hands out the tables and views of a scope.
func (v *view) tables(ctx context.Context, in scope, limit int, take func(database, table string) bool) error {
	where, names := in.within()
	query := "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES" + where +
		" AND TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED') ORDER BY TABLE_SCHEMA, TABLE_NAME LIMIT " + strconv.Itoa(limit)
	return v.explain(v.read(ctx, 2, query, names, func(row [][]byte) bool {
		return take(string(row[0]), string(row[1]))
	}))
}

// column is a column of a table.
type column struct {
	probe.Column
	scope
	kind     database.Kind
	spatial  bool
	readable bool
}

// kinds are those of types: all others are text.
var kinds = map[string]database.Kind{
	"tinyint": database.Integer, "smallint": database.Integer, "mediumint": database.Integer, "int": database.Integer, "bigint": database.Integer,
	"year": database.Integer, "bit": database.Integer, "float": database.Float, "double": database.Float,
	"binary": database.Binary, "varbinary": database.Binary, "tinyblob": database.Binary, "blob": database.Binary, "mediumblob": database.Binary, "longblob": database.Binary,
	"vector": database.Binary,
}

// spatial are the types of what lies on a map.
var spatial = []string{"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"}

// readable is the condition on columns that the account may read them.
const readable = "FIND_IN_SET('select', PRIVILEGES) > 0"

// columns hands out the columns of a scope, for which the condition holds.
func (v *view) columns(ctx context.Context, in scope, condition string, limit int, take func(column) bool) error {
	where, names := in.within()
	query := fmt.Sprintf(`SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, LEFT(COLUMN_TYPE, %[1]d), COLUMN_KEY, LEFT(COLUMN_DEFAULT, %[1]d), DATA_TYPE, %[2]s
 FROM information_schema.COLUMNS%[3]s AND %[4]s ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION LIMIT %[5]d`, database.MaxText+1, readable, where, condition, limit)
	return v.explain(v.read(ctx, 8, query, names, func(row [][]byte) bool {
		c := column{
			Column: probe.Column{Name: string(row[2]), Type: string(row[3]), PrimaryKey: string(row[4]) == "PRI"},
			scope:  scope{string(row[0]), string(row[1])}, readable: string(row[7]) == "1",
		}
		kind := strings.ToLower(string(row[6]))
		if c.kind, c.spatial = kinds[kind], slices.Contains(spatial, kind); c.spatial {
			c.kind = database.Binary
		}
		// MariaDB writes expressions, so that a text stands in quotes and NULL
		// is what a column without a default has.
		if value := string(row[5]); row[5] != nil && (value != "NULL" || !v.line.hello.mariaDB()) {
			c.Default = &value
		}
		return take(c)
	}))
}

// source is what is read of a column: numbers are those of bits, too, and what
// lies on a map is in its well-known binary form.
func (c column) source() string {
	switch {
	case c.kind == database.Integer:
		return "(" + quote(c.Name) + " + 0)"
	case c.spatial:
		return "ST_AsBinary(" + quote(c.Name) + ")"
	}
	return quote(c.Name)
}

// some reads rows of a table, of the sources of its columns. Each value is cut by the server, and comes as the
// bytes that it is: of UTF-8, or its own. It is cut twice, so that a large one
// is not rewritten whole.
func (v *view) some(ctx context.Context, in scope, sources []string, e *database.Excerpt) error {
	var text strings.Builder
	text.WriteString("SELECT ")
	for i, c := range e.Columns() {
		if i > 0 {
			text.WriteString(", ")
		}
		left := func(value string) string { return "LEFT(" + value + ", " + strconv.Itoa(e.Bytes(c.Kind)) + ")" }
		value := left(sources[i])
		if c.Kind != database.Binary {
			value = left("CAST(CONVERT(" + value + " USING utf8mb4) AS BINARY)")
		}
		text.WriteString(value + " AS c")
	}
	text.WriteString(" FROM " + quote(in.database) + "." + quote(in.table) + " LIMIT " + strconv.Itoa(probe.MaxSampleRows+1))
	err := v.read(ctx, len(e.Columns()), text.String(), nil, e.Row)
	switch number := errno(err); number {
	case 0:
		return v.explain(err)
	case errTableDenied, errColumnDenied, errDatabaseDenied:
		return database.ErrTableDenied
	case errLate, errLateMaria:
		return database.ErrTableLate
	case errLockTimeout:
		return database.ErrTableLocked
	case errReadOnly:
		return database.ErrTableWrites
	case errShuttingDown, errUserLimit:
		return unavailable(number)
	}
	return database.ErrTableBroken
}
