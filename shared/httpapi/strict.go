package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
)

// Limits of a body, which nothing that is meant comes near.
const (
	maxDepth       = 16
	maxMembers     = 512 // members of objects and elements of arrays, all together
	maxStringBytes = 32 << 10
	maxNumberBytes = 32
)

// hostileNames change what an object is when a JavaScript client assigns them.
var hostileNames = []string{"__proto__", "constructor", "prototype"}

// checkJSON holds a body to one value of I-JSON (RFC 7493) within the limits.
// The decoder itself refuses duplicate names, surrogates without a partner and
// text behind the value. The error never repeats what was sent: its pointer
// ends before the first name that is not among declared.
func checkJSON(body []byte, declared []string) error {
	if n := invalidUTF8(body); n >= 0 {
		return malformed("", fault.DetailMalformed, "The body is not valid UTF-8 at "+position(body, n)+".")
	}
	if bytes.HasPrefix(body, []byte("\ufeff")) {
		return malformed("", fault.DetailMalformed, "The body starts with a byte order mark. Send it without.")
	}
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	members := 0
	for first := true; ; first = false {
		complete := !first && dec.StackDepth() == 0
		token, err := dec.ReadToken()
		switch {
		case complete && errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return syntaxFault(err, dec, body, declared)
		case complete:
			at := position(body, dec.InputOffset()-int64(len(token.String())))
			return malformed("", fault.DetailMalformed, "A second value follows the first, before "+at+". Send one JSON value.")
		}
		parent, closing := dec.StackDepth(), false
		switch token.Kind() {
		case '{', '[':
			parent--
		case '}', ']':
			closing = true
		}
		kind, length := dec.StackIndex(parent)
		name := kind == '{' && length%2 == 1 && token.Kind() == '"'
		if !closing && (name || kind == '[') {
			members++
		}
		if err := checkToken(token, name, members, dec, declared); err != nil {
			return err
		}
	}
}

func checkToken(t jsontext.Token, name bool, members int, dec *jsontext.Decoder, declared []string) error {
	at := func() string { return safePointer(dec.StackPointer(), declared) }
	if members > maxMembers {
		return malformed(at(), fault.DetailTooLong, fmt.Sprintf("The body has more than %d members. Send less at once.", maxMembers))
	}
	switch t.Kind() {
	case '{', '[':
		if dec.StackDepth() > maxDepth {
			return malformed(at(), fault.DetailTooLong, fmt.Sprintf("The body is nested more than %d levels deep.", maxDepth))
		}
	case '0':
		if len(t.String()) > maxNumberBytes {
			return malformed(at(), fault.DetailTooLong, fmt.Sprintf("A number has more than %d characters.", maxNumberBytes))
		}
	case '"':
		return checkString(t.String(), name, at)
	}
	return nil
}

func checkString(text string, name bool, at func() string) error {
	switch {
	case len(text) > maxStringBytes && !strings.HasPrefix(at(), "/credentials"): // each text there has the limit of its field
		return malformed(at(), fault.DetailTooLong, fmt.Sprintf("A text is longer than %d bytes.", maxStringBytes))
	case strings.ContainsRune(text, 0):
		return malformed(at(), fault.DetailForbidden, "A text holds the character U+0000, which no system takes.")
	case name && slices.Contains(hostileNames, text):
		return malformed(at(), fault.DetailForbidden, "The names __proto__, constructor and prototype are not allowed.")
	}
	return nil
}

// safePointer keeps the beginning of a pointer that consists of declared names
// and of positions in arrays under them; a name that a client made up may be a
// secret in the wrong place.
func safePointer(p jsontext.Pointer, declared []string) string {
	out := ""
	for token := range p.Tokens() {
		index := token != "" && len(token) <= 3 && strings.Trim(token, "0123456789") == "" && out != ""
		if !index && !slices.Contains(declared, token) {
			break
		}
		out += "/" + escapePointer(token)
	}
	return out
}

// escapePointer spells a name as a reference token (RFC 6901, section 3).
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func malformed(pointer, code, message string) error {
	e := fault.New(fault.CodeMalformedJSON, message)
	e.Details = []fault.Detail{{Pointer: pointer, Code: code, Message: message}}
	return e
}

// clean reports whether a text is free of control characters and of those that
// turn the direction of writing (Unicode Technical Report 36, section 3.1):
// what a person reads is then what is there. With lines, line breaks and tabs
// are allowed.
func clean(text string, lines bool) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		if lines && (r == '\n' || r == '\r' || r == '\t') {
			return false
		}
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	})
}

// members splits an object that checkJSON has let through.
func members(raw jsontext.Value) (map[string]jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	out := map[string]jsontext.Value{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		text := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		out[text] = value.Clone()
	}
	return out, nil
}

// elements splits an array that checkJSON has let through.
func elements(raw jsontext.Value) ([]jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	out := []jsontext.Value{}
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		out = append(out, value.Clone())
	}
	return out, nil
}
