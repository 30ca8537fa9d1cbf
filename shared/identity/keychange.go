package identity

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/store"
)

// UpdateKey changes the fields that the draft names. A change that another
// caller commits at the same time is kept. Where nothing changes, nothing is
// written.
func (s *Service) UpdateKey(ctx context.Context, who Caller, key int64, d Draft) (Key, error) {
	return s.change(ctx, who, key, EventKeyUpdated, func(k *keyRow) error {
		before := k.Key
		if err := s.apply(k, who, d); err != nil {
			return err
		}
		if holds(before.Scopes, k.Scopes) && !k.ExpiresAt.After(before.ExpiresAt) {
			return nil
		}
		return s.withinLineage(ctx, k.Key)
	})
}

// withinLineage returns the fault for a key that is to have more rights than
// the keys that it was made with.
func (s *Service) withinLineage(ctx context.Context, k Key) error {
	var rows []store.Key
	for _, r := range k.Lineage.Keys() {
		rows = append(rows, ServiceKeyKey(k.OrgID, r.User, r.Key))
	}
	if len(rows) == 0 {
		return nil
	}
	items, err := s.store.Get(ctx, rows...)
	if err != nil {
		return err
	}
	for _, item := range items {
		if !item.Found() {
			return fault.New(fault.CodeForbidden, "The key that this one was made with is deleted, so this one is not accepted any more. Make another.").On(KeyResource, k.ID)
		}
		maker, err := decodeKey(item)
		if err != nil {
			return err
		}
		if !holds(maker.Scopes, k.Scopes) {
			return invalid("/scopes", fault.DetailForbidden, "The key that this one was made with does not hold all of these scopes. Make another key.")
		}
		if k.ExpiresAt.After(maker.ExpiresAt) {
			return invalid("/expires_at", fault.DetailOutOfRange, "This key cannot expire after the key that it was made with. Make another key.")
		}
	}
	return nil
}

// PauseKey prevents the use of a key, of its sessions and of every key made
// with it, from the next request on. Pausing a paused key changes nothing.
func (s *Service) PauseKey(ctx context.Context, who Caller, key int64) (Key, error) {
	return s.change(ctx, who, key, EventKeyPaused, func(k *keyRow) error {
		if !k.Paused {
			k.Paused, k.held = true, !who.owns(k.Key)
		}
		return nil
	})
}

// ActivateKey undoes PauseKey. A key that its owner paused and somebody else
// activates loses the scope reveal.
func (s *Service) ActivateKey(ctx context.Context, who Caller, key int64) (Key, error) {
	return s.change(ctx, who, key, EventKeyActivated, func(k *keyRow) error {
		if k.Paused && !k.held {
			if err := who.handOver(k); err != nil {
				return err
			}
		}
		k.Paused, k.held = false, false
		return nil
	})
}

// RotateKey gives a key a new secret and returns it with its text, which is
// shown this once. The old secret and its sessions end with the commit; keys
// made with the key stay. The caller learns the secret: the key expires no
// later than the caller's, and another user's key loses the scope reveal. A key
// that the operator rotates is valid for another MaxKeyLife.
func (s *Service) RotateKey(ctx context.Context, who Caller, key int64) (Key, string, error) {
	var text string
	k, err := s.change(ctx, who, key, EventKeyRotated, func(k *keyRow) error {
		now := s.clock()
		if who.operator {
			k.ExpiresAt = now.Add(MaxKeyLife)
		} else if k.ID != who.KeyID && !k.Lineage.Has(who.KeyID) && who.outlived(k.ExpiresAt) {
			return fault.New(fault.CodeForbidden, "This key expires later than yours, so you cannot rotate it. Make another key for its owner, or ask the operator.").On(KeyResource, k.ID)
		} else if k.ExpiresAt.After(who.Expires) {
			k.ExpiresAt = who.Expires
		}
		if err := who.handOver(k); err != nil {
			return err
		}
		k.RotatedAt, k.madeAt = now, k.Rev+1
		text, k.hash = newToken(keyToken, k.Key)
		return nil
	})
	return k, text, err
}

// DeleteKey ends a key, its sessions and every key made with it, and returns it
// as it was. The rows of the owner's keys made with it go in the same commit;
// those of other users' stay as StatusEnded until they are deleted or their
// user needs the room.
func (s *Service) DeleteKey(ctx context.Context, who Caller, key int64) (Key, error) {
	var gone Key
	err := s.retry(ctx, func() error {
		row, user, err := s.target(ctx, who, key)
		if err != nil {
			return err
		}
		if err := who.mayAct(row.Key); err != nil {
			return err
		}
		gone = row.Key
		gone.Status = StatusEnded
		all, err := s.keysOf(ctx, row.OrgID, row.OwnerID)
		if err != nil {
			return err
		}
		return s.end(ctx, who, user, slices.DeleteFunc(all, func(k Key) bool { return k.ID != key && !k.Lineage.Has(key) }))
	})
	if err != nil {
		return Key{}, fmt.Errorf("deleting a service key: %w", err)
	}
	return gone, nil
}

// end deletes keys of one user, whose row is given, in one commit.
func (s *Service) end(ctx context.Context, who Caller, user store.Item, keys []Key) error {
	writes := []store.Write{counted(user, -int64(len(keys)))}
	told := make([]Occurrence, 0, len(keys))
	for _, k := range keys {
		told = append(told, occurrence(EventKeyDeleted, k, who, s.clock()))
		writes = append(writes,
			store.Write{Verb: store.Delete, Item: store.Item{Key: ServiceKeyKey(k.OrgID, k.OwnerID, k.ID)}, If: store.Present()})
	}
	notes, err := s.notes(told...)
	if err != nil {
		return err
	}
	return s.store.Commit(ctx, append(writes, notes...)...)
}

// sweep deletes the keys of a user that were made with a deleted key of another
// user, so that they do not count against the limit. It reports whether there
// were any: the user's row is another one then.
func (s *Service) sweep(ctx context.Context, who Caller, user store.Item, owner int64) (bool, error) {
	keys, err := s.keysOf(ctx, who.Org.ID, owner)
	if err != nil {
		return false, err
	}
	makers, err := s.makersOf(ctx, keys, nil, keys)
	if err != nil {
		return false, err
	}
	ended := slices.DeleteFunc(keys, func(k Key) bool { return !makers.dead(k) })
	if len(ended) == 0 {
		return false, nil
	}
	return true, s.end(ctx, who, user, ended)
}

// change reads a key, checks that the caller may act on it, changes it and
// writes it back if its row is still the same; else it starts over.
func (s *Service) change(ctx context.Context, who Caller, key int64, event string, alter func(*keyRow) error) (Key, error) {
	var row keyRow
	err := s.retry(ctx, func() error {
		var err error
		if row, _, err = s.target(ctx, who, key); err != nil {
			return err
		}
		if err := who.mayAct(row.Key); err != nil {
			return err
		}
		before := encodeKey(row)
		makers, err := s.makersOf(ctx, []Key{row.Key}, nil, nil)
		if err != nil {
			return err
		}
		if err := alter(&row); err != nil {
			return err
		}
		row.Status = makers.status(row.Key, s.clock())
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

// apply puts a draft's fields into a row, or returns every fault of them. A
// scope or a time that the key does not have yet is the caller's to give.
func (s *Service) apply(row *keyRow, who Caller, d Draft) error {
	var faults []fault.Detail
	if d.Name != nil {
		row.Name = *d.Name
	}
	if d.Description != nil {
		row.Description = *d.Description
	}
	if d.Scopes != nil {
		faults = append(faults, mayGive(who, row.Key, d.Scopes)...)
		row.Scopes = d.Scopes
	}
	if d.ExpiresAt != nil && !d.ExpiresAt.Equal(row.ExpiresAt) {
		faults = append(faults, s.mayExpire(who, row.Key, *d.ExpiresAt)...)
		row.ExpiresAt = d.ExpiresAt.UTC().Truncate(time.Millisecond)
	}
	return fault.Invalid(faults)
}

// mayGive returns the faults of the scopes that a key is to hold.
func mayGive(who Caller, k Key, scopes []access.Scope) []fault.Detail {
	if len(scopes) == 0 {
		return []fault.Detail{{
			Pointer: "/scopes", Code: fault.DetailRequired, Message: "A key needs at least one scope. Leave \"scopes\" out to give it those of yours.",
		}}
	}
	var faults []fault.Detail
	for n, scope := range scopes {
		message := ""
		switch {
		case slices.Contains(k.Scopes, scope) || who.operator && slices.Contains(access.Scopes, scope):
			continue
		case who.operator:
			message = "This is not a scope. Use read, probe, use, write, share or reveal."
		case !slices.Contains(who.Scopes, scope):
			message = "The key you are signed in with does not hold this scope, so it cannot give it to another key."
		case scope == access.ScopeReveal && !who.owns(k):
			message = "Only the owner of a key gives it the scope reveal. Leave it out, and let the user add it."
		default:
			continue
		}
		faults = append(faults, fault.Detail{Pointer: fmt.Sprintf("/scopes/%d", n), Code: fault.DetailForbidden, Message: message})
	}
	return faults
}

// mayExpire returns the fault of the time at which a key is to expire.
func (s *Service) mayExpire(who Caller, k Key, at time.Time) []fault.Detail {
	now, message := s.clock(), ""
	longer := at.After(k.ExpiresAt)
	switch {
	case !at.After(now) || at.After(now.Add(MaxKeyLife)):
		message = "The field \"expires_at\" must lie in the future, at most 365 days ahead."
	case longer && at.After(who.latest(now)):
		message = fmt.Sprintf("The key you are signed in with expires at %s, so no key that it makes or changes expires later. Give an earlier time, or ask the operator for a key that expires later.",
			who.Expires.Format(time.RFC3339))
	case longer && !who.owns(k) && k.Rev > 0 && slices.Contains(k.Scopes, access.ScopeReveal):
		message = "This key holds the scope reveal, so only its owner extends it."
	default:
		return nil
	}
	return []fault.Detail{{Pointer: "/expires_at", Code: fault.DetailOutOfRange, Message: message}}
}
