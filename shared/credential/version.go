package credential

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/envelope"
	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// LastRead is the last read of the secret by one service key, to the day. It is kept
// for 400 days.
type LastRead struct {
	Principal string // of the user and the key: U5-K7
	Email     string
	Version   int64
	Day       string
}

// decodeRead reads the row of a LastRead. It reports false for any other row.
func decodeRead(i store.Item) (LastRead, bool) {
	principal, ok := strings.CutPrefix(i.Key.Sort, lastReadPrefix)
	a := i.Attributes
	return LastRead{Principal: principal, Email: a.Text("email"), Version: a.Int("sv"), Day: a.Text("day")}, ok
}

// Key returns the ids of the user and the service key.
func (r LastRead) Key() (user, key int64) {
	user, rest, _ := store.CutNumber(r.Principal, "U")
	key, _ = store.Numbered(rest, "-K")
	return user, key
}

// Usage returns what uses the credential and who has read its secret.
func (s Service) Usage(ctx context.Context, who identity.Caller, l *ForRead) (Credential, []Reference, []LastRead, error) {
	c, references, err := s.References(ctx, who, l)
	if err != nil {
		return Credential{}, nil, nil, err
	}
	page, err := s.Store.Range(ctx, store.Under(store.Meta, ownPartition(c.Org, c.ID), lastReadPrefix))
	if err != nil {
		return Credential{}, nil, nil, err
	}
	reads := make([]LastRead, 0, len(page.Items))
	for _, item := range page.Items {
		if r, ok := decodeRead(item); ok {
			reads = append(reads, r)
		}
	}
	return c, references, reads, nil
}

// Versions returns what is known of each version of the secret that is kept,
// newest first, and who last read which. Nothing is opened.
func (s Service) Versions(ctx context.Context, who identity.Caller, l *ForRead) ([]Version, []LastRead, error) {
	c, held, err := s.open(ctx, who, l, access.Read)
	if err != nil {
		return nil, nil, err
	}
	page, err := s.Store.Range(ctx, store.Range{
		Table: store.Meta, Partition: ownPartition(c.Org, c.ID), From: lastReadPrefix, To: versionPrefix + "~",
	})
	if err != nil {
		return nil, nil, err
	}
	var versions []Version
	var reads []LastRead
	for _, item := range page.Items {
		if read, ok := decodeRead(item); ok {
			reads = append(reads, read)
			continue
		}
		v, err := decodeVersion(item)
		if err != nil {
			return nil, nil, err
		}
		v.Active = v.Number == c.SecretVersion
		if !(View{Role: held}).Full() {
			v.Public = jsontext.Value("{}")
		}
		versions = append(versions, v)
	}
	slices.Reverse(versions)
	return versions, reads, nil
}

// RollBack makes an earlier version of the secret the active one, with the
// type, the public settings and the verdict it had. Nothing is opened, and no
// version gets a new number.
func (e Editor) RollBack(ctx context.Context, who identity.Caller, l *ForChange, sv int64, match Match) (view View, err error) {
	err = e.changing(ctx, who, l, func() error {
		view, err = e.rollBack(ctx, who, l, sv, match)
		return err
	})
	return view, err
}

func (e Editor) rollBack(ctx context.Context, who identity.Caller, l *ForChange, sv int64, match Match) (View, error) {
	before, held, err := e.open(ctx, who, &l.ForRead, access.Update)
	if err != nil {
		return View{}, err
	}
	if !match.holds(before.Version) {
		return View{}, stale(before.ID)
	}
	if sv == before.SecretVersion {
		v := Version{Number: sv, Status: before.Status, Verified: before.VerifiedAt, Ends: before.Ends}
		view, err := e.view(ctx, who, before, held)
		view.Warnings = e.doubts("/version", v)
		return view, err
	}
	items, err := e.Store.Get(ctx, versionKey(before.Org, before.ID, sv))
	if err != nil {
		return View{}, err
	}
	if !items[0].Found() {
		return View{}, fault.Invalid([]fault.Detail{{
			Pointer: "/version", Code: fault.DetailUnknown,
			Message: "There is no such version of the secret: GET /data_credentials/{id}/versions lists those that are kept.",
		}})
	}
	v, err := decodeVersion(items[0])
	if err != nil {
		return View{}, err
	}
	owner, err := e.owner(ctx, who, before)
	if err != nil {
		return View{}, err
	}
	after := before
	after.SecretVersion, after.Type, after.Public = sv, v.Type, v.Public
	recall(&after, v)
	ch := change{
		who: who, before: before, after: after, head: l.head, event: audit.RolledBack,
		// The version must still be there when the switch commits: another
		// change may be trimming it now.
		writes: []store.Write{{Verb: store.Check, Item: store.Item{Key: versionKey(before.Org, before.ID, sv)}, If: store.Present()}},
	}
	ch.compare()
	ch.touch(e.now())
	if err := e.commit(ctx, &ch); err != nil {
		return View{}, err
	}
	return View{Credential: ch.after, Role: held, Owner: owner, Org: who.Org, Warnings: e.doubts("/version", v)}, nil
}

// doubts are the warnings about the secret of a version: that it was refused when
// it was last probed, or that it has expired.
func (s Service) doubts(pointer string, v Version) []fault.Detail {
	var warnings []fault.Detail
	if v.Status != "" && v.Verified.IsZero() {
		warnings = append(warnings, fault.Detail{Pointer: pointer, Code: fault.DetailInvalid, Message: fmt.Sprintf(
			"Version %d was invalid when it was last probed (%s). Probe the credential before it is used.", v.Number, v.Status)})
	}
	if end := v.Ends.Secret; !end.IsZero() && !end.After(s.now()) {
		warnings = append(warnings, fault.Detail{Pointer: pointer, Code: fault.DetailExpired, Message: fmt.Sprintf(
			"Version %d expired on %s. Replace the secret.", v.Number, end.Format(time.DateOnly))})
	}
	return warnings
}

// Copier copies a credential, which opens its secret and seals it again.
type Copier struct {
	Editor Editor
	Keys   envelope.Decrypter
}

// Copy makes a copy that the caller owns, with the same name, type, tags and
// secret, and no verdict. Only the owner may; the log of the original gets it
// as a reveal would be. Calling it again makes another
// copy, unless idem names the same key: then it answers the one made first.
func (cp Copier) Copy(ctx context.Context, who identity.Caller, l *ForRead, o CopyOptions) (View, error) {
	e := cp.Editor
	c, _, err := e.open(ctx, who, l, access.Reveal)
	if err != nil {
		return View{}, err
	}
	if view, found, err := e.replay(ctx, who, o.Idem); err != nil || found {
		return view, err
	}
	secret, row, err := e.sealed(ctx, c, versionKey(c.Org, c.ID, c.SecretVersion))
	if err != nil {
		return View{}, err
	}
	object, err := openSecret(ctx, cp.Keys, c, secret)
	if err != nil {
		return View{}, integrity(err, c.ID)
	}
	version, err := decodeVersion(row)
	if err != nil {
		return View{}, err
	}
	plain := object.Expose()
	object.Clear()
	defer clear(plain)
	return e.duplicate(ctx, who, original{c, version, jsontext.Value(plain)}, o)
}

// CopyOptions are what a client may ask of a copy.
type CopyOptions struct {
	Accessors bool // the copy is shared as the original is, except with service keys
	Idem      Idempotency
}

// accessors returns the accessors of a copy.
func (o CopyOptions) accessors(from Credential) []Accessor {
	if !o.Accessors {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(from.accessors), func(a Accessor) bool { return a.Kind == ToKey })
}

// original is what a copy is made of.
type original struct {
	Credential
	version Version
	plain   jsontext.Value
}

// duplicate makes the copy, the entry in the log of the original and the row of
// the idempotency key at once.
func (e Editor) duplicate(ctx context.Context, who identity.Caller, from original, o CopyOptions) (View, error) {
	typ, ok := e.Types.Lookup(from.Type)
	if !ok {
		return View{}, fmt.Errorf("copying a credential: its type is not declared")
	}
	settings, faults := typ.Check(from.plain)
	if len(faults) > 0 {
		return View{}, fault.Invalid(faults)
	}
	p := prepared{typ: typ, settings: settings, canonical: from.plain}
	for attempt := 0; ; attempt++ {
		c := from.Credential
		c.rev, c.Version, c.SecretVersion, c.LastSecret, c.References, c.Probes = 0, 1, 1, 1, 0, 0
		c.CopiedFrom, c.Owner, c.shared, c.torn = from.ID, who.User.ID, 0, false
		c.accessors = o.accessors(from.Credential)
		forgetVerdict(&c)
		c.CreatedAt = e.now()
		c.UpdatedAt, c.ID = c.CreatedAt, id.New(c.CreatedAt, from.ID)
		c.Public = from.version.Public
		entry := e.entry(who, from.Credential, audit.Copied)
		entry.Summary = []string{fmt.Sprintf("version %d of the secret", from.SecretVersion)}
		observed, err := audit.Observation(entry)
		if err != nil {
			return View{}, err
		}
		// A secret that was deleted by now does not live on in a copy.
		writes, err := e.insert(ctx, who, c, p)
		if err == nil {
			writes = append(append(writes, o.Idem.Writes(who, c.CreatedAt, made(c))...), observed, exists(from.Credential))
			err = e.Store.Commit(ctx, writes...)
		}
		if err == nil {
			return View{Credential: c, Role: access.Owner, Owner: who.User, Org: who.Org, Warnings: e.doubts("", from.version)}, nil
		}
		if gone, cause := e.vanished(ctx, from.Credential, err); cause != nil || gone {
			return View{}, cmp.Or(cause, notFound(from.ID))
		}
		if retry, err := startOver(ctx, err, attempt); !retry {
			return View{}, err
		}
		if view, found, err := e.replay(ctx, who, o.Idem); err != nil || found {
			return view, err
		}
	}
}
