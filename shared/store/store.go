// Package store is the contract between the domain and whatever keeps its
// items. It is made for the semantics of DynamoDB: items under a partition and
// a sort key, strongly consistent reads, and conditional writes that commit
// together. shared/store/storetest holds every implementation to it.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"credence/shared/fault"
)

// Table is one of the three tables. They are apart so that IAM, and not a
// projection, keeps ciphertext from functions that need none.
type Table string

// The tables.
const (
	Meta  Table = "meta"
	Vault Table = "vault"
	Audit Table = "audit"
)

// Limits of the contract; every implementation refuses what exceeds them, with
// an error for which errors.Is(err, ErrTooLarge) or ErrInvalid holds.
const (
	MaxKeysPerGet      = 100
	MaxWritesPerCommit = 100
	MaxPartitionBytes  = 2048
	MaxSortBytes       = 1024
	MaxItemBytes       = 400 << 10 // keys, attribute names and values
	MaxCommitBytes     = 4 << 20   // of all writes, as WriteBytes counts them
)

// Key names one item. Partition and Sort are non-empty valid UTF-8 and compare
// as bytes.
type Key struct {
	Table     Table
	Partition string
	Sort      string
}

// Attributes are the named values of an item. A value is a string, an int64
// (below 2^53 in magnitude), a bool or a []byte; nothing else is accepted. The
// names "pk", "sk" and "ttl" are the store's own.
type Attributes map[string]any

// Item is what lies under a key. An item read is the caller's: changing it
// changes nothing in the store.
type Item struct {
	Key        Key
	Attributes Attributes
	// Expires is when the item ceases to exist, to the second; zero = never.
	// From that second on it is gone for reads and for preconditions alike,
	// whether or not the engine has removed it yet.
	Expires time.Time
}

// Found tells an item that is there from the zero Item that Get returns for
// one that is not.
func (i Item) Found() bool { return i.Key.Partition != "" }

// Range asks for consecutive items of one partition, in the order of their
// sort keys. From and To are inclusive in both directions, From the lesser one;
// "" leaves that end open. From behind To is an empty range, no fault.
type Range struct {
	Table      Table
	Partition  string
	From, To   string
	After      string // continue behind this sort key, exclusive, in the direction asked; it need not exist
	Limit      int    // at most so many items; 0 = all
	Descending bool
	KeysOnly   bool // the items have their keys alone, neither attributes nor an expiry
}

// Page is the answer to a Range. More is false only if nothing follows; it may
// be true when what follows has expired. A page with More is full: it holds
// Limit items, so that its last one is where to go on; without a Limit there is
// no More.
type Page struct {
	Items []Item
	More  bool
}

// Condition is what must hold of the item under a write's key at the moment of
// the commit. An expired item counts as absent. The zero Condition is refused:
// every write states one. Make it with Absent, Present, Is or Always.
type Condition struct {
	kind  conditionKind
	name  string
	value any
}

type conditionKind uint8

const (
	conditionNone conditionKind = iota
	conditionAbsent
	conditionPresent
	conditionEqual
	conditionAlways
)

// Absent holds if no item is there.
func Absent() Condition { return Condition{kind: conditionAbsent} }

// Present holds if an item is there, whatever it says.
func Present() Condition { return Condition{kind: conditionPresent} }

// Equal holds if an item is there and its attribute has exactly this value and
// type.
func Equal(name string, value any) Condition {
	return Condition{kind: conditionEqual, name: name, value: value}
}

// Always holds. It is for items whose last writer is right whoever it is.
func Always() Condition { return Condition{kind: conditionAlways} }

// Match calls the function that belongs to the condition; an implementation
// translates conditions with it and cannot forget a kind.
func (c Condition) Match(absent, present, always func(), equal func(name string, value any)) error {
	switch c.kind {
	case conditionAbsent:
		absent()
	case conditionPresent:
		present()
	case conditionAlways:
		always()
	case conditionEqual:
		equal(c.name, c.value)
	default:
		return fmt.Errorf("reading a write's condition: none stated: %w", ErrInvalid)
	}
	return nil
}

// Verb is what a write does.
type Verb uint8

// The verbs. Check writes nothing: it only adds its condition to the commit.
const (
	Put Verb = iota + 1
	Delete
	Check
)

// Write is one part of a commit. Delete and Check use only the item's key.
type Write struct {
	Verb Verb
	Item Item
	If   Condition
}

// Store keeps items. Its methods may be called from many goroutines at once.
// Each honours its context and returns within the implementation's own bounds
// even if the context has none. A call cut short by its context answers with the
// context's error or ErrUnavailable, a Commit that had begun also with its true
// outcome or ErrOutcomeUnknown.
type Store interface {
	// Get reads up to MaxKeysPerGet keys, each strongly consistent, in one
	// round trip. It answers one Item per key, in the order asked, the zero
	// Item where nothing is there; equal keys are read once. The items are not
	// a snapshot: one may be older than a commit that another shows.
	// May be called again at will.
	Get(ctx context.Context, keys ...Key) ([]Item, error)

	// Range reads items of one partition, strongly consistent each page; what
	// is committed while it reads may or may not be seen.
	// May be called again at will.
	Range(ctx context.Context, r Range) (Page, error)

	// Commit makes all writes or none of them. There is at least one, and no key
	// is named twice; the writes are read before it returns, never after. It
	// returns nil only when the writes are durable. On a *ConditionError or
	// ErrConflict nothing was written; on ErrUnavailable nothing was written;
	// on ErrOutcomeUnknown the caller must read to learn. Other errors
	// (ErrInvalid, ErrTooLarge) are faults of the caller. A lost reply is the
	// implementation's to resolve: it reads back before it gives up. Callers
	// retry only ErrConflict, and a *ConditionError after reading again.
	Commit(ctx context.Context, writes ...Write) error
}

// Errors of the contract, to be told apart with errors.Is. A caller reads the first
// fault in an error: where two are joined, the one to be shown comes first.
var (
	ErrConflict    = fault.Kind("another commit is under way on the same items", overtaken)
	ErrUnavailable = fault.Kind("the store cannot be reached, or refuses work for now", fault.New(fault.CodeStoreUnavailable,
		"Our store cannot be reached. Nothing was changed; try again shortly.").After(2*time.Second))
	ErrOutcomeUnknown = fault.Kind("the answer to a commit was lost", fault.New(fault.CodeOutcomeUnknown,
		"The answer of our store was lost, so the change may or may not have been made. Read before you try again."))
	// ErrDamaged: nothing was written; repeating does not help.
	ErrDamaged = fault.Kind("the stored data is damaged", fault.New(fault.CodeIntegrity,
		"A stored item is damaged, so nothing was returned. Report the request_id: the operator finds the item in the log, and with a check."))
	ErrTooLarge = errors.New("larger than the store's limits")
	ErrInvalid  = errors.New("not a valid request to the store")
)

// overtaken is shown for a change that lost to another one.
var overtaken = fault.New(fault.CodeConflict, "Somebody else changed the same thing at the same time. Read it again and repeat your change.")

// ConditionError says which writes' conditions did not hold, by index into the
// writes given to Commit, ascending. Nothing was written. It names at least
// one; an engine that stops at the first may leave out others.
type ConditionError struct{ Failed []int }

func (e *ConditionError) Error() string {
	return fmt.Sprintf("conditions of writes %v do not hold", e.Failed)
}

// Unwrap makes the error a fault for callers.
func (e *ConditionError) Unwrap() error { return overtaken }

// ConditionFailed reports whether err says that the condition of write i did
// not hold.
func ConditionFailed(err error, i int) bool {
	var c *ConditionError
	return errors.As(err, &c) && slices.Contains(c.Failed, i)
}
