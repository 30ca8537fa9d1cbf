// Package netguard is the only way out of a probe. It decides which addresses
// may be reached, looks at the very address the kernel connects to, and bounds
// what one probe may dial, read and write.
//
// The order of the decision is fixed: what is denied hard (loopback, link-local
// and metadata addresses, multicast, the process's own addresses) stays denied
// whatever the operator lists; then the operator's allow-list of private
// ranges; then the registries of special-purpose addresses (IANA, by way of
// code.dny.dev/ssrf). An allow-list asked first would let a wide prefix admit
// the metadata service.
package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"code.dny.dev/ssrf"
)

// Resolver finds the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Policy says what a guard lets through besides the public internet.
type Policy struct {
	// Allow is the operator's list of private ranges, as ParseAllow gives it.
	Allow []netip.Prefix
	// Loopback lets probes reach this machine itself. Only a service that
	// listens on loopback alone may set it; never one on Lambda.
	Loopback bool
	// Self are addresses of what serves this process (name servers, the runtime's
	// endpoints), as OwnAddrs finds them. They are denied whatever Allow contains,
	// and so are the addresses of this machine's interfaces, which the guard lists
	// anew for each check.
	Self []netip.Addr
	// Resolver is asked for names; nil is the system's.
	Resolver Resolver
}

// Guard decides on addresses. It may be used by many goroutines at once.
type Guard struct {
	allow    []netip.Prefix
	loopback bool
	self     []netip.Addr
	own      func() ([]netip.Addr, error) // of the interfaces
	resolver Resolver
	lists    *ssrf.Guardian
	dial     func(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error)
}

// New makes a guard. It refuses an allow-list that holds anything but private
// ranges (and loopback, if the policy has it).
func New(p Policy) (*Guard, error) {
	var faults []error
	for _, prefix := range p.Allow {
		if err := allowable(prefix, p.Loopback); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("reading the allow-list: %w", errors.Join(faults...))
	}
	return newGuard(p), nil
}

// newGuard is New without the look at the allow-list, so that a test can show
// that the hard denials hold under any list.
func newGuard(p Policy) *Guard {
	g := &Guard{
		allow:    slices.Clone(p.Allow),
		loopback: p.Loopback,
		own:      interfaceAddrs,
		resolver: p.Resolver,
		lists:    ssrf.New(ssrf.WithAnyPort()),
		dial:     dialSocket,
	}
	for _, ip := range p.Self {
		g.self = append(g.self, ip.Unmap().WithZone(""))
	}
	if g.resolver == nil {
		// Go's own resolver ends with its context; the C library's does not.
		g.resolver = &net.Resolver{PreferGo: true}
	}
	return g
}

func dialSocket(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	return d.DialContext(ctx, network, address)
}

// privateRanges are what an operator may allow: RFC 1918 and RFC 4193.
var privateRanges = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")

var loopbackRanges = prefixes("127.0.0.0/8", "::1/128")

// ParseAllow reads an allow-list, in the form of ParseRanges. It takes only
// private ranges (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7), and
// loopback where loopbackToo says so; every entry it refuses is named in the one
// error.
func ParseAllow(text string, loopbackToo bool) ([]netip.Prefix, error) {
	return parseRanges(text, func(prefix netip.Prefix) error { return allowable(prefix, loopbackToo) })
}

// ParseRanges reads a list of addresses: prefixes or single ones, separated by
// commas, spaces around them ignored; an empty text is an empty list. Every
// entry that is neither is named in the one error.
func ParseRanges(text string) ([]netip.Prefix, error) {
	return parseRanges(text, func(netip.Prefix) error { return nil })
}

func parseRanges(text string, check func(netip.Prefix) error) ([]netip.Prefix, error) {
	var list []netip.Prefix
	var faults []error
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		prefix, err := parsePrefix(entry)
		if err == nil {
			err = check(prefix)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		list = append(list, prefix)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("reading a list of addresses: %w", errors.Join(faults...))
	}
	return list, nil
}

func parsePrefix(entry string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(entry); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(entry)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a range like 10.20.0.0/16", entry)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set beyond its length; write %s", entry, prefix.Masked())
	}
	return prefix, nil
}

// allowable tells why a prefix may not stand on an allow-list; nil if it may.
func allowable(prefix netip.Prefix, loopback bool) error {
	switch {
	case within(prefix, loopbackRanges):
		if loopback {
			return nil
		}
		return fmt.Errorf("%s is this machine itself; only a service that listens on loopback alone may reach it", prefix)
	case within(prefix, hardDenied):
		return fmt.Errorf("%s holds metadata or link-local addresses, which no list can allow", prefix)
	case within(prefix, privateRanges):
		return nil
	default:
		return fmt.Errorf("%s is not within a private range (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7); "+
			"public addresses need no entry, others cannot be allowed", prefix)
	}
}

func within(prefix netip.Prefix, ranges []netip.Prefix) bool {
	return prefix.IsValid() && slices.ContainsFunc(ranges, func(r netip.Prefix) bool {
		return r.Contains(prefix.Addr()) && prefix.Bits() >= r.Bits()
	})
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}
