// Package identity knows organisations, users, their service keys and their
// sessions, and tells who a request comes from.
package identity

import (
	"time"

	"credence/shared/access"
)

// Org is an organisation: the boundary that nothing crosses.
type Org struct {
	ID          int64
	Name        string
	EmailDomain string
	Suspended   bool // by the operator: none of its keys or sessions is accepted
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
	KeyCount  int // service keys that exist; at most MaxKeysPerUser
	CreatedAt time.Time
	UpdatedAt time.Time
	Rev       int64 // of the stored row: the precondition of its next write
}

// Key is a service key, without its secret: of that only a hash is kept.
type Key struct {
	ID          int64
	OrgID       int64
	OwnerID     int64 // the user it signs in
	Name        string
	Description string
	Paused      bool
	Scopes      []access.Scope
	ExpiresAt   time.Time
	RotatedAt   time.Time // zero = never
	UsedAt      time.Time // of the last sign-in, to the hour; zero = never
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Rev         int64 // of the stored row: the precondition of its next write
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
	KeyID   int64 // the service key that the session came from
	KeyName string
	Scopes  []access.Scope
	Origin  Origin

	operator bool
}

// Operator is the caller of the operator's commands on one organisation. It has
// no user and no key, may act on every user and key of the organisation, and is
// made only where the machine or IAM has admitted the operator.
func Operator(org Org) Caller { return Caller{Org: org, operator: true} }
