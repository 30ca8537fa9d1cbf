package postgres

import (
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"credence/shared/probe"
	"credence/shared/probe/database"
)

// selectOne proves that the session can be used.
func (s *session) selectOne(ctx context.Context) error {
	row, err := only(s.conn.Exec(ctx, "SELECT 1").ReadAll())
	switch state := sqlState(err); {
	case state == invalidPassword, state == behindPooler, state == protocolViolation: // a pooler goes to the server at the first query
		return errBehind
	case state != "":
		return unavailable(state)
	case err != nil:
		return cmp.Or(s.fault, err)
	case len(row) != 1 || string(row[0]) != "1":
		return errMismatch
	}
	return nil
}

// only gives the one row of the one result; none for anything else.
func only(results []*pgconn.Result, err error) ([][]byte, error) {
	if err != nil || len(results) != 1 || len(results[0].Rows) != 1 {
		return nil, err
	}
	return results[0].Rows[0], results[0].Err
}

// roleQuery is of the role that signed in, whatever SET ROLE its settings
// hold, by the system's operator, whatever their search_path. A time without
// end is none.
const roleQuery = `SELECT rolsuper, CASE WHEN pg_catalog.isfinite(rolvaliduntil) THEN
 pg_catalog.to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END
 FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) session_user`

// tellFacts adds what else is worth knowing. Servers that only resemble
// PostgreSQL may answer none of it.
func (s *session) tellFacts(ctx context.Context, a *probe.Attempt) {
	a.Fact("server_version", database.Version(s.conn.ParameterStatus("server_version")))
	row, err := only(s.conn.Exec(ctx, roleQuery).ReadAll())
	if err != nil || len(row) != 2 {
		return
	}
	if string(row[0]) == "t" {
		a.Warn(probe.WarnOverPrivileged, database.FieldUser, "The role is a superuser, which may do anything on the server. Use one that is granted what it needs.")
	}
	if until, err := time.Parse(time.RFC3339, string(row[1])); err == nil {
		a.Ends(probe.FactExpires, until)
	}
}
