package audit

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"credence/shared/access"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// Journal keeps what belongs to no credential: sign-ins, and changes of
// service keys. Its entries lie in a partition for each day, so that no one
// partition takes all of an organisation's sign-ins for ever.
type Journal struct{}

var _ identity.Journal = Journal{}

// Write makes the write of one occurrence.
func (Journal) Write(o identity.Occurrence) (store.Write, error) {
	e := By(o.By, Event(o.Event), o.At)
	e.ID, e.Org, e.OwnerID = cmp.Or(o.ID, id.New(o.At)), o.Org, o.User
	switch {
	case o.Key != 0:
		e.Subject = Subject{Type: identity.KeyResource, ID: o.Key, Name: o.KeyName}
		e.Summary = []string{fmt.Sprintf("service key %d", o.Key)}
	case o.User != 0:
		e.Subject = Subject{Type: identity.UserResource, ID: o.User}
		e.Summary = []string{fmt.Sprintf("user %d", o.User)}
	default:
		e.Subject = Subject{Type: identity.OrgResource, ID: o.Org}
		e.Summary = []string{fmt.Sprintf("organisation %d", o.Org)}
	}
	w, err := daily(e)
	w.Item.Expires = o.Expires
	return w, err
}

// daily makes the write of an entry in the organisation's log of the day.
func daily(e Entry) (store.Write, error) {
	item, err := encode(dayPartition(e.Org, e.At), e)
	if err != nil {
		return store.Write{}, err
	}
	return store.Write{Verb: store.Put, Item: item, If: store.Absent()}, nil
}

// Refusals keeps what was refused for want of a scope. Whether the caller holds
// a role on the thing named is not known then, so the entry goes into the day's
// journal and not into a log of the thing.
type Refusals struct {
	Store store.Store
	Now   func() time.Time
}

// Denied writes the entry; a caller is refused only once it is durable.
func (r Refusals) Denied(ctx context.Context, who identity.Caller, d access.Refusal) error {
	now := r.Now()
	e := By(who, Denied, now)
	e.ID, e.OwnerID = id.New(now), who.User.ID
	e.Subject = Subject{Type: d.Resource, ID: d.ResourceID}
	e.Summary = []string{fmt.Sprintf("service key %d lacks %s for %s", who.KeyID, scopes(d.Missing), d.Route)}
	w, err := daily(e)
	if err != nil {
		return err
	}
	return r.Store.Commit(ctx, w)
}

func scopes(missing []access.Scope) string {
	names := make([]string, len(missing))
	for i, s := range missing {
		names[i] = string(s)
	}
	if len(names) == 1 {
		return "the scope " + names[0]
	}
	return "the scopes " + strings.Join(names, ", ")
}
