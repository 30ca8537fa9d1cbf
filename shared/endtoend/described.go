package endtoend

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func describedChecks() []check {
	return []check{
		{"the examples of the document are taken", describedExamples},
		{"the reference page has all that it loads", referencePage},
	}
}

// described is the document that the service gives of itself, and which of its
// operations were answered with success.
type described struct {
	*document
	mu   sync.Mutex
	seen map[string]bool
}

// describe asks the service for its document.
func (su *suite) describe(t *testing.T) {
	t.Helper()
	const path = "/openapi.json"
	r, err := su.exchange(http.MethodGet, path, nil, &ask{header: http.Header{}})
	if err != nil || r.code != http.StatusOK {
		t.Fatalf("asking for the document of the service: %v", err)
	}
	d, err := readDocument(r.body)
	if err != nil {
		t.Fatal(err)
	}
	su.described = &described{document: d, seen: map[string]bool{}}
	r.against = su.described.look(http.MethodGet, path, nil, r)
	r.everyAnswer(t)
}

// look holds an answer to the document and notes it.
func (d *described) look(method, path string, sent []byte, r *reply) []string {
	if op := d.find(method, path); op != nil && (r.code == http.StatusOK || r.code == http.StatusFound) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.seen[op.name] = true
	}
	return d.faults(method, path, sent, r)
}

// unseen lists the operations that were never answered with success.
func (d *described) unseen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, op := range d.operations {
		if !d.seen[op.name] {
			out = append(out, op.name)
		}
	}
	return out
}

// complete wants every operation of the document to have been answered with
// success, where every check ran to its end.
func (su *suite) complete(t *testing.T) {
	t.Helper()
	unseen := su.described.unseen()
	if ran := su.ran.Load(); ran < su.listed {
		t.Logf("%d of %d checks ran to their end; so far without success: %q", ran, su.listed, unseen)
		return
	}
	for _, name := range unseen {
		t.Errorf("%s is in the document and was never answered with success: ask it in a check", name)
	}
}

// describedExamples sends what the document shows to whoever stores his first
// credential.
func describedExamples(t *testing.T, su *suite) {
	document := su.get(t, "/openapi.json").ok(t)
	content := inJSON(t, document.body, "paths", "/data_credentials", "post", "requestBody", "content", "application/json", "examples")
	var examples map[string]struct {
		Value jsontext.Value `json:"value"`
	}
	if err := json.Unmarshal(content, &examples); err != nil || len(examples) < 3 {
		t.Fatalf("the document has %d examples of a credential: %v", len(examples), err)
	}
	for name, example := range examples {
		r := su.admin.post(t, "/data_credentials", raw(example.Value))
		if r.code != http.StatusOK {
			t.Errorf("the example %q answers %d %s at %q", name, r.code, r.errorCode(), r.pointers())
			continue
		}
		su.admin.delete(t, fmt.Sprint("/data_credentials/", r.int("id")), nil).ok(t)
	}
}

// inJSON is the value that names lead to, as it was written.
func inJSON(t *testing.T, text jsontext.Value, names ...string) jsontext.Value {
	t.Helper()
	for _, name := range names {
		var members map[string]jsontext.Value
		if err := json.Unmarshal(text, &members); err != nil {
			t.Fatalf("looking for %q: %v", names, err)
		}
		text = members[name]
	}
	return text
}

// loads finds what a page refers to.
var loads = regexp.MustCompile(`(?:src|href)="([^":]+)"`)

// referencePage wants the page, and each file that it loads, to arrive whole,
// compressed or not.
func referencePage(t *testing.T, su *suite) {
	page := su.file(t, "/docs", "text/html", false)
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe-") {
		t.Errorf("the page's policy is %q", policy)
	}
	for _, m := range loads.FindAllSubmatch(page.body, -1) {
		path := "/" + string(m[1])
		media := map[string]string{".js": "text/javascript", "css": "text/css"}[path[len(path)-3:]]
		if media == "" {
			continue
		}
		plain := su.file(t, path, media, false)
		if packed := su.file(t, path, media, true); packed.header.Get("Content-Encoding") == "gzip" && !bytes.Equal(gunzip(t, packed.body), plain.body) {
			t.Errorf("%s is not the same compressed", path)
		}
	}
	su.get(t, "/docs/none.js").refused(t, http.StatusNotFound, "")
}

// file asks for what is no JSON.
func (su *suite) file(t *testing.T, path, media string, packed bool) *reply {
	t.Helper()
	a := &ask{header: http.Header{}}
	if packed {
		a.header.Set("Accept-Encoding", "gzip")
	}
	r, err := su.exchange(http.MethodGet, path, nil, a)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	if got := r.header.Get("Content-Type"); r.code != http.StatusOK || !strings.HasPrefix(got, media+";") || len(r.body) == 0 {
		t.Errorf("%s: %d, %d bytes of %q, want %s", r.asked, r.code, len(r.body), got, media)
	}
	r.alwaysHeaders(t)
	return r
}

func gunzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(io.LimitReader(z, 8<<20))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
