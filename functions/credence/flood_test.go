//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// field is a server, in a process of its own, with three organisations: the first one's
// requests are timed in this process, the others flood from a third process.
type field struct {
	URL, Hangs string // of the server, and of a target that never answers
	Own        string // the path of a credential of the first organisation
	Keys       [3]string
	Tokens     [3]string
	Row        int  // of floods
	Spins      bool // keep a core busy instead, to compare with

	dial   net.Dialer
	client *http.Client
}

func newField(b *testing.B) *field {
	dir := filepath.Join(b.TempDir(), "data")
	c := child(b.Context(), "", "serve", "--addr", "127.0.0.1:0", "--data", dir, "--loopback")
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	c.Stderr = io.Discard
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	f := &field{client: &http.Client{Transport: &http.Transport{}}}
	for lines := bufio.NewScanner(out); f.Keys[0] == "" && lines.Scan(); {
		if m := servesAt.FindStringSubmatch(lines.Text()); m != nil {
			f.URL = m[1]
		}
		f.Keys[0] = keyLine.FindString(lines.Text())
	}
	for n := range 2 {
		made := child(b.Context(), "", "org", "add", fmt.Sprint("Flooding ", n), "--email", "a@flood.example", "--data", dir)
		text, err := made.Output()
		if f.Keys[n+1] = keyLine.FindString(string(text)); err != nil || f.Keys[n+1] == "" {
			b.Fatalf("%v: %s", err, text)
		}
	}
	f.signIn(b)
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	b.Cleanup(target.CloseClientConnections)
	f.Hangs = target.URL
	for n := range 3010 {
		f.ask(b.Context(), "POST", "/data_credentials", "Bearer "+f.Tokens[(n+1490)/1500],
			fmt.Sprintf(`{"name":"n%d","credentials_type":"rest","credentials":{"api_key":"secret","base_url":"https://api.example.com"}}`, n))
	}
	req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, f.URL+"/data_credentials", nil)
	req.Header.Set("Authorization", "Bearer "+f.Tokens[0])
	res, err := f.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	list, _ := io.ReadAll(res.Body)
	f.Own = "/data_credentials/" + regexp.MustCompile(`"id":(\d+)`).FindStringSubmatch(string(list))[1]
	return f
}

// signIn opens new sessions: a flood may have ended those before.
func (f *field) signIn(b *testing.B) {
	for n, k := range f.Keys {
		f.Tokens[n] = session(b, f.URL, k)
	}
}

// ask sends a request, reads its answer and returns the status; 0 for none.
func (f *field) ask(ctx context.Context, method, path, sign, body string) int {
	req, err := http.NewRequestWithContext(ctx, method, f.URL+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", sign)
	res, err := f.client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// hold opens a connection, sends text and holds it for a while.
func (f *field) hold(ctx context.Context, d time.Duration, text string) int {
	c, err := f.dial.DialContext(ctx, "tcp", strings.TrimPrefix(f.URL, "http://"))
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

// head is the start of a request of the second organisation on a connection of its own.
func (f *field) head(line, more string) string {
	return line + " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + f.Tokens[1] + "\r\n" + more + "\r\n"
}

func (f *field) forged(ctx context.Context, n int64) int {
	key := f.Keys[0][:len(f.Keys[0])-43-8] + fmt.Sprintf("%042dA", n)
	return f.ask(ctx, "POST", "/token", "Basic "+key+fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(key))), "")
}

func read(f *field) int {
	return f.ask(context.Background(), "GET", "/users/current", "Bearer "+f.Tokens[0], "")
}

func listed(f *field) int {
	return f.ask(context.Background(), "GET", "/data_credentials", "Bearer "+f.Tokens[0], "")
}

// floods are the attacks on each bound, each with the request of the first
// organisation that is timed beside it.
var floods = []struct {
	name    string
	clients int
	attack  func(ctx context.Context, f *field, n int64) int
	timed   func(f *field) int
}{
	{"nothing", 0, nil, read},
	{"nothing, a list", 0, nil, listed},
	{"connections", 100, func(ctx context.Context, f *field, n int64) int {
		return f.hold(ctx, 5*time.Second, []string{"", "GET / HTTP/1.1\r\nHost:"}[n%2])
	}, read},
	{"requests", 300, func(ctx context.Context, f *field, _ int64) int {
		return f.hold(ctx, 4*time.Second, f.head("PUT /data_credentials/1", "Content-Length: 9\r\n")+"{")
	}, read},
	{"bodies", 64, func(ctx context.Context, f *field, _ int64) int {
		return f.hold(ctx, 4*time.Second, f.head("POST /data_credentials", "Content-Length: 262144\r\n")+"{")
	}, func(f *field) int { return f.ask(context.Background(), "PUT", f.Own, "Bearer "+f.Tokens[0], "{}") }},
	{"lists", 16, func(ctx context.Context, f *field, _ int64) int {
		return f.ask(ctx, "GET", "/data_credentials", "Bearer "+f.Tokens[1], "")
	}, listed},
	{"lists, beside a read", 16, func(ctx context.Context, f *field, _ int64) int {
		return f.ask(ctx, "GET", "/data_credentials", "Bearer "+f.Tokens[1], "")
	}, read},
	{"lists of two organisations", 32, func(ctx context.Context, f *field, n int64) int {
		return f.ask(ctx, "GET", "/data_credentials", "Bearer "+f.Tokens[1+n%2], "")
	}, listed},
	{"answers", 100, func(ctx context.Context, f *field, _ int64) int {
		return f.hold(ctx, 4*time.Second, f.head("GET /data_credentials", ""))
	}, listed},
	{"probes", 64, func(ctx context.Context, f *field, n int64) int {
		return f.ask(ctx, "POST", "/data_credentials/probe", "Bearer "+f.Tokens[1], fmt.Sprintf(
			`{"credentials_type":"rest","credentials":{"api_key":"secret%d","base_url":%q}}`, n, f.Hangs+fmt.Sprint("/", n)))
	}, read},
	{"failed sign-ins", 16, func(ctx context.Context, f *field, n int64) int { return f.forged(ctx, n) }, signed},
	{"failed sign-ins from many sources", 16, func(ctx context.Context, f *field, n int64) int {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1+byte(n>>8), byte(n))}}
		f = &field{URL: f.URL, Keys: f.Keys, client: &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}}
		time.Sleep(20 * time.Millisecond)
		return f.forged(ctx, n)
	}, signed},
	{"sessions", 4, func(ctx context.Context, f *field, _ int64) int {
		time.Sleep(20 * time.Millisecond)
		return f.ask(ctx, "POST", "/token", "Basic "+f.Keys[1], "")
	}, read},
}

func signed(f *field) int {
	return f.ask(context.Background(), "POST", "/token", "Basic "+f.Keys[0], "")
}

// floodVariable makes this binary the process that floods: a field as JSON.
const floodVariable = "CREDENCE_TEST_FLOOD"

// TestFlooding attacks until its input ends, and prints how often it was rejected. A
// client that is rejected waits 100 ms. By itself it does nothing.
func TestFlooding(t *testing.T) {
	text := os.Getenv(floodVariable)
	if text == "" {
		t.Skip("is run by BenchmarkFlood")
	}
	f := &field{dial: net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}}
	if err := json.Unmarshal([]byte(text), f); err != nil {
		t.Fatal(err)
	}
	f.client = &http.Client{Transport: &http.Transport{DialContext: f.dial.DialContext, MaxIdleConnsPerHost: 100}}
	row := floods[f.Row]
	if f.Spins {
		row.clients = min(1, row.clients)
		row.attack = func(ctx context.Context, _ *field, _ int64) int {
			for ctx.Err() == nil {
			}
			return 0
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var sent, rejected atomic.Int64
	for range row.clients {
		all.Go(func() {
			for ctx.Err() == nil {
				switch row.attack(ctx, f, sent.Add(1)) {
				case http.StatusTooManyRequests, http.StatusServiceUnavailable:
					rejected.Add(1)
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	all.Wait()
	fmt.Println("rejected", rejected.Load(), sent.Load())
	os.Exit(0)
}

// start lets the third process flood until the function it returns is called, which
// returns how many requests were rejected, and of how many.
func (f *field) start(b *testing.B, row int, spins bool) func() (int, int) {
	f.Row, f.Spins = row, spins
	text, err := json.Marshal(f)
	if err != nil {
		b.Fatal(err)
	}
	c := child(b.Context(), "", "version")
	c.Args[1] = "-test.run=^TestFlooding$"
	c.Env = append(c.Env, floodVariable+"="+string(text))
	in, err := c.StdinPipe()
	var out strings.Builder
	c.Stdout = &out
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	time.Sleep(700 * time.Millisecond) // until the bound is filled
	return func() (n, of int) {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			b.Fatalf("%v: %s", err, out.String())
		}
		_, _ = fmt.Sscanf(out.String(), "rejected %d %d", &n, &of)
		return n, of
	}
}

// BenchmarkFlood has one organisation, or two, fill each bound and go beyond it, and
// times the requests of another one beside that, alone, and beside a program that keeps
// one core busy. Server, flood and timed client are three processes.
func BenchmarkFlood(b *testing.B) {
	f := newField(b)
	for n, row := range floods {
		b.Run(row.name, func(b *testing.B) {
			var alone, beside, core []time.Duration
			rejected, sent := 0, 0
			for b.Loop() {
				alone = append(alone, f.times(b, row.timed)...)
				end := f.start(b, n, true)
				core = append(core, f.times(b, row.timed)...)
				end()
				end = f.start(b, n, false)
				beside = append(beside, f.times(b, row.timed)...)
				r, s := end()
				rejected, sent = rejected+r, sent+s
				f.signIn(b)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(p(50, alone), "p50-alone-ms")
			b.ReportMetric(p(50, beside), "p50-beside-ms")
			b.ReportMetric(p(99, alone), "p99-alone-ms")
			b.ReportMetric(p(99, core), "p99-core-ms")
			b.ReportMetric(p(99, beside), "p99-beside-ms")
			b.ReportMetric(p(99, beside)/p(99, alone), "ratio")
			b.ReportMetric(p(99, beside)/p(99, core), "ratio-core")
			b.ReportMetric(float64(rejected)/float64(b.N), "rejected/op")
			b.ReportMetric(float64(sent)/float64(b.N), "sent/op")
		})
	}
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

func p(percent int, of []time.Duration) float64 {
	slices.Sort(of)
	return of[len(of)*percent/100].Seconds() * 1000
}
