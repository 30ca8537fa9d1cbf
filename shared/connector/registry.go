package connector

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Registry is the list of types that a program knows.
type Registry struct {
	byName map[string]*Type
	sorted []*Type
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// NewRegistry makes a registry. It refuses, naming every fault at once, two
// types of one name or id and a declaration that contradicts itself.
func NewRegistry(types ...*Type) (*Registry, error) {
	r := &Registry{byName: map[string]*Type{}}
	ids := map[int64]string{}
	var faults []error
	for _, t := range types {
		if _, twice := r.byName[t.Name]; twice {
			faults = append(faults, fmt.Errorf("declaring %s: declared twice", t.Name))
		}
		if other, twice := ids[t.ID]; twice {
			faults = append(faults, fmt.Errorf("declaring %s: its id is that of %s", t.Name, other))
		}
		faults = append(faults, t.validate())
		r.byName[t.Name], ids[t.ID] = t, t.Name
		r.sorted = append(r.sorted, t)
	}
	slices.SortFunc(r.sorted, func(a, b *Type) int { return cmp.Compare(a.Name, b.Name) })
	return r, errors.Join(faults...)
}

// Lookup finds a type by its name on the wire.
func (r *Registry) Lookup(name string) (*Type, bool) {
	t, ok := r.byName[name]
	return t, ok
}

// All is every type, sorted by name.
func (r *Registry) All() []*Type { return slices.Clone(r.sorted) }

func (t *Type) field(name string) (Field, bool) {
	i := slices.IndexFunc(t.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return t.Fields[i], true
}

// validate finds what a declaration says that cannot be.
func (t *Type) validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("declaring "+t.Name+": "+format, args...))
	}
	if !nameForm.MatchString(t.Name) || t.ID <= 0 || t.ConnectionType == "" || t.Title == "" || t.Help == "" || len(t.Example) == 0 {
		bad("name, id, connection type, title, help and example are required")
	}
	taken := map[string]string{}
	for _, f := range t.Fields {
		for _, name := range append([]string{f.Name}, f.Also...) {
			if other, twice := taken[name]; twice {
				bad("%s and %s both take the name %s", other, f.Name, name)
			}
			taken[name] = f.Name
		}
		if !slices.Contains([]Kind{Text, Number, Bool, Object}, f.Kind) || f.Title == "" {
			bad("%s has no kind or no title", f.Name)
		}
		if f.Secret && f.Public {
			bad("%s is secret and public", f.Name)
		}
	}
	known := func(where string, names []string) {
		for _, name := range names {
			if _, ok := t.field(name); !ok {
				bad("%s names %s, which is no field", where, name)
			}
		}
	}
	known("needs", t.Needs)
	for _, m := range t.Methods {
		known(m.Name, m.Needs)
		known(m.Name, m.May)
	}
	if t.Discriminator != "" {
		known("discriminator", []string{t.Discriminator})
	}
	return errors.Join(faults...)
}
