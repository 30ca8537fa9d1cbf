package identity

import (
	"context"
	"fmt"
	"strings"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/store"
)

// Welcome is a new user with the first service key, whose text is shown this
// once.
type Welcome struct {
	Org  Org
	User User
	Key  Key
	Text string
}

// CreateOrg makes an organisation, its first user, who is its admin, and a
// service key of that user: all of them or none. Unless another is set, a name
// that CreateOrg has used, in any case, is CodeConflict, so a call that is
// repeated because its result was lost makes no second organisation. Only the
// name and the domain of o are read.
func (s *Service) CreateOrg(ctx context.Context, o Org, first User, another bool) (Welcome, error) {
	first.Admin = true
	w := Welcome{Org: o, User: first}
	unused := store.Absent()
	if another {
		unused = store.Always()
	}
	err := s.retry(ctx, func() error {
		now := s.clock()
		w.Org = Org{ID: id.New(now), Name: o.Name, EmailDomain: strings.ToLower(o.EmailDomain), CreatedAt: now}
		known := store.Attributes{"org": w.Org.ID}
		people, err := s.welcome(&w)
		if err != nil {
			return err
		}
		err = s.store.Commit(ctx, append(people,
			store.Write{Verb: store.Put, Item: encodeOrg(w.Org), If: store.Absent()},
			store.Write{Verb: store.Put, Item: store.Item{Key: SystemKey(w.Org.ID), Attributes: known}, If: store.Absent()},
			store.Write{Verb: store.Put, Item: store.Item{Key: orgNameKey(o.Name), Attributes: known}, If: unused})...)
		if store.ConditionFailed(err, len(people)+2) {
			return fault.New(fault.CodeConflict, "An organisation has this name already. Choose another name, or list the organisations.").Because(err)
		}
		return err
	})
	if err != nil {
		return Welcome{}, fmt.Errorf("making an organisation: %w", err)
	}
	return w, nil
}

// CreateUser makes an active user of an organisation that exists, and a service
// key of that user: both or none. Only the e-mail address, the full name and
// Admin of u are read. Two users of one organisation have different addresses,
// without regard to case.
func (s *Service) CreateUser(ctx context.Context, org Org, u User) (Welcome, error) {
	w := Welcome{Org: org, User: u}
	err := s.retry(ctx, func() error {
		people, err := s.welcome(&w)
		if err != nil {
			return err
		}
		err = s.store.Commit(ctx, append(people, store.Write{Verb: store.Check, Item: store.Item{Key: OrgKey(org.ID)}, If: store.Present()})...)
		switch {
		case store.ConditionFailed(err, len(people)):
			return fault.New(fault.CodeNotFound, "There is no such organisation.").Because(err)
		case store.ConditionFailed(err, len(people)-1):
			return invalid("/email", fault.DetailDuplicate, "Another user of the organisation has this address. Give another, or make a key for that user with key add.")
		}
		return err
	})
	if err != nil {
		return Welcome{}, fmt.Errorf("making a user: %w", err)
	}
	return w, nil
}

// welcome makes the writes of a new user: entries of the user and the first key,
// both of them, and the address last. The key holds every scope: a user starts with
// it, and there is nothing yet that it could reveal.
func (s *Service) welcome(w *Welcome) ([]store.Write, error) {
	if err := CheckAddress(w.User.Email); err != nil {
		return nil, err
	}
	now, operator := s.clock(), Operator(w.Org)
	w.User = User{
		ID: id.New(now), OrgID: w.Org.ID, Email: w.User.Email, FullName: w.User.FullName, Admin: w.User.Admin, Active: true,
		KeyCount: 1, CreatedAt: now, UpdatedAt: now, Rev: 1,
	}
	row := keyRow{Key: Key{
		OrgID: w.Org.ID, OwnerID: w.User.ID, Name: "first key", Scopes: access.Scopes, ExpiresAt: now.Add(MaxKeyLife),
	}}
	var keyWrite store.Write
	w.Text, keyWrite = s.fresh(&row)
	w.Key = row.Key
	notes, err := s.notes(
		Occurrence{Org: w.Org.ID, User: w.User.ID, Event: EventUserCreated, By: operator, At: now},
		occurrence(EventKeyCreated, row.Key, operator, now))
	if err != nil {
		return nil, err
	}
	named := store.Item{Key: MailKey(w.Org.ID, w.User.Email), Attributes: store.Attributes{"user": w.User.ID}}
	return append(notes,
		store.Write{Verb: store.Put, Item: encodeUser(w.User), If: store.Absent()}, keyWrite,
		store.Write{Verb: store.Put, Item: named, If: store.Absent()}), nil
}
