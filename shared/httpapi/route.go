// Package httpapi is the one shell around every JSON endpoint: sign-in,
// permission, limits, strict decoding, errors, the request's log line. An
// endpoint behind it is a few lines of intent.
package httpapi

import (
	"context"
	"net/http"

	"credence/shared/access"
	"credence/shared/identity"
	"credence/shared/store"
)

// Route is one endpoint. Stack refuses a route that is neither Public nor
// Needs something.
type Route struct {
	// Pattern is METHOD /path/{name}: the spelling of both net/http and an
	// HTTP API route key.
	Pattern string
	// Needs is the permission whose scope the caller's key must hold. The
	// role on the thing concerned is the domain's to check.
	Needs access.Permission
	// Public routes are answered without signing in.
	Public bool
	// Reads names items of the caller's organisation that the endpoint will
	// want; they join the one read that signs the caller in. May be nil. A
	// malformed request yields no keys here and its error in Handle.
	Reads func(org int64, r *http.Request) []store.Key
	// Handle does the work. Whatever error it returns is rendered by errors.go.
	Handle func(ctx context.Context, r *Request) (Answer, error)
}

// Request is what an endpoint sees.
type Request struct {
	HTTP   *http.Request
	Caller identity.Caller // zero on a public route
	Items  []store.Item    // one per key of Route.Reads, in its order
	body   []byte
}

// Answer is what an endpoint says. Body is a wire struct, a slice of them or a
// jsontext.Value. Status 0 is 200.
type Answer struct {
	Status int
	Header http.Header
	Body   any
}
