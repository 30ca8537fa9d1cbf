package mysql_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// Parts of what servers say.
const (
	challenge = "abcdefghijklmnopqrst"
	plainCan  = 0x8_a205 // protocol 4.1, secure connection, plugins …
	tlsCan    = plainCan | 0x800
	ok        = "\x00\x00\x00\x02\x00\x00\x00"
	eof       = "\xfe\x00\x00\x02\x00"
)

func greet(version, plugin string, can uint32) string {
	low, high := binary.LittleEndian.AppendUint16(nil, uint16(can)), binary.LittleEndian.AppendUint16(nil, uint16(can>>16))
	return "\x0a" + version + "\x00\x01\x00\x00\x00" + challenge[:8] + "\x00" + string(low) + "\x2d\x02\x00" + string(high) + "\x15" + strings.Repeat("\x00", 10) + challenge[8:] + "\x00" + plugin + "\x00"
}

func failure(number uint16) string { return told(number, probetest.Foreign) }

// told is an error in a server's words.
func told(number uint16, words string) string {
	return "\xff" + string(binary.LittleEndian.AppendUint16(nil, number)) + "#HY000" + words
}

// null stands for NULL in a result.
const null = "\xfb"

// text is a result of one column and one row.
func text(value string) []string { return texts(value) }

// texts is a result of one row.
func texts(values ...string) []string {
	packets, row := []string{string(rune(len(values)))}, ""
	for _, v := range values {
		packets = append(packets, "\x03def\x00\x00\x00\x01x\x00\x0c\x2d\x00\x04\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
		if v != null {
			v = string(rune(len(v))) + v
		}
		row += v
	}
	return append(packets, eof, row, eof)
}

// rows are rows of one column.
func rows(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = "\xfc\xe8\x03" + strings.Repeat("1", 1000)
	}
	return list
}

// script is a server that says its steps one by one, each after the client
// said something; a step is the packets of one answer. What the client said is
// kept.
type script struct {
	hello string
	steps [][]string

	mu   sync.Mutex
	said []string
}

func (s *script) serve(_ context.Context, c net.Conn) {
	if send(c, 0, s.hello) != nil {
		return
	}
	for _, step := range s.steps {
		number, body, err := receive(c)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.said = append(s.said, body)
		s.mu.Unlock()
		if send(c, number+1, step...) != nil {
			return
		}
	}
	_, body, _ := receive(c)
	s.mu.Lock()
	s.said = append(s.said, body)
	s.mu.Unlock()
}

func send(c net.Conn, number byte, bodies ...string) error {
	var out []byte
	for _, body := range bodies {
		out = append(out, byte(len(body)), byte(len(body)>>8), byte(len(body)>>16), number)
		out = append(out, body...)
		number++
	}
	_, err := c.Write(out)
	return err
}

func receive(c net.Conn) (byte, string, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(c, header); err != nil {
		return 0, "", err
	}
	body := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	_, err := io.ReadFull(c, body)
	return header[3], string(body), err
}

// at are settings for a double.
func at(s *probetest.Server, more settings) settings {
	return settings{"host": "127.0.0.1", "port": s.Port, "username": "app", "password": secret, "database_name": "app"}.with(more)
}

// What a server may say by the protocol, in every order, and what follows.
func TestScripts(t *testing.T) {
	const (
		away     = probe.CodeTargetUnavailable
		mismatch = probe.CodeProtocolMismatch
		method   = probe.CodeAuthMethodUnsupported
		untested = probe.CodeSecretNotTested

		native     = "mysql_native_password"
		sha2plugin = "caching_sha2_password"
	)
	hello := greet("8.0.36", native, plainCan)
	me := text("app@%")
	for name, r := range map[string]struct {
		hello   string
		steps   [][]string
		want    probe.Code
		pointer string
		stage   string
		warns   string
	}{
		"a faithful one":               {hello, [][]string{{ok}, me, {ok}, text("1"), {failure(1142)}, {failure(1142)}}, probe.CodeOK, "", "", ""},
		"a faithful one, SUPER":        {hello, [][]string{{ok}, me, {ok}, text("1"), text("1"), {failure(1142)}}, probe.CodeOK, "", "", "OVER_PRIVILEGED username"},
		"too many":                     {failure(1040), nil, away, "", "protocol", ""},
		"blocked":                      {failure(1129), nil, probe.CodeHostBlocked, "", "protocol", ""},
		"not for this address":         {failure(1130), nil, probe.CodeSourceIPDenied, "", "protocol", ""},
		"refused before it greeted":    {failure(1045), nil, away, "", "protocol", ""},
		"expired before it greeted":    {failure(1862), nil, away, "", "protocol", ""},
		"an error without a number":    {"\xff", nil, mismatch, "host", "protocol", ""},
		"refused":                      {hello, [][]string{{failure(1045)}}, probe.CodeAuthRejected, "password", "auth", ""},
		"refused, TLS offered":         {greet("8.0.36", native, tlsCan), [][]string{{failure(1045)}}, method, "sslmode", "auth", ""},
		"expired":                      {hello, [][]string{{failure(1862)}}, probe.CodeAuthExpired, "password", "auth", ""},
		"expired, told at the query":   {hello, [][]string{{ok}, {failure(1820)}}, probe.CodeAuthExpired, "password", "auth", ""},
		"locked":                       {hello, [][]string{{failure(3118)}}, probe.CodeAuthLocked, "username", "auth", ""},
		"locked by failures":           {hello, [][]string{{failure(3955)}}, probe.CodeAuthLocked, "username", "auth", ""},
		"TLS demanded":                 {hello, [][]string{{failure(3159)}}, probe.CodeTLSRequired, "sslmode", "auth", ""},
		"old ways demanded":            {hello, [][]string{{failure(1251)}}, method, "username", "auth", ""},
		"plugin is not there":          {hello, [][]string{{failure(1524)}}, method, "username", "auth", ""},
		"too many of the account":      {hello, [][]string{{failure(1203)}}, away, "", "auth", ""},
		"too many an hour":             {hello, [][]string{{failure(1226)}}, probe.CodeRateLimited, "", "auth", ""},
		"shutting down":                {hello, [][]string{{failure(1053)}}, away, "", "auth", ""},
		"no prefix of the user name":   {hello, [][]string{{told(1105, "Missing user name prefix, or the prefix is not set correctly.")}}, untested, "username", "auth", ""},
		"no cluster of the name":       {hello, [][]string{{told(1105, "cluster 'app' not found")}}, untested, "host", "auth", ""},
		"no database at a proxy":       {hello, [][]string{{failure(1049)}}, untested, "database_name", "auth", ""},
		"no right to it at a proxy":    {hello, [][]string{{failure(1044)}}, untested, "database_name", "auth", ""},
		"no server behind a proxy":     {hello, [][]string{{ok}, {failure(9001)}}, away, "", "auth", ""},
		"an error of its own":          {hello, [][]string{{failure(9999)}}, away, "", "auth", ""},
		"clear text asked for":         {hello, [][]string{{"\xfemysql_clear_password\x00"}}, method, "username", "auth", ""},
		"a dialog asked for":           {hello, [][]string{{"\xfedialog\x00Password: "}}, method, "username", "auth", ""},
		"old password asked for":       {hello, [][]string{{"\xfe"}}, method, "username", "auth", ""},
		"asked twice":                  {hello, [][]string{{"\xfe" + native + "\x00" + challenge + "\x00"}, {"\xfe" + native + "\x00" + challenge + "\x00"}}, mismatch, "host", "protocol", ""},
		"let in without a look":        {hello, [][]string{{ok}, text("@")}, probe.CodeSecretNotTested, "", "auth", ""},
		"let in without a look, MySQL": {hello, [][]string{{ok}, text("skip-grants user@skip-grants host")}, probe.CodeSecretNotTested, "", "auth", ""},
		"let in under any name":        {hello, [][]string{{ok}, me, {ok}, text("1"), text("0"), {failure(1049)}, text("0")}, probe.CodeSecretNotTested, "username", "auth", ""},
		"under any name, no database":  {hello, [][]string{{ok}, me, {failure(1049)}, text("0"), {failure(1049)}, text("0")}, probe.CodeSecretNotTested, "username", "auth", ""},
		"refused behind a proxy":       {hello, [][]string{{ok}, {failure(1045)}}, away, "", "auth", ""},
		"refused behind at the query":  {hello, [][]string{{ok}, me, {ok}, {failure(1045)}}, away, "", "access", ""},
		"no look at a proof of SHA-2":  {greet("8.4.5", sha2plugin, plainCan), [][]string{{ok}, me, {ok}, text("1")}, untested, "password", "auth", ""},
		"the same, asked for":          {hello, [][]string{{"\xfe" + sha2plugin + "\x00" + challenge + "\x00"}, {ok}, me, {ok}, text("1")}, untested, "password", "auth", ""},
		"no key for a password":        {greet("8.4.5", "sha256_password", plainCan), [][]string{{ok}, me, {ok}, text("1")}, untested, "password", "auth", ""},
		"a look, then SHA-2, no look":  {greet("8.4.5", sha2plugin, plainCan), [][]string{{"\x01\x03", "\xfe" + sha2plugin + "\x00" + challenge + "\x00"}, {ok}, me, {ok}, text("1")}, mismatch, "host", "protocol", ""},
		"a look, then a refusal":       {greet("8.4.5", sha2plugin, plainCan), [][]string{{"\x01\x03", failure(1045)}}, probe.CodeAuthRejected, "password", "auth", ""},
		"SHA-2, then native asked for": {greet("8.4.5", sha2plugin, plainCan), [][]string{{"\xfe" + native + "\x00" + challenge + "\x00"}, {ok}, me, {ok}, text("1"), {failure(1142)}, {failure(1142)}}, probe.CodeOK, "", "", ""},
		"the password in its refusal":  {hello, [][]string{{"\xff\x15\x04#28000denied: " + secret}}, probe.CodeAuthRejected, "password", "auth", ""},
		"answers with NULL":            {hello, [][]string{{ok}, me, {ok}, texts(null)}, mismatch, "host", "protocol", ""},
		"fails behind its answer":      {hello, [][]string{{ok}, me, {ok}, append(text("1")[:4], failure(1317))}, away, "", "access", ""},
		"says not who signed in":       {hello, [][]string{{ok}, {ok}}, mismatch, "host", "protocol", ""},
		"no such database":             {hello, [][]string{{ok}, me, {failure(1049)}, {failure(1142)}, {failure(1142)}}, probe.CodeOK, "", "", "RESOURCE_NOT_FOUND database_name"},
		"database of others":           {hello, [][]string{{ok}, me, {failure(1044)}, {failure(1142)}, {failure(1142)}}, probe.CodeOK, "", "", "SCOPE_MISSING database_name"},
		"database offline":             {hello, [][]string{{ok}, me, {failure(3032)}}, away, "", "access", ""},
		"refuses the query":            {hello, [][]string{{ok}, me, {ok}, {failure(3024)}}, away, "", "access", ""},
		"answers with two rows":        {hello, [][]string{{ok}, me, {ok}, append(text("1")[:4], "\x011", eof)}, mismatch, "host", "protocol", ""},
		"says twice who signed in":     {hello, [][]string{{ok}, append(text("app@%")[:4], "\x05app@%", eof)}, mismatch, "host", "protocol", ""},
		"never ends its rows":          {hello, [][]string{{ok}, me, {ok}, append(text("1")[:4], rows(4000)...)}, mismatch, "host", "protocol", ""},
		"a row cut short":              {hello, [][]string{{ok}, me, {ok}, append(text("1")[:3], "\x091", eof)}, mismatch, "host", "protocol", ""},
		"columns without an end":       {hello, [][]string{{ok}, {"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"}}, mismatch, "host", "protocol", ""},
		"native proof, no challenge":   {hello, [][]string{{"\xfe" + native + "\x00"}}, mismatch, "host", "protocol", ""},
		"ed25519, no challenge":        {hello, [][]string{{"\xfeclient_ed25519\x00"}}, mismatch, "host", "protocol", ""},
		"says yes before it is asked":  {hello, [][]string{{ok, ok}, {failure(1045)}}, mismatch, "host", "protocol", ""},
		"answers with another text":    {hello, [][]string{{ok}, me, {ok}, text(probetest.Foreign)}, mismatch, "host", "protocol", ""},
		"closes after the sign-in":     {hello, nil, probe.CodeTCPReset, "", "auth", ""},
		"closes at the query":          {hello, [][]string{{ok}, me, {ok}}, probe.CodeTCPReset, "", "access", ""},
		"an error cut short":           {hello, [][]string{{"\xff\x15"}}, mismatch, "host", "protocol", ""},
		"an error cut shorter":         {hello, [][]string{{"\xff\x15\x04"}}, mismatch, "host", "protocol", ""},
		"a proof cut short":            {hello, [][]string{{"\xfe" + native + "\x00abc"}}, mismatch, "host", "protocol", ""},
		"a key that is none":           {greet("8.0.36", "caching_sha2_password", plainCan), [][]string{{"\x01\x04"}, {"\x01" + probetest.Foreign}}, mismatch, "host", "protocol", ""},
		"a greeting of protocol 9":     {"\x09" + hello[1:], nil, mismatch, "host", "protocol", ""},
		"a greeting cut short":         {hello[:50], nil, mismatch, "host", "protocol", ""},
		"a greeting of before 4.1":     {greet("3.23.58", "", 0x2000), nil, mismatch, "host", "protocol", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			double := &script{hello: r.hello, steps: r.steps}
			s := probetest.Serve(t, double.serve)
			row{at(s, settings{"sslmode": "disable"}), r.want, r.pointer, r.stage, r.warns}.check(t)
			if n := s.Accepted.Load(); n != 1 {
				t.Errorf("%d connections for one sign-in", n)
			}
			double.mu.Lock()
			defer double.mu.Unlock()
			if strings.Contains(strings.Join(double.said, ""), secret) {
				t.Error("the password was sent as it is")
			}
		})
	}
}

// A challenge of ed25519 may end in a zero byte, which the driver takes for its
// end: then the sign-in is begun once more, and only then.
func TestChallengeThatIsMisread(t *testing.T) {
	good, cut := strings.Repeat("x", 32), strings.Repeat("x", 31)+"\x00"
	for name, r := range map[string]struct {
		version    string
		challenges []string
		want       probe.Code
		accepted   int64
	}{
		"read":                {"5.5.5-10.11.6-MariaDB", []string{good}, probe.CodeAuthRejected, 1},
		"misread once":        {"5.5.5-10.11.6-MariaDB", []string{cut, good}, probe.CodeAuthRejected, 2},
		"misread twice":       {"11.4.2-MariaDB", []string{cut, cut}, probe.CodeProtocolMismatch, 2},
		"misread, no MariaDB": {"8.0.36", []string{cut}, probe.CodeProtocolMismatch, 1},
	} {
		var turn atomic.Int64
		s := probetest.Serve(t, func(ctx context.Context, c net.Conn) {
			challenge := r.challenges[min(int(turn.Add(1)), len(r.challenges))-1]
			double := script{hello: greet(r.version, "mysql_native_password", plainCan), steps: [][]string{{"\xfeclient_ed25519\x00" + challenge}, {failure(1045)}}}
			double.serve(ctx, c)
		})
		got := runWithin(t, time.Second, at(s, settings{"sslmode": "disable"}))
		if got.Code != r.want || s.Accepted.Load() != r.accepted {
			t.Errorf("%s: %s after %d connections, want %s after %d: %+v", name, got.Code, s.Accepted.Load(), r.want, r.accepted, got.Stages)
		}
	}
}

// A server asks for a file of this machine, at each place where it may.
func TestLocalInfileGetsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	const content = "canary-file-71aa"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	hello, ask := greet("8.0.36", "mysql_native_password", plainCan|0x80), []string{"\xfb" + file}
	for name, steps := range map[string][][]string{
		"who":      {{ok}, ask, {ok}, {ok}},
		"use":      {{ok}, text("app@%"), ask, {ok}, {ok}},
		"select 1": {{ok}, text("app@%"), {ok}, ask, {ok}, {ok}},
		"facts":    {{ok}, text("app@%"), {ok}, text("1"), ask, {ok}, {ok}},
	} {
		double := &script{hello: hello, steps: steps}
		s := probetest.Serve(t, double.serve)
		got := runWithin(t, time.Second, at(s, settings{"sslmode": "disable"}))
		if want := map[bool]probe.Code{true: probe.CodeOK, false: probe.CodeProtocolMismatch}[name == "facts"]; got.Code != want {
			t.Errorf("%s: %s, want %s", name, got.Code, want)
		}
		double.mu.Lock()
		if strings.Contains(strings.Join(double.said, ""), content) || len(double.said) < 2 {
			t.Errorf("%s: of %d messages one held the file", name, len(double.said))
		}
		double.mu.Unlock()
	}
}

// Servers that misbehave below the protocol.
func TestMisbehaviour(t *testing.T) {
	const (
		timeout  = probe.CodeProbeTimeout
		mismatch = probe.CodeProtocolMismatch
		reset    = probe.CodeTCPReset
	)
	accept := func(then func(context.Context, net.Conn)) func(context.Context, net.Conn) {
		return func(ctx context.Context, c net.Conn) {
			_ = send(c, 0, greet("8.0.36", "mysql_native_password", tlsCan))
			if _, _, err := receive(c); err == nil { // asks for TLS
				then(ctx, c)
			}
		}
	}
	config := &tls.Config{Certificates: []tls.Certificate{probetest.NewAuthority(t).Issue(t, probetest.Leaf{})}}
	secure := func(then func(context.Context, net.Conn)) func(context.Context, net.Conn) {
		return accept(func(ctx context.Context, c net.Conn) {
			if c := tls.Server(c, config); c.HandshakeContext(ctx) == nil {
				if _, _, err := receive(c); err == nil { // the sign-in
					then(ctx, c)
				}
				_ = c.Close()
			}
		})
	}
	for name, r := range map[string]struct {
		serve func(context.Context, net.Conn)
		want  probe.Code
		stage string // that fails
	}{
		"hangs":                {probetest.Hang, timeout, "protocol"},
		"closes at once":       {probetest.CloseAtOnce, reset, "protocol"},
		"drips":                {probetest.Drip("\x4a\x00\x00\x00\x0a" + probetest.Foreign), timeout, "protocol"},
		"never ends":           {probetest.Endless("\x4a\x00\x00\x00", "x"), mismatch, "protocol"},
		"SSH":                  {probetest.Banner("SSH-2.0-" + probetest.Foreign + "\r\n"), mismatch, "protocol"},
		"HTTP":                 {probetest.Banner("HTTP/1.1 400 " + probetest.Foreign + "\r\n\r\n"), mismatch, "protocol"},
		"waits for a line":     {waitingLine, mismatch, "protocol"},
		"waits for PostgreSQL": {postgres, mismatch, "protocol"},
		"waits for TLS":        {waitingTLS, mismatch, "protocol"},
		"TLS from the start":   {probetest.Banner("\x15\x03\x01\x00\x02\x02\x28"), mismatch, "protocol"},
		"a length of nothing":  {probetest.Banner("\x00\x00\x00\x00"), mismatch, "protocol"},
		"TLS never finishes":   {accept(probetest.Hang), timeout, "tls"},
		"TLS drips":            {accept(probetest.Drip("\x16\x03\x03\x40\x00")), timeout, "tls"},
		"TLS is none":          {accept(probetest.Banner(probetest.Foreign)), mismatch, "tls"},
		"TLS closed at once":   {accept(probetest.CloseAtOnce), reset, "tls"},
		"TLS refused":          {accept(probetest.Banner("\x15\x03\x01\x00\x02\x02\x28")), probe.CodeTLSUnsupported, "tls"},
		"TLS, then closes":     {secure(probetest.CloseAtOnce), reset, "auth"},
		"TLS, then hangs":      {secure(probetest.Hang), timeout, "auth"},
		"TLS, then never ends": {secure(probetest.Endless("\xff\xff\xff\x03", "x")), mismatch, "protocol"},
		"TLS, then drips":      {secure(probetest.Drip("\x4a\x00\x00\x03\x00")), timeout, "auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, r.serve)
			budget := time.Second
			if name == "hangs" || strings.HasPrefix(name, "waits") {
				budget = probe.Budget
			}
			got := runWithin(t, budget, at(s, settings{"sslmode": "require"}))
			if got.Code != r.want || probetest.Stage(got, r.stage).Outcome != probe.StageFailed {
				t.Errorf("got %s, want %s in %s: %s %+v", got.Code, r.want, r.stage, got.Message, got.Stages)
			}
			asked := int64(1) // and once more, what kind of server it is
			if r.stage == "protocol" {
				asked = 2
			}
			if n := s.Accepted.Load(); n > asked {
				t.Errorf("%d connections for one sign-in", n)
			}
		})
	}
}

// Servers of other kinds, which wait for their client to speak first.

func waitingLine(_ context.Context, c net.Conn) {
	if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && line != "" {
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	}
}

func waitingTLS(_ context.Context, c net.Conn) {
	if _, err := io.ReadFull(c, make([]byte, 5)); err == nil {
		_, _ = io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x46")
	}
}

func postgres(_ context.Context, c net.Conn) {
	if _, err := io.ReadFull(c, make([]byte, 8)); err == nil {
		_, _ = io.WriteString(c, "S")
	}
}

// A server without TLS is told nothing of the credential, and the handshake is
// finished all the same, as nobody: one that breaks off counts against our
// address.
func TestLeavesAsNobody(t *testing.T) {
	for name, answers := range map[string][][]string{
		"refuses":             {{failure(1045)}},
		"asks again":          {{"\xfemysql_native_password\x00" + challenge + "\x00"}, {failure(1045)}},
		"lets in":             {{ok}},
		"asks without an end": {{"\xfex\x00"}, {"\xfex\x00"}, {"\xfex\x00"}, {"\xfex\x00"}},
	} {
		t.Run(name, func(t *testing.T) {
			double := &script{hello: greet("8.0.36", "mysql_native_password", plainCan), steps: answers}
			s := probetest.Serve(t, double.serve)
			row{at(s, nil), probe.CodeTLSUnsupported, "sslmode", "tls", ""}.check(t)
			double.mu.Lock()
			defer double.mu.Unlock()
			said := strings.Join(double.said, "")
			if len(double.said) == 0 || len(double.said[0]) < 34 || double.said[0][32:34] != "\x00\x00" {
				t.Fatalf("the handshake was not finished as nobody: %d messages", len(double.said))
			}
			if strings.Contains(said, "app") || strings.Contains(said, secret) || len(said) > 128 {
				t.Error("something of the credential was sent")
			}
		})
	}
}

// The text of a fact is a number, whatever the server says.
func TestVersions(t *testing.T) {
	for words, want := range map[string]string{
		"8.0.36": "8.0.36", "5.5.5-10.11.14-MariaDB-0+deb12u2": "10.11.14", "11.8.2-MariaDB": "11.8.2", "5.7.44-log": "5.7.44",
		probetest.Foreign: "", "8." + probetest.Foreign: "8", "": "",
	} {
		steps := [][]string{{ok}, text("app@%"), {ok}, text("1"), {failure(1142)}, {failure(1142)}}
		s := probetest.Serve(t, (&script{hello: greet(words, "mysql_native_password", plainCan), steps: steps}).serve)
		got := run(t, at(s, settings{"sslmode": "disable"}))
		if got.Code != probe.CodeOK || got.Facts["server_version"] != want {
			t.Errorf("%s, version %q, want %q", got.Code, got.Facts["server_version"], want)
		}
	}
}

// When a password ends, as each server tells it: MySQL and MariaDB to who may
// read the system's tables, MariaDB from 11.5 on to everybody.
func TestWhenPasswordsEnd(t *testing.T) {
	const (
		mysql   = "8.4.5"
		mariaDB = "5.5.5-11.8.2-MariaDB"
		end     = "2027-01-15T08:00:00Z" // 1800000000
	)
	denied := []string{failure(1142)}
	for name, r := range map[string]struct {
		version string
		answers [][]string // to what is asked behind SUPER
		want    string
	}{
		"MySQL, days of its own":           {mysql, [][]string{texts("1792224000.000000", "90", "0")}, end},
		"MySQL, whole seconds":             {mysql, [][]string{texts("1792224000", "90", "0")}, end},
		"MySQL, the usual days":            {mysql, [][]string{texts("1792224000", null, "90")}, end},
		"MySQL, never":                     {mysql, [][]string{texts("1792224000", "0", "90")}, ""},
		"MySQL, never by default":          {mysql, [][]string{texts("1792224000", null, "0")}, ""},
		"MySQL, never set":                 {mysql, [][]string{texts(null, "90", "90")}, ""},
		"MySQL, years of a calendar ended": {mysql, [][]string{texts("999999999999999", "90", "0")}, ""},
		"MySQL, may not read":              {mysql, [][]string{denied}, ""},
		"MariaDB, may read":                {mariaDB, [][]string{texts("1792224000", "90", "0")}, end},
		"MariaDB, no days":                 {mariaDB, [][]string{texts("1792224000", "-1", "0")}, ""},
		"MariaDB 11.5, may not read":       {mariaDB, [][]string{denied, text("1800000000.000000")}, end},
		"MariaDB 11.5, never":              {mariaDB, [][]string{denied, text("0.000000")}, ""},
		"MariaDB 11.5, none":               {mariaDB, [][]string{denied, texts(null)}, ""},
		"MariaDB 10.11, may not read":      {mariaDB, [][]string{denied, {failure(1109)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			steps := append([][]string{{ok}, text("app@%"), {ok}, text("1"), denied}, r.answers...)
			double := &script{hello: greet(r.version, "mysql_native_password", plainCan), steps: steps}
			got := run(t, at(probetest.Serve(t, double.serve), settings{"sslmode": "disable"}))
			if got.Code != probe.CodeOK || got.Facts[probe.FactExpires] != r.want {
				t.Errorf("%s, facts %v, want the end %q", got.Code, got.Facts, r.want)
			}
			double.mu.Lock()
			defer double.mu.Unlock()
			if len(double.said) < len(steps) {
				t.Errorf("%d of %d questions were asked", len(double.said), len(steps))
			}
		})
	}
}
