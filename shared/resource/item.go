package resource

import (
	"cmp"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/audit"
	"credence/shared/identity"
	"credence/shared/store"
)

// The items, all in the meta table:
//
//	ORG#<o>       SRC#<id> or SNK#<id>   a resource; rev counts its writes
//	ORG#<o>#U#<u> SRC#<id> or SNK#<id>   its place in its owner's list; no right is read from it
//
// The head of its audit chain is never removed and has the id in its key, so an id
// names at most one credential or resource for ever.

func rowKey(k Kind, org, id int64) store.Key {
	return store.Key{Table: store.Meta, Partition: identity.OrgPartition(org), Sort: store.NewKeyText().Padded(kinds[k].prefix, id).String()}
}

// RowKey is the key of the row of a resource, whose kind has the name resource in audit
// entries. It reports false for any other name.
func RowKey(resource string, org, id int64) (store.Key, bool) {
	for k := range kinds {
		if kinds[k].resource == resource {
			return rowKey(Kind(k), org, id), true
		}
	}
	return store.Key{}, false
}

func ownerKey(r Resource) store.Key {
	k := rowKey(r.Kind, r.Org, r.ID)
	k.Partition = identity.UserPartition(r.Org, r.Owner)
	return k
}

func encode(r Resource) store.Write {
	a := store.Attributes{
		"rev": r.rev + 1, "owner": r.Owner, "name": r.Name, "type": r.Type, "status": string(r.Status), "credential": r.Credential,
	}
	if r.Description != nil {
		a["desc"] = *r.Description
	}
	a.SetText("config", string(r.Config))
	if r.DataSet != 0 {
		a["data_set"] = r.DataSet
	}
	if r.CopiedFrom != 0 {
		a["copied"] = r.CopiedFrom
	}
	a.SetTime("created", r.CreatedAt)
	a.SetTime("updated", r.UpdatedAt)
	condition := store.Absent()
	if r.rev > 0 {
		condition = store.Equal("rev", r.rev)
	}
	return store.Write{Verb: store.Put, Item: store.Item{Key: rowKey(r.Kind, r.Org, r.ID), Attributes: a}, If: condition}
}

// decode reads a row. It reports false for one that is not there.
func decode(k Kind, org int64, i store.Item) (Resource, bool, error) {
	if !i.Found() {
		return Resource{}, false, nil
	}
	id, ok := store.Numbered(i.Key.Sort, kinds[k].prefix)
	a := i.Attributes
	if !ok || a.Int("owner") == 0 {
		return Resource{}, false, fmt.Errorf("reading the row of a %s: its key or its owner is malformed", kinds[k].noun)
	}
	r := Resource{
		Kind: k, ID: id, Org: org, Owner: a.Int("owner"), Name: a.Text("name"), Type: a.Text("type"), Status: Status(a.Text("status")),
		Credential: a.Int("credential"), DataSet: a.Int("data_set"), CopiedFrom: a.Int("copied"),
		CreatedAt: a.Time("created"), UpdatedAt: a.Time("updated"), rev: a.Int("rev"),
	}
	if d, ok := a["desc"].(string); ok {
		r.Description = &d
	}
	if text := a.Text("config"); text != "" {
		r.Config = jsontext.Value(text)
	}
	return r, true, nil
}

// change is one change of a resource on its way to a commit. before is zero for a
// new resource, after for one that is deleted.
type change struct {
	who           identity.Caller
	before, after Resource
	head          audit.Head
	event         audit.Event
	fields        map[string]audit.Change
	summary       []string
	email         string // of the new owner, after a transfer
}

// writes makes the row, its place in its owner's list and its audit entry.
func (ch change) writes(entry audit.Entry) ([]store.Write, error) {
	of, gone := ch.after, ch.after.ID == 0
	var writes []store.Write
	if gone {
		of = ch.before
		writes = []store.Write{
			{Verb: store.Delete, Item: store.Item{Key: rowKey(of.Kind, of.Org, of.ID)}, If: store.Equal("rev", of.rev)},
			{Verb: store.Delete, Item: store.Item{Key: ownerKey(of)}, If: store.Always()},
		}
	} else {
		writes = []store.Write{encode(of)}
		if ch.before.Owner != of.Owner {
			writes = append(writes, store.Write{Verb: store.Put, Item: store.Item{Key: ownerKey(of), Attributes: store.Attributes{}}, If: store.Always()})
		}
		if ch.before.Owner != of.Owner && ch.before.ID != 0 {
			writes = append(writes, store.Write{Verb: store.Delete, Item: store.Item{Key: ownerKey(ch.before)}, If: store.Always()})
		}
	}
	entry.Org, entry.Credential, entry.OwnerID = of.Org, of.ID, of.Owner
	entry.OwnerEmail = cmp.Or(ch.email, ch.head.OwnerEmail)
	if of.Owner == ch.who.User.ID {
		entry.OwnerEmail = ch.who.User.Email
	}
	entry.Subject = audit.Subject{Type: of.Kind.String(), ID: of.ID, Name: of.Name}
	entry.Summary, entry.Changes = ch.summary, ch.fields
	trail, err := audit.Record(ch.head, gone, entry)
	return append(writes, trail...), err
}

// compare records the changed fields under their names on the wire.
func (ch *change) compare() {
	ch.fields = map[string]audit.Change{}
	note := func(name string, before, after any) {
		if before != after {
			ch.fields[name] = audit.Change{before, after}
			ch.summary = append(ch.summary, name+" changed")
		}
	}
	b, a := ch.before, ch.after
	prefix := kinds[a.Kind].reference[len("data_"):]
	note("name", b.Name, a.Name)
	note("description", text(b.Description), text(a.Description))
	note(prefix+"_type", b.Type, a.Type)
	note("status", string(b.Status), string(a.Status))
	note("data_credentials_id", number(b.Credential), number(a.Credential))
	note("data_set_id", number(b.DataSet), number(a.DataSet))
	note("owner_id", b.Owner, a.Owner)
	if string(b.Config) != string(a.Config) { // its values are the pipeline's own
		ch.fields[prefix+"_config"] = audit.Change{nil, nil}
		ch.summary = append(ch.summary, prefix+"_config changed")
	}
}

func text(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

func number(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}
