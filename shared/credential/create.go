package credential

import (
	"context"
	"fmt"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/envelope"
	"credence/shared/fault"
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
		c := newCredential(who, p)
		c.CreatedAt = e.now()
		c.UpdatedAt, c.ID = c.CreatedAt, id.New(c.CreatedAt)
		err := e.insert(ctx, who, c, p, idem.Writes(who, c.CreatedAt, made(c))...)
		if err == nil {
			return View{Credential: c, Role: access.Owner, Owner: who.User, Org: who.Org, Warnings: p.settings.Warnings()}, nil
		}
		// What can fail is that the id is new, or that the idempotency key is:
		// the next attempt draws another id and reads what the key made.
		if retry, err := again(ctx, err, attempt); !retry {
			return View{}, err
		}
	}
}

func newCredential(who identity.Caller, p prepared) Credential {
	c := Credential{
		Org: who.Org.ID, Owner: who.User.ID, Type: p.typ.Name, Format: "1", Interval: Daily,
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

func (e Editor) insert(ctx context.Context, who identity.Caller, c Credential, p prepared, extra ...store.Write) error {
	row, err := encodeChecked(c)
	if err != nil {
		return err
	}
	record, err := envelope.Seal(ctx, e.Keys, binding(c, c.LastSecret), p.canonical)
	if err != nil {
		return err
	}
	secret, err := secretWrites(who, c, p, record, e.now())
	if err != nil {
		return err
	}
	entry := e.entry(who, c, audit.Created)
	entry.Summary = append([]string{"created"}, names("with", p.settings.Known())...)
	entry.Changes = map[string]audit.Change{"name": {nil, c.Name}, "credentials_type": {nil, c.Type}}
	trail, err := audit.Record(audit.Head{}, entry, false)
	if err != nil {
		return err
	}
	writes := append([]store.Write{row}, indexRows(c)...)
	writes = append(writes, secret...)
	writes = append(writes, extra...)
	return e.Store.Commit(ctx, append(writes, trail...)...)
}

// indexRows lists the credential for its organisation, its owner and the
// schedule.
func indexRows(c Credential) []store.Write {
	owner := store.Attributes{"owner": c.Owner}
	writes := []store.Write{
		{Verb: store.Put, Item: store.Item{Key: orgIndexKey(c.Org, c.ID), Attributes: owner}, If: store.Absent()},
		{Verb: store.Put, Item: store.Item{Key: userIndexKey(c.Org, c.Owner, c.ID), Attributes: store.Attributes{"role": access.Owner.String()}}, If: store.Absent()},
	}
	if due, ok := dueKey(c.Org, c.ID, c.Interval); ok {
		writes = append(writes, store.Write{Verb: store.Put, Item: store.Item{Key: due, Attributes: store.Attributes{}}, If: store.Always()})
	}
	return writes
}

// secretWrites makes the writes of a new secret version: the record and what is
// known of it without opening it.
func secretWrites(who identity.Caller, c Credential, p prepared, record envelope.Record, at time.Time) ([]store.Write, error) {
	version, err := encodeVersion(c, Version{
		Number: c.LastSecret, Type: c.Type, Public: p.settings.Public(), Known: p.settings.Known(),
		MadeAt: at, MadeBy: who.User.ID, MadeEmail: who.User.Email,
		Status: c.Status, Verified: c.VerifiedAt, Ends: c.Ends, Rejection: c.rejection,
	}, store.Absent())
	if err != nil {
		return nil, err
	}
	return []store.Write{version, encodeSecret(c.Org, c.ID, c.LastSecret, record)}, nil
}

func binding(c Credential, sv int64) envelope.Binding {
	return envelope.Binding{Org: c.Org, Credential: c.ID, Version: sv, Type: c.Type}
}

// encodeChecked is encode for what a person sent, whose size is theirs to mend.
func encodeChecked(c Credential) (store.Write, error) {
	w, err := encode(c)
	if err != nil {
		return store.Write{}, err
	}
	if n := rowBytes(w) - verdictBytes(w); n > maxRowBytes {
		return store.Write{}, fault.Invalid([]fault.Detail{{
			Pointer: "", Code: fault.DetailTooLong,
			Message: fmt.Sprintf("Name, description, tags and public settings together take %d bytes of at most %d. Shorten them.", n, maxRowBytes),
		}})
	}
	return w, nil
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
