package localkms

import (
	"path/filepath"
	"testing"

	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
)

func TestRingConformance(t *testing.T) {
	kmstest.RunConformance(t, func(t *testing.T) kmstest.Fixture {
		dir := t.TempDir()
		r := NewRing(mustOpen(t, filepath.Join(dir, "key")), mustOpen(t, filepath.Join(dir, "before")))
		return kmstest.Fixture{Generator: r, Decrypter: r, Foreign: mustOpen(t, filepath.Join(dir, "other"))}
	})
}

// TestRingMoves: while two keys are in use each record opens, a data key moves to
// the current one, and what is moved opens without the other.
func TestRingMoves(t *testing.T) {
	dir := t.TempDir()
	before := mustOpen(t, filepath.Join(dir, "before"))
	current, err := Copy(filepath.Join(dir, "before"), filepath.Join(dir, "copy"))
	if err != nil || current.ID() != before.ID() {
		t.Fatalf("a copy has another key, or %v", err)
	}
	if _, err := Copy(filepath.Join(dir, "before"), filepath.Join(dir, "copy")); err == nil {
		t.Error("a key file was written over")
	}
	current = mustOpen(t, filepath.Join(dir, "current"))
	r, err := envelope.Seal(t.Context(), before, binding, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	ring := NewRing(before)
	ring.Use(current, before)
	if _, err := envelope.Open(t.Context(), ring, binding, r); err != nil {
		t.Errorf("a record under the previous key: %v", err)
	}
	moved, err := ring.RewrapDataKey(t.Context(), r.DataKey, r.KeyID, binding.EncryptionContext())
	if err != nil || moved.KeyID != current.ID() || moved.Plaintext != nil {
		t.Fatalf("rewrap: key %s, %v", moved.KeyID, err)
	}
	r.DataKey, r.KeyID = moved.Wrapped, moved.KeyID
	if v, err := envelope.Open(t.Context(), current, binding, r); err != nil || string(v.Expose()) != "secret" {
		t.Errorf("the moved record under the current key: %v", err)
	}
	if _, err := ring.RewrapDataKey(t.Context(), r.DataKey, r.KeyID, envelope.Binding{Org: 102, Credential: 5008, Version: 3}.EncryptionContext()); err == nil {
		t.Error("a data key of another organisation was moved")
	}
}
