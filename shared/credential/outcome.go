package credential

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
)

// outcome is what a probe found out, on its way into the store.
type outcome struct {
	result  probe.Result
	claim   claim
	version Version // that was probed; 0 is its number where nothing is known of it
	instead aim     // of a probe of the stored secret: what was looked at or tried
	later   Request // where its number is not 0: the result is kept under it too
}

// ours is the result of a probe that failed before it began, by our fault.
func (t Tester) ours(c Credential, code probe.Code, cause error) *probe.Result {
	r := probe.NotRun(code, c.Type, t.now())
	t.Failed(c, code, cause)
	return &r
}

// record writes the outcome in one commit: the verdict, the result, both
// leases given back, the audit entry. If the secret was changed meanwhile the
// verdict is not about the secret that is there now: the leases, the entry and
// the result that is asked for by number are written. If others change the
// credential so often that the verdict loses every attempt, the leases and the
// entry are written and the caller is told.
func (t Tester) record(ctx context.Context, who identity.Caller, c Credential, o outcome) error {
	leases := o.claim.releases()
	for attempt := 0; ; attempt++ {
		observed, err := audit.Observation(t.probed(who, c, o))
		if err != nil {
			return err
		}
		writes := append([]store.Write{observed}, leases...)
		verdict, err := t.verdict(c, o)
		if err != nil {
			return err
		}
		later, err := o.later.keep(c, o.result)
		if err != nil {
			return err
		}
		err = t.Store.Commit(ctx, slices.Concat(writes, verdict, later)...)
		if err == nil {
			return nil
		}
		leases = stillHeld(leases, writes, err)
		retry, err := startOver(ctx, err, attempt)
		if fault.Is(err, fault.CodeConflict) {
			t.release(ctx, o.claim)
			lost := fault.New(fault.CodeConflict,
				"The probe ran, but others kept changing this credential at the same moment, so what it found was not kept. Probe again.").
				On(ResourceType, c.ID).Because(err)
			return errors.Join(lost, t.observe(ctx, func() audit.Entry { return t.probed(who, c, o) }))
		}
		if !retry {
			return err
		}
		if c, o, err = t.reread(ctx, c, o); err != nil {
			return err
		}
	}
}

// probed is the entry that says so.
func (t Tester) probed(who identity.Caller, c Credential, o outcome) audit.Entry {
	e := t.entry(who, c, audit.Probed)
	e.Summary = []string{o.summary()}
	return e
}

// reread reads the credential after somebody else's change. A credential that
// is gone, or holds another secret by now, gets no verdict.
func (t Tester) reread(ctx context.Context, c Credential, o outcome) (Credential, outcome, error) {
	items, err := t.Store.Get(ctx, RowKey(c.Org, c.ID), versionKey(c.Org, c.ID, c.SecretVersion))
	if err != nil {
		return c, o, err
	}
	now, found, err := decode(c.Org, c.ID, items[0])
	if err != nil {
		return c, o, err
	}
	if !found {
		c.rev, o.later = 0, Request{}
		return c, o, nil
	}
	if now.SecretVersion != c.SecretVersion {
		c.rev = 0
		return c, o, nil
	}
	o.version, err = knownVersion(items[1])
	return now, o, err
}

// unkept tells a caller whose probe ran that its outcome is not stored: other
// requests whose commit fails changed nothing, this one sent the secret.
func unkept(err error) error {
	switch {
	case errors.Is(err, store.ErrOutcomeUnknown):
		return fault.New(fault.CodeOutcomeUnknown,
			"The probe ran, but our store's answer was lost, so its outcome may or may not be kept. Read the credential's last_probe.").Because(err)
	case errors.Is(err, store.ErrUnavailable):
		return fault.New(fault.CodeStoreUnavailable,
			"The probe ran, but our store could not be reached, so its outcome is not kept. Probe again shortly.").
			After(leaseTime).Because(err)
	}
	return err
}

func (o outcome) summary() string {
	if o.instead != "" {
		return fmt.Sprintf("%s: %s", o.instead, o.result.Code)
	}
	return fmt.Sprintf("%s: %s", o.result.Verdict, o.result.Code)
}

// verdict makes the writes that say what was found out; none for a credential
// whose secret has changed since (rev 0), nor where something was done instead,
// which says nothing of the secret.
func (t Tester) verdict(c Credential, o outcome) ([]store.Write, error) {
	if c.rev == 0 || o.instead != "" {
		return nil, nil
	}
	n := c.Probes
	learn(&c, o.result)
	row, err := encode(c)
	if err != nil {
		return nil, err
	}
	kept, err := encodeResult(c, n, o.result)
	if err != nil {
		return nil, err
	}
	writes := []store.Write{row, kept}
	if v := o.version; v.Number != 0 && (o.result.Verdict != probe.Unknown || !c.Ends.equal(v.Ends)) {
		v.Status, v.Verified, v.Ends = c.Status, c.VerifiedAt, c.Ends
		if o.result.Verdict == probe.Valid {
			v.Rejection = o.result.Rejection
		}
		version, err := encodeVersion(c, v, store.Present())
		if err != nil {
			return nil, err
		}
		writes = append(writes, version)
	}
	return writes, nil
}

// History returns the last results, newest first.
func (s Service) History(ctx context.Context, who identity.Caller, l *ForRead) ([]probe.Result, error) {
	c, _, err := s.open(ctx, who, l, access.Read)
	if err != nil {
		return nil, err
	}
	page, err := s.Store.Range(ctx, store.Under(store.Meta, ownPartition(c.Org, c.ID), resultPrefix))
	if err != nil {
		return nil, err
	}
	results := make([]probe.Result, len(page.Items))
	for i, item := range page.Items {
		if err := json.Unmarshal([]byte(item.Attributes.Text("result")), &results[i]); err != nil {
			return nil, fmt.Errorf("reading a probe's result: %w", err)
		}
	}
	slices.SortStableFunc(results, func(a, b probe.Result) int { return b.CheckedAt.Compare(a.CheckedAt) })
	return results, nil
}

// Log returns a page of the audit log, newest entry first, to each caller who may
// see the credential, or, once it is deleted, to its last owner and the
// organisation's admins.
func (s Service) Log(ctx context.Context, who identity.Caller, l *ForLog, q audit.Query) (audit.Page, error) {
	if l.head.Gone && l.head.Type == "" {
		if l.head.OwnerID != who.User.ID && !who.User.Admin {
			return audit.Page{}, notFound(l.id)
		}
	} else if _, _, err := s.open(ctx, who, &l.ForRead, access.Read); err != nil {
		return audit.Page{}, err
	}
	q.Org, q.Credential = who.Org.ID, l.id
	return audit.Read(ctx, s.Store, q)
}

// Filterable are the events a client may ask the log for.
func Filterable() []audit.Event {
	return []audit.Event{
		audit.Created, audit.Updated, audit.Destroyed, audit.RolledBack, audit.Copied,
		audit.Revealed, audit.Probed, audit.Denied, audit.Transfer, audit.Linked, audit.Unlinked,
		audit.AccessAdded, audit.AccessRemoved,
	}
}
