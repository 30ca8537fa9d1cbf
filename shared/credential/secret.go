package credential

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"credence/shared/envelope"
	"credence/shared/fault"
	"credence/shared/secret"
	"credence/shared/store"
)

// sealed reads the item of the active version of a secret, and another one with it.
// A secret that is missing because its credential was deleted after its row was read
// is CodeNotFound, the answer of a moment later.
func (s Service) sealed(ctx context.Context, c Credential, with store.Key) (secret, other store.Item, err error) {
	items, err := s.Store.Get(ctx, secretKey(c.Org, c.ID, c.SecretVersion), with)
	if err != nil {
		return store.Item{}, store.Item{}, err
	}
	if !items[0].Found() {
		if gone, err := s.missing(ctx, c); err != nil || gone {
			return store.Item{}, store.Item{}, cmp.Or(err, notFound(c.ID))
		}
	}
	return items[0], items[1], nil
}

// vanished reports whether a commit failed because a credential that it checked
// with exists was deleted.
func (s Service) vanished(ctx context.Context, c Credential, err error) (bool, error) {
	var failed *store.ConditionError
	if !errors.As(err, &failed) {
		return false, nil
	}
	return s.missing(ctx, c)
}

func (s Service) missing(ctx context.Context, c Credential) (bool, error) {
	items, err := s.Store.Get(ctx, RowKey(c.Org, c.ID))
	if err != nil {
		return false, err
	}
	return !items[0].Found(), nil
}

// openSecret opens a vault item for the credential that the caller was
// authorised for; nothing that the item says of itself is believed.
func openSecret(ctx context.Context, keys envelope.Decrypter, c Credential, item store.Item) (secret.Value, error) {
	if !item.Found() {
		return secret.Value{}, fmt.Errorf("reading the secret's item: nothing there: %w", envelope.ErrOpen)
	}
	return envelope.Open(ctx, keys, binding(c, c.SecretVersion), decodeSecret(item))
}

// integrity names the resource in the answer to a record that does not open.
func integrity(err error, id int64) error {
	if !errors.Is(err, envelope.ErrOpen) {
		return err
	}
	return fault.New(fault.CodeIntegrity,
		"The stored secret failed its integrity check and was not returned. Set the credentials again, and tell your operator.").
		On(ResourceType, id).Because(err)
}
