package main

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkRequests times a read, a reveal, a create and an update of a credential
// through the whole handler, over the embedded store: what is left out is the network.
func BenchmarkRequests(b *testing.B) {
	p, sign := bench(b)
	const body = `{"name":"bench","credentials_type":"postgres","credentials":{"host":"db.example.com","port":5432,"database":"d","username":"u","password":"p"}}`
	// Each goroutine has a credential of its own, so that updates do not conflict.
	paths := make([]string, 16*runtime.GOMAXPROCS(0))
	for i := range paths {
		made := ask(b, p.handler, "POST", "/data_credentials", sign, body)
		paths[i] = "/data_credentials/" + madeID.FindStringSubmatch(made)[1]
	}
	for _, row := range []struct {
		name, method, body string
		path               func(own string) string
	}{
		{"read", "GET", "", func(own string) string { return own }},
		{"reveal", "GET", "", func(own string) string { return own + "/credentials" }},
		{"create", "POST", body, func(string) string { return "/data_credentials" }},
		{"update", "PUT", body, func(own string) string { return own }},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(len(paths) / runtime.GOMAXPROCS(0))
			var started atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				path := row.path(paths[started.Add(1)-1])
				for pb.Next() {
					ask(b, p.handler, row.method, path, sign, row.body)
				}
			})
		})
	}
}

// bench makes the service on an empty store and signs in with the key of its first
// start.
func bench(tb testing.TB) (*program, string) {
	tb.Helper()
	p, key := newBench(tb)
	token := ask(tb, p.handler, "POST", "/token", "Basic "+key, "")
	return p, "Bearer " + regexp.MustCompile(`"access_token":"([^"]*)"`).FindStringSubmatch(token)[1]
}

// ask sends a request to the handler and returns the body of its answer. It allocates
// little itself (about ten times), so that what is measured is the handler.
func ask(tb testing.TB, handler http.Handler, method, target, sign, body string) string {
	path, query, _ := strings.Cut(target, "?")
	r := &http.Request{
		Method: method, URL: &url.URL{Path: path, RawQuery: query}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RequestURI: target,
		Host: "localhost", RemoteAddr: "127.0.0.1:4000", Header: http.Header{"Authorization": {sign}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	w := &answer{header: http.Header{}, status: http.StatusOK}
	handler.ServeHTTP(w, r.WithContext(tb.Context()))
	if w.status != http.StatusOK {
		tb.Errorf("%s %s: %d %.200s", method, target, w.status, w.body)
	}
	return string(w.body)
}

// answer is a http.ResponseWriter that keeps the status and the body.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}
