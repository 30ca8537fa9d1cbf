package identity

import (
	"context"
	"fmt"
	"strings"

	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/store"
)

// Invite makes a user of the caller's organisation, without a service key: the
// admin makes that with CreateKey. It requires an admin of the organisation, and for
// another admin a key that holds every scope. Two users have different addresses,
// without regard to case. Calling it again with the same idempotency key returns
// the user made first.
func (s *Service) Invite(ctx context.Context, who Caller, d UserDraft) (User, error) {
	if !who.User.Admin {
		return User{}, fault.New(fault.CodeForbidden, "Only an admin of the organisation invites users. Ask one of them.")
	}
	if err := CheckAddress(*d.Email); err != nil {
		return User{}, err
	}
	if d.FullName == nil {
		name, _, _ := strings.Cut(*d.Email, "@")
		d.FullName = &name
	}
	var u User
	err := s.retry(ctx, func() error {
		if made, found, err := d.Idem.Used(ctx, s.store, who); err != nil || found {
			if err == nil {
				u, err = s.GetUser(ctx, who, made.Int("user"))
			}
			return err
		}
		if err := s.unused(ctx, MailKey(who.Org.ID, *d.Email)); err != nil {
			return err
		}
		now := s.clock()
		u, _, _ = d.apply(User{
			ID: id.New(now), OrgID: who.Org.ID, Email: *d.Email, Active: true, CreatedAt: now, UpdatedAt: now, Rev: 1,
		})
		if u.Admin && !who.unrestricted() {
			return fault.New(fault.CodeScopeMissing, "An admin acts on every key of the organisation. Use a service key that holds every scope to invite one.")
		}
		note, err := s.journal.Write(Occurrence{Org: who.Org.ID, User: u.ID, Event: EventUserCreated, By: who, At: now})
		if err != nil {
			return err
		}
		named := store.Item{Key: MailKey(who.Org.ID, u.Email), Attributes: store.Attributes{"user": u.ID}}
		return s.store.Commit(ctx, append(d.Idem.Writes(who, now, store.Attributes{"user": u.ID}),
			store.Write{Verb: store.Put, Item: named, If: store.Absent()},
			store.Write{Verb: store.Put, Item: encodeUser(u), If: store.Absent()}, note)...)
	})
	if err != nil {
		return User{}, fmt.Errorf("inviting a user: %w", err)
	}
	return u, nil
}
