package httpapi

import (
	"context"
	"net/http"

	"credence/shared/fault"
)

type routeKeyKey struct{}

type requestIDKey struct{}

// defaultKey is the gateway's route for what no other route of it matches.
const defaultKey = "$default"

// WithRouteKey returns a context that says which route the gateway in front of
// this process chose for the request ("GET /data_credentials/{id}"). Without it
// (a plain server) CheckRouteKey has nothing to compare. The empty key and
// "$default" are keys like any other: they are no pattern, so they are refused.
func WithRouteKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, routeKeyKey{}, key)
}

// CheckRouteKey compares the gateway's choice with the pattern that the mux
// matched (http.Request.Pattern). Gateway and mux read the path differently: an
// HTTP API hands over a decoded path, so /a%2Fb arrives as /a/b. Where the two
// disagree the request is none of ours: the error is route_not_found. HEAD comes by
// $default, for the gateway has no route of that method.
func CheckRouteKey(ctx context.Context, method, pattern string) error {
	key, chosen := ctx.Value(routeKeyKey{}).(string)
	head := method == http.MethodHead && key == defaultKey
	if chosen && key != pattern && !head {
		return fault.New(fault.CodeRouteNotFound, "There is no such route. Check the path: GET /openapi.json lists every route, and none ends with a slash.")
	}
	return nil
}

// WithRequestID returns a context that carries the id which the gateway gave
// the request, so that its log and ours name the same thing.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the id that WithRequestID put there, or "" without one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
