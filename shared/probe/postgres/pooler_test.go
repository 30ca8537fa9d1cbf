package postgres_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// pooled probes through PgBouncer before the server: it verifies the password by
// itself, and then authenticates to the server behind it.
func pooled(t *testing.T, s *server, good settings) {
	port := pgbouncer(t, s)
	through := good.with(settings{"port": port})
	plain := through.with(settings{"sslmode": "disable", "tls.ca_certificate": nil})
	wrong := settings{"password": "canary-wrong"}
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		away     = probe.CodeTargetUnavailable
	)
	for name, r := range map[string]row{
		"good":                               {through, ok, "", "", ""},
		"good, plaintext":                    {plain, ok, "", "", ""},
		"good, MD5 behind":                   {through.with(settings{"username": "old"}), ok, "", "", ""},
		"wrong secret":                       {through.with(wrong), rejected, "password", "auth", ""},
		"wrong secret, plaintext":            {plain.with(wrong), rejected, "password", "auth", ""},
		"unknown user":                       {through.with(settings{"username": "stranger"}), rejected, "password", "auth", ""},
		"refused by the server behind":       {through.with(settings{"username": "expired"}), away, "", "auth", ""},
		"refused by the server, wrong":       {through.with(wrong).with(settings{"username": "expired"}), rejected, "password", "auth", ""},
		"no server behind":                   {through.with(settings{"database_name": "gone"}), away, "", "auth", ""},
		"no server behind, wrong":            {through.with(wrong).with(settings{"database_name": "gone"}), rejected, "password", "auth", ""},
		"no such database in the pooler":     {through.with(settings{"database_name": "missing"}), ok, "", "", "RESOURCE_NOT_FOUND database_name"},
		"no such database, wrong":            {through.with(wrong).with(settings{"database_name": "missing"}), rejected, "password", "auth", ""},
		"no such database behind the pooler": {through.with(settings{"database_name": "nowhere"}), away, "", "auth", ""},
	} {
		t.Run(name, func(t *testing.T) { r.check(t) })
	}
}

// pgbouncer starts PgBouncer, which ends with the test, and returns its port.
func pgbouncer(t *testing.T, s *server) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(program); err != nil {
		const missing = "PgBouncer is missing: apt-get install --no-install-recommends pgbouncer"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	_, port, _ := net.SplitHostPort(probetest.ClosedPort(t))
	_, closed, _ := net.SplitHostPort(probetest.ClosedPort(t))
	var users strings.Builder
	for _, user := range []string{"app", "old", "expired"} {
		fmt.Fprintf(&users, "\"%s\" \"%s\"\n", user, strings.ReplaceAll(secret, `"`, `""`))
	}
	file := s.write(t, "pgbouncer.ini", fmt.Sprintf(`[databases]
app = host=127.0.0.1 port=%[1]s
nowhere = host=127.0.0.1 port=%[1]s
gone = host=127.0.0.1 port=%[2]s dbname=app
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %[3]s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %[4]s
client_tls_sslmode = allow
client_tls_cert_file = %[5]s/cert.pem
client_tls_key_file = %[5]s/key.pem
server_connect_timeout = 2
server_login_retry = 1
query_wait_timeout = 3
`, s.port, closed, port, s.write(t, "users.txt", users.String()), s.folder))
	c := s.command(program, file)
	log, err := os.Create(filepath.Join(s.folder, "pgbouncer.log"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait(); _ = log.Close() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			_ = conn.Close()
			return port
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("PgBouncer did not start: %s", said)
		}
	}
}
