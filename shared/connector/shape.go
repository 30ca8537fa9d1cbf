package connector

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
	"credence/shared/jsontree"
)

// Limits of a credentials object, of any type.
const (
	MaxBytes       = 240 << 10 // in canonical form
	MaxDepth       = 16        // the object itself is the first level
	MaxMembers     = 512       // at all levels together
	MaxTextBytes   = 32 << 10  // of a text or key, unescaped, whose Field has no limit of its own
	MaxNumberBytes = 32
)

// maxFaults ends the list of faults of an object's shape: whoever sends more
// than these has not sent a credential.
const maxFaults = 20

// ErrTooLarge is what Canonical answers for more than MaxBytes.
var ErrTooLarge = errors.New("the credentials are larger than 240 KB")

// Root is where the credentials object stands in a request: every pointer of a
// fault starts with it.
const Root = "/credentials"

// ignored is a key that published examples send within the object.
const ignored = "credentials_type"

// forbidden keys would reach the prototype of an object in a JavaScript client
// (OWASP ASVS 5.0, 15.3.6).
var forbidden = []string{"__proto__", "constructor", "prototype"}

// Parse reads a credentials object within the limits of depth and members.
func Parse(credentials jsontext.Value) (jsontree.Node, error) {
	return jsontree.Parse(credentials, jsontree.Limits{Depth: MaxDepth, Parts: MaxMembers})
}

// Canonical is the form in which a credentials object is sealed: the line breaks of
// PEM texts restored where they were lost, keys sorted at every level (by UTF-16
// code units, as in RFC 8785), no spaces, each text with the fewest escapes and
// every character that was sent, numbers digit for digit as they were sent. A
// credentials_type within the object is left out. Canonical of its own answer is
// that answer, and what Check accepts is accepted in this form, with the same
// settings. ErrTooLarge is for more than MaxBytes.
func (t *Type) Canonical(sent jsontree.Node) (jsontext.Value, error) {
	sent.Parts = slices.DeleteFunc(slices.Clone(sent.Parts), func(p jsontree.Part) bool { return p.Name == ignored })
	for i, p := range sent.Parts {
		if f, ok := t.owner(p.Name); ok && f.PEM {
			sent.Parts[i].Node = f.repaired(p.Node, f.encodes(p.Name))
		}
	}
	v, err := sent.AppendCanonical(make([]byte, 0, len(sent.Raw)))
	if err != nil {
		return nil, fmt.Errorf("encoding credentials: %w", err)
	}
	if len(v) > MaxBytes {
		return nil, ErrTooLarge
	}
	return v, nil
}

// object puts members that are well-formed together.
func object(members map[string]jsontext.Value) jsontext.Value {
	v, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return jsontext.Value("{}")
	}
	return v
}

// unread is the fault of bytes that are no tree. A pointer ends before the first
// name that the type does not declare: it may be a secret in the wrong place.
func (t *Type) unread(credentials jsontext.Value, err error) fault.Detail {
	var e *jsontree.Error
	switch {
	case len(credentials) == 0 || credentials.Kind() != '{':
		return noObject
	case errors.Is(err, jsontree.ErrParts):
		return fault.Detail{Pointer: Root, Code: fault.DetailTooLong, Message: fmt.Sprintf("At most %d keys, those of nested objects included.", MaxMembers)}
	case errors.Is(err, jsontree.ErrDepth) && errors.As(err, &e):
		for name := range e.Pointer.Tokens() {
			return fault.Detail{Pointer: t.place(name), Code: fault.DetailTooLong, Message: fmt.Sprintf("Nest at most %d levels.", MaxDepth)}
		}
	}
	return fault.Detail{Pointer: Root, Code: fault.DetailMalformed, Message: "Send credentials as one well-formed JSON object in UTF-8, each key once."}
}

var noObject = fault.Detail{Pointer: Root, Code: fault.DetailWrongKind, Message: "Send credentials as a JSON object."}

// place is the pointer of a name that the type declares, else of the object.
func (t *Type) place(name string) string {
	if t.declares(name) {
		return pointer(name)
	}
	return Root
}

// shape finds what no credentials object may hold, whatever its type: a value that
// is no object, a text or a number that is longer than the limits, a text with the
// character U+0000, which ends a text in drivers written in C, or a forbidden key.
func (t *Type) shape(n jsontree.Node) []fault.Detail {
	if n.Kind() != '{' {
		return []fault.Detail{noObject}
	}
	var found []fault.Detail
	for _, p := range n.Parts {
		at, limit := t.place(p.Name), MaxTextBytes
		add := func(code, message string) {
			if len(found) < maxFaults {
				found = append(found, fault.Detail{Pointer: at, Code: code, Message: message})
			}
		}
		shapeOfName(p.Name, add)
		if f, ok := t.owner(p.Name); ok && p.Kind() == '"' {
			limit = max(f.MaxBytes, MaxTextBytes)
		}
		shapeOf(p.Node, limit, add)
	}
	return found
}

func shapeOf(n jsontree.Node, limit int, add func(code, message string)) {
	switch {
	case n.Kind() == '"' && (bytes.IndexByte(n.Raw, '\\') >= 0 || len(n.Raw)-2 > limit): // a control character is escaped
		shapeOfText(n.Text(), limit, add)
	case n.Kind() == '0' && len(n.Raw) > MaxNumberBytes:
		add(fault.DetailTooLong, fmt.Sprintf("A number takes at most %d bytes. Send a longer one as a string.", MaxNumberBytes))
	}
	for _, p := range n.Parts {
		shapeOfName(p.Name, add)
		shapeOf(p.Node, limit, add)
	}
}

func shapeOfName(name string, add func(code, message string)) {
	if slices.Contains(forbidden, name) {
		add(fault.DetailForbidden, "The keys __proto__, constructor and prototype are refused.")
	}
	shapeOfText(name, MaxTextBytes, add)
}

func shapeOfText(text string, limit int, add func(code, message string)) {
	if strings.ContainsRune(text, 0) {
		add(fault.DetailMalformed, "It holds the character U+0000, which no system takes. Send it without.")
	}
	if len(text) > limit {
		add(fault.DetailTooLong, fmt.Sprintf("At most %d bytes.", limit))
	}
}
