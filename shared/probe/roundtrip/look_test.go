package roundtrip_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
	"credence/shared/probe/probetest"
	"credence/shared/probe/roundtrip"
)

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

func run(t *testing.T, s trusting, p probe.Prober) probe.Result {
	t.Helper()
	runner := probe.NewRunner(map[string]probe.Prober{"s3": p}, probetest.Loopback(t, s.resolver), probe.Config{Budget: time.Second})
	got := runner.Run(t.Context(), "s3", s)
	probetest.Sound(t, got)
	return got
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

// A server that takes the next connection only when the one before is closed,
// as some do that serve one at a time: what is not read of an answer keeps none
// open.
func TestOneAtATime(t *testing.T) {
	var one sync.Mutex
	s := probetest.Serve(t, func(_ context.Context, c net.Conn) {
		one.Lock()
		defer one.Unlock()
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"+probetest.Foreign)
		_, _ = io.Copy(io.Discard, c)
	})
	for name, do := range map[string]func(c *roundtrip.Client, r *http.Request) (*http.Response, bool, error){
		"glance": func(c *roundtrip.Client, r *http.Request) (*http.Response, bool, error) {
			return c.Glance(r, 5, 200*time.Millisecond)
		},
		"begin": func(c *roundtrip.Client, r *http.Request) (*http.Response, bool, error) { return c.Begin(r, 5) },
	} {
		got := run(t, trusting{}, looking(func(ctx context.Context, c *roundtrip.Client) error {
			for range 3 {
				response, _, err := do(c, get(ctx, t, "http://"+s.Addr))
				if err != nil {
					return err
				}
				_ = response.Body.Close()
			}
			return nil
		}))
		if got.Code != probe.CodeOK {
			t.Errorf("%s: %s %s", name, got.Code, got.Message)
		}
	}
}
