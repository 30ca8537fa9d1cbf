package probetest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"net"
	"strings"
	"sync"
)

// Alerts of TLS (RFC 8446 §6, RFC 6066 §3), by their names there.
var Alerts = map[string]byte{
	"handshake_failure": 40, "bad_certificate": 42, "unsupported_certificate": 43, "certificate_revoked": 44,
	"certificate_expired": 45, "certificate_unknown": 46, "illegal_parameter": 47, "unknown_ca": 48, "access_denied": 49,
	"decode_error": 50, "decrypt_error": 51, "protocol_version": 70, "insufficient_security": 71, "internal_error": 80,
	"inappropriate_fallback": 86, "unsupported_extension": 110, "unrecognized_name": 112,
	"bad_certificate_status_response": 113, "unknown_psk_identity": 115, "certificate_required": 116, "no_application_protocol": 120,
}

var errAlerted = errors.New("an alert was sent")

// Alerting is the server's end of a TLS connection that can send any alert, which
// crypto/tls cannot: it sends the one that fits its own error.
type Alerting struct {
	*tls.Conn
	raw *muted

	secrets bytes.Buffer // the key log of the handshake, which one goroutine runs
	sent    uint64       // records after the handshake
}

// NewAlerting prepares the handshake on a connection, in which the client's
// certificate is requested and not verified.
func NewAlerting(c net.Conn, config *tls.Config) *Alerting {
	a := &Alerting{raw: &muted{Conn: c}}
	config = config.Clone()
	config.KeyLogWriter, config.SessionTicketsDisabled = &a.secrets, true
	if config.ClientAuth == tls.NoClientCert {
		config.ClientAuth = tls.RequestClientCert
	}
	a.Conn = tls.Server(a.raw, config)
	return a
}

// RefuseWith runs the handshake and sends an alert where a server judges the
// client's certificate: when it has read it, or that there is none.
func RefuseWith(c net.Conn, config *tls.Config, alert byte) {
	var a *Alerting
	config = config.Clone()
	config.VerifyConnection = func(state tls.ConnectionState) error {
		a.alert(state, alert)
		return errAlerted
	}
	a = NewAlerting(c, config)
	_ = a.Handshake()
}

// Write implements net.Conn for what follows the handshake.
func (a *Alerting) Write(p []byte) (int, error) {
	a.sent++
	return a.Conn.Write(p)
}

// Alert sends an alert on a connection whose handshake is over.
func (a *Alerting) Alert(alert byte) { a.alert(a.ConnectionState(), alert) }

// alert sends an alert and nothing after it. In TLS 1.2 it is sent before the
// server encrypts, in TLS 1.3 encrypted (RFC 8446 §5.2).
func (a *Alerting) alert(state tls.ConnectionState, alert byte) {
	record := []byte{21, 3, 3, 0, 2, 2, alert}
	if state.Version == tls.VersionTLS13 {
		record = a.encrypt(state.CipherSuite, []byte{2, alert, 21})
	}
	_, _ = a.raw.Conn.Write(record)
	a.raw.mute()
}

// encrypt makes a record under the server's application keys (RFC 8446 §7.3).
func (a *Alerting) encrypt(suite uint16, inner []byte) []byte {
	digest, size := func() hash.Hash { return sha256.New() }, 16
	if suite == tls.TLS_AES_256_GCM_SHA384 {
		digest, size = func() hash.Hash { return sha512.New384() }, 32
	}
	secret := a.secret()
	expand := func(label string, length int) []byte {
		label = "tls13 " + label
		info := append([]byte{0, byte(length), byte(len(label))}, label+"\x00"...)
		key, err := hkdf.Expand(digest, secret, string(info), length)
		if err != nil {
			panic(err)
		}
		return key
	}
	block, err := aes.NewCipher(expand("key", size))
	if err != nil {
		panic(err)
	}
	sealed, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := expand("iv", 12)
	for i, b := range binary.BigEndian.AppendUint64(nil, a.sent) {
		nonce[4+i] ^= b
	}
	head := []byte{23, 3, 3, 0, byte(len(inner) + sealed.Overhead())}
	return sealed.Seal(head, nonce, inner, head)
}

// secret reads the key log, whose lines are "SERVER_TRAFFIC_SECRET_0 random secret".
func (a *Alerting) secret() []byte {
	for line := range strings.Lines(a.secrets.String()) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "SERVER_TRAFFIC_SECRET_0" {
			secret, _ := hex.DecodeString(fields[2])
			return secret
		}
	}
	return nil
}

// muted is a connection that sends nothing once it is told to.
type muted struct {
	net.Conn
	mu     sync.Mutex
	silent bool
}

func (m *muted) mute() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent = true
}

func (m *muted) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.silent {
		return len(p), nil
	}
	return m.Conn.Write(p)
}
