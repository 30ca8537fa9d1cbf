package kmstest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"credence/shared/envelope"
)

// Caller is the KMS as one function sees it: with a list of keys and the rights
// of that function's role. It is an envelope.Generator, Decrypter and Rewrapper.
type Caller struct {
	kms     *KMS
	arns    []string // the current one first
	allowed Operation
}

var (
	_ envelope.Generator = (*Caller)(nil)
	_ envelope.Decrypter = (*Caller)(nil)
	_ envelope.Rewrapper = (*Caller)(nil)
)

// Caller makes a caller that may do only what is allowed. The first key is the
// current one, the rest are previous ones; it panics without a key.
func (k *KMS) Caller(allowed Operation, keyIDs ...string) *Caller {
	if len(keyIDs) == 0 {
		panic("kmstest: a caller needs a key")
	}
	return &Caller{kms: k, arns: k.keyARNs(keyIDs), allowed: allowed}
}

// GenerateDataKey implements envelope.Generator.
func (c *Caller) GenerateDataKey(ctx context.Context, ec envelope.EncryptionContext) (envelope.DataKey, error) {
	made, err := c.kms.generate(ctx, c.allowed, contextKey{c.arns[0], ec})
	if err != nil {
		return envelope.DataKey{}, fmt.Errorf("generating a data key: %w: %w", envelope.ErrKMSUnavailable, err)
	}
	return envelope.DataKey{Plaintext: made.plaintext, Wrapped: made.wrapped, KeyID: made.keyARN, KeyMaterialID: made.materialID}, nil
}

// DecryptDataKey implements envelope.Decrypter.
func (c *Caller) DecryptDataKey(ctx context.Context, wrapped []byte, keyID string, ec envelope.EncryptionContext) ([]byte, error) {
	if err := c.checkUnwrap(wrapped, keyID); err != nil {
		return nil, err
	}
	made, err := c.kms.decrypt(ctx, c.allowed, contextKey{keyID, ec}, wrapped)
	if err != nil {
		return nil, unwrapError(err)
	}
	return made.plaintext, nil
}

// RewrapDataKey implements envelope.Rewrapper.
func (c *Caller) RewrapDataKey(ctx context.Context, wrapped []byte, keyID string, ec envelope.EncryptionContext) (envelope.DataKey, error) {
	if err := c.checkUnwrap(wrapped, keyID); err != nil {
		return envelope.DataKey{}, err
	}
	made, err := c.kms.reEncrypt(ctx, c.allowed, contextKey{keyID, ec}, contextKey{c.arns[0], ec}, wrapped)
	if err != nil {
		return envelope.DataKey{}, unwrapError(err)
	}
	return envelope.DataKey{Wrapped: made.wrapped, KeyID: made.keyARN, KeyMaterialID: made.materialID}, nil
}

func (c *Caller) checkUnwrap(wrapped []byte, keyID string) error {
	if !slices.Contains(c.arns, keyID) {
		return envelope.Refuse(envelope.CauseKeyID, errors.New("the key is not on the caller's list"))
	}
	if len(wrapped) == 0 || len(wrapped) > maxBlob {
		return envelope.Refuse(envelope.CauseUnwrap, errors.New("the wrapped key is not of a length KMS makes"))
	}
	return nil
}

func unwrapError(err error) error {
	var f *failure
	if errors.As(err, &f) && (f.code == "InvalidCiphertextException" || f.code == "IncorrectKeyException") {
		return envelope.Refuse(envelope.CauseUnwrap, f)
	}
	return fmt.Errorf("unwrapping a data key: %w: %w", envelope.ErrKMSUnavailable, err)
}
