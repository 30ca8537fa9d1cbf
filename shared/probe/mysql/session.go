package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"credence/shared/probe"
	"credence/shared/probe/database"
)

// session is a connection that is signed in. It is the driver's own and no
// sql.DB, which opens others and tries again.
type session struct {
	conn driver.Conn
	line *line
}

// signIn connects and asks who was signed in: a server that was started
// without its grant tables says nobody, and looked at no secret. An account
// whose password has expired is let in, but may ask nothing.
func signIn(ctx context.Context, config *mysqldriver.Config, l *line) (*session, error) {
	s := &session{line: l}
	err := contained(func() error {
		connector, err := mysqldriver.NewConnector(config)
		if err != nil {
			return err
		}
		s.conn, err = connector.Connect(ctx)
		if err == nil {
			l.phase = max(l.phase, signedIn)
			l.attempt.Answered()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	row, err := s.row(ctx, "SELECT CURRENT_USER()")
	switch {
	case errno(err) == errAccessDenied:
		err = errBehind
	case err != nil:
	case len(row) != 1:
		err = errMismatch
	case nobody(row[0]):
		err = probe.Found(probe.CodeSecretNotTested, "The server was started without its grant tables (skip-grant-tables) and accepts everybody, so nothing is proven. Have it started with them.")
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// nobody reports whether CURRENT_USER() is of no account: "@" at MariaDB,
// "skip-grants user@skip-grants host" at MySQL.
func nobody(account string) bool {
	return account == "" || account == "@" || account == "skip-grants user@skip-grants host"
}

// stranger reports whether the server itself shows that it has no such account:
// one without accounts lets everybody in, under the very name and address that
// he has. Of an account each server else knows some privilege, if only USAGE, or
// at least another host. A server that does not say is believed.
func (s *session) stranger(ctx context.Context) bool {
	row, err := s.row(ctx, "SELECT CURRENT_USER() <> USER() OR EXISTS (SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE GRANTEE IN (CURRENT_USER(), "+grantee+"))")
	return err == nil && len(row) == 1 && row[0] == "0"
}

var errStranger = probe.Found(probe.CodeSecretNotTested, "The server has no such account and accepts everybody, so nothing is proven. Have accounts with passwords created there, and its checks turned on.").At(database.FieldUser)

// contained turns a panic into a mismatch: the driver reads packets without
// looking at their length, so a server that is none can make it panic.
func contained(do func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errMismatch
		}
	}()
	return do()
}

func (s *session) close() {
	_ = contained(s.conn.Close)
	_ = s.line.Close()
}

// row gives the one row of a query, NULL as ""; none where there is none.
func (s *session) row(ctx context.Context, query string) ([]string, error) {
	var found [][]string
	err := s.rows(ctx, query, nil, func(values [][]byte) bool {
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = string(v)
		}
		found = append(found, row)
		return len(found) == 1
	})
	switch {
	case err != nil || len(found) == 0:
		return nil, err
	case len(found) > 1: // more than such a query has
		return nil, errMismatch
	}
	return found[0], nil
}

// rows runs a query, which is given names as data, and hands each row to take
// until that has enough; a value that is NULL is nil.
func (s *session) rows(ctx context.Context, query string, names []string, take func(values [][]byte) bool) error {
	return contained(func() error {
		rows, err := s.ask(ctx, query, names)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		values := make([]driver.Value, len(rows.Columns()))
		for {
			if err := rows.Next(values); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			row := make([][]byte, len(values))
			for i, v := range values {
				if row[i], err = bytesOf(v); err != nil {
					return err
				}
			}
			if !take(row) {
				return nil
			}
		}
	})
}

// ask sends a query. One with names is prepared, and they follow it.
func (s *session) ask(ctx context.Context, query string, names []string) (driver.Rows, error) {
	if len(names) == 0 {
		if asks, ok := s.conn.(driver.QueryerContext); ok {
			return asks.QueryContext(ctx, query, nil)
		}
		return nil, errors.ErrUnsupported
	}
	prepares, ok := s.conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	prepared, err := prepares.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	asks, ok := prepared.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	values := make([]driver.NamedValue, len(names))
	for i, name := range names {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: name}
	}
	return asks.QueryContext(ctx, values) // it ends with the connection
}

// bytesOf is a value as text, nil for NULL.
func bytesOf(v driver.Value) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []byte:
		return append([]byte{}, v...), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case uint64:
		return strconv.AppendUint(nil, v, 10), nil
	}
	return nil, errMismatch
}

// do runs a statement without a result.
func (s *session) do(ctx context.Context, statement string) error {
	return contained(func() error {
		does, ok := s.conn.(driver.ExecerContext)
		if !ok {
			return errors.ErrUnsupported
		}
		_, err := does.ExecContext(ctx, statement, nil)
		return err
	})
}

// use makes the database the current one.
func (s *session) use(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	return s.do(ctx, "USE "+quote(name))
}

// quote makes an identifier of a name: within backticks every character but the
// backtick is data, whatever the server's SQL mode.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// selectOne proves that the session can be used.
func (s *session) selectOne(ctx context.Context) error {
	row, err := s.row(ctx, "SELECT 1")
	if err == nil && (len(row) != 1 || row[0] != "1") {
		return errMismatch
	}
	return err
}

// The account is the one that signed in, as CURRENT_USER() names it: user@host,
// of which the user may hold an @ and the host may not.
const (
	currentHost = "SUBSTRING_INDEX(CURRENT_USER(), '@', -1)"
	currentUser = "LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - CHAR_LENGTH(" + currentHost + ") - 1)"

	// grantee is the account as the tables of privileges write it.
	grantee = "CONCAT('''', " + currentUser + ", '''@''', " + currentHost + ", '''')"

	// superQuery needs no right: everybody sees his own privileges.
	superQuery = "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SUPER' AND GRANTEE = " + grantee

	// The expiry is known to accounts that may read the system's tables. Of
	// itself an account may see the days (SHOW CREATE USER), but not since when.
	expiryMySQL   = "SELECT UNIX_TIMESTAMP(password_last_changed), password_lifetime, @@global.default_password_lifetime FROM mysql.user WHERE User = " + currentUser + " AND Host = " + currentHost
	expiryMariaDB = "SELECT JSON_VALUE(Priv, '$.password_last_changed'), JSON_VALUE(Priv, '$.password_lifetime'), @@global.default_password_lifetime FROM mysql.global_priv WHERE User = " + currentUser + " AND Host = " + currentHost

	// ownExpiry needs no right, at MariaDB from 11.5 on:
	// https://mariadb.com/kb/en/information-schema-users-table
	ownExpiry = "SELECT UNIX_TIMESTAMP(PASSWORD_EXPIRATION_TIME) FROM information_schema.USERS WHERE USER IN (CURRENT_USER(), " + grantee + ")"
)

// tellFacts adds what else is worth knowing and may be asked.
func (s *session) tellFacts(ctx context.Context, a *probe.Attempt) {
	if row, err := s.row(ctx, superQuery); err == nil && len(row) == 1 && row[0] == "1" {
		a.Warn(probe.WarnOverPrivileged, database.FieldUser, "The account may do anything on the server (SUPER, or ALL ON *.*). Use one that is granted what it needs.")
	}
	if at, ok := s.passwordEnd(ctx); ok {
		a.Ends(probe.FactExpires, at)
	}
}

// passwordEnd is when the account's password expires, if it does and the
// account may know.
func (s *session) passwordEnd(ctx context.Context) (time.Time, bool) {
	query := expiryMySQL
	if s.line.hello.mariaDB() {
		query = expiryMariaDB
	}
	row, err := s.row(ctx, query)
	if len(row) == 3 {
		return expiry(row[0], row[1], row[2])
	}
	if errno(err) == 0 || !s.line.hello.mariaDB() {
		return time.Time{}, false
	}
	if row, _ = s.row(ctx, ownExpiry); len(row) != 1 {
		return time.Time{}, false
	}
	return unix(row[0])
}

// expiry is when a password expires: changed is the Unix time it was set at,
// lifetime its days, the server's usual ones if it has none of its own ("" or
// -1). 0 days are for ever.
func expiry(changed, lifetime, usual string) (time.Time, bool) {
	if lifetime == "" || lifetime == "-1" {
		lifetime = usual
	}
	set, ok := unix(changed)
	days, err := strconv.ParseUint(lifetime, 10, 16)
	return set.AddDate(0, 0, int(days)), ok && err == nil && days > 0
}

// unix reads a Unix time, which may have a fraction; 0 is none.
func unix(text string) (time.Time, bool) {
	whole, _, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	return time.Unix(seconds, 0).UTC(), err == nil && seconds > 0
}
