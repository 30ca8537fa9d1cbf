package awskms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"credence/shared/envelope"
)

const (
	arnPrefix  = "arn:aws:kms:eu-central-1:111122223333:key/"
	singleID   = "1234abcd-12ab-34cd-56ef-1234567890ab"
	multiID    = "mrk-1234abcd12ab34cd56ef1234567890ab"
	otherID    = "0987dcba-09fe-87dc-65ba-ab0987654321"
	sentByKMS  = "User: arn:aws:iam::111122223333:role/secret-role is not authorized"
	wrappedKey = "wrapped"
)

var binding = envelope.Binding{Org: 101, Credential: 5008, Version: 3, Type: "rest"}

// scripted answers every operation alike and keeps what it was asked.
type scripted struct {
	arn string
	err error

	generate *kms.GenerateDataKeyInput
	decrypt  *kms.DecryptInput
	rewrap   *kms.ReEncryptInput
}

func (s *scripted) GenerateDataKey(_ context.Context, in *kms.GenerateDataKeyInput, _ ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error) {
	s.generate = in
	if s.err != nil {
		return nil, s.err
	}
	return &kms.GenerateDataKeyOutput{KeyId: aws.String(s.arn), Plaintext: make([]byte, 32), CiphertextBlob: []byte(wrappedKey)}, nil
}

func (s *scripted) Decrypt(_ context.Context, in *kms.DecryptInput, _ ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	s.decrypt = in
	if s.err != nil {
		return nil, s.err
	}
	return &kms.DecryptOutput{KeyId: aws.String(s.arn), Plaintext: make([]byte, 32)}, nil
}

func (s *scripted) ReEncrypt(_ context.Context, in *kms.ReEncryptInput, _ ...func(*kms.Options)) (*kms.ReEncryptOutput, error) {
	s.rewrap = in
	if s.err != nil {
		return nil, s.err
	}
	return &kms.ReEncryptOutput{KeyId: aws.String(s.arn), CiphertextBlob: []byte("anew"), DestinationKeyMaterialId: aws.String("m2")}, nil
}

func mustKeyring(t *testing.T, api api, current string, previous ...string) *Keyring {
	t.Helper()
	k, err := newKeyring(api, current, previous)
	if err != nil {
		t.Fatalf("making the keyring: %v", err)
	}
	return k
}

// every calls each operation and returns its error; a key beside an error fails.
func every(t *testing.T, k *Keyring, recorded string) map[string]error {
	t.Helper()
	ec, errs := binding.EncryptionContext(), map[string]error{}
	made, err := k.GenerateDataKey(t.Context(), ec)
	errs["generate"] = err
	plaintext, err := k.DecryptDataKey(t.Context(), []byte(wrappedKey), recorded, ec)
	errs["decrypt"] = err
	rewrapped, err := k.RewrapDataKey(t.Context(), []byte(wrappedKey), recorded, ec)
	errs["rewrap"] = err
	for op, held := range map[string][]byte{"generate": made.Plaintext, "decrypt": plaintext, "rewrap": rewrapped.Wrapped} {
		if errs[op] != nil && held != nil {
			t.Errorf("%s: a key beside the error %v", op, errs[op])
		}
	}
	return errs
}

func TestErrors(t *testing.T) {
	named := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: sentByKMS} }
	for name, c := range map[string]struct {
		err  error
		open bool // the record is to blame
	}{
		"InvalidCiphertext":  {&types.InvalidCiphertextException{Message: aws.String(sentByKMS)}, true},
		"IncorrectKey":       {&types.IncorrectKeyException{Message: aws.String(sentByKMS)}, true},
		"Throttling":         {named("ThrottlingException"), false},
		"LimitExceeded":      {&types.LimitExceededException{}, false},
		"KMSInternal":        {&types.KMSInternalException{}, false},
		"DependencyTimeout":  {&types.DependencyTimeoutException{}, false},
		"KeyUnavailable":     {&types.KeyUnavailableException{}, false},
		"Disabled":           {&types.DisabledException{}, false},
		"KMSInvalidState":    {&types.KMSInvalidStateException{Message: aws.String(sentByKMS)}, false},
		"NotFound":           {&types.NotFoundException{}, false},
		"AccessDenied":       {named("AccessDeniedException"), false},
		"UnrecognizedClient": {named("UnrecognizedClientException"), false},
		"ExpiredToken":       {named("ExpiredTokenException"), false},
		"InvalidKeyUsage":    {&types.InvalidKeyUsageException{}, false},
		"InvalidGrantToken":  {&types.InvalidGrantTokenException{}, false},
		"Validation":         {named("ValidationException"), false},
		"one of tomorrow":    {named("SomethingNewException"), false},
		"no answer":          {errors.New("dial tcp 10.0.0.1:443: " + sentByKMS), false},
		"attempt timed out":  {fmt.Errorf("operation error: %w", attemptTimedOut{}), false},
		"canceled":           {&smithy.CanceledError{Err: context.Canceled}, false},
		"deadline":           {fmt.Errorf("operation error: %w", context.DeadlineExceeded), false},
	} {
		t.Run(name, func(t *testing.T) {
			wrapped := &smithy.OperationError{ServiceID: "KMS", OperationName: "x", Err: c.err}
			for op, err := range every(t, mustKeyring(t, &scripted{err: wrapped}, singleID), singleID) {
				var e *envelope.OpenError
				wantOpen := c.open && op != "generate"
				if errors.Is(err, envelope.ErrOpen) != wantOpen || errors.As(err, &e) != wantOpen {
					t.Errorf("%s: %v: ErrOpen is not %t", op, err, wantOpen)
				}
				if wantOpen && e.Cause != envelope.CauseUnwrap {
					t.Errorf("%s: cause %s, want unwrap", op, e.Cause)
				}
				if errors.Is(err, envelope.ErrKMSUnavailable) == wantOpen {
					t.Errorf("%s: %v: ErrKMSUnavailable is not %t", op, err, !wantOpen)
				}
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), sentByKMS) {
					t.Errorf("%s: the text of KMS is repeated", op)
				}
			}
		})
	}
}

func TestContextErrorsStayRecognisable(t *testing.T) {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		for op, err := range every(t, mustKeyring(t, &scripted{err: &smithy.CanceledError{Err: end}}, singleID), singleID) {
			if !errors.Is(err, end) {
				t.Errorf("%s: %v is not %v", op, err, end)
			}
		}
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []string
		ok   bool
	}{
		{"id", []string{singleID}, true},
		{"ARN", []string{arnPrefix + singleID}, true},
		{"multi-Region", []string{multiID, arnPrefix + singleID, otherID}, true},
		{"other partition", []string{"arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/" + singleID}, true},
		{"empty", []string{""}, false},
		{"empty previous", []string{singleID, ""}, false},
		{"alias", []string{"alias/credence"}, false},
		{"alias ARN", []string{"arn:aws:kms:eu-central-1:111122223333:alias/credence"}, false},
		{"ARN of another service", []string{"arn:aws:s3:eu-central-1:111122223333:key/" + singleID}, false},
		{"path", []string{"key/" + singleID}, false},
		{"ARN without id", []string{arnPrefix}, false},
		{"space", []string{singleID + " "}, false},
		{"twice", []string{singleID, singleID}, false},
		{"twice, once as ARN", []string{singleID, otherID, arnPrefix + singleID}, false},
	} {
		if _, err := New(aws.Config{Region: "eu-central-1"}, c.keys[0], c.keys[1:]...); (err == nil) != c.ok {
			t.Errorf("%s: error %v, want ok %t", c.name, err, c.ok)
		}
	}
}

// TestKeyNames: what a record remembers, which remembered names are served, and
// that the name sent is always the one configured.
func TestKeyNames(t *testing.T) {
	const elsewhere = "arn:aws:kms:us-east-1:999999999999:key/"
	for _, c := range []struct{ name, configured, answered, remembered, also, refused string }{
		{"single by id", singleID, arnPrefix + singleID, arnPrefix + singleID, singleID, "x/" + singleID},
		{"single by ARN", arnPrefix + singleID, arnPrefix + singleID, arnPrefix + singleID, singleID, elsewhere + singleID},
		{"multi by id", multiID, arnPrefix + multiID, multiID, arnPrefix + multiID, multiID + "0"},
		{"multi by ARN", arnPrefix + multiID, arnPrefix + multiID, multiID, arnPrefix + multiID, elsewhere + multiID},
		{"previous", singleID, arnPrefix + singleID, arnPrefix + singleID, singleID, otherID},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &scripted{arn: c.answered}
			k := mustKeyring(t, s, c.configured)
			made, err := k.GenerateDataKey(t.Context(), binding.EncryptionContext())
			if err != nil || made.KeyID != c.remembered {
				t.Errorf("remembers %q, error %v, want %q", made.KeyID, err, c.remembered)
			}
			for _, recorded := range []string{c.remembered, c.also} {
				if errs := every(t, k, recorded); errs["decrypt"] != nil || errs["rewrap"] != nil {
					t.Errorf("recorded as %q: %v", recorded, errs)
				}
			}
			for op, sent := range map[string]*string{
				"generate": s.generate.KeyId, "decrypt": s.decrypt.KeyId, "source": s.rewrap.SourceKeyId, "destination": s.rewrap.DestinationKeyId,
			} {
				if aws.ToString(sent) != c.configured {
					t.Errorf("%s: sent key %q, want the one configured", op, aws.ToString(sent))
				}
			}
			s.decrypt, s.rewrap = nil, nil
			errs := every(t, k, c.refused)
			if !errors.Is(errs["decrypt"], envelope.ErrOpen) || !errors.Is(errs["rewrap"], envelope.ErrOpen) || s.decrypt != nil || s.rewrap != nil {
				t.Errorf("recorded as %q: served, or KMS was asked", c.refused)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	s := &scripted{arn: arnPrefix + singleID}
	k := mustKeyring(t, s, singleID, otherID)
	ec := binding.EncryptionContext()
	if _, err := k.GenerateDataKey(t.Context(), ec); err != nil {
		t.Fatalf("generating: %v", err)
	}
	if s.generate.KeySpec != types.DataKeySpecAes256 || s.generate.NumberOfBytes != nil || len(s.generate.EncryptionContext) != 5 {
		t.Errorf("asked for %+v, want an AES_256 key under five context keys", s.generate)
	}
	rewrapped, err := k.RewrapDataKey(t.Context(), []byte(wrappedKey), otherID, ec)
	if err != nil || rewrapped.KeyMaterialID != "m2" || rewrapped.Plaintext != nil || !bytes.Equal(rewrapped.Wrapped, []byte("anew")) {
		t.Errorf("rewrapped as %q of material %q: %v", rewrapped.Wrapped, rewrapped.KeyMaterialID, err)
	}
	in := s.rewrap
	if *in.SourceKeyId != otherID || *in.DestinationKeyId != singleID || in.SourceEncryptionContext["cred"] != "5008" || in.DestinationEncryptionContext["cred"] != "5008" {
		t.Error("rewrapping names other keys or contexts")
	}
}

// TestAnswerUnderAnotherKey: an answer that names another key is no answer.
func TestAnswerUnderAnotherKey(t *testing.T) {
	for _, arn := range []string{"", arnPrefix + otherID} {
		for op, err := range every(t, mustKeyring(t, &scripted{arn: arn}, singleID), singleID) {
			if !errors.Is(err, envelope.ErrKMSUnavailable) {
				t.Errorf("%s, answered under %q: %v, want ErrKMSUnavailable", op, arn, err)
			}
		}
	}
}

func TestCurrent(t *testing.T) {
	const arn = "arn:aws:kms:eu-central-1:111122223333:key/"
	for key, want := range map[string]string{
		arn + "plain": arn + "plain", arn + "mrk-1": "mrk-1", "mrk-1": "mrk-1", "plain": "",
	} {
		k, err := newKeyring(nil, key, []string{"other"})
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Current(); got != want {
			t.Errorf("%s: records carry %q, want %q", key, got, want)
		}
	}
}
