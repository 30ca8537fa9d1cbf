// Package secret holds values that must not be printed by accident.
package secret

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every printer and encoder shows in place of a Value.
const Redacted = "[secret]"

// Value is a secret. Its bytes live in a closure, which no printer, encoder or
// reflective walk can enter: a string or byte type with redacting methods still
// leaks from an unexported field, where fmt may not call them. The zero Value
// is an empty secret. A func field makes Value not comparable, so it can be
// neither a map key nor an operand of ==; use Equal.
type Value struct{ f func() []byte }

// New takes a copy of b, which the caller may clear afterwards.
func New(b []byte) Value {
	kept := bytes.Clone(b)
	return Value{f: func() []byte { return kept }}
}

// NewText is New for a string. A string cannot be cleared, so prefer New where
// the bytes are at hand.
func NewText(s string) Value { return New([]byte(s)) }

// Expose returns a copy of the secret, nil for an empty one that was never set.
// Expose and ExposeText are the only ways in and the words to search for in a
// review; the caller clears the copy when it is done.
func (v Value) Expose() []byte {
	if v.f == nil {
		return nil
	}
	return bytes.Clone(v.f())
}

// ExposeText is Expose for drivers that take only a string.
func (v Value) ExposeText() string {
	if v.f == nil {
		return ""
	}
	return string(v.f())
}

// Clear overwrites the secret with zeros, in this Value and in every copy of it.
// Nobody may use one of them afterwards. May be called again.
func (v Value) Clear() {
	if v.f != nil {
		clear(v.f())
	}
}

// Len is the length of the secret in bytes.
func (v Value) Len() int {
	if v.f == nil {
		return 0
	}
	return len(v.f())
}

// Equal compares in constant time for equal lengths; the lengths themselves may
// show in the time it takes.
func (v Value) Equal(w Value) bool {
	a, b := v.Expose(), w.Expose()
	defer clear(a)
	defer clear(b)
	return subtle.ConstantTimeCompare(a, b) == 1
}

// Format answers every verb of fmt, %x and %d too.
func (v Value) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Redacted) }

// GoString answers %#v where Format is not consulted.
func (v Value) GoString() string { return Redacted }

// String answers callers of fmt.Stringer.
func (v Value) String() string { return Redacted }

// MarshalJSON answers both generations of JSON packages. There is no
// UnmarshalJSON on purpose: what was redacted must not be read back as a secret.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText answers XML, YAML and whatever else asks for text. gob asks for
// neither this nor a field it can see, and refuses a Value.
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue answers slog for a top-level attribute; nested ones meet the
// methods above.
func (v Value) LogValue() slog.Value { return slog.StringValue(Redacted) }
