package openapi

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed" // the files below
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/swaggest/swgui/v5/static"

	"credence/shared/fault"
	"credence/shared/httpapi"
)

// The page loads nothing but its own files, and asks nobody but this service.
// Styles stand in a file, pictures in the text of that file.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// keep is how long a browser keeps the files, whose names do not change with
// what is in them.
const keep = time.Hour

//go:embed page.html
var page []byte

//go:embed start.js
var start []byte

func showPage(context.Context, *httpapi.Request) (httpapi.Answer, error) {
	return httpapi.Answer{Body: httpapi.Asset{Type: "text/html; charset=utf-8", Content: page, Policy: policy}}, nil
}

// library are the files of Swagger UI that the page loads. They are compiled in
// compressed.
var library = map[string]string{
	"swagger-ui-bundle.js": "text/javascript; charset=utf-8",
	"swagger-ui.css":       "text/css; charset=utf-8",
}

// sendFile answers a file that the page loads, compressed for whoever takes it
// so.
func sendFile(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	name := r.HTTP.PathValue("file")
	if name == "start.js" {
		return httpapi.Answer{Body: httpapi.Asset{Type: library["swagger-ui-bundle.js"], Content: start, Keep: keep}}, nil
	}
	media, ok := library[name]
	if !ok {
		return httpapi.Answer{}, fault.New(fault.CodeRouteNotFound, "There is no such file.")
	}
	content, err := static.FS.ReadFile(name + ".gz")
	if err != nil {
		return httpapi.Answer{}, fmt.Errorf("reading a file of the reference page: %w", err)
	}
	return send(r, httpapi.Asset{Type: media, Content: content, Keep: keep})
}

// send answers what is compiled in compressed, as it is for whoever takes it so.
func send(r *httpapi.Request, packed httpapi.Asset) (httpapi.Answer, error) {
	h := http.Header{"Vary": {"Accept-Encoding"}}
	if acceptsGzip(r.HTTP.Header) {
		h.Set("Content-Encoding", "gzip")
		return httpapi.Answer{Header: h, Body: packed}, nil
	}
	content, err := unpack(packed.Content)
	packed.Content = content
	return httpapi.Answer{Header: h, Body: packed}, err
}

func unpack(compressed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("unpacking a file of the API's description: %w", err)
	}
	// What is read is compiled in, so it ends.
	content, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpacking a file of the API's description: %w", err)
	}
	return content, nil
}

// acceptsGzip reports whether the client takes an answer compressed with gzip
// (RFC 9110, section 12.5.3): the first that is said of gzip or of everything
// counts, unless its weight is zero.
func acceptsGzip(h http.Header) bool {
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, parameter, _ := strings.Cut(part, ";")
		name = strings.TrimSpace(name)
		if name != "*" && !strings.EqualFold(name, "gzip") {
			continue
		}
		_, weight, weighed := strings.Cut(parameter, "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		return !weighed || err == nil && q > 0
	}
	return false
}
