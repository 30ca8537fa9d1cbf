package envelope

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"credence/shared/secret"
)

// Seal encrypts plaintext, of at most MaxPlaintext bytes, under a data key of its
// own and binds both to b. It calls gen once and keeps neither key nor plaintext,
// which stays the caller's to clear. Each call gives another record.
//
// The error is ErrKMSUnavailable if gen says so; others are faults of the caller
// or of gen. Nothing is returned with an error.
func Seal(ctx context.Context, gen Generator, b Binding, plaintext []byte) (Record, error) {
	if err := b.check(); err != nil {
		return Record{}, fmt.Errorf("sealing a record: %w", err)
	}
	if len(plaintext) > MaxPlaintext {
		return Record{}, fmt.Errorf("sealing a record: %d bytes, more than %d", len(plaintext), MaxPlaintext)
	}
	key, err := gen.GenerateDataKey(ctx, b.EncryptionContext())
	defer clear(key.Plaintext)
	if err != nil {
		return Record{}, fmt.Errorf("sealing a record: %w", err)
	}
	if len(key.Plaintext) != keySize || len(key.Wrapped) == 0 || key.KeyID == "" {
		return Record{}, errors.New("sealing a record: the key service gave no whole data key")
	}
	ciphertext, err := seal(key.Plaintext, b, plaintext)
	if err != nil {
		return Record{}, fmt.Errorf("sealing a record: %w", err)
	}
	return Record{DataKey: key.Wrapped, KeyID: key.KeyID, KeyMaterialID: key.KeyMaterialID, Ciphertext: ciphertext}, nil
}

// Open decrypts a record that Seal made for the same binding. It calls dec once,
// and not at all for what is no record. May be called again at will.
//
// If the record is at fault the error is an *OpenError, which is ErrOpen; it is
// ErrKMSUnavailable if dec says so. With an error the Value is empty: no byte of
// plaintext leaves before all of it is authenticated.
func Open(ctx context.Context, dec Decrypter, b Binding, r Record) (secret.Value, error) {
	if err := b.check(); err != nil {
		return secret.Value{}, Refuse(CauseBinding, err)
	}
	if err := checkLayout(r.Ciphertext); err != nil {
		return secret.Value{}, Refuse(CauseFormat, err)
	}
	dataKey, err := dec.DecryptDataKey(ctx, r.DataKey, r.KeyID, b.EncryptionContext())
	defer clear(dataKey)
	if err != nil {
		return secret.Value{}, fmt.Errorf("unwrapping a data key: %w", err)
	}
	if len(dataKey) != keySize {
		return secret.Value{}, Refuse(CauseUnwrap, errors.New("the data key is not of 32 bytes"))
	}
	return open(dataKey, b, r.Ciphertext)
}

// seal makes the ciphertext of format 1. The cipher draws the nonce itself and
// puts it before its output, which is where the format has it; a nonce of our own
// would be refused where only FIPS 140 is allowed.
func seal(dataKey []byte, b Binding, plaintext []byte) ([]byte, error) {
	padded := pad(plaintext)
	defer clear(padded)
	sealed := make([]byte, headerSize, overhead+len(padded))
	copy(sealed, magic)
	sealed[len(magic)], sealed[len(magic)+1] = formatV1, algorithm
	salt := sealed[saltAt:commitAt]
	_, _ = rand.Read(salt) // never fails: it ends the program instead
	encrypt, commit, err := derive(dataKey, salt)
	if err != nil {
		return nil, err
	}
	defer clear(encrypt)
	copy(sealed[commitAt:], commit)
	aead, err := newGCM(encrypt)
	if err != nil {
		return nil, err
	}
	return aead.Seal(sealed, nil, padded, b.associatedData(sealed[:headerSize])), nil //nolint:gosec // the cipher draws the nonce
}

// open undoes seal. checkLayout has passed.
func open(dataKey []byte, b Binding, sealed []byte) (secret.Value, error) {
	header := sealed[:headerSize]
	encrypt, commit, err := derive(dataKey, header[saltAt:commitAt])
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(encrypt)
	if subtle.ConstantTimeCompare(commit, header[commitAt:]) != 1 {
		return secret.Value{}, Refuse(CauseCommitment, errors.New("the data key is not the one committed to"))
	}
	aead, err := newGCM(encrypt)
	if err != nil {
		return secret.Value{}, err
	}
	padded, err := aead.Open(nil, nil, sealed[headerSize:], b.associatedData(header))
	if err != nil {
		return secret.Value{}, Refuse(CauseTag, err)
	}
	defer clear(padded)
	plaintext, err := unpad(padded)
	if err != nil {
		return secret.Value{}, Refuse(CausePadding, err)
	}
	return secret.New(plaintext), nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making the cipher of a record: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("making the cipher of a record: %w", err)
	}
	return aead, nil
}
