package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"credence/shared/fault"
	"credence/shared/jsontree"
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

// parse reads a body as one value of I-JSON (RFC 7493) within the limits. The error
// never repeats what was sent: its pointer ends before the first name that is not
// among declared. The credentials are the connector's to check: each of their texts
// has a limit of its own.
func parse(body []byte, declared []string) (jsontree.Node, error) {
	if n := invalidUTF8(body); n >= 0 {
		return jsontree.Node{}, malformed("", fault.DetailMalformed, "The body is not valid UTF-8 at "+position(body, n)+".")
	}
	if bytes.HasPrefix(body, []byte("\ufeff")) {
		return jsontree.Node{}, malformed("", fault.DetailMalformed, "The body starts with a byte order mark. Send it without.")
	}
	n, err := jsontree.Parse(body, jsontree.Limits{Depth: maxDepth, Parts: maxMembers})
	var e *jsontree.Error
	if errors.As(err, &e) {
		return jsontree.Node{}, syntaxFault(e, body, declared)
	}
	if f := flawIn(n, maxStringBytes); f != nil {
		slices.Reverse(f.path)
		return jsontree.Node{}, malformed(safePointer(slices.Values(f.path), declared), f.code, f.message)
	}
	return n, nil
}

// flaw is a value that no body may hold; path leads to it, the last name first.
type flaw struct {
	path          []string
	code, message string
}

// flawIn finds the first flaw of a value, whose texts have a limit in bytes.
func flawIn(n jsontree.Node, limit int) *flaw {
	switch n.Kind() {
	case '0':
		if len(n.Raw) > maxNumberBytes {
			return &flaw{code: fault.DetailTooLong, message: fmt.Sprintf("A number has more than %d characters.", maxNumberBytes)}
		}
	case '"':
		if bytes.IndexByte(n.Raw, '\\') < 0 && len(n.Raw)-2 <= limit {
			return nil // a control character is escaped
		}
		return flawInText(n.Text(), limit)
	}
	for i, p := range n.Parts {
		f := flawInText(p.Name, limit)
		if f == nil && slices.Contains(hostileNames, p.Name) {
			f = &flaw{code: fault.DetailForbidden, message: "The names __proto__, constructor and prototype are not allowed."}
		}
		if f == nil {
			inner := limit
			if p.Name == "credentials" {
				inner = math.MaxInt
			}
			f = flawIn(p.Node, inner)
		}
		if f != nil {
			if n.Kind() == '[' {
				p.Name = strconv.Itoa(i)
			}
			f.path = append(f.path, p.Name)
			return f
		}
	}
	return nil
}

func flawInText(text string, limit int) *flaw {
	switch {
	case len(text) > limit:
		return &flaw{code: fault.DetailTooLong, message: fmt.Sprintf("A text is longer than %d bytes.", limit)}
	case strings.ContainsRune(text, 0):
		return &flaw{code: fault.DetailForbidden, message: "A text holds the character U+0000, which no system takes."}
	}
	return nil
}

// safePointer keeps the beginning of a pointer that consists of declared names
// and of positions in arrays under them; a name that a client made up may be a
// secret in the wrong place.
func safePointer(path iter.Seq[string], declared []string) string {
	out := ""
	for token := range path {
		index := token != "" && len(token) <= 3 && strings.Trim(token, "0123456789") == "" && out != ""
		if !index && !slices.Contains(declared, token) {
			break
		}
		out += "/" + escapePointer(token)
	}
	return out
}

// escapePointer spells a name as a reference token (RFC 6901, section 3).
func escapePointer(name string) string { return escape.Replace(name) }

var escape = strings.NewReplacer("~", "~0", "/", "~1")

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
