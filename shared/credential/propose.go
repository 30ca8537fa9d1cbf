package credential

import (
	"context"
	"errors"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
)

// Switcher tries a new secret before it takes the old one's place.
type Switcher struct {
	Editor Editor
	Tester Tester
}

// proposal is a new secret on its way to become the active version: sealed
// before it is tried, so that once it is proven one commit is left.
type proposal struct {
	who    identity.Caller
	before Credential
	head   audit.Head
	p      prepared
	sealed sealing
	view   View // what is answered but for the credential
	begun  begun
	result probe.Result
	idem   Idempotency
}

// Propose checks a new secret, seals it, probes it from memory, and makes it the
// active version only if the system accepts it. Otherwise nothing changes and
// the result says what is wrong. It reports whether it switched. Calling it again
// after a switch makes another version, unless the draft names the same idempotency key: then it answers as it did first.
func (s Switcher) Propose(ctx context.Context, who identity.Caller, l *ForSwitch, d Draft) (View, probe.Result, bool, error) {
	c, held, err := s.Editor.open(ctx, who, &l.ForRead, access.Update)
	if err != nil {
		return View{}, probe.Result{}, false, err
	}
	if view, result, found, err := s.replay(ctx, who, d.Idem); err != nil || found {
		return view, result, found, err
	}
	d = Draft{Credentials: d.Credentials, Faults: d.Faults, IfMatch: d.IfMatch, Idem: d.Idem}
	if d.Credentials.Kind() == 0 {
		d.Faults = append(d.Faults, fault.Detail{Pointer: "/credentials", Code: fault.DetailRequired, Message: "Send the new credentials."})
	}
	pr := proposal{who: who, before: c, head: l.head, idem: d.Idem}
	if pr.p, err = s.Editor.prepare(who, d, c.Type); err != nil {
		return View{}, probe.Result{}, false, err
	}
	defer clear(pr.p.canonical)
	if !d.IfMatch.holds(c.Version) {
		return View{}, probe.Result{}, false, stale(c.ID)
	}
	if err := s.Tester.free(c.ID, l.lease, candidate); err != nil {
		return View{}, probe.Result{}, false, err
	}
	free, err := s.Tester.slot(ctx, who)
	if err != nil {
		return View{}, probe.Result{}, false, err
	}
	defer free()
	if pr.view, err = s.Editor.view(ctx, who, c, held); err != nil {
		return View{}, probe.Result{}, false, err
	}
	if pr.sealed, err = s.Editor.seal(ctx, c, pr.p, sealing{}); err != nil {
		return View{}, probe.Result{}, false, err
	}
	if pr.begun, err = s.Tester.beginCandidate(ctx, pr, l.lease); err != nil {
		return View{}, probe.Result{}, false, err
	}
	pr.result = s.Tester.Runner.Run(ctx, pr.p.typ.Name, pr.p.settings)
	if pr.result.Verdict != probe.Valid {
		return View{}, pr.result, false, s.Tester.end(ctx, who, pr.begun, outcome{result: pr.result, instead: candidate})
	}
	view, err := s.adopt(ctx, pr)
	return view, pr.result, err == nil, err
}

// replay answers what the first request with this key switched to, and how its
// probe went.
func (s Switcher) replay(ctx context.Context, who identity.Caller, i Idempotency) (View, probe.Result, bool, error) {
	row, found, err := i.Used(ctx, s.Editor.Store, who)
	if err != nil || !found {
		return View{}, probe.Result{}, false, err
	}
	var result probe.Result
	if err := getJSON(row, "result", &result); err != nil {
		return View{}, probe.Result{}, false, err
	}
	view, found, err := s.Editor.replayed(ctx, who, row)
	return view, result, found, err
}

// beginCandidate takes the leases for a secret that is not stored yet, under the
// credential's own lease. It is audited as a probe, so that no secret is tried
// unseen. A credential that was changed since it was read would not switch, so
// nothing is sent.
func (t Tester) beginCandidate(ctx context.Context, pr proposal, lease lease) (begun, error) {
	c := pr.before
	for attempt := 0; ; attempt++ {
		cl := t.newClaim(c, pr.p.settings)
		cl.check = store.Write{Verb: store.Check, Item: store.Item{Key: RowKey(c.Org, c.ID)}, If: store.Equal("ver", c.Version)}
		var err error
		if cl.entry, err = t.started(pr.who, c, cl, candidate); err != nil {
			return begun{}, err
		}
		err = t.claim(ctx, cl, lease)
		if err == nil {
			return begun{credential: c, claim: cl}, nil
		}
		if store.ConditionFailed(err, 0) {
			gone, cause := t.missing(ctx, c)
			switch {
			case cause != nil:
				return begun{}, cause
			case gone:
				return begun{}, notFound(c.ID)
			}
			return begun{}, stale(c.ID)
		}
		if retry, err := startOver(ctx, err, attempt); !retry {
			return begun{}, err
		}
	}
}

// adopt makes the proven secret the active version in one commit with the
// outcome of its probe, verdict included, unless the credential was changed
// since it was read; then the outcome alone is written.
func (s Switcher) adopt(ctx context.Context, pr proposal) (View, error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer stop()
	o := outcome{result: pr.result, instead: candidate, claim: pr.begun.claim}
	before, head, leases := pr.before, pr.head, o.claim.releases()
	for attempt := 0; ; attempt++ {
		after, writes, err := s.switching(pr, o, before, head, leases)
		if err != nil {
			return View{}, err
		}
		err = s.Editor.Store.Commit(ctx, writes...)
		if err == nil {
			pr.view.Credential, pr.view.Warnings = after, pr.p.settings.Warnings()
			return pr.view, nil
		}
		leases = stillHeld(leases, writes, err)
		retry, err := startOver(ctx, err, attempt)
		if fault.Is(err, fault.CodeConflict) {
			return View{}, s.unadopted(ctx, pr, o, err)
		}
		if !retry {
			return View{}, unadopted(err)
		}
		l := ForChange{ForRead: ForRead{id: before.ID}}
		if err := s.Editor.reload(ctx, pr.who, &l); err != nil {
			return View{}, unadopted(err)
		}
		if before, _, err = s.Editor.open(ctx, pr.who, &l.ForRead, access.Update); err == nil && before.Version != pr.before.Version {
			err = stale(before.ID)
		}
		if err != nil {
			return View{}, s.unadopted(ctx, pr, o, err)
		}
		head = l.head
	}
}

// switching makes the writes of the switch and of the probe's outcome.
func (s Switcher) switching(pr proposal, o outcome, before Credential, head audit.Head, leases []store.Write) (Credential, []store.Write, error) {
	observed, err := audit.Observation(s.Tester.probed(pr.who, before, o))
	if err != nil {
		return Credential{}, nil, err
	}
	ch := change{who: pr.who, before: before, after: before, head: head, event: audit.Updated}
	ch.writes = append([]store.Write{observed}, leases...)
	if ch.writes, err = pr.remember(ch.writes, before, s.Editor.now()); err != nil {
		return Credential{}, nil, err
	}
	if err := ch.replaceSecret(pr.sealed, pr.p, s.Editor.now(), &pr.result); err != nil {
		return Credential{}, nil, err
	}
	ch.compare()
	ch.summary = append(ch.summary, "switched after a valid probe")
	ch.touch(s.Editor.now())
	writes, err := s.Editor.writes(&ch)
	return ch.after, writes, err
}

// remember adds the row of the idempotency key, with the result of the probe.
func (pr proposal) remember(writes []store.Write, c Credential, now time.Time) ([]store.Write, error) {
	row := made(c)
	if err := setJSON(row, "result", pr.result, true); err != nil {
		return nil, err
	}
	return append(writes, pr.idem.Writes(pr.who, now, row)...), nil
}

// unadopted records the outcome of a probe whose secret was not adopted because
// of err, which it returns.
func (s Switcher) unadopted(ctx context.Context, pr proposal, o outcome, err error) error {
	return errors.Join(err, s.Tester.record(ctx, pr.who, pr.before, o))
}

// unadopted tells a caller whose secret was proven that it is not stored.
func unadopted(err error) error {
	switch {
	case errors.Is(err, store.ErrOutcomeUnknown):
		return fault.New(fault.CodeOutcomeUnknown,
			"The new secret works, but our store's answer was lost, so the switch may or may not be made. Read the credential before you try again.").Because(err)
	case errors.Is(err, store.ErrUnavailable):
		return fault.New(fault.CodeStoreUnavailable,
			"The new secret works, but our store could not be reached to switch to it. The old one is still active; send the new one again shortly.").
			After(leaseTime).Because(err)
	}
	return err
}
