package main

import (
	"net"
	"net/netip"

	"credence/shared/probe/netguard"
)

// serveFlags is what `serve` can be told.
type serveFlags struct {
	Addr    string `default:"127.0.0.1:3000" placeholder:"HOST:PORT" help:"Where to listen."`
	Allow   string `placeholder:"RANGES" help:"Private ranges that probes may reach, such as 10.0.0.0/8,192.168.1.0/24. Loopback is allowed while the server listens on loopback only."`
	Egress  string `placeholder:"ADDRESSES" help:"Addresses that probes come from, such as 198.51.100.7, to be named in messages about a firewall."`
	Public  bool   `help:"Listen on an address that other machines can reach; needs TLS."`
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"Certificate chain, PEM."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"Its private key, PEM."`
	New     bool   `help:"Begin an empty store although a key file is there already."`
	where   `embed:""`
}

// options is serveFlags after validation.
type options struct {
	serveFlags
	allow  []netip.Prefix // private ranges that probes may reach
	egress []netip.Prefix // addresses that this machine connects from
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
	if o.allow, err = netguard.ParseAllow(o.Allow, o.local()); err != nil {
		problems = append(problems, "--allow: "+err.Error()+".")
	}
	if o.egress, err = netguard.ParseRanges(o.Egress); err != nil {
		problems = append(problems, "--egress: "+err.Error()+".")
	}
	return o, problems
}

// local reports whether only this machine can connect. Probes may then reach
// loopback too: every caller of the service can reach it anyway.
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
