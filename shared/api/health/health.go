// Package health is the one route that says whether the service works.
package health

import (
	"context"

	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/store"
)

// API answers whether the service can do its work.
type API struct {
	Store   store.Store
	Writes  *Writes // tries a write too; nil = reads alone are tried
	Version string
}

// Routes lists the one public route.
func (h API) Routes() []httpapi.Route {
	return []httpapi.Route{{Pattern: "GET /health", Public: true, Handle: h.health}}
}

type state struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// health reads one item that is never there: a store that is away makes it a
// 503. So does one that takes no writes, if Writes are tried.
func (h API) health(ctx context.Context, _ *httpapi.Request) (httpapi.Answer, error) {
	if _, err := h.Store.Get(ctx, identity.SystemKey(0)); err != nil {
		return httpapi.Answer{}, err
	}
	if h.Writes != nil {
		if err := h.Writes.try(ctx); err != nil {
			return httpapi.Answer{}, err
		}
	}
	return httpapi.Answer{Body: state{Status: "ok", Version: h.Version}}, nil
}
