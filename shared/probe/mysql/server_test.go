package mysql_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
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

// accounts are the accounts and databases of the server.
const accounts = `
INSTALL SONAME 'auth_ed25519';
INSTALL SONAME 'auth_pam';
CREATE DATABASE app;
CREATE DATABASE other;
CREATE DATABASE ` + "`d``b 'x'`" + `;
CREATE USER app@'%' IDENTIFIED BY SECRET;
CREATE USER sees@'%' IDENTIFIED BY SECRET PASSWORD EXPIRE INTERVAL 90 DAY;
CREATE USER never@'%' IDENTIFIED BY SECRET PASSWORD EXPIRE NEVER;
CREATE USER dba@'%' IDENTIFIED BY SECRET;
CREATE USER super@'%' IDENTIFIED BY SECRET;
CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD(SECRET);
CREATE USER expired@'%' IDENTIFIED BY SECRET PASSWORD EXPIRE;
CREATE USER locked@'%' IDENTIFIED BY SECRET ACCOUNT LOCK;
CREATE USER hourly@'%' IDENTIFIED BY SECRET WITH MAX_CONNECTIONS_PER_HOUR 1;
CREATE USER socket@'%' IDENTIFIED VIA unix_socket;
CREATE USER pam@'%' IDENTIFIED VIA pam;
CREATE USER ancient@'%' IDENTIFIED VIA mysql_old_password USING '6f8c114b58f2ce9e';
CREATE USER nopassword@'%' IDENTIFIED BY '';
CREATE USER encrypted@'%' IDENTIFIED BY SECRET REQUIRE SSL;
CREATE USER certified@'%' IDENTIFIED BY SECRET REQUIRE X509;
CREATE USER here@'localhost' IDENTIFIED BY SECRET;
CREATE USER here@'127.0.0.1' IDENTIFIED BY SECRET;
CREATE USER elsewhere@'10.1.2.3' IDENTIFIED BY SECRET;
CREATE USER 'o''hara "x"@y'@'%' IDENTIFIED BY SECRET;
GRANT SELECT ON app.* TO app@'%', sees@'%', never@'%', ed@'%', expired@'%', locked@'%', hourly@'%', encrypted@'%', 'o''hara "x"@y'@'%';
GRANT SELECT ON ` + "`d``b 'x'`" + `.* TO 'o''hara "x"@y'@'%';
GRANT SELECT ON mysql.global_priv TO sees@'%', never@'%';
GRANT ALL ON *.* TO dba@'%';
GRANT SUPER ON *.* TO super@'%';
`

// server is a MariaDB server of the test's own, on loopback.
type server struct {
	port   string
	folder string
	user   string // as which it runs; "" for the test's own
	stop   func() // ends the process; may be called again
}

// find checks that the server is there. Without it the test is skipped, but
// never where all of it must run.
func find(t testing.TB) {
	t.Helper()
	for _, program := range []string{"mariadbd", "mariadb-install-db", "mariadb"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("MariaDB is missing: apt-get install --no-install-recommends mariadb-server")
			}
			t.Skip("MariaDB is missing: apt-get install --no-install-recommends mariadb-server")
		}
	}
}

// start makes a server with the accounts; launch starts it.
func start(t *testing.T, certificate tls.Certificate) *server {
	t.Helper()
	find(t)
	folder, err := os.MkdirTemp("", "mariadb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s := &server{folder: folder}
	if os.Getuid() == 0 {
		s.user = "mysql"
	}
	s.own(t, folder)
	s.certify(t, certificate)
	s.run(t, "", "mariadb-install-db", s.as("--no-defaults", "--datadir="+s.data(), "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-flush-log-at-trx-commit=0")...)
	s.launch(t, s.encrypted()...)
	s.sql(t, strings.ReplaceAll(accounts, "SECRET", "'"+strings.ReplaceAll(secret, "'", "''")+"'"))
	return s
}

func (s *server) data() string   { return filepath.Join(s.folder, "data") }
func (s *server) socket() string { return filepath.Join(s.folder, "s.sock") }

func (s *server) encrypted() []string {
	return []string{"--ssl-cert=" + s.folder + "/cert.pem", "--ssl-key=" + s.folder + "/key.pem"}
}

func (s *server) as(args ...string) []string {
	if s.user != "" {
		args = append(args, "--user="+s.user)
	}
	return args
}

// launch starts the server's process, after it ended the one before, and waits
// until it serves.
func (s *server) launch(t *testing.T, options ...string) {
	t.Helper()
	if s.stop != nil {
		s.stop()
	}
	_, s.port, _ = net.SplitHostPort(probetest.ClosedPort(t))
	args := s.as("--no-defaults", "--datadir="+s.data(), "--bind-address=127.0.0.1", "--port="+s.port, "--socket="+s.socket(),
		"--pid-file="+s.folder+"/pid", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--log-error="+s.folder+"/log")
	c := s.command("mariadbd", append(args, options...)...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	s.stop = sync.OnceFunc(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
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
		if s.command("mariadb", "--no-defaults", "-S", s.socket(), "-u", "root", "-e", "SELECT 1").Run() == nil {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			log, _ := os.ReadFile(s.folder + "/log")
			t.Fatalf("the server ended: %v\n%s", err, log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the server did not start")
		}
	}
}

// command prepares a program without this process's environment.
func (s *server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir, c.Env = s.folder, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
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

// sql runs statements as root, over the server's socket.
func (s *server) sql(t testing.TB, statements string) string {
	t.Helper()
	return s.run(t, statements, "mariadb", "--no-defaults", "-N", "-B", "-S", s.socket(), "-u", "root")
}

// own gives a file to the server's user.
func (s *server) own(t testing.TB, path string) {
	t.Helper()
	if s.user == "" {
		return
	}
	account, err := user.Lookup(s.user)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}

// status is one of the server's counters.
func (s *server) status(t testing.TB, name string) int {
	t.Helper()
	_, text, _ := strings.Cut(s.sql(t, "SHOW GLOBAL STATUS LIKE '"+name+"'"), "\t")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("the server has no counter %s", name)
	}
	return n
}

func (s *server) certify(t testing.TB, certificate tls.Certificate) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: der},
	} {
		path := filepath.Join(s.folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		s.own(t, path)
	}
}
