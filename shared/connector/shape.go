package connector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
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

// Canonical is the form in which a credentials object is sealed: keys sorted at
// every level (by UTF-16 code units, as in RFC 8785), no spaces, each text with
// the fewest escapes and every character that was sent, numbers digit for digit
// as they were sent. A credentials_type within the object is left out. Canonical
// of its own answer is that answer. It refuses what is no object, has a key
// twice or is not UTF-8, and with ErrTooLarge more than MaxBytes. Its errors
// repeat nothing of what was sent.
func Canonical(credentials jsontext.Value) (jsontext.Value, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(credentials, &members); err != nil || members == nil {
		return nil, errors.New("reading credentials: not one well-formed object")
	}
	delete(members, ignored)
	v := object(members)
	err := v.Format(jsontext.ReorderRawObjects(true), jsontext.PreserveRawStrings(false),
		jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	if err != nil {
		return nil, errors.New("reading credentials: not one well-formed object")
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

// CheckShape finds what no credentials object may hold, whatever its type: a value
// that is no object, that nests, holds or measures more than the limits allow, a
// text with the character U+0000, which ends a text in drivers written in C, or a
// forbidden key. Any bytes may be given. A pointer ends before the first name
// that the type does not declare: it may be a secret in the wrong place. Check
// calls it first.
func (t *Type) CheckShape(credentials jsontext.Value) []fault.Detail {
	if len(credentials) == 0 || credentials.Kind() != '{' {
		return []fault.Detail{{Pointer: Root, Code: fault.DetailWrongKind, Message: "Send credentials as a JSON object."}}
	}
	s := shape{typ: t, dec: jsontext.NewDecoder(bytes.NewReader(credentials))}
	for whole := false; len(s.found) < maxFaults; whole = s.dec.StackDepth() == 0 {
		tok, err := s.dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return s.found
		}
		if err != nil || whole { // a second value behind the object is malformed too
			return append(s.found, malformed())
		}
		if s.token(tok) {
			return s.found
		}
	}
	return s.found
}

func malformed() fault.Detail {
	return fault.Detail{Pointer: Root, Code: fault.DetailMalformed, Message: "Send credentials as one well-formed JSON object in UTF-8, each key once."}
}

// shape is one look at an object under way.
type shape struct {
	typ     *Type
	dec     *jsontext.Decoder
	members int
	found   []fault.Detail
}

func (s *shape) add(code, message string) {
	at := Root
	for name := range s.dec.StackPointer().Tokens() {
		if s.typ.declares(name) {
			at = pointer(name)
		}
		break
	}
	s.found = append(s.found, fault.Detail{Pointer: at, Code: code, Message: message})
}

// token looks at one token and reports whether nothing behind it is worth a
// look.
func (s *shape) token(tok jsontext.Token) (stop bool) {
	if s.dec.StackDepth() > MaxDepth {
		s.add(fault.DetailTooLong, fmt.Sprintf("Nest at most %d levels.", MaxDepth))
		return true
	}
	switch tok.Kind() {
	case '"':
		return s.text(tok.String())
	case '0':
		if len(tok.String()) > MaxNumberBytes {
			s.add(fault.DetailTooLong, fmt.Sprintf("A number takes at most %d bytes. Send a longer one as a string.", MaxNumberBytes))
		}
	}
	return false
}

// limit is that of the text just read: a member of the object itself may have a
// Field with a higher one than others.
func (s *shape) limit() int {
	if within, n := s.dec.StackIndex(1); s.dec.StackDepth() == 1 && within == '{' && n%2 == 0 {
		for name := range s.dec.StackPointer().Tokens() {
			for _, f := range s.typ.Fields {
				if slices.Contains(f.names(), name) {
					return max(f.MaxBytes, MaxTextBytes)
				}
			}
		}
	}
	return MaxTextBytes
}

func (s *shape) text(text string) (stop bool) {
	within, n := s.dec.StackIndex(s.dec.StackDepth())
	if within == '{' && n%2 == 1 {
		s.members++
		if slices.Contains(forbidden, text) {
			s.add(fault.DetailForbidden, "The keys __proto__, constructor and prototype are refused.")
		}
	}
	if strings.ContainsRune(text, 0) {
		s.add(fault.DetailMalformed, "It holds the character U+0000, which no system takes. Send it without.")
	}
	if limit := s.limit(); len(text) > limit {
		s.add(fault.DetailTooLong, fmt.Sprintf("At most %d bytes.", limit))
	}
	if s.members > MaxMembers {
		s.found = append(s.found, fault.Detail{Pointer: Root, Code: fault.DetailTooLong, Message: fmt.Sprintf("At most %d keys, those of nested objects included.", MaxMembers)})
		return true
	}
	return false
}
