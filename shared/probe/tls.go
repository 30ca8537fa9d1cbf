package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
)

// TLSMode says how much of the other end is verified.
type TLSMode uint8

// The modes. There is none between them, and none that falls back to
// plaintext.
const (
	VerifyFull TLSMode = iota // chain, name and dates; the default
	Require                   // encrypted, to whoever answers; warns TLS_UNVERIFIED
)

// Limits of tls.ca_certificate.
const (
	maxCABytes = 224 << 10
	maxCACerts = 256
)

// TLSOptions is what a prober says of a connection it encrypts.
type TLSOptions struct {
	Host string // the name the certificate must be for: the host as dialled
	Mode TLSMode
	// Field is the setting that chose Mode, for the pointer of the warning.
	Field Field
	// NextProtos are the protocols offered (RFC 7301); nil for none.
	NextProtos []string
	// Certificate is the client certificate to present, if the server requests
	// one; nil for none.
	Certificate *tls.Certificate
	// CertificateField is the setting that holds, or would hold, the client
	// certificate; "" for a type that has no such setting.
	CertificateField Field
}

// TLSConfig makes the configuration for a driver that encrypts by itself: TLS
// 1.2 or newer (RFC 8996 retires what is older), ServerName the host, and as
// roots the certificates of the setting tls.ca_certificate, alone, if the
// credential has them, else the system's. A handshake that succeeds records
// the stage tls and the fact tls_not_after; give the error of one that fails
// to Explain. The error is a Finding: tls.ca_certificate cannot be read.
func (a *Attempt) TLSConfig(o TLSOptions) (*tls.Config, error) {
	config := &tls.Config{ServerName: o.Host, MinVersion: tls.VersionTLS12, NextProtos: o.NextProtos}
	a.mu.Lock()
	a.mutual = mutual{}
	a.mu.Unlock()
	if text := a.settings.Text("tls.ca_certificate"); text != "" {
		roots, ok := parseCA(text)
		if !ok {
			return nil, Found(CodeTLSUntrusted, "tls.ca_certificate cannot be read. It must be 1 to 256 certificates in PEM form, of 224 KiB at most.").At("tls.ca_certificate")
		}
		config.RootCAs = roots
	}
	config.InsecureSkipVerify = o.Mode == Require
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.mutual = mutual{requested: true, sent: o.Certificate != nil, field: o.CertificateField}
		if o.Certificate == nil {
			return &tls.Certificate{}, nil
		}
		return o.Certificate, nil
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		// Called when the certificate, if it was to be verified, is good.
		a.Ends(FactCertificateEnd, state.PeerCertificates[0].NotAfter)
		if o.Mode == Require {
			a.Warn(WarnTLSUnverified, o.Field, "")
		}
		return a.Stage(TLS, func() error { return nil })
	}
	return config, nil
}

// CertificateRequested reports whether the latest TLS handshake of this attempt
// requested a client certificate and the credential had none to send.
func (a *Attempt) CertificateRequested() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mutual.requested && !a.mutual.sent
}

// CertificateSent reports whether the latest TLS handshake of this attempt
// requested a client certificate and was sent one.
func (a *Attempt) CertificateSent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mutual.requested && a.mutual.sent
}

// StartTLS encrypts a connection and records the stage. On failure the
// connection is closed; the error is a Finding.
func (a *Attempt) StartTLS(ctx context.Context, raw net.Conn, o TLSOptions) (*tls.Conn, error) {
	var c *tls.Conn
	err := a.Stage(TLS, func() error {
		config, err := a.TLSConfig(o)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, a.share(3))
		defer cancel()
		c = tls.Client(raw, config)
		return c.HandshakeContext(ctx)
	})
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

// parseCA reads certificates in PEM form and nothing else.
func parseCA(text string) (*x509.CertPool, bool) {
	if len(text) > maxCABytes {
		return nil, false
	}
	pool, count := x509.NewCertPool(), 0
	for rest := []byte(text); ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return pool, count > 0
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" || count == maxCACerts {
			return nil, false
		}
		pool.AddCert(cert)
		count++
	}
}
