package auditlog

import (
	"slices"

	"credence/shared/audit"
	"credence/shared/httpapi"
)

// credentialType is the item_type of entries in a credential's log.
const credentialType = "DataCredentials"

// Entry is the wire form of an entry.
type Entry struct {
	ID          int64                   `json:"id"`
	ItemType    string                  `json:"item_type"`
	ItemID      int64                   `json:"item_id"`
	Event       audit.Event             `json:"event"`
	Summary     []string                `json:"change_summary"`
	Changes     map[string]audit.Change `json:"object_changes"`
	Association *struct{}               `json:"association_resource"`
	IP          string                  `json:"request_ip"`
	UserAgent   string                  `json:"request_user_agent"`
	URL         string                  `json:"request_url"`
	User        User                    `json:"user"`
	Key         *Key                    `json:"key"`
	OrgID       int64                   `json:"org_id"`
	OwnerID     int64                   `json:"owner_id"`
	OwnerEmail  string                  `json:"owner_email"`
	CreatedAt   httpapi.Timestamp       `json:"created_at"`
}

// User is the actor. Both fields are null where the request was not authenticated
// or came from the operator: released clients reject an entry without the object.
type User struct {
	ID    *int64  `json:"id"`
	Email *string `json:"email"`
}

// Key is the service key that the actor used.
type Key struct {
	ID   int64   `json:"id"`
	Name *string `json:"name"`
}

// Of returns the wire form of an entry.
func Of(e audit.Entry) Entry {
	w := Entry{
		ID: e.ID, ItemType: credentialType, ItemID: e.Credential, Event: e.Event,
		Summary: slices.Concat([]string{}, e.Summary), Changes: e.Changes, IP: e.Origin.IP, UserAgent: e.Origin.UserAgent,
		URL: e.Origin.URL, OrgID: e.Org, OwnerID: e.OwnerID, OwnerEmail: e.OwnerEmail, CreatedAt: httpapi.Timestamp(e.At),
	}
	if e.Credential == 0 || e.Subject.Type != "" {
		w.ItemType, w.ItemID = e.Subject.Type, e.Subject.ID
	}
	if w.Changes == nil {
		w.Changes = map[string]audit.Change{}
	}
	if e.UserID != 0 {
		w.User = User{ID: &e.UserID, Email: &e.UserEmail}
	}
	if e.KeyID != 0 {
		w.Key = &Key{ID: e.KeyID}
		if e.KeyName != "" {
			w.Key.Name = &e.KeyName
		}
	}
	return w
}

func rows(p audit.Page) []Entry {
	out := make([]Entry, 0, len(p.Entries))
	for _, e := range p.Entries {
		out = append(out, Of(e))
	}
	return out
}
