// Package awskms makes and unwraps data keys with AWS KMS.
package awskms

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"credence/shared/envelope"
)

// maxWrapped is the longest ciphertext KMS takes (API_Decrypt).
const maxWrapped = 6144

// api is what is used of KMS, no more.
type api interface {
	GenerateDataKey(context.Context, *kms.GenerateDataKeyInput, ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error)
	Decrypt(context.Context, *kms.DecryptInput, ...func(*kms.Options)) (*kms.DecryptOutput, error)
	ReEncrypt(context.Context, *kms.ReEncryptInput, ...func(*kms.Options)) (*kms.ReEncryptOutput, error)
}

// Keyring is a short list of KMS keys: the current one, under which data keys are
// made, and previous ones, whose data keys still open. It may be used from many
// goroutines. What it may really do is up to the caller's IAM role; hand it on as
// the one interface that the function needs.
type Keyring struct {
	api     api
	current string
	pinned  map[string]string // id → as configured
}

var (
	_ envelope.Generator = (*Keyring)(nil)
	_ envelope.Decrypter = (*Keyring)(nil)
	_ envelope.Rewrapper = (*Keyring)(nil)
)

// New makes a keyring of key ids or key ARNs. Aliases are refused: whoever may
// move one chooses the key. It calls nothing.
//
// Each operation makes at most two attempts of one second and gives up before
// three seconds are over, whatever cfg says of retries and timeouts.
func New(cfg aws.Config, current string, previous ...string) (*Keyring, error) {
	return newKeyring(kms.NewFromConfig(cfg, boundCalls), current, previous)
}

func newKeyring(api api, current string, previous []string) (*Keyring, error) {
	k := &Keyring{api: api, current: current, pinned: map[string]string{}}
	for _, name := range append([]string{current}, previous...) {
		id := keyID(name)
		if id == "" || name != id && !isKeyARN(name) || strings.ContainsAny(id, ": ") {
			return nil, fmt.Errorf("making the list of KMS keys: %q is neither a key id nor the ARN of a key", name)
		}
		if k.pinned[id] != "" {
			return nil, fmt.Errorf("making the list of KMS keys: %q is on it twice", name)
		}
		k.pinned[id] = name
	}
	return k, nil
}

// keyID is what follows "key/" in an ARN, or the id itself.
func keyID(name string) string { return name[strings.LastIndex(name, "/")+1:] }

func isKeyARN(name string) bool {
	return strings.HasPrefix(name, "arn:") && strings.Contains(name, ":kms:") && strings.HasSuffix(name, ":key/"+keyID(name))
}

// recordedID is the name under which a record remembers the key of this ARN: a
// multi-Region key by its id, which is the same in every region that has a
// replica, any other key by its ARN.
func recordedID(arn string) string {
	if id := keyID(arn); strings.HasPrefix(id, "mrk-") {
		return id
	}
	return arn
}

// Current is the key id that records made under the current key carry, or "" if
// the key was named by an id that does not tell: all but a multi-Region key are
// recorded by their ARN.
func (k *Keyring) Current() string {
	if isKeyARN(k.current) || strings.HasPrefix(k.current, "mrk-") {
		return recordedID(k.current)
	}
	return ""
}

// find returns the pinned key that a record names. Ids suffice to compare, since
// the name sent to KMS is always the one configured and never the record's: "KMS
// only uses the KMS key you specify" (API_Decrypt, KeyId).
func (k *Keyring) find(recorded string) (string, error) {
	id := keyID(recorded)
	pinned := k.pinned[id]
	named := recorded == id || recorded == pinned || pinned == id && isKeyARN(recorded)
	if pinned == "" || !named {
		return "", envelope.Refuse(envelope.CauseKeyID, errors.New("the key is neither the current nor a previous one"))
	}
	return pinned, nil
}

// GenerateDataKey implements envelope.Generator with one GenerateDataKey.
func (k *Keyring) GenerateDataKey(ctx context.Context, ec envelope.EncryptionContext) (envelope.DataKey, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	out, err := k.api.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId:             aws.String(k.current),
		KeySpec:           types.DataKeySpecAes256,
		EncryptionContext: ec,
	})
	if err != nil {
		return envelope.DataKey{}, fmt.Errorf("generating a data key: %w", unavailable(err))
	}
	if err := k.checkAnswer(out.KeyId, k.current); err != nil {
		clear(out.Plaintext)
		return envelope.DataKey{}, fmt.Errorf("generating a data key: %w", err)
	}
	return envelope.DataKey{
		Plaintext:     out.Plaintext,
		Wrapped:       out.CiphertextBlob,
		KeyID:         recordedID(aws.ToString(out.KeyId)),
		KeyMaterialID: aws.ToString(out.KeyMaterialId),
	}, nil
}

// DecryptDataKey implements envelope.Decrypter with one Decrypt, and none for a
// key off the list.
func (k *Keyring) DecryptDataKey(ctx context.Context, wrapped []byte, keyID string, ec envelope.EncryptionContext) ([]byte, error) {
	pinned, err := k.checkWrapped(wrapped, keyID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	out, err := k.api.Decrypt(ctx, &kms.DecryptInput{
		KeyId:             aws.String(pinned),
		CiphertextBlob:    wrapped,
		EncryptionContext: ec,
	})
	if err != nil {
		return nil, unwrapError(err)
	}
	if err := k.checkAnswer(out.KeyId, pinned); err != nil {
		clear(out.Plaintext)
		return nil, fmt.Errorf("decrypting a data key: %w", err)
	}
	return out.Plaintext, nil
}

// RewrapDataKey implements envelope.Rewrapper with one ReEncrypt: the data key
// never leaves KMS, and its context stays the same.
func (k *Keyring) RewrapDataKey(ctx context.Context, wrapped []byte, keyID string, ec envelope.EncryptionContext) (envelope.DataKey, error) {
	pinned, err := k.checkWrapped(wrapped, keyID)
	if err != nil {
		return envelope.DataKey{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	out, err := k.api.ReEncrypt(ctx, &kms.ReEncryptInput{
		SourceKeyId:                  aws.String(pinned),
		SourceEncryptionContext:      ec,
		CiphertextBlob:               wrapped,
		DestinationKeyId:             aws.String(k.current),
		DestinationEncryptionContext: ec,
	})
	if err != nil {
		return envelope.DataKey{}, unwrapError(err)
	}
	if err := k.checkAnswer(out.KeyId, k.current); err != nil {
		return envelope.DataKey{}, fmt.Errorf("rewrapping a data key: %w", err)
	}
	return envelope.DataKey{
		Wrapped:       out.CiphertextBlob,
		KeyID:         recordedID(aws.ToString(out.KeyId)),
		KeyMaterialID: aws.ToString(out.DestinationKeyMaterialId),
	}, nil
}

func (k *Keyring) checkWrapped(wrapped []byte, keyID string) (string, error) {
	pinned, err := k.find(keyID)
	if err != nil {
		return "", err
	}
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return "", envelope.Refuse(envelope.CauseUnwrap, errors.New("the wrapped key is not of a length KMS makes"))
	}
	return pinned, nil
}

// checkAnswer refuses an answer under another key than the one asked for. KMS
// does not give it; something in between might.
func (k *Keyring) checkAnswer(arn *string, asked string) error {
	if keyID(aws.ToString(arn)) != keyID(asked) {
		return fmt.Errorf("%w: the answer names another key than the one asked for", envelope.ErrKMSUnavailable)
	}
	return nil
}
