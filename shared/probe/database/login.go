// Package database is what the probers of database servers have in common: the
// settings of a server that one signs in to with a password, the connection to
// it, and how that is encrypted.
package database

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"credence/shared/pattern"
	"credence/shared/probe"
	"credence/shared/probe/netguard"
	"credence/shared/secret"
)

// The settings that are read, under their canonical names.
const (
	FieldHost     probe.Field = "host"
	FieldPort     probe.Field = "port"
	FieldUser     probe.Field = "username"
	FieldPassword probe.Field = "password"
	FieldName     probe.Field = "database_name"
	FieldTLS      probe.Field = "sslmode"

	FieldCertificate probe.Field = "tls.client_certificate"
	FieldKey         probe.Field = "tls.client_key"
)

// Ports are where such servers listen: those below 1024 belong to systems of
// other kinds.
var Ports = netguard.Ports{{From: 1024, To: 65535}}

// The values of sslmode.
const (
	verifyFull = "verify-full" // chain, name and dates; the default
	verifyCA   = "verify-ca"   // chain and dates
	require    = "require"     // encrypted, to whoever answers
	disable    = "disable"     // plaintext, only to addresses that the operator listed
)

// Login is a server and an account on it.
type Login struct {
	Host     string
	User     string
	Password secret.Value
	Name     string // of the database; "" for none
	port     string
	mode     string

	certificate *tls.Certificate // of the client; nil for none
}

// Read reads the settings and holds them to our own rules, within the stage
// policy: nothing was dialled when it fails. Control characters are refused:
// both protocols end a text with NUL, so one within it would begin another
// parameter. The error is a Finding.
func Read(a *probe.Attempt) (Login, error) {
	var l Login
	err := a.Stage(probe.Policy, func() error {
		s := a.Settings()
		port, _ := s.Int(string(FieldPort))
		l = Login{
			Host: s.Text(string(FieldHost)), User: s.Text(string(FieldUser)), Password: s.Secret(string(FieldPassword)),
			Name: s.Text(string(FieldName)), port: strconv.FormatInt(port, 10), mode: s.Text(string(FieldTLS)),
		}
		if l.mode == "" {
			l.mode = verifyFull
		}
		if err := l.check(); err != nil {
			return err
		}
		var err error
		if l.certificate, err = a.ClientCertificate(FieldCertificate, FieldKey); err == nil && l.certificate != nil && l.Plaintext() {
			return probe.Found(probe.CodeAuthMethodUnsupported, "A client certificate is sent in the TLS handshake, and sslmode disable has none. Set sslmode to verify-full. Nothing was sent.").At(FieldTLS)
		}
		return err
	})
	return l, err
}

// Certified reports whether the credential has a client certificate, and
// whether its common name is the user name.
func (l Login) Certified() (sent, named bool) {
	return l.certificate != nil, l.certificate != nil && l.certificate.Leaf.Subject.CommonName == l.User
}

func (l Login) check() error {
	switch l.mode {
	case verifyFull, verifyCA, require, disable:
	default:
		return probe.Found(probe.CodeDestinationBlocked, "sslmode must be verify-full, verify-ca, require or disable. Others would fall back to an unencrypted connection.").At(FieldTLS)
	}
	switch {
	case control(l.Host):
		return probe.Found(probe.CodeDestinationBlocked, "").At(FieldHost)
	case control(l.Name):
		return probe.Found(probe.CodeDestinationBlocked, "The name of the database contains a control character. Check it.").At(FieldName)
	case control(l.User):
		return probe.Found(probe.CodeAuthMethodUnsupported, "The user name contains a control character, which cannot be sent. Check it.").At(FieldUser)
	case l.User == "":
		return probe.Found(probe.CodeSecretNotTested, "The credential has no user name. Enter one.").At(FieldUser)
	case l.Password.Len() == 0:
		return probe.Found(probe.CodeSecretNotTested, "The credential has no password. Enter one.").At(FieldPassword)
	}
	password := l.Password.Expose()
	defer clear(password)
	if strings.IndexByte(string(password), 0) >= 0 {
		return probe.Found(probe.CodeAuthMethodUnsupported, "The password contains a NUL character, which cannot be sent. Enter it again.").At(FieldPassword)
	}
	return nil
}

func control(text string) bool {
	return strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// Plaintext reports whether the connection stays without TLS.
func (l Login) Plaintext() bool { return l.mode == disable }

// Dial connects to the server. Without TLS it reaches only addresses that the
// operator listed. If the server is silent, the connection's first Read asks
// for its kind, which own recognises. The error is a Finding, to be returned as it
// is.
func (l Login) Dial(ctx context.Context, a *probe.Attempt, own Recogniser) (net.Conn, error) {
	dial := a.DialContext
	if l.Plaintext() {
		dial = a.DialPlaintext
	}
	c, err := dial(ctx, "tcp", net.JoinHostPort(l.Host, l.port))
	f := probe.Finding{}
	_ = errors.As(err, &f) // no error leaves it empty
	switch f.Code {
	case probe.CodeTLSRequired:
		err = probe.Found(probe.CodeTLSRequired, "Without TLS a secret is sent only to addresses that the operator of this service has listed, and this is none of them. Set sslmode to verify-full; if the authority is your own, put its certificate into tls.ca_certificate.").At(FieldTLS)
	case probe.CodeTCPRefused:
		err = f.At(FieldPort) // the host is there
	}
	if err != nil {
		return nil, err
	}
	return &patient{Conn: c, ask: func() error { return l.ask(ctx, a, own) }}, nil
}

// TLS makes the configuration that sslmode asks for. A handshake that succeeds
// records the stage tls. The error is a Finding.
func (l Login) TLS(a *probe.Attempt) (*tls.Config, error) {
	o := probe.TLSOptions{Host: l.Host, Field: FieldTLS, Certificate: l.certificate, CertificateField: FieldCertificate}
	if l.mode != verifyFull {
		o.Mode = probe.Require
	}
	config, err := a.TLSConfig(o)
	if err != nil || l.mode != verifyCA {
		return config, err
	}
	done := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		// crypto/tls checks chain and name together or neither, so with the
		// name left out the chain is checked here.
		options := x509.VerifyOptions{Roots: config.RootCAs, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		if _, err := state.PeerCertificates[0].Verify(options); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		a.Warn(probe.WarnTLSUnverified, FieldTLS, "The certificate's authority was checked, but not that it was issued for this host, as sslmode requests. Set sslmode to verify-full if the certificate has the host's name.")
		return done(state)
	}
	return config, nil
}

// Encrypt runs the TLS handshake on a connection and records the stage. On
// failure the connection is closed; the error is a Finding.
func (l Login) Encrypt(ctx context.Context, a *probe.Attempt, raw net.Conn) (*tls.Conn, error) {
	var c *tls.Conn
	err := a.Stage(probe.TLS, func() error {
		config, err := l.TLS(a)
		if err != nil {
			return err
		}
		if deadline, ok := ctx.Deadline(); ok { // half of the time that is left
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
			defer cancel()
		}
		c = tls.Client(raw, config)
		return c.HandshakeContext(ctx)
	})
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

// versionNumber is what versions of database servers look like. More digits
// than these may be a server's way to hand back the password it was told.
var versionNumber = pattern.New(`^\d{1,2}(\.\d{1,4}){0,3}$`)

// Version is the number that a server's version begins with: "15.14" of "15.14
// (Debian 15.14-0+deb12u1)"; "" if it begins with none.
func Version(text string) string {
	end := strings.IndexFunc(text, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
	if end < 0 {
		end = len(text)
	}
	if number := strings.TrimRight(text[:end], "."); versionNumber.MatchString(number) {
		return number
	}
	return ""
}
