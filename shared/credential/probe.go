package credential

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/connector"
	"credence/shared/envelope"
	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/limit"
	"credence/shared/probe"
	"credence/shared/store"
)

// Tester proves credentials against the systems they are for.
type Tester struct {
	Service
	Keys   envelope.Decrypter
	Runner Runner
	// Slots bounds the probes and looks under way, as ProbeSlots makes it; nil where
	// the process serves one request at a time.
	Slots *limit.Slots
	// Failed is told of a probe that could not begin by our fault: for the log
	// and the alarm. err may be nil.
	Failed func(c Credential, code probe.Code, err error)
}

// Runner reaches the systems that credentials are for. It answers within its
// own bounds whatever the target does, never panics, and says nothing in words
// that are not ours, but for the names and the data that Tree and Sample are
// asked for.
type Runner interface {
	// Run probes a credential.
	Run(ctx context.Context, typeName string, s probe.Settings) probe.Result
	// Browses tells what names the parts of systems of a type; false if they
	// cannot be looked into.
	Browses(typeName string) (probe.Places, bool)
	// Tree lists what is at a place, and Sample reads the beginning of it;
	// either has something to show only where the result's code is OK.
	Tree(ctx context.Context, typeName string, s probe.Settings, at probe.Place, depth int) (probe.Tree, probe.Result)
	Sample(ctx context.Context, typeName string, s probe.Settings, at probe.Place) (probe.Sample, probe.Result)
}

const (
	leaseTime = 8 * time.Second // longer than any probe
	distance  = 5 * time.Second // between two probes of one credential
)

// Probe opens the stored secret, tries it against the real system and records
// the outcome, unless the secret was changed meanwhile. One probe of a
// credential runs at a time, and two are at least five seconds apart; so is
// one sign-in at a target across the organisation's credentials one at a time:
// otherwise it answers CodeTooManyRequests.
//
// The entry that the probe started is durable before anything is sent. If the
// key service or the store is away before that, it answers their error and
// nothing was recorded.
func (t Tester) Probe(ctx context.Context, who identity.Caller, l *ForProbe) (probe.Result, error) {
	return t.probe(ctx, who, l, Request{})
}

// probe is Probe; where later has a number, the result is also kept under it.
func (t Tester) probe(ctx context.Context, who identity.Caller, l *ForProbe, later Request) (probe.Result, error) {
	if _, _, err := t.open(ctx, who, &l.ForRead, access.Probe); err != nil {
		return probe.Result{}, err
	}
	free, err := t.slot(ctx, who)
	if err != nil {
		return probe.Result{}, err
	}
	defer free()
	b, err := t.begin(ctx, who, l, toProbe)
	if err != nil {
		return probe.Result{}, err
	}
	result := b.failed
	if result == nil {
		found := t.Runner.Run(ctx, b.credential.Type, b.settings)
		result = &found
	}
	return *result, t.end(ctx, who, b, outcome{result: *result, later: later})
}

// begun is a probe, or a look, that holds its leases.
type begun struct {
	credential Credential
	settings   connector.Settings
	failed     *probe.Result // instead of settings: the secret did not open
	claim      claim
	version    Version // of the secret; 0 is its number where nothing is known of it
}

// aim is what a system is dialled for. A probe ("") keeps a distance to the last
// one; a look, named in the audit, keeps none and leaves that of probes as it
// was.
type aim string

const (
	toProbe   aim = ""
	candidate aim = "candidate" // a secret that is not stored yet; keeps the distance too
)

// started is the summary of the entry that is written before anything is dialled.
func (a aim) started() string {
	if a == toProbe {
		return "started"
	}
	return string(a) + ": started"
}

// begin opens the stored secret and takes the leases: all that comes before
// anything is dialled. It starts over if the credential's secret was replaced
// after it was read.
func (t Tester) begin(ctx context.Context, who identity.Caller, l *ForProbe, aim aim) (begun, error) {
	for attempt := 0; ; attempt++ {
		b, err := t.take(ctx, who, l.c, l.lease, aim)
		if err == nil {
			return b, nil
		}
		if retry, err := startOver(ctx, err, attempt); !retry {
			return begun{}, err
		}
		if err := t.reload(ctx, who, l); err != nil {
			return begun{}, err
		}
		if _, _, err := t.open(ctx, who, &l.ForRead, access.Probe); err != nil {
			return begun{}, err
		}
	}
}

func (t Tester) take(ctx context.Context, who identity.Caller, c Credential, lease lease, aim aim) (begun, error) {
	if err := t.free(c.ID, lease, aim); err != nil {
		return begun{}, err
	}
	secret, row, err := t.sealed(ctx, c, versionKey(c.Org, c.ID, c.SecretVersion))
	if err != nil {
		return begun{}, err
	}
	b := begun{credential: c}
	if b.version, err = knownVersion(row); err != nil {
		return begun{}, err
	}
	if b.settings, b.failed, err = t.settings(ctx, c, secret); err != nil {
		return begun{}, err
	}
	b.claim = t.newClaim(c, b.settings)
	if aim != toProbe {
		b.claim.next = lease.next
	}
	// A secret that was replaced or deleted by now is not sent.
	b.claim.check = store.Write{Verb: store.Check, Item: store.Item{Key: RowKey(c.Org, c.ID)}, If: store.Equal("sv", c.SecretVersion)}
	if b.failed == nil {
		if b.claim.entry, err = t.started(who, c, b.claim, aim); err != nil {
			return begun{}, err
		}
	}
	return b, t.claim(ctx, b.claim, lease)
}

// started is the write of the entry that a secret is about to be sent. It is an
// observation of its own: no entry is ever written twice. That of the outcome
// carries the same request id; where there is none, the process ended in
// between, and the secret may have been sent.
func (t Tester) started(who identity.Caller, c Credential, cl claim, aim aim) (store.Write, error) {
	e := t.entry(who, c, audit.Probed)
	e.ID, e.At, e.Summary = cl.number, cl.began, []string{aim.started()}
	return audit.Observation(e)
}

// end records the outcome, in time of its own: neither a caller who has left nor
// a probe that took all of the request's time loses it.
func (t Tester) end(ctx context.Context, who identity.Caller, b begun, o outcome) error {
	keep, stop := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer stop()
	o.claim, o.version = b.claim, b.version
	return unkept(t.record(keep, who, b.credential, o))
}

// free refuses while another probe or look holds the credential's lease, and a
// probe also until its distance to the last one is kept.
func (t Tester) free(id int64, lease lease, aim aim) error {
	wait := lease.until.Sub(t.now())
	if aim == toProbe || aim == candidate {
		wait = max(wait, lease.next.Sub(t.now()))
	}
	if wait > 0 {
		return tooSoon(id, wait)
	}
	return nil
}

const (
	// endTime is for what follows a probe: the commit of its outcome, the switch
	// to a proven secret included. A request that probes has 8 s before that and
	// its function 15 s in all.
	endTime = 4 * time.Second
	// releaseTime is for giving leases back, which run out anyway.
	releaseTime = time.Second
)

func tooSoon(id int64, wait time.Duration) error {
	return fault.New(fault.CodeTooManyRequests,
		"This credential was probed a moment ago, or is being probed now. Wait, then try again.").
		On(ResourceType, id).After(wait)
}

// settings opens the record. A record that does not open, or holds what its type
// does not take, makes a result and not an error: the person asked what is wrong
// with the credential. A key service that is away proves nothing about the
// credential: it is the error.
func (t Tester) settings(ctx context.Context, c Credential, item store.Item) (connector.Settings, *probe.Result, error) {
	object, err := openSecret(ctx, t.Keys, c, item)
	if errors.Is(err, envelope.ErrOpen) {
		return connector.Settings{}, t.ours(c, probe.CodeIntegrity, err), nil
	}
	if err != nil {
		return connector.Settings{}, nil, err
	}
	typ, ok := t.Types.Lookup(c.Type)
	if !ok {
		return connector.Settings{}, t.ours(c, probe.CodeNoProbeForType, nil), nil
	}
	plain := object.Expose()
	object.Clear()
	defer clear(plain)
	settings, faults := typ.Check(jsontext.Value(plain))
	if len(faults) > 0 {
		return connector.Settings{}, t.ours(c, probe.CodeProbeInternal, fault.Invalid(faults)), nil
	}
	return settings, nil, nil
}

// Try probes a full draft and stores nothing of it. The entry that the probe
// started, in the organisation's log, is durable before anything is sent.
func (t Tester) Try(ctx context.Context, who identity.Caller, d Draft) (probe.Result, error) {
	if d.Name == nil {
		unnamed := "unnamed"
		d.Name = &unnamed
	}
	p, err := t.prepare(who, d, "")
	if err != nil {
		return probe.Result{}, err
	}
	free, err := t.slot(ctx, who)
	if err != nil {
		return probe.Result{}, err
	}
	defer free()
	cl, err := t.claimTrial(ctx, who, p)
	if err != nil {
		return probe.Result{}, err
	}
	result := t.Runner.Run(ctx, p.typ.Name, p.settings)
	t.release(ctx, cl)
	for _, w := range p.settings.Warnings() {
		result.Warnings = append(result.Warnings, probe.Warning{Code: probe.WarnUnknownField, Message: w.Message, Pointer: w.Pointer})
	}
	return result, nil
}

// claimTrial takes the lease of the draft's principal, together with the entry of
// the trial. It starts over with another id if an entry of the same millisecond
// has drawn this one.
func (t Tester) claimTrial(ctx context.Context, who identity.Caller, p prepared) (claim, error) {
	for attempt := 0; ; attempt++ {
		cl := t.newClaim(Credential{Org: who.Org.ID, Type: p.typ.Name}, p.settings)
		entry, err := trial(who, p, cl)
		if err == nil {
			cl.entry = entry
			err = t.claim(ctx, cl, lease{})
		}
		if err == nil {
			return cl, nil
		}
		if retry, err := startOver(ctx, err, attempt); !retry {
			return claim{}, err
		}
	}
}

// maxTrialSettings is the longest object of settings, in bytes, that the entry of
// a trial holds: the entry stays within one write unit of DynamoDB.
const maxTrialSettings = 400

// trial is the write of the entry that a secret which is not stored is about to be
// sent. It names the target by the settings that are shown to others, because no
// credential does.
func trial(who identity.Caller, p prepared, cl claim) (store.Write, error) {
	e := audit.By(who, audit.Probed, cl.began)
	e.ID, e.OwnerID, e.OwnerEmail = cl.number, who.User.ID, who.User.Email
	e.Subject = audit.Subject{Type: ResourceType, Name: *p.Name}
	e.Summary = []string{"before saving, " + p.typ.Name + ": started"}
	if shown := p.settings.Public(); len(shown) <= maxTrialSettings {
		e.Summary = append(e.Summary, string(shown))
	}
	return audit.OrgObservation(e)
}

// claim is the right to probe: of one credential, and of one sign-in at one
// target.
type claim struct {
	number     int64
	began      time.Time
	credential int64     // 0 where none is concerned
	lease      store.Key // of the credential
	next       time.Time // when its next probe may begin
	principal  store.Key // zero where nobody signs in

	check store.Write // what must hold of the credential's row; the zero Write where none is concerned
	entry store.Write // that the probe started; the zero Write where nothing will be sent
}

func (t Tester) newClaim(c Credential, s connector.Settings) claim {
	now := t.now()
	cl := claim{number: id.New(now), began: now, next: now.Add(distance)}
	if c.ID != 0 {
		cl.credential, cl.lease = c.ID, leaseKey(c.Org, c.ID)
	}
	if p := s.Principal(); p != "" {
		cl.principal = principalKey(c.Org, p)
	}
	return cl
}

// claim takes both leases in one commit with the entry that the probe started,
// before anything is dialled. A lease left by a probe that died runs out by
// itself. An error of store.Overtaken means that the credential, or the entry's
// id, is not what it was: read again and start over.
func (t Tester) claim(ctx context.Context, cl claim, lease lease) error {
	var writes []store.Write
	leased, target := -1, -1
	if cl.credential != 0 {
		condition := store.Absent()
		if lease.claim != 0 {
			condition = store.Equal("claim", lease.claim)
		}
		leased, writes = 1, append(writes, cl.check, cl.hold(cl.began.Add(leaseTime), condition))
	}
	if cl.principal.Sort != "" {
		target = len(writes)
		writes = append(writes, store.Write{
			Verb: store.Put,
			Item: store.Item{
				Key: cl.principal, Attributes: store.Attributes{"claim": cl.number},
				Expires: cl.began.Add(leaseTime),
			},
			If: store.Absent(),
		})
	}
	if cl.entry.Verb != 0 {
		writes = append(writes, cl.entry)
	}
	if len(writes) == 0 {
		return nil
	}
	err := t.Store.Commit(ctx, writes...)
	switch {
	case leased > 0 && store.ConditionFailed(err, 0):
		return err // the credential was deleted or changed
	case store.ConditionFailed(err, leased):
		return tooSoon(cl.credential, leaseTime)
	case store.ConditionFailed(err, target):
		return fault.New(fault.CodeTooManyRequests,
			"Another probe is signing in at the same target right now. Wait, then try again.").After(leaseTime).Because(err)
	}
	return err
}

// hold writes the credential's lease, which runs until then. The row itself
// outlives the lease a little: clocks of two machines may differ.
func (cl claim) hold(until time.Time, condition store.Condition) store.Write {
	a := store.Attributes{"claim": cl.number}
	a.SetTime("began", cl.began)
	a.SetTime("until", until)
	a.SetTime("next", cl.next)
	if cl.next.After(until) {
		until = cl.next
	}
	return store.Write{
		Verb: store.Put,
		Item: store.Item{Key: cl.lease, Attributes: a, Expires: until.Add(time.Minute)},
		If:   condition,
	}
}

// releases gives both leases back; the credential's keeps its distance to the
// next. Each names the claim, so a lease that ran out and was taken by another
// probe stays his.
func (cl claim) releases() []store.Write {
	var writes []store.Write
	if cl.credential != 0 {
		writes = append(writes, cl.hold(cl.began, store.Equal("claim", cl.number)))
	}
	if cl.principal.Sort != "" {
		writes = append(writes, remove(cl.principal, store.Equal("claim", cl.number)))
	}
	return writes
}

// release gives the leases back after a probe that records nothing. One that
// cannot be given back runs out by itself, so this is no reason to withhold
// what the probe found out.
func (t Tester) release(ctx context.Context, cl claim) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer stop()
	leases := cl.releases()
	for attempt := 0; len(leases) > 0; attempt++ {
		err := t.Store.Commit(ctx, leases...)
		if err == nil {
			return
		}
		leases = stillHeld(leases, leases, err)
		if retry, _ := startOver(ctx, err, attempt); !retry {
			return
		}
	}
}

// stillHeld leaves out of the leases those that another probe has by now, as a
// commit of the writes told.
func stillHeld(leases, writes []store.Write, err error) []store.Write {
	var held []store.Write
	for _, l := range leases {
		i := slices.IndexFunc(writes, func(w store.Write) bool { return w.Item.Key == l.Item.Key })
		if !store.ConditionFailed(err, i) {
			held = append(held, l)
		}
	}
	return held
}
