package httpapi_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"credence/shared/httpapi"
)

func TestWhatIsNoRoute(t *testing.T) {
	k := newKit(t,
		httpapi.Route{Pattern: "GET /things", Public: true, Handle: echo},
		httpapi.Route{Pattern: "GET /things/{id}", Public: true, Resource: "Thing", Handle: echo},
		httpapi.Route{Pattern: "GET /things/schema", Public: true, Handle: echo},
		httpapi.Route{Pattern: "PUT /things/{id}/tags", Public: true, Resource: "Thing", Handle: echo},
	)
	for target, pattern := range map[string]string{
		"GET /things": "GET /things", "GET /things?": "GET /things", "GET /things/schema": "GET /things/schema",
		"GET /things/3": "GET /things/{id}", "GET /things/a%2Fb": "GET /things/{id}", "PUT /things/schema/tags": "PUT /things/{id}/tags",
		"GET /th%69ngs": "GET /things",
	} {
		method, path, _ := strings.Cut(target, " ")
		if body := wants(t, k.send(method, path, ""), 200, ""); body["pattern"] != pattern {
			t.Errorf("%s went to %v, want %s", target, body["pattern"], pattern)
		}
	}
	for _, target := range []string{
		"GET /", "GET /nothing", "GET /things/", "GET //things", "GET /things//", "GET /things/3/", "GET /things//tags",
		"GET /./things", "GET /x/../things", "OPTIONS *", "GET /Things", "OPTIONS /nothing",
	} {
		method, path, _ := strings.Cut(target, " ")
		w := k.send(method, path, "")
		wants(t, w, 404, "route_not_found")
		if w.Header().Get("Location") != "" || w.Header().Get("Allow") != "" {
			t.Errorf("%s: a header of the mux leaks", target)
		}
	}
}

// A known path answers HEAD as GET without a body, OPTIONS with its methods, and
// any other method with 405 and its methods.
func TestMethods(t *testing.T) {
	public := func(pattern string) httpapi.Route {
		return httpapi.Route{Pattern: pattern, Public: true, Handle: echo}
	}
	k := newKit(t, public("GET /"), public("GET /things"), public("POST /things"), public("PUT /things"), public("POST /only"))
	for _, row := range []struct {
		target string
		status int
		allow  string
	}{
		{"GET /", 200, ""},
		{"HEAD /", 200, ""},
		{"GET /things", 200, ""},
		{"HEAD /things", 200, ""},
		{"HEAD /only", 405, "OPTIONS, POST"},
		{"GET /only", 405, "OPTIONS, POST"},
		{"OPTIONS /only", 204, "OPTIONS, POST"},
		{"OPTIONS /", 204, "GET, HEAD, OPTIONS"},
		{"PATCH /things", 405, "GET, HEAD, OPTIONS, POST, PUT"},
		{"DELETE /things", 405, "GET, HEAD, OPTIONS, POST, PUT"},
		{"TRACE /things", 405, "GET, HEAD, OPTIONS, POST, PUT"},
		{"CONNECT /things", 405, "GET, HEAD, OPTIONS, POST, PUT"},
		{"BREW /things", 405, "GET, HEAD, OPTIONS, POST, PUT"},
	} {
		method, path, _ := strings.Cut(row.target, " ")
		w := k.send(method, path, "")
		if w.Code != row.status || w.Header().Get("Allow") != row.allow {
			t.Errorf("%s: %d, Allow %q", row.target, w.Code, w.Header().Get("Allow"))
		}
		if origin := w.Header().Get("Access-Control-Allow-Origin"); origin != "" {
			t.Errorf("%s: another origin is allowed: %q", row.target, origin)
		}
		switch {
		case row.status == 204 || method == "HEAD":
			if w.Body.Len() != 0 {
				t.Errorf("%s: a body of %d bytes", row.target, w.Body.Len())
			}
		case row.status == 405:
			wants(t, w, 405, "method_not_allowed")
		}
	}
	get, head := k.send("GET", "/things", ""), k.send("HEAD", "/things", "")
	if !maps.EqualFunc(get.Header(), head.Header(), slices.Equal[[]string]) || head.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD has the headers %v, GET %v", head.Header(), get.Header())
	}
}
