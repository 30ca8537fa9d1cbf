package credential

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/envelope"
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
	c := l.c
	if l.err != nil || !l.found || !readsByKey(who, c, r.now()) {
		var err error
		if c, _, err = r.open(ctx, who, l, access.Reveal); err != nil {
			return Revealed{}, err
		}
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
		use = append(use, w, used(c, entry().At), exists(c))
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

// used records the day of the last read by anybody. It is written with lastRead, so at
// most once a day for each key and version.
func used(c Credential, at time.Time) store.Write {
	item := store.Item{Key: usedKey(c.Org, c.ID), Attributes: store.Attributes{"day": at.Format(time.DateOnly)}}
	return store.Write{Verb: store.Put, Item: item, If: store.Always()}
}

// lastReadTime is how long it is known that a key read a secret. Keys come and
// go, and a credential would otherwise gather a row of each for ever; its audit
// log keeps the reads.
const lastReadTime = 400 * 24 * time.Hour
