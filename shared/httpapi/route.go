// Package httpapi is the one shell around every endpoint: sign-in,
// permission, limits, strict decoding, errors, the request's log line. An
// endpoint behind it is a few lines of intent.
package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/identity"
)

// Route is one endpoint. Stack refuses a route that is neither Public nor
// Needs something.
type Route struct {
	// Pattern is METHOD /path/{name}: the spelling of both net/http and an
	// HTTP API route key.
	Pattern string
	// Needs is the set of permissions that the route's effects require. The
	// caller's key must hold the scopes of all of them. The domain checks the
	// role on the thing concerned.
	Needs access.Permission
	// Public routes are answered without authentication, and take no body.
	Public bool
	// Resource is what {id} in the pattern names ("DataCredentials"). Errors
	// of the route carry it with the id, whoever made them, so that a 404
	// looks the same whatever the reason. "" where there is no {id}.
	Resource string
	// Within bounds the whole request, sign-in included; 0 = 6 s.
	Within time.Duration
	// Heavy routes read and answer many rows. Few of them run at once, so that
	// their memory is bounded.
	Heavy bool
	// Query lists the query parameters that the endpoint reads: "name" one of them,
	// "name[]" a list, which may be sent under both spellings, "name*" all that
	// begin with name. Any other parameter is answered 400 with the nearest of
	// these. Handle must call Request.Query if there are any.
	Query []string
	// Handle does the work. Whatever error it returns is rendered by errors.go.
	Handle func(ctx context.Context, r *Request) (Answer, error)

	load func(id int64) Load // nil: nothing is loaded
}

// Load is what an endpoint on one thing starts from.
type Load interface {
	identity.Load
	// Of names the thing by its id.
	Of(id int64)
	// Resource returns what errors call such a thing.
	Resource() string
	// OwnerSeenBy returns the owner of a loaded thing, or 0 if there is none that the
	// caller may see. A denial for want of a scope is recorded in its log too.
	OwnerSeenBy(who identity.Caller) int64
}

// On makes the route of an endpoint on the thing that {id} in the pattern names.
// Its load is read in the round trip that authenticates the caller. The type of the
// load is that of the handler's parameter: no route can have another's.
func On[T any, L interface {
	*T
	Load
}](pattern string, needs access.Permission, handle func(ctx context.Context, r *Request, on L) (Answer, error)) Route {
	return Route{
		Pattern: pattern, Needs: needs, Resource: L(new(T)).Resource(),
		load: func(id int64) Load {
			on := L(new(T))
			on.Of(id)
			return on
		},
		Handle: func(ctx context.Context, r *Request) (Answer, error) {
			on, ok := r.load.(L)
			if !ok { // the path has no id
				return Answer{}, fault.New(fault.CodeNotFound, notFound)
			}
			return handle(ctx, r, on)
		},
	}
}

// Request is what an endpoint sees.
type Request struct {
	HTTP   *http.Request   // its Body is spent: use Body, List and HasBody
	Caller identity.Caller // zero on a public route
	Origin identity.Origin // set on every route; equal to Caller.Origin on a signed-in one
	load   Load            // of a route that On made
	body   []byte
	query  []string // of the route
}

// Answer is what an endpoint says. Body is a wire struct, a slice of them or a
// jsontext.Value, or an Asset; nil is the empty object. Status 0 is 200.
type Answer struct {
	Status int
	Header http.Header
	Body   any
	Secret bool // Body is a jsontext.Value of this answer's own, which is cleared once it is sent
	list   bool // made by List: too many bytes are the caller's to page through
}

// ID is the number in the path under name. What is no id (RFC 7493, section
// 2.2: a positive integer below 2^53, in its one decimal spelling) gets the
// answer of an id that names nothing.
func (r *Request) ID(name string) (int64, error) {
	id := pathID(r.HTTP, name)
	if id == 0 {
		return 0, fault.New(fault.CodeNotFound, notFound)
	}
	return id, nil
}

// pathID is ID with 0 for what is no id.
func pathID(r *http.Request, name string) int64 {
	id, _ := parseID(r.PathValue(name))
	return id
}

// Idempotency reads the header Idempotency-Key: 16 to 64 printable characters, for
// which a repetition of the request is recognised. The zero value stands for a
// request without it.
func (r *Request) Idempotency() (identity.Idempotency, error) {
	key := r.HTTP.Header.Get("Idempotency-Key")
	if key == "" {
		return identity.Idempotency{}, nil
	}
	ok := len(key) >= 16 && len(key) <= 64
	for _, c := range []byte(key) {
		ok = ok && c > ' ' && c < 0x7f
	}
	if !ok {
		return identity.Idempotency{}, fault.New(fault.CodeInvalidParameter, "Send an Idempotency-Key of 16 to 64 printable characters, such as a UUID.")
	}
	return identity.Idempotency{Key: key, Body: slices.Concat([]byte(r.HTTP.Method+" "+r.HTTP.URL.Path+"\n"), r.body)}, nil
}
