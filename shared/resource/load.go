package resource

import (
	"context"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/identity"
	"credence/shared/store"
)

// Load is the row of one resource and the head of its log, read in the round trip
// that authenticates the caller. Use ForSource or ForSink.
type Load struct {
	kind    Kind
	org, id int64
	r       Resource
	head    audit.Head
	found   bool
	err     error // of decoding the row
}

// ForSource loads a data source.
type ForSource struct{ Load }

// ForSink loads a data sink.
type ForSink struct{ Load }

// Of names the source.
func (l *ForSource) Of(id int64) { l.kind, l.id = Source, id }

// Of names the sink.
func (l *ForSink) Of(id int64) { l.kind, l.id = Sink, id }

// Resource returns the kind of thing that is loaded, as errors name it.
func (l *ForSource) Resource() string { return Source.String() }

// Resource returns the kind of thing that is loaded, as errors name it.
func (l *ForSink) Resource() string { return Sink.String() }

// Loaded returns the load that both kinds share.
func (l *Load) Loaded() *Load { return l }

// Keys implements identity.Load.
func (l *Load) Keys(org int64) []store.Key {
	l.org = org
	return []store.Key{rowKey(l.kind, org, l.id), audit.HeadKey(org, l.id)}
}

// Fill implements identity.Load.
func (l *Load) Fill(rows []store.Item) {
	l.r, l.found, l.err = decode(l.kind, l.org, rows[0])
	l.head = audit.DecodeHead(rows[1])
}

// OwnerSeenBy returns 0: a denial for want of a scope is recorded in the log of the
// organisation alone.
func (l *Load) OwnerSeenBy(identity.Caller) int64 { return 0 }

// reload reads a load again, after another change was committed first.
func (s Service) reload(ctx context.Context, who identity.Caller, l *Load) error {
	rows, err := s.store().Get(ctx, l.Keys(who.Org.ID)...)
	if err == nil {
		l.Fill(rows)
	}
	return err
}

// open checks that the caller holds a role on a loaded resource. Each role on a
// resource includes every right to it.
func open(who identity.Caller, l *Load) (Resource, access.Role, error) {
	if l.err != nil {
		return Resource{}, access.None, l.err
	}
	held := role(who, l.r)
	if !l.found || held == access.None {
		return Resource{}, access.None, notFound(l.kind, l.id)
	}
	return l.r, held, nil
}
