package localkms

import (
	"bytes"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
)

var binding = envelope.Binding{Org: 101, Credential: 5008, Version: 3, Type: "postgres"}

func mustOpen(t *testing.T, path string) *Key {
	t.Helper()
	k, err := Open(path, false)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return k
}

func TestConformance(t *testing.T) {
	kmstest.RunConformance(t, func(t *testing.T) kmstest.Fixture {
		dir := t.TempDir()
		k := mustOpen(t, filepath.Join(dir, "key"))
		return kmstest.Fixture{Generator: k, Decrypter: k, Foreign: mustOpen(t, filepath.Join(dir, "other"))}
	})
}

// Known answers: made with an independent program from the drawing in
// localkms.go. One byte of change in a label, in the order of the context or in
// the layout fails here, and would leave every store on one machine closed.
const (
	knownFileKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	knownID      = "local-54731d4d1f266bb4"
	knownWrapped = "01404142434445464748494a4bb0f892225f254a36d5fa98c1cfbdfcc691fcd9be781dfb2841e1f1a72f0eeee41e8b598e6135fa5857d419e51b55fc7a"
	knownDataKey = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
)

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("reading hex: %v", err)
	}
	return b
}

func TestKnownAnswer(t *testing.T) {
	k, err := newKey(mustHex(t, knownFileKey))
	if err != nil {
		t.Fatalf("making the key: %v", err)
	}
	if k.ID() != knownID {
		t.Errorf("id %s, want %s", k.ID(), knownID)
	}
	got, err := k.DecryptDataKey(t.Context(), mustHex(t, knownWrapped), knownID, binding.EncryptionContext())
	if err != nil || !bytes.Equal(got, mustHex(t, knownDataKey)) {
		t.Errorf("unwrapping: %v, or another data key", err)
	}
}

// TestContextSpelling: contexts that read alike when run together do not open
// one another's keys, though localkms itself holds nobody to five names.
func TestContextSpelling(t *testing.T) {
	k := mustOpen(t, filepath.Join(t.TempDir(), "key"))
	contexts := []envelope.EncryptionContext{
		nil,
		{"": ""},
		{"a": "bc"},
		{"ab": "c"},
		{"a": "b", "c": ""},
		{"a": "", "b": "c"},
		{"a": "b\x00\x00\x00\x01c"},
		{"abc": ""},
		{"": "abc"},
	}
	for i, sealed := range contexts {
		key, err := k.GenerateDataKey(t.Context(), sealed)
		if err != nil {
			t.Fatalf("generating: %v", err)
		}
		for j, tried := range contexts {
			_, err := k.DecryptDataKey(t.Context(), key.Wrapped, key.KeyID, tried)
			if (err == nil) != (i == j) {
				t.Errorf("wrapped for context %d, tried %d: %v", i, j, err)
			}
		}
	}
}

func TestWrongKeyFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	right, wrong := mustOpen(t, filepath.Join(dir, "right")), mustOpen(t, filepath.Join(dir, "wrong"))
	r, err := envelope.Seal(t.Context(), right, binding, []byte("text"))
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	_, err = envelope.Open(t.Context(), wrong, binding, r)
	if !errors.Is(err, envelope.ErrOpen) || !strings.Contains(err.Error(), right.ID()) || !strings.Contains(err.Error(), wrong.ID()) {
		t.Errorf("error %v, want ErrOpen that names both keys", err)
	}
	r.KeyID = "mrk-1\nforged line"
	_, err = envelope.Open(t.Context(), wrong, binding, r)
	if !errors.Is(err, envelope.ErrOpen) || strings.Contains(err.Error(), "forged") {
		t.Errorf("error %v, want ErrOpen that does not repeat the stored id", err)
	}
}
