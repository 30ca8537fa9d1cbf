package connector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Registry is the list of types that a program knows. It is never changed once
// made and may be read from many goroutines.
type Registry struct {
	byName map[string]*Type
	sorted []*Type
}

// NewRegistry makes a registry. It refuses, naming every fault at once, two
// types of one name or id and a declaration that contradicts itself.
func NewRegistry(types ...*Type) (*Registry, error) {
	r := &Registry{byName: map[string]*Type{}}
	ids := map[int64]string{}
	var faults []error
	for _, t := range types {
		if t == nil {
			faults = append(faults, errors.New("declaring a type: nil is none"))
			continue
		}
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
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	slices.SortFunc(r.sorted, func(a, b *Type) int { return cmp.Compare(a.Name, b.Name) })
	return r, nil
}

// Lookup finds a type by its name on the wire, exactly as written.
func (r *Registry) Lookup(name string) (*Type, bool) {
	t, ok := r.byName[name]
	return t, ok
}

// All is every type, sorted by name, in a slice of the caller's own.
func (r *Registry) All() []*Type { return slices.Clone(r.sorted) }

func (t *Type) field(name string) (Field, bool) {
	i := slices.IndexFunc(t.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return t.Fields[i], true
}
