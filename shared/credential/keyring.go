package credential

import (
	"context"
	"errors"
	"fmt"

	"credence/shared/identity"
	"credence/shared/store"
)

// KeyRing names the keys that a store's data keys are wrapped under, where a key
// file takes the place of a KMS: so another key file is refused before anything is
// sealed under it. On AWS the functions' list of KMS keys does this.
type KeyRing struct {
	Current  string // new data keys are wrapped under it
	Previous string // "" unless the store is being moved from it
}

func keyRingKey() store.Key { return meta(identity.SystemKey(0).Partition, "KEYS") }

// LoadKeyRing reads the ring; false if the store has none. A store of the release
// before has none: then it is what the stored secrets name, and still false.
func LoadKeyRing(ctx context.Context, s store.Store, orgs []identity.Org) (KeyRing, bool, error) {
	items, err := s.Get(ctx, keyRingKey())
	if err != nil {
		return KeyRing{}, false, fmt.Errorf("reading which key the store is under: %w", err)
	}
	if items[0].Found() {
		a := items[0].Attributes
		return KeyRing{Current: a.Text("current"), Previous: a.Text("previous")}, true, nil
	}
	for _, o := range orgs {
		first := store.Under(store.Vault, identity.OrgPartition(o.ID), secretPrefix)
		first.Limit = 1
		page, err := s.Range(ctx, first)
		if err != nil {
			return KeyRing{}, false, fmt.Errorf("reading which key the store is under: %w", err)
		}
		if len(page.Items) > 0 {
			return KeyRing{Current: decodeSecret(page.Items[0]).KeyID}, false, nil
		}
	}
	return KeyRing{}, false, nil
}

// Save records the ring in place of the one before, the zero KeyRing where there
// was none. It is an error if the store has another one by now.
func (k KeyRing) Save(ctx context.Context, s store.Store, before KeyRing) error {
	a := store.Attributes{"current": k.Current}
	a.SetText("previous", k.Previous)
	condition := store.Absent()
	if before.Current != "" {
		condition = store.Equal("current", before.Current)
	}
	err := s.Commit(ctx, store.Write{Verb: store.Put, Item: store.Item{Key: keyRingKey(), Attributes: a}, If: condition})
	var other *store.ConditionError
	if errors.As(err, &other) {
		return errors.New("another program changed the store's key at the same moment; start again")
	}
	if err != nil {
		return fmt.Errorf("recording the store's key: %w", err)
	}
	return nil
}
