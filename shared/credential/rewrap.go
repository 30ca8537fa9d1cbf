package credential

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"credence/shared/envelope"
	"credence/shared/identity"
	"credence/shared/store"
)

// Rewrapper moves an organisation's data keys under the current KMS key, after
// that key was changed. It opens nothing: only the KMS sees a data key, and no
// ciphertext is touched.
type Rewrapper struct {
	Store store.Store
	Keys  envelope.Rewrapper
	// Current is the key id that records under the current key carry.
	Current string
}

// Rewrapped is how far a rewrap came.
type Rewrapped struct {
	Moved   int      // records that are under the current key now and were not before
	Already int      // records that were
	Refused []string // records that the KMS refuses to move, as credential/version: they do not belong where they lie
	Next    string   // where to go on; "" = the organisation is done
}

// rewrapPage is how many records one read brings.
const rewrapPage = 25

// Org moves up to limit records of an organisation, from the cursor on; ""
// begins. It may be called again with any cursor: a record that is under the
// current key is left as it is, one that was replaced or deleted meanwhile is
// passed over. When the KMS or the store is away it answers their error and how
// far it came; every record opens before, between and after.
func (r Rewrapper) Org(ctx context.Context, org int64, cursor string, limit int) (Rewrapped, error) {
	done := Rewrapped{Next: cursor}
	for limit > 0 {
		next := store.Under(store.Vault, identity.OrgPartition(org), secretPrefix)
		next.After, next.Limit = done.Next, min(limit, rewrapPage)
		page, err := r.Store.Range(ctx, next)
		if err != nil {
			return done, fmt.Errorf("reading records to rewrap: %w", err)
		}
		for _, item := range page.Items {
			if err := r.one(ctx, item, &done); err != nil {
				return done, err
			}
			done.Next = item.Key.Sort
			limit--
		}
		if !page.More {
			done.Next = ""
			return done, nil
		}
	}
	return done, nil
}

// one moves one record. Its place in the table says whose it is; the KMS binds
// the data key to that, so a record that was moved there is refused.
func (r Rewrapper) one(ctx context.Context, item store.Item, done *Rewrapped) error {
	record := decodeSecret(item)
	if record.KeyID == r.Current {
		done.Already++
		return nil
	}
	moved, err := r.Item(ctx, item)
	if errors.Is(err, envelope.ErrOpen) {
		b, _ := secretPlace(item.Key) // Item has read it
		done.Refused = append(done.Refused, fmt.Sprintf("%d/%d", b.Credential, b.Version))
		return nil
	}
	if err != nil {
		return err
	}
	err = r.Store.Commit(ctx, store.Write{Verb: store.Put, Item: moved, If: store.Equal("dk", record.DataKey)})
	var overtaken *store.ConditionError
	switch {
	case errors.As(err, &overtaken):
		return nil // replaced, deleted, or rewrapped by another run
	case err != nil:
		return fmt.Errorf("keeping a rewrapped data key: %w", err)
	}
	done.Moved++
	return nil
}

// Item returns the item of a secret with its data key under the current key. The
// item that is given stays as it was; one under the current key is returned.
func (r Rewrapper) Item(ctx context.Context, item store.Item) (store.Item, error) {
	record := decodeSecret(item)
	if record.KeyID == r.Current {
		return item, nil
	}
	b, ok := secretPlace(item.Key)
	if !ok {
		return store.Item{}, errors.New("reading a record's place: its key is malformed")
	}
	key, err := r.Keys.RewrapDataKey(ctx, record.DataKey, record.KeyID, b.EncryptionContext())
	if err != nil {
		return store.Item{}, fmt.Errorf("rewrapping a data key: %w", err)
	}
	item.Attributes = maps.Clone(item.Attributes)
	item.Attributes["dk"], item.Attributes["kid"] = key.Wrapped, key.KeyID
	delete(item.Attributes, "kmid")
	item.Attributes.SetText("kmid", key.KeyMaterialID)
	return item, nil
}
