// Package audit records who did what. Changes of one credential form a chain:
// each carries its number and the hash of the one before, and commits together
// with the change itself. Observations (a probe, a denial, a reveal) change
// nothing and stay outside the chain, so that they never contend on its head.
package audit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/identity"
	"credence/shared/store"
)

// Event names what happened.
type Event string

// The events of a credential.
const (
	Created    Event = "create"
	Updated    Event = "update"
	Destroyed  Event = "destroy"
	RolledBack Event = "rollback"
	Copied     Event = "copy"
	Revealed   Event = "reveal"
	Probed     Event = "probe"
	Denied     Event = "denied"
	Transfer   Event = "transfer"
	Linked     Event = "linked"
	Unlinked   Event = "unlinked"
	// AccessAdded and AccessRemoved are grants: new or changed ones, and their end.
	AccessAdded   Event = "access_added"
	AccessRemoved Event = "access_removed"
)

// Change is one field before and after; nil stands for null. Secrets have no
// place in it, masked or not.
type Change [2]any

// Subject is the thing that an entry of an organisation's log is about.
type Subject struct {
	Type string // as in the errors about it: "ServiceKey"; "" = none
	ID   int64
	Name string // "" = not known
}

// Entry is one entry of the audit log.
type Entry struct {
	ID         int64 // time-ordered, unique within the log
	Org        int64
	Credential int64   // 0 in an organisation's log
	Subject    Subject // of an entry in an organisation's log
	Event      Event
	Summary    []string
	Changes    map[string]Change
	UserID     int64 // the actor; 0 where the request was not authenticated
	UserEmail  string
	KeyID      int64 // the service key that the actor used; 0 = none
	KeyName    string
	OwnerID    int64
	OwnerEmail string
	Origin     identity.Origin
	At         time.Time

	keep time.Duration // of the organisation; 0 = the default
}

// By starts an entry about something that the caller does now.
func By(who identity.Caller, event Event, now time.Time) Entry {
	return Entry{
		Org: who.Org.ID, Event: event, At: now, Origin: who.Origin,
		UserID: who.User.ID, UserEmail: who.User.Email, KeyID: who.KeyID, KeyName: who.KeyName, keep: keep(who.Org),
	}
}

const (
	prefix = "E#" // of the sort keys of entries
	format = 2    // of the entries that are written
)

func credentialPartition(org, credential int64) string {
	return store.NewKeyText().Int("ORG#", org).Int("#C#", credential).String()
}

// PlaceOf reads from a partition of the log which credential's it is.
func PlaceOf(partition string) (org, credential int64, ok bool) {
	org, rest, ok := store.CutNumber(partition, "ORG#")
	credential, whole := store.Numbered(rest, "#C#")
	return org, credential, ok && whole
}

func dayPartition(org int64, at time.Time) string {
	return identity.OrgPartition(org) + "#DAY#" + at.UTC().Format(time.DateOnly)
}

func sortKey(id int64) string { return store.NewKeyText().Padded(prefix, id).String() }

func encode(partition string, e Entry) (store.Item, error) {
	a := store.Attributes{
		"format": int64(format), "event": string(e.Event), "user": e.UserID, "user_email": e.UserEmail,
		"owner": e.OwnerID, "owner_email": e.OwnerEmail,
	}
	if e.KeyID != 0 {
		a["key"] = e.KeyID
	}
	if e.Subject.ID != 0 {
		a["subject_id"] = e.Subject.ID
	}
	a.SetText("key_name", e.KeyName)
	a.SetText("subject", e.Subject.Type)
	a.SetText("subject_name", e.Subject.Name)
	a.SetTime("at", e.At)
	a.SetText("ip", e.Origin.IP)
	a.SetText("agent", e.Origin.UserAgent)
	a.SetText("url", e.Origin.URL)
	a.SetText("request", e.Origin.RequestID)
	summary, err := appendJSON(nil, e.Summary)
	if err != nil {
		return store.Item{}, fmt.Errorf("encoding an audit entry's summary: %w", err)
	}
	changes, err := appendChanges(nil, e.Changes)
	if err != nil {
		return store.Item{}, fmt.Errorf("encoding an audit entry's changes: %w", err)
	}
	a["summary"], a["changes"] = string(summary), string(changes)
	return store.Item{Key: store.Key{Table: store.Audit, Partition: partition, Sort: sortKey(e.ID)}, Attributes: a}, nil
}

// appendChanges appends the changes as a JSON object in the order of their names.
func appendChanges(b []byte, changes map[string]Change) ([]byte, error) {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(changes)) {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = jsontext.AppendQuote(b, name); err != nil {
			return nil, err
		}
		b = append(b, ':', '[')
		for side, v := range changes[name] {
			if side > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, v); err != nil {
				return nil, err
			}
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// appendJSON appends what json.Marshal makes of a value. Texts, lists of them and
// null, which nearly all changes consist of, are appended without reflection.
func appendJSON(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return jsontext.AppendQuote(b, v)
	case []string:
		b = append(b, '[')
		for i, text := range v {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = jsontext.AppendQuote(b, text); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	}
	text, err := json.Marshal(v, json.Deterministic(true))
	return append(b, text...), err
}

// Decode reads an entry back from its item.
func Decode(i store.Item) (Entry, error) {
	a := i.Attributes
	e := Entry{
		Event: Event(a.Text("event")), UserID: a.Int("user"), UserEmail: a.Text("user_email"),
		KeyID: a.Int("key"), KeyName: a.Text("key_name"),
		Subject: Subject{Type: a.Text("subject"), ID: a.Int("subject_id"), Name: a.Text("subject_name")},
		OwnerID: a.Int("owner"), OwnerEmail: a.Text("owner_email"), At: a.Time("at"),
		Origin: identity.Origin{IP: a.Text("ip"), UserAgent: a.Text("agent"), URL: a.Text("url"), RequestID: a.Text("request")},
	}
	if err := e.place(i.Key); err != nil {
		return Entry{}, err
	}
	if a.Int("format") == 0 && e.Credential == 0 && e.Event != Denied {
		// Entries of format 1 kept the service key that they are about as "key".
		e.Subject, e.KeyID = Subject{Type: identity.KeyResource, ID: e.KeyID}, 0
	}
	if err := json.Unmarshal([]byte(a.Text("summary")), &e.Summary); err != nil {
		return Entry{}, fmt.Errorf("reading an audit entry's summary: %w", err)
	}
	if err := json.Unmarshal(jsontext.Value(a.Text("changes")), &e.Changes); err != nil {
		return Entry{}, fmt.Errorf("reading an audit entry's changes: %w", err)
	}
	return e, nil
}

// place reads the organisation, the credential and the id from the item's key.
func (e *Entry) place(k store.Key) error {
	var owned, named bool
	e.Org, e.Credential, owned = PlaceOf(k.Partition)
	e.ID, named = store.Numbered(k.Sort, prefix)
	day := strings.HasPrefix(k.Partition, identity.OrgPartition(e.Org)+"#DAY#")
	if !owned && !day || !named || sortKey(e.ID) != k.Sort {
		return errors.New("reading an audit entry: its key is malformed")
	}
	return nil
}

// Observation makes the write of an entry that changes nothing. It expires when the
// organisation's setting, or else the default of 400 days, says so.
func Observation(e Entry) (store.Write, error) {
	return unchained(credentialPartition(e.Org, e.Credential), e)
}

// OrgObservation makes the write of an entry in its organisation's own log, for an
// event that belongs to no credential. The entry expires as Observation's does.
func OrgObservation(e Entry) (store.Write, error) { return unchained(dayPartition(e.Org, e.At), e) }

func unchained(partition string, e Entry) (store.Write, error) {
	item, err := encode(partition, e)
	if err != nil {
		return store.Write{}, err
	}
	item.Expires = e.expires()
	return store.Write{Verb: store.Put, Item: item, If: store.Absent()}, nil
}
