package credential

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// Idempotency lets a client send the same request again without making a second
// credential, copy or version. The zero value asks for nothing.
type Idempotency struct {
	Key  string // 16 to 64 printable characters, the client's own
	Body []byte // the request: its body and, but for a create, its method and path before it

	result string // what is answered beside the credential, as JSON; "" = nothing
}

// idempotencyTime is how long a key answers as it did the first time.
const idempotencyTime = 24 * time.Hour

func idempotencyKey(org, user int64, key string) store.Key {
	sum := sha256.Sum256([]byte(key))
	return meta(fmt.Sprintf("ORG#%d#IDEM#%d", org, user), hex.EncodeToString(sum[:]))
}

// fingerprint is an HMAC of the body under the client's own key, which is not
// stored: a plain hash would let whoever reads the table test guesses of a
// weak password.
func (i Idempotency) fingerprint() []byte {
	mac := hmac.New(sha256.New, []byte(i.Key))
	mac.Write(i.Body)
	return mac.Sum(nil)
}

// writes are the row that belongs into the commit of what the key stands for;
// none without a key.
func (i Idempotency) writes(who identity.Caller, c Credential, s Service) []store.Write {
	if i.Key == "" {
		return nil
	}
	a := store.Attributes{"mac": i.fingerprint(), "id": c.ID, "ver": c.Version}
	a.SetText("result", i.result)
	return []store.Write{{
		Verb: store.Put,
		Item: store.Item{
			Key: idempotencyKey(who.Org.ID, who.User.ID, i.Key), Attributes: a, Expires: s.now().Add(idempotencyTime),
		},
		If: store.Absent(),
	}}
}

// replay answers what the first request with this key made. It reports false
// if the key was not used yet, or there is none.
func (e Editor) replay(ctx context.Context, who identity.Caller, i Idempotency) (View, bool, error) {
	a, found, err := e.used(ctx, who, i)
	if err != nil || !found {
		return View{}, false, err
	}
	id := a.Int("id")
	read, err := e.Store.Get(ctx, Reads(who.Org.ID, id)...)
	if err != nil {
		return View{}, false, err
	}
	c, held, err := e.open(ctx, who, id, read[0], access.Read)
	if err != nil {
		return View{}, false, err
	}
	view, err := e.view(ctx, who, c, held)
	return view, err == nil, err
}

// used reads the row of a key; false where there is none. A key that was used for
// another request is a fault.
func (e Editor) used(ctx context.Context, who identity.Caller, i Idempotency) (store.Attributes, bool, error) {
	if i.Key == "" {
		return nil, false, nil
	}
	items, err := e.Store.Get(ctx, idempotencyKey(who.Org.ID, who.User.ID, i.Key))
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
