package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"credence/shared/fault"
	"credence/shared/jsontree"
	"credence/shared/naming"
)

// State tells a field that is absent from one that is null: an update leaves
// the first as it is and empties the second. A field at fault reads as Absent.
type State uint8

// The states.
const (
	Absent State = iota
	Null
	Present
)

// Object reads the fields of a JSON object and gathers the errors of all of them,
// for Err to return at once. Names are matched exactly. It belongs to one request
// and one goroutine.
type Object struct {
	fields  jsontree.Node
	pointer string
	faults  *[]fault.Detail
	bare    bool   // made of an array that was the whole body
	list    string // for an array, its name: its entries are then the fields
}

// HasBody reports whether anything but white space was sent.
func (r *Request) HasBody() bool { return len(bytes.TrimSpace(r.body)) > 0 }

// Bytes is the body as it came, for a fingerprint of it. It may hold secrets.
func (r *Request) Bytes() []byte { return r.body }

// Body reads the body as one JSON object. The error is a fault: malformed_json.
// A member that is not among known is an error that Err returns.
func (r *Request) Body(known ...string) (*Object, error) {
	return r.BodyOf(Names{Known: known})
}

// BodyOf is Body for endpoints that also ignore members.
func (r *Request) BodyOf(names Names) (*Object, error) {
	if !r.HasBody() {
		return nil, malformed("", fault.DetailRequired, "The request has no body. Send a JSON object.")
	}
	n, err := parse(r.body, names.Known)
	if err != nil {
		return nil, err
	}
	if n.Kind() != '{' {
		return nil, malformed("", fault.DetailWrongKind, "The body must be a JSON object.")
	}
	o := &Object{fields: n, faults: new([]fault.Detail)}
	o.Only(names)
	return o, nil
}

// BodyList is Body for endpoints that also take a bare array: that is read as
// an object whose one field, name, is the array.
func (r *Request) BodyList(name string, known ...string) (*Object, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("[")) {
		return r.Body(append(known, name)...)
	}
	n, err := parse(r.body, known)
	if err != nil {
		return nil, err
	}
	list := jsontree.Node{Parts: []jsontree.Part{{Name: name, Node: n}}}
	return &Object{fields: list, faults: new([]fault.Detail), bare: true}, nil
}

// Name is the first of the names that is there, or the first of all: for
// fields that have more than one.
func (o *Object) Name(names ...string) string {
	for _, n := range names {
		if o.Has(n) {
			return n
		}
	}
	return names[0]
}

// Has reports whether a field was sent, null or not.
func (o *Object) Has(name string) bool { _, ok := o.fields.Get(name); return ok }

// Pointer is the RFC 6901 pointer of a field, for faults found later.
func (o *Object) Pointer(name string) string {
	if o.bare {
		return ""
	}
	return o.pointer + "/" + escapePointer(name)
}

// Fault adds something wrong with a field that the endpoint found out.
func (o *Object) Fault(name, code, message string) {
	*o.faults = append(*o.faults, fault.Detail{Pointer: o.Pointer(name), Code: code, Message: message})
}

// Faults lists what is wrong so far, for a domain that adds what it finds.
func (o *Object) Faults() []fault.Detail { return *o.faults }

// Err is nil, or the one 400 that names every fault found so far, those of
// objects inside this one too.
func (o *Object) Err() error { return fault.Invalid(*o.faults) }

// Node is the value of a field, unread. Null has no value.
func (o *Object) Node(name string) (jsontree.Node, State) {
	n, ok := o.fields.Get(name)
	switch {
	case !ok:
		return n, Absent
	case n.Kind() == 'n':
		return jsontree.Node{}, Null
	}
	return n, Present
}

// Require faults each of the names that is absent or null.
func (o *Object) Require(names ...string) {
	for _, n := range names {
		if _, state := o.Node(n); state != Present {
			o.required(n)
		}
	}
}

func (o *Object) required(name string) {
	o.Fault(name, fault.DetailRequired, fmt.Sprintf("The field %q is required.", o.label(name)))
}

// label is what a sentence calls a field.
func (o *Object) label(name string) string {
	if o.list != "" {
		return o.list + "[" + name + "]"
	}
	return name
}

// TextRule says what a text may be.
type TextRule struct {
	Required bool     // neither absent nor null nor empty
	Max      int      // characters; 0 = 255
	Lines    bool     // may have line breaks and tabs
	Exact    bool     // another system's name, or a word of a list: kept as it was sent
	OneOf    []string // nil = anything
}

// Text reads a text in the one form of package naming, so that names that look
// alike are equal bytes. It is for names and words: secrets are read with Node.
func (o *Object) Text(name string, rule TextRule) (string, State) {
	raw, state := o.Node(name)
	if state != Present {
		if rule.Required {
			o.required(name)
			return "", Absent
		}
		return "", state
	}
	text, ok := o.unquote(name, raw, rule)
	if !ok {
		return "", Absent
	}
	return text, Present
}

func (o *Object) unquote(name string, n jsontree.Node, rule TextRule) (string, bool) {
	if n.Kind() != '"' {
		o.Fault(name, fault.DetailWrongKind, fmt.Sprintf("The field %q must be a string.", o.label(name)))
		return "", false
	}
	limit := rule.Max
	if limit == 0 {
		limit = 255
	}
	value := n.Text()
	if !rule.Exact && rule.OneOf == nil {
		var err error
		var character *naming.CharacterError
		if value, err = naming.Clean(value, rule.Lines); errors.As(err, &character) {
			o.Fault(name, fault.DetailForbidden, fmt.Sprintf("The field %q holds %v. Remove it.", o.label(name), character))
			return "", false
		}
	}
	switch {
	case rule.Required && strings.TrimSpace(value) == "":
		o.required(name)
	case utf8.RuneCountInString(value) > limit:
		o.Fault(name, fault.DetailTooLong, fmt.Sprintf("The field %q may have at most %d characters.", o.label(name), limit))
	case rule.Exact && !clean(value, rule.Lines):
		o.Fault(name, fault.DetailForbidden, fmt.Sprintf("The field %q holds control characters or such that turn the direction of writing.", o.label(name)))
	case rule.OneOf != nil && !slices.Contains(rule.OneOf, value):
		o.Fault(name, fault.DetailUnknown, fmt.Sprintf("The field %q must be ", o.label(name))+oneOf(value, rule.OneOf))
	default:
		return value, true
	}
	return "", false
}

// Int reads an integer between least and most: a JSON number, or a text that
// spells one, as some clients send ids. Neither may have a fraction or an
// exponent.
func (o *Object) Int(name string, least, most int64) (int64, State) {
	raw, state := o.Node(name)
	if state != Present {
		return 0, state
	}
	text := strings.Trim(string(raw.Raw), `"`)
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil && strings.Trim(text, "-0123456789") != "", text == "", text[0] == '+':
		o.Fault(name, fault.DetailWrongKind, fmt.Sprintf("The field %q must be an integer.", name))
	case err != nil || n < least || n > most:
		o.Fault(name, fault.DetailOutOfRange, fmt.Sprintf("The field %q must lie between %d and %d.", name, least, most))
	default:
		return n, Present
	}
	return 0, Absent
}

// Bool reads true or false.
func (o *Object) Bool(name string) (bool, State) {
	raw, state := o.Node(name)
	if state != Present {
		return false, state
	}
	if k := raw.Kind(); k != 't' && k != 'f' {
		o.Fault(name, fault.DetailWrongKind, fmt.Sprintf("The field %q must be true or false.", name))
		return false, Absent
	}
	return raw.Kind() == 't', Present
}

// Time reads an instant (RFC 3339).
func (o *Object) Time(name string) (time.Time, State) {
	text, state := o.Text(name, TextRule{Max: 40})
	if state != Present {
		return time.Time{}, state
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		o.Fault(name, fault.DetailMalformed, fmt.Sprintf("The field %q must be a time as 2026-01-31T12:00:00Z.", name))
		return time.Time{}, Absent
	}
	return t.UTC(), Present
}

// Texts reads an array of at most limit texts, each by the rule, in the order
// sent, equal ones once.
func (o *Object) Texts(name string, limit int, rule TextRule) ([]string, State) {
	items, state := o.array(name, limit)
	if state != Present {
		return nil, state
	}
	rule.Required = true
	list := &Object{pointer: o.Pointer(name), faults: o.faults, list: name}
	before := len(*o.faults)
	out := make([]string, 0, len(items))
	for n, raw := range items {
		text, ok := list.unquote(strconv.Itoa(n), raw.Node, rule)
		if ok && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if len(*o.faults) > before {
		return nil, Absent
	}
	return out, Present
}

// Object reads an object inside this one; their faults are gathered together.
// It is nil unless Present.
func (o *Object) Object(name string) (*Object, State) {
	raw, state := o.Node(name)
	if state != Present {
		return nil, state
	}
	inner, ok := o.inner(name, raw, o.Pointer(name))
	if !ok {
		return nil, Absent
	}
	return inner, Present
}

// Objects reads an array of at most limit objects.
func (o *Object) Objects(name string, limit int) ([]*Object, State) {
	items, state := o.array(name, limit)
	if state != Present {
		return nil, state
	}
	out := make([]*Object, 0, len(items))
	list := &Object{pointer: o.Pointer(name), faults: o.faults, list: name}
	for n, raw := range items {
		index := strconv.Itoa(n)
		inner, ok := list.inner(index, raw.Node, list.Pointer(index))
		if !ok {
			return nil, Absent
		}
		out = append(out, inner)
	}
	return out, Present
}

func (o *Object) inner(name string, raw jsontree.Node, pointer string) (*Object, bool) {
	if raw.Kind() != '{' {
		o.Fault(name, fault.DetailWrongKind, fmt.Sprintf("The field %q must be an object.", o.label(name)))
		return nil, false
	}
	return &Object{fields: raw, pointer: pointer, faults: o.faults}, true
}

func (o *Object) array(name string, limit int) ([]jsontree.Part, State) {
	raw, state := o.Node(name)
	if state != Present {
		return nil, state
	}
	if raw.Kind() != '[' {
		o.Fault(name, fault.DetailWrongKind, fmt.Sprintf("The field %q must be a list.", name))
		return nil, Absent
	}
	if len(raw.Parts) > limit {
		o.Fault(name, fault.DetailTooLong, fmt.Sprintf("The list %q may have at most %d entries.", name, limit))
		return nil, Absent
	}
	return raw.Parts, Present
}
