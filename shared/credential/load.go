package credential

import (
	"context"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/identity"
	"credence/shared/store"
)

// ForRead is what an operation that only reads a credential starts from: its row and
// that of its accessors.
// The other loads have a row more each. A load is read in the round trip that
// authenticates the caller, and belongs to one request.
type ForRead struct {
	org, id int64
	c       Credential
	found   bool
	err     error // of decoding the row
}

// Of names the credential.
func (l *ForRead) Of(id int64) { l.id = id }

// Keys implements identity.Load.
func (l *ForRead) Keys(org int64) []store.Key {
	l.org = org
	return []store.Key{RowKey(org, l.id), accessorsKey(org, l.id)}
}

// Fill implements identity.Load.
func (l *ForRead) Fill(rows []store.Item) {
	if l.c, l.found, l.err = decode(l.org, l.id, rows[0]); l.err == nil && l.found {
		l.err = l.c.takeAccessors(rows[1])
	}
}

// Resource returns the kind of thing that is loaded, as errors name it.
func (l *ForRead) Resource() string { return ResourceType }

// OwnerSeenBy returns the owner of the credential if the caller holds a role on it;
// else 0. It is for the record of a denial.
func (l *ForRead) OwnerSeenBy(who identity.Caller) int64 {
	if l.err != nil || !l.found || role(who, l.c, time.Time{}) == access.None {
		return 0
	}
	return l.c.Owner
}

// ForChange is for operations that append to the credential's chain of changes.
type ForChange struct {
	ForRead
	head audit.Head
}

// Keys implements identity.Load.
func (l *ForChange) Keys(org int64) []store.Key {
	return append(l.ForRead.Keys(org), audit.HeadKey(org, l.id))
}

// Fill implements identity.Load.
func (l *ForChange) Fill(rows []store.Item) {
	l.ForRead.Fill(rows)
	l.head = audit.DecodeHead(rows[2])
}

// ForLog is for the audit log, whose head outlives the credential.
type ForLog struct{ ForChange }

// ForProbe is for operations that take the credential's lease.
type ForProbe struct {
	ForRead
	lease lease
}

// Keys implements identity.Load.
func (l *ForProbe) Keys(org int64) []store.Key {
	return append(l.ForRead.Keys(org), leaseKey(org, l.id))
}

// Fill implements identity.Load.
func (l *ForProbe) Fill(rows []store.Item) {
	l.ForRead.Fill(rows)
	l.lease = decodeLease(rows[2])
}

// ForSwitch is for a proposal, which takes the lease and then changes.
type ForSwitch struct {
	ForChange
	lease lease
}

// Keys implements identity.Load.
func (l *ForSwitch) Keys(org int64) []store.Key {
	return append(l.ForChange.Keys(org), leaseKey(org, l.id))
}

// Fill implements identity.Load.
func (l *ForSwitch) Fill(rows []store.Item) {
	l.ForChange.Fill(rows)
	l.lease = decodeLease(rows[3])
}

// reload reads a load anew, after another change came first.
func (s Service) reload(ctx context.Context, who identity.Caller, l identity.Load) error {
	rows, err := s.Store.Get(ctx, l.Keys(who.Org.ID)...)
	if err == nil {
		l.Fill(rows)
	}
	return err
}

// lease is the row of a credential's lease; the zero lease is none.
type lease struct {
	claim       int64
	until, next time.Time // when it ends, and when the next probe may begin
}

func decodeLease(i store.Item) lease {
	return lease{claim: i.Attributes.Int("claim"), until: i.Attributes.Time("until"), next: i.Attributes.Time("next")}
}
