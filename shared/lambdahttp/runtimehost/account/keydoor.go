//go:build unix

package account

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"credence/shared/envelope/kmstest"
)

// TheKey is the Table of a Call that uses the key of KMS.
const TheKey = "Key"

// Condition is under what a statement of the key's policy holds.
type Condition struct {
	// Context is what the encryption context must say
	// (kms:EncryptionContext:name).
	Context map[string]string
	// Keys are all names that it may hold (kms:EncryptionContextKeys with
	// ForAllValues); nil is any.
	Keys []string
}

// holds reports whether IAM would find the condition met.
func (c Condition) holds(context map[string]string) bool {
	for name, value := range c.Context {
		if got, found := context[name]; !found || got != value {
			return false
		}
	}
	for name := range context {
		if c.Keys != nil && !slices.Contains(c.Keys, name) {
			return false
		}
	}
	return true
}

// keyDoor stands between one function and the key service and holds it to the
// key's policy, conditions included.
type keyDoor struct {
	*ledger
	allowed map[string][]Condition // action → of each statement that grants it
	kms     http.Handler
}

func newKeyDoor(d Deployed, kms *kmstest.KMS) *keyDoor {
	return &keyDoor{ledger: newLedger(d.ID), allowed: d.Key, kms: kms.Handler(d.KMS)}
}

// ServeHTTP implements http.Handler.
func (d *keyDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	var in struct {
		EncryptionContext            map[string]string
		SourceEncryptionContext      map[string]string
		DestinationEncryptionContext map[string]string
	}
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	contexts := map[string]map[string]string{operation: in.EncryptionContext}
	if operation == "ReEncrypt" { // is two rights
		contexts = map[string]map[string]string{"ReEncryptFrom": in.SourceEncryptionContext, "ReEncryptTo": in.DestinationEncryptionContext}
	}
	var calls []Call
	for action := range contexts {
		calls = append(calls, Call{Table: TheKey, Action: action})
	}
	granted := func(c Call) bool {
		return slices.ContainsFunc(d.allowed[c.Action], func(o Condition) bool { return o.holds(contexts[c.Action]) })
	}
	if err != nil || !d.may(calls, granted) {
		deny(w, "application/x-amz-json-1.1")
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	d.kms.ServeHTTP(w, r)
}
