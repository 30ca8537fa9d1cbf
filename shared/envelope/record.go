package envelope

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Format 1 of Record.Ciphertext, integers big-endian:
//
//	"CR" | 0x01 fmt | 0x01 alg | salt[32] | commit[32] | nonce[12] | AES-256-GCM(pad(plaintext)) | tag[16]
//	'------------------- header[68] ------------------'
//
//	PRK    = HKDF-Extract(SHA-512, salt, data key)            RFC 5869
//	K_enc  = HKDF-Expand(PRK, "credence/v1/enc", 32)
//	commit = HKDF-Expand(PRK, "credence/v1/commit", 32)
//	AAD    = "credence/seal/v1\0" | header | len32|org | len32|cred | len32|type | sv (8 bytes)
//	pad    = len32 | plaintext | zeros to the next multiple of 256
//
// org and cred are decimal text. The same ids, but the type, form the encryption
// context of the wrapped data key: {svc: credence, fmt: 1, org, cred, sv}.
//
// The data key seals one message, so a random 96-bit nonce is far from the 2^32
// messages a key may seal (NIST SP 800-38D §8.3). The salt makes K_enc fresh even
// if a KMS handed out one data key twice. GCM alone does not commit to its key: a
// ciphertext can be made that opens under two keys to two plaintexts. commit
// binds the record to one. The lengths before org, cred and type keep 101|5008
// from reading like 1015|008. The padding hides the length of a password up to
// its multiple of 256.
const (
	magic     = "CR"
	formatV1  = 0x01
	algorithm = 0x01 // HKDF-SHA-512, AES-256-GCM; the only one, and there is no "none"

	labelEncrypt = "credence/v1/enc"
	labelCommit  = "credence/v1/commit"
	labelSeal    = "credence/seal/v1\x00"

	keySize    = 32
	saltSize   = 32
	commitSize = 32
	nonceSize  = 12
	tagSize    = 16
	padBlock   = 256
	lengthSize = 4

	saltAt     = len(magic) + 2
	commitAt   = saltAt + saltSize
	headerSize = commitAt + commitSize
	overhead   = headerSize + nonceSize + tagSize
)

// MaxPlaintext is the longest secret that is sealed, in bytes. The record then
// still fits an item of 400 KB.
const MaxPlaintext = 256 << 10

// check refuses a binding that names nothing: an id left at zero would bind all
// records alike.
func (b Binding) check() error {
	if b.Org <= 0 || b.Credential <= 0 || b.Version <= 0 || b.Type == "" {
		return errors.New("the binding lacks an org, credential, version or type")
	}
	return nil
}

// EncryptionContext is what the binding's data key is wrapped under.
func (b Binding) EncryptionContext() EncryptionContext {
	return EncryptionContext{
		"svc":  "credence",
		"fmt":  strconv.Itoa(formatV1),
		"org":  strconv.FormatInt(b.Org, 10),
		"cred": strconv.FormatInt(b.Credential, 10),
		"sv":   strconv.FormatInt(b.Version, 10),
	}
}

// associatedData is the AAD of the drawing above.
func (b Binding) associatedData(header []byte) []byte {
	aad := make([]byte, 0, len(labelSeal)+headerSize+3*lengthSize+2*19+len(b.Type)+8)
	aad = append(aad, labelSeal...)
	aad = append(aad, header...)
	for _, part := range [...]string{strconv.FormatInt(b.Org, 10), strconv.FormatInt(b.Credential, 10), b.Type} {
		aad = binary.BigEndian.AppendUint32(aad, uint32(len(part)))
		aad = append(aad, part...)
	}
	return binary.BigEndian.AppendUint64(aad, uint64(b.Version))
}

// derive makes the key that encrypts and the commitment to it. The caller clears
// both. HMAC keeps copies inside the standard library that nobody can clear;
// they die with the next garbage collection.
func derive(dataKey, salt []byte) (encrypt, commit []byte, err error) {
	prk, err := hkdf.Extract(sha512.New, dataKey, salt)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving the key of a record: %w", err)
	}
	defer clear(prk)
	if encrypt, err = hkdf.Expand(sha512.New, prk, labelEncrypt, keySize); err != nil {
		return nil, nil, fmt.Errorf("deriving the key of a record: %w", err)
	}
	if commit, err = hkdf.Expand(sha512.New, prk, labelCommit, commitSize); err != nil {
		clear(encrypt)
		return nil, nil, fmt.Errorf("deriving the commitment of a record: %w", err)
	}
	return encrypt, commit, nil
}

// paddedSize is the length of n bytes with their length prefix and zeros.
func paddedSize(n int) int { return (lengthSize + n + padBlock - 1) / padBlock * padBlock }

// pad frames a plaintext of at most MaxPlaintext bytes. The caller clears it.
func pad(plaintext []byte) []byte {
	padded := make([]byte, paddedSize(len(plaintext)))
	binary.BigEndian.PutUint32(padded, uint32(len(plaintext)))
	copy(padded[lengthSize:], plaintext)
	return padded
}

// unpad returns the plaintext within padded, which it does not copy. There is
// one padding for each plaintext: more blocks than needed, or a byte that is not
// zero behind the end, is refused. It runs on authenticated bytes only, so its
// timing tells nothing about a forgery.
func unpad(padded []byte) ([]byte, error) {
	if len(padded) < lengthSize {
		return nil, errors.New("the padded text has no length")
	}
	n := int64(binary.BigEndian.Uint32(padded))
	if n > MaxPlaintext || paddedSize(int(n)) != len(padded) {
		return nil, errors.New("the length does not fit the padded text")
	}
	end := lengthSize + int(n)
	if len(bytes.Trim(padded[end:], "\x00")) != 0 {
		return nil, errors.New("the padding is not all zeros")
	}
	return padded[lengthSize:end], nil
}

// Check reports whether a record has the form that Seal gives it, as far as that
// can be seen without a key. What it accepts may still not open.
func Check(r Record) error {
	if len(r.DataKey) == 0 || r.KeyID == "" {
		return errors.New("the record lacks its data key, or the name of the key that wraps it")
	}
	return checkLayout(r.Ciphertext)
}

// checkLayout refuses whatever is not of format 1, before any key is used.
func checkLayout(ciphertext []byte) error {
	switch {
	case len(ciphertext) < overhead+padBlock:
		return errors.New("the record is too short")
	case len(ciphertext) > overhead+paddedSize(MaxPlaintext):
		return errors.New("the record is too long")
	case (len(ciphertext)-overhead)%padBlock != 0:
		return errors.New("the record is not of whole blocks")
	case string(ciphertext[:len(magic)]) != magic:
		return errors.New("the record does not begin as one")
	case ciphertext[len(magic)] != formatV1:
		return errors.New("the record is of a format not known")
	case ciphertext[len(magic)+1] != algorithm:
		return errors.New("the record is of an algorithm not known")
	}
	return nil
}
