package verdicts

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"credence/shared/probe/netguard"
	"credence/shared/probe/probetest"
)

// rule is one answer of a server, and when it gives it. The first rule that
// matches answers. SECRET stands for the right secret.
type rule struct {
	If struct {
		Path    string            `yaml:"path"`
		Method  string            `yaml:"method"`
		Header  map[string]string `yaml:"header"`  // each has this value
		Exact   string            `yaml:"exact"`   // a header is written so
		Names   string            `yaml:"names"`   // the header Authorization contains it
		Query   map[string]string `yaml:"query"`   // each parameter has this value
		Form    map[string]string `yaml:"form"`    // each field of the form has this value
		Basic   string            `yaml:"basic"`   // user:password
		Encoded string            `yaml:"encoded"` // the same, each encoded as RFC 6749 §2.3.1 has it
		Body    string            `yaml:"body"`    // the body contains it
		Without []string          `yaml:"without"` // headers and parameters that are missing
		Signed  string            `yaml:"signed"`  // oauth1, sigv4, HS256, "assertion" …: a signature by the right secret
		After   int64             `yaml:"after"`   // so many requests came before
		Client  bool              `yaml:"client"`  // a client certificate was presented
	} `yaml:"if"`
	Status  int               `yaml:"status"`
	Headers map[string]string `yaml:"headers"` // several values of one name are parted by line breaks
	Body    string            `yaml:"body"`
	Gzip    bool              `yaml:"gzip"`
	Hang    bool              `yaml:"hang"`
	Repeat  int               `yaml:"repeat"` // send the body so many times
}

// server is one row's.
type server struct {
	url         string
	port        string
	names       netguard.Resolver
	authority   string
	certificate string // of a client that the server trusts
	key         string
	keyFile     string // of a service account, with the right key or another
}

func start(t *testing.T, r row, right string) *server {
	t.Helper()
	var seen atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		n := seen.Add(1)
		for _, u := range r.Server {
			if u.matches(q, body, right, n) {
				u.answer(w, q, right)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	})
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, sentKey{}, c) }
	s.Listener = recording{s.Listener}
	t.Cleanup(s.Close)
	if r.TLS == "" {
		s.Start()
		return &server{url: s.URL}
	}
	ca := probetest.NewAuthority(t)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}, ClientCAs: ca.Pool()}
	switch r.TLS {
	case "requires a certificate":
		s.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	case "requests a certificate":
		s.TLS.ClientAuth = tls.RequestClientCert
	case "only HTTP/2":
		s.EnableHTTP2 = true
		s.TLS.NextProtos = []string{"h2"}
	}
	s.StartTLS()
	if r.TLS == "only HTTP/2" {
		s.TLS.NextProtos = []string{"h2"}
	}
	started := &server{url: s.URL, authority: ca.PEM}
	started.certificate, started.key = probetest.PEM(t, ca.Issue(t, probetest.Leaf{}))
	return started
}

// recording is a listener whose connections keep what was sent: net/http writes
// the names of headers in a form of its own.
type recording struct{ net.Listener }

func (l recording) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &recorded{Conn: c}, err
}

type recorded struct {
	net.Conn
	mu   sync.Mutex
	sent []byte
}

type sentKey struct{}

func (c *recorded) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, p[:n]...)
	return n, err
}

func (c *recorded) text() string {
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.sent)
}

func (u rule) matches(q *http.Request, body []byte, right string, n int64) bool {
	c, fit := u.If, func(text string) string { return strings.ReplaceAll(text, "SECRET", right) }
	form, _ := url.ParseQuery(string(body))
	all := func(want map[string]string, get func(string) string) bool {
		for name, value := range want {
			if get(name) != fit(value) {
				return false
			}
		}
		return true
	}
	sent, _ := q.Context().Value(sentKey{}).(*recorded)
	user, password, _ := q.BasicAuth()
	plainUser, _ := url.QueryUnescape(user)
	plainPassword, _ := url.QueryUnescape(password)
	return (c.Path == "" || q.URL.Path == c.Path) && (c.Method == "" || q.Method == c.Method) && n > c.After &&
		all(c.Header, q.Header.Get) && all(c.Query, q.URL.Query().Get) && all(c.Form, form.Get) &&
		(c.Exact == "" || strings.Contains(sent.text(), "\r\n"+c.Exact+": ")) &&
		strings.Contains(q.Header.Get("Authorization"), fit(c.Names)) &&
		(c.Basic == "" || user+":"+password == fit(c.Basic)) &&
		(c.Encoded == "" || plainUser+":"+plainPassword == fit(c.Encoded)) &&
		(c.Body == "" || strings.Contains(string(body), fit(c.Body))) &&
		!slices.ContainsFunc(c.Without, func(name string) bool { return q.Header.Get(name) != "" || q.URL.Query().Get(name) != "" }) &&
		(c.Signed == "" || verifies(c.Signed, q, body, right)) &&
		(!c.Client || q.TLS != nil && len(q.TLS.PeerCertificates) > 0)
}

func (u rule) answer(w http.ResponseWriter, q *http.Request, right string) {
	if u.Hang {
		<-q.Context().Done()
		return
	}
	for name, value := range u.Headers {
		for one := range strings.SplitSeq(strings.TrimSpace(value), "\n") {
			w.Header().Add(name, strings.Replace(one, "LONG", strings.Repeat("x", 20<<10), 1))
		}
	}
	body := []byte(strings.Repeat(strings.ReplaceAll(u.Body, "SECRET", right), max(1, u.Repeat)))
	if u.Gzip {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(body)
		_ = z.Close()
		body = packed.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	if u.Status != 0 {
		w.WriteHeader(u.Status)
	}
	_, _ = w.Write(body)
}
