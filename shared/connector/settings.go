package connector

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
	"credence/shared/secret"
)

// Settings is a checked credentials object under the canonical names of its
// type. Every value is a secret.Value, a port too, so that a printer that walks
// Settings finds names that the type declares and nothing that was sent. The
// zero Settings has no fields. It may be read from many goroutines.
type Settings struct {
	typ      *Type
	method   string
	values   map[string]setting
	unknown  int
	warnings []fault.Detail
}

type setting struct {
	field  int          // its index in the type's Fields
	sentAs string       // the name it was sent by, one that the type declares
	text   secret.Value // the text, or the number, truth or object as JSON
}

// Text is a field's text, a number's or truth's in JSON; "" where it was not
// sent. It is for what is no secret: a secret is read with Secret.
func (s Settings) Text(name string) string { return s.values[name].text.ExposeText() }

// Secret is a field's value, of whatever kind; empty where it was not sent. An
// Object is its JSON.
func (s Settings) Secret(name string) secret.Value { return s.values[name].text }

// Int is a Number's value and whether it was sent. Where it was not, the value
// is the field's default, 0 without one.
func (s Settings) Int(name string) (int64, bool) {
	if v, ok := s.values[name]; ok {
		n, err := strconv.ParseInt(v.text.ExposeText(), 10, 64)
		return n, err == nil
	}
	if s.typ == nil {
		return 0, false
	}
	f, _ := s.typ.field(name)
	return f.Default, false
}

// Bool is a Bool's value, and whether it was sent.
func (s Settings) Bool(name string) (value, present bool) {
	v, ok := s.values[name]
	return ok && v.text.ExposeText() == "true", ok
}

// Has reports whether the field was sent, neither null nor empty.
func (s Settings) Has(name string) bool { _, ok := s.values[name]; return ok }

// SentAs is the name by which a field was sent; the canonical one where it was
// not.
func (s Settings) SentAs(name string) string {
	if v, ok := s.values[name]; ok {
		return v.sentAs
	}
	return name
}

// Method is the name of the way to sign in; "" for a type that has one only.
func (s Settings) Method() string { return s.method }

// Known lists the type's own fields that were sent, by canonical name, sorted.
// It is what an audit entry may name.
func (s Settings) Known() []string {
	return slices.AppendSeq(make([]string, 0, len(s.values)), sorted(s.values))
}

func sorted(values map[string]setting) func(func(string) bool) {
	return slices.Values(slices.Sorted(maps.Keys(values)))
}

// Unknown is how many keys were sent that the type does not declare. They are
// sealed with the rest and never shown.
func (s Settings) Unknown() int { return s.unknown }

// Warnings are about keys that were sent and that the type does not declare. They
// hold no value, and no name but one that is near to a declared one.
func (s Settings) Warnings() []fault.Detail { return s.warnings }

// Public is the object of those public settings that were sent, under the
// names they were sent by, sorted. A number or truth sent as text is a number
// or truth here; of a text there is what the field shows of it.
func (s Settings) Public() jsontext.Value {
	out := map[string]jsontext.Value{}
	for _, v := range s.values {
		if f := s.typ.Fields[v.field]; f.Public {
			if f.Shown != nil {
				v.text = secret.NewText(f.Shown(s.method, v.text.ExposeText()))
			}
			out[v.sentAs] = f.render(v)
		}
	}
	return object(out)
}

// Principal names the account that is signed in to: the values of the type's
// identity fields, hosts in lower case, of addresses only the host, and a host
// once however many fields name it. Equal texts are one account, whichever
// credential they come from. It is "" where nobody is named, as with a bare key:
// then no account can be locked by trying. The text is what was sent: hash it
// before it is stored.
func (s Settings) Principal() string {
	if s.typ == nil {
		return ""
	}
	var hosts, parts []string
	named := false
	for _, f := range s.typ.Fields {
		text := s.Text(f.Name)
		switch {
		case !f.Identity:
		case f.Kind == Number:
			n, _ := s.Int(f.Name)
			parts = append(parts, f.Name+"="+strconv.FormatInt(n, 10))
		case text == "":
		case f.Destination:
			hosts = append(hosts, host(text))
		default:
			named = true
			parts = append(parts, f.Name+"="+text)
		}
	}
	if !named {
		return ""
	}
	slices.Sort(hosts)
	return strings.Join(slices.Concat([]string{s.typ.Name}, slices.Compact(hosts), parts), "\x00")
}

// host is the host of an address, or the text itself where it is none.
func host(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		text = u.Host
	}
	return strings.TrimSuffix(strings.ToLower(text), ".")
}
