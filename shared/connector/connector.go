// Package connector declares types of credentials: which fields a type has,
// under which names clients send them, which of them are secret, public or
// decide where the secret goes, and in which ways one may sign in. A
// declaration is data. Validation, the schemas, the public settings and the
// documentation derive from it; no driver is imported here.
package connector

import "github.com/go-json-experiment/json/jsontext"

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
	Name        string   // the canonical name, literal, dots included
	Also        []string // other names clients send for it
	Kind        Kind
	Title       string // two or three words for a form
	Help        string // a sentence; "" where the title says it all
	Secret      bool   // never shown but by reveal
	Destination bool   // decides where the secret is sent
	Identity    bool   // names who signs in
	Public      bool   // shown in credentials_non_secure_data; never with Secret
	OneOf       []string
	Min, Max    int64 // of a Number; both 0 = no limit
	MaxBytes    int   // of a Text; 0 = the general limit
	Lines       bool  // a Destination that may hold line breaks
	// Check tells what is wrong with a text, as a Detail code and a sentence
	// that does not repeat it; "" = nothing. nil = anything goes.
	Check func(text string) (code, message string)
}

// Method is one way to sign in. A request uses exactly one: the one its
// discriminator names, or, where it sends none, the one whose fields are
// there. Ways whose names differ in case alone are one on the wire, with
// different fields.
type Method struct {
	Name  string   // as the discriminator says it: "Access Key"
	Needs []string // canonical names, all of them required for this way
	May   []string // canonical names that belong to this way alone, but may be absent
	// Explicit ways are taken only where the discriminator names them: those
	// that need nothing would fit any request.
	Explicit bool
}

// Type is the declaration of one credentials_type.
type Type struct {
	Name           string // "postgres"
	ID             int64  // the connector's id on the wire, fixed for ever
	ConnectionType string // family on the wire: "file", "database", "rest" …
	Title          string
	Help           string
	Fields         []Field
	Needs          []string // canonical names required whatever the method
	Discriminator  string   // the field that names the method; "" where there is one way only
	Methods        []Method
	Example        jsontext.Value // a credentials object that validates
}
