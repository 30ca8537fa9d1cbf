package credential

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/envelope"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
)

// Update changes what the draft sends and leaves the rest. A new secret
// replaces the old one whole and makes its verdict unknown again. A draft that
// changes nothing writes nothing. Without IfMatch, a change that others' changes
// overtook starts over from theirs, so neither loses a field.
func (e Editor) Update(ctx context.Context, who identity.Caller, l *ForChange, d Draft) (View, error) {
	return e.change(ctx, who, l, func(Credential) Draft { return d })
}

// EditTags changes the tags: edit gets the current ones and returns the new.
// It may be called more than once. Otherwise it is as Update.
func (e Editor) EditTags(ctx context.Context, who identity.Caller, l *ForChange, match Match, edit func(current []string) []string) (View, error) {
	return e.change(ctx, who, l, func(c Credential) Draft {
		next := edit(slices.Clone(c.Tags))
		return Draft{Tags: &next, IfMatch: match}
	})
}

func (e Editor) change(ctx context.Context, who identity.Caller, l *ForChange, draft func(Credential) Draft) (view View, err error) {
	ed := edit{who: who, draft: draft}
	err = e.changing(ctx, who, l, func() error {
		view, err = e.update(ctx, &ed, l)
		return err
	})
	return view, err
}

// edit is one request to change a credential, over all of its attempts.
type edit struct {
	who    identity.Caller
	draft  func(Credential) Draft
	sealed sealing // of the attempt before: a rival rarely takes the secret's number too
}

// update is one attempt. All that can fail by itself comes before the commit:
// after it, nothing is left to read.
func (e Editor) update(ctx context.Context, ed *edit, l *ForChange) (View, error) {
	who := ed.who
	before, held, err := e.open(ctx, who, &l.ForRead, access.Update)
	if err != nil {
		return View{}, err
	}
	d := ed.draft(before)
	if !d.IfMatch.holds(before.Version) {
		return View{}, stale(before.ID)
	}
	heir, err := e.heir(ctx, who, before, &d)
	if err != nil {
		return View{}, err
	}
	p, err := e.prepare(who, d, before.Type)
	if err != nil {
		return View{}, err
	}
	defer clear(p.canonical)
	owner := heir
	if heir.ID == 0 {
		if owner, err = e.owner(ctx, who, before); err != nil {
			return View{}, err
		}
	}
	ch := change{who: who, before: before, after: before, head: l.head, event: audit.Updated}
	p.apply(&ch.after)
	ch.transfer(heir)
	if p.canonical != nil {
		if ed.sealed, err = e.seal(ctx, before, p, ed.sealed); err != nil {
			return View{}, err
		}
		if err := ch.replaceSecret(ed.sealed, p, e.now(), nil); err != nil {
			return View{}, err
		}
	}
	ch.compare()
	if len(ch.fields) > 0 {
		ch.touch(e.now())
		if err := e.commit(ctx, &ch); err != nil {
			return View{}, err
		}
	}
	if now := role(who, ch.after, e.now()); now != access.None {
		held = now // who gives a credential away sees it once more, as what he was
	}
	return View{Credential: ch.after, Role: held, Owner: owner, Org: who.Org, Warnings: p.settings.Warnings()}, nil
}

func stale(id int64) error {
	return fault.New(fault.CodePreconditionFailed,
		"The credential has changed since you read it. Read it again and repeat your change.").On(ResourceType, id)
}

// change is one change on its way to a commit.
type change struct {
	who           identity.Caller
	before, after Credential // zero before a credential is created, and after it is deleted
	head          audit.Head
	event         audit.Event
	fields        map[string]audit.Change
	summary       []string
	writes        []store.Write // besides the row, the index rows and the trail
	owner         string        // the new owner's address, after a transfer
}

// touch makes the change one of the credential's version.
func (ch *change) touch(now time.Time) {
	ch.after.Version++
	ch.after.UpdatedAt = now
}

// heir reads the user whom the draft gives the credential to: the zero User
// where it gives it to nobody new. One who cannot have it is a fault of the
// draft, beside its others.
func (e Editor) heir(ctx context.Context, who identity.Caller, c Credential, d *Draft) (identity.User, error) {
	if d.Owner == nil || *d.Owner == c.Owner {
		return identity.User{}, nil
	}
	if err := e.permit(ctx, who, c, access.Transfer); err != nil {
		return identity.User{}, err
	}
	items, err := e.Store.Get(ctx, identity.UserKey(c.Org, *d.Owner))
	if err != nil {
		return identity.User{}, err
	}
	if items[0].Found() {
		u, err := identity.DecodeUser(items[0])
		if err != nil || u.Active {
			return u, err
		}
	}
	d.Faults = append(slices.Clip(d.Faults), fault.Detail{
		Pointer: "/owner_id", Code: fault.DetailUnknown, Message: "There is no active user of this organisation with this id.",
	})
	return identity.User{}, nil
}

// transfer gives the credential to another user, who must still be active when
// the change commits.
func (ch *change) transfer(heir identity.User) {
	if heir.ID == 0 {
		return
	}
	ch.after.Owner, ch.owner, ch.event = heir.ID, heir.Email, audit.Transfer
	// What service keys may reveal is for the new owner to say, and an owner needs no grant.
	ch.after.accessors = slices.DeleteFunc(slices.Clone(ch.before.accessors), func(a Accessor) bool {
		return a.Kind == ToKey || a.same(Accessor{Kind: ToUser, ID: heir.ID})
	})
	ch.writes = append(ch.writes, store.Write{
		Verb: store.Check, Item: store.Item{Key: identity.UserKey(heir.OrgID, heir.ID)}, If: store.Equal("active", true),
	})
}

// sealing is a new secret, sealed under its number, and the versions there are.
type sealing struct {
	number int64
	typ    string
	record envelope.Record
	old    []Version
}

// seal seals a draft's secret as the next version of a credential. What was
// sealed before under the same number is taken again: no data key is made twice
// for one request.
func (e Editor) seal(ctx context.Context, before Credential, p prepared, sealed sealing) (sealing, error) {
	old, err := e.versions(ctx, before)
	if err != nil {
		return sealing{}, err
	}
	next := before
	next.Type, next.LastSecret = p.typ.Name, before.LastSecret+1
	if sealed.number != next.LastSecret || sealed.typ != next.Type {
		sealed = sealing{number: next.LastSecret, typ: next.Type}
		if sealed.record, err = envelope.Seal(ctx, e.Keys, binding(next, next.LastSecret), p.canonical); err != nil {
			return sealing{}, err
		}
	}
	sealed.old = old
	return sealed, nil
}

// replaceSecret makes a sealed secret the active version and forgets the verdict
// of the old one; proven is the result of a probe of the new one, nil if it was
// not tried. The oldest versions beyond MaxVersions go with it.
func (ch *change) replaceSecret(s sealing, p prepared, at time.Time, proven *probe.Result) error {
	after := &ch.after
	after.Type, after.Public = s.typ, p.settings.Public()
	after.LastSecret, after.SecretVersion = s.number, s.number
	forgetVerdict(after)
	if proven != nil {
		kept, err := encodeResult(*after, after.Probes, *proven)
		if err != nil {
			return err
		}
		learn(after, *proven)
		ch.writes = append(ch.writes, kept)
	}
	writes, err := secretWrites(ch.who, *after, p, s.record, at)
	if err != nil {
		return err
	}
	ch.writes = append(ch.writes, writes...)
	ch.writes = append(ch.writes, trim(*after, s.old)...)
	for _, v := range s.old {
		if v.Active {
			ch.summary = append(ch.summary, secretChanges(v.Known, p.settings.Known())...)
		}
	}
	return nil
}

// secretChanges names the type's own fields that a new secret replaces, adds
// and removes. Equal values are not told apart: nothing is opened for this.
func secretChanges(before, after []string) []string {
	var replaced, added, removed []string
	for _, f := range after {
		if slices.Contains(before, f) {
			replaced = append(replaced, f)
		} else {
			added = append(added, f)
		}
	}
	for _, f := range before {
		if !slices.Contains(after, f) {
			removed = append(removed, f)
		}
	}
	lines := []string{audit.SecretReplaced}
	lines = append(lines, names("replaced", replaced)...)
	lines = append(lines, names("added", added)...)
	return append(lines, names("removed", removed)...)
}

// trim removes the oldest versions so that, with the newest, MaxVersions are
// left. The one that was active until now stays, however old: it is what a roll
// back of this change needs.
func trim(c Credential, old []Version) []store.Write {
	var writes []store.Write
	slices.SortFunc(old, func(a, b Version) int {
		switch {
		case a.Active:
			return -1
		case b.Active:
			return 1
		}
		return cmp.Compare(b.Number, a.Number)
	})
	for _, v := range old[min(len(old), MaxVersions-1):] {
		writes = append(writes,
			remove(versionKey(c.Org, c.ID, v.Number), store.Always()),
			remove(secretKey(c.Org, c.ID, v.Number), store.Always()))
	}
	return writes
}

// versions reads what is known of each version of the secret.
func (s Service) versions(ctx context.Context, c Credential) ([]Version, error) {
	page, err := s.Store.Range(ctx, store.Under(store.Meta, ownPartition(c.Org, c.ID), versionPrefix))
	if err != nil {
		return nil, err
	}
	list := make([]Version, 0, len(page.Items))
	for _, item := range page.Items {
		v, err := decodeVersion(item)
		if err != nil {
			return nil, err
		}
		v.Active = v.Number == c.SecretVersion
		list = append(list, v)
	}
	return list, nil
}

// compare finds what differs, in the words of the wire.
func (ch *change) compare() {
	ch.fields = map[string]audit.Change{}
	b, a := ch.before, ch.after
	note := func(name string, before, after any, differs bool) {
		if differs {
			ch.fields[name] = audit.Change{before, after}
			ch.summary = append(ch.summary, name+" changed")
		}
	}
	note("name", b.Name, a.Name, b.Name != a.Name)
	note("description", text(b.Description), text(a.Description), text(b.Description) != text(a.Description))
	note("credentials_type", b.Type, a.Type, b.Type != a.Type)
	note("credentials_version", b.Format, a.Format, b.Format != a.Format)
	note("tags", tags(b.Tags), tags(a.Tags), !slices.Equal(b.Tags, a.Tags))
	note("owner_id", b.Owner, a.Owner, b.Owner != a.Owner)
	note("probe_interval", string(b.Interval), string(a.Interval), b.Interval != a.Interval)
	note("secret_version", b.SecretVersion, a.SecretVersion, b.SecretVersion != a.SecretVersion)
	note("credentials_non_secure_data", b.Public, a.Public, !slices.Equal(b.Public, a.Public))
}

func text(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

func tags(t []string) []string {
	if t == nil {
		return []string{}
	}
	return t
}

// commit makes the change, its audit entry and its index rows at once.
func (s Service) commit(ctx context.Context, ch *change) error {
	writes, err := s.writes(ch)
	if err != nil {
		return err
	}
	return s.Store.Commit(ctx, writes...)
}

// maxTextBytes is the limit of Credential.size, so that the row takes four write
// units of DynamoDB, 4 KB, and a little for the verdict. That does not count: a
// credential as large as can be is still changed once it was probed.
const maxTextBytes = 3840

// size is the number of bytes of the texts that a person put into the row.
func (c Credential) size() int {
	n := len(c.Name) + len(c.Type) + len(c.Format) + len(c.Public)
	if c.Description != nil {
		n += len(*c.Description)
	}
	for _, tag := range c.Tags {
		n += len(tag) + len(`"",`)
	}
	return n
}

// encodeChecked is encode for a change that a person makes.
func encodeChecked(c Credential) (store.Write, error) {
	if n := c.size(); n > maxTextBytes {
		return store.Write{}, fault.Invalid([]fault.Detail{{Code: fault.DetailTooLong, Message: fmt.Sprintf(
			"Name, description, tags and public settings together take %d bytes of at most %d. Shorten them.", n, maxTextBytes)}})
	}
	return encode(c)
}

// writes makes all writes of a change.
func (s Service) writes(ch *change) ([]store.Write, error) {
	of, gone := ch.after, ch.after.ID == 0
	if moved := gone || of.Owner != ch.before.Owner; moved && ch.before.torn {
		return nil, fmt.Errorf("changing a credential: its accessors were changed meanwhile: %w", store.ErrConflict)
	}
	if !gone && !slices.Equal(of.accessors, ch.before.accessors) {
		ch.after.shared++
		of = ch.after
		ch.writes = append(ch.writes, encodeAccessors(of))
	}
	var row store.Write
	var err error
	if gone {
		of = ch.before
		row = remove(RowKey(of.Org, of.ID), store.Equal("rev", of.rev))
	} else if row, err = encodeChecked(of); err != nil {
		return nil, err
	}
	entry := s.entry(ch.who, of, ch.event)
	entry.Summary, entry.Changes = ch.summary, ch.fields
	entry.OwnerEmail = cmp.Or(ch.owner, ownerEmail(entry, ch.head))
	trail, err := audit.Record(ch.head, gone, entry)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]store.Write{row}, ch.writes, indexRows(ch.before, ch.after), trail), nil
}

// ownerEmail is the address of the owner, where it is known without a read.
func ownerEmail(e audit.Entry, head audit.Head) string { return cmp.Or(e.OwnerEmail, head.OwnerEmail) }
