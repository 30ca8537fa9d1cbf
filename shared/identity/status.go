package identity

import (
	"context"
	"maps"
	"slices"
	"time"

	"credence/shared/store"
)

// Status is whether a service key is accepted, and why it is not. It covers the
// key and the keys that it was made with. The status of the key's user and of
// the organisation are separate.
type Status string

// The statuses of a service key.
const (
	StatusActive  Status = "ACTIVE"
	StatusPaused  Status = "PAUSED"  // it or a key that it was made with is paused, or a user of these is suspended
	StatusExpired Status = "EXPIRED" // it or a key that it was made with has expired
	StatusEnded   Status = "ENDED"   // a key that it was made with is deleted, or was an admin's who is none any more
)

// Statuses lists every status of a service key.
func Statuses() []Status { return []Status{StatusActive, StatusPaused, StatusExpired, StatusEnded} }

// makers holds the users and the service keys that decide the status of keys
// made with them. A row that does not exist is not in it.
type makers struct {
	users map[int64]User
	keys  map[KeyRef]Key
}

// makersOf reads the makers of some keys, but for the rows that are known.
func (s *Service) makersOf(ctx context.Context, of []Key, users []User, keys []Key) (makers, error) {
	m := makers{map[int64]User{}, map[KeyRef]Key{}}
	for _, u := range users {
		m.users[u.ID] = u
	}
	for _, k := range keys {
		m.keys[KeyRef{k.OwnerID, k.ID}] = k
	}
	missing := map[store.Key]bool{}
	for _, k := range of {
		for _, r := range k.Lineage.Keys() {
			if _, known := m.users[r.User]; !known {
				missing[UserKey(k.OrgID, r.User)] = true
			}
			if _, known := m.keys[r]; !known {
				missing[ServiceKeyKey(k.OrgID, r.User, r.Key)] = true
			}
		}
	}
	for some := range slices.Chunk(slices.Collect(maps.Keys(missing)), store.MaxKeysPerGet) {
		items, err := s.store.Get(ctx, some...)
		if err != nil {
			return makers{}, err
		}
		for _, item := range items {
			if err := m.add(item); err != nil {
				return makers{}, err
			}
		}
	}
	return m, nil
}

// add decodes the row of a user or of a key.
func (m makers) add(item store.Item) error {
	if !item.Found() {
		return nil
	}
	if u, err := DecodeUser(item); err == nil {
		m.users[u.ID] = u
		return nil
	}
	k, err := decodeKey(item)
	m.keys[KeyRef{k.OwnerID, k.ID}] = k.Key
	return err
}

// status returns the status of a key at now. It follows the same rules as
// Service.principal, which decides whether a token is accepted.
func (m makers) status(k Key, now time.Time) Status {
	status := own(k, now)
	owner := k.OwnerID
	for _, r := range k.Lineage.Keys() {
		maker, found := m.users[r.User]
		made, kept := m.keys[r]
		if !found || !kept || r.User != owner && !maker.Admin {
			return StatusEnded
		}
		if status == StatusActive {
			status = own(made, now)
		}
		if status == StatusActive && !maker.Active && r.User != k.OwnerID {
			status = StatusPaused
		}
		owner = r.User
	}
	return status
}

// dead reports whether a key of the lineage is deleted: nothing brings it back.
func (m makers) dead(k Key) bool {
	return slices.ContainsFunc(k.Lineage.Keys(), func(r KeyRef) bool { _, kept := m.keys[r]; return !kept })
}

// own is the status of a key without regard to its lineage.
func own(k Key, now time.Time) Status {
	switch {
	case !now.Before(k.ExpiresAt):
		return StatusExpired
	case k.Paused:
		return StatusPaused
	}
	return StatusActive
}

// judge sets the status of keys. The users and keys that are known already are
// not read again.
func (s *Service) judge(ctx context.Context, keys []Key, users []User) error {
	m, err := s.makersOf(ctx, keys, users, keys)
	if err != nil {
		return err
	}
	for n := range keys {
		keys[n].Status = m.status(keys[n], s.clock())
	}
	return nil
}
