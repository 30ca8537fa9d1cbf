package netguard_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/netguard"
	"credence/shared/probe/probetest"
)

// open is a public address. What is sent to it here arrives at the test's own
// server, or nowhere.
const open = "93.184.216.34"

func portText(port int64) string { return strconv.FormatInt(port, 10) }

// names is a resolver: the first lookup of any name takes the first of the
// turns, the next one the next, the last one again and again.
type names struct {
	mu    sync.Mutex
	turns [][]string
	asked []string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	if len(n.turns) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	turn := n.turns[0]
	if len(n.turns) > 1 {
		n.turns = n.turns[1:]
	}
	var ips []netip.Addr
	for _, text := range turn {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips, nil
}

// pinned are the hosts that probers reach of their own accord.
var pinned = []string{"oauth2.googleapis.com", "storage.googleapis.com", "s3.eu-central-1.amazonaws.com", "sts.eu-central-1.amazonaws.com"}

// public is a web server that stands at the address open.
type public struct {
	at     string
	ca     string
	answer http.HandlerFunc // of the case that runs
}

func newPublic(t *testing.T) *public {
	t.Helper()
	ca := probetest.NewAuthority(t)
	leaf := ca.Issue(t, probetest.Leaf{Names: append([]string{open, name}, pinned...)})
	p := &public{ca: ca.PEM}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.answer(w, r) }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	s.StartTLS()
	t.Cleanup(s.Close)
	p.at = s.Listener.Addr().String()
	return p
}

const name = "db.example.com" // that settings name where they name no literal

// attempt is one probe of the matrix and what it left behind.
type attempt struct {
	aim    aim
	where  where
	turns  [][]string // of the resolver
	allow  []netip.Prefix
	server *public // nil: nobody answers at the address open
}

type outcome struct {
	got   probe.Result
	sent  []netip.Addr
	asked []string
}

func (a attempt) run(t *testing.T) outcome {
	t.Helper()
	resolver := &names{turns: a.turns}
	guard := netguard.Unchecked(netguard.Policy{Resolver: resolver, Allow: a.allow})
	sent := netguard.Record(guard, func(at netip.AddrPort) (net.Conn, error) {
		if a.server == nil || at.Addr() != netip.MustParseAddr(open) {
			return nil, syscall.ECONNREFUSED
		}
		return net.Dial("tcp", a.server.at)
	})
	s := a.aim.settings(a.where)
	if a.server != nil {
		s = s.with("tls.ca_certificate", a.server.ca)
	}
	got := probe.NewRunner(builtin.Probers(), guard, probe.Config{}).Run(t.Context(), a.aim.typeName, s)
	probetest.Sound(t, got, key)
	return outcome{got, sent(), resolver.asked}
}

// nothing holds that a probe was refused by the guard, before a packet.
func (o outcome) nothing(t *testing.T, label string) {
	t.Helper()
	if o.got.Code != probe.CodeDestinationBlocked || len(o.sent) != 0 || probetest.Stage(o.got, probe.TCP).Outcome != probe.StageSkipped {
		t.Errorf("%s: %s, packets to %v: %s", label, o.got.Code, o.sent, o.got.Message)
	}
}

// only holds that packets went to the public address and nowhere else.
func (o outcome) only(t *testing.T, label string) {
	t.Helper()
	if len(o.sent) == 0 || slices.ContainsFunc(o.sent, func(ip netip.Addr) bool { return ip != netip.MustParseAddr(open) }) {
		t.Errorf("%s: %s, packets to %v: %s", label, o.got.Code, o.sent, o.got.Message)
	}
	if o.got.Verdict == probe.Valid {
		t.Errorf("%s: valid", label)
	}
}

// Every special address, by every way a credential or a name server can bring
// it in, to every prober.
func TestNoProberReachesASpecialAddress(t *testing.T) {
	cases := 0
	for _, a := range aims(t) {
		for _, ip := range netguard.Special(false) {
			for _, plain := range []bool{false, true} {
				at := func(host string) where { return where{host, 5000, plain} }
				for way, row := range map[string]attempt{
					"literal":            {where: at(ip)},
					"name":               {where: at(name), turns: [][]string{{ip}}},
					"public and special": {where: at(name), turns: [][]string{{open, ip}}},
					"special and public": {where: at(name), turns: [][]string{{ip, open}}},
				} {
					row.aim = a
					label := fmt.Sprintf("%s, %s as %s, plaintext %v", a, ip, way, plain)
					if way == "literal" && a.pinned {
						row.turns = [][]string{{open}}
						row.run(t).only(t, label)
					} else {
						row.run(t).nothing(t, label)
					}
					cases++
				}
			}
		}
	}
	t.Logf("%d cases: %d ways to name a host, %d addresses", cases, len(aims(t)), len(netguard.Special(false)))
	if least := 60 * len(builtin.Probers()) * 4; cases < least {
		t.Errorf("%d cases, want %d or more", cases, least)
	}
}

// The whole internet allowed, every private range and every other one with it:
// what is denied hard stays denied.
func TestNoListOpensASpecialAddress(t *testing.T) {
	whole := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	cases := 0
	for _, a := range aims(t) {
		for _, ip := range netguard.Special(true) {
			for _, plain := range []bool{false, true} {
				label := fmt.Sprintf("%s, %s, plaintext %v", a, ip, plain)
				if !a.pinned {
					attempt{aim: a, where: where{ip, 5000, plain}, allow: whole}.run(t).nothing(t, label)
				}
				attempt{aim: a, where: where{name, 5000, plain}, turns: [][]string{{ip}}, allow: whole}.run(t).nothing(t, label+", by name")
				cases++
			}
		}
		// The list does open what it may, or nothing was tested.
		o := attempt{aim: a, where: where{name, 5000, true}, turns: [][]string{{"10.1.2.3"}}, allow: whole}.run(t)
		if len(o.sent) != 1 || o.got.Code != probe.CodeTCPRefused {
			t.Errorf("%s, a private address on the list: %s, packets to %v", a, o.got.Code, o.sent)
		}
	}
	t.Logf("%d cases", cases)
}

// A name that answers with a public address first and a special one when it is
// asked again. Who asks twice is refused the second time; who asks once holds
// to the first answer.
func TestNoProberIsRebound(t *testing.T) {
	server := newPublic(t)
	cases, refused := 0, 0
	for _, a := range aims(t) {
		for _, ip := range netguard.Special(false) {
			server.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, a.answer) }
			row := attempt{aim: a, where: where{name, 5000, false}, turns: [][]string{{open}, {ip}}}
			if a.web {
				row.server = server
			}
			o := row.run(t)
			label := fmt.Sprintf("%s, rebound to %s", a, ip)
			o.only(t, label)
			if a.again {
				refused++
				if o.got.Code != probe.CodeDestinationBlocked || len(o.asked) != 2 {
					t.Errorf("%s: %s, looked up %q", label, o.got.Code, o.asked)
				}
			}
			cases++
		}
	}
	t.Logf("%d cases, in %d of them the second lookup was refused", cases, refused)
}

// A public server that leads on to a special address.
func TestNoProberIsRedirected(t *testing.T) {
	server := newPublic(t)
	cases := 0
	for _, a := range aims(t) {
		if !a.web {
			continue // its protocol has no redirect
		}
		statuses := []int{301, 302, 303, 307, 308}
		for i, ip := range netguard.Special(false) {
			for _, status := range []int{statuses[i%5], statuses[(i+2)%5]} { // each meets every kind of address
				target := where{ip, 5000, i%3 == 0}
				server.answer = func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", target.url("/latest/meta-data/"))
					w.WriteHeader(status)
				}
				o := attempt{aim: a, where: where{name, 5000, false}, turns: [][]string{{open}}, server: server}.run(t)
				o.only(t, fmt.Sprintf("%s, redirected (%d) to %s", a, status, ip))
				cases++
			}
		}
	}
	t.Logf("%d cases", cases)
	if cases < 60*3*2 {
		t.Errorf("%d cases", cases)
	}
}

// Other ways to write an address, what is none, and names that lead to one: no
// packet, and the guard's own code.
func TestNoSpellingReachesASpecialAddress(t *testing.T) {
	spellings := []string{
		"2852039166", "0xa9fea9fe", "0xA9FEA9FE", "025177524776", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "169.254.43518", "169.16689662", "0xa9.254.0251.254",
		"2130706433", "0x7f000001", "0x7f.1", "127.1", "127.0.1", "017700000001", "0177.0.0.1", "0", "0x0", "00", "127.0.0.1.", "169.254.169.254.", "169.254.169.254..",
		"169.254.169.0254", "169.254.169.00254", "256.254.169.254", "4294967296", "0b1111111.0.0.1", "0o177.0.0.1", "127_0_0_1.0x1",
		"fe80::1%eth0", "fe80::1%25eth0", "::1%lo", "::ffff:169.254.169.254%eth0", "::ffff:0x7f.0.0.1", "::ffff:2130706433", "[::1]", "[[::1]]", "::1]", "0:0:0:0:0:ffff:a9fe:a9fe", "0000::0001",
		"user@169.254.169.254", "user:x@169.254.169.254", open + "@169.254.169.254", open + ":5000@169.254.169.254", "169.254.169.254:80", "169.254.169.254#", "169.254.169.254#." + name,
		"169.254.169.254?." + name, "169.254.169.254/." + name, `169.254.169.254\@` + name, `169.254.169.254\.` + name, "//169.254.169.254",
		"①②⑦.⓪.⓪.①", "１６９.254.169.254", "169。254。169。254", "169．254．169．254", "169｡254｡169｡254", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "١٢٧.0.0.1", "%31%36%39.254.169.254", "127.0.0.1%00." + name, "127.0.0.1%2e", "127%2e0%2e0%2e1", "%6c%6f%63%61%6c%68%6f%73%74",
		"localhost", "LOCALHOST", "localhost.", "LocalHost.LocalDomain", "ip6-localhost", "metadata.google.internal", "metadata.google.internal.", "instance-data.ec2.internal",
		" 169.254.169.254", "169.254.169.254 ", "169.254.169.254\t", "169.254.169.254\n", "169.254.169.254\r\nHost: x", "169.254.169.254\x00", "169.254.169.254\x00." + name, "\x7f169.254.169.254",
		open + ",169.254.169.254", "169.254.169.254," + open, open + " 169.254.169.254", "/var/run/postgresql", "@abstract", ".", "..", "", "*", "::", "[::]", "0.0.0.0", "::ffff:0:0",
	}
	named := map[string]string{ // what a resolver says of these
		"localhost": "127.0.0.1", "localhost.": "127.0.0.1", "localhost.localdomain": "127.0.0.1", "ip6-localhost": "::1",
		"ⓛⓞⓒⓐⓛⓗⓞⓢⓣ":                "127.0.0.1", // which net/http reads as localhost
		"metadata.google.internal": "169.254.169.254", "metadata.google.internal.": "169.254.169.254", "instance-data.ec2.internal": "169.254.169.254",
	}
	cases := 0
	for _, a := range aims(t) {
		for _, host := range spellings {
			// Some resolvers read these as addresses. This one finds all of
			// them at a public one, so that what is looked up at all shows.
			row := attempt{aim: a, where: where{host, 5000, false}, turns: [][]string{{open}}}
			if ip := named[strings.ToLower(host)]; ip != "" {
				row.turns = [][]string{{ip}}
			}
			if a.pinned {
				row.turns = nil // nothing of the spelling is used
			}
			o := row.run(t)
			if len(o.sent) != 0 || o.got.Code != probe.CodeDestinationBlocked && (!a.pinned || o.got.Code != probe.CodeDNSNotFound) {
				t.Errorf("%s, %q: %s, packets to %v: %s", a, host, o.got.Code, o.sent, o.got.Message)
			}
			for _, asked := range o.asked {
				if a.pinned && !slices.Contains(pinned, asked) {
					t.Errorf("%s, %q: looked up %q", a, host, asked)
				}
			}
			cases++
		}
	}
	t.Logf("%d cases, %d spellings", cases, len(spellings))
}
