package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"credence/shared/boot"
)

// newBench puts the whole program together over an empty data folder. It returns
// the service key of its first organisation.
func newBench(t testing.TB) (*program, string) {
	t.Helper()
	o := options{serveFlags: serveFlags{Addr: "127.0.0.1:0", where: where{Data: t.TempDir(), Store: storeEmbedded}}}
	d, err := openData(t.Context(), o.where, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	p, err := newProgram(t.Context(), o, d, boot.Logger(io.Discard, slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := p.welcome(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	return p, keyLine.FindString(out.String())
}

// bare serves a program on a listener of its own, also over TLS.
func bare(t testing.TB, p *program, secure bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = newServer(p.handler, nil, slog.New(slog.DiscardHandler))
	s.Listener = bound(s.Config, s.Listener)
	if s.EnableHTTP2 = secure; secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// sendWhole sends the whole request before it reads anything, as the simplest clients
// do, and returns status and error_code of the answer.
func sendWhole(t *testing.T, s *httptest.Server, secure bool, parts ...string) (int, string) {
	t.Helper()
	var c net.Conn
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if secure {
		roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		c = tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{"http/1.1"}})
	}
	for _, part := range parts {
		if _, err := io.WriteString(c, part); err != nil {
			t.Fatalf("sending: %v", err)
		}
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode, errorCode(t, res)
}

func errorCode(t *testing.T, res *http.Response) string {
	t.Helper()
	var e struct {
		Code string `json:"error_code"`
		ID   string `json:"request_id"`
	}
	if err := json.NewDecoder(res.Body).Decode(&e); err != nil || e.ID == "" || e.ID != res.Header.Get("X-Request-Id") ||
		res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s is not in the form of errors: %v, %v", res.Status, res.Header, err)
	}
	return e.Code
}

// What is too long, or no HTTP, is answered in the form of every error, also to a
// client that sends all of it before it reads.
func TestRequestsThatAreNotRead(t *testing.T) {
	p, key := newBench(t)
	plain, secure := bare(t, p, false), bare(t, p, true)
	const post = "POST /data_credentials HTTP/1.1\r\nHost: h\r\n"
	known := post + "Authorization: Bearer " + session(t, plain.URL, key) + "\r\n"
	body := strings.Repeat(" ", 5<<20)
	long := func(n int) string {
		return "GET /health HTTP/1.1\r\nHost: h\r\nX-Long: " + strings.Repeat("x", n) + "\r\n\r\n"
	}
	many := "GET /health HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: 1\r\n", 20_000) + "\r\n"
	for name, row := range map[string]struct {
		status int
		code   string
		parts  []string
		tls    bool // also over TLS
	}{
		"a body of 5 MB":             {413, "too_large", []string{known + "Content-Length: 5242880\r\n\r\n", body}, true},
		"chunks of 5 MB":             {413, "too_large", []string{known + "Transfer-Encoding: chunked\r\n\r\n", "500000\r\n" + body + "\r\n0\r\n\r\n"}, true},
		"chunks that are none":       {400, "malformed_request", []string{known + "Transfer-Encoding: chunked\r\n\r\n", "zz\r\n"}, true},
		"a stranger's body of 5 MB":  {401, "unauthenticated", []string{post + "Content-Length: 5242880\r\n\r\n", body}, true},
		"a body of 40 MB":            {401, "unauthenticated", []string{post + "Content-Length: 41943040\r\n\r\n", body, body, body, body, body, body, body, body}, true},
		"a stranger's chunks":        {401, "unauthenticated", []string{post + "Transfer-Encoding: chunked\r\n\r\n", "500000\r\n" + body + "\r\n0\r\n\r\n"}, true},
		"a body to HTTP/1.0":         {401, "unauthenticated", []string{"POST /data_credentials HTTP/1.0\r\nContent-Length: 5242880\r\n\r\n", body}, true},
		"a body to no route":         {404, "route_not_found", []string{"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 5242880\r\n\r\n", body}, true},
		"headers of 40 KB":           {431, "headers_too_large", []string{long(40 << 10)}, true},
		"headers of 100 KB":          {431, "headers_too_large", []string{long(100 << 10)}, false},
		"headers of 5 MB":            {431, "headers_too_large", []string{long(5 << 20)}, false},
		"many headers":               {431, "headers_too_large", []string{many}, false},
		"a long address":             {431, "headers_too_large", []string{"GET /health?" + strings.Repeat("x", 40<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n"}, true},
		"no HTTP":                    {400, "malformed_request", []string{"\x16\x03\x01 hello\r\n\r\n"}, false},
		"no Host":                    {400, "malformed_request", []string{"GET /health HTTP/1.1\r\n\r\n"}, false},
		"two lengths":                {400, "malformed_request", []string{post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"}, false},
		"a negative length":          {400, "malformed_request", []string{post + "Content-Length: -2\r\n\r\n{}"}, false},
		"an unknown coding":          {400, "malformed_request", []string{post + "Transfer-Encoding: gzip\r\n\r\n"}, false},
		"an unknown version":         {400, "malformed_request", []string{"GET /health HTTP/3.0\r\nHost: h\r\n\r\n"}, false},
		"an expectation":             {400, "malformed_request", []string{post + "Expect: more\r\nContent-Length: 2\r\n\r\n{}"}, false},
		"a line break in a header":   {400, "malformed_request", []string{"GET /health HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n"}, false},
		"a method that is no method": {400, "malformed_request", []string{"G{T /health HTTP/1.1\r\nHost: h\r\n\r\n"}, false},
	} {
		for _, over := range []bool{false, true} {
			if over && !row.tls {
				continue
			}
			t.Run(fmt.Sprintf("%s, TLS %v", name, over), func(t *testing.T) {
				t.Parallel()
				s := plain
				if over {
					s = secure
				}
				if status, code := sendWhole(t, s, over, row.parts...); status != row.status || code != row.code {
					t.Errorf("%d %s, want %d %s", status, code, row.status, row.code)
				}
			})
		}
	}
	t.Run("HTTP to a port of HTTPS", func(t *testing.T) {
		if status, code := sendWhole(t, secure, false, "GET /health HTTP/1.1\r\nHost: h\r\n\r\n"); status != 400 || code != "malformed_request" {
			t.Errorf("%d %s", status, code)
		}
	})
	t.Run("headers of 40 KB over HTTP/2", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, secure.URL+"/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Long", strings.Repeat("x", 40<<10))
		res, err := secure.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if code := errorCode(t, res); res.ProtoMajor != 2 || res.StatusCode != 431 || code != "headers_too_large" {
			t.Errorf("%s %s %s", res.Proto, res.Status, code)
		}
	})
}
