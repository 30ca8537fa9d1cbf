// Package credential is the domain: what a credential is, who may do what with
// it, and how each change is made so that nothing is lost or half-written. It
// knows the contracts of the store and the key service, and none of their
// implementations.
package credential

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
)

// Interval is how often the schedule probes a credential.
type Interval string

// The intervals.
const (
	Off    Interval = "off"
	Hourly Interval = "hourly"
	Daily  Interval = "daily"
)

// Credential is all that is known of a credential but its secret.
type Credential struct {
	ID, Org, Owner int64
	Name           string
	Description    *string
	Type           string
	Format         string // credentials_version on the wire: a format version of the client's own
	Tags           []string
	Public         jsontext.Value // the type's public settings that were sent
	Interval       Interval
	CopiedFrom     int64 // 0 = made anew

	Version       int64 // moves when a person changes it: the ETag
	SecretVersion int64 // the active one
	LastSecret    int64 // the highest ever given; numbers are never used again
	References    int64 // how many things use it

	Status     string // verified_status; "" = null
	VerifiedAt time.Time
	Validity   Validity
	Ends       Ends
	LastProbe  *LastProbe
	Probes     int64 // how many outcomes were recorded: the place in the ring of results

	CreatedAt, UpdatedAt time.Time

	accessors []Accessor // as they are loaded: see ForRead
	shared    int64      // revision of the row of the accessors; 0 = never shared
	torn      bool       // the accessors are not those of that revision

	rev       int64  // of the stored row: the precondition of its next write
	rejection string // of the latest valid probe; kept with the version alone
}

// Validity is what is known of a credential, for the list's filter.
type Validity string

// The validities.
const (
	Untested        Validity = "untested" // never probed since its secret was last set
	ValidityUnknown Validity = "unknown"  // probed, but never with a verdict
	ValidityValid   Validity = "valid"    // the last verdict
	ValidityInvalid Validity = "invalid"
)

// LastProbe is the short form of the newest result, whatever its verdict.
type LastProbe struct {
	Verdict   probe.Verdict
	Code      probe.Code
	Message   string
	Pointer   string
	CheckedAt time.Time
}

// View is a credential as one caller may see it.
type View struct {
	Credential
	Role  access.Role
	Owner identity.User
	Org   identity.Org
	// Warnings are about the request that led to this view, which was carried out.
	Warnings []fault.Detail
}

// Full reports whether the caller sees the public settings too.
func (v View) Full() bool { return v.Role >= access.Admin }

// Version is one version of the secret, without the secret.
type Version struct {
	Number    int64
	Type      string
	Public    jsontext.Value
	Known     []string // the type's own fields that it holds, by canonical name
	MadeAt    time.Time
	MadeBy    int64
	MadeEmail string
	Status    string
	Verified  time.Time
	Ends      Ends
	Rejection string // probe.Result.Rejection of the latest valid probe, for probe.Runner.Recheck
	Active    bool
}

// ResourceType is the name of a credential on the wire.
const ResourceType = "DataCredentials"

// MaxVersions is how many versions of a secret are kept.
const MaxVersions = 10

// Reference is something that uses a credential: a source, a sink, or whatever
// a client registers. As long as there is one, the credential cannot be
// deleted.
type Reference struct {
	Kind   string // data_source, data_sink, pipeline, …
	ID     string // the other thing's own: a number, or a text of at most 64 bytes
	Name   string
	Owner  int64 // the user who linked it
	Number bool  // the id came as a number
	// HeldBy is the sort key, in the organisation's partition, of the row of a data
	// source or sink, which alone removes the reference; "" = a client registered it.
	HeldBy string
}

// PublicOrEmpty is the public settings as an object, whatever is stored.
func (c Credential) PublicOrEmpty() jsontext.Value {
	if len(c.Public) == 0 {
		return jsontext.Value("{}")
	}
	return c.Public
}

// Tag is the strong entity tag of the credential's version (RFC 9110, 8.8.3).
func (c Credential) Tag() string { return fmt.Sprintf(`"v%d"`, c.Version) }
