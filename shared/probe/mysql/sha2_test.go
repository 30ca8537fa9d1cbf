package mysql_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"net"
	"strings"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// sha2 is a server that signs in with caching_sha2_password and checks what it
// is sent, as MySQL 8 does by default:
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
type sha2 struct {
	secured *tls.Config // nil offers no TLS
	cached  bool        // the proof is enough; else the password itself is asked for
	key     *rsa.PrivateKey
}

func (s sha2) serve(ctx context.Context, c net.Conn) {
	can := uint32(plainCan)
	if s.secured != nil {
		can = tlsCan
	}
	if send(c, 0, greet("8.4.5", "caching_sha2_password", can)) != nil {
		return
	}
	number, body, err := receive(c)
	if err != nil {
		return
	}
	overTLS := binary.LittleEndian.Uint32([]byte(body))&0x800 != 0
	if overTLS {
		secured := tls.Server(c, s.secured)
		if secured.HandshakeContext(ctx) != nil {
			return
		}
		defer func() { _ = secured.Close() }()
		c = secured
		if number, body, err = receive(c); err != nil {
			return
		}
	}
	user, rest, _ := strings.Cut(body[32:], "\x00")
	proof := []byte(rest[1 : 1+rest[0]])
	good := user == "app"
	switch {
	case s.cached:
		if good = good && proves(proof); good {
			if send(c, number+1, "\x01\x03", ok) != nil {
				return
			}
		}
	case send(c, number+1, "\x01\x04") != nil:
		return
	default:
		var password string
		number, password, err = s.password(c, overTLS)
		if good = good && err == nil && password == secret+"\x00"; good && send(c, number+1, ok) != nil {
			return
		}
	}
	if !good {
		_ = send(c, number+1, failure(1045))
		return
	}
	for {
		_, query, err := receive(c)
		if err != nil {
			return
		}
		answer := []string{failure(1142)}
		switch query {
		case "\x03SELECT CURRENT_USER()":
			answer = text("app@%")
		case "\x03SELECT 1":
			answer = text("1")
		case "\x03USE `app`":
			answer = []string{ok}
		}
		if send(c, 1, answer...) != nil {
			return
		}
	}
}

// password is the password that the client sends after it was asked: as it is
// over TLS, else under the server's key, combined with the challenge.
func (s sha2) password(c net.Conn, overTLS bool) (byte, string, error) {
	number, body, err := receive(c)
	if overTLS || err != nil {
		return number, body, err
	}
	if body != "\x02" { // a client that sends anything but "the key, please"
		return number, "", nil
	}
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		return number, "", err
	}
	if err := send(c, number+1, "\x01"+string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))); err != nil {
		return number, "", err
	}
	if number, body, err = receive(c); err != nil {
		return number, "", err
	}
	mixed, err := rsa.DecryptOAEP(sha1.New(), rand.Reader, s.key, []byte(body), nil)
	for i := range mixed {
		mixed[i] ^= challenge[i%len(challenge)]
	}
	return number, string(mixed), err
}

// proves checks SHA256(p) XOR SHA256(SHA256(SHA256(p)), challenge).
func proves(proof []byte) bool {
	one := sha256.Sum256([]byte(secret))
	two := sha256.Sum256(one[:])
	mask := sha256.Sum256(append(two[:], challenge...))
	want := make([]byte, len(mask))
	for i := range want {
		want[i] = one[i] ^ mask[i]
	}
	return bytes.Equal(proof, want)
}

func TestCachingSHA2(t *testing.T) {
	ca := probetest.NewAuthority(t)
	secured := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const (
		rejected = probe.CodeAuthRejected
		okay     = probe.CodeOK
	)
	encrypted, plain := settings{"tls.ca_certificate": ca.PEM}, settings{"sslmode": "disable"}
	wrong, stranger := settings{"password": "canary-wrong"}, settings{"username": "stranger"}
	for name, r := range map[string]struct {
		server   sha2
		settings settings
		want     probe.Code
		pointer  string
	}{
		"TLS, cached":               {sha2{secured: secured, cached: true}, encrypted, okay, ""},
		"TLS, cached, wrong":        {sha2{secured: secured, cached: true}, encrypted.with(wrong), rejected, "password"},
		"TLS, cached, stranger":     {sha2{secured: secured, cached: true}, encrypted.with(stranger), rejected, "password"},
		"TLS, whole":                {sha2{secured: secured}, encrypted, okay, ""},
		"TLS, whole, wrong":         {sha2{secured: secured}, encrypted.with(wrong), rejected, "password"},
		"plain, cached":             {sha2{cached: true}, plain, okay, ""},
		"plain, cached, wrong":      {sha2{cached: true}, plain.with(wrong), rejected, "password"},
		"plain, whole, key":         {sha2{key: key}, plain, okay, ""},
		"plain, whole, key, wrong":  {sha2{key: key}, plain.with(wrong), rejected, "password"},
		"plain, TLS offered, wrong": {sha2{secured: secured, cached: true}, plain.with(wrong), probe.CodeAuthMethodUnsupported, "sslmode"},
	} {
		t.Run(name, func(t *testing.T) {
			s := probetest.Serve(t, r.server.serve)
			stage := "auth"
			if r.want == okay {
				stage = ""
			}
			row{at(s, r.settings), r.want, r.pointer, stage, ""}.check(t)
		})
	}
}
