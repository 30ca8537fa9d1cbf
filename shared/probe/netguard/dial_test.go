package netguard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// names is a resolver: each lookup of a name takes the next of its answers,
// the last one again and again.
type names struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   int
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	turns := n.answers[host]
	if len(turns) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(turns) > 1 {
		n.answers[host] = turns[1:]
	}
	var ips []netip.Addr
	for _, text := range turns[0] {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips, nil
}

// wire stands in for the kernel: it asks the dialer's Control as net does, and
// notes every address that would have been sent a packet. Nobody answers, or
// who connect says.
type wire struct {
	connect func(at netip.AddrPort) (net.Conn, error) // nil = nobody

	mu   sync.Mutex
	sent []netip.Addr
}

func (w *wire) dial(_ context.Context, d *net.Dialer, _, address string) (net.Conn, error) {
	at := netip.MustParseAddrPort(address)
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	if err := d.Control(network, address, nil); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, at.Addr())
	if w.connect == nil {
		return nil, syscall.ECONNREFUSED
	}
	return w.connect(at)
}

const open = "93.184.216.34" // a public address; nothing here is sent to it

func soon() time.Time { return time.Now().Add(5 * time.Second) }

// Each special address by each way a credential or a name server could bring
// it in: not one packet, and the guard's own error.
func TestNoPacketReachesASpecialAddress(t *testing.T) {
	ways := map[string]func(ip string) (host string, answers [][]string){
		"literal":            func(ip string) (string, [][]string) { return ip, nil },
		"name":               func(ip string) (string, [][]string) { return "db.example.com", [][]string{{ip}} },
		"public and special": func(ip string) (string, [][]string) { return "db.example.com", [][]string{{open, ip}} },
		"special and public": func(ip string) (string, [][]string) { return "db.example.com", [][]string{{ip, open}} },
	}
	cases := 0
	for _, row := range special {
		for way, make := range ways {
			host, answers := make(row.ip)
			w := &wire{}
			g := newGuard(Policy{Resolver: &names{answers: map[string][][]string{host: answers}}})
			g.dial = w.dial
			d := g.Dialer(soon(), AnyPort)
			_, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, "443"))
			if got := blockedFor(t, err); got != ReasonReserved && got != ReasonPrivate {
				t.Errorf("%s as %s: blocked as %s", row.ip, way, got)
			}
			if len(w.sent) != 0 {
				t.Errorf("%s as %s: packets to %v", row.ip, way, w.sent)
			}
			cases++
		}
	}
	if cases < 240 {
		t.Errorf("%d cases, want 240 or more", cases)
	}
}

// A name that answers with a public address first and a special one when asked
// again: the first dial goes to the public one, the second nowhere.
func TestRebindingReachesNothingSpecial(t *testing.T) {
	for _, row := range special {
		w := &wire{}
		g := newGuard(Policy{Resolver: &names{answers: map[string][][]string{"evil.example.com": {{open}, {row.ip}}}}})
		g.dial = w.dial
		d := g.Dialer(soon(), AnyPort)
		if _, err := d.DialContext(t.Context(), "tcp", "evil.example.com:443"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: the first dial: %v", row.ip, err)
		}
		_, err := d.DialContext(t.Context(), "tcp", "evil.example.com:443")
		blockedFor(t, err)
		if !slices.Equal(w.sent, []netip.Addr{netip.MustParseAddr(open)}) {
			t.Errorf("%s: packets to %v", row.ip, w.sent)
		}
	}
}

// Control sees what the kernel is told, whatever was checked before it.
func TestControlAloneRefuses(t *testing.T) {
	listener, accepted := listen(t)
	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	g := newGuard(Policy{})
	for _, text := range []string{"127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::", "::1"} {
		d := g.Dialer(soon(), AnyPort)
		_, err := d.Connect(t.Context(), "tcp", []netip.Addr{netip.MustParseAddr(text)}, port)
		if got := blockedFor(t, err); got != ReasonReserved {
			t.Errorf("%s: blocked as %s", text, got)
		}
	}
	d := g.Dialer(soon(), Ports{{1, 2}})
	_, err := d.Connect(t.Context(), "tcp", []netip.Addr{netip.MustParseAddr(open)}, port)
	if got := blockedFor(t, err); got != ReasonPort {
		t.Errorf("a port of no prober: blocked as %s", got)
	}
	if n := accepted.Load(); n != 0 {
		t.Errorf("%d connections arrived", n)
	}
}

func listen(t *testing.T) (net.Listener, *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var accepted atomic.Int64
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go func() { // echoes
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return listener, &accepted
}

func TestTargetRefusesForms(t *testing.T) {
	d := newGuard(Policy{}).Dialer(soon(), Ports{{443, 443}, {1024, 65535}})
	label := strings.Repeat("a", 60) + "."
	for _, row := range []struct {
		network, address string
		want             Reason
	}{
		{"tcp", "api.example.com:443", ""},
		{"tcp4", "api.example.com:8443", ""},
		{"tcp", "api_1.example-x.com.:443", ""},
		{"tcp", "8.8.8.8:443", ""},
		{"tcp6", "[2606:4700::1111]:443", ""},
		{"tcp", "xn--bcher-kva.example:443", ""},
		{"tcp", "3com.com:443", ""},
		{"tcp", "0xyz.io:443", ""},
		{"udp", "8.8.8.8:443", ReasonNetwork},
		{"unix", "/run/x.sock", ReasonNetwork},
		{"ip", "8.8.8.8:443", ReasonNetwork},
		{"", "8.8.8.8:443", ReasonNetwork},
		{"tcp", "api.example.com:80", ReasonPort},
		{"tcp", "api.example.com:0", ReasonPort},
		{"tcp", "api.example.com:65536", ReasonPort},
		{"tcp", "api.example.com:https", ReasonPort},
		{"tcp", "api.example.com:-1", ReasonPort},
		{"tcp", "api.example.com:", ReasonPort},
		{"tcp", "api.example.com", ReasonName},
		{"tcp", ":443", ReasonName},
		{"tcp", "", ReasonName},
		{"tcp", ".:443", ReasonName},
		{"tcp", "[fe80::1%eth0]:443", ReasonName},
		{"tcp", "a b.com:443", ReasonName},
		{"tcp", "a\x00.com:443", ReasonName},
		{"tcp", "a%2e.com:443", ReasonName},
		{"tcp", "/etc/x:443", ReasonName},
		{"tcp", "user@host:443", ReasonName},
		{"tcp", "bücher.example:443", ReasonName},
		{"tcp", strings.Repeat(label, 5) + "com:443", ReasonName},
		{"tcp", "a\n.com:443", ReasonName},
		{"tcp", "0x7f000001:443", ReasonName},
		{"tcp", "2130706433:443", ReasonName},
		{"tcp", "0177.0.0.1:443", ReasonName},
		{"tcp", "127.1:443", ReasonName},
		{"tcp", "0x7f.0x0.0x0.0x1:443", ReasonName},
		{"tcp", "017700000001:443", ReasonName},
		{"tcp", "127.0.0.1.:443", ReasonName},
		{"tcp", "0X7F.1:443", ReasonName},
		{"tcp", "169.254.169.0xfe:443", ReasonName},
		{"tcp", "1.2.3.09:443", ReasonName},
	} {
		_, err := d.Target(row.network, row.address)
		if row.want == "" {
			if err != nil {
				t.Errorf("%s %q: %v", row.network, row.address, err)
			}
			continue
		}
		if got := blockedFor(t, err); got != row.want {
			t.Errorf("%s %q: blocked as %s, want %s", row.network, row.address, got, row.want)
		}
		if len(row.address) > 3 && strings.Contains(err.Error(), row.address) {
			t.Errorf("%q stands in its error", row.address)
		}
	}
}

func TestLookupLeavesOutSynthesisedAddresses(t *testing.T) {
	g := newGuard(Policy{Resolver: &names{answers: map[string][][]string{
		"v4.example.com": {{"64:ff9b::5db8:d822", "::ffff:" + open, open}},
		"v6.example.com": {{"64:ff9b::5db8:d822"}},
	}}})
	d := g.Dialer(soon(), AnyPort)
	ips, err := d.Lookup(t.Context(), Target{Host: "v4.example.com"})
	if err != nil || !slices.Equal(ips, []netip.Addr{netip.MustParseAddr(open)}) {
		t.Errorf("got %v, %v; want the one address", ips, err)
	}
	ips, err = d.Lookup(t.Context(), Target{Host: "v6.example.com"})
	if err != nil || d.Permit(ips, false) == nil {
		t.Errorf("an address behind NAT64 alone: %v, %v; want it found and refused", ips, err)
	}
}

func TestDialLimits(t *testing.T) {
	w := &wire{}
	g := newGuard(Policy{})
	g.dial = w.dial
	d := g.Dialer(soon(), AnyPort)
	for range MaxDials {
		if _, err := d.DialContext(t.Context(), "tcp", open+":443"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
	}
	_, err := d.DialContext(t.Context(), "tcp", open+":443")
	if got := blockedFor(t, err); got != ReasonLimit || len(w.sent) != MaxDials {
		t.Errorf("dial %d: blocked as %s after %d", MaxDials+1, got, len(w.sent))
	}

	w.sent = nil
	d = g.Dialer(soon(), AnyPort)
	var many []netip.Addr
	for i := range byte(MaxAddresses + 1) {
		many = append(many, netip.AddrFrom4([4]byte{93, 184, 216, i}))
	}
	_, err = d.Connect(t.Context(), "tcp", many, 443)
	if len(w.sent) != MaxAddresses || err == nil {
		t.Errorf("%d addresses dialled, error %v; want %d and an error", len(w.sent), err, MaxAddresses)
	}
	_, err = d.Connect(t.Context(), "tcp", many[MaxAddresses:], 443)
	if got := blockedFor(t, err); got != ReasonLimit {
		t.Errorf("one address more: blocked as %s", got)
	}
	if _, err = d.Connect(t.Context(), "tcp", many[:1], 443); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("an address seen before: %v", err)
	}
}

func TestConnLimits(t *testing.T) {
	listener, _ := listen(t)
	g := newGuard(Policy{Loopback: true})
	dial := func(d *Dialer) net.Conn {
		c, err := d.DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	d := g.Dialer(time.Now().Add(30*time.Second), AnyPort)
	first, second := dial(d), dial(d)
	chunk := bytes.Repeat([]byte{'x'}, 64<<10)
	for i := range MaxWritten / len(chunk) {
		c := first
		if i%2 == 1 {
			c = second
		}
		if _, err := c.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := second.Write([]byte{1}); n != 0 || !errors.Is(err, ErrWriteLimit) {
		t.Errorf("a byte more than the probe may write: %d, %v", n, err)
	}
	d.unread.Store(100)
	if n, err := io.ReadFull(first, make([]byte, 200)); n != 100 || !errors.Is(err, ErrReadLimit) {
		t.Errorf("read %d, %v; want 100 and the limit", n, err)
	}
	if n, err := second.Read(make([]byte, 1)); n != 0 || !errors.Is(err, ErrReadLimit) {
		t.Errorf("the other connection read %d, %v", n, err)
	}

	// A driver cannot lengthen the deadline of the probe.
	late := g.Dialer(time.Now().Add(50*time.Millisecond), AnyPort)
	c := dial(late)
	for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline, c.SetWriteDeadline} {
		if err := errors.Join(set(time.Time{}), set(time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	var timeout net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("reading past the deadline: %v", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	listener, _ := listen(t)
	d := newGuard(Policy{Loopback: true}).Dialer(soon(), AnyPort)
	c, err := d.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); done <- err }()
	d.Close()
	d.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read under way: %v", err)
	}
	if _, err := d.DialContext(t.Context(), "tcp", listener.Addr().String()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a dial after Close: %v", err)
	}
	if err := c.Close(); err == nil {
		t.Error("the connection was not closed")
	}
}

func TestPlaintextNeedsTheList(t *testing.T) {
	list, err := ParseAllow("10.0.0.0/8", false)
	if err != nil {
		t.Fatal(err)
	}
	d := newGuard(Policy{Allow: list}).Dialer(soon(), AnyPort)
	for text, want := range map[string]Reason{open: ReasonPlaintext, "10.1.2.3": "", "192.168.0.1": ReasonPrivate, "169.254.169.254": ReasonReserved} {
		err := d.Permit([]netip.Addr{netip.MustParseAddr(text)}, true)
		if want == "" && err == nil {
			continue
		}
		if got := blockedFor(t, err); got != want {
			t.Errorf("%s: blocked as %q, want %q", text, got, want)
		}
	}
}

func TestOwnAddrs(t *testing.T) {
	own, err := OwnAddrs(t.Context(), "search x\nnameserver 10.0.0.2\nnameserver 127.0.0.53\nnameserver fd00::53\nnameserver\n",
		"", "169.254.100.1:9001", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]:80/x", "127.0.0.1:9001")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10.0.0.2", "fd00::53", "169.254.100.1", "169.254.170.23", "fd00:ec2::23"} {
		if !slices.Contains(own, netip.MustParseAddr(want)) {
			t.Errorf("%s is missing in %v", want, own)
		}
	}
	if slices.ContainsFunc(own, netip.Addr.IsLoopback) {
		t.Errorf("loopback addresses in %v", own)
	}
	const token = "http://bad host/secret-token"
	if _, err := OwnAddrs(t.Context(), "", token); err == nil || strings.Contains(err.Error(), "secret-token") {
		t.Errorf("an endpoint that is no URL: %v", err)
	}
}

func FuzzTarget(f *testing.F) {
	for _, row := range special {
		f.Add(row.ip)
	}
	for _, host := range []string{"localhost", "0x7f.1", "127.1", "2130706433", "::ffff:127.0.0.1", "a%00.com", "1.2.3.4.", "xn--a"} {
		f.Add(host)
	}
	// Whatever passes Target and Permit as a literal is no special address, and
	// what passes as a name cannot be read as an address by anybody's resolver.
	f.Fuzz(func(t *testing.T, host string) {
		w := &wire{}
		g := newGuard(Policy{Resolver: &names{}})
		g.dial = w.dial
		_, _ = g.Dialer(soon(), AnyPort).DialContext(t.Context(), "tcp", net.JoinHostPort(host, "443"))
		for _, ip := range w.sent {
			if ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
				t.Errorf("%q sent a packet to %s", host, ip)
			}
		}
	})
}
