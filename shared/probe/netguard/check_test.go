package netguard

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// special are addresses that a guard without an allow-list refuses. hard are
// those that stay refused whatever the list says.
var special = []struct {
	ip   string
	hard bool
}{
	{"0.0.0.0", true},
	{"0.1.2.3", true},
	{"127.0.0.1", true},
	{"127.1.2.3", true},
	{"127.255.255.254", true},
	{"169.254.0.1", true},
	{"169.254.169.254", true},
	{"169.254.170.2", true},
	{"169.254.170.23", true},
	{"169.254.169.253", true},
	{"169.254.169.123", true},
	{"169.254.100.1", true},
	{"169.254.78.1", true},
	{"224.0.0.1", true},
	{"239.255.255.250", true},
	{"255.255.255.255", true},
	{"::", true},
	{"::1", true},
	{"fe80::1", true},
	{"febf::1", true},
	{"fd00:ec2::254", true},
	{"fd00:ec2::23", true},
	{"fd00:ec2::253", true},
	{"168.63.129.16", true},
	{"100.100.100.200", true},
	{"192.0.0.192", true},
	{"fd20:ce::254", true},
	{"fd00:c1::a9fe:a9fe", true},
	{"fd00:42::42", true},
	{"fd00:a9fe:a9fe::1", true},
	{"fd00:100::100:200", true},
	{"::ffff:168.63.129.16", true},
	{"64:ff9b::a83f:8110", true},
	{"2002:a83f:8110::1", true},
	{"2001:0:a83f:8110::1", true},
	{"ff02::1", true},
	{"ff0e::1", true},
	// The same inside others.
	{"::ffff:127.0.0.1", true},
	{"::ffff:169.254.169.254", true},
	{"::ffff:0.0.0.0", true},
	{"::ffff:a9fe:a9fe", true},
	{"::127.0.0.1", true},
	{"::a9fe:a9fe", true},
	{"::ffff:0:169.254.169.254", true},
	{"64:ff9b::7f00:1", true},
	{"64:ff9b::a9fe:a9fe", true},
	{"64:ff9b::169.254.170.2", true},
	{"64:ff9b:1::1", true},
	{"64:ff9b:1:ffff::a9fe:a9fe", true},
	{"2002:7f00:1::", true},
	{"2002:a9fe:a9fe::1", true},
	{"2002:a9fe:aa02::", true},
	{"2001:0:a9fe:a9fe::1", true},
	{"2001:0:808:808:0:0:5601:5601", true},
	{"2001:0:7f00:1::", true},
	{"2600:1f18::5efe:a9fe:a9fe", true},
	{"2600:1f18::200:5efe:7f00:1", true},
	// Private and special-purpose ones, which only the lists refuse.
	{"10.0.0.1", false},
	{"10.255.255.255", false},
	{"172.16.0.1", false},
	{"172.31.255.255", false},
	{"192.168.1.1", false},
	{"100.64.0.1", false},
	{"100.127.255.255", false},
	{"192.0.0.1", false},
	{"192.0.2.1", false},
	{"192.31.196.1", false},
	{"192.52.193.1", false},
	{"192.88.99.1", false},
	{"192.175.48.1", false},
	{"198.18.0.1", false},
	{"198.19.255.255", false},
	{"198.51.100.1", false},
	{"203.0.113.1", false},
	{"240.0.0.1", false},
	{"255.255.255.254", false},
	{"fc00::1", false},
	{"fd12:3456::1", false},
	{"fdff:ffff::1", false},
	{"fec0::1", false},
	{"feff::1", false},
	{"100::1", false},
	{"2001:db8::1", false},
	{"2001:2::1", false},
	{"2001:10::1", false},
	{"2002:808:808::1", false},
	{"2620:4f:8000::1", false},
	{"3fff::1", false},
	{"4000::1", false},
	{"5f00::1", false},
	{"64:ff9b::808:808", false},
	{"64:ff9b::a00:1", false},
	{"::ffff:10.0.0.1", false},
	{"::ffff:192.168.0.1", false},
	{"2002:a00:1::", false},
	{"::8.8.8.8", false},
	{"2001:0:808:808:0:0:f5ff:fffe", false},
}

var public = []string{
	"1.1.1.1", "8.8.8.8", "52.95.110.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1",
	"11.0.0.1", "198.17.255.255", "223.255.255.255", "::ffff:8.8.8.8", "2600:1f18::1", "2600:1f18::5efe:808:808", "2606:4700::1111", "2a00:1450::1",
}

func blockedFor(t *testing.T, err error) Reason {
	t.Helper()
	b := (*Blocked)(nil)
	if !errors.As(err, &b) {
		t.Fatalf("got %v, want a *Blocked", err)
	}
	return b.Reason
}

func TestCheckRefusesSpecialAddresses(t *testing.T) {
	if len(special) < 60 {
		t.Fatalf("%d addresses in the table, want 60 or more", len(special))
	}
	g, err := New(Policy{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range special {
		if got := blockedFor(t, g.Check(netip.MustParseAddr(row.ip))); row.hard != (got == ReasonReserved) {
			t.Errorf("%s: blocked as %s; hard is %v", row.ip, got, row.hard)
		}
		if g.PlaintextAllowed(netip.MustParseAddr(row.ip)) {
			t.Errorf("%s: plaintext allowed", row.ip)
		}
	}
	for _, ip := range public {
		if err := g.Check(netip.MustParseAddr(ip)); err != nil {
			t.Errorf("%s: %v, want it allowed", ip, err)
		}
		if g.PlaintextAllowed(netip.MustParseAddr(ip)) {
			t.Errorf("%s: plaintext allowed to the public internet", ip)
		}
	}
	if g.Check(netip.Addr{}) == nil || g.Check(netip.MustParseAddr("2606:4700::1111%eth0")) == nil {
		t.Error("no address, or one with a zone, was allowed")
	}
}

// The parser would refuse this list; the check must not rely on it.
func TestHardDenialsPrecedeEveryList(t *testing.T) {
	everything := prefixes("0.0.0.0/0", "::/0")
	self := netip.MustParseAddr("10.7.7.7")
	g := newGuard(Policy{Allow: everything, Self: []netip.Addr{self}})
	for _, row := range special {
		err := g.Check(netip.MustParseAddr(row.ip))
		if row.hard {
			if got := blockedFor(t, err); got != ReasonReserved {
				t.Errorf("%s: blocked as %s, want reserved", row.ip, got)
			}
		} else if err != nil {
			t.Errorf("%s: %v, though the list allows it", row.ip, err)
		}
	}
	for _, ip := range []string{"10.7.7.7", "::ffff:10.7.7.7", "64:ff9b::a07:707", "2002:a07:707::"} {
		if g.Check(netip.MustParseAddr(ip)) == nil {
			t.Errorf("%s: the service's own address was allowed", ip)
		}
	}
	if g.Check(netip.MustParseAddr("10.7.7.8")) != nil {
		t.Error("the neighbour of the service's own address was refused")
	}
}

// An address of any interface is this machine, from when it is assigned, whatever
// the list allows and whether loopback may be reached or not.
func TestOwnAddressesAreDenied(t *testing.T) {
	own, fails := []string{}, error(nil)
	g := newGuard(Policy{Allow: prefixes("10.0.0.0/8", "fc00::/7"), Loopback: true})
	g.own = func() ([]netip.Addr, error) {
		out := make([]netip.Addr, len(own))
		for i, ip := range own {
			out[i] = netip.MustParseAddr(ip)
		}
		return out, fails
	}
	addresses := []string{"8.8.8.8", "10.1.2.3", "fd12:3456::9", "2606:4700::1111"}
	blocked := func(want bool, when string) {
		t.Helper()
		for _, ip := range append([]string{"::ffff:8.8.8.8"}, addresses...) {
			if err := g.Check(netip.MustParseAddr(ip)); (err != nil) != want {
				t.Errorf("%s: %s: %v", when, ip, err)
			}
		}
		if err := g.Check(netip.MustParseAddr("127.0.0.1")); err != nil {
			t.Errorf("%s: loopback: %v", when, err)
		}
	}
	blocked(false, "others")
	own = addresses
	blocked(true, "assigned while the process runs")
	own = nil
	blocked(false, "given up")
	fails = errors.New("no permission")
	blocked(true, "not to be listed")
}

// TestInterfaces runs itself where the loopback interface has public and private
// addresses.
func TestInterfaces(t *testing.T) {
	const inside = "CREDENCE_OWN_NETWORK"
	assigned := []string{"8.8.8.8", "10.99.0.1", "2606:4700::1111", "fd12:3456::9"}
	if os.Getenv(inside) != "" {
		g := newGuard(Policy{Allow: prefixes("10.0.0.0/8", "fc00::/7")})
		for _, ip := range assigned {
			if got := blockedFor(t, g.Check(netip.MustParseAddr(ip))); got != ReasonReserved {
				t.Errorf("%s: blocked as %s, want reserved", ip, got)
			}
		}
		if err := g.Check(netip.MustParseAddr("8.8.4.4")); err != nil {
			t.Errorf("another machine: %v", err)
		}
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := "ip link set lo up"
	for _, ip := range assigned {
		script += " && ip addr add " + ip + " dev lo"
	}
	if out, err := exec.Command("unshare", "-n", "sh", "-c", script).CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("making a network namespace: %v: %s", err, out)
		}
		t.Skipf("no network namespace can be made here: %v", err)
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", script+` && exec "$0" -test.run '^TestInterfaces$' -test.v`, program)
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestLoopbackAndAllowList(t *testing.T) {
	list, err := ParseAllow(" 10.20.0.0/16 ,fd12:3456::/32", false)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Policy{Allow: list, Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	for ip, plaintext := range map[string]bool{
		"10.20.1.1": true, "::ffff:10.20.1.1": true, "fd12:3456::9": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "8.8.8.8": false,
	} {
		addr := netip.MustParseAddr(ip)
		if err := g.Check(addr); err != nil {
			t.Errorf("%s: %v, want it allowed", ip, err)
		}
		if g.PlaintextAllowed(addr) != plaintext {
			t.Errorf("%s: plaintext allowed is %v", ip, !plaintext)
		}
	}
	for _, ip := range []string{"10.21.0.1", "169.254.169.254", "0.0.0.0", "::", "fd00:ec2::254", "64:ff9b::7f00:1", "64:ff9b::a14:101"} {
		if g.Check(netip.MustParseAddr(ip)) == nil {
			t.Errorf("%s was allowed", ip)
		}
	}
	if g.Check(netip.MustParseAddr("64:ff9b::7f00:1")) == nil {
		t.Error("loopback behind NAT64 was allowed: it is another machine's")
	}
}

func TestParseAllow(t *testing.T) {
	for _, row := range []struct {
		text     string
		loopback bool
		want     string // prefixes, or a part of the error behind "!"
	}{
		{"", false, ""},
		{" , ", false, ""},
		{"10.0.0.0/8", false, "10.0.0.0/8"},
		{"10.0.0.5,192.168.0.0/24 , fc00::/7", false, "10.0.0.5/32 192.168.0.0/24 fc00::/7"},
		{"::ffff:10.0.0.5", false, "10.0.0.5/32"},
		{"127.0.0.0/8,::1", true, "127.0.0.0/8 ::1/128"},
		{"127.0.0.0/8", false, "!this machine itself"},
		{"::1", false, "!this machine itself"},
		{"10.0.0.1/8", false, "!write 10.0.0.0/8"},
		{"0.0.0.0/0", true, "!not within a private range"},
		{"::/0", true, "!not within a private range"},
		{"169.254.0.0/16", true, "!no list can allow"},
		{"169.254.169.254", false, "!no list can allow"},
		{"169.0.0.0/8", false, "!not within a private range"},
		{"fd00:ec2::/32", false, "!no list can allow"},
		{"fd00:ec2::254", false, "!no list can allow"},
		{"fd20:ce::254", false, "!no list can allow"},
		{"168.63.129.16", false, "!no list can allow"},
		{"64:ff9b::/96", false, "!not within a private range"},
		{"8.8.8.8", false, "!not within a private range"},
		{"100.64.0.0/10", false, "!not within a private range"},
		{"10.0.0.0/7", false, "!neither an address nor a range|not within|write"},
		{"fe80::1%eth0", false, "!neither an address"},
		{"db.internal", false, "!neither an address"},
		{"nonsense, 8.8.8.8", false, "!8.8.8.8"},
	} {
		list, err := ParseAllow(row.text, row.loopback)
		if part, bad := strings.CutPrefix(row.want, "!"); bad {
			found := false
			for p := range strings.SplitSeq(part, "|") {
				found = found || err != nil && strings.Contains(err.Error(), p)
			}
			if !found || list != nil {
				t.Errorf("%q: got %v, %v; want an error with %q", row.text, list, err, part)
			}
			continue
		}
		var got []string
		for _, p := range list {
			got = append(got, p.String())
		}
		if err != nil || strings.Join(got, " ") != row.want {
			t.Errorf("%q: got %v, %v; want %q", row.text, got, err, row.want)
		}
	}
}

func TestNewRefusesWhatTheParserWould(t *testing.T) {
	for _, bad := range []string{"0.0.0.0/0", "::/0", "169.254.0.0/16", "127.0.0.0/8", "8.8.8.0/24"} {
		if _, err := New(Policy{Allow: prefixes(bad)}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if _, err := New(Policy{Allow: prefixes("127.0.0.0/8"), Loopback: true}); err != nil {
		t.Error(err)
	}
	if _, err := New(Policy{Allow: []netip.Prefix{{}}}); err == nil {
		t.Error("an empty prefix was taken")
	}
}
