package kmstest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// A blob is version (1) | SHA-256 of the key's ARN, 16 bytes | index of the
// material, 4 | AES-256-GCM of the data key under it, nonce first. Its
// associated data is what stands before, and the encryption context.
const (
	blobVersion    = 1
	blobHeaderSize = 1 + 16 + 4
)

// dataKey is the answer of an operation that makes or unwraps one.
type dataKey struct {
	plaintext, wrapped          []byte
	keyARN, materialID          string
	sourceARN, sourceMaterialID string // of ReEncrypt
}

// contextKey is the two halves of a request that ReEncrypt has twice.
type contextKey struct {
	keyID string
	ec    map[string]string
}

func (k *KMS) generate(ctx context.Context, allowed Operation, to contextKey) (made dataKey, err error) {
	err = k.call(ctx, GenerateDataKey, allowed, func() error {
		plaintext := newMaterial()
		made, err = k.wrap(to, plaintext)
		made.plaintext = plaintext
		return err
	})
	return made, err
}

func (k *KMS) decrypt(ctx context.Context, allowed Operation, from contextKey, blob []byte) (made dataKey, err error) {
	err = k.call(ctx, Decrypt, allowed, func() error {
		made, err = k.unwrap(from, blob)
		return err
	})
	return made, err
}

func (k *KMS) reEncrypt(ctx context.Context, allowed Operation, from, to contextKey, blob []byte) (made dataKey, err error) {
	err = k.call(ctx, ReEncrypt, allowed, func() error {
		old, err := k.unwrap(from, blob)
		if err != nil {
			return err
		}
		made, err = k.wrap(to, old.plaintext)
		made.sourceARN, made.sourceMaterialID = old.keyARN, old.materialID
		return err
	})
	return made, err
}

func (k *KMS) wrap(to contextKey, plaintext []byte) (dataKey, error) {
	key, err := k.find(to.keyID)
	if err != nil {
		return dataKey{}, err
	}
	if err := checkContext(to.ec); err != nil {
		return dataKey{}, err
	}
	header := append([]byte{blobVersion}, hashARN(key.arn)...)
	header = binary.BigEndian.AppendUint32(header, uint32(len(key.material)-1))
	material := key.material[len(key.material)-1]
	blob := newAEAD(material).Seal(slices.Clone(header), nil, plaintext, associated(header, to.ec))
	return dataKey{wrapped: blob, keyARN: key.arn, materialID: materialID(material)}, nil
}

func (k *KMS) unwrap(from contextKey, blob []byte) (dataKey, error) {
	if len(blob) == 0 || len(blob) > maxBlob {
		return dataKey{}, refuse("ValidationException")
	}
	key, err := k.find(from.keyID)
	if err != nil {
		return dataKey{}, err
	}
	if err := checkContext(from.ec); err != nil {
		return dataKey{}, err
	}
	if len(blob) < blobHeaderSize || blob[0] != blobVersion {
		return dataKey{}, refuse("InvalidCiphertextException")
	}
	header := blob[:blobHeaderSize]
	if string(header[1:17]) != string(hashARN(key.arn)) {
		for other := range maps.Values(k.keys) {
			if string(header[1:17]) == string(hashARN(other.arn)) {
				return dataKey{}, refuse("IncorrectKeyException")
			}
		}
		return dataKey{}, refuse("InvalidCiphertextException")
	}
	index := binary.BigEndian.Uint32(header[17:])
	if uint64(index) >= uint64(len(key.material)) {
		return dataKey{}, refuse("InvalidCiphertextException")
	}
	material := key.material[index]
	plaintext, err := newAEAD(material).Open(nil, nil, blob[blobHeaderSize:], associated(header, from.ec))
	if err != nil {
		return dataKey{}, refuse("InvalidCiphertextException")
	}
	return dataKey{plaintext: plaintext, keyARN: key.arn, materialID: materialID(material)}, nil
}

func newAEAD(material []byte) cipher.AEAD {
	block, err := aes.NewCipher(material)
	if err != nil {
		panic("kmstest: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("kmstest: " + err.Error())
	}
	return aead
}

func hashARN(arn string) []byte {
	sum := sha256.Sum256([]byte(arn))
	return sum[:16]
}

func materialID(material []byte) string {
	sum := sha256.Sum256(material)
	return hex.EncodeToString(sum[:])
}

// associated spells header and context so that no two pairs read alike.
func associated(header []byte, ec map[string]string) []byte {
	aad := slices.Clone(header)
	for _, name := range slices.Sorted(maps.Keys(ec)) {
		for _, part := range [...]string{name, ec[name]} {
			aad = binary.BigEndian.AppendUint32(aad, uint32(len(part)))
			aad = append(aad, part...)
		}
	}
	return aad
}
