package netguard_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/netguard"
	"credence/shared/probe/probetest"
)

// trail is what one probe left where a credential points.
type trail struct {
	dialled int // by the guard
	arrived int // at the server, by whatever way
	asked   int // of name servers, other than by the guard
}

// sidesteps reports whether the prober went round the guard.
func (r trail) sidesteps() bool { return r.arrived != r.dialled || r.asked != 0 }

// asked counts how often the tests of this package asked a name server. The
// resolver that counts stays: what a probe left behind may still hold it.
var asked atomic.Int64

func TestMain(m *testing.M) {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, errors.New("no name server")
	}}
	os.Exit(m.Run())
}

// follow runs a prober towards a server and counts.
func follow(t *testing.T, p probe.Prober, a aim, serve func(context.Context, net.Conn), permit bool) trail {
	t.Helper()
	server := probetest.Serve(t, serve)
	before := asked.Load()
	guard := netguard.Unchecked(netguard.Policy{Loopback: permit, Resolver: &names{turns: [][]string{{"127.0.0.1"}}}})
	sent := netguard.Record(guard, func(netip.AddrPort) (net.Conn, error) { return net.Dial("tcp", server.Addr) })
	runner := probe.NewRunner(map[string]probe.Prober{a.typeName: p}, guard, probe.Config{Budget: 300 * time.Millisecond})
	got := runner.Run(t.Context(), a.typeName, a.settings(where{"127.0.0.1", portOf(t, server.Addr), true}))
	probetest.Sound(t, got, key)

	// Connections are accepted in their order: behind this one there is none
	// of the probe's.
	c, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	dialled := len(sent())
	for deadline := time.Now().Add(5 * time.Second); server.Accepted.Load() <= int64(dialled) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(5 * time.Millisecond) // one that was left behind
	return trail{dialled, int(server.Accepted.Load()) - 1, int(asked.Load() - before)}
}

// Each prober reaches the system by the guard and by nothing else: what arrives
// is what the guard dialled, whatever the server does, and nothing where the
// guard refuses.
func TestProbersDialOnlyThroughTheGuard(t *testing.T) {
	servers := map[string]func(context.Context, net.Conn){
		"hangs":          probetest.Hang, // a driver may want to cancel what it began, over another connection
		"closes at once": probetest.CloseAtOnce,
		"web":            probetest.Banner("HTTP/1.1 307 Elsewhere\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"),
		"web, fails":     probetest.Banner("HTTP/1.1 503 Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"), // an SDK may want to try again
		"PostgreSQL":     probetest.Banner("R\x00\x00\x00\x08\x00\x00\x00\x03R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"),
		"MySQL":          probetest.Banner("\x4a\x00\x00\x00\x0a8.0.36\x00\x01\x00\x00\x00abcdefgh\x00\x05\xa2\x2d\x02\x00\x08\x00\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ijklmnopqrst\x00mysql_native_password\x00"),
	}
	probers := builtin.Probers()
	for _, a := range aims(t) {
		used := 0
		for name, serve := range servers {
			if r := follow(t, probers[a.typeName], a, serve, true); r.sidesteps() {
				t.Errorf("%s, a server that %s: %+v", a, name, r)
			} else {
				used += r.dialled
			}
		}
		if used < len(servers) && !a.pinned { // those would need a server on their own port
			t.Errorf("%s: %d dials to %d servers: not even the guard was used", a, used, len(servers))
		}
		if r := follow(t, probers[a.typeName], a, probetest.Hang, false); r != (trail{}) {
			t.Errorf("%s, where the guard refuses: %+v", a, r)
		}
	}
}

// planted is a prober made of a function.
type planted func(ctx context.Context, a *probe.Attempt, address string) error

func (planted) Ports() netguard.Ports { return netguard.AnyPort }

func (p planted) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	port, _ := a.Settings().Int("port")
	return a.Explain(a.Stage(probe.Auth, func() error {
		_ = p(ctx, a, net.JoinHostPort(a.Settings().Text("host"), portText(port)))
		return probe.Found(probe.CodeRateLimited, "")
	}))
}

// Probers that go round the guard, each in a way that a driver has; the look
// above finds every one of them, and not the one that does not.
func TestPlantedSidestepsAreFound(t *testing.T) {
	drop := func(c net.Conn, err error) error {
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	honest := planted(func(ctx context.Context, a *probe.Attempt, address string) error {
		return drop(a.DialPlaintext(ctx, "tcp", address))
	})
	ways := map[string]planted{
		"net.Dial":       func(_ context.Context, _ *probe.Attempt, address string) error { return drop(net.Dial("tcp", address)) },
		"net.LookupHost": func(context.Context, *probe.Attempt, string) error { _, err := net.LookupHost(name); return err },
		"by name":        func(context.Context, *probe.Attempt, string) error { return drop(net.Dial("tcp", name+":5432")) },
		"tls.Dial": func(_ context.Context, _ *probe.Attempt, address string) error {
			c, err := tls.Dial("tcp", address, &tls.Config{ServerName: "x", MinVersion: tls.VersionTLS12})
			if err == nil {
				_ = c.Close()
			}
			return err
		},
		"http.Get": func(ctx context.Context, _ *probe.Attempt, address string) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
			if err != nil {
				return err
			}
			response, err := http.DefaultClient.Do(r)
			if err == nil {
				_ = response.Body.Close()
			}
			return err
		},
		"a transport of its own": func(ctx context.Context, _ *probe.Attempt, address string) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
			if err != nil {
				return err
			}
			response, err := (&http.Transport{}).RoundTrip(r)
			if err == nil {
				_ = response.Body.Close()
			}
			return err
		},
		"pgconn's own dialer": func(ctx context.Context, _ *probe.Attempt, address string) error {
			_, err := pgconn.Connect(ctx, fmt.Sprintf("postgres://app:x@%s/app?sslmode=disable", address))
			return err
		},
		"the MySQL driver's own dialer": func(ctx context.Context, _ *probe.Attempt, address string) error {
			config := mysqldriver.NewConfig()
			config.Net, config.Addr, config.Logger = "tcp", address, &mysqldriver.NopLogger{}
			connector, err := mysqldriver.NewConnector(config)
			if err != nil {
				return err
			}
			_, err = connector.Connect(ctx)
			return err
		},
		"a second one, by itself": func(ctx context.Context, a *probe.Attempt, address string) error {
			return errors.Join(honest(ctx, a, address), drop(net.Dial("tcp", address)))
		},
	}
	to := aim{typeName: "planted", settings: database}
	if r := follow(t, honest, to, probetest.Hang, true); r.sidesteps() || r.dialled != 1 {
		t.Errorf("a prober that goes through the guard: %+v", r)
	}
	for way, p := range ways {
		for _, permit := range []bool{true, false} {
			if r := follow(t, p, to, probetest.Hang, permit); !r.sidesteps() {
				t.Errorf("%s, permitted %v: not found: %+v", way, permit, r)
			}
		}
	}
}

// The same on real sockets: a server at every address of this machine, and not
// one connection, whichever of them is named.
func TestNothingArrivesAtThisMachine(t *testing.T) {
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	var accepted atomic.Int64
	arrived := make(chan struct{}, 1024)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			accepted.Add(1)
			arrived <- struct{}{}
		}
	}()
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1", "127.9.9.9", "localhost", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "::ffff:0.0.0.0", "0.1.2.3"}
	for _, ip := range own {
		if ip, _, _ := strings.Cut(ip.String(), "/"); !netip.MustParseAddr(ip).IsLinkLocalUnicast() {
			hosts = append(hosts, ip)
		}
	}
	guard, err := netguard.New(netguard.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7")}})
	if err != nil {
		t.Fatal(err)
	}
	port := portOf(t, listener.Addr().String())
	for _, a := range aims(t) {
		if a.pinned {
			continue
		}
		for _, host := range hosts {
			for _, plain := range []bool{false, true} {
				got := probe.NewRunner(builtin.Probers(), guard, probe.Config{}).Run(t.Context(), a.typeName, a.settings(where{host, port, plain}))
				if got.Code != probe.CodeDestinationBlocked {
					t.Errorf("%s, %s: %s", a, host, got.Code)
				}
			}
		}
		if n := accepted.Load(); n != 0 {
			t.Fatalf("%s: %d connections", a, n)
		}
		got := probe.NewRunner(builtin.Probers(), probetest.Loopback(t, nil), probe.Config{}).Run(t.Context(), a.typeName, a.settings(where{"127.0.0.1", port, true}))
		if got.Code != probe.CodeTCPReset { // or nobody listens, and nothing was tested
			t.Fatalf("%s, where this machine may be reached: %s", a, got.Code)
		}
		<-arrived
		accepted.Store(0)
	}
}
