package netguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits of one Dialer, that is of one probe.
const (
	MaxDials     = 16
	MaxAddresses = 8         // distinct
	MaxRead      = 1 << 20   // bytes, over all its connections
	MaxWritten   = 256 << 10 // bytes, over all its connections
	maxHost      = 253       // bytes: RFC 1035 §2.3.4 less length and root
	dialTimeout  = 2 * time.Second
)

// PortRange is an inclusive range of ports.
type PortRange struct{ From, To uint16 }

// Ports is what a prober may reach.
type Ports []PortRange

// AnyPort is every port but 0, for systems that run anywhere.
var AnyPort = Ports{{1, 65535}}

func (p Ports) contain(port uint16) bool {
	return slices.ContainsFunc(p, func(r PortRange) bool { return port != 0 && r.From <= port && port <= r.To })
}

// Errors of a connection that exceeded what one probe may move.
var (
	ErrReadLimit  = errors.New("reading: the target sent more than a probe reads")
	ErrWriteLimit = errors.New("writing: more than a probe sends")
)

// Dialer dials for one probe and keeps its limits. It may be used by many
// goroutines at once; Close ends it and all its connections.
type Dialer struct {
	guard    *Guard
	ports    Ports
	deadline time.Time

	mu     sync.Mutex
	closed bool
	dials  int
	seen   []netip.Addr
	conns  map[*conn]struct{}

	unread, unwritten atomic.Int64 // bytes left
}

// Dialer makes the dialer of one probe. Past the deadline nothing it opened
// reads or writes any more, whatever deadline a driver sets. The caller closes
// it.
func (g *Guard) Dialer(deadline time.Time, ports Ports) *Dialer {
	d := &Dialer{guard: g, ports: ports, deadline: deadline, conns: map[*conn]struct{}{}}
	d.unread.Store(MaxRead)
	d.unwritten.Store(MaxWritten)
	return d
}

// Target is what an address given to a dialer names.
type Target struct {
	Host string
	Port uint16
	IP   netip.Addr // valid if Host is a literal address
}

// Target reads network and "host:port" and checks their form and the port,
// without asking a name server: a *Blocked, or nil.
func (d *Dialer) Target(network, address string) (Target, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return Target{}, &Blocked{ReasonNetwork}
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return Target{}, &Blocked{ReasonName}
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || !d.ports.contain(uint16(port)) {
		return Target{}, &Blocked{ReasonPort}
	}
	t := Target{Host: host, Port: uint16(port)}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return Target{}, &Blocked{ReasonName}
		}
		t.IP = ip.Unmap()
		return t, nil
	}
	if !dialable(host) {
		return Target{}, &Blocked{ReasonName}
	}
	return t, nil
}

// dialable reports whether a host can be a name: letters, digits, hyphens,
// underscores and dots, and a last label that is no number. "0x7f.1",
// "2130706433" and "0177.0.0.1" are addresses to some resolvers.
func dialable(host string) bool {
	name := strings.TrimSuffix(host, ".")
	if name == "" || len(name) > maxHost {
		return false
	}
	for _, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if _, err := strconv.ParseUint(strings.ToLower(last), 0, 64); err == nil {
		return false // 127, 0x7f, 0177
	}
	return last != "" && strings.Trim(last, "0123456789") != ""
}

// Lookup finds the addresses of a target; a literal is its own. Its error is
// the resolver's (*net.DNSError).
func (d *Dialer) Lookup(ctx context.Context, t Target) ([]netip.Addr, error) {
	if t.IP.IsValid() {
		return []netip.Addr{t.IP}, nil
	}
	ctx, cancel := context.WithDeadline(ctx, d.deadline)
	defer cancel()
	found, err := d.guard.resolver.LookupNetIP(ctx, "ip", t.Host)
	if err != nil {
		return nil, err
	}
	ips := make([]netip.Addr, 0, len(found))
	for _, ip := range found {
		if ip = ip.Unmap(); !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	if len(ips) == 0 {
		return nil, &net.DNSError{Err: "no addresses", IsNotFound: true}
	}
	return withoutSynthesised(ips), nil
}

// withoutSynthesised leaves out addresses that a DNS64 name server (RFC 6147)
// made of another of the same answer: that one is reached directly.
func withoutSynthesised(ips []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(ips), func(ip netip.Addr) bool {
		return nat64.Contains(ip) && slices.Contains(ips, embedded(ip)[0])
	})
}

// Permit tells whether all of the addresses may be dialled, and with plaintext
// true whether they may be without TLS: a *Blocked, or nil. One forbidden
// address in an answer forbids the whole: a name that points both outside and
// inside is how a guard is led round.
func (d *Dialer) Permit(ips []netip.Addr, plaintext bool) error {
	for _, ip := range ips {
		if err := d.guard.Check(ip); err != nil {
			return err
		}
	}
	for _, ip := range ips {
		if plaintext && !d.guard.PlaintextAllowed(ip) {
			return &Blocked{ReasonPlaintext}
		}
	}
	return nil
}

// Connect connects to the first of the addresses that answers. The address is
// checked again where the kernel is told it. The error is that of the first
// address whose failure says something.
func (d *Dialer) Connect(ctx context.Context, network string, ips []netip.Addr, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, d.deadline)
	defer cancel()
	var telling error
	for _, ip := range ips {
		c, err := d.connect(ctx, network, netip.AddrPortFrom(ip, port))
		if err == nil {
			return c, nil
		}
		if telling == nil || unreachable(telling) {
			telling = err
		}
		if blocked := (*Blocked)(nil); errors.As(err, &blocked) || ctx.Err() != nil {
			break
		}
	}
	if telling == nil {
		return nil, &Blocked{ReasonName}
	}
	return nil, telling
}

func unreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func (d *Dialer) connect(ctx context.Context, network string, at netip.AddrPort) (net.Conn, error) {
	if err := d.admit(at.Addr()); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: dialTimeout, FallbackDelay: -1, KeepAlive: -1, Control: d.control}
	raw, err := d.guard.dial(ctx, &dialer, network, at.String())
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, dialer: d}
	if err := c.SetDeadline(time.Time{}); err != nil {
		_ = raw.Close()
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = raw.Close()
		return nil, net.ErrClosed
	}
	d.conns[c] = struct{}{}
	return c, nil
}

// admit counts a dial before it is made.
func (d *Dialer) admit(ip netip.Addr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	fresh := !slices.Contains(d.seen, ip)
	if d.dials >= MaxDials || fresh && len(d.seen) >= MaxAddresses {
		return &Blocked{ReasonLimit}
	}
	d.dials++
	if fresh {
		d.seen = append(d.seen, ip)
	}
	return nil
}

// control sees the address that the kernel is about to connect to, after every
// name was resolved.
func (d *Dialer) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return &Blocked{ReasonNetwork}
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Blocked{ReasonName}
	}
	if !d.ports.contain(at.Port()) {
		return &Blocked{ReasonPort}
	}
	return d.guard.Check(at.Addr())
}

// DialContext is Target, Lookup, Permit and Connect in one, for encrypted
// connections: it has the shape that drivers and net/http take.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	t, err := d.Target(network, address)
	if err != nil {
		return nil, err
	}
	ips, err := d.Lookup(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := d.Permit(ips, false); err != nil {
		return nil, err
	}
	return d.Connect(ctx, network, ips, t.Port)
}

// Close closes every connection that is still open and refuses new ones. It
// may be called again.
func (d *Dialer) Close() {
	d.mu.Lock()
	d.closed = true
	open := d.conns
	d.conns = nil
	d.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}
