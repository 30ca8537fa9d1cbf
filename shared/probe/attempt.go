package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"credence/shared/probe/netguard"
)

// The stages, in their order.
const (
	Policy   = "policy"   // our own rules allow the address
	DNS      = "dns"      // the name has addresses
	TCP      = "tcp"      // one of them takes a connection
	TLS      = "tls"      // it is encrypted and the certificate is good
	Protocol = "protocol" // the system is of the kind expected
	Auth     = "auth"     // the secret was presented and accepted
	Access   = "access"   // what the credential names may be used
)

var stageOrder = []string{Policy, DNS, TCP, TLS, Protocol, Auth, Access}

var stageOK = map[string]string{
	Policy:   "The address may be reached from here.",
	DNS:      "The name of the host was found.",
	TCP:      "The system took the connection.",
	TLS:      "The connection is encrypted.",
	Protocol: "The system is of the kind expected.",
	Auth:     "The system accepted the secret.",
	Access:   "What the credential names may be used.",
}

// Attempt is one probe under way: the settings, the only way out, and the
// record of its stages. It is the prober's from Probe's call to its return;
// what is recorded later, by a driver that hangs on, is dropped. Its methods
// may be used by many goroutines at once.
type Attempt struct {
	settings Settings
	dialer   *netguard.Dialer
	sound    func(*Attempt, Finding) Finding // refuses what the stages do not bear out
	budget   time.Duration
	now      func() time.Time
	log      *slog.Logger

	mu        sync.Mutex
	sealed    bool
	stages    map[string]Stage
	open      []openStage
	spent     time.Duration // in stages that are closed
	failure   *Finding      // of the lowest stage that stands failed
	failedAt  string
	hostField Field
	portField Field
	mutual    mutual
	rejection string // the remembered class; set before the attempt begins
	rejected  string // the class to remember
	warned    []Warning
	facts     map[string]string
}

type openStage struct {
	name  string
	began time.Time
}

// Settings are the checked settings of the credential, under their canonical
// names.
func (a *Attempt) Settings() Settings { return a.settings }

// Locate tells which fields decide host and port, for the pointers of failures
// to connect. Without it they are "host" and "port".
func (a *Attempt) Locate(hostField, portField Field) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hostField, a.portField = hostField, portField
}

// Stage runs one stage and records how it ended: ok if do returns nil, else
// failed. A stage cannot stay open, whatever do does. The error is always a
// Finding: do's own, or what Explain makes of its error. If a lower stage
// failed within do (a driver that dials, encrypts and signs in at one call),
// that one failed and this one was not reached.
func (a *Attempt) Stage(name string, do func() error) error {
	before := a.begin(name)
	returned := false
	var err error
	defer func() {
		if !returned { // a panic, which the runner recovers
			_ = a.end(name, before, &Finding{Code: CodeProbeInternal})
		}
	}()
	err = do()
	returned = true
	if err == nil {
		_ = a.end(name, before, nil)
		return nil
	}
	f := a.explain(name, err)
	return *a.end(name, before, &f)
}

// Explain turns any error into a finding: the lower stage's that failed, the
// finding that err is or wraps, or the code that fits an error of the network,
// TLS or the guard. The words of err end here.
func (a *Attempt) Explain(err error) Finding { return a.explain(Auth, err) }

func (a *Attempt) explain(stage string, err error) Finding {
	a.mu.Lock()
	failure, at, host, port, mutual := a.failure, a.failedAt, a.hostField, a.portField, a.mutual
	a.mu.Unlock()
	if failure != nil && before(at, stage) {
		return *failure
	}
	if f, ok := mutual.refusal(err, host); ok {
		return f
	}
	if c := (x509.CertificateInvalidError{}); errors.As(err, &c) && c.Reason == x509.Expired && c.Cert != nil {
		a.Ends(FactCertificateEnd, c.Cert.NotAfter)
	}
	return classify(stage, err, host, port)
}

// begin opens a stage; it returns the time spent in closed stages so far, so
// that a stage does not count the time of those within it.
func (a *Attempt) begin(name string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = append(a.open, openStage{name, a.now()})
	return a.spent
}

// end closes the latest open stage of that name and gives the finding that
// stands: f, or that of a lower stage.
func (a *Attempt) end(name string, spentBefore time.Duration, f *Finding) *Finding {
	a.mu.Lock()
	defer a.mu.Unlock()
	took, open := a.close(name, spentBefore)
	if a.sealed || !open {
		return f
	}
	if f != nil && f.Code == CodeProbeTimeout { // else what is open below is another connection's
		a.closeBelow(name)
	}
	if f != nil && f.Code.Verdict() == Invalid && before(name, Auth) {
		a.record(name, took, nil) // TLS or HTTP worked; the secret that they carried was rejected
		return f
	}
	a.record(name, took, f)
	if f != nil && a.failure != nil {
		return a.failure
	}
	return f
}

// close takes the latest open stage of that name off the list; false if its
// end was told already.
func (a *Attempt) close(name string, spentBefore time.Duration) (time.Duration, bool) {
	for i := len(a.open) - 1; i >= 0; i-- {
		if a.open[i].name == name {
			took := max(0, a.now().Sub(a.open[i].began)-(a.spent-spentBefore))
			a.open = slices.Delete(a.open, i, i+1)
			a.spent += took
			return took, true
		}
	}
	return 0, false
}

// closeBelow ends the lower stages that a driver still has open in the
// background when the stage around them gives up: that is where the time went.
func (a *Attempt) closeBelow(name string) {
	for _, o := range slices.Clone(a.open) {
		if !before(o.name, name) {
			continue
		}
		took, _ := a.close(o.name, a.spent)
		late := classify(o.name, context.DeadlineExceeded, a.hostField, a.portField)
		a.record(o.name, took, &late)
	}
}

// Warn adds a warning beside the verdict, with the field to change, if one is,
// and words that say what to do; "" leaves the code's own. The same code is
// kept once.
func (a *Attempt) Warn(code Code, field Field, message sentence) {
	if message == "" {
		message = warnings[code]
	}
	w := Warning{Code: code, Message: string(message), Pointer: field.pointer(a.settings)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sealed && !slices.ContainsFunc(a.warned, func(x Warning) bool { return x.Code == code }) {
		a.warned = append(a.warned, w)
	}
}

// WarnOf adds a finding whose code is a warning's, as Warn does.
func (a *Attempt) WarnOf(f Finding) { a.Warn(f.Code, f.field, sentence(f.message)) }

// Fact adds something found out, such as "server_version". A value is kept
// only if it is 1 to 64 letters, digits, spaces and . : _ + / = -; parse what
// a server says and pass the parsed part, never its text.
func (a *Attempt) Fact(name sentence, value string) {
	const more = " .:_+/=-"
	odd := func(c rune) bool {
		return (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(more, c)
	}
	if value == "" || len(value) > 64 || strings.ContainsFunc(value, odd) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sealed {
		a.facts[string(name)] = value
	}
}

// Ends adds a fact that is a time at which something stops working. Of several
// (two certificates, two tokens) the earliest stays; one that no calendar of
// four digits knows is dropped.
func (a *Attempt) Ends(fact sentence, at time.Time) {
	at = at.UTC()
	if at.Year() < 1970 || at.Year() > 9999 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known, err := time.Parse(time.RFC3339, a.facts[string(fact)])
	if !a.sealed && (err != nil || at.Before(known)) {
		a.facts[string(fact)] = at.Format(time.RFC3339)
	}
}

// share is a part of the whole budget, in sevenths: with the usual 7 s, in
// seconds.
func (a *Attempt) share(sevenths int) time.Duration { return a.budget * time.Duration(sevenths) / 7 }

// DialContext is the way out for connections that are, or will be, encrypted
// before anything secret is sent. It records policy, dns and tcp, and has the
// shape that drivers and net/http take. Its errors are Findings.
func (a *Attempt) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return a.dial(ctx, network, address, false)
}

// DialPlaintext is DialContext for connections that stay without TLS. It
// reaches only addresses that the operator listed; others are TLS_REQUIRED
// before anything is dialled.
func (a *Attempt) DialPlaintext(ctx context.Context, network, address string) (net.Conn, error) {
	return a.dial(ctx, network, address, true)
}

// Aside dials an address of this attempt once more and records no stage: for a
// question that sends nothing of the credential, such as which kind of system
// answers there. Its errors are to be dropped.
func (a *Attempt) Aside(ctx context.Context, network, address string) (net.Conn, error) {
	return a.dialer.DialContext(ctx, network, address)
}

func (a *Attempt) dial(ctx context.Context, network, address string, plaintext bool) (net.Conn, error) {
	var target netguard.Target
	err := a.Stage(Policy, func() (err error) {
		target, err = a.dialer.Target(network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	ips := []netip.Addr{target.IP}
	if !target.IP.IsValid() {
		err = a.Stage(DNS, func() (err error) {
			ctx, cancel := context.WithTimeout(ctx, a.share(2))
			defer cancel()
			ips, err = a.dialer.Lookup(ctx, target)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := a.Stage(Policy, func() error { return a.dialer.Permit(ips, plaintext) }); err != nil {
		return nil, err
	}
	var c net.Conn
	err = a.Stage(TCP, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, a.share(3))
		defer cancel()
		c, err = a.dialer.Connect(ctx, network, ips, target.Port)
		return err
	})
	if err != nil {
		return nil, err
	}
	return heedful(c), nil
}
