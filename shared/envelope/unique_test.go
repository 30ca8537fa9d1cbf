package envelope_test

import (
	"context"
	"flag"
	"testing"

	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
)

// The ordinary run seals few enough to be quick; -records=1000000 is for the
// long one.
var records = flag.Int("records", 10_000, "how many records to compare for repeated nonces, salts and keys")

// witness keeps a copy of the last data key that passed by.
type witness struct {
	envelope.Generator
	key []byte
}

func (w *witness) GenerateDataKey(ctx context.Context, ec envelope.EncryptionContext) (envelope.DataKey, error) {
	key, err := w.Generator.GenerateDataKey(ctx, ec)
	w.key = append(w.key[:0], key.Plaintext...)
	return key, err
}

// TestNothingRepeats compares prefixes where the whole is longer: they repeat at
// least as soon.
func TestNothingRepeats(t *testing.T) {
	w := &witness{Generator: kmstest.New("mrk-1").Caller(kmstest.GenerateDataKey, "mrk-1")}
	type piece [12]byte
	seen := map[string]map[piece]struct{}{"nonce": {}, "salt": {}, "commitment": {}, "data key": {}, "wrapped data key's nonce": {}}
	b := envelope.Binding{Org: 101, Credential: 5008, Version: 3, Type: "s3"}
	for range *records {
		r, err := envelope.Seal(t.Context(), w, b, []byte("the same each time"))
		if err != nil {
			t.Fatalf("sealing: %v", err)
		}
		for name, at := range map[string][]byte{
			"nonce": r.Ciphertext[68:], "salt": r.Ciphertext[4:], "commitment": r.Ciphertext[36:], "data key": w.key, "wrapped data key's nonce": r.DataKey[21:],
		} {
			p := piece(at[:12])
			if _, twice := seen[name][p]; twice {
				t.Fatalf("after %d records a %s came twice", len(seen[name]), name)
			}
			seen[name][p] = struct{}{}
		}
	}
	for name, pieces := range seen {
		if len(pieces) != *records {
			t.Errorf("%d of %d compared: %s", len(pieces), *records, name)
		}
	}
}
