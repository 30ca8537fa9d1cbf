package probe_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// exchanging is a prober that presents a certificate in a TLS handshake, sends
// three bytes and reads one.
func exchanging(addr string, certificate *tls.Certificate) prober {
	return func(ctx context.Context, a *probe.Attempt) probe.Finding {
		a.Locate("host", "port")
		err := a.Stage(probe.Auth, func() error {
			raw, err := a.DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			defer func() { _ = raw.Close() }()
			c, err := a.StartTLS(ctx, raw, probe.TLSOptions{Host: "127.0.0.1", Certificate: certificate, CertificateField: "tls.client_certificate"})
			if err != nil {
				return err
			}
			for range 3 { // the server may be gone by the second
				if _, err = c.Write([]byte("x")); err != nil {
					return err
				}
			}
			if _, err = c.Read(make([]byte, 1)); err != nil {
				return err
			}
			a.Answered()
			_, err = c.Read(make([]byte, 1))
			return err
		})
		if err != nil {
			return a.Explain(err)
		}
		return probe.Found(probe.CodeOK, "")
	}
}

// What each alert says where a server judges the client certificate, with one that
// was sent and without.
func TestAlerts(t *testing.T) {
	type result struct {
		code  probe.Code
		field string
	}
	const field = "tls.client_certificate"
	rejected, required := result{probe.CodeAuthRejected, field}, result{probe.CodeClientCertificate, field}
	other := result{probe.CodeTLSUnsupported, "host"}
	own := map[string][2]result{ // sent, none
		"bad_certificate": {rejected, required}, "unsupported_certificate": {rejected, required},
		"certificate_unknown": {rejected, required}, "unknown_ca": {rejected, required},
		"certificate_revoked":  {{probe.CodeAuthRevoked, field}, required},
		"certificate_expired":  {{probe.CodeAuthExpired, field}, required},
		"access_denied":        {required, required},
		"certificate_required": {required, required},
		"handshake_failure":    {other, required},
		"internal_error":       {{probe.CodeTargetUnavailable, "host"}, {probe.CodeTargetUnavailable, "host"}},
		"unrecognized_name":    {{probe.CodeTLSNameMismatch, "host"}, {probe.CodeTLSNameMismatch, "host"}},
	}
	ca := probetest.NewAuthority(t)
	certificate := ca.Issue(t, probetest.Leaf{})
	for name, alert := range probetest.Alerts {
		want, ok := own[name]
		if !ok {
			want = [2]result{other, other}
		}
		for i, sent := range []*tls.Certificate{&certificate, nil} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				for ending, linger := range map[string]int{"": -1, ", then reset": 0} {
					row := name + ", " + []string{"sent", "none"}[i] + ", " + tls.VersionName(version) + ending
					t.Run(row, func(t *testing.T) {
						config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}, MaxVersion: version}
						s := probetest.Serve(t, func(_ context.Context, c net.Conn) {
							probetest.RefuseWith(c, config, alert)
							_ = c.(interface{ SetLinger(int) error }).SetLinger(linger)
						})
						check(t, s.Addr, sent, ca, want[i].code, want[i].field)
					})
				}
			}
		}
	}
}

func check(t *testing.T, addr string, certificate *tls.Certificate, ca *probetest.Authority, code probe.Code, field string) {
	t.Helper()
	r := probe.NewRunner(map[string]probe.Prober{"x": exchanging(addr, certificate)}, probetest.Loopback(t, nil), probe.Config{})
	got := r.Run(t.Context(), "x", plain{"tls.ca_certificate": ca.PEM})
	probetest.Sound(t, got)
	if got.Code != code || got.Pointer != "/credentials/"+field && field != "" {
		t.Errorf("%s at %q, want %s at %q: %s", got.Code, got.Pointer, code, field, got.Message)
	}
}

// A connection that ends without an alert rejects nothing, and an alert after the
// server's answer is the end of a connection.
func TestEndOfConnection(t *testing.T) {
	ca := probetest.NewAuthority(t)
	certificate := ca.Issue(t, probetest.Leaf{})
	reset := func(c net.Conn) { _ = c.(interface{ SetLinger(int) error }).SetLinger(0) }
	for name, row := range map[string]struct {
		end  func(raw net.Conn, a *probetest.Alerting)
		sent *tls.Certificate
		want probe.Code
	}{
		"reset":              {func(c net.Conn, _ *probetest.Alerting) { reset(c) }, &certificate, probe.CodeClientCertificate},
		"closed":             {func(_ net.Conn, a *probetest.Alerting) { _, _ = io.ReadFull(a, make([]byte, 3)) }, &certificate, probe.CodeClientCertificate},
		"reset, none sent":   {func(c net.Conn, _ *probetest.Alerting) { reset(c) }, nil, probe.CodeTCPReset},
		"alert after answer": {answerThenAlert, &certificate, probe.CodeTCPReset},
		"the same, none":     {answerThenAlert, nil, probe.CodeTCPReset},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
			s := probetest.Serve(t, func(_ context.Context, c net.Conn) {
				a := probetest.NewAlerting(c, config)
				if a.Handshake() == nil {
					row.end(c, a)
				}
			})
			check(t, s.Addr, row.sent, ca, row.want, "")
		})
	}
}

func answerThenAlert(_ net.Conn, a *probetest.Alerting) {
	_, _ = io.ReadFull(a, make([]byte, 3))
	_, _ = a.Write([]byte("y"))
	a.Alert(probetest.Alerts["bad_certificate"])
}
