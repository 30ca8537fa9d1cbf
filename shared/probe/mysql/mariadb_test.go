package mysql_test

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	declaration "credence/shared/connector/mysql"
	"credence/shared/probe/mysql"
	"credence/shared/probe/probetest"
)

// client is MariaDB's own, an independent one.
func (s *server) client(options ...string) string {
	c := s.command("mariadb", append([]string{"--no-defaults", "--protocol=TCP", "--default-character-set=utf8mb4", "--connect-timeout=5", "-e", "SELECT 1"}, options...)...)
	c.Env = append(c.Env, "RES_OPTIONS=timeout:1 attempts:1")
	return probetest.Word(c.Run() == nil)
}

// compare compares the prober with MariaDB's client on the values of
// probetest.Compare. The last of two options counts.
func compare(t *testing.T, s *server, good settings) {
	config := driver.NewConfig()
	config.User, config.Net, config.Addr = "root", "unix", s.socket()
	root, err := driver.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(root)
	defer func() { _ = db.Close() }()
	try := func(statement string) error {
		_, err := db.ExecContext(t.Context(), statement)
		return err
	}
	must := func(t *testing.T, statement string) {
		t.Helper()
		if err := try(statement); err != nil {
			t.Fatal(err)
		}
	}
	literal := func(text string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'" }
	name := func(text string) string { return "`" + strings.ReplaceAll(text, "`", "``") + "`" }
	must(t, "CREATE USER odd@'%' IDENTIFIED BY "+literal(secret))
	must(t, "GRANT ALL ON *.* TO odd@'%'")
	plain := good.with(settings{"sslmode": "disable", "username": "odd", "database_name": nil})
	admits := func(t *testing.T, changed settings) string {
		return probetest.Word(probetest.Admits(t, declaration.Type(), mysql.Prober{}, plain.with(changed)))
	}
	at := []string{"--host=127.0.0.1", "--port=" + s.port, "--user=odd", "--password=" + secret, "--skip-ssl"}
	with := func(options ...string) string { return s.client(append(at, options...)...) }
	// both is of a value, and of other values that the prober admits too.
	both := func(t *testing.T, option, field, value string) (theirs, ours string) {
		theirs, ours = with(option+value), admits(t, settings{field: value})
		for _, other := range []string{value + "x", strings.TrimSpace(value)} {
			if other != value && admits(t, settings{field: other}) == probetest.Word(true) {
				theirs, ours = theirs+with(option+other), ours+probetest.Word(true)
			}
		}
		return theirs, ours
	}
	over, _ := strconv.Atoi(s.port)
	port := []string{"PORT", s.port, "OVER", strconv.Itoa(over + 1<<16)}

	for _, plugin := range []string{"mysql_native_password", "ed25519"} {
		t.Run("passwords, "+plugin, func(t *testing.T) {
			probetest.Compare(t, "mariadb", "passwords", func(t *testing.T, value string) (theirs, ours string) {
				stored, _, _ := strings.Cut(value, "\x00")
				must(t, fmt.Sprintf("ALTER USER odd@'%%' IDENTIFIED VIA %s USING PASSWORD(%s)", plugin, literal(stored)))
				return both(t, "--password=", "password", value)
			})
		})
	}
	must(t, "ALTER USER odd@'%' IDENTIFIED BY "+literal(secret))
	t.Run("users", func(t *testing.T) {
		probetest.Compare(t, "mariadb", "names", func(t *testing.T, value string) (theirs, ours string) {
			renamed := try("RENAME USER odd@'%' TO "+literal(value)+"@'%'") == nil
			theirs, ours = both(t, "--user=", "username", value)
			if renamed {
				must(t, "RENAME USER "+literal(value)+"@'%' TO odd@'%'")
			}
			return theirs, ours
		})
	})
	t.Run("databases", func(t *testing.T) {
		probetest.Compare(t, "mariadb", "names", func(t *testing.T, value string) (theirs, ours string) {
			created := try("CREATE DATABASE "+name(value)) == nil
			theirs, ours = both(t, "--database=", "database_name", value)
			if created {
				must(t, "DROP DATABASE "+name(value))
			}
			return theirs, ours
		})
	})
	t.Run("hosts", func(t *testing.T) {
		probetest.Compare(t, "mariadb", "hosts", func(t *testing.T, value string) (theirs, ours string) {
			return with("--host=" + value), admits(t, settings{"host": value})
		}, port...)
	})
	t.Run("ports", func(t *testing.T) {
		probetest.Compare(t, "mariadb", "ports", func(t *testing.T, value string) (theirs, ours string) {
			for _, sent := range probetest.Spellings(value) {
				theirs = with("--port=" + value)
				if ours = admits(t, settings{"port": sent}); ours != theirs {
					break
				}
			}
			return theirs, ours
		}, port...)
	})
	must(t, "DROP USER odd@'%'")
}
