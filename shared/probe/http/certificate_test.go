package httpprobe_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// In TLS 1.3 a server judges the client certificate when the client has ended its
// handshake and may be sending the request. A server that then resets the
// connection without an alert says nothing for certain; one that does so only to
// those without the certificate is a counter-example.
func TestLostAlert(t *testing.T) {
	ca := probetest.NewAuthority(t)
	certificate, private := probetest.PEM(t, ca.Issue(t, probetest.Leaf{}))
	for name, row := range map[string]struct {
		accept func(certificates int) bool
		want   probe.Code
		field  string
	}{
		"nobody":           {func(int) bool { return false }, probe.CodeClientCertificate, "tls.client_certificate"},
		"everybody":        {func(int) bool { return true }, probe.CodeSecretNotTested, "base_url"},
		"certified alone":  {func(n int) bool { return n > 0 }, probe.CodeOK, ""},
		"uncertified only": {func(n int) bool { return n == 0 }, probe.CodeClientCertificate, "tls.client_certificate"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}, ClientAuth: tls.RequestClientCert, MaxVersion: version}
				s := probetest.Serve(t, func(ctx context.Context, c net.Conn) {
					secured := tls.Server(c, config)
					if secured.HandshakeContext(ctx) != nil {
						return
					}
					if !row.accept(len(secured.ConnectionState().PeerCertificates)) {
						_ = c.(interface{ SetLinger(int) error }).SetLinger(0)
						return
					}
					if _, err := http.ReadRequest(bufio.NewReader(secured)); err == nil {
						_, _ = io.WriteString(secured, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
					}
				})
				got := run(t, settings{
					"auth.type": "client certificate", "base_url": "https://" + s.Addr, "tls.ca_certificate": ca.PEM,
					"tls.client_certificate": certificate, "tls.client_key": private,
				}, probe.Config{})
				expect(t, got, row.want, row.field)
			})
		}
	}
}
