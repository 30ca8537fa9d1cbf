package endtoend

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// target is a system that a probe is pointed at. Each has a port of its own:
// the service counts attempts and refusals per host, port and user.
type target struct {
	URL string
	// CA is the certificate that vouches for it, in PEM form; "" without TLS.
	CA string
	// behaves is what it does now; a check may change it under way.
	behaves atomic.Pointer[http.HandlerFunc]
	// Asked counts the requests that arrived.
	asked atomic.Int64
}

// target starts one on the address that the service may reach.
func (su *suite) target(t *testing.T, h http.HandlerFunc) *target {
	t.Helper()
	tg, server := su.targetServer(t, h)
	server.Start()
	tg.URL = server.URL
	return tg
}

// tlsTarget starts one that speaks TLS with a certificate that nobody trusts.
func (su *suite) tlsTarget(t *testing.T, h http.HandlerFunc) *target {
	t.Helper()
	return su.endingTarget(t, h, time.Now().Add(time.Hour))
}

// endingTarget is tlsTarget with a certificate that ends then, or has ended.
func (su *suite) endingTarget(t *testing.T, h http.HandlerFunc, end time.Time) *target {
	t.Helper()
	tg, server := su.targetServer(t, h)
	certificate := su.certificate(t, end)
	tg.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	// A probe that does not trust the certificate says so; that is no news.
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	tg.URL = server.URL
	return tg
}

func (su *suite) targetServer(t *testing.T, h http.HandlerFunc) (*target, *httptest.Server) {
	t.Helper()
	tg := &target{}
	tg.behaves.Store(&h)
	ended, end := context.WithCancel(context.Background())
	server := &httptest.Server{
		Listener: su.listen(t),
		Config: &http.Server{
			ReadHeaderTimeout: 10 * time.Second,
			BaseContext:       func(net.Listener) context.Context { return ended },
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tg.asked.Add(1)
				(*tg.behaves.Load())(w, r)
			}),
		},
	}
	t.Cleanup(server.Close)
	t.Cleanup(end) // before Close, which waits for what hangs
	return tg, server
}

// listen takes a port on the targets' address.
func (su *suite) listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(su.Targets, "0"))
	if err != nil {
		t.Fatalf("listening for probes: %v", err)
	}
	return l
}

// nobody is an address where no one listens.
func (su *suite) nobody(t *testing.T) string {
	t.Helper()
	l := su.listen(t)
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatalf("giving up a port: %v", err)
	}
	return "http://" + addr
}

// speaker is a listener that says something as soon as one connects, and
// closes. With nothing to say it closes at once.
func (su *suite) speaker(t *testing.T, says string) string {
	t.Helper()
	l := su.listen(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = io.WriteString(conn, says)
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// wants lets in who sends the key in the header that keys travel in.
func wants(key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != key {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"hello":"friend"}`)
	}
}

// forbids is wants that rejects a wrong key with 403 and names it.
func forbids(key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") == "" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		if r.Header.Get("X-Api-Key") != key {
			http.Error(w, "invalid API key", http.StatusForbidden)
		}
	}
}

// always answers the same whoever asks.
func always(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// echoes refuses and says in every way what was sent.
func echoes(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("X-Api-Key")
	w.Header().Set("Www-Authenticate", "Key realm="+key)
	w.Header().Set("X-Seen", key)
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = fmt.Fprintf(w, "{\"message\":\"no such key: %s\"}", key)
}

// leads sends the caller elsewhere.
func leads(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

// hangs never answers.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drips answers, and never comes to an end.
func drips(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, "."); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		time.Sleep(50 * time.Millisecond)
	}
}

// slowly waits before it does what it does.
func slowly(wait time.Duration, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(wait):
			h(w, r)
		case <-r.Context().Done():
		}
	}
}
