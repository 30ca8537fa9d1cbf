package credential

import (
	"context"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/envelope"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// Editor makes, changes and deletes credentials. It can make data keys and
// cannot open what they seal.
type Editor struct {
	Service
	Keys envelope.Generator
}

// Create makes a credential, of which the caller is the owner. It answers a
// fault that lists all that is wrong with the draft. Calling it again makes
// another credential of the same name, unless idem names the same key: then it
// answers the one made first.
func (e Editor) Create(ctx context.Context, who identity.Caller, d Draft, idem Idempotency) (View, error) {
	p, err := e.prepare(who, d, "")
	if err != nil {
		return View{}, err
	}
	defer clear(p.canonical)
	for attempt := 0; ; attempt++ {
		if view, found, err := e.replay(ctx, who, idem); err != nil || found {
			view.Warnings = p.settings.Warnings()
			return view, err
		}
		c := e.newCredential(who, p)
		writes, err := e.insert(ctx, who, c, p)
		if err == nil {
			err = e.Store.Commit(ctx, append(writes, idem.Writes(who, c.CreatedAt, made(c))...)...)
		}
		if err == nil {
			return View{Credential: c, Role: access.Owner, Owner: who.User, Org: who.Org, Warnings: p.settings.Warnings()}, nil
		}
		// What can fail is that the id is new, or that the idempotency key is:
		// the next attempt draws another id and reads what the key made.
		if retry, err := startOver(ctx, err, attempt); !retry {
			return View{}, err
		}
	}
}

func (e Editor) newCredential(who identity.Caller, p prepared) Credential {
	now := e.now()
	c := Credential{
		ID: id.New(now), CreatedAt: now, UpdatedAt: now, Org: who.Org.ID, Owner: who.User.ID, Type: p.typ.Name, Format: "1", Interval: Daily,
		Version: 1, SecretVersion: 1, LastSecret: 1, Validity: Untested,
	}
	p.apply(&c)
	c.Public = p.settings.Public()
	return c
}

// apply moves what was sent, but for the secret, into the credential.
func (p prepared) apply(c *Credential) {
	if p.Name != nil {
		c.Name = *p.Name
	}
	if p.Description != nil {
		c.Description = p.Description.Text
	}
	if p.Tags != nil {
		c.Tags = *p.Tags
	}
	if p.Format != nil {
		c.Format = *p.Format
	}
	if p.Interval != nil {
		c.Interval = Interval(*p.Interval)
	}
}

// insert makes the writes of a new credential, with its secret sealed. Their
// conditions are that the id is new.
func (e Editor) insert(ctx context.Context, who identity.Caller, c Credential, p prepared) ([]store.Write, error) {
	record, err := envelope.Seal(ctx, e.Keys, binding(c, c.LastSecret), p.canonical)
	if err != nil {
		return nil, err
	}
	secret, err := secretWrites(who, c, p, record, e.now())
	if err != nil {
		return nil, err
	}
	return e.writes(&change{
		who: who, after: c, event: audit.Created, writes: secret,
		fields:  map[string]audit.Change{"name": {nil, c.Name}, "credentials_type": {nil, c.Type}},
		summary: append([]string{"created"}, names("with", p.settings.Known())...),
	})
}

// secretWrites makes the writes of a new secret version: the record and what is
// known of it without opening it.
func secretWrites(who identity.Caller, c Credential, p prepared, record envelope.Record, at time.Time) ([]store.Write, error) {
	version, err := encodeVersion(c, Version{
		Number: c.LastSecret, Type: c.Type, Public: c.Public, Known: p.settings.Known(),
		MadeAt: at, MadeBy: who.User.ID, MadeEmail: who.User.Email,
		Status: c.Status, Verified: c.VerifiedAt, Ends: c.Ends, Rejection: c.rejection,
	}, store.Absent())
	if err != nil {
		return nil, err
	}
	return []store.Write{version, encodeSecret(c.Org, c.ID, c.LastSecret, record)}, nil
}

// names says in one line which of a type's own fields are concerned; the names
// of a type's fields are public, those a client made up are not.
func names(verb string, fields []string) []string {
	if len(fields) == 0 {
		return nil
	}
	line := verb
	for _, f := range fields {
		line += " " + f
	}
	return []string{line}
}
