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
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/httpapi"
)

// description is compressed, as it is mostly sent.
//
//go:embed openapi.json.gz
var description []byte

// API is the family of routes.
type API struct{}

// Patterns returns METHOD /path/{name} of every route that the document
// describes.
func (API) Patterns() []string { return patterns() }

var patterns = sync.OnceValue(func() []string {
	var parsed struct {
		Paths map[string]map[string]jsontext.Value `json:"paths"`
	}
	text, err := unpack(description)
	if err != nil || json.Unmarshal(text, &parsed) != nil {
		return nil // what is compiled in unpacks and parses: a test holds it to that
	}
	var out []string
	for path, operations := range parsed.Paths {
		for method := range operations {
			if method != "parameters" {
				out = append(out, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(out)
	return out
})

// Routes lists the family's routes. All are public: they say what anybody may
// know, and the page shows how to sign in.
func (API) Routes() []httpapi.Route {
	return []httpapi.Route{
		{Pattern: "GET /", Public: true, Handle: leadToPage},
		{Pattern: "GET /openapi.json", Public: true, Handle: describe},
		{Pattern: "GET /docs", Public: true, Handle: showPage},
		{Pattern: "GET /docs/{file}", Public: true, Handle: sendFile},
	}
}

// leadToPage answers the bare address of the service, as a browser asks for it.
func leadToPage(context.Context, *httpapi.Request) (httpapi.Answer, error) {
	return httpapi.Answer{Status: http.StatusFound, Header: http.Header{"Location": {"/docs"}}}, nil
}

// describe answers the document as it was made, without reading it.
func describe(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	return send(r, httpapi.Asset{Type: "application/json", Content: description})
}
