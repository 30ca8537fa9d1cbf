package connector

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// declaration gathers what a declaration says that cannot be.
type declaration struct {
	typ    *Type
	faults []error
}

func (d *declaration) bad(format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf("declaring %s: "+format, append([]any{d.typ.Name}, args...)...))
}

// validate names all that a declaration says that cannot be. What takes running
// it, such as whether its example is accepted, is for conntest.
func (t *Type) validate() error {
	d := declaration{typ: t}
	if !isName(t.Name) {
		d.bad("a name is small letters, digits and underscores")
	}
	if t.ID <= 0 || t.ConnectionType == "" || t.Title == "" || t.Help == "" || len(t.Example) == 0 {
		d.bad("id, connection type, title, help and example are required")
	}
	d.names()
	for _, f := range t.Fields {
		d.field(f)
	}
	d.known("needs", t.Needs)
	for _, m := range t.Methods {
		d.method(m)
	}
	for _, f := range t.discriminators() {
		d.discriminator(f)
	}
	return errors.Join(d.faults...)
}

// isName is for every start of every function, so it compiles no pattern.
func isName(text string) bool {
	for i, c := range []byte(text) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return text != "" && len(text) <= 64
}

func (d *declaration) names() {
	taken := map[string]string{}
	for _, f := range d.typ.Fields {
		for _, name := range f.names() {
			if other, twice := taken[name]; twice {
				d.bad("%s and %s both take the name %s", other, f.Name, name)
			}
			if name == "" || name == ignored || slices.Contains(forbidden, name) {
				d.bad("%s takes a name that is refused in requests", f.Name)
			}
			taken[name] = f.Name
		}
	}
	for _, f := range d.typ.Fields {
		for _, name := range f.Near {
			if _, accepted := taken[name]; accepted || name == "" {
				d.bad("%s is near to the name %q, which a field takes", f.Name, name)
			}
		}
	}
}

func (d *declaration) field(f Field) {
	switch {
	case !slices.Contains([]Kind{Text, Number, Bool, Object}, f.Kind):
		d.bad("%s has no kind", f.Name)
	case f.Title == "":
		d.bad("%s has no title", f.Name)
	case f.Secret && f.Public:
		d.bad("%s is secret and public", f.Name)
	case f.Shown != nil && (f.Kind != Text || !f.Public):
		d.bad("%s shows something of a text, and is no public one", f.Name)
	case f.Kind == Object && f.Public:
		d.bad("%s is public, and an object may hold anything", f.Name)
	case f.Kind != Object && len(f.Encoded) > 0:
		d.bad("%s is taken in base64, and only an object is", f.Name)
	case f.Kind != Number && (f.Min != 0 || f.Max != 0 || f.Default != 0):
		d.bad("%s has the limits or the default of a number", f.Name)
	case f.Kind != Text && (len(f.OneOf) > 0 || f.MaxBytes != 0 || f.Lines):
		d.bad("%s has the limits of a text", f.Name)
	case f.Kind != Text && f.Kind != Object && f.PEM:
		d.bad("%s is PEM, and only a text or an object is", f.Name)
	case f.Kind != Text && f.Kind != Object && f.Check != nil:
		d.bad("%s has a check, and only a text or an object is checked", f.Name)
	case f.Min > f.Max, f.Default != 0 && f.Max != 0 && (f.Default < f.Min || f.Default > f.Max):
		d.bad("%s has limits or a default outside one another", f.Name)
	case f.MaxBytes < 0 || f.MaxBytes > MaxBytes:
		d.bad("%s is longer than any text may be", f.Name)
	}
}

func (d *declaration) known(where string, names []string) {
	for i, name := range names {
		if _, ok := d.typ.field(name); !ok {
			d.bad("%s names %s, which is no field", where, name)
		}
		if slices.Contains(names[:i], name) {
			d.bad("%s names %s twice", where, name)
		}
	}
}

func (d *declaration) method(m Method) {
	where := "the way to sign in " + strconv.Quote(m.Name)
	if m.Name == "" {
		d.bad("a way to sign in has no name")
	}
	d.known(where, slices.Concat(m.Needs, m.May))
	for name := range m.When {
		d.known(where, []string{name})
	}
	if len(m.Needs) == 0 && len(m.When) == 0 {
		d.bad("%s needs nothing and is named by nothing, so it would fit every request", where)
	}
}

// discriminator holds a field that names methods to its values: each is one
// that the field takes, and each that it takes names a method.
func (d *declaration) discriminator(f Field) {
	values := f.OneOf
	if f.Kind == Bool {
		values = []string{"true", "false"}
	}
	if len(values) == 0 || f.Secret {
		d.bad("%s tells ways to sign in apart, so its values are a list and no secret", f.Name)
	}
	leads := map[string]bool{}
	for _, m := range d.typ.Methods {
		value, ok := m.When[f.Name]
		if ok && !slices.Contains(values, value) {
			d.bad("%s is never what the way to sign in %q has it be", f.Name, m.Name)
		}
		for _, v := range values {
			leads[v] = leads[v] || !ok || v == value
		}
	}
	for _, v := range values {
		if !leads[v] {
			d.bad("%s of %s leads to no way to sign in", v, f.Name)
		}
	}
}
