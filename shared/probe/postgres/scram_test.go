package postgres_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// scram is a server that signs in with SCRAM-SHA-256 (RFC 5802 and 7677) and
// knows the password or does not, and that may say something else than is due.
type scram struct {
	password string
	nonce    string                    // in place of the client's
	rounds   int                       // 0 = 4096
	final    string                    // in place of the last message of SCRAM
	after    []pgproto3.BackendMessage // in place of what follows it
}

func (s scram) serve(_ context.Context, c net.Conn) {
	b := pgproto3.NewBackend(c, c)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	initial, ok := ask(b, pgproto3.AuthTypeSASL, &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}).(*pgproto3.SASLInitialResponse)
	if !ok {
		return
	}
	bare := strings.TrimPrefix(string(initial.Data), "n,,")
	_, nonce, _ := strings.Cut(bare, "r=")
	if s.nonce != "" {
		nonce = s.nonce
	}
	first := "r=" + nonce + "more,s=" + base64.StdEncoding.EncodeToString([]byte("salt")) + ",i=" + strconv.Itoa(s.iterations())
	answer, ok := ask(b, pgproto3.AuthTypeSASLContinue, &pgproto3.AuthenticationSASLContinue{Data: []byte(first)}).(*pgproto3.SASLResponse)
	if !ok {
		return
	}
	without, proof, _ := strings.Cut(string(answer.Data), ",p=")
	want, signature := s.verify(bare + "," + first + "," + without)
	if s.final != "" {
		signature = s.final
	}
	end := append(say(&pgproto3.AuthenticationSASLFinal{Data: []byte(signature)}), s.after...)
	switch {
	case s.after == nil && s.final == "" && proof != want:
		end = say(failure("28P01"))
	case s.after == nil:
		end = append(end, &pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	case s.final == "none":
		end = s.after
	}
	for _, m := range end {
		b.Send(m)
	}
	for b.Flush() == nil {
		if q, err := b.Receive(); err != nil || q == nil {
			return
		}
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("x")}}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("1")}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
}

// ask sends a challenge and gives what comes back.
func ask(b *pgproto3.Backend, kind uint32, m pgproto3.BackendMessage) pgproto3.FrontendMessage {
	b.Send(m)
	if b.Flush() != nil || b.SetAuthType(kind) != nil {
		return nil
	}
	answer, _ := b.Receive()
	return answer
}

func (s scram) iterations() int { return cmp.Or(s.rounds, 4096) }

// verify gives the proof that is due for what was said, and the server's own.
func (s scram) verify(said string) (proof, signature string) {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	salted, _ := pbkdf2.Key(sha256.New, s.password, []byte("salt"), s.iterations(), sha256.Size)
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	for i, x := range mac(stored[:], said) {
		key[i] ^= x
	}
	return base64.StdEncoding.EncodeToString(key), "v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), said))
}

// SCRAM proves the password to the server, and the server to us: one that does
// not know it is never believed, whatever it says.
func TestSCRAM(t *testing.T) {
	const mismatch = probe.CodeProtocolMismatch
	refused := func(code string) []pgproto3.BackendMessage { return say(failure(code)) }
	for name, r := range map[string]struct {
		server  scram
		want    probe.Code
		pointer string
		stage   string
		warns   string
	}{
		"knows it":                                 {scram{password: secret}, probe.CodeOK, "", "", ""},
		"knows another":                            {scram{password: "canary-other"}, probe.CodeAuthRejected, "password", "auth", ""},
		"asks for much":                            {scram{password: secret, rounds: 60_000}, probe.CodeOK, "", "", ""},
		"asks for as much as may be":               {scram{password: secret, rounds: 600_000}, probe.CodeOK, "", "", ""},
		"asks for much, and knows another":         {scram{password: "canary-other", rounds: 60_000}, probe.CodeAuthRejected, "password", "auth", ""},
		"asks for much, of another nonce":          {scram{password: secret, rounds: 60_000, nonce: "abc"}, mismatch, "host", "protocol", ""},
		"asks for too much":                        {scram{password: secret, rounds: 600_001}, probe.CodeAuthWorkLimit, "host", "auth", ""},
		"signs with another, and lets in":          {scram{password: "canary-other", after: say(&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'})}, mismatch, "host", "protocol", ""},
		"signs with nothing":                       {scram{password: secret, final: "v="}, mismatch, "host", "protocol", ""},
		"signs not at all":                         {scram{password: secret, final: "x"}, mismatch, "host", "protocol", ""},
		"says that the proof is wrong":             {scram{password: secret, final: "e=invalid-proof"}, probe.CodeAuthRejected, "password", "auth", ""},
		"says that there is no such user":          {scram{password: secret, final: "e=unknown-user"}, probe.CodeAuthRejected, "password", "auth", ""},
		"says that something else is wrong":        {scram{password: secret, final: "e=other-error"}, mismatch, "host", "protocol", ""},
		"takes another nonce":                      {scram{password: secret, nonce: "abc"}, mismatch, "host", "protocol", ""},
		"a pooler, refused by what is behind":      {scram{password: secret, after: refused("28P01")}, probe.CodeTargetUnavailable, "", "auth", ""},
		"a pooler, admitted by nothing behind":     {scram{password: secret, after: refused("28000")}, probe.CodeTargetUnavailable, "", "auth", ""},
		"a pooler refuses":                         {scram{password: secret, final: "none", after: say(pooler("SASL authentication failed"))}, probe.CodeAuthRejected, "password", "auth", ""},
		"finds another channel than was agreed on": {scram{password: secret, final: "none", after: refused("28000")}, probe.CodeAuthMethodUnsupported, "host", "auth", ""},
		"a pooler, its server fails":               {scram{password: secret, after: say(pooler("server login has been failing, try again later (server_login_retry)"))}, probe.CodeTargetUnavailable, "", "auth", ""},
		"a pooler, its server fails, in one code":  {scram{password: secret, after: say(pooler("something of its own"))}, probe.CodeTargetUnavailable, "", "auth", ""},
		"a pooler, its server is full":             {scram{password: secret, after: refused("53300")}, probe.CodeTargetUnavailable, "", "auth", ""},
		"a pooler, its server has no database":     {scram{password: secret, after: refused("3D000")}, probe.CodeOK, "", "", "RESOURCE_NOT_FOUND database_name"},
		"a pooler has no database, wrong password": {scram{password: "canary-other", final: "none", after: refused("3D000")}, probe.CodeSecretNotTested, "database_name", "auth", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, r.server.serve)
			row{at(s, settings{"sslmode": "disable"}), r.want, r.pointer, r.stage, r.warns}.check(t)
		})
	}
}
