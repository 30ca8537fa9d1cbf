package credential

import (
	"context"

	"credence/shared/identity"
	"credence/shared/store"
)

// made is what the row of an idempotency key says of a credential.
func made(c Credential) store.Attributes { return store.Attributes{"id": c.ID, "ver": c.Version} }

// replay answers what the first request with this key made. It reports false
// if the key was not used yet, or there is none.
func (e Editor) replay(ctx context.Context, who identity.Caller, i Idempotency) (View, bool, error) {
	a, found, err := i.Used(ctx, e.Store, who)
	if err != nil || !found {
		return View{}, false, err
	}
	return e.replayed(ctx, who, a)
}

// replayed is the credential of a used key's row.
func (e Editor) replayed(ctx context.Context, who identity.Caller, row store.Attributes) (View, bool, error) {
	l := ForRead{id: row.Int("id")}
	if err := e.reload(ctx, who, &l); err != nil {
		return View{}, false, err
	}
	view, err := e.Get(ctx, who, &l)
	return view, err == nil, err
}
