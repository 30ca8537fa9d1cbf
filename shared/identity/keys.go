package identity

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/store"
)

// KeyResource is what errors call a service key.
const KeyResource = "ServiceKey"

// Draft is what a caller asks a service key to be. A nil field is left as it
// is, or takes its default in a new key.
type Draft struct {
	Name        *string
	Description *string
	OwnerID     *int64         // CreateKey only; another user's for an admin of the organisation
	Scopes      []access.Scope // nil = all that the caller's own key holds
	ExpiresAt   *time.Time     // at most MaxKeyLife ahead, which is the default
}

// ListKeys reads the service keys of one user of the caller's organisation,
// oldest first: the own ones, and for an admin or the operator any user's.
func (s *Service) ListKeys(ctx context.Context, who Caller, owner int64) ([]Key, error) {
	if !who.mayManage(owner) {
		return nil, fault.New(fault.CodeForbidden, "Only an admin of the organisation lists the keys of another user.")
	}
	keys, err := s.keysOf(ctx, who.Org.ID, owner)
	if err != nil {
		return nil, fmt.Errorf("listing service keys: %w", err)
	}
	return keys, nil
}

func (s *Service) keysOf(ctx context.Context, org, owner int64) ([]Key, error) {
	page, err := s.store.Range(ctx, store.Range{
		Table: store.Meta, Partition: userPartition(org, owner), From: keyPrefix, To: keyPrefix + "~",
	})
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, len(page.Items))
	for _, item := range page.Items {
		k, err := decodeKey(item)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k.Key)
	}
	return keys, nil
}

// OrgKeys reads the service keys of every user of the caller's organisation,
// for an admin or the operator.
func (s *Service) OrgKeys(ctx context.Context, who Caller) ([]Key, error) {
	users, err := s.Users(ctx, who)
	if err != nil {
		return nil, err
	}
	var all []Key
	for _, u := range users {
		if u.KeyCount == 0 {
			continue
		}
		keys, err := s.keysOf(ctx, who.Org.ID, u.ID)
		if err != nil {
			return nil, fmt.Errorf("listing service keys: %w", err)
		}
		all = append(all, keys...)
	}
	return all, nil
}

// GetKey reads one service key of the caller. Another user's does not exist
// for him.
func (s *Service) GetKey(ctx context.Context, who Caller, key int64) (Key, error) {
	row, _, err := s.target(ctx, who, key)
	if err != nil {
		return Key{}, fmt.Errorf("getting a service key: %w", err)
	}
	return row.Key, nil
}

// CreateKey makes a service key and returns it with its text, which is shown
// this once. The user's row counts his keys, and its revision is a
// precondition of the commit, so that MaxKeysPerUser holds whoever races.
func (s *Service) CreateKey(ctx context.Context, who Caller, d Draft) (Key, string, error) {
	owner := who.User.ID
	if d.OwnerID != nil {
		owner = *d.OwnerID
	}
	if owner != who.User.ID && !who.User.Admin {
		return Key{}, "", invalid("/owner_id", fault.DetailForbidden, "Only an admin of the organisation makes keys for another user. Leave \"owner_id\" out.")
	}
	row := keyRow{}
	if d.Scopes == nil {
		d.Scopes = who.Scopes
	}
	if d.ExpiresAt == nil {
		latest := s.clock().Add(MaxKeyLife)
		d.ExpiresAt = &latest
	}
	if err := s.apply(&row, who.Scopes, d); err != nil {
		return Key{}, "", err
	}
	return s.insert(ctx, who.Org.ID, owner, row, who)
}

// FirstKey makes a key for a user on behalf of the operator of the service: the
// first one, with which the user signs in, and any that replaces lost ones. No
// scopes = all of them.
func (s *Service) FirstKey(ctx context.Context, u User, name string, scopes []access.Scope) (Key, string, error) {
	row := keyRow{}
	d := Draft{Name: &name, Scopes: scopes}
	if scopes == nil {
		d.Scopes = access.Scopes
	}
	latest := s.clock().Add(MaxKeyLife)
	d.ExpiresAt = &latest
	if err := s.apply(&row, access.Scopes, d); err != nil {
		return Key{}, "", err
	}
	return s.insert(ctx, u.OrgID, u.ID, row, Caller{operator: true})
}

func (s *Service) insert(ctx context.Context, org, owner int64, row keyRow, who Caller) (Key, string, error) {
	var text string
	err := s.retry(ctx, func() error {
		items, err := s.store.Get(ctx, UserKey(org, owner))
		if err != nil {
			return err
		}
		user := items[0]
		switch {
		case !user.Found() || !user.Attributes.Bool("active"):
			return invalid("/owner_id", fault.DetailUnknown, "The organisation has no active user with this id.")
		case !who.operator && user.Attributes.Int("keys") >= MaxKeysPerUser:
			return fault.New(fault.CodeLimitReached, fmt.Sprintf(
				"A user has at most %d service keys. Delete one that is not used.", MaxKeysPerUser))
		}
		now := s.clock()
		row.ID, row.OrgID, row.OwnerID = id.New(now), org, owner
		row.CreatedAt, row.UpdatedAt, row.Rev, row.madeAt = now, now, 1, 1
		text, row.hash = newToken(keyToken, org, owner, row.ID)
		note, err := s.note(EventKeyCreated, row.Key, who)
		if err != nil {
			return err
		}
		return s.store.Commit(ctx, store.Write{Verb: store.Put, Item: encodeKey(row), If: store.Absent()}, counted(user, 1), note)
	})
	if err != nil {
		return Key{}, "", fmt.Errorf("making a service key: %w", err)
	}
	return row.Key, text, nil
}

// counted writes a user's row back with another number of keys. Whatever else
// the row holds stays.
func counted(user store.Item, by int64) store.Write {
	a := user.Attributes
	rev := a.Int("rev")
	a["keys"] = a.Int("keys") + by
	a["rev"] = rev + 1
	return store.Write{Verb: store.Put, Item: user, If: store.Equal("rev", rev)}
}

// UpdateKey changes the fields that the draft names, and no other's that
// somebody changed meanwhile. Where all is as it was, nothing is written.
func (s *Service) UpdateKey(ctx context.Context, who Caller, key int64, d Draft) (Key, error) {
	return s.change(ctx, who, key, EventKeyUpdated, func(k *keyRow) error { return s.apply(k, who.Scopes, d) })
}

// PauseKey keeps a key and its sessions from signing in, from the next request
// on. Pausing a paused key changes nothing.
func (s *Service) PauseKey(ctx context.Context, who Caller, key int64) (Key, error) {
	return s.change(ctx, who, key, EventKeyPaused, func(k *keyRow) error { k.Paused = true; return nil })
}

// ActivateKey undoes PauseKey.
func (s *Service) ActivateKey(ctx context.Context, who Caller, key int64) (Key, error) {
	return s.change(ctx, who, key, EventKeyActivated, func(k *keyRow) error { k.Paused = false; return nil })
}

// RotateKey gives a key a new secret and returns it with its text, which is
// shown this once. The old secret and every session of it end with the commit.
// Who rotates a key learns its secret, so he must hold all of its scopes.
func (s *Service) RotateKey(ctx context.Context, who Caller, key int64) (Key, string, error) {
	var text string
	k, err := s.change(ctx, who, key, EventKeyRotated, func(k *keyRow) error {
		for _, scope := range k.Scopes {
			if !who.operator && !slices.Contains(who.Scopes, scope) {
				return fault.New(fault.CodeScopeMissing, fmt.Sprintf(
					"The key to rotate holds the scope %q, which yours does not. Use a key that holds all of its scopes.", scope))
			}
		}
		k.RotatedAt, k.madeAt = s.clock(), k.Rev+1
		text, k.hash = newToken(keyToken, k.OrgID, k.OwnerID, k.ID)
		return nil
	})
	return k, text, err
}

// DeleteKey ends a key and its sessions for good, and returns it as it was.
func (s *Service) DeleteKey(ctx context.Context, who Caller, key int64) (Key, error) {
	var gone Key
	err := s.retry(ctx, func() error {
		row, user, err := s.target(ctx, who, key)
		if err != nil {
			return err
		}
		gone = row.Key
		note, err := s.note(EventKeyDeleted, row.Key, who)
		if err != nil {
			return err
		}
		return s.store.Commit(ctx,
			store.Write{Verb: store.Delete, Item: store.Item{Key: ServiceKeyKey(row.OrgID, row.OwnerID, row.ID)}, If: store.Present()},
			counted(user, -1), note)
	})
	if err != nil {
		return Key{}, fmt.Errorf("deleting a service key: %w", err)
	}
	return gone, nil
}

// change reads a key, changes it and writes it back if nobody did so in
// between; else it starts over with what is there then.
func (s *Service) change(ctx context.Context, who Caller, key int64, event string, alter func(*keyRow) error) (Key, error) {
	var row keyRow
	err := s.retry(ctx, func() error {
		var err error
		if row, _, err = s.target(ctx, who, key); err != nil {
			return err
		}
		before := encodeKey(row)
		if err := alter(&row); err != nil {
			return err
		}
		if reflect.DeepEqual(before, encodeKey(row)) {
			return nil // nothing changes, so nothing is written
		}
		rev := row.Rev
		row.Rev, row.UpdatedAt = rev+1, s.clock()
		note, err := s.note(event, row.Key, who)
		if err != nil {
			return err
		}
		return s.store.Commit(ctx, store.Write{Verb: store.Put, Item: encodeKey(row), If: store.Equal("rev", rev)}, note)
	})
	if err != nil {
		return Key{}, fmt.Errorf("changing a service key (%s): %w", event, err)
	}
	return row.Key, nil
}

// target reads a key that the caller may name, and the row of its owner: the
// own keys, and for an admin or the operator every key of the organisation.
func (s *Service) target(ctx context.Context, who Caller, key int64) (keyRow, store.Item, error) {
	none := fault.New(fault.CodeNotFound, "There is no such service key.").On(KeyResource, key)
	owners := []int64{who.User.ID}
	for own := !who.operator; ; own = false {
		if !own {
			users, err := s.users(ctx, who.Org.ID)
			if err != nil {
				return keyRow{}, store.Item{}, err
			}
			owners = owners[:0]
			for _, u := range users {
				owners = append(owners, u.ID)
			}
		}
		row, user, err := s.keyAmong(ctx, who.Org.ID, owners, key)
		if err != nil || user.Found() {
			return row, user, err
		}
		if !own || !who.User.Admin {
			return keyRow{}, store.Item{}, none
		}
	}
}

// keyAmong finds a key by its id in the partitions of its possible owners. The
// owner's row is the zero Item where there is no such key.
func (s *Service) keyAmong(ctx context.Context, org int64, owners []int64, key int64) (keyRow, store.Item, error) {
	for some := range slices.Chunk(owners, store.MaxKeysPerGet/2) {
		var names []store.Key
		for _, owner := range some {
			names = append(names, ServiceKeyKey(org, owner, key), UserKey(org, owner))
		}
		items, err := s.store.Get(ctx, names...)
		if err != nil {
			return keyRow{}, store.Item{}, err
		}
		for n := 0; n < len(items); n += 2 {
			if items[n].Found() && items[n+1].Found() {
				row, err := decodeKey(items[n])
				return row, items[n+1], err
			}
		}
	}
	return keyRow{}, store.Item{}, nil
}

// holds reports whether a key with the scopes held has all of those wanted.
func holds(held, wanted []access.Scope) bool {
	return !slices.ContainsFunc(wanted, func(s access.Scope) bool { return !slices.Contains(held, s) })
}

// apply puts a draft's fields into a row, or says what is wrong with them. A
// key may not hold a scope that its maker's key does not.
func (s *Service) apply(row *keyRow, held []access.Scope, d Draft) error {
	var faults []fault.Detail
	if d.Name != nil {
		row.Name = *d.Name
	}
	if d.Description != nil {
		row.Description = *d.Description
	}
	for n, scope := range d.Scopes {
		if !slices.Contains(held, scope) {
			faults = append(faults, fault.Detail{
				Pointer: fmt.Sprintf("/scopes/%d", n), Code: fault.DetailForbidden,
				Message: "The key you are signed in with does not hold this scope, so it cannot give it to another key.",
			})
		}
	}
	if d.Scopes != nil {
		row.Scopes = d.Scopes
		if len(d.Scopes) == 0 {
			faults = append(faults, fault.Detail{
				Pointer: "/scopes", Code: fault.DetailRequired, Message: "A key needs at least one scope. Leave \"scopes\" out to give it all of yours.",
			})
		}
	}
	if d.ExpiresAt != nil {
		if now := s.clock(); !d.ExpiresAt.After(now) || d.ExpiresAt.After(now.Add(MaxKeyLife)) {
			faults = append(faults, fault.Detail{
				Pointer: "/expires_at", Code: fault.DetailOutOfRange,
				Message: "The field \"expires_at\" must lie in the future, at most 365 days ahead.",
			})
		}
		row.ExpiresAt = d.ExpiresAt.UTC()
	}
	return fault.Invalid(faults)
}
