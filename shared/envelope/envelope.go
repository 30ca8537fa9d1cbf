// Package envelope seals the secret of one credential version under its own
// data key, and opens it again.
package envelope

import (
	"context"
	"time"

	"credence/shared/fault"
)

// Binding says what a record belongs to. Org and Credential come from the
// authorised request, Version and Type from the credential's row; nothing of
// it is taken from the stored record, so a record moved elsewhere does not
// open.
type Binding struct {
	Org        int64
	Credential int64
	Version    int64 // of the secret, from 1
	Type       string
}

// Record is what the vault keeps of one secret version. The package comment of
// record.go draws Ciphertext.
type Record struct {
	DataKey       []byte // the wrapped data key, opaque
	KeyID         string // the key that wraps it
	KeyMaterialID string // which backing key, if the KMS says; else ""
	Ciphertext    []byte
}

// EncryptionContext is what the KMS binds a wrapped data key to. It holds ids
// only: it stands in clear in the KMS's own audit log.
type EncryptionContext map[string]string

// DataKey is a fresh 256-bit key, plain and wrapped. Plaintext is cleared by
// whoever asked for it.
type DataKey struct {
	Plaintext     []byte
	Wrapped       []byte
	KeyID         string
	KeyMaterialID string
}

// Generator makes data keys. Functions that only write hold this and cannot
// decrypt. An error is ErrKMSUnavailable.
type Generator interface {
	GenerateDataKey(ctx context.Context, ec EncryptionContext) (DataKey, error)
}

// Decrypter unwraps data keys. It refuses a keyID that is not on its list
// (current, previous): else whoever writes the table could plant a data key
// wrapped under a key of his own. The key returned is 32 bytes long and the
// caller's to clear. What the wrapped key, the keyID or the context is to blame
// for is an *OpenError; that the KMS gave no answer is ErrKMSUnavailable.
// May be called again at will.
type Decrypter interface {
	DecryptDataKey(ctx context.Context, wrapped []byte, keyID string, ec EncryptionContext) ([]byte, error)
}

// Rewrapper moves a wrapped data key under the current key without showing it.
// It answers a DataKey whose Plaintext is nil; what the record's Ciphertext says
// stays as it is. Errors are those of a Decrypter. May be called again at will:
// the key wrapped before still opens the record.
type Rewrapper interface {
	RewrapDataKey(ctx context.Context, wrapped []byte, keyID string, ec EncryptionContext) (DataKey, error)
}

// Errors, to be told apart with errors.Is.
var (
	// ErrOpen: the record does not belong to this binding, was changed, or is
	// of a format not known. Deliberately one error: which, is for the log.
	ErrOpen = fault.Kind("the record does not open", fault.New(fault.CodeIntegrity,
		"The stored secret does not open, so nothing was returned. Report the request_id; storing the secret anew replaces it."))
	// ErrKMSUnavailable: the KMS is away, throttles, or its key is disabled;
	// nothing was sealed or opened.
	ErrKMSUnavailable = fault.Kind("the key service is not available", fault.New(fault.CodeKMSUnavailable,
		"The key service cannot be reached. Nothing was changed; try again shortly.").After(2*time.Second))
)
