// Package openapi is the family of routes that describe the API: an OpenAPI 3.1
// document for programs and a reference page, made of the same document, for
// people. All of it is compiled in and the same for everybody.
//
// The document is written in source/, a YAML file for each part of the API;
// openapi.json.gz is made of them by `go test ./shared/api/openapi -update`.
package openapi

import (
	"context"
	_ "embed" // the files below

	"credence/shared/httpapi"
)

// description is compressed, as it is mostly sent.
//
//go:embed openapi.json.gz
var description []byte

// API is the family of routes.
type API struct{}

// Routes lists the family's routes. All are public: they say what anybody may
// know, and the page shows how to sign in.
func (API) Routes() []httpapi.Route {
	return []httpapi.Route{
		{Pattern: "GET /openapi.json", Public: true, Handle: describe},
		{Pattern: "GET /docs", Public: true, Handle: showPage},
		{Pattern: "GET /docs/{file}", Public: true, Handle: sendFile},
	}
}

// describe answers the document as it was made, without reading it.
func describe(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	return send(r, httpapi.Asset{Type: "application/json", Content: description})
}
