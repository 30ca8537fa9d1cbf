package credential

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/envelope"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/secret"
	"credence/shared/store"
)

// Revealer reads secrets back.
type Revealer struct {
	Service
	Keys envelope.Decrypter
}

// Revealed is an opened secret.
type Revealed struct {
	Object  secret.Value // the credentials object as it was sealed, canonical JSON
	Version int64        // of the secret
}

// Reveal returns the active version of the secret to whoever may have it. The
// audit entry is durable before the secret is returned; without an entry there
// is no secret. Of a version that the caller knows already, nothing is
// opened and Object is empty.
func (r Revealer) Reveal(ctx context.Context, who identity.Caller, l *ForRead, known func(sv int64) bool) (Revealed, error) {
	c, _, err := r.open(ctx, who, l, access.Reveal)
	if err != nil {
		return Revealed{}, err
	}
	if known(c.SecretVersion) {
		return Revealed{Version: c.SecretVersion}, nil
	}
	readKey := lastReadKey(c.Org, c.ID, who)
	secret, before, err := r.sealed(ctx, c, readKey)
	if err != nil {
		return Revealed{}, err
	}
	object, err := openSecret(ctx, r.Keys, c, secret)
	if err != nil {
		return Revealed{}, integrity(err, c.ID)
	}
	entry := func() audit.Entry {
		e := r.entry(who, c, audit.Revealed)
		e.Summary = []string{fmt.Sprintf("version %d of the secret", c.SecretVersion)}
		return e
	}
	var use []store.Write
	if w, changed := lastRead(before, readKey, c.SecretVersion, entry()); changed {
		// Its row goes with the credential, so none is written after that is gone.
		use = append(use, w, exists(c))
	}
	if err := r.observe(ctx, entry, use...); err != nil {
		if gone, cause := r.vanished(ctx, c, err); cause != nil || gone {
			return Revealed{}, cmp.Or(cause, notFound(c.ID))
		}
		return Revealed{}, err
	}
	return Revealed{Object: object, Version: c.SecretVersion}, nil
}

// lastRead notes who last read which version, once a day for each.
func lastRead(old store.Item, key store.Key, sv int64, e audit.Entry) (store.Write, bool) {
	day := e.At.Format("2006-01-02")
	if old.Attributes.Int("sv") == sv && old.Attributes.Text("day") == day {
		return store.Write{}, false
	}
	a := store.Attributes{"sv": sv, "day": day, "email": e.UserEmail}
	item := store.Item{Key: key, Attributes: a, Expires: e.At.Add(lastReadTime)}
	return store.Write{Verb: store.Put, Item: item, If: store.Always()}, true
}

// lastReadTime is how long it is known that a key read a secret. Keys come and
// go, and a credential would otherwise gather a row of each for ever; its audit
// log keeps the reads.
const lastReadTime = 400 * 24 * time.Hour

// sealed reads the item of the active version of a secret, and another one with it.
// A secret that is missing because its credential was deleted after its row was read
// is CodeNotFound, the answer of a moment later.
func (s Service) sealed(ctx context.Context, c Credential, with store.Key) (secret, other store.Item, err error) {
	items, err := s.Store.Get(ctx, secretKey(c.Org, c.ID, c.SecretVersion), with)
	if err != nil {
		return store.Item{}, store.Item{}, err
	}
	if !items[0].Found() {
		if gone, err := s.missing(ctx, c); err != nil || gone {
			return store.Item{}, store.Item{}, cmp.Or(err, notFound(c.ID))
		}
	}
	return items[0], items[1], nil
}

// vanished reports whether a commit failed because a credential that it checked
// with exists was deleted.
func (s Service) vanished(ctx context.Context, c Credential, err error) (bool, error) {
	var failed *store.ConditionError
	if !errors.As(err, &failed) {
		return false, nil
	}
	return s.missing(ctx, c)
}

func (s Service) missing(ctx context.Context, c Credential) (bool, error) {
	items, err := s.Store.Get(ctx, RowKey(c.Org, c.ID))
	if err != nil {
		return false, err
	}
	return !items[0].Found(), nil
}

// openSecret opens a vault item for the credential that the caller was
// authorised for; nothing that the item says of itself is believed.
func openSecret(ctx context.Context, keys envelope.Decrypter, c Credential, item store.Item) (secret.Value, error) {
	if !item.Found() {
		return secret.Value{}, fmt.Errorf("reading the secret's item: nothing there: %w", envelope.ErrOpen)
	}
	return envelope.Open(ctx, keys, binding(c, c.SecretVersion), decodeSecret(item))
}

// integrity names the resource in the answer to a record that does not open.
func integrity(err error, id int64) error {
	if !errors.Is(err, envelope.ErrOpen) {
		return err
	}
	return fault.New(fault.CodeIntegrity,
		"The stored secret failed its integrity check and was not returned. Set the credentials again, and tell your operator.").
		On(ResourceType, id).Because(err)
}
