package credential

import (
	"context"
	"errors"
	"fmt"

	"credence/shared/envelope"
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
		page, err := r.Store.Range(ctx, store.Range{
			Table: store.Vault, Partition: orgPartition(org), From: "SEC#", To: "SEC#~",
			After: done.Next, Limit: min(limit, rewrapPage),
		})
		if err != nil {
			return done, fmt.Errorf("reading records to rewrap: %w", err)
		}
		for _, item := range page.Items {
			if err := r.one(ctx, org, item, &done); err != nil {
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
func (r Rewrapper) one(ctx context.Context, org int64, item store.Item, done *Rewrapped) error {
	record := decodeSecret(item)
	if record.KeyID == r.Current {
		done.Already++
		return nil
	}
	var id, sv int64
	if _, err := fmt.Sscanf(item.Key.Sort, "SEC#%d#%d", &id, &sv); err != nil {
		return fmt.Errorf("reading a record's place: %w", err)
	}
	binding := envelope.Binding{Org: org, Credential: id, Version: sv}
	key, err := r.Keys.RewrapDataKey(ctx, record.DataKey, record.KeyID, binding.EncryptionContext())
	if errors.Is(err, envelope.ErrOpen) {
		done.Refused = append(done.Refused, fmt.Sprintf("%d/%d", id, sv))
		return nil
	}
	if err != nil {
		return fmt.Errorf("rewrapping a data key: %w", err)
	}
	item.Attributes["dk"], item.Attributes["kid"] = key.Wrapped, key.KeyID
	delete(item.Attributes, "kmid")
	item.Attributes.SetText("kmid", key.KeyMaterialID)
	err = r.Store.Commit(ctx, store.Write{Verb: store.Put, Item: item, If: store.Equal("dk", record.DataKey)})
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
