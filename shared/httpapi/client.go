package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/realclientip/realclientip-go"
)

// clients returns the function that finds the address of a request's client: the
// peer of the connection or, where that is one of the proxies, the rightmost
// address of X-Forwarded-For that no proxy has. What stands to the left of it the
// client may have made up. Forwarded (RFC 7239) is read where X-Forwarded-For is
// missing; a proxy that writes it must remove the other.
//
// Where a proxy gives no valid address the client is the proxy, so that limits
// hold. The function returns "" where the connection has no address.
func clients(proxies []netip.Prefix) (func(*http.Request) string, error) {
	if len(proxies) == 0 {
		return peer, nil
	}
	texts := make([]string, len(proxies))
	for i, p := range proxies {
		texts[i] = p.String()
	}
	ranges, err := realclientip.AddressesAndRangesToIPNets(texts...)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted proxies: %w", err)
	}
	strategies := map[string]realclientip.Strategy{}
	for _, name := range []string{"X-Forwarded-For", "Forwarded"} {
		if strategies[name], err = realclientip.NewRightmostTrustedRangeStrategy(name, ranges); err != nil {
			return nil, fmt.Errorf("reading the header %s: %w", name, err)
		}
	}
	return func(r *http.Request) string {
		from := peer(r)
		if !trusted(proxies, from) {
			return from
		}
		name := "X-Forwarded-For"
		if len(r.Header[name]) == 0 {
			name = "Forwarded"
		}
		said, err := netip.ParseAddr(strategies[name].ClientIP(r.Header, r.RemoteAddr))
		if err != nil {
			return from
		}
		return said.Unmap().WithZone("").String()
	}, nil
}

// peer is the address of the connection's other end.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr // a gateway gives the address alone
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	return ip.Unmap().String()
}

func trusted(proxies []netip.Prefix, from string) bool {
	ip, err := netip.ParseAddr(from)
	if err != nil {
		return false
	}
	for _, p := range proxies {
		if p.Contains(ip.WithZone("")) {
			return true
		}
	}
	return false
}
