package audit

import (
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
	about := fmt.Sprintf("service key %d", o.Key)
	switch {
	case o.Key == 0 && o.User != 0:
		about = fmt.Sprintf("user %d", o.User)
	case o.Key == 0:
		about = fmt.Sprintf("organisation %d", o.Org)
	}
	w, err := daily(Entry{
		ID: id.New(o.At), Org: o.Org, Event: Event(o.Event), At: o.At, Origin: o.By.Origin,
		UserID: o.By.User.ID, UserEmail: o.By.User.Email, OwnerID: o.User, Summary: []string{about},
	})
	if err == nil {
		w.Item.Attributes["key"] = o.Key
	}
	return w, err
}

func daily(e Entry) (store.Write, error) {
	w, err := Observe(e)
	if err == nil {
		w.Item.Key.Partition = fmt.Sprintf("ORG#%d#DAY#%s", e.Org, e.At.UTC().Format("2006-01-02"))
	}
	return w, err
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
	w, err := daily(Entry{
		ID: id.New(now), Org: who.Org.ID, Credential: d.ResourceID, Event: Denied, At: now, Origin: who.Origin,
		UserID: who.User.ID, UserEmail: who.User.Email, OwnerID: who.User.ID,
		Summary: []string{fmt.Sprintf("service key %d lacks %s for %s", who.KeyID, scopes(d.Missing), d.Route)},
	})
	if err != nil {
		return err
	}
	w.Item.Attributes["key"] = who.KeyID
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
