package resource

import (
	"context"

	"credence/shared/fault"
	"credence/shared/identity"
)

// maxMoved bounds the transfers of one call, and so its time.
const maxMoved = 100

// Heir is the user who is to own something.
type Heir struct {
	User    int64
	Pointer string // of the user in the request
}

// Moved is the result of a transfer of all that a user owns.
type Moved struct {
	Credentials, Sources, Sinks int
	Done                        bool // nothing was left; else the call is repeated
}

// TransferAll gives all that a user owns to another active user of the organisation:
// credentials, data sources and data sinks, up to 100 in one call, each in its own
// commit. A repetition continues. It requires an admin of the organisation.
func (s Service) TransferAll(ctx context.Context, who identity.Caller, from int64, to Heir) (Moved, error) {
	var m Moved
	heir, err := s.heir(ctx, who, from, to)
	if err != nil {
		return m, err
	}
	if m.Credentials, err = s.Credentials.TransferOwned(ctx, who, from, heir, maxMoved); err != nil {
		return m, err
	}
	left := maxMoved - m.Credentials
	if m.Sources, err = s.Transfer(ctx, who, Source, from, heir, left); err != nil {
		return m, err
	}
	left -= m.Sources
	if m.Sinks, err = s.Transfer(ctx, who, Sink, from, heir, left); err != nil {
		return m, err
	}
	m.Done = left > m.Sinks
	return m, nil
}

// heir reads both users and returns the one who gets what the other owns.
func (s Service) heir(ctx context.Context, who identity.Caller, from int64, to Heir) (identity.User, error) {
	if !who.User.Admin {
		return identity.User{}, fault.New(fault.CodeForbidden, "Only an admin of the organisation transfers what a user owns. Ask one of them.").On(identity.UserResource, from)
	}
	items, err := s.store().Get(ctx, identity.UserKey(who.Org.ID, from), identity.UserKey(who.Org.ID, to.User))
	if err != nil {
		return identity.User{}, err
	}
	if !items[0].Found() {
		return identity.User{}, fault.New(fault.CodeNotFound, "There is no such user.").On(identity.UserResource, from)
	}
	if !items[1].Found() || !items[1].Attributes.Bool("active") || from == to.User {
		return identity.User{}, fault.Invalid([]fault.Detail{{
			Pointer: to.Pointer, Code: fault.DetailUnknown, Message: "There is no other active user of this organisation with this id.",
		}})
	}
	return identity.DecodeUser(items[1])
}
