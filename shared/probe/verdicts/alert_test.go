package verdicts

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"credence/shared/probe/probetest"
)

// refuse starts a server that ends the TLS handshake with the row's alert, when it
// has read the client's certificate or that there is none.
func (r row) refuse(t *testing.T, typ string) *server {
	t.Helper()
	alert, ok := probetest.Alerts[r.Alert]
	if !ok {
		t.Fatalf("%q is no alert", r.Alert)
	}
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	s := probetest.Serve(t, func(_ context.Context, c net.Conn) {
		switch typ { // each protocol's own beginning
		case "postgres":
			_, _ = io.ReadFull(c, make([]byte, 8))
			_, _ = c.Write([]byte("S"))
		case "mysql":
			_, _ = c.Write(framed(0, greeting(true)))
			_, _, _ = packet(c)
		}
		probetest.RefuseWith(c, config, alert)
	})
	started := &server{url: "https://" + s.Addr, port: s.Port, authority: ca.PEM}
	started.certificate, started.key = probetest.PEM(t, ca.Issue(t, probetest.Leaf{}))
	return started
}
