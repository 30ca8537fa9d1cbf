package endtoend

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is the OpenAPI 3.1 document of the service, as far as it can be held
// to it: what each operation takes and what it may answer.
// https://spec.openapis.org/oas/v3.1.0
type document struct{ operations []*operation }

type operation struct {
	name     string // METHOD /path/{name}
	method   string
	segments []string
	required bool // a body
	takes    map[string]*jsonschema.Schema
	answers  map[string]answer // by "200", "4XX"
}

// answer is what the document says of one status. Bodies are by media type,
// headers by name.
type answer struct {
	bodies  map[string]*jsonschema.Schema
	headers map[string]promise
}

type promise struct {
	required bool
	value    *jsonschema.Schema
}

// reader takes the document apart. The first error is kept and ends it.
type reader struct {
	root     object
	compiler *jsonschema.Compiler
	err      error
}

// place is where the document is said to lie: nothing is fetched from there.
const place = "https://service.invalid/openapi.json"

// readDocument reads a document of OpenAPI 3.1. Its error says what in it is
// none.
func readDocument(text []byte) (*document, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	root, _ := value.(object)
	if version, _ := root["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		return nil, errors.New("reading the document: it is not of OpenAPI 3.1")
	}
	rd := &reader{root: root, compiler: jsonschema.NewCompiler()}
	rd.compiler.AssertFormat()
	if err := rd.compiler.AddResource(place, root); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	d := &document{}
	paths, at := rd.under("", "paths")
	for path := range paths {
		item, at := rd.under(at, path)
		for method := range item {
			if method != "parameters" {
				d.operations = append(d.operations, rd.operation(at, method, path))
			}
		}
	}
	if rd.err == nil && len(d.operations) == 0 {
		rd.err = errors.New("it describes nothing")
	}
	if rd.err != nil {
		return nil, fmt.Errorf("reading the document: %w", rd.err)
	}
	slices.SortFunc(d.operations, func(a, b *operation) int { return strings.Compare(a.name, b.name) })
	return d, nil
}

// under is the object of a name inside the one at a pointer, and its own
// pointer; where it is but a reference, what that refers to.
func (rd *reader) under(at, name string) (object, string) {
	at += string(jsontext.Pointer("").AppendToken(name))
	for turn := range 8 {
		var value any = rd.root
		for token := range jsontext.Pointer(at).Tokens() {
			o, _ := value.(object)
			value = o[token]
		}
		found, _ := value.(object)
		if found == nil && turn > 0 {
			rd.err = fmt.Errorf("%s is referred to and not there", at)
		}
		ref, refers := found["$ref"].(string)
		if !refers {
			return found, at
		}
		at = strings.TrimPrefix(ref, "#")
	}
	rd.err = fmt.Errorf("%s refers to itself", at)
	return nil, at
}

// schema compiles the schema of that name; nil where there is none.
func (rd *reader) schema(at, name string) *jsonschema.Schema {
	found, at := rd.under(at, name)
	if found == nil || rd.err != nil {
		return nil
	}
	compiled, err := rd.compiler.Compile(place + "#" + (&url.URL{Fragment: at}).EscapedFragment())
	if err != nil {
		rd.err = err
	}
	return compiled
}

func (rd *reader) operation(at, method, path string) *operation {
	_, at = rd.under(at, method)
	op := &operation{
		method: strings.ToUpper(method), segments: strings.Split(path[1:], "/"),
		name: strings.ToUpper(method) + " " + path, answers: map[string]answer{},
	}
	body, bodyAt := rd.under(at, "requestBody")
	op.required, _ = body["required"].(bool)
	op.takes = rd.bodies(bodyAt)
	answers, answersAt := rd.under(at, "responses")
	for status := range answers {
		_, at := rd.under(answersAt, status)
		a := answer{bodies: rd.bodies(at), headers: map[string]promise{}}
		headers, headersAt := rd.under(at, "headers")
		for name := range headers {
			h, at := rd.under(headersAt, name)
			p := promise{value: rd.schema(at, "schema")}
			p.required, _ = h["required"].(bool)
			a.headers[http.CanonicalHeaderKey(name)] = p
		}
		op.answers[status] = a
	}
	return op
}

func (rd *reader) bodies(at string) map[string]*jsonschema.Schema {
	out := map[string]*jsonschema.Schema{}
	content, at := rd.under(at, "content")
	for media := range content {
		_, at := rd.under(at, media)
		out[media] = rd.schema(at, "schema")
	}
	return out
}

// find is the operation of a request; nil where the document has none.
func (d *document) find(method, path string) *operation {
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var best *operation
	for _, op := range d.operations {
		if op.method != method || !slices.EqualFunc(op.segments, segments, matches) {
			continue
		}
		if best == nil || literals(op.segments) > literals(best.segments) {
			best = op
		}
	}
	return best
}

func matches(pattern, segment string) bool {
	decoded, err := url.PathUnescape(segment)
	return err == nil && (pattern == decoded || decoded != "" && strings.HasPrefix(pattern, "{"))
}

func literals(segments []string) int {
	n := 0
	for _, s := range segments {
		if !strings.HasPrefix(s, "{") {
			n++
		}
	}
	return n
}

// faults says what of a request and its answer the document does not allow. A
// request that was refused may be any.
func (d *document) faults(method, path string, sent []byte, r *reply) []string {
	op := d.find(method, path)
	if op == nil {
		return d.unrouted(method, path, r)
	}
	a, described := op.answers[fmt.Sprint(r.code)]
	if !described {
		a, described = op.answers[fmt.Sprintf("%dXX", r.code/100)]
	}
	if !described {
		return []string{fmt.Sprintf("the document does not describe the status %d", r.code)}
	}
	faults := append(a.wrongHeaders(r.header), a.wrongBody(r)...)
	if r.code == http.StatusOK {
		faults = append(faults, op.wrongRequest(sent)...)
	}
	return faults
}

// unrouted says what is wrong with an answer to what is no route: HEAD is
// answered as GET is, OPTIONS by the methods of the path, and nothing else is
// served.
func (d *document) unrouted(method, path string, r *reply) []string {
	switch {
	case method == http.MethodHead && d.find(http.MethodGet, path) != nil:
		return d.find(http.MethodGet, path).answers[fmt.Sprint(r.code)].wrongHeaders(r.header)
	case r.code == http.StatusNotFound && bytes.Contains(r.body, []byte(`"route_not_found"`)),
		r.code == http.StatusMethodNotAllowed && bytes.Contains(r.body, []byte(`"method_not_allowed"`)),
		r.code == http.StatusNoContent && method == http.MethodOptions:
		return nil
	}
	return []string{"the document describes no such route"}
}

// wrongRequest is about a request that the service took.
func (op *operation) wrongRequest(sent []byte) []string {
	sent = bytes.TrimSpace(sent)
	if len(sent) == 0 {
		if op.required {
			return []string{"the document requires a body, the service does not"}
		}
		return nil
	}
	if schema := op.takes["application/json"]; schema != nil {
		return breaks("the body that was taken", schema, sent)
	}
	return nil
}

func (a answer) wrongBody(r *reply) []string {
	if len(a.bodies) == 0 {
		if len(r.body) > 0 {
			return []string{"the document describes no body"}
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	schema, described := a.bodies[media]
	switch {
	case err != nil || !described:
		return []string{fmt.Sprintf("the document does not describe a body of the type %q", media)}
	case media == "application/json":
		return breaks("the body", schema, r.body)
	}
	return nil
}

// ours are the headers that belong to an answer; the rest belong to a server or
// a gateway, or are the same on every answer.
func ours(name string) bool {
	return strings.HasPrefix(name, "X-") && name != "X-Content-Type-Options" ||
		slices.Contains([]string{"Etag", "Link", "Retry-After", "Www-Authenticate", "Content-Security-Policy", "Location", "Set-Cookie"}, name)
}

func (a answer) wrongHeaders(h http.Header) []string {
	var faults []string
	for name, p := range a.headers {
		values, there := h[name]
		switch {
		case !there && p.required:
			faults = append(faults, fmt.Sprintf("the header %s is missing, which the document promises", name))
		case there && p.value != nil && len(breaks("", p.value, []byte(values[0]))) > 0:
			// A text is no JSON value until it stands in quotation marks.
			quoted, err := jsontext.AppendQuote(nil, values[0])
			if err != nil {
				return append(faults, fmt.Sprintf("the header %s is no text", name))
			}
			faults = append(faults, breaks("the header "+name, p.value, quoted)...)
		}
	}
	for name := range h {
		if _, described := a.headers[name]; !described && ours(name) {
			faults = append(faults, fmt.Sprintf("the document does not describe the header %s", name))
		}
	}
	return faults
}

// breaks says where a value is not as a schema says, never what it is.
func breaks(what string, schema *jsonschema.Schema, text []byte) []string {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return []string{what + " is no JSON"}
	}
	if schema == nil {
		return nil
	}
	err = schema.Validate(value)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		var faults []string
		for _, cause := range leaves(invalid) {
			faults = append(faults, fmt.Sprintf("%s is not as the document says: at /%s, %s",
				what, strings.Join(cause.InstanceLocation, "/"), strings.TrimPrefix(cause.SchemaURL, place)+"/"+strings.Join(cause.ErrorKind.KeywordPath(), "/")))
		}
		return faults
	}
	if err != nil {
		return []string{what + ": " + err.Error()}
	}
	return nil
}

// leaves are the causes that have none themselves.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var out []*jsonschema.ValidationError
	for _, c := range e.Causes {
		out = append(out, leaves(c)...)
	}
	return out
}
