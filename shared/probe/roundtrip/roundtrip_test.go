package roundtrip_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log" //nolint:depguard // what net/http prints on its own must be empty
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/url"
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
			do = client.Look
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

// trusting are settings with an authority, for a run with a name server.
type trusting struct {
	none
	ca       string
	resolver netguard.Resolver
}

func (s trusting) Text(name string) string {
	if name == "tls.ca_certificate" {
		return s.ca
	}
	return ""
}

func ask(t *testing.T, p asking) probe.Result {
	t.Helper()
	return run(t, trusting{}, p)
}

func run(t *testing.T, s trusting, p probe.Prober) probe.Result {
	t.Helper()
	runner := probe.NewRunner(map[string]probe.Prober{"s3": p}, probetest.Loopback(t, s.resolver), probe.Config{Budget: time.Second})
	got := runner.Run(t.Context(), "s3", s)
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

// looking is a prober that makes requests of its client's as a look does.
type looking func(ctx context.Context, c *roundtrip.Client) error

func (looking) Ports() netguard.Ports { return netguard.AnyPort }

func (p looking) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	if err := a.Stage(probe.Auth, func() error { return p(ctx, roundtrip.New(a, "endpoint")) }); err != nil {
		return a.Explain(err)
	}
	return probe.Found(probe.CodeOK, "")
}

func get(ctx context.Context, t *testing.T, address string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The beginning of an answer is read where no more is wanted, however much
// comes, and whether there is more is told.
func TestBegin(t *testing.T) {
	for name, row := range map[string]struct {
		serve func(context.Context, net.Conn)
		want  int
		more  bool
		code  probe.Code
	}{
		"less":          {body("Content-Length: 99\r\n", 99), 99, false, probe.CodeOK},
		"as much":       {body("", 100), 100, false, probe.CodeOK},
		"a byte more":   {body("", 101), 100, true, probe.CodeOK},
		"without end":   {asked(probetest.Endless("HTTP/1.1 200 OK\r\n\r\n", probetest.Foreign)), 100, true, probe.CodeOK},
		"then hangs":    {asked(probetest.Banner("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 101))), 100, true, probe.CodeOK},
		"hangs before":  {asked(probetest.Banner("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 100))), 0, false, probe.CodeProbeTimeout},
		"closes before": {body("Content-Length: 99\r\n", 98), 0, false, probe.CodeTCPReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, row.serve)
			read, more := 0, false
			got := run(t, trusting{}, looking(func(ctx context.Context, c *roundtrip.Client) error {
				response, m, err := c.Begin(get(ctx, t, "http://"+s.Addr), 100)
				if err != nil {
					return err
				}
				defer func() { _ = response.Body.Close() }()
				text, err := io.ReadAll(response.Body)
				read, more = len(text), m
				return err
			}))
			if got.Code != row.code || read != row.want || more != row.more {
				t.Errorf("got %s, %d bytes, more %v", got.Code, read, more)
			}
		})
	}
}

// Where a status is enough, a body that hangs, never ends or is cut off is
// none of our business.
func TestLook(t *testing.T) {
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
				kept = r.StatusCode == http.StatusOK && r.Header.Get("X-Y") == "z" && len(body) == 0 && err == nil
			}})
			if got.Code != probe.CodeOK || !kept {
				t.Errorf("got %s, kept %v", got.Code, kept)
			}
		})
	}
}

func asked(handle func(context.Context, net.Conn)) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		handle(ctx, c)
	}
}

func body(header string, size int) func(context.Context, net.Conn) {
	return asked(func(_ context.Context, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+header+"\r\n"+strings.Repeat("x", size))
	})
}

// turning is a name server that answers each look-up with another address, the
// first of which is where the server is.
type turning struct{ asked int }

func (n *turning) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n.asked++
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(n.asked)})}, nil
}

// Many requests go to one address where the client stays, with TLS and without,
// under the name of the host; else each asks anew.
func TestStay(t *testing.T) {
	ca := probetest.NewAuthority(t)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{Names: []string{"many.example.com"}})}}
	web.StartTLS()
	t.Cleanup(web.Close)
	plain := httptest.NewServer(web.Config.Handler)
	t.Cleanup(plain.Close)
	for _, address := range []string{web.URL, plain.URL} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		address = u.Scheme + "://many.example.com:" + u.Port() + "/"
		for stays, want := range map[bool]probe.Code{true: probe.CodeOK, false: probe.CodeTCPRefused} {
			names := &turning{}
			got := run(t, trusting{ca: ca.PEM, resolver: names}, looking(func(ctx context.Context, c *roundtrip.Client) error {
				if stays {
					c.Stay()
				}
				for range 12 {
					response, err := c.Do(get(ctx, t, address))
					if err != nil {
						return err
					}
					text, _ := io.ReadAll(response.Body)
					_ = response.Body.Close()
					if want := "many.example.com:" + u.Port(); string(text) != want {
						t.Errorf("the host is named as %q, want %q", text, want)
					}
				}
				return nil
			}))
			if got.Code != want || stays && names.asked != 1 {
				t.Errorf("%s, stays %v: got %s, %d look-ups: %s", u.Scheme, stays, got.Code, names.asked, got.Message)
			}
		}
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
