package endtoend

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const smallDocument = `{
	"openapi": "3.1.0",
	"paths": {
		"/things": {
			"get": {"responses": {"200": {"$ref": "#/components/responses/Things"}}},
			"post": {
				"requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "required": ["name"]}}}},
				"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}, "4XX": {}}
			}
		},
		"/things/{id}": {
			"parameters": [],
			"get": {"responses": {"200": {"headers": {"ETag": {"schema": {"type": "string"}}}, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}, "304": {}}}
		},
		"/things/new": {"get": {"responses": {"200": {"content": {"text/html": {}}}}}}
	},
	"components": {
		"headers": {"Total": {"required": true, "schema": {"type": "integer", "minimum": 0}}},
		"responses": {"Things": {
			"headers": {"x-total-count": {"$ref": "#/components/headers/Total"}},
			"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}}}
		}},
		"schemas": {"Thing": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "at": {"type": ["string", "null"], "format": "date-time"}}}}
	}
}`

func small(t *testing.T, text string) *document {
	t.Helper()
	d, err := readDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func answered(code int, body string, headers ...string) *reply {
	r := &reply{code: code, body: []byte(body), header: http.Header{"Content-Type": {"application/json"}, "Date": {"x"}}}
	for i := 0; i < len(headers); i += 2 {
		r.header.Set(headers[i], headers[i+1])
	}
	return r
}

// TestDocumentFinds shows that whatever is not as the document says is found,
// and nothing else.
func TestDocumentFinds(t *testing.T) {
	d := small(t, smallDocument)
	lost := answered(404, `{"error_code":"route_not_found"}`)
	for name, row := range map[string]struct {
		method, path, sent string
		reply              *reply
		fault              string // what it must say; "" = none
	}{
		"a list":                {"GET", "/things?page=1", "", answered(200, `[{"id":1}]`, "X-Total-Count", "1"), ""},
		"no header":             {"GET", "/things", "", answered(200, `[]`), "X-Total-Count is missing"},
		"another header":        {"GET", "/things", "", answered(200, `[]`, "X-Total-Count", "one"), "header X-Total-Count is not"},
		"below the least":       {"GET", "/things", "", answered(200, `[]`, "X-Total-Count", "-1"), "header X-Total-Count is not"},
		"one of many is wrong":  {"GET", "/things", "", answered(200, `[{"id":1},{"id":"2"}]`, "X-Total-Count", "2"), "/1/id"},
		"a field is missing":    {"GET", "/things/1", "", answered(200, `{}`), "required"},
		"a time":                {"GET", "/things/1", "", answered(200, `{"id":1,"at":"2031-01-15T20:24:25.209Z"}`), ""},
		"null for a time":       {"GET", "/things/1", "", answered(200, `{"id":1,"at":null}`), ""},
		"no time":               {"GET", "/things/1", "", answered(200, `{"id":1,"at":"soon"}`), "/at"},
		"no JSON":               {"GET", "/things/1", "", answered(200, `{`), "no JSON"},
		"more fields":           {"GET", "/things/1", "", answered(200, `{"id":1,"more":{}}`), ""},
		"an own header":         {"GET", "/things/1", "", answered(200, `{"id":1}`, "ETag", `"v1"`), ""},
		"a header unheard of":   {"GET", "/things/1", "", answered(200, `{"id":1}`, "Link", "<x>"), "the header Link"},
		"another status":        {"GET", "/things/1", "", answered(418, `{}`), "status 418"},
		"a status of a range":   {"POST", "/things", "{", answered(418, ``), ""},
		"a body for none":       {"GET", "/things/1", "", answered(304, `{}`), "describes no body"},
		"no body":               {"GET", "/things/1", "", answered(304, ``), ""},
		"another type":          {"GET", "/things/1", "", answered(200, `{"id":1}`, "Content-Type", "text/html"), `type "text/html"`},
		"the narrower route":    {"GET", "/things/new", "", answered(200, `<p>`, "Content-Type", "text/html; charset=utf-8"), ""},
		"a request":             {"POST", "/things", `{"name":"a"}`, answered(200, `{"id":1}`), ""},
		"a request not so":      {"POST", "/things", `{"nam":"a"}`, answered(200, `{"id":1}`), "body that was taken"},
		"a request without one": {"POST", "/things", ` `, answered(200, `{"id":1}`), "requires a body"},
		"one that was refused":  {"POST", "/things", `{"nam":"a"}`, answered(400, ``), ""},
		"no route":              {"GET", "/things/", "", lost, ""},
		"another method":        {"PUT", "/things", "", lost, ""},
		"a route unheard of":    {"GET", "/other", "", answered(200, `{}`), "no such route"},
		"a slash in an id":      {"GET", "/things/a%2Fb", "", answered(200, `{"id":1}`), ""},
	} {
		got := d.faults(row.method, row.path, []byte(row.sent), row.reply)
		if row.fault == "" && len(got) > 0 || row.fault != "" && (len(got) != 1 || !strings.Contains(got[0], row.fault)) {
			t.Errorf("%s: found %q, want %q", name, got, row.fault)
		}
	}
}

// TestFaultsShowNoValue shows that what a service answered is not repeated.
func TestFaultsShowNoValue(t *testing.T) {
	d := small(t, smallDocument)
	got := d.faults("GET", "/things/1", nil, answered(200, `{"id":"hunter2","at":"hunter2"}`, "ETag", "hunter2", "Link", "hunter2"))
	if len(got) != 3 || strings.Contains(strings.Join(got, ""), "hunter2") {
		t.Errorf("found %q", got)
	}
}

// TestUnseen shows that only an answer of success counts.
func TestUnseen(t *testing.T) {
	d := &described{document: small(t, smallDocument), seen: map[string]bool{}}
	d.look("GET", "/things/1", nil, answered(304, ``))
	d.look("GET", "/things/new", nil, answered(200, ``))
	d.look("GET", "/other", nil, answered(200, ``))
	d.look("POST", "/things", []byte(`{}`), answered(400, ``))
	if got := d.unseen(); !slices.Equal(got, []string{"GET /things", "GET /things/{id}", "POST /things"}) {
		t.Errorf("unseen are %q", got)
	}
}

// TestWhatIsNoDocument shows that a broken document does not pass for one that
// allows everything.
func TestWhatIsNoDocument(t *testing.T) {
	for name, change := range map[string][2]string{
		"no JSON":             {`{`, ``},
		"another version":     {`"3.1.0"`, `"3.0.3"`},
		"no paths":            {`"paths"`, `"path"`},
		"a schema not there":  {`"#/components/schemas/Thing"}}}}, "4XX"`, `"#/components/schemas/Ting"}}}}, "4XX"`},
		"a schema that is no": {`"type": ["string", "null"]`, `"type": "text"`},
		"a turn in a circle":  {`"Total": {`, `"Total": {"$ref": "#/components/headers/Total", `},
	} {
		if !strings.Contains(smallDocument, change[0]) {
			t.Fatalf("%s: nothing to change", name)
		}
		if _, err := readDocument([]byte(strings.Replace(smallDocument, change[0], change[1], 1))); err == nil {
			t.Errorf("%s: is taken for a document", name)
		}
	}
}
