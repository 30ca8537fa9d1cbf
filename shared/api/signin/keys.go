package signin

import (
	"cmp"
	"context"

	"credence/shared/access"
	"credence/shared/httpapi"
	"credence/shared/id"
	"credence/shared/identity"
)

func (a API) listKeys(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	paging, sorting := q.Paging(), q.Sorting()
	owner, _ := q.Int("owner_id", 1, id.Max)
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	keys, err := a.keysOf(ctx, r.Caller, owner)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]serviceKey, len(keys))
	for n, k := range keys {
		rows[n] = serviceKeyOf(k, "")
	}
	return httpapi.SortedList(r, paging, rows, sorting.Ascending, func(k serviceKey) httpapi.Mark {
		return sorting.Mark(k.ID, k.Name, k.CreatedAt, k.UpdatedAt)
	})
}

// keysOf lists the keys of a user. Without one an admin gets the keys of every
// user, and anybody else the own ones.
func (a API) keysOf(ctx context.Context, who identity.Caller, owner int64) ([]identity.Key, error) {
	if owner == 0 && who.User.Admin {
		return a.Identity.OrgKeys(ctx, who)
	}
	return a.Identity.ListKeys(ctx, who, cmp.Or(owner, who.User.ID))
}

func (a API) createKey(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	draft, err := readDraft(r, true)
	if err != nil {
		return httpapi.Answer{}, err
	}
	if draft.Idem, err = r.Idempotency(); err != nil {
		return httpapi.Answer{}, err
	}
	key, text, err := a.Identity.CreateKey(ctx, r.Caller, draft)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: serviceKeyOf(key, text)}, nil
}

func (a API) getKey(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	return keyChange(a.Identity.GetKey)(ctx, r)
}

func (a API) updateKey(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	draft, err := readDraft(r, false)
	if err != nil {
		return httpapi.Answer{}, err
	}
	key, err := a.Identity.UpdateKey(ctx, r.Caller, n, draft)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: serviceKeyOf(key, "")}, nil
}

func (a API) deleteKey(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	if _, err := a.Identity.DeleteKey(ctx, r.Caller, n); err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: done{"200", "Ok"}}, nil
}

func (a API) rotateKey(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	key, text, err := a.Identity.RotateKey(ctx, r.Caller, n)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: serviceKeyOf(key, text)}, nil
}

// keyChange serves what takes a key's id and answers the key.
func keyChange(do func(context.Context, identity.Caller, int64) (identity.Key, error)) func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
	return func(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
		n, err := r.ID("id")
		if err != nil {
			return httpapi.Answer{}, err
		}
		key, err := do(ctx, r.Caller, n)
		if err != nil {
			return httpapi.Answer{}, err
		}
		return httpapi.Answer{Body: serviceKeyOf(key, "")}, nil
	}
}

// readDraft reads a key's fields. Null is as if the field were absent, but for
// the description, which it empties.
func readDraft(r *httpapi.Request, create bool) (identity.Draft, error) {
	o, err := r.BodyOf(httpapi.Names{
		Known: []string{"name", "description", "owner_id", "scopes", "expires_at"}, Ignored: httpapi.FieldsOf(serviceKey{}),
	})
	if err != nil {
		return identity.Draft{}, err
	}
	var d identity.Draft
	if name, state := o.Text("name", httpapi.TextRule{Required: create || o.Has("name")}); state == httpapi.Present {
		d.Name = &name
	}
	if text, state := o.Text("description", httpapi.TextRule{Lines: true}); state != httpapi.Absent {
		d.Description = &text
	}
	if owner, state := o.Int("owner_id", 1, id.Max); create && state == httpapi.Present {
		d.OwnerID = &owner
	}
	if scopes, state := o.Texts("scopes", len(access.Scopes), httpapi.TextRule{OneOf: scopeNames()}); state == httpapi.Present {
		d.Scopes = make([]access.Scope, len(scopes))
		for n, s := range scopes {
			d.Scopes[n] = access.Scope(s)
		}
	}
	if at, state := o.Time("expires_at"); state == httpapi.Present {
		d.ExpiresAt = &at
	}
	return d, o.Err()
}

func scopeNames() []string {
	names := make([]string, len(access.Scopes))
	for n, s := range access.Scopes {
		names[n] = string(s)
	}
	return names
}
