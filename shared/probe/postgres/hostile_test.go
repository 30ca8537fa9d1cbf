package postgres_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// script is a server that speaks the protocol by a script: after the startup
// message it sends, and after each message that arrives, it sends the next.
type script [][]pgproto3.BackendMessage

func (steps script) serve(_ context.Context, c net.Conn) {
	b := pgproto3.NewBackend(c, c)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	for _, step := range steps {
		ends := false
		for _, m := range step {
			ends = m == hangUp
			if e, ok := m.(*pgproto3.ErrorResponse); ok {
				e.Severity, e.Message = "FATAL", probetest.Foreign
			}
			b.Send(m)
		}
		if b.Flush() != nil || ends {
			return
		}
		var header [5]byte // the driver's answer, whatever it is
		if _, err := io.ReadFull(c, header[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(header[1:]))-4); err != nil {
			return
		}
	}
}

// endless says the first messages, then the last over and over, past what a
// probe reads.
func endless(first, last pgproto3.BackendMessage) []pgproto3.BackendMessage {
	return append(say(first), slices.Repeat(say(last), 2000)...)
}

func say(messages ...pgproto3.BackendMessage) []pgproto3.BackendMessage { return messages }

func failure(code string) *pgproto3.ErrorResponse { return &pgproto3.ErrorResponse{Code: code} }

// hangUp at the end of a step closes the connection after it.
const hangUp = raw("")

// raw is a message of any bytes.
type raw string

func (raw) Backend()                            {}
func (raw) Decode([]byte) error                 { return nil }
func (r raw) Encode(dst []byte) ([]byte, error) { return append(dst, r...), nil }
func message(kind byte, length int, body string) raw {
	return raw(string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(length))) + body)
}

// pooler is an error as PgBouncer words it, under the one code that it has.
func pooler(words string) raw { return told("08P01", words) }

// told is an error in a server's words.
func told(code, words string) raw {
	body := "SFATAL\x00C" + code + "\x00M" + words + "\x00\x00"
	return message('E', 4+len(body), body)
}

// What a server may say by the protocol, in every order, and what follows.
func TestScripts(t *testing.T) {
	var (
		clear = say(&pgproto3.AuthenticationCleartextPassword{})
		md5   = say(&pgproto3.AuthenticationMD5Password{})
		scram = say(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
		ok    = &pgproto3.AuthenticationOk{}
		ready = &pgproto3.ReadyForQuery{TxStatus: 'I'}
		done  = &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
		shape = &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("x")}}}
		value = func(text string) *pgproto3.DataRow { return &pgproto3.DataRow{Values: [][]byte{[]byte(text)}} }
	)
	const (
		away     = probe.CodeTargetUnavailable
		mismatch = probe.CodeProtocolMismatch
		untested = probe.CodeSecretNotTested
		method   = probe.CodeAuthMethodUnsupported
	)
	for name, r := range map[string]struct {
		script  script
		want    probe.Code
		pointer string
		stage   string
		warns   string
	}{
		"a faithful one":                      {script{clear, say(ok, ready), say(shape, value("1"), done, ready)}, probe.CodeOK, "", "", ""},
		"no such database, md5":               {script{md5, say(ok, failure("3D000"))}, probe.CodeOK, "", "", "RESOURCE_NOT_FOUND database_name"},
		"refused in the code of old servers":  {script{md5, say(failure("28000"))}, probe.CodeAuthRejected, "password", "auth", ""},
		"refused by what is behind":           {script{clear, say(failure("28000"))}, probe.CodeAuthLocked, "username", "auth", ""},
		"refused unasked":                     {script{say(failure("28P01"))}, away, "", "auth", ""},
		"refused before the proof":            {script{scram, say(failure("28P01"))}, away, "", "auth", ""},
		"refused by a pooler's own sign-in":   {script{clear, say(ok, failure("28P01"))}, away, "", "access", ""},
		"no such database, unasked":           {script{say(failure("3D000"))}, untested, "database_name", "auth", ""},
		"no right, unasked":                   {script{say(failure("42501"))}, away, "", "auth", ""},
		"starting up":                         {script{say(failure("57P03"))}, away, "", "auth", ""},
		"shutting down":                       {script{clear, say(ok, failure("57P01"))}, away, "", "access", ""},
		"too many":                            {script{say(failure("53300"))}, away, "", "auth", ""},
		"too many, signed in":                 {script{clear, say(ok, failure("53300"))}, away, "", "access", ""},
		"an error without a code":             {script{say(failure(""))}, away, "", "auth", ""},
		"asks for nothing":                    {script{say(ok, ready)}, untested, "password", "auth", ""},
		"asks for nothing, then denies":       {script{say(ok, failure("3D000"))}, untested, "password", "auth", ""},
		"ready without a sign-in":             {script{say(ready)}, mismatch, "host", "protocol", ""},
		"signed in before the proof":          {script{scram, say(ok, ready)}, untested, "password", "auth", ""},
		"signed in without the server's":      {script{scram, say(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=x,s=eA==,i=1")}), say(ok, ready)}, mismatch, "host", "protocol", ""},
		"Kerberos":                            {script{say(message('R', 8, "\x00\x00\x00\x02"))}, method, "username", "auth", ""},
		"GSSAPI":                              {script{say(&pgproto3.AuthenticationGSS{})}, method, "username", "auth", ""},
		"SASL of another kind":                {script{say(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"OAUTHBEARER"}})}, method, "username", "auth", ""},
		"SCRAM of ten million rounds":         {script{scram, say(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=x,s=eA==,i=10000000")})}, probe.CodeAuthWorkLimit, "host", "auth", ""},
		"a length that is none":               {script{say(message('R', 3, ""))}, mismatch, "host", "protocol", ""},
		"a length beyond reason":              {script{say(message('R', 1<<30, ""))}, mismatch, "host", "protocol", ""},
		"a length beyond reason, signed in":   {script{clear, say(ok, message('S', 1<<30, ""))}, mismatch, "host", "protocol", ""},
		"a row before the sign-in":            {script{say(value("1"))}, mismatch, "host", "protocol", ""},
		"closes after it asked":               {script{clear}, probe.CodeTCPReset, "", "auth", ""},
		"closes when it signed in":            {script{clear, say(ok, hangUp)}, probe.CodeTCPReset, "", "auth", ""},
		"closes at the query":                 {script{clear, say(ok, ready)}, probe.CodeTCPReset, "", "access", ""},
		"answers the query with another text": {script{clear, say(ok, ready), say(shape, value(probetest.Foreign), done, ready)}, mismatch, "host", "protocol", ""},
		"answers the query with nothing":      {script{clear, say(ok, ready), say(done, ready)}, mismatch, "host", "protocol", ""},
		"answers the query with two rows":     {script{clear, say(ok, ready), say(shape, value("1"), value("1"), done, ready)}, mismatch, "host", "protocol", ""},
		"never ends its rows":                 {script{clear, say(ok, ready), endless(shape, value(strings.Repeat("1", 1000)))}, mismatch, "host", "protocol", ""},
		"signed in, then asks again":          {script{say(ok, &pgproto3.AuthenticationCleartextPassword{}), say(ready), say(shape, value("1"), done, ready)}, untested, "password", "auth", ""},
		"SCRAM of no rounds":                  {script{scram, say(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=x,s=eA==,i=0")})}, mismatch, "host", "protocol", ""},
		"SCRAM of negative rounds":            {script{scram, say(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=x,s=eA==,i=-1")})}, mismatch, "host", "protocol", ""},
		"SCRAM, then clear text":              {script{scram, clear, say(ok, ready), say(shape, value("1"), done, ready)}, mismatch, "host", "protocol", ""},
		"an MD5 challenge cut short":          {script{say(message('R', 10, "\x00\x00\x00\x05ab"))}, mismatch, "host", "protocol", ""},
		"answers the query with NULL":         {script{clear, say(ok, ready), say(shape, &pgproto3.DataRow{Values: [][]byte{nil}}, done, ready)}, mismatch, "host", "protocol", ""},
		"answers the query twice":             {script{clear, say(ok, ready), say(shape, value("1"), done, shape, value("1"), done, ready)}, mismatch, "host", "protocol", ""},
		"answers the query, then fails it":    {script{clear, say(ok, ready), say(shape, value("1"), failure("XX000"), ready)}, away, "", "access", ""},
		"an older version, notices, statuses": {script{say(message('v', 12, "\x00\x03\x00\x00\x00\x00\x00\x00"), clear[0]), say(&pgproto3.NoticeResponse{Message: secret}, ok, &pgproto3.ParameterStatus{Name: "x", Value: secret}, ready), say(shape, value("1"), done, ready)}, probe.CodeOK, "", "", ""},
		"statuses without an end":             {script{clear, endless(ok, &pgproto3.ParameterStatus{Name: "x", Value: strings.Repeat("x", 1000)})}, mismatch, "host", "protocol", ""},
		"the digest of Redshift":              {script{say(message('R', 12, "\x00\x00\x00\x0dsalt"))}, method, "username", "auth", ""},
		"a pooler refuses":                    {script{md5, say(pooler("password authentication failed"))}, probe.CodeAuthRejected, "password", "auth", ""},
		"a pooler's server refuses":           {script{md5, say(pooler("password authentication failed for user \"app\""))}, away, "", "auth", ""},
		"an error behind the password":        {script{md5, say(failure("XX000"))}, away, "", "auth", ""},
		"a pooler refuses unasked":            {script{say(pooler("password authentication failed"))}, away, "", "auth", ""},
		"a pooler knows no such database":     {script{md5, say(pooler("no such database: app"))}, untested, "database_name", "auth", ""},
		"a pooler admits nobody from here":    {script{say(pooler("login rejected"))}, probe.CodeSourceIPDenied, "sslmode", "auth", ""},
		"a pooler wants TLS":                  {script{say(pooler("SSL required"))}, probe.CodeTLSRequired, "sslmode", "auth", ""},
		"a pooler is full":                    {script{say(pooler("no more connections allowed (max_client_conn)"))}, away, "", "auth", ""},
		"a pooler's server, at the query":     {script{clear, say(ok, ready), say(failure("28P01"), ready)}, away, "", "access", ""},
		"a pooler's own login behind it, md5": {script{md5, say(told("28P01", "server login has been failing, cached error: password authentication failed for user \"app\" (server_login_retry)"))}, away, "", "auth", ""},
		"a pooler's own login, at the query":  {script{clear, say(ok, ready), say(pooler("server login failed: FATAL password"), ready)}, away, "", "access", ""},
		"no tenant or user":                   {script{say(told("XX000", "Tenant or user not found"))}, untested, "username", "auth", ""},
		"no tenant of a longer name":          {script{say(told("XX000", "(ENOTFOUND) tenant/user postgres.abc not found"))}, untested, "username", "auth", ""},
		"no pool for the user":                {script{say(told("58000", "No pool configured for database: \"app\", user: \"app\""))}, untested, "username", "auth", ""},
		"no credentials for the role":         {script{say(told("28000", "This RDS proxy has no credentials for the role app. Check the credentials for this role and try again."))}, untested, "username", "auth", ""},
		"no role, unasked":                    {script{say(told("28000", "role \"app\" does not exist"))}, untested, "username", "auth", ""},
		"no endpoint of the name":             {script{say(told("XX000", "The requested endpoint could not be found, or you don't have access to it. Please check the provided ID and try again."))}, untested, "host", "auth", ""},
		"no cluster named":                    {script{say(told("08004", "codeParamsRoutingFailed: missing cluster identifier"))}, untested, "host", "auth", ""},
		"an internal error, unasked":          {script{say(told("XX000", "Max client connections reached"))}, away, "", "auth", ""},
		"no line of pg_hba.conf for a user":   {script{say(told("28000", "no pg_hba.conf entry for host \"1.2.3.4\", user \"unknown\", database \"app\", no encryption"))}, probe.CodeSourceIPDenied, "sslmode", "auth", ""},
		"a certificate, without TLS":          {script{say(told("28000", "connection requires a valid client certificate"))}, probe.CodeClientCertificate, "tls.client_certificate", "auth", ""},
		"a certificate for a pooler":          {script{say(pooler("certificate authentication failed"))}, probe.CodeClientCertificate, "tls.client_certificate", "auth", ""},
		"refuses the query":                   {script{clear, say(ok, ready), say(failure("57014"), ready)}, away, "", "access", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, r.script.serve)
			row{at(s, settings{"sslmode": "disable"}), r.want, r.pointer, r.stage, r.warns}.check(t)
			if n := s.Accepted.Load(); n != 1 {
				t.Errorf("%d connections for one sign-in", n)
			}
		})
	}
}

// at are settings for a double.
func at(s *probetest.Server, more settings) settings {
	return settings{"host": "127.0.0.1", "port": s.Port, "username": "app", "password": secret, "database_name": "app"}.with(more)
}

// Servers that misbehave below the protocol, towards both ways to connect.
func TestMisbehaviour(t *testing.T) {
	const (
		timeout  = probe.CodeProbeTimeout
		mismatch = probe.CodeProtocolMismatch
		reset    = probe.CodeTCPReset
	)
	ssh, http, mysql := "SSH-2.0-"+probetest.Foreign+"\r\n", "HTTP/1.1 400 "+probetest.Foreign+"\r\n\r\n", "J\x00\x00\x00\x0a8.0.36\x00"+strings.Repeat("x", 60)
	accept := func(then func(context.Context, net.Conn)) func(context.Context, net.Conn) {
		return func(ctx context.Context, c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 8))
			_, _ = io.WriteString(c, "S")
			then(ctx, c)
		}
	}
	for name, r := range map[string]struct {
		serve         func(context.Context, net.Conn)
		secure, plain probe.Code
		at            string // the stage that fails with TLS
	}{
		"hangs":                 {probetest.Hang, timeout, timeout, "protocol"},
		"closes at once":        {probetest.CloseAtOnce, reset, reset, "protocol"},
		"an error, no TLS":      {probetest.Banner("E" + probetest.Foreign + "\n\x00"), probe.CodeTargetUnavailable, mismatch, "protocol"},
		"drips":                 {probetest.Drip("R\x00\x00\x00\x40" + probetest.Foreign), mismatch, timeout, "protocol"},
		"never ends":            {probetest.Endless("N", "N\x00\x00\x00\x05\x00"), probe.CodeTLSUnsupported, mismatch, "tls"},
		"SSH":                   {probetest.Banner(ssh), mismatch, mismatch, "tls"},
		"HTTP":                  {probetest.Banner(http), mismatch, mismatch, "protocol"},
		"MySQL":                 {probetest.Banner(mysql), mismatch, mismatch, "protocol"},
		"TLS never finishes":    {accept(probetest.Hang), timeout, timeout, "tls"},
		"TLS drips":             {accept(probetest.Drip("\x16\x03\x03\x40\x00")), timeout, mismatch, "tls"},
		"TLS is none":           {accept(probetest.Banner(probetest.Foreign)), mismatch, mismatch, "tls"},
		"TLS closed at once":    {accept(probetest.CloseAtOnce), reset, reset, "tls"},
		"more behind the S":     {accept(probetest.Banner("R\x00\x00\x00\x08\x00\x00\x00\x00")), mismatch, mismatch, "tls"},
		"TLS, then closes":      {overTLS(t, probetest.CloseAtOnce), reset, reset, "protocol"},
		"TLS, then hangs":       {overTLS(t, probetest.Hang), timeout, reset, "protocol"},
		"TLS, then HTTP":        {overTLS(t, probetest.Banner(http)), mismatch, reset, "protocol"},
		"TLS, then never ends":  {overTLS(t, probetest.Endless("", "N\x00\x00\x00\x05\x00")), mismatch, reset, "protocol"},
		"waits for a line":      {silent, mismatch, mismatch, "protocol"},
		"TLS, then asks for it": {overTLS(t, script{say(failure("28P01"))}.serve), probe.CodeTargetUnavailable, reset, "auth"},
	} {
		for mode, want := range map[string]probe.Code{"require": r.secure, "disable": r.plain} {
			t.Run(fmt.Sprintf("%s, %s", name, mode), func(t *testing.T) {
				t.Parallel()
				s := probetest.Serve(t, r.serve)
				budget := time.Second
				if name == "hangs" || name == "waits for a line" || strings.HasSuffix(name, "never ends") { // what ends at the limit takes what it takes
					budget = probe.Budget
				}
				got := runWithin(t, budget, at(s, settings{"sslmode": mode}))
				if got.Code != want {
					t.Errorf("got %s, want %s: %s", got.Code, want, got.Message)
				}
				if mode == "require" && probetest.Stage(got, r.at).Outcome != probe.StageFailed {
					t.Errorf("the stage %s did not fail: %+v", r.at, got.Stages)
				}
				asked := int64(1) // and once more, what kind of server it is
				if name == "hangs" || name == "waits for a line" || strings.Contains(name, "drips") {
					asked = 2
				}
				if n := s.Accepted.Load(); n > asked {
					t.Errorf("%d connections for one sign-in", n)
				}
			})
		}
	}
}

// silent is an HTTP server that says nothing before a line is whole.
func silent(_ context.Context, c net.Conn) {
	if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && line != "" {
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	}
}

// A server of another kind that waits for its client is told at once from one
// that is slow.
func TestSilence(t *testing.T) {
	for name, r := range map[string]struct {
		serve func(context.Context, net.Conn)
		want  probe.Code
		most  time.Duration
	}{
		"HTTP": {silent, probe.CodeProtocolMismatch, 3 * time.Second},
		"slow": {func(_ context.Context, c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 8))
			time.Sleep(1500 * time.Millisecond)
			_, _ = io.WriteString(c, "N")
		}, probe.CodeTLSUnsupported, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got := run(t, at(probetest.Serve(t, r.serve), nil))
			if took := time.Since(began); got.Code != r.want || took > r.most {
				t.Errorf("%s after %v, want %s within %v", got.Code, took, r.want, r.most)
			}
		})
	}
}

// What a server says of itself is a number, or it is not told.
func TestVersions(t *testing.T) {
	for words, want := range map[string]string{
		"15.14 (Debian 15.14-0+deb12u1)": "15.14", "18beta1": "18", secret: "", "4711": "", "47.11 " + secret: "47.11", "": "",
	} {
		s := probetest.Serve(t, script{
			say(&pgproto3.AuthenticationCleartextPassword{}),
			say(&pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "server_version", Value: words}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
			say(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("x")}}}, &pgproto3.DataRow{Values: [][]byte{[]byte("1")}}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
		}.serve)
		got := row{at(s, settings{"sslmode": "disable"}), probe.CodeOK, "", "", ""}.check(t)
		if got.Facts["server_version"] != want {
			t.Errorf("version %q, want %q", got.Facts["server_version"], want)
		}
	}
}

// overTLS serves a connection once it is encrypted.
func overTLS(t *testing.T, serve func(context.Context, net.Conn)) func(context.Context, net.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{probetest.NewAuthority(t).Issue(t, probetest.Leaf{})}}
	return func(ctx context.Context, c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, 8)); err != nil {
			return
		}
		_, _ = io.WriteString(c, "S")
		secured := tls.Server(c, config)
		if secured.HandshakeContext(ctx) == nil {
			serve(ctx, secured)
			_ = secured.Close()
		}
	}
}

// The first thing that a server is told is that TLS is wanted; without it,
// nothing else.
func TestNothingBeforeTLS(t *testing.T) {
	s := probetest.Serve(t, func(ctx context.Context, c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 8))
		_, _ = io.WriteString(c, "N")
		probetest.Hang(ctx, c)
	})
	for _, mode := range []string{"verify-full", "verify-ca", "require"} {
		row{at(s, settings{"sslmode": mode}), probe.CodeTLSUnsupported, "sslmode", "tls", ""}.check(t)
	}
	if n := s.Read.Load(); n != 3*8 {
		t.Errorf("%d bytes were sent in three requests for TLS of 8 each", n)
	}
}

// The server is told user and database and nothing else, whatever the
// environment holds.
func TestStartupSaysNoMore(t *testing.T) {
	t.Setenv("PGAPPNAME", "canary-application")
	t.Setenv("PGOPTIONS", "-c canary=1")
	t.Setenv("PGTZ", "canary-zone")
	told := make(chan map[string]string, 1)
	s := probetest.Serve(t, func(_ context.Context, c net.Conn) {
		if m, err := pgproto3.NewBackend(c, c).ReceiveStartupMessage(); err == nil {
			if m, ok := m.(*pgproto3.StartupMessage); ok {
				told <- m.Parameters
			}
		}
	})
	row{at(s, settings{"sslmode": "disable"}), probe.CodeTCPReset, "port", "protocol", ""}.check(t)
	if got := <-told; len(got) != 2 || got["user"] != "app" || got["database"] != "app" {
		t.Errorf("the server was told %d parameters", len(got))
	}
}
