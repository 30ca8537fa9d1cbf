package netguard

import (
	"net"
	"net/netip"
	"slices"
)

// Unchecked is New without the look at the allow-list.
var Unchecked = newGuard

// Record puts a wire below the guard in place of the kernel: every address
// that would be sent a packet is noted, and answered by connect. It gives a
// look at what was noted so far.
func Record(g *Guard, connect func(at netip.AddrPort) (net.Conn, error)) (sent func() []netip.Addr) {
	w := &wire{connect: connect}
	g.dial = w.dial
	return func() []netip.Addr {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(w.sent)
	}
}

// Special are the addresses that a guard without an allow-list refuses: all,
// or those alone that no list can allow.
func Special(hardOnly bool) []string {
	var ips []string
	for _, row := range special {
		if row.hard || !hardOnly {
			ips = append(ips, row.ip)
		}
	}
	return ips
}
