package connector

import (
	"fmt"
	"slices"

	"credence/shared/fault"
	"credence/shared/jsontree"
	"credence/shared/nearest"
)

// findUnknown counts the keys that the type does not declare and adds a warning
// about them to the settings. A key may be a secret in the wrong place, so only
// one that is near to a declared name is repeated, with that name.
func (c *check) findUnknown() {
	var known []string
	var also map[string]string
	others := 0
	for _, p := range c.sent.Parts {
		sent := p.Name
		if sent == ignored || c.typ.declares(sent) {
			continue
		}
		if c.settings.unknown++; known == nil {
			known, also = c.typ.names()
		}
		near := nearestTo(p, known, also)
		f, ok := c.typ.owner(near)
		if !ok {
			others++
			continue
		}
		if _, twice := c.meant[f.Name]; !twice {
			c.meant[f.Name] = sent
		}
		message := fmt.Sprintf("The type %s has no field %s: the value is stored as a secret and not used.", c.typ.Name, sent)
		c.warn(pointer(sent), message+nearest.Hint(near))
	}
	if others == 0 {
		return
	}
	fields := "a field"
	if others > 1 {
		fields = fmt.Sprintf("%d fields", others)
	}
	c.warn(Root, fmt.Sprintf("You sent %s that the type %s does not have: stored as secret and not used. GET /credential_types/%s lists its fields.",
		fields, c.typ.Name, c.typ.Name))
}

// nearestTo returns the declared name that a member stands for, "" if none is near. The
// fields of a type are not nested: an object stands for the field whose dots are the
// levels of its first member that is near to one.
func nearestTo(p jsontree.Part, known []string, also map[string]string) string {
	if p.Kind() == '{' {
		for _, within := range p.Parts {
			within.Name = p.Name + "." + within.Name
			if near := nearestTo(within, known, also); near != "" {
				return near
			}
		}
	}
	return nearest.To(p.Name, known, also)
}

func (c *check) warn(at, message string) {
	c.settings.warnings = append(c.settings.warnings, fault.Detail{Pointer: at, Code: fault.DetailUnknownField, Message: message})
}

// names returns the names that the type declares, canonical ones first, and the
// further words that lead to them.
func (t *Type) names() (known []string, also map[string]string) {
	also = map[string]string{}
	for _, f := range t.Fields {
		known = append(known, f.Name)
		for _, name := range f.Near {
			also[name] = f.Name
		}
	}
	for _, f := range t.Fields {
		known = append(append(known, f.Also...), f.Encoded...)
	}
	return known, also
}

// owner returns the field that takes a name.
func (t *Type) owner(name string) (Field, bool) {
	i := slices.IndexFunc(t.Fields, func(f Field) bool { return slices.Contains(f.names(), name) })
	if i < 0 {
		return Field{}, false
	}
	return t.Fields[i], true
}

// Suggest returns the name of the type that a person most likely meant by a name
// that no type has, "" if none is near.
func (r *Registry) Suggest(name string) string {
	var known []string
	also := map[string]string{}
	for _, t := range r.sorted {
		known = append(known, t.Name)
		for _, near := range t.Near {
			also[near] = t.Name
		}
	}
	return nearest.To(name, known, also)
}

// Unknown returns the error of a name that no type has.
func (r *Registry) Unknown(name string) string {
	return "There is no such type: GET /credential_types lists those there are." + nearest.Hint(r.Suggest(name))
}
