package kmstest_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
)

var binding = envelope.Binding{Org: 101, Credential: 5008, Version: 3, Type: "s3"}

func TestConformance(t *testing.T) {
	kmstest.RunConformance(t, func(*testing.T) kmstest.Fixture {
		k := kmstest.New("mrk-current", "mrk-previous", "mrk-foreign")
		all := k.Caller(kmstest.Everything, "mrk-current", "mrk-previous")
		return kmstest.Fixture{
			Generator: all, Decrypter: all, Rewrapper: all,
			Foreign:  k.Caller(kmstest.GenerateDataKey, "mrk-foreign"),
			Previous: k.Caller(kmstest.GenerateDataKey, "mrk-previous"),
			Break:    func() { k.SetState("mrk-current", kmstest.Disabled) },
		}
	})
}

func TestFaultsAndStates(t *testing.T) {
	for name, befall := range map[string]func(k *kmstest.KMS){
		"throttled":          func(k *kmstest.KMS) { k.Inject(kmstest.Everything, kmstest.Throttled) },
		"internal":           func(k *kmstest.KMS) { k.Inject(kmstest.Everything, kmstest.Internal) },
		"dependency timeout": func(k *kmstest.KMS) { k.Inject(kmstest.Everything, kmstest.DependencyTimeout) },
		"key unavailable":    func(k *kmstest.KMS) { k.Inject(kmstest.Everything, kmstest.KeyUnavailable) },
		"lost reply":         func(k *kmstest.KMS) { k.Inject(kmstest.Everything, kmstest.LostReply) },
		"disabled":           func(k *kmstest.KMS) { k.SetState("key", kmstest.Disabled) },
		"pending deletion":   func(k *kmstest.KMS) { k.SetState("key", kmstest.PendingDeletion) },
	} {
		t.Run(name, func(t *testing.T) {
			k := kmstest.New("key")
			c := k.Caller(kmstest.Everything, "key")
			key, err := c.GenerateDataKey(t.Context(), binding.EncryptionContext())
			if err != nil {
				t.Fatalf("generating: %v", err)
			}
			befall(k)
			if errs := everyOperation(t.Context(), c, key); !allAway(errs) {
				t.Errorf("errors %v, want each ErrKMSUnavailable", errs)
			}
			k.SetState("key", kmstest.Enabled)
			for op, err := range everyOperation(t.Context(), c, key) {
				if err != nil {
					t.Errorf("%s after the fault: %v", op, err)
				}
			}
		})
	}
}

func everyOperation(ctx context.Context, c *kmstest.Caller, key envelope.DataKey) map[string]error {
	ec, errs := binding.EncryptionContext(), map[string]error{}
	_, errs["generating"] = c.GenerateDataKey(ctx, ec)
	_, errs["decrypting"] = c.DecryptDataKey(ctx, key.Wrapped, key.KeyID, ec)
	_, errs["rewrapping"] = c.RewrapDataKey(ctx, key.Wrapped, key.KeyID, ec)
	return errs
}

func allAway(errs map[string]error) bool {
	for err := range maps.Values(errs) {
		if !errors.Is(err, envelope.ErrKMSUnavailable) {
			return false
		}
	}
	return len(errs) == 3
}

func TestHangEndsWithTheCaller(t *testing.T) {
	k := kmstest.New("key")
	k.Inject(kmstest.GenerateDataKey, kmstest.Hang)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := k.Caller(kmstest.Everything, "key").GenerateDataKey(ctx, binding.EncryptionContext())
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || !errors.Is(err, envelope.ErrKMSUnavailable) {
		t.Errorf("error %v, want the cancellation and ErrKMSUnavailable", err)
	}
}

// TestRights: each caller passes with its own operation and fails with the rest.
func TestRights(t *testing.T) {
	k := kmstest.New("key")
	key, err := k.Caller(kmstest.GenerateDataKey, "key").GenerateDataKey(t.Context(), binding.EncryptionContext())
	if err != nil {
		t.Fatalf("generating: %v", err)
	}
	for op, name := range map[kmstest.Operation]string{
		kmstest.GenerateDataKey: "generating", kmstest.Decrypt: "decrypting", kmstest.ReEncrypt: "rewrapping",
	} {
		for tried, err := range everyOperation(t.Context(), k.Caller(op, "key"), key) {
			if (err == nil) != (tried == name) {
				t.Errorf("a caller who may be %s only, %s: %v", name, tried, err)
			}
			if err != nil && !strings.Contains(err.Error(), "AccessDenied") {
				t.Errorf("%s without the right: %v, want access denied", tried, err)
			}
		}
	}
}

func TestCountsCalls(t *testing.T) {
	k := kmstest.New("key")
	c := k.Caller(kmstest.Everything, "key")
	key, err := c.GenerateDataKey(t.Context(), binding.EncryptionContext())
	if err != nil {
		t.Fatalf("generating: %v", err)
	}
	k.Inject(kmstest.Decrypt, kmstest.Throttled)
	everyOperation(t.Context(), c, key)
	_, _ = c.DecryptDataKey(t.Context(), key.Wrapped, "off the list", binding.EncryptionContext())
	for ops, want := range map[kmstest.Operation]int{
		kmstest.GenerateDataKey: 2, kmstest.Decrypt: 1, kmstest.ReEncrypt: 1, kmstest.Everything: 4, kmstest.Decrypt | kmstest.ReEncrypt: 2,
	} {
		if got := k.Calls(ops); got != want {
			t.Errorf("calls of %b: %d, want %d", ops, got, want)
		}
	}
}

func TestRotationKeepsOldKeys(t *testing.T) {
	k := kmstest.New("key")
	c := k.Caller(kmstest.Everything, "key")
	before, err := envelope.Seal(t.Context(), c, binding, []byte("before"))
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	k.Rotate("key")
	after, err := envelope.Seal(t.Context(), c, binding, []byte("after"))
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	if before.KeyID != after.KeyID || before.KeyMaterialID == after.KeyMaterialID {
		t.Error("rotation is to change the material and keep the key's id")
	}
	for want, r := range map[string]envelope.Record{"before": before, "after": after} {
		if v, err := envelope.Open(t.Context(), c, binding, r); err != nil || v.ExposeText() != want {
			t.Errorf("opening what was sealed %s the rotation: %v", want, err)
		}
	}
}

func TestOversizeContext(t *testing.T) {
	ec := binding.EncryptionContext()
	ec["org"] = strings.Repeat("1", 9000)
	_, err := kmstest.New("key").Caller(kmstest.Everything, "key").GenerateDataKey(t.Context(), ec)
	if err == nil || !strings.Contains(err.Error(), "ValidationException") {
		t.Errorf("a context over 8192 bytes: %v", err)
	}
}

func TestMisuseIsLoud(t *testing.T) {
	for name, misuse := range map[string]func(){
		"the same key twice":  func() { kmstest.New("key", "key") },
		"an alias":            func() { kmstest.New("alias/key") },
		"no key":              func() { kmstest.New("key").Caller(kmstest.Everything) },
		"a key not there":     func() { kmstest.New("key").Caller(kmstest.Everything, "other") },
		"a key without an id": func() { kmstest.New("") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: passed", name)
				}
			}()
			misuse()
		}()
	}
}
