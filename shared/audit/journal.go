package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"credence/shared/access"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// Journal records what belongs to no credential: sign-ins, and changes of
// service keys, users, teams and the organisation. Each day has its own partition, so
// that none grows with all sign-ins of an organisation.
type Journal struct{}

var _ identity.Journal = Journal{}

// Write makes the write of one occurrence.
func (Journal) Write(o identity.Occurrence) (store.Write, error) {
	if !slices.Contains(identity.Events(), o.Event) {
		return store.Write{}, fmt.Errorf("recording an occurrence: the event %q is not listed", o.Event)
	}
	e := By(o.By, Event(o.Event), o.At)
	e.ID, e.Org, e.OwnerID = cmp.Or(o.ID, id.New(o.At)), o.Org, o.User
	switch {
	case o.Team != 0:
		e.Subject = Subject{Type: identity.TeamResource, ID: o.Team, Name: o.TeamName}
		e.Summary = []string{strings.TrimSpace(fmt.Sprintf("team %d %s", o.Team, o.TeamName))}
	case o.Key != 0:
		e.Subject = Subject{Type: identity.KeyResource, ID: o.Key, Name: o.KeyName}
		e.Summary = []string{strings.TrimSpace(fmt.Sprintf("service key %d %s", o.Key, o.KeyName))}
	case o.User != 0:
		e.Subject = Subject{Type: identity.UserResource, ID: o.User}
		e.Summary = []string{fmt.Sprintf("user %d", o.User)}
	default:
		e.Subject = Subject{Type: identity.OrgResource, ID: o.Org}
		e.Summary = []string{fmt.Sprintf("organisation %d", o.Org)}
	}
	e.Summary = append(e.Summary, o.Details...)
	if o.By.IsOperator() {
		e.Summary = append(e.Summary, "by the operator")
	}
	w, err := OrgObservation(e)
	if !o.Expires.IsZero() && o.Expires.Before(w.Item.Expires) {
		w.Item.Expires = o.Expires
	}
	return w, err
}

// Refusals records requests that were denied because the key lacks a scope.
type Refusals struct {
	Store store.Store
	Now   func() time.Time
}

// Denied commits the entry; the caller is denied only once it is durable.
func (r Refusals) Denied(ctx context.Context, who identity.Caller, d access.Refusal) error {
	e := By(who, Denied, r.Now())
	e.OwnerID = who.User.ID
	e.Subject = Subject{Type: d.Resource, ID: d.ResourceID}
	e.Summary = []string{fmt.Sprintf("service key %d lacks %s for %s", who.KeyID, scopes(d.Missing), d.Route)}
	if d.Owner != 0 {
		e.Credential, e.OwnerID = d.ResourceID, d.Owner
	}
	return Deny(ctx, r.Store, e)
}

// denyAttempts bounds the draws of an id that no other entry of the same
// millisecond has.
const denyAttempts = 5

// Deny commits the entry of a denial to the organisation's log and, if it names
// a credential, to that credential's log too. The entry's id is drawn here, and
// drawn again if another entry has it. A denial that cannot be recorded is
// store.ErrUnavailable, also after the last draw: the caller cannot resolve a
// conflict between entries.
func Deny(ctx context.Context, s store.Store, e Entry) error {
	for attempt := 1; ; attempt++ {
		e.ID = id.New(e.At)
		w, err := OrgObservation(e)
		if err != nil {
			return err
		}
		writes := []store.Write{w}
		if e.Credential != 0 {
			if w, err = Observation(e); err != nil {
				return err
			}
			writes = append(writes, w)
		}
		err = s.Commit(ctx, writes...)
		switch {
		case err == nil || !store.Overtaken(err):
			return err
		case attempt == denyAttempts:
			return fmt.Errorf("recording a denial: %w", errors.Join(store.ErrUnavailable, err))
		}
	}
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
