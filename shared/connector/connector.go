// Package connector declares types of credentials: which fields a type has,
// under which names clients send them, which of them are secret, public or
// decide where the secret goes, and in which ways one may sign in. A
// declaration is data. Validation, the schemas, the public settings and the
// documentation derive from it; no driver is imported here.
package connector

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is the kind of value a field takes.
type Kind string

// The kinds. Number and Bool also take their text form ("5432", "true").
const (
	Text   Kind = "text"
	Number Kind = "number" // a whole number
	Bool   Kind = "bool"
	Object Kind = "object" // a JSON object, or text that holds one
)

// Field is one setting of a type.
type Field struct {
	Name string   // the canonical name, literal, dots included
	Also []string // other names clients send for it
	// Near are names that people send for the field and that it is not taken
	// under: an error or a warning suggests the field. Names that differ from it
	// by a spelling error need not be listed.
	Near []string
	// Encoded are names under which clients send an Object as base64 (RFC 4648)
	// of its JSON. Settings hold the JSON, whichever name it came by.
	Encoded     []string
	Kind        Kind
	Title       string // two or three words for a form
	Help        string // a sentence; "" where the title says it all
	Secret      bool   // never shown but by reveal
	Destination bool   // decides where the secret is sent, or how well that is verified
	Identity    bool   // names, with the others marked so, the account signed in to: host, port, user
	Public      bool   // shown in credentials_non_secure_data; never with Secret
	// Shown returns what is shown of a Text that is Public, by the name of the
	// method that the credential authenticates with; nil = all of it.
	Shown    func(method, text string) string
	OneOf    []string
	Min, Max int64 // of a Number; both 0 = no limit
	Default  int64 // of a Number: what Settings.Int says where none was sent; 0 = none
	MaxBytes int   // of a Text; 0 = MaxTextBytes
	Lines    bool  // a Destination that may hold line breaks
	// PEM marks a Text in PEM form (RFC 7468), and an Object whose private_key is:
	// line breaks that were lost are restored.
	PEM bool
	// Check tells what is wrong with a text, as a Detail code and a sentence
	// that does not repeat it; "" = nothing. nil = anything goes.
	Check func(text string) (code, message string)
}

// Method is one way to sign in. A request uses exactly one: the one whose
// fields are there, among those that the discriminators which were sent allow.
// Methods of one name are one way with several sets of fields.
type Method struct {
	Name string // what Settings.Method says: "Access Key"
	// When are the values that the discriminators have for this way, by
	// canonical name ("true" and "false" of a Bool). A discriminator that was
	// not sent excludes nothing.
	When map[string]string
	// Needs are canonical names, all of them required for this way. A way that
	// needs nothing would fit every request, so it is taken only where its
	// discriminators were sent.
	Needs []string
	May   []string // canonical names that belong to this way alone, but may be absent
	// Fallback ways are taken only where no discriminator was sent and the
	// fields of no other way are whole: their fields may also stand beside those
	// of another way.
	Fallback bool
	Example  jsontext.Value // a credentials object of this way; nil where the type's is one
}

// Type is the declaration of one credentials_type.
type Type struct {
	Name           string   // "postgres"
	Near           []string // names of the type that people send and that it is not taken under
	ID             int64    // the connector's id on the wire, fixed for ever
	ConnectionType string   // family on the wire: "file", "database", "rest" …
	Title          string
	Help           string
	Fields         []Field
	Needs          []string // canonical names required whatever the method
	Methods        []Method // none where Needs is the only way to sign in
	Example        jsontext.Value
}

// names are all that clients may send the field under, the canonical one first.
func (f Field) names() []string {
	names := make([]string, 0, 1+len(f.Also)+len(f.Encoded))
	return append(append(append(names, f.Name), f.Also...), f.Encoded...)
}

// encodes reports whether the field is sent in base64 under a name.
func (f Field) encodes(name string) bool { return slices.Contains(f.Encoded, name) }

// declares reports whether name is one that the type takes a field under.
func (t *Type) declares(name string) bool {
	return slices.ContainsFunc(t.Fields, func(f Field) bool { return slices.Contains(f.names(), name) })
}

// discriminators are the fields that name a method, in the order declared.
func (t *Type) discriminators() []Field {
	var found []Field
	for _, f := range t.Fields {
		for _, m := range t.Methods {
			if _, ok := m.When[f.Name]; ok {
				found = append(found, f)
				break
			}
		}
	}
	return found
}
