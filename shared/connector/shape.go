package connector

import (
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
	MaxBytes       = 64 << 10 // in canonical form
	MaxDepth       = 16
	MaxMembers     = 512
	MaxTextBytes   = 32 << 10
	MaxNumberBytes = 32
)

// ErrTooLarge is what Canonical answers for more than MaxBytes.
var ErrTooLarge = errors.New("the credentials are larger than 64 KB")

// Root is where the credentials object stands in a request: every pointer of a
// fault starts with it.
const Root = "/credentials"

// ignored is a key that published examples send within the object.
const ignored = "credentials_type"

// forbidden keys would reach the prototype of an object in a JavaScript client
// (OWASP ASVS 5.0, 15.3.6).
var forbidden = []string{"__proto__", "constructor", "prototype"}

// Canonical is the form in which a credentials object is sealed: keys sorted at
// every level, no spaces, texts and numbers as they were sent. A credentials_type
// within the object is left out.
func Canonical(credentials jsontext.Value) (jsontext.Value, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(credentials, &members); err != nil || members == nil {
		return nil, errors.New("reading credentials: not an object")
	}
	delete(members, ignored)
	v := object(members)
	err := v.Format(jsontext.ReorderRawObjects(true), jsontext.PreserveRawStrings(true),
		jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	if err != nil {
		return nil, errors.New("reading credentials: malformed")
	}
	if len(v) > MaxBytes {
		return nil, ErrTooLarge
	}
	return v, nil
}

func object(members map[string]jsontext.Value) jsontext.Value {
	v, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return jsontext.Value("{}")
	}
	return v
}

// CheckShape finds what no credentials object may hold, whatever its type.
func CheckShape(credentials jsontext.Value) []fault.Detail {
	if credentials.Kind() != '{' {
		return []fault.Detail{{Pointer: Root, Code: fault.DetailWrongKind, Message: "Send credentials as a JSON object."}}
	}
	var found []fault.Detail
	add := func(at jsontext.Pointer, code, message string) {
		if len(found) < 20 {
			found = append(found, fault.Detail{Pointer: Root + string(at), Code: code, Message: message})
		}
	}
	dec := jsontext.NewDecoder(strings.NewReader(string(credentials)))
	members := 0
	for {
		tok, err := dec.ReadToken()
		if err == io.EOF {
			return found
		}
		if err != nil {
			return append(found, fault.Detail{Pointer: Root, Code: fault.DetailMalformed, Message: "Send credentials as one well-formed JSON object in UTF-8, each key once."})
		}
		if dec.StackDepth() > MaxDepth {
			return append(found, fault.Detail{Pointer: Root, Code: fault.DetailTooLong, Message: fmt.Sprintf("Nest at most %d levels.", MaxDepth)})
		}
		isKey := false
		if kind, n := dec.StackIndex(dec.StackDepth()); kind == '{' && n%2 == 1 {
			isKey = true
			members++
		}
		switch tok.Kind() {
		case '"':
			text := tok.String()
			if isKey && slices.Contains(forbidden, text) {
				return append(found, fault.Detail{Pointer: Root, Code: fault.DetailForbidden, Message: "The keys __proto__, constructor and prototype are refused."})
			}
			if strings.ContainsRune(text, 0) {
				add(dec.StackPointer(), fault.DetailMalformed, "It holds a zero character, which no system takes. Send it without.")
			}
			if len(text) > MaxTextBytes {
				add(dec.StackPointer(), fault.DetailTooLong, fmt.Sprintf("At most %d bytes.", MaxTextBytes))
			}
		case '0':
			if len(tok.String()) > MaxNumberBytes {
				add(dec.StackPointer(), fault.DetailTooLong, fmt.Sprintf("At most %d digits.", MaxNumberBytes))
			}
		}
		if members > MaxMembers {
			return append(found, fault.Detail{Pointer: Root, Code: fault.DetailTooLong, Message: fmt.Sprintf("At most %d keys.", MaxMembers)})
		}
	}
}
