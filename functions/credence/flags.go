package main

import (
	"net"
	"net/netip"

	"credence/shared/probe/netguard"
)

// serveFlags is what `serve` can be told.
type serveFlags struct {
	Addr         string `default:"127.0.0.1:3000" placeholder:"HOST:PORT" help:"Where to listen."`
	Allow        string `placeholder:"RANGES" help:"Private ranges that probes may reach, such as 10.0.0.0/8,192.168.1.0/24. Loopback is allowed while the server listens on loopback only."`
	Loopback     *bool  `negatable:"" help:"Let probes reach this machine's loopback addresses. Without the flag they may while the server listens on loopback only and no proxy is trusted."`
	TrustedProxy string `name:"trusted-proxy" placeholder:"RANGES" help:"Reverse proxies in front of this server, such as 127.0.0.1. What they write into X-Forwarded-For, or Forwarded, is the client's address in the log, the audit log and the limits; from everybody else these headers are ignored."`
	Egress       string `placeholder:"ADDRESSES" help:"Addresses that probes come from, such as 198.51.100.7, to be named in messages about a firewall."`
	Public       bool   `help:"Listen on an address that other machines can reach; needs TLS."`
	TLSCert      string `name:"tls-cert" placeholder:"FILE" help:"Certificate chain, PEM."`
	TLSKey       string `name:"tls-key" placeholder:"FILE" help:"Its private key, PEM."`
	New          bool   `help:"Begin an empty store although a key file is there already."`
	where        `embed:""`
}

// options is serveFlags after validation.
type options struct {
	serveFlags
	allow   []netip.Prefix // private ranges that probes may reach
	egress  []netip.Prefix // addresses that this machine connects from
	proxies []netip.Prefix // whose word for a client's address is taken
}

// validate returns the options, or every problem of the flags.
func (f serveFlags) validate() (options, []string) {
	o := options{serveFlags: f}
	problems := o.resolve()
	host, _, err := net.SplitHostPort(o.Addr)
	switch {
	case err != nil:
		problems = append(problems, "--addr must be HOST:PORT, such as 127.0.0.1:3000.")
	case !loopback(host) && !o.Public:
		problems = append(problems, "--addr is not a loopback address. Add --public with --tls-cert and --tls-key to serve other machines.")
	}
	if (o.TLSCert == "") != (o.TLSKey == "") {
		problems = append(problems, "--tls-cert and --tls-key must be given together.")
	}
	if o.Public && o.TLSCert == "" {
		problems = append(problems, "--public needs --tls-cert and --tls-key: tokens must not cross a network in clear.")
	}
	if o.proxies, err = netguard.ParseRanges(o.TrustedProxy); err != nil {
		problems = append(problems, "--trusted-proxy: "+err.Error()+".")
	}
	if o.Loopback != nil && *o.Loopback && !o.local() {
		problems = append(problems, "--loopback needs an --addr that is a loopback address: others would reach this machine's own services by it.")
	}
	if o.allow, err = netguard.ParseAllow(o.Allow, o.loopback()); err != nil {
		problems = append(problems, "--allow: "+err.Error()+".")
	}
	if o.egress, err = netguard.ParseRanges(o.Egress); err != nil {
		problems = append(problems, "--egress: "+err.Error()+".")
	}
	return o, problems
}

// loopback reports whether probes may reach loopback addresses. Where only this
// machine can connect, every caller of the service can reach them anyway; a
// trusted proxy brings callers from elsewhere.
func (o *options) loopback() bool {
	if o.Loopback != nil {
		return *o.Loopback && o.local()
	}
	return o.local() && len(o.proxies) == 0
}

// local reports whether only this machine can connect.
func (o *options) local() bool {
	host, _, err := net.SplitHostPort(o.Addr)
	return err == nil && loopback(host)
}

// loopback reports whether host is a loopback address or localhost. It accepts
// no other name: the addresses of a name may change between this check and the
// listening.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (o *options) url() string {
	if o.TLSCert != "" {
		return "https://" + o.Addr
	}
	return "http://" + o.Addr
}
