// Package kmstest is a key service in memory for tests. It enforces what AWS KMS
// enforces and what the key policy of this service adds to it, so that a caller
// who forgets a rule fails here and not in production. It also holds the
// conformance suite that every implementation of the envelope's interfaces
// passes.
package kmstest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Operation is a set of KMS operations: what a caller may do, and what is
// counted.
type Operation uint8

// The operations that exist here; KMS has more, which nothing of ours may call.
const (
	GenerateDataKey Operation = 1 << iota
	Decrypt
	ReEncrypt

	Everything = GenerateDataKey | Decrypt | ReEncrypt
)

// State is the state of a key.
type State uint8

// The states. A new key is enabled.
const (
	Enabled State = iota
	Disabled
	PendingDeletion
)

// Fault is what befalls a call.
type Fault uint8

// The faults. All but LostReply leave the operation undone.
const (
	Throttled         Fault = iota + 1 // ThrottlingException
	Internal                           // KMSInternalException
	DependencyTimeout                  // DependencyTimeoutException
	KeyUnavailable                     // KeyUnavailableException
	Hang                               // no answer until the caller gives up
	LostReply                          // done, but the connection breaks before the answer
)

// Limits of AWS KMS: API_GenerateDataKey, API_Decrypt, and the quota on the
// encryption context.
const (
	maxBlob    = 6144
	maxContext = 8192
)

// KMS holds keys. Its methods may be called from many goroutines.
type KMS struct {
	mu     sync.Mutex
	keys   map[string]*key // by id
	calls  map[Operation]int
	faults map[Operation][]Fault
}

type key struct {
	arn      string
	state    State
	material [][]byte // the newest last; older ones still decrypt
}

// New makes a KMS with these keys, enabled. An id is what follows "key/" in the
// key's ARN: a UUID or mrk-….
func New(ids ...string) *KMS {
	k := &KMS{keys: map[string]*key{}, calls: map[Operation]int{}, faults: map[Operation][]Fault{}}
	for _, id := range ids {
		k.AddKey(id)
	}
	return k
}

// AddKey makes a further key and returns its ARN. It panics on an id that is
// there already, or an alias: those name a key indirectly, and ours are pinned.
func (k *KMS) AddKey(id string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys[id] != nil || id == "" || strings.ContainsAny(id, "/:") {
		panic("kmstest: a key's id must be new and plain")
	}
	added := &key{arn: "arn:aws:kms:eu-central-1:111122223333:key/" + id, material: [][]byte{newMaterial()}}
	k.keys[id] = added
	return added.arn
}

func newMaterial() []byte {
	material := make([]byte, 32)
	_, _ = rand.Read(material)
	return material
}

// SetState changes the state of a key.
func (k *KMS) SetState(id string, s State) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[id].state = s
}

// Rotate gives a key new material, as automatic rotation does: what was wrapped
// before still unwraps, under the same key id.
func (k *KMS) Rotate(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[id].material = append(k.keys[id].material, newMaterial())
}

// Inject makes the next calls of these operations meet these faults, in order,
// one each; after them calls succeed again.
func (k *KMS) Inject(ops Operation, faults ...Fault) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for op := range names {
		if ops&op != 0 {
			k.faults[op] = append(k.faults[op], faults...)
		}
	}
}

// Calls is how often the operations were called, refused and failed calls
// included.
func (k *KMS) Calls(ops Operation) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for op, calls := range k.calls {
		if ops&op != 0 {
			n += calls
		}
	}
	return n
}

var names = map[Operation]string{GenerateDataKey: "GenerateDataKey", Decrypt: "Decrypt", ReEncrypt: "ReEncrypt"}

// failure is an error as KMS words it on the wire.
type failure struct {
	code   string
	status int
}

func (f *failure) Error() string { return f.code }

func refuse(code string) *failure { return &failure{code, http.StatusBadRequest} }

var errLostReply = errors.New("the connection broke before the answer")

// call counts, meets the fault that waits, checks the caller's right and runs
// do under the lock.
func (k *KMS) call(ctx context.Context, op, allowed Operation, do func() error) error {
	fault := k.arrive(op)
	switch fault {
	case Throttled:
		return refuse("ThrottlingException")
	case Internal:
		return &failure{"KMSInternalException", http.StatusInternalServerError}
	case DependencyTimeout:
		return &failure{"DependencyTimeoutException", http.StatusServiceUnavailable}
	case KeyUnavailable:
		return &failure{"KeyUnavailableException", http.StatusInternalServerError}
	case Hang:
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if allowed&op == 0 {
		return refuse("AccessDeniedException")
	}
	k.mu.Lock()
	err := do()
	k.mu.Unlock()
	if fault == LostReply {
		return errLostReply
	}
	return err
}

func (k *KMS) arrive(op Operation) Fault {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls[op]++
	waiting := k.faults[op]
	if len(waiting) == 0 {
		return 0
	}
	k.faults[op] = waiting[1:]
	return waiting[0]
}

// find returns a usable key, by id or ARN.
func (k *KMS) find(keyID string) (*key, error) {
	id := keyID[strings.LastIndex(keyID, "/")+1:]
	found := k.keys[id]
	switch {
	case keyID == "":
		return nil, refuse("ValidationException") // KMS would guess the key; ours is always named
	case found == nil || keyID != id && keyID != found.arn:
		return nil, refuse("NotFoundException")
	case found.state == Disabled:
		return nil, refuse("DisabledException")
	case found.state == PendingDeletion:
		return nil, refuse("KMSInvalidStateException")
	}
	return found, nil
}

// checkContext is the condition of the key policy: svc=credence, and these keys,
// no more and no fewer.
func checkContext(ec map[string]string) error {
	size := 0
	for name, value := range ec {
		size += len(name) + len(value)
		if value == "" {
			return refuse("ValidationException")
		}
	}
	if size > maxContext {
		return refuse("ValidationException")
	}
	if !slices.Equal(slices.Sorted(maps.Keys(ec)), []string{"cred", "fmt", "org", "sv", "svc"}) || ec["svc"] != "credence" {
		return refuse("AccessDeniedException")
	}
	return nil
}

// keyARNs are the ARNs of the ids, which must exist.
func (k *KMS) keyARNs(ids []string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var arns []string
	for _, id := range ids {
		found := k.keys[id]
		if found == nil {
			panic(fmt.Sprintf("kmstest: there is no key %q", id))
		}
		arns = append(arns, found.arn)
	}
	return arns
}
