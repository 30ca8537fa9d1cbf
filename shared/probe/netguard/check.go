package netguard

import (
	"net/netip"
	"slices"
)

// Reason says why something was blocked, so that the words to a person can
// tell what would help.
type Reason string

// The reasons.
const (
	// ReasonReserved: an address that nobody can allow: loopback, link-local,
	// metadata, multicast, this service itself.
	ReasonReserved Reason = "reserved"
	// ReasonPrivate: not a public address, and not on the operator's
	// allow-list.
	ReasonPrivate Reason = "private"
	// ReasonName: no name or address that can be dialled: empty, longer than
	// 253 bytes, with a zone, a space, control or non-ASCII characters, or an
	// address in another spelling than four decimal numbers.
	ReasonName Reason = "name"
	// ReasonPort: not a port on which this kind of system is probed.
	ReasonPort Reason = "port"
	// ReasonNetwork: not TCP.
	ReasonNetwork Reason = "network"
	// ReasonPlaintext: reachable, but only encrypted.
	ReasonPlaintext Reason = "plaintext"
	// ReasonLimit: the probe has dialled as often, or as many addresses, as it
	// may.
	ReasonLimit Reason = "limit"
)

// Blocked is the error for what the guard refuses. Nothing was sent to where
// it was refused. Its text names neither host nor address.
type Blocked struct{ Reason Reason }

func (b *Blocked) Error() string { return "dialling: blocked by policy (" + string(b.Reason) + ")" }

// hardDenied are ranges that no list can allow. 169.254.0.0/16 holds the
// metadata, credential, name and time services of EC2, ECS, EKS and Lambda;
// fd00:ec2::/32 the same over IPv6. 64:ff9b:1::/48 (RFC 8215) embeds an IPv4
// address at a place that only its network knows, so it cannot be unwrapped.
// The single addresses are metadata services of other clouds, which stand
// within ranges that are public or can be allowed: Azure, Alibaba, Oracle;
// then, over IPv6, Google, Oracle, Scaleway, Linode and Alibaba.
var hardDenied = prefixes(
	"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
	"::/128", "fe80::/10", "fd00:ec2::/32", "ff00::/8", "64:ff9b:1::/48",
	"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32",
	"fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128", "fd00:42::42/128", "fd00:a9fe:a9fe::1/128", "fd00:100::100:200/128",
)

// Check tells whether an address may be reached: nil, or a *Blocked.
func (g *Guard) Check(ip netip.Addr) error {
	if !ip.IsValid() || ip.Zone() != "" {
		return &Blocked{ReasonReserved}
	}
	ip = ip.Unmap() // the kernel connects to ::ffff:a.b.c.d as a.b.c.d
	if g.denied(ip) {
		return &Blocked{ReasonReserved}
	}
	for _, v4 := range embedded(ip) {
		if err := g.Check(v4); err != nil {
			return err
		}
	}
	if g.listed(ip) {
		return nil
	}
	if g.lists.SafeAddr(ip) != nil {
		return &Blocked{ReasonPrivate}
	}
	return nil
}

// PlaintextAllowed reports whether a secret may be sent to an address without
// TLS: only where the operator listed the address, or to this machine itself
// if the policy has loopback.
func (g *Guard) PlaintextAllowed(ip netip.Addr) bool {
	return g.Check(ip) == nil && g.listed(ip.Unmap())
}

// denied is the hard denial, which precedes every list.
func (g *Guard) denied(ip netip.Addr) bool {
	if slices.Contains(g.self, ip) {
		return true
	}
	if contains(loopbackRanges, ip) {
		return !g.loopback
	}
	if contains(hardDenied, ip) {
		return true
	}
	// An address may be assigned while the process runs. Where the addresses cannot
	// be listed, none is known not to be ours.
	own, err := g.own()
	return err != nil || slices.Contains(own, ip)
}

func (g *Guard) listed(ip netip.Addr) bool {
	return contains(g.allow, ip) || g.loopback && contains(loopbackRanges, ip)
}

func contains(ranges []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(ip) })
}

// Ranges whose addresses carry an IPv4 address, to which a gateway may turn
// them.
var (
	compatible = netip.MustParsePrefix("::/96")           // RFC 4291 §2.5.5.1
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765 §2.1
	nat64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380
)

// embedded gives the IPv4 addresses that an IPv6 address carries. ::1 carries
// none: it is loopback itself.
func embedded(ip netip.Addr) []netip.Addr {
	if !ip.Is6() || ip.IsLoopback() {
		return nil
	}
	b := ip.As16()
	switch {
	case compatible.Contains(ip), translated.Contains(ip), nat64.Contains(ip):
		return []netip.Addr{netip.AddrFrom4([4]byte(b[12:16]))}
	case sixToFour.Contains(ip):
		return []netip.Addr{netip.AddrFrom4([4]byte(b[2:6]))}
	case teredo.Contains(ip):
		// The server in clear, the client with every bit turned.
		client := [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}
		return []netip.Addr{netip.AddrFrom4([4]byte(b[4:8])), netip.AddrFrom4(client)}
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP, under any prefix: RFC 5214 §6.1
		return []netip.Addr{netip.AddrFrom4([4]byte(b[12:16]))}
	}
	return nil
}
