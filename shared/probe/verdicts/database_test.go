package verdicts

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// database is the behaviour of a database server, or of a pooler or proxy before
// one. Each step that is not given goes well.
type database struct {
	Auth   string  `yaml:"auth"`   // postgres: scram (if left out), md5, cleartext, trust, gss; mysql: native, cleartext, dialog
	Refuse refusal `yaml:"refuse"` // before anything is asked
	Wrong  refusal `yaml:"wrong"`  // to a wrong password; 28P01 and 1045 if left out
	Then   refusal `yaml:"then"`   // after the password was accepted, before the sign-in is good
	After  refusal `yaml:"after"`  // postgres: after the sign-in was good; mysql: to USE
	Query  refusal `yaml:"query"`  // to each question
	Other  string  `yaml:"other"`  // a system of another kind: what it says when it has read a line, or at once
	Silent bool    `yaml:"silent"` // with other: it says so only after a line
}

// refusal is an error: an SQLSTATE or the number of an error, and its words.
type refusal struct {
	Code  string `yaml:"code"` // postgres: also SCRAM, for its last message
	Words string `yaml:"words"`
	Close bool   `yaml:"close"` // it closes the connection in place of an error
}

func (r refusal) given() bool { return r.Code != "" || r.Close }

func (d database) serve(typ, right string, c net.Conn) {
	defer func() { _ = c.Close() }()
	switch {
	case d.Other != "":
		for line := make([]byte, 1); d.Silent && line[0] != '\n'; {
			if _, err := io.ReadFull(c, line); err != nil {
				return
			}
		}
		_, _ = io.WriteString(c, d.Other)
	case typ == "mysql":
		d.mysql(right, c)
	default:
		d.postgres(right, c)
	}
}

func (d database) postgres(right string, c net.Conn) {
	b := pgproto3.NewBackend(c, c)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	fail := func(r refusal) {
		switch {
		case r.Code == "SCRAM":
			b.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte(r.Words)})
			_ = b.Flush()
		case !r.Close:
			b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: r.Code, Message: r.Words})
			_ = b.Flush()
		}
	}
	if d.Refuse.given() {
		fail(d.Refuse)
		return
	}
	if !d.proves(b, right) {
		if !d.Wrong.given() {
			d.Wrong = refusal{Code: "28P01", Words: `password authentication failed for user "app"`}
		}
		fail(d.Wrong)
		return
	}
	if d.Then.given() {
		fail(d.Then)
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	if d.After.given() {
		fail(d.After)
		return
	}
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for b.Flush() == nil {
		if q, err := b.Receive(); err != nil || q == nil {
			return
		}
		if d.Query.given() {
			fail(d.Query)
		} else {
			b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("x")}}})
			b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("1")}})
			b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		}
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
}

// proves asks for the password as PostgreSQL does and verifies the answer.
func (d database) proves(b *pgproto3.Backend, right string) bool {
	switch d.Auth {
	case "trust":
		return true
	case "gss":
		ask(b, pgproto3.AuthTypeGSS, &pgproto3.AuthenticationGSS{})
		return false
	case "cleartext":
		m, ok := ask(b, pgproto3.AuthTypeCleartextPassword, &pgproto3.AuthenticationCleartextPassword{}).(*pgproto3.PasswordMessage)
		return ok && m.Password == right
	case "md5":
		m, ok := ask(b, pgproto3.AuthTypeMD5Password, &pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}}).(*pgproto3.PasswordMessage)
		inner := md5.Sum([]byte(right + "app"))
		outer := md5.Sum([]byte(hex.EncodeToString(inner[:]) + "\x01\x02\x03\x04"))
		return ok && m.Password == "md5"+hex.EncodeToString(outer[:])
	}
	return scram(b, right)
}

func ask(b *pgproto3.Backend, kind uint32, m pgproto3.BackendMessage) pgproto3.FrontendMessage {
	b.Send(m)
	if b.Flush() != nil || b.SetAuthType(kind) != nil {
		return nil
	}
	answer, _ := b.Receive()
	return answer
}

// scram is the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677).
func scram(b *pgproto3.Backend, right string) bool {
	const rounds, salt = 4096, "salt"
	initial, ok := ask(b, pgproto3.AuthTypeSASL, &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}).(*pgproto3.SASLInitialResponse)
	if !ok {
		return false
	}
	bare := strings.TrimPrefix(string(initial.Data), "n,,")
	_, nonce, _ := strings.Cut(bare, "r=")
	first := "r=" + nonce + "more,s=" + base64.StdEncoding.EncodeToString([]byte(salt)) + ",i=" + strconv.Itoa(rounds)
	answer, ok := ask(b, pgproto3.AuthTypeSASLContinue, &pgproto3.AuthenticationSASLContinue{Data: []byte(first)}).(*pgproto3.SASLResponse)
	if !ok {
		return false
	}
	without, proof, _ := strings.Cut(string(answer.Data), ",p=")
	said := bare + "," + first + "," + without
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	salted, err := pbkdf2.Key(sha256.New, right, []byte(salt), rounds, sha256.Size)
	if err != nil {
		return false
	}
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	for i, x := range mac(stored[:], said) {
		key[i] ^= x
	}
	if proof != base64.StdEncoding.EncodeToString(key) {
		return false
	}
	b.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte("v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), said)))})
	return true
}

const (
	challenge = "abcdefghijklmnopqrst"
	accepted  = "\x00\x00\x00\x02\x00\x00\x00"
	ended     = "\xfe\x00\x00\x02\x00"
)

func (d database) mysql(right string, c net.Conn) {
	number := byte(0)
	send := func(bodies ...string) {
		for _, body := range bodies {
			_, _ = c.Write(framed(number, body))
			number++
		}
	}
	fail := func(r refusal) {
		if code, _ := strconv.Atoi(r.Code); !r.Close {
			send("\xff" + string(binary.LittleEndian.AppendUint16(nil, uint16(code))) + "#HY000" + r.Words)
		}
	}
	if d.Refuse.given() {
		fail(d.Refuse)
		return
	}
	send(greeting(false))
	body, n, err := packet(c)
	if number = n + 1; err != nil || len(body) < 34 {
		return
	}
	if plugin := map[string]string{"cleartext": "mysql_clear_password", "dialog": "dialog"}[d.Auth]; plugin != "" {
		send("\xfe" + plugin + "\x00")
		return
	}
	_, rest, _ := bytes.Cut(body[32:], []byte{0})
	switch {
	case len(rest) < 21 || !bytes.Equal(rest[1:21], native(right)):
		if !d.Wrong.given() {
			d.Wrong = refusal{Code: "1045", Words: "Access denied for user 'app'@'10.0.0.1' (using password: YES)"}
		}
		fail(d.Wrong)
		return
	case d.Then.given():
		fail(d.Then)
		return
	}
	send(accepted)
	for {
		body, _, err := packet(c)
		if err != nil || len(body) == 0 || body[0] == 1 {
			return
		}
		number = 1
		row := func(value string) {
			send("\x01", "\x03def\x00\x00\x00\x01x\x00\x0c\x2d\x00\x04\x00\x00\x00\xfd\x00\x00\x00\x00\x00", ended, string(rune(len(value)))+value, ended)
		}
		switch text := string(body[1:]); {
		case d.Query.given():
			fail(d.Query)
		case text == "SELECT CURRENT_USER()":
			row("app@%")
		case text == "SELECT 1":
			row("1")
		case strings.HasPrefix(text, "USE ") && d.After.given():
			fail(d.After)
		case strings.HasPrefix(text, "USE "):
			send(accepted)
		default:
			fail(refusal{Code: "1142"})
		}
	}
}

// framed is a packet of MySQL's protocol.
func framed(number byte, body string) []byte {
	return append([]byte{byte(len(body)), byte(len(body) >> 8), 0, number}, body...)
}

// greeting is the first packet of a server, which offers TLS or does not.
func greeting(offersTLS bool) string {
	flags := "\x05\xa2"
	if offersTLS {
		flags = "\x05\xaa"
	}
	return "\x0a8.0.36\x00\x01\x00\x00\x00" + challenge[:8] + "\x00" + flags + "\x2d\x02\x00\x08\x00\x15" + strings.Repeat("\x00", 10) + challenge[8:] + "\x00mysql_native_password\x00"
}

// native is the proof of mysql_native_password.
func native(password string) []byte {
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	mixed := sha1.Sum(append([]byte(challenge), twice[:]...))
	for i := range once {
		once[i] ^= mixed[i]
	}
	return once[:]
}

func packet(c net.Conn) ([]byte, byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(c, header); err != nil {
		return nil, 0, err
	}
	body := make([]byte, int(header[0])|int(header[1])<<8)
	_, err := io.ReadFull(c, body)
	return body, header[3], err
}
