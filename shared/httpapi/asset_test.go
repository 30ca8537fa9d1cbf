package httpapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/httpapi"
)

// assetRoute answers an asset, or err.
func assetRoute(a httpapi.Asset, err error) httpapi.Route {
	return httpapi.Route{Pattern: "GET /file", Public: true, Handle: func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
		return httpapi.Answer{Header: http.Header{"Vary": {"Accept-Encoding"}, "Cache-Control": {"private"}}, Body: a}, err
	}}
}

func TestAnAssetIsSentAsItStands(t *testing.T) {
	for name, row := range map[string]struct {
		asset         httpapi.Asset
		policy, cache string
	}{
		"a page":         {httpapi.Asset{Type: "text/html; charset=utf-8", Content: []byte("<p>\xff\x00"), Policy: "default-src 'none'"}, "default-src 'none'", "no-store"},
		"a file to keep": {httpapi.Asset{Type: "text/css", Content: []byte("a{}"), Keep: 90 * time.Second}, "", "public, max-age=90"},
		"nothing":        {httpapi.Asset{Type: "text/css"}, "", "no-store"},
	} {
		w := newKit(t, assetRoute(row.asset, nil)).send("GET", "/file", "")
		h := w.Header()
		if w.Code != http.StatusOK || w.Body.String() != string(row.asset.Content) {
			t.Errorf("%s: %d with %q", name, w.Code, w.Body)
		}
		if h.Get("Content-Type") != row.asset.Type || h.Get("Content-Security-Policy") != row.policy || h.Get("Cache-Control") != row.cache ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Request-Id") != "req-1" || h.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: headers %v", name, h)
		}
	}
}

// TestAnErrorIsNoAsset shows that an error beside an asset has the form of all
// errors.
func TestAnErrorIsNoAsset(t *testing.T) {
	page := httpapi.Asset{Type: "text/html", Content: []byte("<p>"), Policy: "default-src 'none'", Keep: time.Hour}
	w := newKit(t, assetRoute(page, fault.New(fault.CodeRouteNotFound, "none"))).send("GET", "/file", "")
	wants(t, w, http.StatusNotFound, "route_not_found")
	if w.Header().Get("Content-Security-Policy") != "" {
		t.Errorf("headers %v", w.Header())
	}
}

// TestOnlyPublicRoutesAnswerAssets shows that what needs signing in never
// becomes a page or stays in a cache.
func TestOnlyPublicRoutesAnswerAssets(t *testing.T) {
	route := assetRoute(httpapi.Asset{Type: "text/html", Content: []byte("<p>")}, nil)
	route.Public, route.Needs = false, access.Read
	wants(t, newKit(t, route).send("GET", "/file", ""), http.StatusInternalServerError, "internal")
}
