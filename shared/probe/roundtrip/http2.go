package roundtrip

import (
	"errors"
	"io"
	"net"
	"net/http"

	"golang.org/x/net/http2"

	"credence/shared/probe"
)

// The names of the protocols in a TLS handshake (RFC 7301 §6).
const (
	http1     = "http/1.1"
	http2Only = "h2"
)

// roundTrip makes the request over HTTP/1.1, and over HTTP/2 at a server that
// offers nothing else. Such a server aborts the handshake before a request is
// sent, so the secret is not presented twice.
func (c *Client) roundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.transport.RoundTrip(r)
	if err == nil || !onlyHTTP2(err) {
		return response, err
	}
	if r.Body != nil && r.GetBody != nil {
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	return c.overHTTP2(r)
}

// onlyHTTP2 recognises the alert no_application_protocol (RFC 7301 §3.2).
func onlyHTTP2(err error) bool {
	f := probe.Finding{}
	return errors.As(err, &f) && f.OffersOtherProtocol()
}

// overHTTP2 makes the request on a connection of its own. It works in builds
// that leave HTTP/2 out of net/http.
func (c *Client) overHTTP2(r *http.Request) (*http.Response, error) {
	address, host := r.URL.Host, r.URL.Hostname()
	if r.URL.Port() == "" {
		address = net.JoinHostPort(host, "443")
	}
	raw, err := c.dial(r.Context(), c.attempt.DialContext, "tcp", address)
	if err != nil {
		return nil, err
	}
	secured, err := c.attempt.StartTLS(r.Context(), raw, c.tlsOptions(host, http2Only))
	if err != nil {
		return nil, err
	}
	//nolint:staticcheck // what net/http offers instead is not in builds without its HTTP/2
	transport := &http2.Transport{DisableCompression: true, MaxHeaderListSize: MaxHeader}
	connection, err := transport.NewClientConn(secured) //nolint:staticcheck // as above
	if err != nil {
		_ = secured.Close()
		return nil, err
	}
	response, err := connection.RoundTrip(r)
	if err != nil {
		_ = connection.Close()
		return nil, err
	}
	response.Body = &closing{response.Body, connection}
	return response, nil
}

// closing is a body whose Close ends the connection too.
type closing struct {
	io.ReadCloser
	connection io.Closer
}

func (c *closing) Close() error {
	_ = c.ReadCloser.Close()
	return c.connection.Close()
}
