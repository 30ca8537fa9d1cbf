// Package jsontree reads a JSON text once, into a tree that all who ask something
// of it share. The tree points into the text, so clearing the text clears it too,
// but for the names of members.
package jsontree

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Node is one value. The zero Node is none.
type Node struct {
	Raw   jsontext.Value // the text of the value
	Parts []Part         // the members of an object or the elements of an array, as sent
}

// Part is a member, or an element, which has no name.
type Part struct {
	Name string
	Node
}

// Limits bound a tree.
type Limits struct {
	Depth int // levels of objects and arrays
	Parts int // members and elements, all together
}

// Errors of Parse besides those of jsontext.
var (
	ErrDepth  = errors.New("nested deeper than the limit")
	ErrParts  = errors.New("more members than the limit")
	ErrSecond = errors.New("a second value follows the first")
)

// Error says where a text is not one value of I-JSON (RFC 7493) within the limits.
// It repeats nothing of the text but names, in Pointer.
type Error struct {
	Pointer jsontext.Pointer
	Offset  int64 // of the byte at fault
	Err     error
}

func (e *Error) Error() string { return "reading JSON: not one well-formed value within the limits" }

// Unwrap returns the reason: one of the errors above, or of jsontext.
func (e *Error) Unwrap() error { return e.Err }

// Parse reads one value. Names stand once in an object, and texts are valid UTF-8.
// The error is an *Error.
func Parse(text []byte, l Limits) (Node, error) {
	p := parser{text: text, dec: jsontext.NewDecoder(bytes.NewBuffer(text)), limits: l}
	n, err := p.value()
	if err != nil {
		return Node{}, p.at(err)
	}
	end := p.dec.InputOffset()
	switch _, err := p.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return n, nil
	case err != nil:
		return Node{}, p.at(err)
	}
	rest := text[end:]
	return Node{}, &Error{Offset: end + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n"))), Err: ErrSecond}
}

type parser struct {
	text   []byte
	dec    *jsontext.Decoder
	limits Limits
	parts  int
}

// at adds the place of an error.
func (p *parser) at(err error) *Error {
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		return &Error{s.JSONPointer, s.ByteOffset, err}
	}
	return &Error{p.dec.StackPointer(), p.dec.InputOffset(), err}
}

func (p *parser) value() (Node, error) {
	kind := p.dec.PeekKind()
	if kind != '{' && kind != '[' {
		raw, err := p.scalar()
		return Node{Raw: raw}, err
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return Node{}, err
	}
	if p.dec.StackDepth() > p.limits.Depth {
		return Node{}, ErrDepth
	}
	start := p.dec.InputOffset() - 1
	var parts []Part
	for p.dec.PeekKind() != kind+2 { // } or ]
		part, err := p.part(kind)
		if err != nil {
			return Node{}, err
		}
		if parts == nil {
			parts = make([]Part, 0, 8)
		}
		parts = append(parts, part)
	}
	_, err := p.dec.ReadToken()
	return Node{p.text[start:p.dec.InputOffset()], parts}, err
}

func (p *parser) part(kind jsontext.Kind) (part Part, err error) {
	if kind == '{' {
		name, err := p.scalar()
		if err != nil {
			return Part{}, err
		}
		part.Name = Node{Raw: name}.Text()
		if p.parts++; p.parts > p.limits.Parts {
			return Part{}, ErrParts
		}
		part.Node, err = p.value()
		return part, err
	}
	if part.Node, err = p.value(); err != nil {
		return Part{}, err
	}
	if p.parts++; p.parts > p.limits.Parts {
		return Part{}, ErrParts
	}
	return part, nil
}

// scalar reads a value that holds no other, and returns its place in the text.
func (p *parser) scalar() (jsontext.Value, error) {
	if k := p.dec.PeekKind(); k == '{' || k == '[' { // in the place of a name
		_, err := p.dec.ReadToken()
		return nil, err
	}
	v, err := p.dec.ReadValue()
	end := p.dec.InputOffset()
	return p.text[end-int64(len(v)) : end : end], err
}

// Kind is the kind of the value, 0 for the zero Node.
func (n Node) Kind() jsontext.Kind {
	if len(n.Raw) == 0 {
		return 0
	}
	return n.Raw.Kind()
}

// Text is the text of a string, and the JSON of any other value.
func (n Node) Text() string {
	if n.Kind() != '"' {
		return string(n.Raw)
	}
	if bytes.IndexByte(n.Raw, '\\') < 0 {
		return string(n.Raw[1 : len(n.Raw)-1])
	}
	text, _ := jsontext.AppendUnquote(nil, n.Raw) // Parse has read it
	return string(text)
}

// Get returns the member of a name.
func (n Node) Get(name string) (Node, bool) {
	for _, p := range n.Parts {
		if p.Name == name {
			return p.Node, true
		}
	}
	return Node{}, false
}

// AppendCanonical appends the value without spaces, the members of each object
// sorted by UTF-16 code units (RFC 8785), texts with the fewest escapes, and
// numbers as they are.
func (n Node) AppendCanonical(b []byte) ([]byte, error) {
	var err error
	switch kind := n.Kind(); {
	case kind == '"' && bytes.IndexByte(n.Raw, '\\') >= 0:
		return jsontext.AppendQuote(b, n.Text())
	case kind != '{' && kind != '[':
		return append(b, n.Raw...), nil
	case kind == '{':
		parts := slices.Clone(n.Parts)
		slices.SortFunc(parts, func(x, y Part) int { return compare(x.Name, y.Name) })
		n.Parts = parts
	}
	b = append(b, n.Raw[0])
	for i, p := range n.Parts {
		if i > 0 {
			b = append(b, ',')
		}
		if n.Raw[0] == '{' {
			if b, err = jsontext.AppendQuote(b, p.Name); err != nil {
				return nil, err
			}
			b = append(b, ':')
		}
		if b, err = p.AppendCanonical(b); err != nil {
			return nil, err
		}
	}
	return append(b, n.Raw[0]+2), nil
}

// compare orders texts by UTF-16 code units: as their characters, but that those
// beyond U+FFFF, which are pairs of units from U+D800 on, come before U+E000.
func compare(a, b string) int {
	for len(a) > 0 && len(b) > 0 {
		x, size := utf8.DecodeRuneInString(a)
		y, _ := utf8.DecodeRuneInString(b)
		if x != y {
			return cmp.Or(cmp.Compare(firstUnit(x), firstUnit(y)), cmp.Compare(x, y))
		}
		a, b = a[size:], b[size:]
	}
	return cmp.Compare(len(a), len(b))
}

func firstUnit(r rune) rune {
	if first, _ := utf16.EncodeRune(r); first != utf8.RuneError {
		return first
	}
	return r
}
