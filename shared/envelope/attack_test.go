package envelope_test

import (
	"bytes"
	"testing"

	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
)

// stored is what an attacker who writes the table may change.
type stored struct {
	binding envelope.Binding
	record  envelope.Record
}

// TestTableWriter: what someone can do who writes the vault's items, with
// everything but the code and the KMS rights in his hands. The binding stands for
// the request and the credential's row, which say what is asked for.
func TestTableWriter(t *testing.T) {
	k := kmstest.New("mrk-ours", "mrk-his")
	ours := k.Caller(kmstest.GenerateDataKey|kmstest.Decrypt, "mrk-ours")
	his := k.Caller(kmstest.Everything, "mrk-his")
	seal := func(g envelope.Generator, b envelope.Binding, text string) stored {
		t.Helper()
		r, err := envelope.Seal(t.Context(), g, b, []byte(text))
		if err != nil {
			t.Fatalf("sealing: %v", err)
		}
		return stored{b, r}
	}
	b := envelope.Binding{Org: 1, Credential: 11, Version: 2, Type: "postgres"}
	at := func(change func(b *envelope.Binding)) envelope.Binding {
		other := b
		change(&other)
		return other
	}
	target := seal(ours, b, "target")
	sibling := seal(ours, at(func(b *envelope.Binding) { b.Credential = 12 }), "sibling")
	foreign := seal(ours, at(func(b *envelope.Binding) { b.Org = 2 }), "foreign")
	earlier := seal(ours, at(func(b *envelope.Binding) { b.Version = 1 }), "earlier")
	planted := seal(his, b, "planted")
	for _, c := range []struct {
		name  string
		place func(r envelope.Record) envelope.Record
		cause envelope.Cause
	}{
		{"ct of a sibling", func(r envelope.Record) envelope.Record { r.Ciphertext = sibling.record.Ciphertext; return r }, envelope.CauseCommitment},
		{"ct and dk of a sibling", func(envelope.Record) envelope.Record { return sibling.record }, envelope.CauseUnwrap},
		{"dk of a sibling", func(r envelope.Record) envelope.Record { r.DataKey = sibling.record.DataKey; return r }, envelope.CauseUnwrap},
		{"whole record of another org", func(envelope.Record) envelope.Record { return foreign.record }, envelope.CauseUnwrap},
		{"an earlier version's record", func(envelope.Record) envelope.Record { return earlier.record }, envelope.CauseUnwrap},
		{"his key and his ciphertext", func(envelope.Record) envelope.Record { return planted.record }, envelope.CauseKeyID},
		{"his, under our key id", func(r envelope.Record) envelope.Record {
			planted := planted.record
			planted.KeyID = r.KeyID
			return planted
		}, envelope.CauseUnwrap},
		{"no data key", func(r envelope.Record) envelope.Record { r.DataKey = nil; return r }, envelope.CauseUnwrap},
		{"no key id", func(r envelope.Record) envelope.Record { r.KeyID = ""; return r }, envelope.CauseKeyID},
		{"nothing", func(envelope.Record) envelope.Record { return envelope.Record{} }, envelope.CauseFormat},
	} {
		v, err := envelope.Open(t.Context(), ours, b, c.place(target.record))
		if e := asOpenError(err); e == nil || e.Cause != c.cause || v.Len() != 0 {
			t.Errorf("%s: error %v and %d bytes, want cause %s", c.name, err, v.Len(), c.cause)
		}
	}
	retyped := at(func(b *envelope.Binding) { b.Type = "rest" })
	if _, err := envelope.Open(t.Context(), ours, retyped, target.record); asOpenError(err) == nil || asOpenError(err).Cause != envelope.CauseTag {
		t.Errorf("type changed in the row: %v, want cause tag", err)
	}
	r := target.record
	r.KeyMaterialID = "anything"
	if v, err := envelope.Open(t.Context(), ours, b, r); err != nil || v.ExposeText() != "target" {
		t.Errorf("the material's id is a note and binds nothing: %v", err)
	}
}

// TestEveryBitOfTheWrappedKey: each single change of the stored data key.
func TestEveryBitOfTheWrappedKey(t *testing.T) {
	c := kmstest.New("mrk-1").Caller(kmstest.GenerateDataKey|kmstest.Decrypt, "mrk-1")
	b := envelope.Binding{Org: 1, Credential: 11, Version: 2, Type: "postgres"}
	r, err := envelope.Seal(t.Context(), c, b, []byte("text"))
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	whole := r.DataKey
	for bit := range len(whole) * 8 {
		r.DataKey = bytes.Clone(whole)
		r.DataKey[bit/8] ^= 1 << (bit % 8)
		v, err := envelope.Open(t.Context(), c, b, r)
		if e := asOpenError(err); e == nil || e.Cause != envelope.CauseUnwrap || v.Len() != 0 {
			t.Errorf("bit %d: error %v and %d bytes", bit, err, v.Len())
		}
	}
}

// TestRewrapKeepsTheRecord: moved to a new key, the record opens at every point,
// before and after, and its ciphertext is the same.
func TestRewrapKeepsTheRecord(t *testing.T) {
	k := kmstest.New("mrk-old")
	b := envelope.Binding{Org: 1, Credential: 11, Version: 2, Type: "postgres"}
	before, err := envelope.Seal(t.Context(), k.Caller(kmstest.GenerateDataKey, "mrk-old"), b, []byte("text"))
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	k.AddKey("mrk-new")
	moved, err := k.Caller(kmstest.ReEncrypt, "mrk-new", "mrk-old").RewrapDataKey(t.Context(), before.DataKey, before.KeyID, b.EncryptionContext())
	if err != nil {
		t.Fatalf("rewrapping: %v", err)
	}
	after := envelope.Record{DataKey: moved.Wrapped, KeyID: moved.KeyID, KeyMaterialID: moved.KeyMaterialID, Ciphertext: before.Ciphertext}
	reader := k.Caller(kmstest.Decrypt, "mrk-new", "mrk-old")
	for name, r := range map[string]envelope.Record{"before": before, "after": after} {
		if v, err := envelope.Open(t.Context(), reader, b, r); err != nil || v.ExposeText() != "text" {
			t.Errorf("%s the rewrap: %v", name, err)
		}
	}
	k.SetState("mrk-old", kmstest.PendingDeletion)
	if _, err := envelope.Open(t.Context(), reader, b, after); err != nil {
		t.Errorf("after the rewrap, the old key gone: %v", err)
	}
}
