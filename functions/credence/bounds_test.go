package main

import (
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A client without a token that holds more connections than the server has, each
// with half of a body, keeps nobody out.
func TestConnectionsWithoutAToken(t *testing.T) {
	s := start(t, t.TempDir())
	address := strings.TrimPrefix(s.url, "http://")
	half := "POST /data_credentials HTTP/1.1\r\nHost: h\r\nContent-Length: 262144\r\n\r\n" + strings.Repeat("x", 8<<10)
	for n := range maxConnections + 100 {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, []string{half, "", "GET / HTTP/1.1\r\n"}[n%3])
	}
	if token := session(t, s.url, key(t, s.out.String())); token == "" {
		t.Error("the right key does not sign in beside them")
	}
}

// Forged keys are 429 with Retry-After soon; the keys of another organisation sign
// in at the same address.
func TestForgedKeys(t *testing.T) {
	s := start(t, t.TempDir())
	right := key(t, s.out.String())
	other := key(t, command(t, 0, "org", "add", "Other", "--email", "a@other.example", "--data", s.dir))
	limited := 0
	for n := range 60 {
		forged := right[:len(right)-43-8] + fmt.Sprintf("%042dA", n)
		forged += fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(forged)))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/token", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Basic "+forged)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		switch {
		case res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") != "":
			limited++
		case res.StatusCode != http.StatusUnauthorized:
			t.Fatalf("forged key %d: %s, Retry-After %q", n, res.Status, res.Header.Get("Retry-After"))
		}
	}
	if limited < 30 {
		t.Errorf("%d of 60 forged keys were limited", limited)
	}
	if session(t, s.url, other) == "" {
		t.Error("another organisation's key does not sign in")
	}
}
