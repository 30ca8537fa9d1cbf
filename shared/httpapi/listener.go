package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"credence/shared/fault"
)

const (
	// MaxHeaderBytes is the longest request line with header fields; more is 431.
	MaxHeaderBytes = 32 << 10
	// ServerHeaderBytes is for MaxHeaderBytes of the http.Server: the Stack answers
	// between the two, and net/http beyond.
	ServerHeaderBytes = 2 * MaxHeaderBytes
)

// headerBytes is the length of a request's line and header fields on the wire of
// HTTP/1.1.
func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// Listener gives the errors with which net/http itself answers a request, before
// it reaches a Stack, the form of every other error. That is all requests that are
// not valid HTTP and those whose header is longer than ServerHeaderBytes. Over TLS
// net/http's own answers stay, since the listener sees them encrypted.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return connection{c}, nil
}

type connection struct{ net.Conn }

// CloseWrite closes the side of the connection that the server writes to.
func (c connection) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	return half.CloseWrite()
}

// Write implements net.Conn.
func (c connection) Write(p []byte) (int, error) {
	own := ownAnswer(p)
	if own == nil {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(own); err != nil {
		return 0, err
	}
	return len(p), nil
}

// What net/http writes in one piece, in conn.serve of net/http/server.go, where it
// answers itself. JSON, which every other answer is, holds no line break that
// could look like it.
const (
	bareHeader = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	bareExpect = "HTTP/1.1 417 Expectation Failed\r\n"
	barePlain  = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)

// ownAnswer returns the answer to send in place of one of net/http's own; nil for
// any other.
func ownAnswer(p []byte) []byte {
	if !bytes.HasPrefix(p, []byte("HTTP/1.")) {
		return nil
	}
	line, rest, _ := strings.Cut(string(p[:min(len(p), 256)]), "\r\n")
	rest = "\r\n" + rest
	_, reason, _ := strings.Cut(line, ": ")
	switch {
	case string(p) == barePlain:
		return bare(fault.CodeMalformedRequest, "This address takes HTTPS. Send the request to https:// in place of http://.")
	case bytes.HasPrefix(p, []byte(bareExpect)):
		return bare(fault.CodeMalformedRequest, "The header Expect has another value than 100-continue. Leave it out.")
	case !strings.HasPrefix(rest, bareHeader):
		return nil
	case strings.Contains(line, " 431 "):
		return bare(fault.CodeHeadersTooLarge, headersTooLong)
	case strings.Contains(line, " 501 "):
		return bare(fault.CodeMalformedRequest, "The header Transfer-Encoding has another value than chunked. Send the body chunked, or with Content-Length.")
	case reason != "": // one of net/http's own phrases, such as "malformed Host header"
		return bare(fault.CodeMalformedRequest, fmt.Sprintf("The request is not valid HTTP: %s. Correct it, or use another client.", reason))
	}
	return bare(fault.CodeMalformedRequest, "The request is not valid HTTP. Check its first line, its headers and its Content-Length, or use another client.")
}

// bare is the whole answer of an error on a connection that is closed behind it.
func bare(code fault.Code, message string) []byte {
	ex := &exchange{id: requestID(context.Background())}
	answer, body, _ := render(fault.New(code, message), ex)
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", answer.Status, http.StatusText(answer.Status))
	h := http.Header{"Content-Length": {strconv.Itoa(len(body))}, "Connection": {"close"}}
	ex.describe(h)
	_ = h.Write(&b) // a Buffer takes all
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
