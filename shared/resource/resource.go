// Package resource is the domain of data sources and data sinks: what pipelines read
// from and write to with a credential. A resource registers as a user of its
// credential in the commit that creates, changes or deletes it, so a credential in
// use cannot be deleted.
package resource

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
)

// Kind is one of the two kinds of resource.
type Kind uint8

// The kinds.
const (
	Source Kind = iota
	Sink
)

// kinds has the names of each kind: in errors and audit entries, among the users of
// a credential, in sentences, and in sort keys.
var kinds = [...]struct{ resource, reference, noun, prefix string }{
	Source: {"DataSource", "data_source", "data source", "SRC#"},
	Sink:   {"DataSink", "data_sink", "data sink", "SNK#"},
}

// String returns the kind's name in errors and audit entries.
func (k Kind) String() string { return kinds[k].resource }

// Status is whether pipelines may use a resource. This service stores it and acts
// on none of the values.
type Status string

// The statuses.
const (
	Init   Status = "INIT" // created, and never activated or paused
	Active Status = "ACTIVE"
	Paused Status = "PAUSED"
)

// Limits of a resource.
const (
	MaxNameRunes   = 255
	MaxConfigBytes = 16 << 10 // of the configuration, as compact JSON
)

// Resource is a data source or a data sink.
type Resource struct {
	Kind           Kind
	ID, Org, Owner int64
	Name           string
	Description    *string
	Type           string // that of its credential
	Status         Status
	Credential     int64          // 0 = none
	Config         jsontext.Value // source_config or sink_config: an object, never a secret; nil = none
	DataSet        int64          // data_set_id of a sink, which this service only stores; 0 = none
	CopiedFrom     int64          // 0 = not a copy

	CreatedAt, UpdatedAt time.Time

	rev int64 // of the stored row: the precondition of its next write
}

// View is a resource as one caller sees it.
type View struct {
	Resource
	Role  access.Role
	Owner identity.User
	Org   identity.Org
	// Used is the credential, nil if there is none or the caller holds no role on it.
	Used *credential.View
}

// Draft is a requested resource or change. A nil field was not sent.
type Draft struct {
	Name        *string
	Description *credential.Description
	Type        *string
	Credential  *int64            // 0 = null: none
	Inline      *credential.Draft // a credential to create with the resource
	Config      *jsontext.Value
	DataSet     *int64
	Faults      []fault.Detail // errors found while the body was read
}

// reference is the resource as a user of its credential.
func (r Resource) reference() credential.Reference {
	return credential.Reference{
		Kind: kinds[r.Kind].reference, ID: strconv.FormatInt(r.ID, 10), Number: true, Name: r.Name, HeldBy: rowKey(r.Kind, r.Org, r.ID).Sort,
	}
}

// apply moves the fields of the draft into the resource, except for the credential.
func (d Draft) apply(r *Resource) {
	if d.Name != nil {
		r.Name = *d.Name
	}
	if d.Description != nil {
		r.Description = d.Description.Text
	}
	if d.Type != nil {
		r.Type = *d.Type
	}
	if d.Config != nil {
		r.Config = *d.Config
	}
	if d.DataSet != nil {
		r.DataSet = *d.DataSet
	}
}

// role returns the caller's role on the resource: its owner and the admins of the
// organisation see and change it, everybody else has none.
func role(who identity.Caller, r Resource) access.Role {
	switch {
	case r.Owner == who.User.ID:
		return access.Owner
	case who.User.Admin:
		return access.Admin
	}
	return access.None
}

func notFound(k Kind, id int64) error {
	return fault.New(fault.CodeNotFound, "There is no such "+kinds[k].noun+", or you hold no role on it.").On(k.String(), id)
}

// Events are the events of a resource's log.
func Events() []audit.Event {
	return []audit.Event{audit.Created, audit.Updated, audit.Destroyed, audit.Transfer}
}
