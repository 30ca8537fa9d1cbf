package connector

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// dialect is the version of JSON Schema that the schemas are written in.
const dialect = "https://json-schema.org/draft/2020-12/schema"

// node is a JSON Schema, as much of it as is said here.
type node struct {
	Dialect     string           `json:"$schema,omitzero"`
	Title       string           `json:"title,omitzero"`
	Description string           `json:"description,omitzero"`
	Type        any              `json:"type,omitzero"` // a string or a list of them
	Const       any              `json:"const,omitzero"`
	Enum        []any            `json:"enum,omitzero"`
	Minimum     *int64           `json:"minimum,omitzero"`
	Maximum     *int64           `json:"maximum,omitzero"`
	MinLength   int              `json:"minLength,omitzero"`
	MaxLength   int              `json:"maxLength,omitzero"`
	MaxItems    int              `json:"maxItems,omitzero"`
	Pattern     string           `json:"pattern,omitzero"`
	Encoding    string           `json:"contentEncoding,omitzero"`
	Media       string           `json:"contentMediaType,omitzero"`
	Default     any              `json:"default,omitzero"`
	WriteOnly   bool             `json:"writeOnly,omitzero"`
	Items       *node            `json:"items,omitzero"`
	Properties  members          `json:"properties,omitzero"`
	Required    []string         `json:"required,omitzero"`
	AllOf       []node           `json:"allOf,omitzero"`
	AnyOf       []node           `json:"anyOf,omitzero"`
	If          *node            `json:"if,omitzero"`
	Then        *node            `json:"then,omitzero"`
	Examples    []jsontext.Value `json:"examples,omitzero"`
}

// members are properties in the order declared, which is the order of a form.
type members []member

type member struct {
	name string
	node node
}

// MarshalJSONTo writes an object.
func (m members) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, p := range m {
		if err := enc.WriteToken(jsontext.String(p.name)); err != nil {
			return err
		}
		if err := json.MarshalEncode(enc, p.node); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// IsZero leaves properties out where there are none.
func (m members) IsZero() bool { return len(m) == 0 }

// Schema is the JSON Schema (draft 2020-12) of the type's credentials object:
// what to send. Secret fields are writeOnly, under each of their names. Check
// takes a little more, such as null for a field that is not required, and
// refuses what a schema cannot say, such as a host with a path. The text is
// made anew by each call and always the same.
func (t *Type) Schema() jsontext.Value {
	n := t.node()
	n.Dialect = dialect
	return render(n)
}

func render(n node) jsontext.Value {
	// Nothing in a node can fail to be written: its values are texts, numbers
	// and examples, whose form conntest holds.
	v, err := json.Marshal(n)
	if err != nil {
		return jsontext.Value(`{"type":"object"}`)
	}
	return v
}

func (t *Type) node() node {
	n := node{Title: t.Title, Description: t.Help, Type: "object", Examples: []jsontext.Value{t.Example}}
	for _, f := range t.Fields {
		for i, name := range f.names() {
			p := f.node(slices.Contains(f.Encoded, name))
			if i > 0 {
				p.Description = "Another name of " + f.Name + "."
			}
			n.Properties = append(n.Properties, member{name, p})
		}
	}
	t.require(&n, t.Needs)
	for _, m := range t.Methods {
		way := node{Title: m.Name}
		for _, d := range t.discriminators() {
			value, ok := m.When[d.Name]
			if !ok {
				continue
			}
			if len(m.Needs) == 0 {
				t.require(&way, []string{d.Name})
			}
			for _, name := range d.names() {
				way.Properties = append(way.Properties, member{name, d.only(value)})
			}
		}
		t.require(&way, m.Needs)
		n.AnyOf = append(n.AnyOf, way)
	}
	return n
}

// require asks for fields, each under one of its names.
func (t *Type) require(n *node, names []string) {
	for _, name := range names {
		f, _ := t.field(name)
		all := f.names()
		if len(all) == 1 {
			n.Required = append(n.Required, name)
			continue
		}
		var any node
		for _, one := range all {
			any.AnyOf = append(any.AnyOf, node{Required: []string{one}})
		}
		n.AllOf = append(n.AllOf, any)
	}
}

// node is the schema of the field's values.
func (f Field) node(encoded bool) node {
	n := node{Title: f.Title, Description: f.Help, WriteOnly: f.Secret}
	switch {
	case encoded:
		n.Type, n.MinLength, n.Encoding, n.Media = "string", 1, "base64", "application/json"
	case f.Kind == Number:
		n.Type, n.Pattern = []string{"integer", "string"}, whole.String()
		if f.Min != 0 || f.Max != 0 {
			n.Minimum, n.Maximum = &f.Min, &f.Max
		}
		if f.Default != 0 {
			n.Default = f.Default
		}
	case f.Kind == Bool:
		n.Enum = []any{true, false, "true", "false"}
	case f.Kind == Object:
		n.Type = []string{"object", "string"}
		n.MinLength = 2
	case len(f.OneOf) > 0:
		n.Type = "string"
		for _, one := range f.OneOf {
			n.Enum = append(n.Enum, one)
		}
	default:
		n.Type, n.MinLength = "string", 1
	}
	return n
}

// only is the schema of one value of a discriminator.
func (f Field) only(value string) node {
	if f.Kind == Bool {
		return node{Enum: []any{value == "true", value}}
	}
	return node{Const: value}
}

// RequestSchema is the JSON Schema (draft 2020-12) of the body that makes a
// credential, with the credentials of each type of the registry. A body that
// changes one may leave out every property.
func (r *Registry) RequestSchema() jsontext.Value {
	var kinds []any
	var rules []node
	for _, t := range r.sorted {
		kinds = append(kinds, t.Name)
		var named node
		for _, name := range typeNames {
			named.AnyOf = append(named.AnyOf, node{
				Properties: members{{name, node{Const: t.Name}}}, Required: []string{name},
			})
		}
		rules = append(rules, node{If: &named, Then: &node{Properties: members{{"credentials", t.node()}}}})
	}
	return render(requestNode(kinds, rules))
}

// typeNames are the names of the property that says the type.
var typeNames = []string{"credentials_type", "connector_type"}

func requestNode(kinds []any, rules []node) node {
	text := func(title, description string, limit int) node {
		return node{Title: title, Description: description, Type: "string", MaxLength: limit}
	}
	name := text("Name", "", 255)
	name.MinLength = 1
	description := node{Title: "Description", Type: []string{"string", "null"}, MaxLength: 255}
	format := text("Version of the format", "", 32)
	format.Default = "1"
	tag := text("Tag", "", 64)
	tag.MinLength = 1
	identifier := func(title, description string) node {
		return node{Title: title, Description: description, Type: "integer"}
	}
	return node{
		Dialect: dialect, Title: "Data credential", Type: "object",
		Description: "The body of POST /data_credentials. PUT /data_credentials/{id} takes the same properties, all of them optional; credentials replaces the whole object. Properties that only the service sets are ignored.",
		Properties: members{
			{"name", name},
			{"credentials_type", node{Title: "Type", Description: "Which kind of system the credential is for.", Type: "string", Enum: kinds}},
			{"connector_type", node{Title: "Type", Description: "Another name of credentials_type.", Type: "string", Enum: kinds}},
			{"credentials", node{Title: "Secrets and settings", Description: "What the type asks for. A key that the type does not know is kept as a secret.", Type: "object", WriteOnly: true}},
			{"description", description},
			{"tags", node{Title: "Tags", Type: "array", Items: &tag, MaxItems: 50}},
			{"credentials_version", format},
			{"owner_id", identifier("Owner", "On an update, whom the credential is given to.")},
			{"org_id", identifier("Organisation", "None but the caller's.")},
			{"probe_interval", node{Title: "Scheduled probes", Description: "The organisation's setting where it is left out.", Type: "string", Enum: []any{"off", "hourly", "daily"}}},
		},
		Required: []string{"name", "credentials"},
		AnyOf:    []node{{Required: typeNames[:1]}, {Required: typeNames[1:]}},
		AllOf:    rules,
	}
}
