// Package localkms wraps data keys under a key in a file, for a service on one
// machine. Whoever reads the file and the store reads the secrets; what AWS KMS
// gives beyond that, rights per function, a log of every use and a key that
// nobody can copy, it cannot give.
package localkms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"credence/shared/envelope"
	"credence/shared/pattern"
)

// A wrapped data key:
//
//	0x01 | nonce[12] | AES-256-GCM(data key) | tag[16]
//
//	K_wrap = HKDF(SHA-512, file key, no salt, "credence/local/v1/wrap", 32)
//	id     = "local-" + hex of HKDF(SHA-512, file key, no salt, "credence/local/v1/id", 8)
//	AAD    = "credence/local/v1\0" | for each context key, sorted: len32|key | len32|value
//
// Nonces are random: fewer than 2^32 data keys may be wrapped under one file
// (NIST SP 800-38D §8.3), one for each version of a credential. The id is derived
// and not part of the file, so it cannot be wrong; it tells nothing of the key.
const (
	labelWrap    = "credence/local/v1/wrap"
	labelID      = "credence/local/v1/id"
	labelContext = "credence/local/v1\x00"

	wrapVersion = 1
	keySize     = 32
	wrappedSize = 1 + 12 + keySize + 16
)

// Key is the key of one file. It may be used from many goroutines.
type Key struct {
	id    string
	aead  cipher.AEAD
	fresh bool
}

var (
	_ envelope.Generator = (*Key)(nil)
	_ envelope.Decrypter = (*Key)(nil)
)

// ID names the key: "local-" and 16 hex digits, derived from it.
func (k *Key) ID() string { return k.id }

// Fresh reports whether Open made the file just now, so that the operator can be
// told to keep a copy of it.
func (k *Key) Fresh() bool { return k.fresh }

func newKey(fileKey []byte) (*Key, error) {
	wrap, err := hkdf.Key(sha512.New, fileKey, nil, labelWrap, keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the wrapping key: %w", err)
	}
	defer clear(wrap)
	id, err := hkdf.Key(sha512.New, fileKey, nil, labelID, 8)
	if err != nil {
		return nil, fmt.Errorf("deriving the key's id: %w", err)
	}
	block, err := aes.NewCipher(wrap)
	if err != nil {
		return nil, fmt.Errorf("making the wrapping cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("making the wrapping cipher: %w", err)
	}
	return &Key{id: "local-" + hex.EncodeToString(id), aead: aead}, nil
}

// GenerateDataKey implements envelope.Generator. Its only error is the end of
// ctx.
func (k *Key) GenerateDataKey(ctx context.Context, ec envelope.EncryptionContext) (envelope.DataKey, error) {
	if err := ctx.Err(); err != nil {
		return envelope.DataKey{}, fmt.Errorf("generating a data key: %w: %w", envelope.ErrKMSUnavailable, err)
	}
	plaintext := make([]byte, keySize)
	_, _ = rand.Read(plaintext) // never fails: it ends the program instead
	return envelope.DataKey{Plaintext: plaintext, Wrapped: k.wrap(plaintext, ec), KeyID: k.id}, nil
}

// wrap makes the wrapped form of a data key.
func (k *Key) wrap(plaintext []byte, ec envelope.EncryptionContext) []byte {
	wrapped := make([]byte, 1, wrappedSize)
	wrapped[0] = wrapVersion
	return k.aead.Seal(wrapped, nil, plaintext, associatedData(ec)) //nolint:gosec // the cipher draws the nonce
}

var idForm = pattern.New(`^local-[0-9a-f]{16}$`)

// DecryptDataKey implements envelope.Decrypter. A data key wrapped under another
// key file is refused with a cause that names both.
func (k *Key) DecryptDataKey(ctx context.Context, wrapped []byte, keyID string, ec envelope.EncryptionContext) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("unwrapping a data key: %w: %w", envelope.ErrKMSUnavailable, err)
	}
	switch {
	case keyID != k.id && idForm.MatchString(keyID):
		return nil, envelope.Refuse(envelope.CauseKeyID, fmt.Errorf("it was sealed under key %s, and the key file holds %s", keyID, k.id))
	case keyID != k.id:
		return nil, envelope.Refuse(envelope.CauseKeyID, errors.New("it was not sealed under a key file"))
	case len(wrapped) != wrappedSize || wrapped[0] != wrapVersion:
		return nil, envelope.Refuse(envelope.CauseUnwrap, errors.New("the wrapped key is not of the form known"))
	}
	plaintext, err := k.aead.Open(nil, nil, wrapped[1:], associatedData(ec))
	if err != nil {
		return nil, envelope.Refuse(envelope.CauseUnwrap, err)
	}
	return plaintext, nil
}

// associatedData spells a context so that no two read alike, whatever their
// values hold.
func associatedData(ec envelope.EncryptionContext) []byte {
	aad := []byte(labelContext)
	for _, name := range slices.Sorted(maps.Keys(ec)) {
		for _, part := range [...]string{name, ec[name]} {
			aad = binary.BigEndian.AppendUint32(aad, uint32(len(part)))
			aad = append(aad, part...)
		}
	}
	return aad
}
