package connector

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/secret"
)

// Settings is a checked credentials object under the canonical names of its
// type. Every value is a secret.Value, whatever the field, so that Settings can
// be printed by accident.
type Settings struct {
	typ     *Type
	method  string
	values  map[string]setting
	unknown int
}

type setting struct {
	text   secret.Value // the text, or the number, truth or object as JSON
	number int64
	truth  bool
	sentAs string
}

// Text is a field's text; "" where it was not sent. A driver's own settings
// take it; a secret is better read with Secret.
func (s Settings) Text(name string) string { return s.values[name].text.ExposeText() }

// Secret is a field's value, which is empty where it was not sent.
func (s Settings) Secret(name string) secret.Value { return s.values[name].text }

// Int is a number field's value; false where it was not sent.
func (s Settings) Int(name string) (int64, bool) {
	v, ok := s.values[name]
	return v.number, ok
}

// Bool is a truth field's value, and whether it was sent.
func (s Settings) Bool(name string) (value, present bool) {
	v, ok := s.values[name]
	return v.truth, ok
}

// Has reports whether the field was sent and is not null.
func (s Settings) Has(name string) bool { _, ok := s.values[name]; return ok }

// Method is the name of the way to sign in; "" for a type that has one only.
func (s Settings) Method() string { return s.method }

// Known lists the type's own fields that were sent, by canonical name, sorted.
func (s Settings) Known() []string { return slices.Sorted(maps.Keys(s.values)) }

// Unknown is how many fields were sent that the type does not declare. They
// are sealed with the rest and never shown.
func (s Settings) Unknown() int { return s.unknown }

// Public is the object of those public settings that were sent, under the
// names they were sent by, sorted. A number sent as text is a number here.
func (s Settings) Public() jsontext.Value {
	out := map[string]jsontext.Value{}
	for name, v := range s.values {
		if f, ok := s.typ.field(name); ok && f.Public {
			out[v.sentAs] = f.render(v)
		}
	}
	return object(out)
}

// Principal names who signs in where: the values of the type's destination and
// identity fields. It is "" where nobody is named, as with a bare key: then no
// account can be locked by trying.
func (s Settings) Principal() string {
	if s.typ == nil {
		return ""
	}
	var b strings.Builder
	named := false
	for _, f := range s.typ.Fields {
		v, ok := s.values[f.Name]
		if !ok || !(f.Identity || f.Destination) {
			continue
		}
		named = named || f.Identity
		b.WriteString(f.Name + "=" + v.text.ExposeText() + "\x00")
	}
	if !named {
		return ""
	}
	return s.typ.Name + "\x00" + b.String()
}
