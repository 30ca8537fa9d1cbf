package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"credence/shared/probe/netguard"
)

// options is what `serve` was asked for, validated whole.
type options struct {
	addr    string
	data    string
	allow   []netip.Prefix // private ranges that probes may reach
	egress  []netip.Prefix // addresses that this machine connects from
	tlsCert string
	tlsKey  string
	public  bool // listen wider than loopback
	dynamo  dynamoOptions
	store   string // embedded or dynamodb
}

type dynamoOptions struct{ endpoint, tables string }

const (
	storeEmbedded = "embedded"
	storeDynamo   = "dynamodb"
)

// errUsage says that the command line was refused and the reason is printed.
var errUsage = errors.New("command line")

func parseServe(args []string, out io.Writer) (options, error) {
	var o options
	var allow, egress string
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.Usage = func() { _, _ = io.WriteString(out, serveUsage) }
	o.where(fs)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:3000", "")
	fs.StringVar(&allow, "allow", "", "")
	fs.StringVar(&egress, "egress", "", "")
	fs.BoolVar(&o.public, "public", false, "")
	fs.StringVar(&o.tlsCert, "tls-cert", "", "")
	fs.StringVar(&o.tlsKey, "tls-key", "", "")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	faults := o.validate(fs.Args(), allow, egress)
	if len(faults) > 0 {
		for _, f := range faults {
			_, _ = fmt.Fprintln(out, "credence: "+f)
		}
		return o, errUsage
	}
	return o, nil
}

// where declares the flags that say which data is meant: those of every command.
func (o *options) where(fs *flag.FlagSet) {
	fs.StringVar(&o.data, "data", "./.data", "")
	fs.StringVar(&o.store, "store", storeEmbedded, "")
	fs.StringVar(&o.dynamo.endpoint, "dynamodb-endpoint", "", "")
	fs.StringVar(&o.dynamo.tables, "dynamodb-tables", "credence", "")
}

// validate gathers everything that is wrong, not the first fault alone.
func (o *options) validate(rest []string, allow, egress string) []string {
	var faults []string
	if len(rest) > 0 {
		faults = append(faults, fmt.Sprintf("serve takes no argument %q; see --help", rest[0]))
	}
	host, _, err := net.SplitHostPort(o.addr)
	switch {
	case err != nil:
		faults = append(faults, "--addr must be HOST:PORT, such as 127.0.0.1:3000")
	case !loopback(host) && !o.public:
		faults = append(faults, "--addr is not a loopback address: add --public with --tls-cert and --tls-key to serve others")
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		faults = append(faults, "--tls-cert and --tls-key go together")
	}
	if o.public && o.tlsCert == "" {
		faults = append(faults, "--public needs --tls-cert and --tls-key: tokens must not cross a network in clear")
	}
	if strings.TrimSpace(o.data) == "" {
		faults = append(faults, "--data must name a folder")
	} else if o.data, err = filepath.Abs(o.data); err != nil {
		faults = append(faults, "--data must name a folder")
	}
	if o.store != storeEmbedded && o.store != storeDynamo {
		faults = append(faults, "--store must be embedded or dynamodb")
	}
	if o.allow, err = netguard.ParseAllow(allow, o.local()); err != nil {
		faults = append(faults, "--allow: "+err.Error())
	}
	if o.egress, err = netguard.ParseRanges(egress); err != nil {
		faults = append(faults, "--egress: "+err.Error())
	}
	return faults
}

// local reports whether only this machine can connect. Probes may then reach
// loopback too: whoever may call the service can reach it anyway.
func (o *options) local() bool {
	host, _, err := net.SplitHostPort(o.addr)
	return err == nil && loopback(host)
}

// loopback takes no name but localhost: what another name resolves to may
// change between this check and the listening.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (o *options) url() string {
	if o.tlsCert != "" {
		return "https://" + o.addr
	}
	return "http://" + o.addr
}

const usage = `Credence keeps the secrets of data pipelines, and proves that they work.

Usage:
  credence [serve] [flags]     serve on this machine
  credence org add  NAME       make an organisation, its first user and a key
  credence user add EMAIL      make a user in an organisation, and a key
  credence key add  EMAIL      make another service key for a user
  credence --version | --help

Each command answers --help. The commands that add something work while the
server runs and while it does not; they print the new key once.
`

const serveUsage = `Usage: credence serve [flags]

  --addr HOST:PORT     where to listen (127.0.0.1:3000)
  --data DIR           where the data is, made on first start (./.data)
  --allow RANGES       private ranges that probes may reach, such as
                       10.0.0.0/8,192.168.1.0/24 (none; loopback is allowed
                       while the server listens on loopback only)
  --egress ADDRESSES   addresses that probes come from, which messages name for
                       the firewall of a system, such as 198.51.100.7
  --public             listen on an address that others can reach; needs TLS
  --tls-cert FILE      certificate chain, PEM
  --tls-key FILE       its private key, PEM
  --store NAME         embedded (the default) or dynamodb
  --dynamodb-endpoint URL   of a local engine; empty = AWS, from the environment
  --dynamodb-tables PREFIX  of the three tables (credence)
`
