package postgres_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credence/shared/probe/probetest"
)

// secret is the password of every account of the server: nothing of a result
// may hold it.
const secret = "canary-it's-\"quoted\"-0c7e"

// roman is a password that SCRAM takes in another form, and nothing else does.
const roman = "canary-\u2168\u00adx\u200by"

// roles are the accounts and databases of the server.
const roles = `
CREATE ROLE app LOGIN PASSWORD :'secret' VALID UNTIL '2031-05-06 07:08:09+02';
CREATE ROLE root_app LOGIN SUPERUSER PASSWORD :'secret';
CREATE ROLE forever LOGIN PASSWORD :'secret' VALID UNTIL 'infinity';
CREATE ROLE expired LOGIN PASSWORD :'secret' VALID UNTIL '2001-01-01';
CREATE ROLE nologin NOLOGIN PASSWORD :'secret';
CREATE ROLE nopassword LOGIN;
CREATE ROLE full LOGIN CONNECTION LIMIT 0 PASSWORD :'secret';
CREATE ROLE trusted LOGIN PASSWORD :'secret';
CREATE ROLE clear LOGIN PASSWORD :'secret';
CREATE ROLE forwarded LOGIN PASSWORD :'secret';
CREATE ROLE barred LOGIN PASSWORD :'secret';
CREATE ROLE encrypted LOGIN PASSWORD :'secret';
CREATE ROLE asker LOGIN PASSWORD :'secret';
CREATE ROLE "o'hara ""x"" options=-c" LOGIN PASSWORD :'secret';
CREATE ROLE roman LOGIN PASSWORD '` + roman + `';
CREATE ROLE slow LOGIN PASSWORD :'secret';
ALTER ROLE slow SET statement_timeout = '1ms';
ALTER ROLE slow SET role = 'app';
GRANT app TO slow;
SET password_encryption = 'md5';
CREATE ROLE old LOGIN PASSWORD :'secret';
CREATE ROLE old_roman LOGIN PASSWORD '` + roman + `';
CREATE DATABASE app OWNER app;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE "d'b ""x""";
`

// admitted is pg_hba.conf.
const admitted = `local all all trust
host all trusted all trust
host all clear all password
host all old all md5
host all old_roman all md5
host all barred all reject
host all asker all ident
host all forwarded all ldap ldapserver=127.0.0.1 ldapport=1 ldapprefix="cn="
hostssl all encrypted all scram-sha-256
hostssl all all all scram-sha-256
host all nobody all reject
host app,postgres all all scram-sha-256
host "d'b ""x""" all all scram-sha-256
`

// server is a PostgreSQL server of the test's own, on loopback.
type server struct {
	port     string
	folder   string
	programs string
	as       *syscall.Credential
	uid, gid int
	plain    bool   // it offers no TLS
	stop     func() // ends the process; may be called again
}

// find gives the folder of the newest server's programs. Without one the test
// is skipped, but never where all of it must run.
func find(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("PostgreSQL is missing: apt-get install --no-install-recommends postgresql")
		}
		t.Skip("PostgreSQL is missing: apt-get install --no-install-recommends postgresql")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// start makes a cluster and starts it with the certificate; it ends with the
// test.
func start(t *testing.T, certificate tls.Certificate) *server {
	t.Helper()
	s := &server{programs: find(t), uid: os.Getuid(), gid: os.Getgid()}
	folder, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s.folder = folder
	if s.uid == 0 { // PostgreSQL refuses to run as root
		account, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		s.uid, _ = strconv.Atoi(account.Uid)
		s.gid, _ = strconv.Atoi(account.Gid)
		s.as = &syscall.Credential{Uid: uint32(s.uid), Gid: uint32(s.gid)}
		if err := os.Chown(folder, s.uid, s.gid); err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, "", "initdb", "-D", s.data(), "-U", "postgres", "-A", "scram-sha-256", "--no-sync", "--no-locale", "-E", "UTF8", "--pwfile", s.write(t, "pw", secret))
	s.write(t, "data/pg_hba.conf", admitted)
	s.certify(t, certificate)
	s.launch(t)
	s.sql(t, roles)
	return s
}

func (s *server) data() string { return filepath.Join(s.folder, "data") }

// launch starts the server's process and waits until it serves.
func (s *server) launch(t *testing.T) {
	t.Helper()
	_, s.port, _ = net.SplitHostPort(probetest.ClosedPort(t))
	c := s.command("postgres", "-D", s.data(), "-p", s.port, "-h", "127.0.0.1", "-k", s.folder,
		"-c", fmt.Sprintf("ssl=%t", !s.plain), "-c", "ssl_cert_file="+s.folder+"/cert.pem", "-c", "ssl_key_file="+s.folder+"/key.pem",
		"-c", "fsync=off", "-c", "max_connections=12", "-c", "shared_buffers=8MB", "-c", "max_wal_senders=0")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	s.stop = sync.OnceFunc(func() {
		_ = c.Process.Signal(syscall.SIGINT) // fast shutdown
		select {
		case err := <-ended:
			ended <- err
		case <-time.After(20 * time.Second):
			_ = c.Process.Kill()
			ended <- <-ended
		}
	})
	t.Cleanup(s.stop)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if s.command("pg_isready", "-q", "-h", s.folder, "-p", s.port).Run() == nil {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the server ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the server did not start")
		}
	}
}

// command prepares a program of the server's as its user, without this
// process's environment.
func (s *server) command(name string, args ...string) *exec.Cmd {
	path := filepath.Join(s.programs, name)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		path = name
	}
	c := exec.Command(path, args...)
	c.Dir, c.Env = s.folder, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	probetest.EndWithTest(c)
	return c
}

func (s *server) run(t testing.TB, input, name string, args ...string) string {
	t.Helper()
	c := s.command(name, args...)
	c.Stdin = strings.NewReader(input)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}

// sql runs statements as the superuser, over the server's socket.
func (s *server) sql(t testing.TB, statements string) string {
	t.Helper()
	return s.run(t, statements, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "secret="+secret, "-h", s.folder, "-p", s.port, "-U", "postgres", "postgres")
}

func (s *server) write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, s.uid, s.gid); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *server) certify(t testing.TB, certificate tls.Certificate) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})))
	s.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// reload has the server read its files again, and waits until it has.
func (s *server) reload(t testing.TB) {
	t.Helper()
	before := s.sql(t, "SELECT pg_conf_load_time()")
	s.sql(t, "SELECT pg_reload_conf()")
	for deadline := time.Now().Add(10 * time.Second); s.sql(t, "SELECT pg_conf_load_time()") == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server did not read its files again")
		}
	}
}
