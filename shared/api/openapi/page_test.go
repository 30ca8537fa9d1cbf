package openapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"credence/shared/access"
	"credence/shared/httpapi"
	"credence/shared/identity"
)

// nobody signs in: these routes must not ask.
type nobody struct{}

func (nobody) Authenticate(context.Context, string, identity.Origin, identity.Load) (identity.Caller, error) {
	return identity.Caller{}, errors.New("was asked")
}

func (nobody) Denied(context.Context, identity.Caller, access.Refusal) error { return nil }

func serve(t *testing.T, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	h, err := httpapi.Stack(httpapi.Config{SignIn: nobody{}, Denials: nobody{}, Logger: slog.New(slog.DiscardHandler)}, API{}.Routes())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheDocumentIsServedAsItIs(t *testing.T) {
	for accepts, want := range map[string][]byte{"": document(t), "gzip": description} {
		w := serve(t, "/openapi.json", http.Header{"Accept-Encoding": {accepts}})
		if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), want) {
			t.Errorf("answered %d with %d bytes, want %d", w.Code, w.Body.Len(), len(want))
		}
		if h := w.Header(); h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Encoding") != accepts {
			t.Errorf("headers %v", h)
		}
	}
}

// TestThePage follows each reference of the page: whatever it loads must be
// there, of its kind, and the page's own policy must let it in.
func TestThePage(t *testing.T) {
	w := serve(t, "/docs", http.Header{})
	h := w.Header()
	if w.Code != http.StatusOK || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("answered %d %v", w.Code, h)
	}
	rules := strings.Split(h.Get("Content-Security-Policy"), "; ")
	if rules[0] != "default-src 'none'" || strings.Contains(strings.Join(rules, ""), "unsafe") || strings.Contains(strings.Join(rules, ""), "*") {
		t.Errorf("the policy is %q", rules)
	}
	body := w.Body.String()
	if strings.Contains(body, "://") || regexp.MustCompile(`<script>|<style|style=| on\w+=`).MatchString(body) {
		t.Error("the page loads from elsewhere, or has scripts or styles of its own, which its policy forbids")
	}
	loaded := 0
	for _, m := range regexp.MustCompile(`(?:src|href)="([^":]+)"`).FindAllStringSubmatch(body, -1) {
		loaded++
		media := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "json": "application/json"}
		kind := m[1][strings.LastIndex(m[1], ".")+1:]
		file := serve(t, "/"+m[1], http.Header{})
		if file.Code != http.StatusOK || file.Header().Get("Content-Type") != media[kind] || file.Body.Len() == 0 {
			t.Errorf("%s: %d %q, %d bytes", m[1], file.Code, file.Header().Get("Content-Type"), file.Body.Len())
		}
	}
	if loaded != 4 {
		t.Errorf("the page refers to %d files, want 4", loaded)
	}
}

func TestFiles(t *testing.T) {
	plainly := serve(t, "/docs/swagger-ui.css", http.Header{})
	packed := serve(t, "/docs/swagger-ui.css", http.Header{"Accept-Encoding": {"gzip, br"}})
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(unpacked, plainly.Body.Bytes()) || len(unpacked) < 10_000 {
		t.Errorf("packed, the file has %d bytes, else %d: %v", len(unpacked), plainly.Body.Len(), err)
	}
	if plainly.Header().Get("Content-Encoding") != "" || packed.Header().Get("Content-Encoding") != "gzip" {
		t.Error("the encoding is not what was asked for")
	}
	for _, w := range []*httptest.ResponseRecorder{plainly, packed} {
		if w.Header().Get("Vary") != "Accept-Encoding" || w.Header().Get("Cache-Control") != "public, max-age=3600" {
			t.Errorf("headers %v", w.Header())
		}
	}
	for _, name := range []string{"index.html", "swagger-ui.js", "swagger-ui-bundle.js.gz", "..%2fopenapi.json", "START.JS"} {
		if w := serve(t, "/docs/"+name, http.Header{}); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000, br": false,
		"*": true, "identity": false, "deflate,br": false, "*;q=0": false, "gzipped": false, "gzip;q=x": false,
	} {
		if got := acceptsGzip(http.Header{"Accept-Encoding": {header}}); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	if !acceptsGzip(http.Header{"Accept-Encoding": {"br", "gzip"}}) {
		t.Error("a second header is not read")
	}
}

func TestPatterns(t *testing.T) {
	got := API{}.Patterns()
	for _, want := range []string{"GET /", "GET /data_credentials/{id}", "POST /token"} {
		if !slices.Contains(got, want) {
			t.Errorf("the document lacks %s", want)
		}
	}
	if len(got) < 40 || !slices.IsSorted(got) {
		t.Errorf("found %q", got)
	}
}
