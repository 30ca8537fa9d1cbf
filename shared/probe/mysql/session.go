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
		return err
	})
	if err != nil {
		return nil, err
	}
	row, err := s.row(ctx, "SELECT CURRENT_USER()")
	switch {
	case err != nil:
	case len(row) != 1:
		err = errMismatch
	case nobody(row[0]):
		err = probe.Found(probe.CodeSecretNotTested, "The server was started without its grant tables (skip-grant-tables) and lets everybody in, so nothing is proven. Have it started with them.")
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

func (s *session) close() { _ = contained(s.conn.Close) }

// row gives the one row of a query, NULL as ""; none for anything else.
func (s *session) row(ctx context.Context, query string) (row []string, err error) {
	err = contained(func() error {
		asks, ok := s.conn.(driver.QueryerContext)
		if !ok {
			return errors.ErrUnsupported
		}
		rows, err := asks.QueryContext(ctx, query, nil)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		values := make([]driver.Value, len(rows.Columns()))
		if err := rows.Next(values); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if row, err = texts(values); err != nil {
			return err
		}
		switch err := rows.Next(values); {
		case err == nil: // more rows than such a query has
			return errMismatch
		case !errors.Is(err, io.EOF):
			return err
		}
		return nil
	})
	return row, err
}

// texts gives the values of a row, NULL as "".
func texts(values []driver.Value) ([]string, error) {
	var row []string
	for _, v := range values {
		switch v := v.(type) {
		case []byte:
			row = append(row, string(v))
		case int64:
			row = append(row, strconv.FormatInt(v, 10))
		case uint64:
			row = append(row, strconv.FormatUint(v, 10))
		case nil:
			row = append(row, "")
		default:
			return nil, errMismatch
		}
	}
	return row, nil
}

// use makes the database the current one. Within backticks every character
// but the backtick is data, whatever the server's SQL mode.
func (s *session) use(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	return contained(func() error {
		does, ok := s.conn.(driver.ExecerContext)
		if !ok {
			return errors.ErrUnsupported
		}
		_, err := does.ExecContext(ctx, "USE `"+strings.ReplaceAll(name, "`", "``")+"`", nil)
		return err
	})
}

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

	// superQuery needs no right: everybody sees his own privileges.
	superQuery = "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SUPER' AND GRANTEE = CONCAT('''', " + currentUser + ", '''@''', " + currentHost + ", '''')"

	// The expiry is known to accounts that may read the system's tables. Of
	// itself an account may see the days (SHOW CREATE USER), but not since when.
	expiryMySQL   = "SELECT UNIX_TIMESTAMP(password_last_changed), password_lifetime, @@global.default_password_lifetime FROM mysql.user WHERE User = " + currentUser + " AND Host = " + currentHost
	expiryMariaDB = "SELECT JSON_VALUE(Priv, '$.password_last_changed'), JSON_VALUE(Priv, '$.password_lifetime'), @@global.default_password_lifetime FROM mysql.global_priv WHERE User = " + currentUser + " AND Host = " + currentHost

	// ownExpiry needs no right, at MariaDB from 11.5 on:
	// https://mariadb.com/kb/en/information-schema-users-table
	ownExpiry = "SELECT UNIX_TIMESTAMP(PASSWORD_EXPIRATION_TIME) FROM information_schema.USERS WHERE USER IN (CURRENT_USER(), CONCAT('''', " + currentUser + ", '''@''', " + currentHost + ", ''''))"
)

// tellFacts adds what else is worth knowing and may be asked.
func (s *session) tellFacts(ctx context.Context, a *probe.Attempt, hello greeting) {
	if row, err := s.row(ctx, superQuery); err == nil && len(row) == 1 && row[0] == "1" {
		a.Warn(probe.WarnOverPrivileged, database.FieldUser, "The account may do anything on the server (SUPER, or ALL ON *.*). Use one that is granted what it needs.")
	}
	if at, ok := s.passwordEnd(ctx, hello); ok {
		a.Ends(probe.FactExpires, at)
	}
}

// passwordEnd is when the account's password expires, if it does and the
// account may know.
func (s *session) passwordEnd(ctx context.Context, hello greeting) (time.Time, bool) {
	query := expiryMySQL
	if hello.mariaDB() {
		query = expiryMariaDB
	}
	row, err := s.row(ctx, query)
	if len(row) == 3 {
		return expiry(row[0], row[1], row[2])
	}
	if errno(err) == 0 || !hello.mariaDB() {
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
