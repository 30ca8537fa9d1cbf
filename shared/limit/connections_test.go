package limit_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"credence/shared/limit"
)

// server serves at most so many connections; /wait answers when release ends.
func server(t *testing.T, most int, secure bool) (*httptest.Server, chan struct{}, func()) {
	t.Helper()
	entered := make(chan struct{}, 100)
	ctx, release := context.WithCancel(t.Context())
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			entered <- struct{}{}
			<-ctx.Done()
		}
		_, _ = io.WriteString(w, "served")
	}))
	s.EnableHTTP2 = secure
	s.Listener = limit.NewConnections(most).Attach(s.Config, s.Listener)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() { release(); s.Close() })
	return s, entered, release
}

func open(t *testing.T, s *httptest.Server, sends string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, sends); err != nil {
		t.Fatal(err)
	}
	return c
}

// closed waits until the server ends the connection.
func closed(c net.Conn) bool {
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// Connections on which nothing, or half of a request, was sent keep nobody out,
// while one on which a handler runs is never closed.
func TestConnections(t *testing.T) {
	s, entered, release := server(t, 10, false)
	const request = "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"
	busy := open(t, s, request)
	<-entered
	var attack []net.Conn
	for i := range 200 {
		attack = append(attack, open(t, s, []string{"", "G", "GET / HTTP/1.1\r\nHost:"}[i%3]))
		if i%20 == 19 {
			res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(s.URL)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("after %d connections: %v", i, err)
			}
			_ = res.Body.Close()
		}
	}
	for i, c := range attack[:180] {
		if !closed(c) {
			t.Errorf("connection %d is open still", i)
		}
	}
	release()
	res, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || res.StatusCode != 200 {
		t.Errorf("the request under way: %v", err)
	} else {
		_ = res.Body.Close()
	}
}

// Where a handler runs on each, a new connection is closed; when they end there
// is room.
func TestConnectionsAllBusy(t *testing.T) {
	s, entered, release := server(t, 3, false)
	for range 3 {
		open(t, s, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
		<-entered
	}
	if !closed(open(t, s, "")) {
		t.Error("a fourth connection is open")
	}
	release()
	for range 20 {
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
}

// Under TLS and HTTP/2 a connection is busy while any of its requests is.
func TestConnectionsOverHTTP2(t *testing.T) {
	s, entered, release := server(t, 2, true)
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			res, err := s.Client().Get(s.URL + "/wait")
			if err == nil {
				err = res.Body.Close()
			}
			ended <- err
		}()
		<-entered
	}
	for range 10 {
		if c, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}); err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	release()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// One address takes neither the connections of another nor the last ones that are
// free, whether it sends requests or nothing.
func TestConnectionsOfOneSource(t *testing.T) {
	for name, sends := range map[string]string{"silent": "", "busy": "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			s, entered, _ := server(t, 8, false)
			kept := open(t, s, "")
			from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
			for n := range 40 {
				c, err := from.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
				if err != nil {
					t.Skipf("the machine has no second address: %v", err)
				}
				defer func() { _ = c.Close() }()
				if _, err := io.WriteString(c, sends); err != nil && n < 6 {
					t.Fatal(err)
				}
				if sends != "" && n < 6 {
					<-entered
				}
			}
			for name, c := range map[string]net.Conn{"another address": open(t, s, ""), "a connection from before": kept} {
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				_ = res.Body.Close()
			}
		})
	}
}
