package localkms

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"credence/shared/envelope"
)

// Ring is the key that new data keys are wrapped under and, while the store is
// moved from one key file to another, the key before it. It may be used from many
// goroutines.
type Ring struct{ keys atomic.Pointer[[]*Key] }

var (
	_ envelope.Generator = (*Ring)(nil)
	_ envelope.Decrypter = (*Ring)(nil)
	_ envelope.Rewrapper = (*Ring)(nil)
)

// NewRing returns the ring of a current key and those that are still accepted.
func NewRing(current *Key, previous ...*Key) *Ring {
	r := &Ring{}
	r.Use(current, previous...)
	return r
}

// Use replaces the keys. Calls under way end with those that they began with.
func (r *Ring) Use(current *Key, previous ...*Key) {
	keys := append([]*Key{current}, previous...)
	r.keys.Store(&keys)
}

// Current returns the key that new data keys are wrapped under.
func (r *Ring) Current() *Key { return (*r.keys.Load())[0] }

// Previous returns the keys that are accepted beside the current one.
func (r *Ring) Previous() []*Key { return (*r.keys.Load())[1:] }

// GenerateDataKey implements envelope.Generator with the current key.
func (r *Ring) GenerateDataKey(ctx context.Context, ec envelope.EncryptionContext) (envelope.DataKey, error) {
	return r.Current().GenerateDataKey(ctx, ec)
}

// DecryptDataKey implements envelope.Decrypter with the key that keyID names.
func (r *Ring) DecryptDataKey(ctx context.Context, wrapped []byte, keyID string, ec envelope.EncryptionContext) ([]byte, error) {
	keys := *r.keys.Load()
	for _, k := range keys[1:] {
		if k.id == keyID {
			return k.DecryptDataKey(ctx, wrapped, keyID, ec)
		}
	}
	return keys[0].DecryptDataKey(ctx, wrapped, keyID, ec)
}

// RewrapDataKey implements envelope.Rewrapper: it wraps the data key under the
// current key.
func (r *Ring) RewrapDataKey(ctx context.Context, wrapped []byte, keyID string, ec envelope.EncryptionContext) (envelope.DataKey, error) {
	plaintext, err := r.DecryptDataKey(ctx, wrapped, keyID, ec)
	defer clear(plaintext)
	if err != nil {
		return envelope.DataKey{}, err
	}
	if len(plaintext) != keySize {
		return envelope.DataKey{}, envelope.Refuse(envelope.CauseUnwrap, errors.New("the data key is not of 32 bytes"))
	}
	k := r.Current()
	return envelope.DataKey{Wrapped: k.wrap(plaintext, ec), KeyID: k.id}, nil
}

// Copy writes the key of one file into another, which must not exist, and returns
// it. The new file has mode 0600 and appears whole or not at all.
func Copy(from, to string) (*Key, error) {
	fileKey, err := read(from)
	defer clear(fileKey)
	if err != nil {
		return nil, fmt.Errorf("copying a key file: %w", err)
	}
	made, err := place(to, fileKey)
	if err == nil && !made {
		err = fmt.Errorf("%s exists already", to)
	}
	if err != nil {
		return nil, fmt.Errorf("copying a key file: %w", err)
	}
	return newKey(fileKey)
}
