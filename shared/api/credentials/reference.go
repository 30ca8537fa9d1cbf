package credentials

import (
	"context"
	"fmt"
	"strconv"

	"credence/shared/credential"
	"credence/shared/httpapi"
	"credence/shared/id"
)

// reference is something that uses a credential.
type reference struct {
	Type    string `json:"type"`
	ID      any    `json:"id"` // a number or a text, as it was registered
	Name    string `json:"name"`
	OwnerID int64  `json:"owner_id"`
	OrgID   int64  `json:"org_id"`
}

// usage is what uses a credential, sources and sinks apart from the rest.
type usage struct {
	ID      int64       `json:"id"`
	Name    string      `json:"name"`
	Sources []reference `json:"data_sources"`
	Sinks   []reference `json:"data_sinks"`
	Others  []reference `json:"others"`
	Readers []reader    `json:"read_by"`
}

// reader is a service key that has read the secret, and the last version that it read.
type reader struct {
	User    auditUser `json:"user"`
	Key     int64     `json:"service_key_id"`
	Version int64     `json:"version"`
	Day     string    `json:"last_read_on"`
}

func referencesOf(org int64, list []credential.Reference) []reference {
	out := make([]reference, 0, len(list))
	for _, r := range list {
		w := reference{Type: r.Kind, ID: r.ID, Name: r.Name, OwnerID: r.Owner, OrgID: org}
		if n, err := strconv.ParseInt(r.ID, 10, 64); r.Number && err == nil {
			w.ID = n
		}
		out = append(out, w)
	}
	return out
}

func (a Reading) referencedBy(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	_, list, err := a.Service.References(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.SortedList(r, paging, referencesOf(r.Caller.Org.ID, list), true, reference.mark)
}

// mark sorts references by type, then by id: numbers before texts.
func (r reference) mark() httpapi.Mark {
	if n, ok := r.ID.(int64); ok {
		return httpapi.Mark{Text: r.Type, Number: n}
	}
	return httpapi.Mark{Text: fmt.Sprintf("%s#%v", r.Type, r.ID)}
}

func (a Reading) usage(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	c, list, reads, err := a.Service.Usage(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	u := usage{ID: c.ID, Name: c.Name, Sources: []reference{}, Sinks: []reference{}, Others: []reference{}, Readers: []reader{}}
	for _, read := range reads {
		user, key := read.Key()
		u.Readers = append(u.Readers, reader{User: auditUser{ID: user, Email: read.Email}, Key: key, Version: read.Version, Day: read.Day})
	}
	for _, ref := range referencesOf(r.Caller.Org.ID, list) {
		switch ref.Type {
		case "data_source":
			u.Sources = append(u.Sources, ref)
		case "data_sink":
			u.Sinks = append(u.Sinks, ref)
		default:
			u.Others = append(u.Others, ref)
		}
	}
	return httpapi.Answer{Body: u}, nil
}

// link makes the handlers that add and remove a user of a credential; both
// answer all that are left.
func (a Editing) link(on bool) changing {
	return func(ctx context.Context, r *httpapi.Request, l *credential.ForChange) (httpapi.Answer, error) {
		ref, err := sentReference(r)
		if err != nil {
			return httpapi.Answer{}, err
		}
		change := a.Editor.Unlink
		if on {
			change = a.Editor.Link
		}
		list, err := change(ctx, r.Caller, l, ref)
		if err != nil {
			return httpapi.Answer{}, err
		}
		return httpapi.Answer{Body: referencesOf(r.Caller.Org.ID, list)}, nil
	}
}

func sentReference(r *httpapi.Request) (credential.Reference, error) {
	o, err := r.BodyOf(httpapi.Names{Known: []string{"type", "id", "name"}, Ignored: []string{"owner_id", "org_id"}})
	if err != nil {
		return credential.Reference{}, err
	}
	o.Require("type", "id")
	var ref credential.Reference
	ref.Kind, _ = o.Text("type", httpapi.TextRule{Max: 32, Exact: true})
	ref.Name, _ = o.Text("name", httpapi.TextRule{})
	if raw, state := o.Node("id"); state == httpapi.Present && raw.Kind() == '0' {
		n, _ := o.Int("id", 1, id.Max)
		ref.ID, ref.Number = strconv.FormatInt(n, 10), true
	} else {
		ref.ID, _ = o.Text("id", httpapi.TextRule{Max: 64, Exact: true})
	}
	return ref, o.Err()
}
