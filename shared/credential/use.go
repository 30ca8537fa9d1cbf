package credential

import (
	"context"

	"credence/shared/access"
	"credence/shared/identity"
	"credence/shared/store"
)

// This file is for what uses credentials and is created here too: data sources
// and data sinks. Their commits include the writes of the credential.

// Checked is a draft of a new credential that passed every rule. It holds the
// secret until Clear.
type Checked struct{ p prepared }

// Clear overwrites the secret.
func (c *Checked) Clear() { clear(c.p.canonical) }

// Check validates a draft of a new credential for Insert. Its error names all that
// is wrong with the draft.
func (e Editor) Check(who identity.Caller, d Draft) (*Checked, error) {
	p, err := e.prepare(who, d, "")
	return &Checked{p}, err
}

// Insert returns the writes of a new credential of which r is the first user, for
// the commit that creates r. The caller is its owner. Each call takes a new id,
// whose absence is a condition of the writes.
func (e Editor) Insert(ctx context.Context, who identity.Caller, d *Checked, r Reference) (View, []store.Write, error) {
	c := e.newCredential(who, d.p)
	c.References = 1
	writes, err := e.insert(ctx, who, c, d.p)
	if err != nil {
		return View{}, nil, err
	}
	v := View{Credential: c, Role: access.Owner, Owner: who.User, Org: who.Org, Warnings: d.p.settings.Warnings()}
	return v, append(writes, encodeReference(c, r, who)), nil
}

// Using returns the writes that make r a user of a credential, for the commit that
// creates or changes r. It requires the permission Use. The credential's revision
// is a condition of the writes.
func (s Service) Using(ctx context.Context, who identity.Caller, id int64, r Reference) (View, []store.Write, error) {
	var l ForChange
	l.Of(id)
	if err := s.reload(ctx, who, &l); err != nil {
		return View{}, nil, err
	}
	c, held, err := s.open(ctx, who, &l.ForRead, access.Use)
	if err != nil {
		return View{}, nil, err
	}
	if c.References >= MaxReferences {
		return View{}, nil, tooManyReferences(c.ID)
	}
	v, err := s.view(ctx, who, c, held)
	if err != nil {
		return View{}, nil, err
	}
	writes, err := s.writes(linkOf(who, c, l.head, r, true))
	return v, writes, err
}

// NotUsing returns the writes that remove r from the users of a credential, for the
// commit that changes or deletes r. It requires no role on the credential, which
// the caller may have lost. There are none if the credential does not exist.
func (s Service) NotUsing(ctx context.Context, who identity.Caller, id int64, r Reference) ([]store.Write, error) {
	var l ForChange
	l.Of(id)
	if err := s.reload(ctx, who, &l); err != nil {
		return nil, err
	}
	if l.err != nil || !l.found {
		return nil, l.err
	}
	return s.writes(linkOf(who, l.c, l.head, r, false))
}
