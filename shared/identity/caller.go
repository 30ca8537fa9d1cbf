// Package identity knows organisations, users, their service keys and their
// sessions, and tells who a request comes from.
package identity

import (
	"slices"
	"time"

	"credence/shared/access"
)

// Org is an organisation: the boundary that nothing crosses.
type Org struct {
	ID          int64
	Name        string
	EmailDomain string
	Suspended   bool // by the operator: none of its keys or sessions is accepted
	AuditDays   int  // how long audit entries that are no changes are kept; 0 = the default
	CreatedAt   time.Time
}

// User is a person, or a program that acts as one, within one organisation.
type User struct {
	ID        int64
	OrgID     int64
	Email     string
	FullName  string
	Admin     bool // of the organisation
	Active    bool
	KeyCount  int     // service keys that exist; at most MaxKeysPerUser
	Teams     []int64 // that the user is a member of, in ascending order; at most MaxTeamsPerUser
	CreatedAt time.Time
	UpdatedAt time.Time
	Rev       int64 // of the stored row: the precondition of its next write
}

// Key is a service key, without its secret: of that only a hash is kept.
type Key struct {
	ID          int64
	OrgID       int64
	OwnerID     int64   // the user it signs in
	MakerID     int64   // the user who made it; 0 = the operator
	Lineage     Lineage // the keys that it was made with; none if the operator made it
	Name        string
	Description string
	Paused      bool
	Status      Status // as it was read; not stored
	Scopes      []access.Scope
	ExpiresAt   time.Time
	RotatedAt   time.Time // zero = never
	UsedAt      time.Time // of the last sign-in, to the hour; zero = never
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Rev         int64 // of the stored row: the precondition of its next write
}

// ParentID returns the id of the key that k was made with, 0 for none.
func (k Key) ParentID() int64 { return k.Lineage[0].Key }

// KeyRef names a service key of an organisation.
type KeyRef struct{ User, Key int64 }

// Lineage is the chain of keys that a key was made with, its parent first; zero
// elements end it.
type Lineage [MaxGenerations - 1]KeyRef

// Keys returns the members of the chain.
func (l Lineage) Keys() []KeyRef {
	for n, r := range l {
		if r == (KeyRef{}) {
			return l[:n]
		}
	}
	return l[:]
}

// Has reports whether the key is one of the chain.
func (l Lineage) Has(key int64) bool {
	return slices.ContainsFunc(l.Keys(), func(r KeyRef) bool { return r.Key == key })
}

// of returns the lineage of a key that is made with parent, whose own lineage
// is l. It reports false if the chain is full.
func (l Lineage) of(parent KeyRef) (Lineage, bool) {
	child := Lineage{parent}
	copy(child[1:], l[:])
	return child, l[len(l)-1] == KeyRef{}
}

// Session is what a sign-in opens. Token is shown once; of it only a hash is
// kept.
type Session struct {
	Caller    Caller
	Token     string // shown to whoever signed in, never stored or logged
	ExpiresIn time.Duration
}

// Origin is where a request came from, for the audit. The texts are capped and
// free of control characters.
type Origin struct {
	IP        string
	UserAgent string
	URL       string // path and the names of query parameters, never their values
	RequestID string
}

// Caller is who a request comes from, as read from the store for this request.
// It is a parameter of every operation: one without a caller does not compile.
type Caller struct {
	Org     Org
	User    User
	Teams   []int64 // User.Teams, for the roles that the teams were granted
	KeyID   int64   // the service key that the session came from
	KeyName string
	// Lineage, Scopes and Expires are the key's rights: the scopes that the key
	// and all keys of its lineage hold, and the earliest of their expiries.
	Lineage Lineage
	Scopes  []access.Scope
	Expires time.Time
	Origin  Origin

	operator bool
}

// Operator is the caller of the operator's commands on one organisation. It has
// no user and no key, may act on every user and key of the organisation, and is
// made only where the machine or IAM has admitted the operator.
func Operator(org Org) Caller { return Caller{Org: org, operator: true} }

// IsOperator reports whether the caller is the operator.
func (c Caller) IsOperator() bool { return c.operator }
