package netguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// OwnAddrs finds the addresses for Policy.Self: those of the name servers in the
// text of a resolv.conf(5), and of the endpoints given ("host", "host:port" or a
// URL; "" is ignored), as they resolve now. Loopback addresses are left out: they
// are the policy's own matter.
func OwnAddrs(ctx context.Context, resolvConf string, endpoints ...string) ([]netip.Addr, error) {
	var own []netip.Addr
	for line := range strings.Lines(resolvConf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if ip, err := netip.ParseAddr(fields[1]); err == nil && !ip.IsLoopback() {
			own = append(own, ip.Unmap().WithZone(""))
		}
	}
	for _, endpoint := range endpoints {
		ips, err := endpointAddrs(ctx, endpoint)
		if err != nil {
			return nil, err
		}
		own = append(own, ips...)
	}
	slices.SortFunc(own, netip.Addr.Compare)
	return slices.Compact(own), nil
}

// interfaceAddrs lists the addresses of every network interface, as they are now,
// but for loopback addresses. A public or private address may be assigned to the
// loopback interface too, and is then this machine.
func interfaceAddrs() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			return nil, err
		}
		if ip := p.Addr().Unmap().WithZone(""); !ip.IsLoopback() {
			own = append(own, ip)
		}
	}
	return own, nil
}

// endpointAddrs resolves one endpoint. The endpoint may carry a token in its
// path, so an error does not repeat it.
func endpointAddrs(ctx context.Context, endpoint string) ([]netip.Addr, error) {
	if endpoint == "" {
		return nil, nil
	}
	host := endpoint
	if strings.Contains(endpoint, "://") {
		u, err := url.Parse(endpoint)
		if err != nil {
			return nil, errors.New("reading an endpoint of this process: not a URL")
		}
		host = u.Host
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, errors.New("resolving an endpoint of this process: no address found")
	}
	own := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		if ip = ip.Unmap().WithZone(""); !ip.IsLoopback() {
			own = append(own, ip)
		}
	}
	return own, nil
}
