package postgres_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5/pgconn"

	declared "credence/shared/connector/builtin"
	"credence/shared/probe"
	"credence/shared/probe/builtin"
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
	declaration, _ := types.Lookup("postgres")
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
	got := r.Run(t.Context(), "postgres", checked)
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
func TestAgainstPostgreSQL(t *testing.T) {
	defer words.Golden(t, *update)
	ca, other := probetest.NewAuthority(t), probetest.NewAuthority(t)
	s := start(t, ca.Issue(t, probetest.Leaf{}))
	_, closed, _ := net.SplitHostPort(probetest.ClosedPort(t))
	good := settings{"host": "127.0.0.1", "port": s.port, "username": "app", "password": secret, "database_name": "app", "tls.ca_certificate": ca.PEM}
	as := func(name string) settings { return good.with(settings{"username": name}) }
	plain := good.with(settings{"sslmode": "disable"})
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		away     = probe.CodeTargetUnavailable
	)
	t.Run("table", func(t *testing.T) {
		for name, r := range map[string]row{
			"good":                       {good, ok, "", "", ""},
			"good, verify-full":          {good.with(settings{"sslmode": "verify-full"}), ok, "", "", ""},
			"good, by name":              {good.with(settings{"host": "localhost"}), ok, "", "", ""},
			"good, verify-ca":            {good.with(settings{"sslmode": "verify-ca"}), ok, "", "", "TLS_UNVERIFIED sslmode"},
			"good, require":              {good.with(settings{"sslmode": "require"}), ok, "", "", "TLS_UNVERIFIED sslmode"},
			"good, require, no CA":       {good.with(settings{"sslmode": "require", "tls.ca_certificate": nil}), ok, "", "", "TLS_UNVERIFIED sslmode"},
			"good, plaintext, listed":    {plain, ok, "", "", ""},
			"good, md5":                  {as("old"), ok, "", "", ""},
			"good, md5, plaintext":       {plain.with(settings{"username": "old"}), ok, "", "", ""},
			"good, clear text":           {as("clear"), ok, "", "", ""},
			"good, odd characters":       {as("roman").with(settings{"password": roman}), ok, "", "", ""},
			"good, odd ones as they are": {as("roman").with(settings{"password": "canary-IXx y"}), ok, "", "", ""},
			"good, odd characters, md5":  {as("old_roman").with(settings{"password": roman}), ok, "", "", ""},
			"good, never expires":        {as("forever"), ok, "", "", ""},
			"good, superuser":            {as("root_app"), ok, "", "", "OVER_PRIVILEGED username"},
			"good, quotes in every name": {good.with(settings{"username": `o'hara "x" options=-c`, "database_name": `d'b "x"`}), ok, "", "", ""},

			"wrong secret":             {good.with(settings{"password": "canary-wrong"}), rejected, "password", "auth", ""},
			"wrong secret, require":    {good.with(settings{"password": "canary-wrong", "sslmode": "require"}), rejected, "password", "auth", "TLS_UNVERIFIED sslmode"},
			"wrong secret, plaintext":  {plain.with(settings{"password": "canary-wrong"}), rejected, "password", "auth", ""},
			"wrong secret, md5":        {as("old").with(settings{"password": "canary-wrong"}), rejected, "password", "auth", ""},
			"wrong secret, clear text": {as("clear").with(settings{"password": "canary-wrong"}), rejected, "password", "auth", ""},
			"wrong secret and database": {
				good.with(settings{"password": "canary-wrong", "database_name": "nowhere"}), rejected, "password", "auth", "",
			},
			"wrong user":            {as("stranger"), rejected, "password", "auth", ""},
			"user without password": {as("nopassword"), rejected, "password", "auth", ""},
			"expired account":       {as("expired"), rejected, "password", "auth", ""},
			"account may not sign in": {
				as("nologin"), probe.CodeAuthDisabled, "username", "auth", "",
			},
			"account may not sign in, wrong secret": {as("nologin").with(settings{"password": "canary-wrong"}), rejected, "password", "auth", ""},
			"not asked for the secret":              {as("trusted"), probe.CodeSecretNotTested, "password", "auth", ""},
			"not asked for a wrong secret":          {as("trusted").with(settings{"password": "canary-wrong"}), probe.CodeSecretNotTested, "password", "auth", ""},
			"sign-in passed on to a dead LDAP":      {as("forwarded"), probe.CodeAuthLocked, "username", "auth", ""},
			"asked who the user is, not for a password": {
				as("asker"), probe.CodeSourceIPDenied, "", "auth", "",
			},

			"barred by pg_hba.conf":              {as("barred"), probe.CodeSourceIPDenied, "", "auth", ""},
			"barred by pg_hba.conf without TLS":  {plain.with(settings{"username": "barred"}), probe.CodeSourceIPDenied, "sslmode", "auth", ""},
			"admitted by pg_hba.conf with TLS":   {as("encrypted").with(settings{"database_name": "closed"}), ok, "", "", "SCOPE_MISSING database_name"},
			"no line of pg_hba.conf without TLS": {plain.with(settings{"username": "encrypted", "database_name": "closed"}), probe.CodeSourceIPDenied, "sslmode", "auth", ""},

			"wrong database":              {good.with(settings{"database_name": "nowhere"}), ok, "", "", "RESOURCE_NOT_FOUND database_name"},
			"may not connect to database": {good.with(settings{"database_name": "closed"}), ok, "", "", "SCOPE_MISSING database_name"},
			"database takes nobody":       {good.with(settings{"database_name": "template0"}), ok, "", "", "SCOPE_MISSING database_name"},
			"too many of the role":        {as("full"), away, "", "access", ""},
			"too many of the role, wrong": {as("full").with(settings{"password": "canary-wrong"}), rejected, "password", "auth", ""},

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
	t.Run("facts", func(t *testing.T) { facts(t, s, good) })
	t.Run("environment", func(t *testing.T) { environment(t, good) })
	t.Run("all connections taken", func(t *testing.T) { crowded(t, s, good) })
	t.Run("psql", func(t *testing.T) { compare(t, s, good) })
	t.Run("client certificates", func(t *testing.T) { certificates(t, s, good, ca) })
	t.Run("PgBouncer", func(t *testing.T) { pooled(t, s, good) })
	t.Run("certificate expired", func(t *testing.T) {
		s.certify(t, ca.Issue(t, probetest.Leaf{NotAfter: time.Now().Add(-time.Hour)}))
		s.reload(t)
		row{good, probe.CodeTLSExpired, "", "tls", ""}.check(t)
		row{good.with(settings{"sslmode": "verify-ca"}), probe.CodeTLSExpired, "", "tls", ""}.check(t)
		row{good.with(settings{"sslmode": "require"}), ok, "", "", "TLS_UNVERIFIED sslmode"}.check(t)
	})
	t.Run("no TLS there", func(t *testing.T) {
		s.write(t, "data/pg_hba.conf", strings.ReplaceAll(admitted, "hostssl", "host"))
		s.stop()
		s.plain = true
		s.launch(t)
		there := settings{"port": s.port}
		row{good.with(there), probe.CodeTLSUnsupported, "sslmode", "tls", ""}.check(t)
		row{good.with(there).with(settings{"sslmode": "require"}), probe.CodeTLSUnsupported, "sslmode", "tls", ""}.check(t)
		row{plain.with(there), ok, "", "", ""}.check(t)
		row{plain.with(there).with(settings{"username": "stranger"}), rejected, "password", "auth", ""}.check(t)
	})
}

func facts(t *testing.T, s *server, good settings) {
	version := s.sql(t, "SELECT split_part(current_setting('server_version'), ' ', 1)")
	for name, expires := range map[string]string{"app": "2031-05-06T05:08:09Z", "forever": "", "slow": "", "root_app": ""} {
		got := run(t, good.with(settings{"username": name}))
		if name == "slow" && got.Code == probe.CodeTargetUnavailable {
			continue // its statements may run out of their millisecond
		}
		if got.Code != probe.CodeOK || got.Facts["server_version"] != version || got.Facts["expires_at"] != expires || got.Facts["tls_not_after"] == "" {
			t.Errorf("%s: %s, facts %v, want version %s, expiry %q", name, got.Code, got.Facts, version, expires)
		}
	}
}

// What libpq's variables say leads nowhere, even if the process has them.
func environment(t *testing.T, good settings) {
	for name, value := range map[string]string{
		"PGHOST": "/tmp", "PGPORT": "1", "PGUSER": "postgres", "PGPASSWORD": "x", "PGDATABASE": "nowhere", "PGOPTIONS": "-c search_path=x",
		"PGAPPNAME": "x", "PGSSLMODE": "disable", "PGTARGETSESSIONATTRS": "standby", "PGCONNECT_TIMEOUT": "1", "PGREQUIREAUTH": "none", "PGCHANNELBINDING": "disable",
	} {
		t.Setenv(name, value)
	}
	row{good, probe.CodeOK, "", "", ""}.check(t)
	row{good.with(settings{"username": "trusted"}), probe.CodeSecretNotTested, "password", "auth", ""}.check(t)
}

// crowded takes every connection that the server has.
func crowded(t *testing.T, s *server, good settings) {
	var taken []*pgconn.PgConn
	defer func() {
		for _, c := range taken {
			_ = c.Close(context.Background())
		}
	}()
	for range 64 {
		c, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable", s.folder, s.port))
		if err != nil {
			break
		}
		taken = append(taken, c)
	}
	if len(taken) == 64 {
		t.Fatal("the server never ran out of connections")
	}
	row{good, probe.CodeTargetUnavailable, "", "auth", ""}.check(t)
}

// certificates has accounts of which the server requires a client certificate,
// alone or beside the password.
func certificates(t *testing.T, s *server, good settings, ca *probetest.Authority) {
	s.write(t, "ca.pem", ca.PEM)
	s.sql(t, `CREATE ROLE certified LOGIN PASSWORD :'secret'; CREATE ROLE verified LOGIN PASSWORD :'secret';
SET password_encryption = 'md5'; CREATE ROLE verified_md5 LOGIN PASSWORD :'secret'; ALTER SYSTEM SET ssl_ca_file = '`+s.folder+`/ca.pem';`)
	s.write(t, "data/pg_hba.conf", `hostssl all certified all cert
hostssl all verified all scram-sha-256 clientcert=verify-full
hostssl all verified_md5 all md5 clientcert=verify-full
`+admitted)
	s.reload(t)
	as := func(name string) settings { return good.with(settings{"username": name}) }
	with := func(by *probetest.Authority, name string) settings {
		certificate, key := probetest.PEM(t, by.Issue(t, probetest.Leaf{Common: name}))
		return settings{"tls.client_certificate": certificate, "tls.client_key": key}
	}
	wrong := settings{"password": "canary-wrong"}
	const (
		field    = "tls.client_certificate"
		ok       = probe.CodeOK
		required = probe.CodeClientCertificate
		rejected = probe.CodeAuthRejected
	)
	for name, r := range map[string]row{
		"requested, not required":            {good, ok, "", "", ""},
		"requested, wrong secret":            {good.with(wrong), rejected, "password", "auth", ""},
		"requested, barred":                  {as("barred"), probe.CodeSourceIPDenied, "", "auth", ""},
		"requested, sent":                    {good.with(with(ca, "app")), ok, "", "", ""},
		"required, none":                     {as("certified"), required, field, "auth", ""},
		"required, none, require":            {as("certified").with(settings{"sslmode": "require"}), required, field, "auth", "TLS_UNVERIFIED sslmode"},
		"required, of another user":          {as("certified").with(with(ca, "app")), rejected, field, "auth", ""},
		"required, instead of the password":  {as("certified").with(with(ca, "certified")), probe.CodeSecretNotTested, "password", "auth", ""},
		"with the password, none":            {as("verified"), required, field, "auth", ""},
		"with the password, both":            {as("verified").with(with(ca, "verified")), ok, "", "", ""},
		"with the password, wrong":           {as("verified").with(with(ca, "verified")).with(wrong), rejected, "password", "auth", ""},
		"with the password, of another user": {as("verified").with(with(ca, "app")), required, field, "auth", ""},
		"with the password, both wrong":      {as("verified").with(with(ca, "app")).with(wrong), rejected, "password", "auth", ""},
		"with MD5, both":                     {as("verified_md5").with(with(ca, "verified_md5")), ok, "", "", ""},
		"with MD5, wrong":                    {as("verified_md5").with(with(ca, "verified_md5")).with(wrong), rejected, "password", "auth", ""},
		"with MD5, of another user":          {as("verified_md5").with(with(ca, "app")), required, field, "auth", ""},
		"of another authority":               {as("verified").with(with(probetest.NewAuthority(t), "verified")), rejected, field, "auth", ""},
		"certificate without key":            {good.with(settings{field: ca.PEM}), probe.CodeAuthMethodUnsupported, "tls.client_key", "policy", ""},
		"certificate, sslmode disable":       {good.with(with(ca, "app")).with(settings{"sslmode": "disable"}), probe.CodeAuthMethodUnsupported, "sslmode", "policy", ""},
	} {
		t.Run(name, func(t *testing.T) { r.check(t) })
	}
	s.write(t, "data/pg_hba.conf", admitted)
	s.sql(t, "ALTER SYSTEM RESET ssl_ca_file")
	s.reload(t)
}
