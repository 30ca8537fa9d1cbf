package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// check validates a draft and, where it has one, the inline credential, and returns
// all errors at once. Those of the credential have pointers below /data_credentials.
// The caller clears the checked credential, also beside an error.
func (s Service) check(who identity.Caller, k Kind, d *Draft, creating bool) (*credential.Checked, error) {
	list := d.Faults
	add := func(name, code, message string) {
		pointer := "/" + name
		if !slices.ContainsFunc(list, func(f fault.Detail) bool { return f.Pointer == pointer }) {
			list = append(list, fault.Detail{Pointer: pointer, Code: code, Message: message})
		}
	}
	if d.Name == nil && creating || d.Name != nil && strings.TrimSpace(*d.Name) == "" {
		add("name", fault.DetailRequired, "Give the "+kinds[k].noun+" a name.")
	}
	typeName := kinds[k].reference[len("data_"):] + "_type"
	if creating && d.Type == nil && d.Credential == nil && d.Inline == nil {
		add(typeName, fault.DetailRequired, "Send the type of system, or the id of a credential.")
	}
	if d.Config != nil && len(*d.Config) > MaxConfigBytes {
		add(kinds[k].reference[len("data_"):]+"_config", fault.DetailTooLong, fmt.Sprintf("The configuration takes more than %d bytes. Shorten it.", MaxConfigBytes))
	}
	if d.Inline == nil {
		return nil, fault.Invalid(list)
	}
	if d.Inline.Name == nil {
		d.Inline.Name = d.Name
	}
	if d.Inline.Type == nil {
		d.Inline.Type = d.Type
	}
	inline, err := s.Credentials.Check(who, *d.Inline)
	var f *fault.Error
	switch {
	case err == nil:
		return inline, fault.Invalid(list)
	case !errors.As(err, &f):
		return inline, err
	}
	below := *f
	below.Details = list
	for _, detail := range f.Details {
		detail.Pointer = "/data_credentials" + detail.Pointer
		below.Details = append(below.Details, detail)
	}
	if f.Code == fault.CodeInvalidRequest {
		return inline, fault.Invalid(below.Details)
	}
	return inline, &below
}

// Update changes the fields that the draft has. A new credential replaces the old
// one in the same commit. A draft that changes nothing writes nothing.
func (s Service) Update(ctx context.Context, who identity.Caller, l *Load, d Draft) (View, error) {
	if _, err := s.check(who, l.kind, &d, false); err != nil {
		return View{}, err
	}
	return s.change(ctx, who, l, audit.Updated, func(r *Resource) {
		d.apply(r)
		if d.Credential != nil {
			r.Credential = *d.Credential
		}
	})
}

// SetStatus activates or pauses a resource.
func (s Service) SetStatus(ctx context.Context, who identity.Caller, l *Load, status Status) (View, error) {
	return s.change(ctx, who, l, audit.Updated, func(r *Resource) { r.Status = status })
}

// change commits what edit makes of a loaded resource, and starts over from a fresh
// read if another change was committed first. edit may run more than once. All
// reads come before the commit.
func (s Service) change(ctx context.Context, who identity.Caller, l *Load, event audit.Event, edit func(*Resource)) (View, error) {
	var view View
	err := s.starting(ctx, who, l, func() error {
		before, held, err := open(who, l)
		if err != nil {
			return err
		}
		ch := change{who: who, before: before, after: before, head: l.head, event: event}
		edit(&ch.after)
		views, err := s.views(ctx, who, []Resource{ch.after})
		if err != nil {
			return err
		}
		view = views[0]
		view.Role = held
		links, err := s.relink(ctx, who, ch.before, view)
		if err != nil {
			return err
		}
		if ch.compare(); len(ch.fields) == 0 {
			return nil
		}
		ch.after.UpdatedAt = s.now()
		view.UpdatedAt = ch.after.UpdatedAt
		writes, err := ch.writes(s.entry(who, event))
		if err != nil {
			return err
		}
		view.rev++
		return s.store().Commit(ctx, append(writes, links...)...)
	})
	return view, err
}

// relink makes the writes that move a resource from its credential to that of after.
func (s Service) relink(ctx context.Context, who identity.Caller, before Resource, after View) ([]store.Write, error) {
	if after.Credential == before.Credential {
		if after.Used == nil {
			return nil, nil
		}
		return nil, sameType(after.Resource, *after.Used)
	}
	var writes []store.Write
	if after.Credential != 0 {
		used, added, err := s.Credentials.Using(ctx, who, after.Credential, after.reference())
		if err != nil {
			return nil, err
		}
		if err := sameType(after.Resource, used); err != nil {
			return nil, err
		}
		writes = added
	}
	if before.Credential == 0 {
		return writes, nil
	}
	removed, err := s.Credentials.NotUsing(ctx, who, before.Credential, before.reference())
	return append(writes, removed...), err
}

// Delete deletes the resource; its log stays. A second call finds nothing.
func (s Service) Delete(ctx context.Context, who identity.Caller, l *Load) error {
	return s.starting(ctx, who, l, func() error {
		r, _, err := open(who, l)
		if err != nil {
			return err
		}
		ch := change{
			who: who, before: r, head: l.head, event: audit.Destroyed,
			fields: map[string]audit.Change{"name": {r.Name, nil}}, summary: []string{"destroyed"},
		}
		writes, err := ch.writes(s.entry(who, audit.Destroyed))
		if err != nil {
			return err
		}
		links, err := s.relink(ctx, who, r, View{})
		if err != nil {
			return err
		}
		return s.store().Commit(ctx, append(writes, links...)...)
	})
}

// Copy creates a resource with the same fields, of which the caller is the owner. It
// uses the same credential, which requires the permission Use. idem is as in Create.
func (s Service) Copy(ctx context.Context, who identity.Caller, l *Load, idem identity.Idempotency) (View, error) {
	from, _, err := open(who, l)
	if err != nil {
		return View{}, err
	}
	r := from
	r.rev, r.Owner, r.Status, r.CopiedFrom, r.Credential = 0, who.User.ID, Init, from.ID, 0
	return s.insert(ctx, who, insertion{r: r, event: audit.Created, used: from.Credential, idem: idem})
}

// Transfer gives up to limit resources of one kind of a user to another user, each
// in its own commit, and returns how many. Fewer than limit means that none is left.
func (s Service) Transfer(ctx context.Context, who identity.Caller, k Kind, from int64, to identity.User, limit int) (int, error) {
	ids, err := s.owned(ctx, who.Org.ID, k, from)
	if err != nil {
		return 0, err
	}
	ids = ids[:min(len(ids), limit)]
	for n, id := range ids {
		l := Load{kind: k, id: id}
		if err := s.reload(ctx, who, &l); err != nil {
			return n, err
		}
		if !l.found {
			continue
		}
		err := s.starting(ctx, who, &l, func() error {
			r, _, err := open(who, &l)
			if err != nil || r.Owner != from {
				return err
			}
			ch := change{who: who, before: r, after: r, head: l.head, event: audit.Transfer, email: to.Email}
			ch.after.Owner, ch.after.UpdatedAt = to.ID, s.now()
			ch.compare()
			writes, err := ch.writes(s.entry(who, audit.Transfer))
			if err != nil {
				return err
			}
			return s.store().Commit(ctx, append(writes, store.Write{
				Verb: store.Check, Item: store.Item{Key: identity.UserKey(to.OrgID, to.ID)}, If: store.Equal("active", true),
			})...)
		})
		if err != nil {
			return n, err
		}
	}
	return len(ids), nil
}

// starting runs change, and again from a fresh read as often as another change was
// committed first.
func (s Service) starting(ctx context.Context, who identity.Caller, l *Load, change func() error) error {
	for attempt := 0; ; attempt++ {
		err := change()
		if err == nil {
			return nil
		}
		retry, err := startOver(ctx, err, attempt)
		if !retry {
			return err
		}
		if err := s.reload(ctx, who, l); err != nil {
			return err
		}
	}
}
