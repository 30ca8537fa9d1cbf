package httpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"credence/shared/probe"
)

const (
	maxHeader = 16 << 10
	maxBody   = 64 << 10
)

// client makes single requests through one attempt. It is a transport and no
// http.Client: a client follows redirects, and across hosts Go's forwards
// headers it does not know for secrets.
type client struct {
	attempt   *probe.Attempt
	transport *http.Transport
}

func newClient(a *probe.Attempt, mode probe.TLSMode) *client {
	return &client{attempt: a, transport: &http.Transport{
		Proxy:                  nil,
		DisableCompression:     true, // a body is never unpacked
		DisableKeepAlives:      true, // and so nothing is sent twice on a connection that broke
		MaxResponseHeaderBytes: maxHeader,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) { // of http URLs
			c, err := a.DialPlaintext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &plaintext{Conn: c}, nil
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			raw, err := a.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			var c *tls.Conn
			c, err = a.StartTLS(ctx, raw, probe.TLSOptions{Host: host, Mode: mode, Field: fieldIgnoreCert})
			if err != nil {
				return nil, err // not c: a nil *tls.Conn is no nil net.Conn
			}
			return c, nil
		},
	}}
}

// answer is what is kept of a response: its text only until it is classified.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes one request and records the stage protocol: an HTTP answer came.
// The body is read, to 64 KiB, only where wantBody says so; a status is enough
// for a verdict and cannot be dripped or inflated. The field is the setting
// that the address came from.
func (c *client) send(ctx context.Context, r *http.Request, field probe.Field, wantBody bool) (answer, error) {
	var got answer
	err := c.attempt.Stage(probe.Protocol, func() error {
		response, err := c.transport.RoundTrip(r.WithContext(ctx))
		if errors.Is(err, errTLSRequired) {
			return errTLSRequired.At(field)
		}
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		got.status, got.header = response.StatusCode, response.Header
		plainBadRequest := r.URL.Scheme == "http" && got.status == http.StatusBadRequest
		if !wantBody && !plainBadRequest {
			return nil
		}
		got.body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
		switch {
		case plainBadRequest && wantsTLS(got.body):
			return errTLSRequired.At(field)
		case !wantBody:
			return nil
		case err != nil:
			return err
		case len(got.body) > maxBody:
			return probe.Found(probe.CodeProtocolMismatch, "The sign-in address answered with far more than a token. Check the address.").At(field)
		}
		return nil
	})
	return got, err
}

var errTLSRequired = probe.Found(probe.CodeTLSRequired, "The system expects an encrypted connection on this port. Write https:// in place of http://.")

// wantsTLS recognises the answers of Go's, nginx's and Apache's servers to
// plain HTTP on a port for TLS.
func wantsTLS(body []byte) bool {
	text := strings.ToLower(string(body))
	return strings.Contains(text, "http request to an https server") ||
		strings.Contains(text, "plain http request was sent to https port") ||
		strings.Contains(text, "speaking plain http to an ssl-enabled server port")
}

// plaintext is a connection without TLS that recognises a TLS alert (RFC 8446
// §6: record type 21, version 3.x) as the answer.
type plaintext struct {
	net.Conn
	began bool
}

func (c *plaintext) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.began && n >= 2 && p[0] == 0x15 && p[1] == 0x03 {
		return 0, errTLSRequired
	}
	c.began = c.began || n > 0
	return n, err
}
