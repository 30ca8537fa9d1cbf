package conntest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Validator compiles a JSON Schema, which must be one of its dialect, and gives
// what tells whether a value is valid.
func Validator(schema jsontext.Value) (func(jsontext.Value) bool, error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("reading a schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///schema", parsed); err != nil {
		return nil, fmt.Errorf("adding a schema: %w", err)
	}
	compiled, err := c.Compile("mem:///schema")
	if err != nil {
		return nil, fmt.Errorf("compiling a schema: %w", err)
	}
	return func(v jsontext.Value) bool {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(v))
		return err == nil && compiled.Validate(value) == nil
	}, nil
}

// schemas holds the schema to Check: it takes what Check takes of the examples,
// under every name, and asks for the same fields.
func schemas(s *subject) []string {
	valid, err := Validator(s.schema)
	if err != nil {
		return []string{err.Error()}
	}
	found := properties(s)
	for _, one := range s.samples {
		if !valid(one.members.text()) {
			found = append(found, fmt.Sprintf("the example of %s is not valid", one.label))
			continue
		}
		before, faults := s.check(one.members)
		if len(faults) > 0 {
			continue // another rule says so
		}
		for _, f := range s.typ.Fields {
			sent := one.members.sentAs(f)
			if sent == "" {
				continue
			}
			_, faults := s.check(one.members.without(f))
			if got := valid(one.members.without(f).text()); got != (len(faults) == 0) {
				found = append(found, fmt.Sprintf("%s without %s: valid %t, and checked: %s", one.label, f.Name, got, brief(faults)))
			}
			for _, name := range names(f) {
				if !valid(one.members.with(f, name, encoded(f, name, before, one.members[sent])).text()) {
					found = append(found, fmt.Sprintf("%s with %s for %s is not valid", one.label, name, sent))
				}
			}
		}
	}
	if (len(s.typ.Needs) > 0 || len(s.typ.Methods) > 0) && valid(jsontext.Value(`{}`)) {
		found = append(found, "an empty object is valid")
	}
	return append(found, schemaKinds(s, valid)...)
}

func schemaKinds(s *subject, valid func(jsontext.Value) bool) (found []string) {
	for _, f := range s.typ.Fields {
		for _, name := range names(f) {
			for _, value := range []string{`[]`, `null`} {
				if valid(s.base().with(f, name, value).text()) {
					found = append(found, fmt.Sprintf("%s as %s is valid", name, value))
				}
			}
		}
	}
	return found
}

// properties holds the schema's properties to the fields: each name, secrets and
// only they written and never read.
func properties(s *subject) (found []string) {
	var schema struct {
		Properties map[string]struct {
			Title     string `json:"title"`
			WriteOnly bool   `json:"writeOnly"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(s.schema, &schema); err != nil {
		return []string{"the schema is no JSON object"}
	}
	var all []string
	for _, f := range s.typ.Fields {
		all = append(all, names(f)...)
		for _, name := range names(f) {
			p, ok := schema.Properties[name]
			if !ok || p.Title == "" || p.WriteOnly != f.Secret {
				found = append(found, fmt.Sprintf("the schema's %s: there %t, writeOnly %t, want it %t", name, ok, p.WriteOnly, f.Secret))
			}
		}
	}
	for name := range schema.Properties {
		if !slices.Contains(all, name) {
			found = append(found, fmt.Sprintf("the schema has %s, which is no field", name))
		}
	}
	return found
}
