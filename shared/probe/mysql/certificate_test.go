package mysql_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// In TLS 1.3 a server judges the client certificate when the client has ended its
// handshake, and the client's next write may meet the closed connection before the
// client has read the alert.
func TestCertificateRefusedAfterTheHandshake(t *testing.T) {
	ca := probetest.NewAuthority(t)
	certificate, key := probetest.PEM(t, ca.Issue(t, probetest.Leaf{}))
	alert := func([][]byte, [][]*x509.Certificate) error { return errors.New("refused") }
	reset := func(c, _ net.Conn) { _ = c.(interface{ SetLinger(int) error }).SetLinger(0) }
	for name, r := range map[string]struct {
		judge func([][]byte, [][]*x509.Certificate) error
		end   func(raw, secured net.Conn)
		want  probe.Code
	}{
		"alert":              {alert, func(net.Conn, net.Conn) {}, probe.CodeAuthRejected},
		"alert, then reset":  {alert, reset, probe.CodeAuthRejected},
		"reset without one":  {nil, reset, probe.CodeClientCertificate},
		"closed without one": {nil, func(_, c net.Conn) { _, _, _ = receive(c) }, probe.CodeClientCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert, VerifyPeerCertificate: r.judge, Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
			s := probetest.Serve(t, func(ctx context.Context, c net.Conn) {
				_ = send(c, 0, greet("8.0.36", "mysql_native_password", tlsCan))
				if _, _, err := receive(c); err == nil {
					secured := tls.Server(c, config)
					_ = secured.HandshakeContext(ctx)
					r.end(c, secured)
				}
				_ = c.Close()
			})
			got := run(t, at(s, settings{"sslmode": "require", "tls.client_certificate": certificate, "tls.client_key": key}))
			if got.Code != r.want || got.Pointer != "/credentials/tls.client_certificate" {
				t.Errorf("%s at %s, want %s", got.Code, got.Pointer, r.want)
			}
		})
	}
}
