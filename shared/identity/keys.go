package identity

import (
	"context"
	"fmt"
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
	OwnerID     *int64         // CreateKey only; another user for an admin of the organisation and the operator
	Scopes      []access.Scope // nil = those of the caller's key, without reveal in a key for another user
	ExpiresAt   *time.Time     // at most MaxKeyLife ahead and not after the caller's key, which is the default
	Idem        Idempotency    // CreateKey only
}

// ListKeys reads the service keys of one user of the caller's organisation,
// oldest first: the own ones, and for an admin or the operator any user's.
func (s *Service) ListKeys(ctx context.Context, who Caller, owner int64) ([]Key, error) {
	if !who.mayManage(owner) {
		return nil, fault.New(fault.CodeForbidden, "Only an admin of the organisation lists the keys of another user.")
	}
	keys, err := s.keysOf(ctx, who.Org.ID, owner)
	if err == nil {
		err = s.judge(ctx, keys, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("listing service keys: %w", err)
	}
	return keys, nil
}

func (s *Service) keysOf(ctx context.Context, org, owner int64) ([]Key, error) {
	page, err := s.store.Range(ctx, store.Under(store.Meta, UserPartition(org, owner), keyPrefix))
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
	if err := s.judge(ctx, all, users); err != nil {
		return nil, fmt.Errorf("listing service keys: %w", err)
	}
	return all, nil
}

// GetKey reads one service key: an own one, and for an admin or the operator any
// of the organisation. The fault for another is CodeNotFound.
func (s *Service) GetKey(ctx context.Context, who Caller, key int64) (Key, error) {
	row, _, err := s.target(ctx, who, key)
	one := []Key{row.Key}
	if err == nil {
		err = s.judge(ctx, one, nil)
	}
	if err != nil {
		return Key{}, fmt.Errorf("getting a service key: %w", err)
	}
	return one[0], nil
}

// CreateKey makes a service key and returns it with its text, which is shown
// this once. The key has the caller's key as its parent and ends with it; a key
// that the operator makes has none. The owner's row counts the keys, and its
// revision is a precondition of the commit, so racing callers keep the limits.
// Calling it again makes another key, unless the draft names the same idempotency
// key: then it returns the key made first, and no text, which is not stored.
func (s *Service) CreateKey(ctx context.Context, who Caller, d Draft) (Key, string, error) {
	owner := who.User.ID
	if d.OwnerID != nil {
		owner = *d.OwnerID
	}
	if !who.mayManage(owner) {
		return Key{}, "", invalid("/owner_id", fault.DetailForbidden, "Only an admin of the organisation makes keys for another user. Leave \"owner_id\" out.")
	}
	row := keyRow{Key: Key{OrgID: who.Org.ID, OwnerID: owner, MakerID: who.User.ID}}
	if !who.operator {
		var room bool
		if row.Lineage, room = who.Lineage.of(KeyRef{who.User.ID, who.KeyID}); !room {
			return Key{}, "", fault.New(fault.CodeLimitReached, fmt.Sprintf(
				"Your key is the last of %d that were made with each other. Make the new one with the key that yours was made with.", MaxGenerations))
		}
	}
	if err := s.draw(&row, who, d); err != nil {
		return Key{}, "", err
	}
	text, err := s.insert(ctx, who, &row, d.Idem)
	if err != nil {
		return Key{}, "", fmt.Errorf("making a service key: %w", err)
	}
	return row.Key, text, nil
}

// draw fills a new key's row with a draft and its defaults.
func (s *Service) draw(row *keyRow, who Caller, d Draft) error {
	if d.Scopes == nil {
		d.Scopes = who.Scopes
		if who.operator {
			d.Scopes = access.Scopes
		}
		if !who.owns(row.Key) {
			d.Scopes = withoutReveal(d.Scopes)
		}
	}
	if d.ExpiresAt == nil {
		latest := who.latest(s.clock())
		d.ExpiresAt = &latest
	}
	return s.apply(row, who, d)
}

// insert commits a new key of row's owner and returns its text, or, where the
// idempotency key was used, reads the key made first.
func (s *Service) insert(ctx context.Context, who Caller, row *keyRow, idem Idempotency) (text string, err error) {
	err = s.retry(ctx, func() error {
		if made, found, err := idem.Used(ctx, s.store, who); err != nil || found {
			if err == nil {
				text = ""
				row.Key, err = s.GetKey(ctx, who, made.Int("key"))
			}
			return err
		}
		user, err := s.withRoom(ctx, who, row.OwnerID)
		if err != nil {
			return err
		}
		var keyWrite store.Write
		text, keyWrite = s.fresh(row)
		note, err := s.note(EventKeyCreated, row.Key, who)
		if err != nil {
			return err
		}
		writes := []store.Write{keyWrite, counted(user, 1), note}
		if parent := row.Lineage[0]; parent != (KeyRef{}) {
			writes = append(writes, store.Write{
				Verb: store.Check, Item: store.Item{Key: ServiceKeyKey(row.OrgID, parent.User, parent.Key)}, If: store.Present(),
			})
		}
		writes = append(writes, idem.Writes(who, s.clock(), store.Attributes{"key": row.ID})...)
		err = s.store.Commit(ctx, writes...)
		if row.Lineage[0] != (KeyRef{}) && store.ConditionFailed(err, 3) {
			return unauthenticated() // the caller's own key is gone
		}
		return err
	})
	return text, err
}

// withRoom reads the row of an active user who may have one more key.
func (s *Service) withRoom(ctx context.Context, who Caller, owner int64) (store.Item, error) {
	limit := who.maxKeys(owner)
	for {
		items, err := s.store.Get(ctx, UserKey(who.Org.ID, owner))
		if err != nil {
			return store.Item{}, err
		}
		user := items[0]
		if !user.Found() || !user.Attributes.Bool("active") {
			return store.Item{}, invalid("/owner_id", fault.DetailUnknown, "The organisation has no active user with this id.")
		}
		if user.Attributes.Int("keys") < limit {
			return user, nil
		}
		swept, err := s.sweep(ctx, who, user, owner)
		if err != nil {
			return store.Item{}, err
		}
		if !swept {
			return store.Item{}, fault.New(fault.CodeLimitReached, fmt.Sprintf("A user has at most %d service keys. Delete one that is not used.", limit))
		}
	}
}

// fresh gives a new key its id and its secret.
func (s *Service) fresh(row *keyRow) (string, store.Write) {
	now := s.clock()
	row.ID = id.New(now, row.Lineage[0].Key) // insert checks that row in the same commit
	row.CreatedAt, row.UpdatedAt, row.Rev, row.madeAt = now, now, 1, 1
	row.Status = StatusActive // of the caller's key, which is in use
	var text string
	text, row.hash = newToken(keyToken, row.Key)
	return text, store.Write{Verb: store.Put, Item: encodeKey(*row), If: store.Absent()}
}

// maxKeys is the number of keys up to which the caller may add one to a user.
func (c Caller) maxKeys(owner int64) int64 {
	switch {
	case c.operator:
		return maxKeysByOperator
	case c.User.ID != owner:
		return maxKeysByAdmin
	}
	return MaxKeysPerUser
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

// target reads a key that the caller may name, and the row of its owner: the
// own keys, and for an admin or the operator every key of the organisation.
func (s *Service) target(ctx context.Context, who Caller, key int64) (keyRow, store.Item, error) {
	none := fault.New(fault.CodeNotFound, "There is no such service key.").On(KeyResource, key)
	owners := []int64{who.User.ID}
	if !who.operator {
		row, user, err := s.keyAmong(ctx, who.Org.ID, owners, key)
		if err != nil || user.Found() {
			return row, user, err
		}
		if !who.User.Admin {
			return keyRow{}, store.Item{}, none
		}
	}
	users, err := s.users(ctx, who.Org.ID)
	if err != nil {
		return keyRow{}, store.Item{}, err
	}
	owners = owners[:0]
	for _, u := range users {
		owners = append(owners, u.ID)
	}
	row, user, err := s.keyAmong(ctx, who.Org.ID, owners, key)
	if err == nil && !user.Found() {
		err = none
	}
	return row, user, err
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
