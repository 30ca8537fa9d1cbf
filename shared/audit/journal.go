package audit

import (
	"fmt"

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
	item, err := encode(Entry{
		ID: id.New(o.At), Org: o.Org, Event: Event(o.Event), At: o.At, Origin: o.Origin,
		UserID: o.By.ID, UserEmail: o.By.Email, OwnerID: o.User, Summary: []string{fmt.Sprintf("service key %d", o.Key)},
	})
	if err != nil {
		return store.Write{}, err
	}
	item.Key.Partition = fmt.Sprintf("ORG#%d#DAY#%s", o.Org, o.At.UTC().Format("2006-01-02"))
	item.Attributes["key"] = o.Key
	return store.Write{Verb: store.Put, Item: item, If: store.Absent()}, nil
}
