package connector_test

import (
	"slices"
	"strings"
	"testing"

	"credence/shared/connector"
)

// lamp is a declaration without a fault.
func lamp() *connector.Type {
	when := func(kind string) map[string]string { return map[string]string{"kind": kind} }
	return &connector.Type{
		Name: "lamp", ID: 7, ConnectionType: "lamp", Title: "Lamp", Help: "A lamp.",
		Fields: []connector.Field{
			{Name: "kind", Kind: connector.Text, Title: "Kind", OneOf: []string{"switch", "key"}},
			{Name: "host", Kind: connector.Text, Title: "Host", Destination: true},
			{Name: "port", Kind: connector.Number, Title: "Port", Min: 1, Max: 9, Default: 5},
			{Name: "key", Also: []string{"secret"}, Kind: connector.Text, Title: "Key", Secret: true},
			{Name: "card", Encoded: []string{"card64"}, Kind: connector.Object, Title: "Card", Secret: true},
		},
		Needs: []string{"host"},
		Methods: []connector.Method{
			{Name: "switch", When: when("switch")},
			{Name: "key", When: when("key"), Needs: []string{"key"}, May: []string{"card"}},
		},
		Example: []byte(`{"host":"h","key":"k"}`),
	}
}

// TestDeclarations plants one fault each in a declaration and wants it named.
func TestDeclarations(t *testing.T) {
	if _, err := connector.NewRegistry(lamp()); err != nil {
		t.Fatal(err)
	}
	field := func(i int, change func(*connector.Field)) func(*connector.Type) {
		return func(typ *connector.Type) { change(&typ.Fields[i]) }
	}
	type f = connector.Field
	for want, plant := range map[string]func(*connector.Type){
		"a name is small letters":                             func(p *connector.Type) { p.Name = "Lamp" },
		"id, connection type, title":                          func(p *connector.Type) { p.ID = -1 },
		"help and example are required":                       func(p *connector.Type) { p.Example = nil },
		"host and port both take the name host":               field(2, func(p *f) { p.Also = []string{"host"} }),
		"card and card both take the name card":               field(4, func(p *f) { p.Encoded = []string{"card"} }),
		"host takes a name that is refused in requests":       field(1, func(p *f) { p.Also = []string{"__proto__"} }),
		"port takes a name that is refused in requests":       field(2, func(p *f) { p.Also = []string{"credentials_type"} }),
		"host has no kind":                                    field(1, func(p *f) { p.Kind = "texts" }),
		"host has no title":                                   field(1, func(p *f) { p.Title = "" }),
		"key is secret and public":                            field(3, func(p *f) { p.Public = true }),
		"key shows something of a text, and is no public one": field(3, func(p *f) { p.Shown = connector.WithoutQuery }),
		"card is public, and an object may hold anything":     field(4, func(p *f) { p.Secret, p.Public = false, true }),
		"key is taken in base64, and only an object is":       field(3, func(p *f) { p.Encoded = []string{"key64"} }),
		"host has the limits or the default of a number":      field(1, func(p *f) { p.Default = 1 }),
		"port has the limits of a text":                       field(2, func(p *f) { p.OneOf = []string{"1"} }),
		"port has a check, and only a text or an object":      field(2, func(p *f) { p.Check = connector.CheckHost }),
		"port has limits or a default outside one another":    field(2, func(p *f) { p.Default = 10 }),
		"host is longer than any text may be":                 field(1, func(p *f) { p.MaxBytes = connector.MaxBytes + 1 }),
		"needs names hots, which is no field":                 func(p *connector.Type) { p.Needs = []string{"hots"} },
		"needs names host twice":                              func(p *connector.Type) { p.Needs = []string{"host", "host"} },
		`"key" names secret, which is no field`:               func(p *connector.Type) { p.Methods[1].Needs = []string{"secret"} },
		`"key" names key twice`:                               func(p *connector.Type) { p.Methods[1].May = []string{"key"} },
		`"switch" names sort, which is no field`:              func(p *connector.Type) { p.Methods[0].When = map[string]string{"sort": "switch"} },
		"a way to sign in has no name":                        func(p *connector.Type) { p.Methods[1].Name = "" },
		"so it would fit every request":                       func(p *connector.Type) { p.Methods[0].When = nil },
		`kind is never what the way to sign in "key"`:         func(p *connector.Type) { p.Methods[1].When = map[string]string{"kind": "keys"} },
		"dimmer of kind leads to no way to sign in":           field(0, func(p *f) { p.OneOf = append(p.OneOf, "dimmer") }),
		"kind tells ways to sign in apart, so its values":     field(0, func(p *f) { p.OneOf = nil }),
	} {
		typ := lamp()
		plant(typ)
		r, err := connector.NewRegistry(typ)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "declaring ") {
			t.Errorf("want %q, got %v", want, err)
		}
		if r != nil {
			t.Errorf("%q gives a registry all the same", want)
		}
	}
}

func TestRegistry(t *testing.T) {
	other := func(name string, id int64) *connector.Type {
		typ := lamp()
		typ.Name, typ.ID = name, id
		return typ
	}
	r, err := connector.NewRegistry(other("b", 1), other("c", 2), other("a", 3))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, typ := range r.All() {
		names = append(names, typ.Name)
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("all are %q", names)
	}
	r.All()[0] = nil
	if typ, ok := r.Lookup("a"); !ok || typ.Name != "a" || r.All()[0] != typ {
		t.Error("whoever reads the list may change it")
	}
	for _, name := range []string{"", "A", "a ", "d"} {
		if _, ok := r.Lookup(name); ok {
			t.Errorf("%q is found", name)
		}
	}
	_, err = connector.NewRegistry(other("a", 1), nil, other("a", 2), other("b", 1), other("B", 4))
	for _, want := range []string{"nil is none", "declaring a: declared twice", "declaring b: its id is that of a", "declaring B: a name is"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("all faults at once lack %q: %v", want, err)
		}
	}
	if empty, err := connector.NewRegistry(); err != nil || len(empty.All()) != 0 {
		t.Errorf("a registry of nothing: %v", err)
	}
}
