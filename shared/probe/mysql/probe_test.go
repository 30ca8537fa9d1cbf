package mysql_test

import (
	"context"
	"flag"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	driver "github.com/go-sql-driver/mysql"

	declared "credence/shared/connector/builtin"
	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/mysql"
	"credence/shared/probe/probetest"
)

// settings are a credentials object, as a client sends it.
type settings map[string]any

func (s settings) with(more settings) settings {
	out := maps.Clone(s)
	for name, value := range more {
		out[name] = value
		if value == nil {
			delete(out, name)
		}
	}
	return out
}

// names answers for the names that rows use.
type names struct{}

func (names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if host == "localhost" || host == "db.example.com" {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// run probes what the type's declaration reads of the settings, in the usual
// time.
func run(t testing.TB, s settings) probe.Result {
	t.Helper()
	return runWithin(t, probe.Budget, s)
}

// runner makes a runner, and the settings as it reads them.
func runner(t testing.TB, budget time.Duration, s settings) (*probe.Runner, probe.Settings) {
	t.Helper()
	types, err := declared.Registry()
	if err != nil {
		t.Fatal(err)
	}
	declaration, _ := types.Lookup("mysql")
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	checked, faults := declaration.Check(text)
	if len(faults) > 0 {
		t.Fatalf("the settings do not pass their declaration: %+v", faults)
	}
	return probe.NewRunner(builtin.Probers(), probetest.Loopback(t, names{}), probe.Config{Budget: budget}), checked
}

func runWithin(t testing.TB, budget time.Duration, s settings) probe.Result {
	t.Helper()
	r, checked := runner(t, budget, s)
	began := time.Now()
	got := r.Run(t.Context(), "mysql", checked)
	if took := time.Since(began); took > budget+probetest.Slack {
		t.Errorf("the probe took %v of %v", took, budget)
	}
	probetest.Sound(t, got, secret, "canary")
	if testing.Verbose() {
		t.Logf("%s %s: %s %v %v", got.Code, got.Pointer, got.Message, got.Warnings, got.Facts)
	}
	return got
}

// words is what the rows say, for people to read.
var words probetest.Words

var update = flag.Bool("update", false, "write the golden file anew")

// row is a probe and what it must say.
type row struct {
	settings settings
	want     probe.Code
	pointer  string
	stage    string // that failed; "" for none
	warns    string // the code and the field of each warning
}

func (r row) check(t *testing.T) probe.Result {
	t.Helper()
	got := run(t, r.settings)
	if top, name, ok := strings.Cut(t.Name(), "/"); ok && strings.HasPrefix(top, "TestAgainst") {
		words.Keep(strings.ReplaceAll(strings.TrimPrefix(name, "table/"), "_", " "), got)
	}
	var warned []string
	for _, w := range got.Warnings {
		warned = append(warned, strings.TrimSpace(string(w.Code)+" "+strings.TrimPrefix(w.Pointer, "/credentials/")))
	}
	slices.Sort(warned)
	failed := ""
	for _, s := range got.Stages {
		if s.Outcome == probe.StageFailed {
			failed = s.Name
		}
	}
	if got.Code != r.want || strings.TrimPrefix(got.Pointer, "/credentials/") != r.pointer || failed != r.stage || strings.Join(warned, ", ") != r.warns {
		t.Errorf("got %s at %q, %q failed, warnings %q; want %s at %q, %q failed, warnings %q: %s",
			got.Code, got.Pointer, failed, warned, r.want, r.pointer, r.stage, r.warns, got.Message)
	}
	return got
}

// The table: everything that can be right or wrong with a credential, against
// a real server.
func TestAgainstMariaDB(t *testing.T) {
	defer words.Golden(t, *update)
	ca, other := probetest.NewAuthority(t), probetest.NewAuthority(t)
	s := start(t, ca.Issue(t, probetest.Leaf{}))
	_, closed, _ := net.SplitHostPort(probetest.ClosedPort(t))
	good := settings{"host": "127.0.0.1", "port": s.port, "username": "app", "password": secret, "database_name": "app", "tls.ca_certificate": ca.PEM}
	as := func(name string) settings { return good.with(settings{"username": name}) }
	plain := good.with(settings{"sslmode": "disable"})
	wrong := settings{"password": "canary-wrong"}
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		method   = probe.CodeAuthMethodUnsupported
	)
	t.Run("table", func(t *testing.T) {
		for name, r := range map[string]row{
			"good":                       {good, ok, "", "", ""},
			"good, verify-full":          {good.with(settings{"sslmode": "verify-full"}), ok, "", "", ""},
			"good, by name":              {good.with(settings{"host": "localhost"}), ok, "", "", ""},
			"good, no database":          {good.with(settings{"database_name": nil}), ok, "", "", ""},
			"good, verify-ca":            {good.with(settings{"sslmode": "verify-ca"}), ok, "", "", "TLS_UNVERIFIED sslmode"},
			"good, require":              {good.with(settings{"sslmode": "require"}), ok, "", "", "TLS_UNVERIFIED sslmode"},
			"good, require, no CA":       {good.with(settings{"sslmode": "require", "tls.ca_certificate": nil}), ok, "", "", "TLS_UNVERIFIED sslmode"},
			"good, plaintext, listed":    {plain, ok, "", "", ""},
			"good, ed25519":              {as("ed"), ok, "", "", ""},
			"good, ed25519, plaintext":   {plain.with(settings{"username": "ed"}), ok, "", "", ""},
			"good, account wants TLS":    {as("encrypted"), ok, "", "", ""},
			"good, everything granted":   {as("dba"), ok, "", "", "OVER_PRIVILEGED username"},
			"good, SUPER, not database":  {as("super"), ok, "", "", "OVER_PRIVILEGED username, SCOPE_MISSING database_name"},
			"good, this host, no right":  {good.with(settings{"username": "here", "database_name": nil}), ok, "", "", ""},
			"good, quotes in every name": {good.with(settings{"username": `o'hara "x"@y`, "database_name": "d`b 'x'"}), ok, "", "", ""},

			"wrong secret":          {good.with(wrong), rejected, "password", "auth", ""},
			"wrong secret, require": {good.with(wrong).with(settings{"sslmode": "require"}), rejected, "password", "auth", "TLS_UNVERIFIED sslmode"},
			"wrong secret, plaintext, TLS offered": {
				plain.with(wrong), method, "sslmode", "auth", "",
			},
			"wrong secret, ed25519":     {as("ed").with(wrong), rejected, "password", "auth", ""},
			"wrong secret and database": {good.with(wrong).with(settings{"database_name": "nowhere"}), rejected, "password", "auth", ""},
			"account has no password":   {as("nopassword"), rejected, "password", "auth", ""},
			"account of another host":   {as("elsewhere"), rejected, "password", "auth", ""},
			"account wants a client's certificate": {
				as("certified"), rejected, "password", "auth", "",
			},
			"account wants TLS, plaintext": {plain.with(settings{"username": "encrypted"}), method, "sslmode", "auth", ""},

			"expired":               {as("expired"), probe.CodeAuthExpired, "password", "auth", ""},
			"expired, wrong secret": {as("expired").with(wrong), rejected, "password", "auth", ""},
			"locked":                {as("locked"), probe.CodeAuthLocked, "username", "auth", ""},
			"signs in by unix_socket": {
				as("socket"), method, "username", "auth", "",
			},
			"signs in by PAM": {as("pam"), method, "username", "auth", ""},
			"password of before 4.1": {
				as("ancient"), method, "username", "auth", "",
			},

			"wrong database":          {good.with(settings{"database_name": "nowhere"}), ok, "", "", "SCOPE_MISSING database_name"},
			"wrong database, all":     {as("dba").with(settings{"database_name": "nowhere"}), ok, "", "", "OVER_PRIVILEGED username, RESOURCE_NOT_FOUND database_name"},
			"database of others":      {good.with(settings{"database_name": "other"}), ok, "", "", "SCOPE_MISSING database_name"},
			"a statement as database": {good.with(settings{"database_name": "app`; DROP DATABASE app; -- "}), ok, "", "", "RESOURCE_NOT_FOUND database_name"},
			"another as database":     {as("dba").with(settings{"database_name": "app`; DROP DATABASE other; -- x"}), ok, "", "", "OVER_PRIVILEGED username, RESOURCE_NOT_FOUND database_name"},

			"wrong host":        {good.with(settings{"host": "db.invalid"}), probe.CodeDNSNotFound, "host", "dns", ""},
			"wrong port":        {good.with(settings{"port": closed}), probe.CodeTCPRefused, "port", "tcp", ""},
			"port of no server": {good.with(settings{"port": 25}), probe.CodeDestinationBlocked, "port", "policy", ""},
			"metadata address":  {good.with(settings{"host": "169.254.169.254"}), probe.CodeDestinationBlocked, "host", "policy", ""},
			"plaintext, not listed": {
				plain.with(settings{"host": "93.184.215.14"}), probe.CodeTLSRequired, "sslmode", "policy", "",
			},

			"certificate of another name":            {good.with(settings{"host": "db.example.com"}), probe.CodeTLSNameMismatch, "host", "tls", ""},
			"certificate of another name, verify-ca": {good.with(settings{"host": "db.example.com", "sslmode": "verify-ca"}), ok, "", "", "TLS_UNVERIFIED sslmode"},
			"certificate of nobody known":            {good.with(settings{"tls.ca_certificate": nil}), probe.CodeTLSUntrusted, "tls.ca_certificate", "tls", ""},
			"certificate of another authority":       {good.with(settings{"tls.ca_certificate": other.PEM}), probe.CodeTLSUntrusted, "tls.ca_certificate", "tls", ""},
			"of another authority, verify-ca":        {good.with(settings{"tls.ca_certificate": other.PEM, "sslmode": "verify-ca"}), probe.CodeTLSUntrusted, "tls.ca_certificate", "tls", ""},
			"of another authority, require":          {good.with(settings{"tls.ca_certificate": other.PEM, "sslmode": "require"}), ok, "", "", "TLS_UNVERIFIED sslmode"},
		} {
			t.Run(name, func(t *testing.T) { r.check(t) })
		}
	})
	t.Run("wrong user", func(t *testing.T) { strangers(t, good) })
	t.Run("databases are still there", func(t *testing.T) {
		if got := s.sql(t, "SHOW DATABASES LIKE 'app'; SHOW DATABASES LIKE 'other'"); got != "app\nother" {
			t.Errorf("of app and other there are %q", got)
		}
	})
	t.Run("facts", func(t *testing.T) { facts(t, s, good) })
	t.Run("connections an hour", func(t *testing.T) {
		row{as("hourly"), ok, "", "", ""}.check(t)
		row{as("hourly"), probe.CodeRateLimited, "", "auth", ""}.check(t)
	})
	t.Run("too many failures", func(t *testing.T) {
		s.sql(t, "SET GLOBAL max_password_errors = 2")
		row{as("never").with(wrong), rejected, "password", "auth", ""}.check(t)
		row{as("never").with(wrong), rejected, "password", "auth", ""}.check(t)
		row{as("never"), probe.CodeAuthLocked, "username", "auth", ""}.check(t)
		s.sql(t, "SET GLOBAL max_password_errors = DEFAULT; FLUSH PRIVILEGES")
		row{as("never"), ok, "", "", ""}.check(t)
	})
	t.Run("TLS demanded of all", func(t *testing.T) {
		s.sql(t, "SET GLOBAL require_secure_transport = ON")
		row{plain, method, "sslmode", "auth", ""}.check(t) // MariaDB says 1045 here
		row{good, ok, "", "", ""}.check(t)
		s.sql(t, "SET GLOBAL require_secure_transport = OFF")
	})
	t.Run("client of MariaDB", func(t *testing.T) { compare(t, s, good) })
	t.Run("certificate expired", func(t *testing.T) {
		s.certify(t, ca.Issue(t, probetest.Leaf{NotAfter: time.Now().Add(-time.Hour)}))
		s.sql(t, "FLUSH SSL")
		row{good, probe.CodeTLSExpired, "", "tls", ""}.check(t)
		row{good.with(settings{"sslmode": "verify-ca"}), probe.CodeTLSExpired, "", "tls", ""}.check(t)
		row{good.with(settings{"sslmode": "require"}), ok, "", "", "TLS_UNVERIFIED sslmode"}.check(t)
	})
	t.Run("all connections taken", func(t *testing.T) { crowded(t, s, good) })
	t.Run("client certificates", func(t *testing.T) { certificates(t, s, good, ca) })
	t.Run("no TLS there", func(t *testing.T) {
		s.launch(t, "--skip-ssl")
		there := settings{"port": s.port}
		row{good.with(there), probe.CodeTLSUnsupported, "sslmode", "tls", ""}.check(t)
		row{good.with(there).with(settings{"sslmode": "require"}), probe.CodeTLSUnsupported, "sslmode", "tls", ""}.check(t)
		row{plain.with(there), ok, "", "", ""}.check(t)
		row{plain.with(there).with(wrong), rejected, "password", "auth", ""}.check(t)
	})
	t.Run("no grant tables", func(t *testing.T) {
		s.launch(t, "--skip-grant-tables", "--skip-ssl")
		there := settings{"port": s.port}
		row{plain.with(there), probe.CodeSecretNotTested, "", "auth", ""}.check(t)
		row{plain.with(there).with(wrong).with(settings{"username": "stranger"}), probe.CodeSecretNotTested, "", "auth", ""}.check(t)
	})
	t.Run("no account for this address", func(t *testing.T) {
		s.launch(t, "--skip-name-resolve", "--skip-ssl")
		s.sql(t, "DELETE FROM mysql.global_priv WHERE Host NOT IN ('localhost', '10.1.2.3'); FLUSH PRIVILEGES")
		row{plain.with(settings{"port": s.port}), probe.CodeSourceIPDenied, "", "protocol", ""}.check(t)
	})
}

// strangers have no account. MariaDB hides that: it asks each for the proof
// that some account would be asked for, which a probe may not have.
func strangers(t *testing.T, good settings) {
	refused := 0
	for i := range 20 {
		got := run(t, good.with(settings{"username": "stranger" + strconv.Itoa(i)}))
		switch {
		case got.Code == probe.CodeAuthRejected && got.Pointer == "/credentials/password":
			refused++
		case got.Code != probe.CodeAuthMethodUnsupported || got.Pointer != "/credentials/username":
			t.Errorf("%s at %s", got.Code, got.Pointer)
		}
	}
	if refused == 0 {
		t.Error("no stranger was refused")
	}
}

func facts(t *testing.T, s *server, good settings) {
	version, _, _ := strings.Cut(s.sql(t, "SELECT VERSION()"), "-")
	changed, err := strconv.ParseInt(s.sql(t, "SELECT JSON_VALUE(Priv, '$.password_last_changed') FROM mysql.global_priv WHERE User = 'sees'"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	in90days := time.Unix(changed, 0).AddDate(0, 0, 90).UTC().Format(time.RFC3339)
	for name, expires := range map[string]string{"app": "", "never": "", "sees": in90days, "dba": ""} {
		got := run(t, good.with(settings{"username": name}))
		if got.Code != probe.CodeOK || got.Facts["server_version"] != version || got.Facts["expires_at"] != expires || got.Facts["tls_not_after"] == "" {
			t.Errorf("%s: %s, facts %v, want version %s, expiry %q", name, got.Code, got.Facts, version, expires)
		}
	}
	s.sql(t, "SET GLOBAL default_password_lifetime = 30")
	defer s.sql(t, "SET GLOBAL default_password_lifetime = 0")
	if got := run(t, good.with(settings{"username": "dba"})); got.Facts["expires_at"] == "" {
		t.Errorf("no expiry among %v, though the server has a usual one", got.Facts)
	}
}

// crowded takes every connection that the server has. The server is started
// anew after it.
func crowded(t *testing.T, s *server, good settings) {
	s.sql(t, "SET GLOBAL max_connections = 10")
	taken := 0
	take := func(name string) error {
		config := driver.NewConfig()
		config.User, config.Passwd, config.Net, config.Addr = name, secret, "tcp", "127.0.0.1:"+s.port
		connector, err := driver.NewConnector(config)
		if err != nil {
			t.Fatal(err)
		}
		c, err := connector.Connect(t.Context())
		if err == nil {
			taken++
			t.Cleanup(func() { _ = c.Close() })
		}
		return err
	}
	for taken < 64 && take("app") == nil {
	}
	// The last one is kept for an administrator; until it is taken, everybody
	// gets as far as the sign-in.
	for deadline := time.Now().Add(10 * time.Second); take("dba") != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("an administrator could not sign in")
		}
	}
	if taken >= 64 {
		t.Fatal("the server never ran out of connections")
	}
	row{good, probe.CodeTargetUnavailable, "", "protocol", ""}.check(t)
}

// A server counts connections that end before the sign-in, and for them blocks
// the address they come from. One that leaves as nobody has signed in, and was
// refused. The counters are the server's own, of all addresses: those of each
// need a name server, and know nothing of this machine's.
// https://mariadb.com/docs/server/server-management/variables-and-modes/server-status-variables#aborted_connects_preauth
func TestLeavingCountsNothing(t *testing.T) {
	s := start(t, probetest.NewAuthority(t).Issue(t, probetest.Leaf{}))
	s.launch(t, "--skip-ssl")
	const times = 3
	connect := func(end func(net.Conn)) {
		for range times {
			c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := mysql.ReadPacket(c); err != nil {
				t.Fatal(err)
			}
			end(c)
			_ = c.Close()
		}
	}
	// The server notices an end when its thread gets to it.
	reaches := func(counter string) {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			got := s.status(t, counter)
			if got == times {
				return
			}
			if got > times || time.Now().After(deadline) {
				t.Fatalf("%s is %d, want %d", counter, got, times)
			}
		}
	}
	connect(mysql.Leave)
	reaches("Access_denied_errors")
	if n := s.status(t, "Aborted_connects_preauth"); n != 0 {
		t.Errorf("of %d connections that left, %d broke off", times, n)
	}
	connect(func(net.Conn) {})
	reaches("Aborted_connects_preauth")
}

// certificates has a server that requests client certificates, and an account
// that requires one beside the password.
func certificates(t *testing.T, s *server, good settings, ca *probetest.Authority) {
	s.certify(t, ca.Issue(t, probetest.Leaf{}))
	path := filepath.Join(s.folder, "ca.pem")
	if err := os.WriteFile(path, []byte(ca.PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	s.own(t, path)
	s.launch(t, append(s.encrypted(), "--ssl-ca="+path)...)
	good = good.with(settings{"port": s.port})
	certified := good.with(settings{"username": "certified", "database_name": nil})
	with := func(by *probetest.Authority) settings {
		certificate, key := probetest.PEM(t, by.Issue(t, probetest.Leaf{}))
		return settings{"tls.client_certificate": certificate, "tls.client_key": key}
	}
	wrong := settings{"password": "canary-wrong"}
	const (
		field    = "tls.client_certificate"
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
	)
	for name, r := range map[string]row{
		"requested, not required":      {good, ok, "", "", ""},
		"requested, sent":              {good.with(with(ca)), ok, "", "", ""},
		"requested, wrong secret":      {good.with(wrong), rejected, "password", "auth", ""},
		"required, none":               {certified, rejected, "password", "auth", ""}, // MariaDB says the same to a wrong password
		"required, sent":               {certified.with(with(ca)), ok, "", "", ""},
		"required, wrong secret":       {certified.with(with(ca)).with(wrong), rejected, "password", "auth", ""},
		"of another authority":         {certified.with(with(probetest.NewAuthority(t))), rejected, field, "auth", ""},
		"certificate without key":      {good.with(settings{field: ca.PEM}), probe.CodeAuthMethodUnsupported, "tls.client_key", "policy", ""},
		"certificate, sslmode disable": {good.with(with(ca)).with(settings{"sslmode": "disable"}), probe.CodeAuthMethodUnsupported, "sslmode", "policy", ""},
	} {
		t.Run(name, func(t *testing.T) { r.check(t) })
	}
}
