package kmstest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"credence/shared/envelope"
)

// Fixture is an implementation under test. Everything but Generator, Decrypter
// and Foreign may be nil: what a key file cannot do, it need not.
type Fixture struct {
	Generator envelope.Generator
	Decrypter envelope.Decrypter
	Rewrapper envelope.Rewrapper

	Foreign  envelope.Generator // under a key that is not on the Decrypter's list
	Previous envelope.Generator // under the previous key of the list
	Break    func()             // from now on the key service is away
}

var binding = envelope.Binding{Org: 101, Credential: 5008, Version: 3, Type: "postgres"}

// RunConformance holds an implementation to the contract of the envelope's
// interfaces. make is called for each test and gives a fresh fixture.
func RunConformance(t *testing.T, make func(t *testing.T) Fixture) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"RoundTrip", testRoundTrip},
		{"KeysDiffer", testKeysDiffer},
		{"AnswersAreTheCallers", testAnswersAreTheCallers},
		{"OtherContext", testOtherContext},
		{"IncompleteContext", testIncompleteContext},
		{"WrappedChanged", testWrappedChanged},
		{"KeyIDOffTheList", testKeyIDOffTheList},
		{"PlantedKey", testPlantedKey},
		{"PreviousKey", testPreviousKey},
		{"Rewrap", testRewrap},
		{"CallerGivesUp", testCallerGivesUp},
		{"Away", testAway},
		{"SideBySide", testSideBySide},
		{"Record", testRecord},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, make(t)) })
	}
}

func mustGenerate(t *testing.T, g envelope.Generator) envelope.DataKey {
	t.Helper()
	key, err := g.GenerateDataKey(t.Context(), binding.EncryptionContext())
	if err != nil {
		t.Fatalf("generating a data key: %v", err)
	}
	return key
}

func mustDecrypt(t *testing.T, d envelope.Decrypter, key envelope.DataKey) []byte {
	t.Helper()
	plaintext, err := d.DecryptDataKey(t.Context(), key.Wrapped, key.KeyID, binding.EncryptionContext())
	if err != nil {
		t.Fatalf("decrypting a data key: %v", err)
	}
	return plaintext
}

// mustRefuse wants an OpenError of the cause from every way in, and nothing else.
func mustRefuse(t *testing.T, f Fixture, what string, cause envelope.Cause, key envelope.DataKey, ec envelope.EncryptionContext) {
	t.Helper()
	plaintext, err := f.Decrypter.DecryptDataKey(t.Context(), key.Wrapped, key.KeyID, ec)
	if !refusedFor(err, cause) || plaintext != nil {
		t.Errorf("%s: decrypting gave %d bytes and error %v, want cause %s", what, len(plaintext), err, cause)
	}
	if f.Rewrapper == nil {
		return
	}
	rewrapped, err := f.Rewrapper.RewrapDataKey(t.Context(), key.Wrapped, key.KeyID, ec)
	if !refusedFor(err, cause) || rewrapped.Wrapped != nil {
		t.Errorf("%s: rewrapping gave %d bytes and error %v, want cause %s", what, len(rewrapped.Wrapped), err, cause)
	}
}

func refusedFor(err error, cause envelope.Cause) bool {
	var e *envelope.OpenError
	return errors.As(err, &e) && e.Cause == cause && errors.Is(err, envelope.ErrOpen) && !errors.Is(err, envelope.ErrKMSUnavailable)
}

func testRoundTrip(t *testing.T, f Fixture) {
	key := mustGenerate(t, f.Generator)
	if len(key.Plaintext) != 32 || key.KeyID == "" {
		t.Fatalf("a data key of %d bytes under key %q", len(key.Plaintext), key.KeyID)
	}
	if bytes.Contains(key.Wrapped, key.Plaintext) {
		t.Error("the wrapped key holds the plain one")
	}
	for range 2 { // decrypting may be called again
		if !bytes.Equal(mustDecrypt(t, f.Decrypter, key), key.Plaintext) {
			t.Error("another key came back")
		}
	}
}

func testKeysDiffer(t *testing.T, f Fixture) {
	seen := map[string]bool{}
	for range 64 {
		key := mustGenerate(t, f.Generator)
		if seen[string(key.Plaintext)] || seen[string(key.Wrapped)] {
			t.Fatal("a data key came twice")
		}
		seen[string(key.Plaintext)], seen[string(key.Wrapped)] = true, true
	}
}

func testAnswersAreTheCallers(t *testing.T, f Fixture) {
	key := mustGenerate(t, f.Generator)
	kept := bytes.Clone(key.Plaintext)
	wrapped := bytes.Clone(key.Wrapped)
	clear(key.Plaintext)
	clear(mustDecrypt(t, f.Decrypter, key))
	if !bytes.Equal(key.Wrapped, wrapped) {
		t.Error("decrypting changed the wrapped key it was given")
	}
	if !bytes.Equal(mustDecrypt(t, f.Decrypter, key), kept) {
		t.Error("clearing what was given changed what is kept")
	}
}

func testOtherContext(t *testing.T, f Fixture) {
	key := mustGenerate(t, f.Generator)
	for what, other := range map[string]envelope.Binding{
		"other org":          {Org: 102, Credential: 5008, Version: 3},
		"other credential":   {Org: 101, Credential: 5009, Version: 3},
		"other version":      {Org: 101, Credential: 5008, Version: 4},
		"digits moved":       {Org: 1015, Credential: 8, Version: 3},
		"org and cred swap":  {Org: 5008, Credential: 101, Version: 3},
		"cred and version":   {Org: 101, Credential: 3, Version: 5008},
		"negative of itself": {Org: -101, Credential: 5008, Version: 3},
	} {
		mustRefuse(t, f, what, envelope.CauseUnwrap, key, other.EncryptionContext())
	}
	ec := binding.EncryptionContext()
	ec["fmt"] = "2"
	mustRefuse(t, f, "other format", envelope.CauseUnwrap, key, ec)
}

// testIncompleteContext wants a refusal of any kind: a key policy says no before
// the ciphertext is looked at, which is no word about the record.
func testIncompleteContext(t *testing.T, f Fixture) {
	key := mustGenerate(t, f.Generator)
	var contexts []envelope.EncryptionContext
	for name := range binding.EncryptionContext() {
		without, empty := binding.EncryptionContext(), binding.EncryptionContext()
		delete(without, name)
		empty[name] = ""
		contexts = append(contexts, without, empty)
	}
	more, other := binding.EncryptionContext(), binding.EncryptionContext()
	more["extra"] = "1"
	other["svc"] = "someone else"
	for _, ec := range append(contexts, nil, envelope.EncryptionContext{}, more, other) {
		plaintext, err := f.Decrypter.DecryptDataKey(t.Context(), key.Wrapped, key.KeyID, ec)
		if err == nil || plaintext != nil {
			t.Errorf("context %v: decrypted", ec)
		}
		if !errors.Is(err, envelope.ErrOpen) && !errors.Is(err, envelope.ErrKMSUnavailable) {
			t.Errorf("context %v: error %v is neither of the two", ec, err)
		}
	}
}

func testWrappedChanged(t *testing.T, f Fixture) {
	key := mustGenerate(t, f.Generator)
	whole := key.Wrapped
	try := func(what string, wrapped []byte) {
		t.Helper()
		changed := key
		changed.Wrapped = wrapped
		mustRefuse(t, f, what, envelope.CauseUnwrap, changed, binding.EncryptionContext())
	}
	for bit := range len(whole) * 8 {
		flipped := bytes.Clone(whole)
		flipped[bit/8] ^= 1 << (bit % 8)
		try("a flipped bit", flipped)
	}
	for n := range len(whole) {
		try("a truncation", whole[:n])
	}
	try("nil", nil)
	try("one byte more", append(bytes.Clone(whole), 0))
	try("doubled", slices.Concat(whole, whole))
	try("oversize", bytes.Repeat([]byte{1}, maxBlob+1))
}

func testKeyIDOffTheList(t *testing.T, f Fixture) {
	key := mustGenerate(t, f.Generator)
	for _, id := range []string{"", " ", key.KeyID + "x", key.KeyID[:len(key.KeyID)-1], "alias/credence", mustGenerate(t, f.Foreign).KeyID} {
		other := key
		other.KeyID = id
		mustRefuse(t, f, "key id "+id, envelope.CauseKeyID, other, binding.EncryptionContext())
	}
}

// testPlantedKey is the attack of who may write the table: a data key he knows,
// wrapped under a key of his own, for the right context.
func testPlantedKey(t *testing.T, f Fixture) {
	planted, ours := mustGenerate(t, f.Foreign), mustGenerate(t, f.Generator)
	mustRefuse(t, f, "under its own key id", envelope.CauseKeyID, planted, binding.EncryptionContext())
	planted.KeyID = ours.KeyID
	mustRefuse(t, f, "under our key id", envelope.CauseUnwrap, planted, binding.EncryptionContext())
}

func testPreviousKey(t *testing.T, f Fixture) {
	if f.Previous == nil {
		t.Skip("the implementation has no previous keys")
	}
	old, current := mustGenerate(t, f.Previous), mustGenerate(t, f.Generator)
	if old.KeyID == current.KeyID {
		t.Fatal("the fixture's previous key is its current one")
	}
	if !bytes.Equal(mustDecrypt(t, f.Decrypter, old), old.Plaintext) {
		t.Error("another key came back")
	}
	old.KeyID = current.KeyID
	mustRefuse(t, f, "previous as current", envelope.CauseUnwrap, old, binding.EncryptionContext())
}

func testRewrap(t *testing.T, f Fixture) {
	if f.Rewrapper == nil {
		t.Skip("the implementation does not rewrap")
	}
	old := mustGenerate(t, f.Previous)
	rewrapped, err := f.Rewrapper.RewrapDataKey(t.Context(), old.Wrapped, old.KeyID, binding.EncryptionContext())
	if err != nil {
		t.Fatalf("rewrapping: %v", err)
	}
	if rewrapped.Plaintext != nil {
		t.Error("rewrapping shows the data key")
	}
	if current := mustGenerate(t, f.Generator); rewrapped.KeyID != current.KeyID || rewrapped.KeyMaterialID != current.KeyMaterialID {
		t.Errorf("rewrapped under key %q, want the current %q and its material", rewrapped.KeyID, current.KeyID)
	}
	for what, key := range map[string]envelope.DataKey{"before": old, "after": rewrapped} {
		if !bytes.Equal(mustDecrypt(t, f.Decrypter, key), old.Plaintext) {
			t.Errorf("wrapped as %s the rewrap: another key came back", what)
		}
	}
	again, err := f.Rewrapper.RewrapDataKey(t.Context(), rewrapped.Wrapped, rewrapped.KeyID, binding.EncryptionContext())
	if err != nil || !bytes.Equal(mustDecrypt(t, f.Decrypter, again), old.Plaintext) {
		t.Errorf("rewrapping again: %v, or another key", err)
	}
}

// mustBeAway wants ErrKMSUnavailable, never ErrOpen: nothing was learnt about
// the record.
func mustBeAway(ctx context.Context, t *testing.T, f Fixture, key envelope.DataKey) {
	t.Helper()
	ec := binding.EncryptionContext()
	made, err := f.Generator.GenerateDataKey(ctx, ec)
	errs := map[string]error{"generating": err}
	plaintext, err := f.Decrypter.DecryptDataKey(ctx, key.Wrapped, key.KeyID, ec)
	errs["decrypting"] = err
	if f.Rewrapper != nil {
		_, errs["rewrapping"] = f.Rewrapper.RewrapDataKey(ctx, key.Wrapped, key.KeyID, ec)
	}
	if made.Plaintext != nil || made.Wrapped != nil || plaintext != nil {
		t.Error("an error came with a key")
	}
	for what, err := range maps.All(errs) {
		if !errors.Is(err, envelope.ErrKMSUnavailable) || errors.Is(err, envelope.ErrOpen) {
			t.Errorf("%s: error %v, want ErrKMSUnavailable alone", what, err)
		}
	}
}

func testCallerGivesUp(t *testing.T, f Fixture) {
	key := mustGenerate(t, f.Generator)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mustBeAway(ctx, t, f, key)
}

func testAway(t *testing.T, f Fixture) {
	if f.Break == nil {
		t.Skip("the implementation cannot be away")
	}
	key := mustGenerate(t, f.Generator)
	f.Break()
	mustBeAway(t.Context(), t, f, key)
}

func testSideBySide(t *testing.T, f Fixture) {
	var all sync.WaitGroup
	for worker := range int64(16) {
		all.Go(func() {
			own := binding
			own.Credential += worker
			for range 8 {
				key, err := f.Generator.GenerateDataKey(t.Context(), own.EncryptionContext())
				if err != nil {
					t.Errorf("generating: %v", err)
					return
				}
				got, err := f.Decrypter.DecryptDataKey(t.Context(), key.Wrapped, key.KeyID, own.EncryptionContext())
				if err != nil || !bytes.Equal(got, key.Plaintext) {
					t.Errorf("decrypting side by side: %v, or another key", err)
				}
			}
		})
	}
	all.Wait()
}

func testRecord(t *testing.T, f Fixture) {
	const text = `{"password":"correct horse"}`
	r, err := envelope.Seal(t.Context(), f.Generator, binding, []byte(text))
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	if v, err := envelope.Open(t.Context(), f.Decrypter, binding, r); err != nil || v.ExposeText() != text {
		t.Errorf("opening: %v, or another text", err)
	}
	other := binding
	other.Org++
	if v, err := envelope.Open(t.Context(), f.Decrypter, other, r); !refusedFor(err, envelope.CauseUnwrap) || v.Len() != 0 {
		t.Errorf("opening for another org: %v and %d bytes", err, v.Len())
	}
	other = binding
	other.Type = "mysql"
	if v, err := envelope.Open(t.Context(), f.Decrypter, other, r); !refusedFor(err, envelope.CauseTag) || v.Len() != 0 {
		t.Errorf("opening as another type: %v and %d bytes", err, v.Len())
	}
}
