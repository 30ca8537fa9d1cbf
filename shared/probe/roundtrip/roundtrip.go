// Package roundtrip makes single HTTP requests through the attempt of a probe,
// for the probers of systems whose interface is HTTP. It is no http.Client on
// purpose: a client follows redirects, and across hosts Go's forwards headers
// that it does not know for secrets.
package roundtrip

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"credence/shared/probe"
)

// What one answer may hold.
const (
	MaxHeader = 16 << 10
	MaxBody   = 64 << 10
)

// Client makes requests through one attempt: no proxy, no redirect, no
// compression, one connection a request, so that nothing is sent twice on one
// that broke. It may be used by many goroutines at once.
type Client struct {
	attempt   *probe.Attempt
	field     probe.Field
	options   probe.TLSOptions // but for the host
	transport *http.Transport

	mu      sync.Mutex
	stays   bool
	reached map[string]string // "host:port" to the address that took a connection
}

// New makes a client for an attempt. The field is the setting that the address
// comes from, for the pointers of findings; "" if no setting names it.
func New(a *probe.Attempt, field probe.Field) *Client {
	c := &Client{attempt: a, field: field, reached: map[string]string{}}
	c.transport = &http.Transport{
		Proxy:                  nil,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: MaxHeader,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) { // of http URLs
			raw, err := c.dial(ctx, a.DialPlaintext, network, address)
			if err != nil {
				return nil, err
			}
			return afterRequest(&plaintext{Conn: raw}), nil
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			raw, err := c.dial(ctx, a.DialContext, network, address)
			if err != nil {
				return nil, err
			}
			secured, err := a.StartTLS(ctx, raw, c.tlsOptions(host, http1))
			if err != nil {
				return nil, err // not secured: a nil *tls.Conn is no nil net.Conn
			}
			return afterRequest(secured), nil
		},
	}
	return c
}

func (c *Client) tlsOptions(host, protocol string) probe.TLSOptions {
	o := c.options
	o.Host, o.NextProtos = host, []string{protocol}
	return o
}

// Unverified has the client take any certificate, as a setting of the
// credential asks: each connection warns of it, at the setting. It is called
// before the first request.
func (c *Client) Unverified(setting probe.Field) {
	c.options.Mode, c.options.Field = probe.Require, setting
}

// Present gives the client a certificate for servers that request one; nil
// presents none. The setting is the one that holds, or would hold, it. It is
// called before the first request.
func (c *Client) Present(certificate *tls.Certificate, setting probe.Field) {
	c.options.Certificate, c.options.CertificateField = certificate, setting
}

// Do makes one request and records the stage protocol: a whole HTTP answer
// came. The body of the answer is read, MaxBody at most, and need not be
// closed. The request goes out under our own User-Agent if it has none. The
// error is a Finding. It is the shape that the AWS SDK takes.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	response, _, err := c.exchange(r, MaxBody, probe.Found(probe.CodeProtocolMismatch, "The answer is far longer than such a system gives (over 64 KiB), and was not read to its end. Check the address.").At(c.field), 0)
	return response, err
}

// Begin is Do for an answer that may be longer than is wanted: most bytes of
// its body are read, and the rest, which more tells of, is left.
func (c *Client) Begin(r *http.Request, most int) (response *http.Response, more bool, err error) {
	return c.exchange(r, most, nil, 0)
}

// Glance is Begin with a limit of time for the body: what came by then is
// kept, and more reports that the body is not whole. An answer that never ends,
// such as a stream of events, is told by its status and headers.
func (c *Client) Glance(r *http.Request, most int, wait time.Duration) (response *http.Response, more bool, err error) {
	return c.exchange(r, most, nil, wait)
}

// exchange makes one request. An answer of more than most bytes is the error
// long, or is cut off where that is nil. A body that takes longer than wait is
// cut off too; 0 waits as long as the request's context.
func (c *Client) exchange(r *http.Request, most int, long error, wait time.Duration) (got *http.Response, more bool, err error) {
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "Credence-Probe")
	}
	err = c.attempt.Stage(probe.Protocol, func() error {
		response, err := c.roundTrip(r)
		if err != nil {
			return c.locate(late(r, err))
		}
		c.attempt.Answered()
		defer func() { _ = response.Body.Close() }()
		if wait > 0 { // Close may be called while a Read is under way
			defer time.AfterFunc(wait, func() { _ = response.Body.Close() }).Stop()
		}
		if response.StatusCode == http.StatusSwitchingProtocols { // what follows is no body
			return probe.Found(probe.CodeProtocolMismatch, "").At(c.field)
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, int64(most)+1))
		switch {
		case r.URL.Scheme == "http" && response.StatusCode == http.StatusBadRequest && wantsTLS(body):
			return errTLSRequired.At(c.field)
		case err != nil && wait > 0 && r.Context().Err() == nil: // the status and headers came
			more = true
		case err != nil:
			return late(r, err)
		case len(body) > most && long != nil:
			return long
		case len(body) > most:
			body, more = body[:most], true
		}
		kept := *response // whose own body is closed
		kept.Body = io.NopCloser(bytes.NewReader(body))
		got = &kept
		return nil
	})
	return got, more, err
}

var errTLSRequired = probe.Found(probe.CodeTLSRequired, "The system expects an encrypted connection on this port. Write https:// in place of http://.")

// locate names the setting of an answer that asks for TLS, and the limit that
// an answer exceeds. net/http has no error type for that.
func (c *Client) locate(err error) error {
	if strings.Contains(err.Error(), "response headers exceeded") {
		return probe.Found(probe.CodeProtocolMismatch, "The headers of the answer are longer than %d KiB, the limit of a probe. Test with an address that answers with fewer or shorter headers, such as one that sets no cookies.", MaxHeader>>10).At(c.field)
	}
	if f := c.attempt.Explain(err); f.Code == probe.CodeTLSRequired {
		return f.At(c.field)
	}
	return err
}

// late is the deadline in place of what was made of half an answer when the
// connection met it first: half a line passes for a line. Before the deadline
// only net/http closes a connection on our side, when it could not write to it,
// and may tell that in place of why: the system was gone.
func late(r *http.Request, err error) error {
	if deadline, ok := r.Context().Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	if errors.Is(err, net.ErrClosed) && r.Context().Err() == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// wantsTLS recognises the answers of common servers to plain HTTP on a port
// for TLS.
func wantsTLS(body []byte) bool {
	text := strings.ToLower(string(body))
	return strings.Contains(text, "http request to an https server") ||
		strings.Contains(text, "plain http request was sent to https port") ||
		strings.Contains(text, "speaking plain http to an ssl-enabled server port")
}

// afterWrite is a connection that is read only once it was written to. What a
// server says before it is asked, net/http would print to the process's log in
// the server's own words.
type afterWrite struct {
	net.Conn
	once sync.Once
	open chan struct{}
}

func afterRequest(c net.Conn) net.Conn { return &afterWrite{Conn: c, open: make(chan struct{})} }

func (c *afterWrite) release() { c.once.Do(func() { close(c.open) }) }

func (c *afterWrite) Read(p []byte) (int, error) {
	<-c.open // the first write or Close, which follows the end of the request's context
	return c.Conn.Read(p)
}

func (c *afterWrite) Write(p []byte) (int, error) {
	c.release()
	return c.Conn.Write(p)
}

func (c *afterWrite) Close() error {
	c.release()
	return c.Conn.Close()
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
