package postgres_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// An alert after the server's first message is an end of the connection, whatever
// it names: the server has accepted the certificate, or does without.
func TestAlertAfterTheSignInBegan(t *testing.T) {
	ca := probetest.NewAuthority(t)
	certificate, key := probetest.PEM(t, ca.Issue(t, probetest.Leaf{}))
	first := func(b *pgproto3.Backend) {
		b.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
		_ = b.Flush()
	}
	for name, r := range map[string]struct {
		say  func(b *pgproto3.Backend)
		want probe.Code
	}{
		"before": {func(*pgproto3.Backend) {}, probe.CodeAuthRejected},
		"after":  {first, probe.CodeTCPReset},
	} {
		for ending, linger := range map[string]int{"": -1, ", then reset": 0} {
			t.Run(name+ending, func(t *testing.T) {
				s := probetest.Serve(t, func(_ context.Context, c net.Conn) {
					_, _ = io.ReadFull(c, make([]byte, 8))
					_, _ = io.WriteString(c, "S")
					a := probetest.NewAlerting(c, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}})
					b := pgproto3.NewBackend(a, a)
					if _, err := b.ReceiveStartupMessage(); err != nil {
						return
					}
					r.say(b)
					a.Alert(probetest.Alerts["bad_certificate"])
					_ = c.(interface{ SetLinger(int) error }).SetLinger(linger)
				})
				got := run(t, at(s, settings{"sslmode": "require", "tls.client_certificate": certificate, "tls.client_key": key}))
				if got.Code != r.want {
					t.Errorf("%s at %q, want %s: %s", got.Code, got.Pointer, r.want, got.Message)
				}
			})
		}
	}
}
