package identity

import (
	"context"
	"fmt"

	"credence/shared/fault"
	"credence/shared/store"
)

// UserResource is the name of a user in errors.
const UserResource = "User"

// OrgResource is the name of an organisation in errors.
const OrgResource = "Org"

// UserDraft is a requested user, or a requested change of one. A nil field stays as
// it is, or takes its default in a new user.
type UserDraft struct {
	Email    *string
	FullName *string     // default: the address without its domain
	Active   *bool       // default: true
	Admin    *bool       // default: false
	Idem     Idempotency // Invite only
}

// Users lists the users of the caller's organisation, oldest first. It requires
// an admin of the organisation or the operator.
func (s *Service) Users(ctx context.Context, who Caller) ([]User, error) {
	if !who.operator && !who.User.Admin {
		return nil, fault.New(fault.CodeForbidden, "Only an admin of the organisation lists its users. Ask one of them.")
	}
	users, err := s.users(ctx, who.Org.ID)
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	return users, nil
}

// Members lists the users of the caller's organisation for any of them: those
// with whom a credential can be shared.
func (s *Service) Members(ctx context.Context, who Caller) ([]User, error) {
	users, err := s.users(ctx, who.Org.ID)
	if err != nil {
		return nil, fmt.Errorf("listing members: %w", err)
	}
	return users, nil
}

func (s *Service) users(ctx context.Context, org int64) ([]User, error) {
	page, err := s.store.Range(ctx, store.Under(store.Meta, OrgPartition(org), userPrefix))
	if err != nil {
		return nil, err
	}
	users := make([]User, 0, len(page.Items))
	for _, item := range page.Items {
		u, err := DecodeUser(item)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}

// GetUser reads one user of the caller's organisation. A caller who is neither
// an admin nor the operator finds only the caller's own user.
func (s *Service) GetUser(ctx context.Context, who Caller, user int64) (User, error) {
	none := fault.New(fault.CodeNotFound, "There is no such user.").On(UserResource, user)
	if !who.mayManage(user) {
		return User{}, none
	}
	items, err := s.store.Get(ctx, UserKey(who.Org.ID, user))
	if err != nil {
		return User{}, fmt.Errorf("getting a user: %w", err)
	}
	if !items[0].Found() {
		return User{}, none
	}
	return DecodeUser(items[0])
}

// UpdateUser changes a user of the caller's organisation. Everybody may change
// the own name; the rest requires the operator, or an admin whose key holds
// every scope, because it changes who the user is or what all keys of the user may do. An admin
// changes neither the own status nor the own admin flag, so an organisation
// keeps the admin who acts. A suspension is effective on the user's next request.
func (s *Service) UpdateUser(ctx context.Context, who Caller, user int64, d UserDraft) (User, error) {
	var u User
	err := s.retry(ctx, func() error {
		items, err := s.store.Get(ctx, UserKey(who.Org.ID, user), UserKey(who.Org.ID, who.User.ID))
		if err != nil {
			return err
		}
		if !items[0].Found() || !who.mayManage(user) {
			return fault.New(fault.CodeNotFound, "There is no such user.").On(UserResource, user)
		}
		before, err := DecodeUser(items[0])
		if err != nil {
			return err
		}
		event, told := "", []string(nil)
		if u, event, told = d.apply(before); event == "" {
			return nil // nothing changes, so nothing is written
		}
		if err := mayChange(who, before, u); err != nil {
			return err
		}
		u.UpdatedAt = s.clock()
		writes, err := s.readdressed(ctx, before, u)
		if err != nil {
			return err
		}
		writes = append(writes, rewritten(items[0], u))
		if !who.operator && who.User.ID != user {
			// Two admins who suspend each other at the same time: one of them fails.
			actor := items[1].Attributes
			if !actor.Bool("active") || !actor.Bool("admin") {
				return unauthenticated()
			}
			writes = append(writes, store.Write{
				Verb: store.Check, Item: store.Item{Key: items[1].Key}, If: store.Equal("rev", actor.Int("rev")),
			})
		}
		note, err := s.journal.Write(Occurrence{
			Org: who.Org.ID, User: user, Details: told, Event: event, By: who, At: u.UpdatedAt,
		})
		if err != nil {
			return err
		}
		u.Rev++
		return s.store.Commit(ctx, append(writes, note)...)
	})
	if err != nil {
		return User{}, fmt.Errorf("changing a user: %w", err)
	}
	return u, nil
}

// readdressed makes the writes by which another address leads to a user. Addresses
// that differ in case alone need none.
func (s *Service) readdressed(ctx context.Context, before, after User) ([]store.Write, error) {
	if before.Email == after.Email {
		return nil, nil
	}
	if err := CheckAddress(after.Email); err != nil {
		return nil, err
	}
	former, key := MailKey(before.OrgID, before.Email), MailKey(after.OrgID, after.Email)
	if former == key {
		return nil, nil
	}
	if err := s.unused(ctx, key); err != nil {
		return nil, err
	}
	return []store.Write{
		{Verb: store.Put, Item: store.Item{Key: key, Attributes: store.Attributes{"user": after.ID}}, If: store.Absent()},
		{Verb: store.Delete, Item: store.Item{Key: former}, If: store.Equal("user", before.ID)},
	}, nil
}

// unused returns the fault for an address that leads to a user.
func (s *Service) unused(ctx context.Context, mail store.Key) error {
	items, err := s.store.Get(ctx, mail)
	if err != nil {
		return err
	}
	if items[0].Found() {
		return invalid("/email", fault.DetailDuplicate, "Another user of the organisation has this address. Send another, or make a key for that user with POST /service_keys.")
	}
	return nil
}

// mayChange returns the fault for a change that the caller may not make.
func mayChange(who Caller, before, after User) error {
	standing, address := before.Active != after.Active || before.Admin != after.Admin, before.Email != after.Email
	if who.operator || !standing && !address {
		return nil
	}
	if address && !who.User.Admin {
		return fault.New(fault.CodeForbidden, "Only an admin of the organisation changes the address of a user. Ask one of them.").On(UserResource, before.ID)
	}
	if standing && before.ID == who.User.ID {
		return fault.New(fault.CodeForbidden,
			"You cannot change your own status or your own admin flag. Ask another admin of your organisation.").On(UserResource, before.ID)
	}
	if !who.unrestricted() {
		return fault.New(fault.CodeScopeMissing,
			"A change of the address, the status or the admin flag affects all of that user's keys. Use a service key that holds every scope.").On(UserResource, before.ID)
	}
	return nil
}

// apply returns the changed user, the event that names the change, "" where nothing
// changes, and a line for each field that changes.
func (d UserDraft) apply(u User) (after User, event string, told []string) {
	if d.FullName != nil && *d.FullName != u.FullName {
		u.FullName, event, told = *d.FullName, EventUserUpdated, append(told, "changed full_name")
	}
	if d.Email != nil && *d.Email != u.Email {
		u.Email, event, told = *d.Email, EventUserUpdated, append(told, "changed email")
	}
	if d.Admin != nil && *d.Admin != u.Admin {
		u.Admin, event, told = *d.Admin, EventUserUpdated, append(told, "changed is_admin")
	}
	if d.Active != nil && *d.Active != u.Active {
		u.Active, event, told = *d.Active, EventUserSuspended, append(told, "changed status")
		if u.Active {
			event = EventUserActivated
		}
	}
	return u, event, told
}

// rewritten makes the write of a changed user. Attributes of the row that this
// package does not know stay as they are.
func rewritten(item store.Item, u User) store.Write {
	for name, v := range encodeUser(u).Attributes {
		item.Attributes[name] = v
	}
	item.Attributes["rev"] = u.Rev + 1
	return store.Write{Verb: store.Put, Item: item, If: store.Equal("rev", u.Rev)}
}

// SuspendOrg suspends the operator's organisation, or ends its suspension. None
// of its keys and sessions is accepted while it is suspended, from the next
// request on.
func (s *Service) SuspendOrg(ctx context.Context, operator Caller, suspended bool) (Org, error) {
	event := EventOrgActivated
	if suspended {
		event = EventOrgSuspended
	}
	return s.changeOrg(ctx, operator, event, "suspended", suspended)
}

// KeepAudit sets for how many days the operator's organisation keeps audit
// entries that are no changes of a credential. It applies to entries written
// from then on.
func (s *Service) KeepAudit(ctx context.Context, operator Caller, days int) (Org, error) {
	return s.changeOrg(ctx, operator, EventOrgUpdated, "audit_days", int64(days))
}

// changeOrg sets one attribute of an organisation's row. Where the row has the
// value already, nothing is written.
func (s *Service) changeOrg(ctx context.Context, operator Caller, event, name string, value any) (Org, error) {
	var o Org
	err := s.retry(ctx, func() error {
		items, err := s.store.Get(ctx, OrgKey(operator.Org.ID))
		if err != nil {
			return err
		}
		before, err := DecodeOrg(items[0])
		if err != nil {
			return err
		}
		// The row of an organisation had no revision at first.
		item, unchanged := items[0], store.Present()
		if rev, ok := item.Attributes["rev"].(int64); ok {
			unchanged = store.Equal("rev", rev)
		}
		item.Attributes[name], item.Attributes["rev"] = value, item.Attributes.Int("rev")+1
		if o, err = DecodeOrg(item); err != nil || o == before {
			return err
		}
		note, err := s.journal.Write(Occurrence{Org: o.ID, Event: event, By: operator, At: s.clock()})
		if err != nil {
			return err
		}
		return s.store.Commit(ctx, store.Write{Verb: store.Put, Item: item, If: unchanged}, note)
	})
	if err != nil {
		return Org{}, fmt.Errorf("changing an organisation: %w", err)
	}
	return o, nil
}
