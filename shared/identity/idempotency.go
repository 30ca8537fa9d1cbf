package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"time"

	"credence/shared/fault"
	"credence/shared/store"
)

// Idempotency lets a caller send the same request again without its effect being
// made twice. The zero value asks for nothing.
type Idempotency struct {
	Key  string // 16 to 64 printable characters, the client's own
	Body []byte // the request: its body and, but for the create of a credential, its method and path before it
}

// idempotencyTime is how long a key answers as it did the first time.
const idempotencyTime = 24 * time.Hour

func (i Idempotency) row(who Caller) store.Key {
	sum := sha256.Sum256([]byte(i.Key))
	return store.Key{
		Table: store.Meta, Partition: store.NewKeyText().Int("ORG#", who.Org.ID).Int("#IDEM#", who.User.ID).String(), Sort: hex.EncodeToString(sum[:]),
	}
}

// fingerprint is an HMAC of the body under the client's own key, which is not
// stored: a plain hash would let whoever reads the table test guesses of a
// weak password.
func (i Idempotency) fingerprint() []byte {
	mac := hmac.New(sha256.New, []byte(i.Key))
	mac.Write(i.Body)
	return mac.Sum(nil)
}

// Writes are the row that belongs into the commit of what the key stands for, with
// what Used is to return; none without a key. It expires a day after now. The
// commit fails if the key was used in the meantime.
func (i Idempotency) Writes(who Caller, now time.Time, made store.Attributes) []store.Write {
	if i.Key == "" {
		return nil
	}
	a := maps.Clone(made)
	a["mac"] = i.fingerprint()
	return []store.Write{{
		Verb: store.Put, Item: store.Item{Key: i.row(who), Attributes: a, Expires: now.Add(idempotencyTime)}, If: store.Absent(),
	}}
}

// Used returns what the first request with this key made. It reports false if the
// key was not used yet, or there is none. A key that was used for another request
// is the fault idempotency_key_reused.
func (i Idempotency) Used(ctx context.Context, s store.Store, who Caller) (store.Attributes, bool, error) {
	if i.Key == "" {
		return nil, false, nil
	}
	items, err := s.Get(ctx, i.row(who))
	if err != nil || !items[0].Found() {
		return nil, false, err
	}
	a := items[0].Attributes
	if !hmac.Equal(a.Bytes("mac"), i.fingerprint()) {
		return nil, false, fault.New(fault.CodeIdempotencyReused,
			"This Idempotency-Key was used for another request within the last day. Use a new key for a new request.")
	}
	return a, true, nil
}
