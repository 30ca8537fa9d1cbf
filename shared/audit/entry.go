// Package audit keeps who did what. Changes of one credential form a chain:
// each carries its number and the hash of the one before, and commits together
// with the change itself. Observations (a probe, a denial, a reveal) change
// nothing and stay outside the chain, so that they never contend on its head.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/identity"
	"credence/shared/store"
)

// Event is what happened.
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
)

// Change is one field before and after; nil stands for null. Secrets have no
// place in it, masked or not.
type Change [2]any

// Entry is one line of the audit log.
type Entry struct {
	ID         int64 // time-ordered, unique within the log
	Org        int64
	Credential int64
	Event      Event
	Summary    []string
	Changes    map[string]Change
	UserID     int64
	UserEmail  string
	OwnerID    int64
	OwnerEmail string
	Origin     identity.Origin
	At         time.Time
}

// Head is the end of a credential's chain of changes. It outlives the
// credential, as a tombstone that keeps who may read the log.
type Head struct {
	Number     int64 // of the last change; 0 = none yet
	LastID     int64 // of its entry
	Hash       string
	OwnerID    int64
	OwnerEmail string
	Gone       bool
}

const prefix = "E#"

func partition(org, credential int64) string {
	return fmt.Sprintf("ORG#%d#C#%d", org, credential)
}

// HeadKey is where the head of a credential's chain lies.
func HeadKey(org, credential int64) store.Key {
	return store.Key{Table: store.Audit, Partition: partition(org, credential), Sort: "HEAD"}
}

// DecodeHead reads a head; the zero Item gives the head of an empty chain.
func DecodeHead(i store.Item) Head {
	a := i.Attributes
	return Head{
		Number:     a.Int("n"),
		LastID:     a.Int("last"),
		Hash:       a.Text("hash"),
		OwnerID:    a.Int("owner"),
		OwnerEmail: a.Text("owner_email"),
		Gone:       a.Bool("gone"),
	}
}

// Record makes the writes that put a change and move the head behind it. They
// belong into the commit of the change itself, whose precondition on the head
// makes two changes of one credential queue up. With gone, the head becomes
// the tombstone. An entry's id is raised behind that of the change before it:
// ids of one millisecond are in no order of their own.
func Record(head Head, e Entry, gone bool) ([]store.Write, error) {
	e.ID = max(e.ID, head.LastID+1)
	item, err := encode(e)
	if err != nil {
		return nil, err
	}
	item.Attributes["n"] = head.Number + 1
	item.Attributes["prev"] = head.Hash
	hash, err := digest(item.Attributes)
	if err != nil {
		return nil, err
	}
	next := store.Attributes{
		"n": head.Number + 1, "last": e.ID, "hash": hash, "owner": e.OwnerID, "owner_email": e.OwnerEmail, "gone": gone,
	}
	condition := store.Absent()
	if head.Number > 0 {
		condition = store.Equal("hash", head.Hash)
	}
	return []store.Write{
		{Verb: store.Put, Item: item, If: store.Absent()},
		{Verb: store.Put, Item: store.Item{Key: HeadKey(e.Org, e.Credential), Attributes: next}, If: condition},
	}, nil
}

// Observe makes the write of an entry that changes nothing.
func Observe(e Entry) (store.Write, error) {
	item, err := encode(e)
	if err != nil {
		return store.Write{}, err
	}
	return store.Write{Verb: store.Put, Item: item, If: store.Absent()}, nil
}

func entryKey(e Entry) store.Key {
	return store.Key{
		Table:     store.Audit,
		Partition: partition(e.Org, e.Credential),
		Sort:      fmt.Sprintf("%s%016d", prefix, e.ID),
	}
}

func encode(e Entry) (store.Item, error) {
	a := store.Attributes{
		"event": string(e.Event), "user": e.UserID, "user_email": e.UserEmail,
		"owner": e.OwnerID, "owner_email": e.OwnerEmail,
	}
	a.SetTime("at", e.At)
	a.SetText("ip", e.Origin.IP)
	a.SetText("agent", e.Origin.UserAgent)
	a.SetText("url", e.Origin.URL)
	a.SetText("request", e.Origin.RequestID)
	for name, v := range map[string]any{"summary": e.Summary, "changes": e.Changes} {
		text, err := json.Marshal(v, json.Deterministic(true))
		if err != nil {
			return store.Item{}, fmt.Errorf("encoding an audit entry's %s: %w", name, err)
		}
		a[name] = string(text)
	}
	return store.Item{Key: entryKey(e), Attributes: a}, nil
}

// digest is SHA-256 over the canonical JSON of all attributes, the number and
// the previous hash among them, so that no entry can change or move unseen.
func digest(a store.Attributes) (string, error) {
	text, err := json.Marshal(map[string]any(a), json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("hashing an audit entry: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Decode reads an entry back.
func Decode(org, credential int64, i store.Item) (Entry, error) {
	a := i.Attributes
	e := Entry{
		Org: org, Credential: credential, Event: Event(a.Text("event")),
		UserID: a.Int("user"), UserEmail: a.Text("user_email"),
		OwnerID: a.Int("owner"), OwnerEmail: a.Text("owner_email"), At: a.Time("at"),
		Origin: identity.Origin{IP: a.Text("ip"), UserAgent: a.Text("agent"), URL: a.Text("url"), RequestID: a.Text("request")},
	}
	if _, err := fmt.Sscanf(i.Key.Sort, prefix+"%d", &e.ID); err != nil {
		return Entry{}, fmt.Errorf("reading an audit entry's id: %w", err)
	}
	if err := json.Unmarshal([]byte(a.Text("summary")), &e.Summary); err != nil {
		return Entry{}, fmt.Errorf("reading an audit entry's summary: %w", err)
	}
	changes := jsontext.Value(a.Text("changes"))
	if err := json.Unmarshal(changes, &e.Changes); err != nil {
		return Entry{}, fmt.Errorf("reading an audit entry's changes: %w", err)
	}
	return e, nil
}
