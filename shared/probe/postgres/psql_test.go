package postgres_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	declaration "credence/shared/connector/postgres"
	"credence/shared/probe/postgres"
	"credence/shared/probe/probetest"
)

// psql is an independent client. Everything is handed to it in its environment,
// where nothing is parsed but host and port.
func (s *server) psql(env ...string) string {
	c := s.command("psql", "-X", "-A", "-t", "-w", "-c", "SELECT 1")
	c.Env = append(append(c.Env, "PGCONNECT_TIMEOUT=5", "RES_OPTIONS=timeout:1 attempts:1"), env...)
	return probetest.Word(c.Run() == nil)
}

// compare compares the prober with psql on the values of probetest.Compare.
func compare(t *testing.T, s *server, good settings) {
	s.write(t, "data/pg_hba.conf", "local all all trust\nhost all all all md5\n")
	s.write(t, "root.pem", good["tls.ca_certificate"].(string))
	s.reload(t)
	literal := func(text string) string { return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'" }
	name := func(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }
	s.sql(t, "CREATE ROLE odd LOGIN PASSWORD "+literal(secret)+"; CREATE DATABASE odd")
	plain := good.with(settings{"sslmode": "disable", "username": "odd", "password": secret})
	admits := func(t *testing.T, changed settings) string {
		return probetest.Word(probetest.Admits(t, declaration.Type(), postgres.Prober{}, plain.with(changed)))
	}
	superuser, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable", s.folder, s.port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = superuser.Close(context.Background()) }()
	try := func(statements string) error {
		_, err := superuser.Exec(t.Context(), statements).ReadAll()
		return err
	}
	at := []string{"PGHOST=127.0.0.1", "PGPORT=" + s.port, "PGSSLMODE=disable", "PGUSER=odd", "PGPASSWORD=" + secret, "PGDATABASE=app"}
	with := func(env ...string) string { return s.psql(append(at, env...)...) }
	// both is of a value, and of other values that the prober admits too.
	both := func(t *testing.T, variable, field, value string) (theirs, ours string) {
		theirs, ours = with(variable+value), admits(t, settings{field: value})
		for _, other := range []string{value + "x", strings.TrimSpace(value)} {
			if other != value && admits(t, settings{field: other}) == probetest.Word(true) {
				theirs, ours = theirs+with(variable+other), ours+probetest.Word(true)
			}
		}
		return theirs, ours
	}
	over, _ := strconv.Atoi(s.port)
	port := []string{"PORT", s.port, "OVER", strconv.Itoa(over + 1<<16)}

	for _, method := range []string{"scram-sha-256", "md5"} {
		t.Run("passwords, "+method, func(t *testing.T) {
			probetest.Compare(t, "psql "+method, "passwords", func(t *testing.T, value string) (theirs, ours string) {
				if stored, _, _ := strings.Cut(value, "\x00"); try("SET password_encryption = '"+method+"'; ALTER ROLE odd PASSWORD "+literal(stored)) != nil {
					t.Fatalf("%q could not be set", stored)
				}
				return both(t, "PGPASSWORD=", "password", value)
			})
		})
	}
	if try("RESET password_encryption; ALTER ROLE odd PASSWORD "+literal(secret)) != nil {
		t.Fatal("the password could not be set")
	}
	t.Run("users", func(t *testing.T) {
		probetest.Compare(t, "psql", "names", func(t *testing.T, value string) (theirs, ours string) {
			renamed := try("ALTER ROLE odd RENAME TO "+name(value)+"; ALTER ROLE "+name(value)+" PASSWORD "+literal(secret)) == nil
			theirs, ours = both(t, "PGUSER=", "username", value)
			if renamed && try("ALTER ROLE "+name(value)+" RENAME TO odd") != nil {
				t.Fatal("the role keeps its name")
			}
			return theirs, ours
		})
	})
	t.Run("databases", func(t *testing.T) {
		probetest.Compare(t, "psql", "names", func(t *testing.T, value string) (theirs, ours string) {
			renamed := try("ALTER DATABASE odd RENAME TO "+name(value)) == nil
			theirs, ours = both(t, "PGDATABASE=", "database_name", value)
			if renamed && try("ALTER DATABASE "+name(value)+" RENAME TO odd") != nil {
				t.Fatal("the database keeps its name")
			}
			return theirs, ours
		})
	})
	t.Run("hosts", func(t *testing.T) {
		probetest.Compare(t, "psql", "hosts", func(t *testing.T, value string) (theirs, ours string) {
			return with("PGHOST="+value, "PGSSLMODE=verify-full", "PGSSLROOTCERT="+s.folder+"/root.pem"), admits(t, settings{"host": value, "sslmode": "verify-full"})
		}, port...)
	})
	t.Run("ports", func(t *testing.T) {
		probetest.Compare(t, "psql", "ports", func(t *testing.T, value string) (theirs, ours string) {
			for _, sent := range probetest.Spellings(value) {
				theirs = with("PGPORT=" + value)
				if ours = admits(t, settings{"port": sent}); ours != theirs {
					break
				}
			}
			return theirs, ours
		}, port...)
	})
	s.write(t, "data/pg_hba.conf", admitted)
	s.reload(t)
}
