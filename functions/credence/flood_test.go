package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/api/admin"
)

// field is a server with two organisations: one floods, of the other the requests
// are timed. The flood comes from another address.
type field struct {
	testing.TB
	url, hangs    string // of the server, and of a target that never answers
	own           string // the path of a credential whose owner does not flood
	keys, tokens  [2]string
	victim, flood *http.Client
	dial          net.Dialer // of the flood
	refused       atomic.Int64
}

func newField(b *testing.B) *field {
	p, key := newBench(b)
	s := bare(b, p, false)
	other, err := p.admin.Do(b.Context(), admin.Command{Action: admin.AddOrg, Name: "Flooding", Email: "a@flood.example"})
	if err != nil {
		b.Fatal(err)
	}
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	b.Cleanup(target.CloseClientConnections)
	f := &field{
		TB: b, url: s.URL, hangs: target.URL, keys: [2]string{key, other.ServiceKey}, victim: &http.Client{Transport: &http.Transport{}},
		dial: net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}},
	}
	f.flood = &http.Client{Transport: &http.Transport{DialContext: f.dial.DialContext, MaxIdleConnsPerHost: 100}}
	for n, k := range f.keys {
		f.tokens[n] = session(b, s.URL, k)
	}
	for n := range 1510 {
		f.ask(b.Context(), f.victim, "POST", "/data_credentials", "Bearer "+f.tokens[min(n/10, 1)],
			fmt.Sprintf(`{"name":"n%d","credentials_type":"rest","credentials":{"api_key":"secret","base_url":"https://api.example.com"}}`, n))
	}
	made := ask(b, p.handler, "GET", "/data_credentials", "Bearer "+f.tokens[0], "")
	f.own = "/data_credentials/" + regexp.MustCompile(`"id":(\d+)`).FindStringSubmatch(made)[1]
	return f
}

// ask sends a request, reads its answer and returns the status; 0 for none.
func (f *field) ask(ctx context.Context, by *http.Client, method, path, sign, body string) int {
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", sign)
	res, err := by.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// hold opens a connection of the flood, sends text and holds it for a while.
func (f *field) hold(ctx context.Context, text string, d time.Duration) int {
	c, err := f.dial.DialContext(ctx, "tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		return 0
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, text)
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return 0
}

func (f *field) probe(ctx context.Context, by *http.Client, who int, n int64) int {
	return f.ask(ctx, by, "POST", "/data_credentials/probe", "Bearer "+f.tokens[who], fmt.Sprintf(
		`{"credentials_type":"rest","credentials":{"api_key":"secret%d","base_url":%q}}`, n, f.hangs+fmt.Sprint("/", n)))
}

// BenchmarkFlood lets one organisation fill each bound and go beyond it, a client
// that is refused waits 100 ms, and times the requests of another organisation
// beside that and alone.
func BenchmarkFlood(b *testing.B) {
	list := func(ctx context.Context, f *field, _ int64) int {
		return f.ask(ctx, f.flood, "GET", "/data_credentials", "Bearer "+f.tokens[1], "")
	}
	read := func(f *field) int {
		return f.ask(f.Context(), f.victim, "GET", "/users/current", "Bearer "+f.tokens[0], "")
	}
	listed := func(f *field) int {
		return f.ask(f.Context(), f.victim, "GET", "/data_credentials", "Bearer "+f.tokens[0], "")
	}
	sent := func(f *field) int {
		return f.ask(f.Context(), f.victim, "PUT", f.own, "Bearer "+f.tokens[0], "{}")
	}
	f := newField(b)
	for _, row := range []struct {
		name    string
		clients int
		attack  func(ctx context.Context, f *field, n int64) int
		timed   func(f *field) int
	}{
		{"nothing", 0, nil, read},
		{"connections", 100, func(ctx context.Context, f *field, n int64) int {
			return f.hold(ctx, []string{"", "GET / HTTP/1.1\r\nHost:"}[n%2], 5*time.Second)
		}, read},
		{"bodies", 64, func(ctx context.Context, f *field, _ int64) int {
			return f.hold(ctx, "POST /data_credentials HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+f.tokens[1]+"\r\nContent-Length: 262144\r\n\r\n{", 4*time.Second)
		}, sent},
		{"lists", 16, list, listed},
		{"answers", 100, func(ctx context.Context, f *field, _ int64) int {
			return f.hold(ctx, "GET /data_credentials HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+f.tokens[1]+"\r\n\r\n", 4*time.Second)
		}, listed},
		{"probes", 64, func(ctx context.Context, f *field, n int64) int { return f.probe(ctx, f.flood, 1, n) }, read},
		{"failed sign-ins", 16, func(ctx context.Context, f *field, n int64) int {
			forged := f.keys[0][:len(f.keys[0])-43-8] + fmt.Sprintf("%042dA", n)
			return f.ask(ctx, f.flood, "POST", "/token", "Basic "+forged+fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(forged))), "")
		}, func(f *field) int { return f.ask(f.Context(), f.victim, "POST", "/token", "Basic "+f.keys[0], "") }},
		{"sessions", 4, func(ctx context.Context, f *field, _ int64) int {
			time.Sleep(20 * time.Millisecond)
			return f.ask(ctx, f.flood, "POST", "/token", "Basic "+f.keys[1], "")
		}, read},
	} {
		b.Run(row.name, func(b *testing.B) {
			f.refused.Store(0)
			var alone, beside []time.Duration
			for b.Loop() {
				alone = append(alone, f.times(b, row.timed)...)
				end := f.start(b, row.clients, row.attack)
				beside = append(beside, f.times(b, row.timed)...)
				end()
				for n, k := range f.keys { // a row may have ended the sessions
					f.tokens[n] = session(b, f.url, k)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(p99(alone), "p99-alone-ms")
			b.ReportMetric(p99(beside), "p99-beside-ms")
			b.ReportMetric(p99(beside)/p99(alone), "ratio")
			b.ReportMetric(float64(f.refused.Load())/float64(b.N), "refused/op")
		})
	}
}

// start lets so many clients attack until the function it returns is called.
func (f *field) start(b *testing.B, clients int, attack func(context.Context, *field, int64) int) func() {
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	var sent atomic.Int64
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				switch attack(ctx, f, sent.Add(1)) {
				case http.StatusTooManyRequests, http.StatusServiceUnavailable:
					f.refused.Add(1)
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	if clients > 0 {
		time.Sleep(500 * time.Millisecond) // until the bound is filled
	}
	return func() { cancel(); all.Wait() }
}

// times sends 200 requests, one every 2 ms, and returns how long each took.
func (f *field) times(b *testing.B, request func(*field) int) []time.Duration {
	took := make([]time.Duration, 200)
	for n := range took {
		began := time.Now()
		if status := request(f); status != http.StatusOK {
			b.Fatalf("the other organisation's request is answered %d", status)
		}
		took[n] = time.Since(began)
		time.Sleep(2 * time.Millisecond)
	}
	return took
}

func p99(of []time.Duration) float64 {
	slices.Sort(of)
	return of[len(of)*99/100].Seconds() * 1000
}
