package roundtrip_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log" //nolint:depguard // what net/http prints on its own must be empty
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
	"credence/shared/probe/probetest"
	"credence/shared/probe/roundtrip"
)

// asking is a prober that makes one request.
type asking struct {
	address string
	pause   time.Duration // before the request is written
	keep    func(*http.Response)
	look    bool
	header  http.Header
}

func (asking) Ports() netguard.Ports { return netguard.AnyPort }

func (p asking) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	err := a.Stage(probe.Auth, func() error {
		// What a server says before it is asked has time to arrive.
		ctx := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { time.Sleep(p.pause) }})
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address, nil)
		if err != nil {
			return err
		}
		for name, values := range p.header {
			r.Header[name] = values
		}
		client := roundtrip.New(a, "endpoint")
		do := client.Do
		if p.look {
			do = func(r *http.Request) (*http.Response, error) {
				response, _, err := client.Glance(r, 1000, 200*time.Millisecond)
				return response, err
			}
		}
		response, err := do(r)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		p.keep(response)
		return nil
	})
	if err != nil {
		return a.Explain(err)
	}
	return probe.Found(probe.CodeOK, "")
}

type none struct{ probe.Settings }

func (none) Text(string) string         { return "" }
func (none) Bool(string) (v, sent bool) { return false, false }

func ask(t *testing.T, p asking) probe.Result {
	t.Helper()
	runner := probe.NewRunner(map[string]probe.Prober{"s3": p}, probetest.Loopback(t, nil), probe.Config{Budget: time.Second})
	got := runner.Run(t.Context(), "s3", none{})
	probetest.Sound(t, got)
	return got
}

// A server that speaks before it is asked is quoted nowhere, not by net/http
// either.
func TestGreetingIsNotLogged(t *testing.T) {
	var printed bytes.Buffer
	before := log.Writer()
	log.SetOutput(&printed)
	t.Cleanup(func() { log.SetOutput(before) })
	greeting := probetest.Serve(t, probetest.Banner("SSH-2.0-x "+probetest.Foreign+"\r\n"))
	for range 3 {
		if got := ask(t, asking{address: "http://" + greeting.Addr, pause: 50 * time.Millisecond}); got.Code != probe.CodeProtocolMismatch {
			t.Fatalf("got %s", got.Code)
		}
	}
	if printed.Len() != 0 {
		t.Errorf("the log holds %d bytes", printed.Len())
	}
}

// An answer is whole, or it is none; a body may hold 64 KiB.
func TestBody(t *testing.T) {
	for name, row := range map[string]struct {
		size int
		want probe.Code
	}{
		"nothing":  {0, probe.CodeOK},
		"64 KiB":   {roundtrip.MaxBody, probe.CodeOK},
		"and more": {roundtrip.MaxBody + 1, probe.CodeProtocolMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			s := probetest.Serve(t, func(_ context.Context, c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", row.size))
			})
			read := -1
			got := ask(t, asking{address: "http://" + s.Addr, keep: func(r *http.Response) {
				body, _ := io.ReadAll(r.Body)
				read = len(body)
			}})
			if got.Code != row.want || row.want == probe.CodeOK && read != row.size {
				t.Errorf("got %s, %d bytes", got.Code, read)
			}
		})
	}
}

// A body that hangs, never ends or is cut off does not hide the status.
func TestGlance(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nX-Y: z\r\n\r\n"
	for name, serve := range map[string]func(context.Context, net.Conn){
		"hangs":      probetest.Banner(head),
		"never ends": probetest.Endless("HTTP/1.1 200 OK\r\nX-Y: z\r\n\r\n", "x"),
		"cut off":    func(_ context.Context, c net.Conn) { _, _ = io.WriteString(c, head+"x") },
	} {
		t.Run(name, func(t *testing.T) {
			s := probetest.Serve(t, func(ctx context.Context, c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				serve(ctx, c)
			})
			kept := false
			got := ask(t, asking{address: "http://" + s.Addr, look: true, keep: func(r *http.Response) {
				body, err := io.ReadAll(r.Body)
				kept = r.StatusCode == http.StatusOK && r.Header.Get("X-Y") == "z" && len(body) <= 1000 && err == nil
			}})
			if got.Code != probe.CodeOK || !kept {
				t.Errorf("got %s, kept %v", got.Code, kept)
			}
		})
	}
}

// A request says who makes it, unless it says so itself.
func TestUserAgent(t *testing.T) {
	for own, want := range map[string]string{"": "Credence-Probe", "mine/1": "mine/1"} {
		told := make(chan string, 1)
		s := probetest.Serve(t, func(_ context.Context, c net.Conn) {
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				told <- r.UserAgent()
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			}
		})
		header := http.Header{}
		if own != "" {
			header.Set("User-Agent", own)
		}
		if got := ask(t, asking{address: "http://" + s.Addr, header: header, keep: func(*http.Response) {}}); got.Code != probe.CodeOK {
			t.Fatalf("got %s", got.Code)
		}
		if got := <-told; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
