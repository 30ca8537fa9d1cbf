package conntest

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/fault"
)

// The rules, as they are named.
const (
	declaration = "the declaration agrees with itself"
	marking     = "fields that carry secrets or lead somewhere are marked"
	example     = "examples are accepted, each as its own way to sign in"
	requireds   = "required fields are asked for"
	aliases     = "each accepted name will do"
	kind        = "a value of another kind is refused at its place"
	spelling    = "numbers and truths may come as text"
	shown       = "public settings are those sent, as they were named"
	discretion  = "public settings hold no secret"
	silence     = "no value shows in faults or prints"
	mask        = "what stands in place of a secret is refused"
	control     = "destinations hold no control characters"
	strangers   = "keys the type does not know are kept, and are not public"
	nulls       = "null and nothing count as not sent"
	alike       = "two names may not say two things"
	all         = "all faults are told at once"
	bounds      = "what no object may hold is refused"
	described   = "the schema says the same"
)

// sound is a type without a fault.
func sound() *connector.Type {
	return &connector.Type{
		Name: "vault_door", ID: 9000, ConnectionType: "vault_door", Title: "Door", Help: "A door.",
		Fields: []connector.Field{
			{Name: "door.kind", Kind: connector.Text, Title: "Kind", Public: true, OneOf: []string{"code", "card"}},
			{Name: "host", Also: []string{"server"}, Kind: connector.Text, Title: "Host", Destination: true, Public: true, Check: connector.CheckHost},
			{Name: "port", Kind: connector.Number, Title: "Port", Destination: true, Public: true, Min: 1, Max: 65535, Default: 7},
			{Name: "user", Also: []string{"username"}, Kind: connector.Text, Title: "User", Identity: true},
			{Name: "password", Kind: connector.Text, Title: "Password", Secret: true},
			{Name: "card", Encoded: []string{"card_base64"}, Kind: connector.Object, Title: "Card", Secret: true},
			{Name: "quiet", Kind: connector.Bool, Title: "Quiet", Public: true},
		},
		Needs: []string{"host"},
		Methods: []connector.Method{
			{Name: "code", When: map[string]string{"door.kind": "code"}, Needs: []string{"user", "password"}},
			{
				Name: "card", When: map[string]string{"door.kind": "card"}, Needs: []string{"card"},
				Example: []byte(`{"host":"h.example.com","door.kind":"card","card":{"chip":"correct horse"}}`),
			},
		},
		Example: []byte(`{"host":"h.example.com","port":"7000","user":"u","password":"correct horse battery","quiet":true}`),
	}
}

// TestSound shows that the rules find nothing where nothing is wrong.
func TestSound(t *testing.T) { Run(t, sound()) }

// TestPlanted shows that each fault of a declaration is found, and by which
// rules.
func TestPlanted(t *testing.T) {
	at := func(typ *connector.Type, name string) *connector.Field {
		return &typ.Fields[slices.IndexFunc(typ.Fields, func(f connector.Field) bool { return f.Name == name })]
	}
	for name, c := range map[string]struct {
		plant func(*connector.Type)
		rules []string
	}{
		"a capital in the name":    {func(p *connector.Type) { p.Name = "Door" }, []string{declaration}},
		"no id":                    {func(p *connector.Type) { p.ID = 0 }, []string{declaration}},
		"no help":                  {func(p *connector.Type) { p.Help = "" }, []string{declaration}},
		"help that is no sentence": {func(p *connector.Type) { at(p, "host").Help = "host" }, []string{declaration}},
		"an address that shows its path": {func(p *connector.Type) {
			p.Fields = append(p.Fields, connector.Field{Name: "door.url", Kind: connector.Text, Title: "Address", Destination: true, Public: true, Check: connector.CheckURL})
			p.Methods = append(p.Methods, connector.Method{Name: "NONE", Needs: []string{"door.url"}, Example: []byte(`{"host":"h.example.com","door.url":"https://h.example.com"}`)})
		}, []string{discretion}},
		"a public object":               {func(p *connector.Type) { at(p, "card").Public, at(p, "card").Secret = true, false }, []string{marking}},
		"one title twice":               {func(p *connector.Type) { at(p, "user").Title = "Host" }, []string{declaration}},
		"one name twice":                {func(p *connector.Type) { at(p, "user").Also = []string{"host"} }, []string{declaration}},
		"a name that requests refuse":   {func(p *connector.Type) { at(p, "user").Also = []string{"constructor"} }, []string{declaration}},
		"secret and public":             {func(p *connector.Type) { at(p, "password").Public = true }, []string{declaration, marking}},
		"needs no field":                {func(p *connector.Type) { p.Needs = append(p.Needs, "hots") }, []string{declaration}},
		"a way of no value":             {func(p *connector.Type) { p.Methods[0].When = map[string]string{"door.kind": "cod"} }, []string{declaration}},
		"a value of no way":             {func(p *connector.Type) { at(p, "door.kind").OneOf = append(at(p, "door.kind").OneOf, "key") }, []string{declaration}},
		"a way that fits everything":    {func(p *connector.Type) { p.Methods[1].Needs, p.Methods[1].When = nil, nil }, []string{declaration}},
		"limits out of order":           {func(p *connector.Type) { at(p, "port").Min = 70000 }, []string{declaration}},
		"a default outside the limits":  {func(p *connector.Type) { at(p, "port").Default = 70000 }, []string{declaration}},
		"a password that is no secret":  {func(p *connector.Type) { at(p, "password").Secret = false }, []string{marking}},
		"a host that is no destination": {func(p *connector.Type) { at(p, "host").Destination = false }, []string{marking}},
		"an example that is refused":    {func(p *connector.Type) { p.Example = []byte(`{"host":"h.example.com","user":"u"}`) }, []string{example}},
		"an example that no one knows": {func(p *connector.Type) {
			p.Example = []byte(`{"host":"h.example.com","user":"u","password":"p","usr":"u"}`)
		}, []string{example}},
		"an example of another way":            {func(p *connector.Type) { p.Methods[1].Example = p.Example }, []string{example, requireds}},
		"a way without an example":             {func(p *connector.Type) { p.Methods[1].Example = nil }, []string{example}},
		"a need that the example lacks":        {func(p *connector.Type) { p.Needs = append(p.Needs, "card") }, []string{example, requireds}},
		"two ways that exclude nothing":        {func(p *connector.Type) { p.Methods[1].Needs = []string{"host"} }, []string{example}},
		"a check that repeats the value":       {func(p *connector.Type) { at(p, "password").Check = repeating }, []string{silence}},
		"a check that points nowhere":          {func(p *connector.Type) { at(p, "host").Check = refusing }, []string{example}},
		"a text that may be anything, no list": {func(p *connector.Type) { at(p, "door.kind").OneOf = nil }, []string{declaration}},
		"lines in a destination":               {func(p *connector.Type) { at(p, "host").Lines, at(p, "host").Check = true, nil }, []string{control}},
	} {
		t.Run(name, func(t *testing.T) {
			typ := sound()
			c.plant(typ)
			s, err := newSubject(typ)
			if err != nil {
				t.Fatal(err)
			}
			foundBy(t, s, c.rules...)
		})
	}
	for _, examples := range []string{``, `[]`, `"text"`} {
		typ := sound()
		typ.Example = []byte(examples)
		if _, err := newSubject(typ); err == nil {
			t.Errorf("the example %s is read", examples)
		}
	}
}

// foundBy fails unless each of the rules finds something.
func foundBy(t *testing.T, s *subject, want ...string) {
	t.Helper()
	var finders []string
	for _, r := range rules() {
		if len(r.find(s)) > 0 {
			finders = append(finders, r.name)
		}
	}
	for _, name := range want {
		if !slices.Contains(finders, name) {
			t.Errorf("the rule %q finds nothing; those that do: %q", name, finders)
		}
	}
}

// checker is how a credentials object is checked.
type checker func(jsontext.Value) (connector.Settings, []fault.Detail)

// before changes what is sent.
func before(change func(object)) func(checker) checker {
	return func(check checker) checker {
		return func(v jsontext.Value) (connector.Settings, []fault.Detail) {
			var o object
			if json.Unmarshal(v, &o) != nil {
				return check(v)
			}
			change(o)
			return check(o.text())
		}
	}
}

// after changes what is found.
func after(change func(jsontext.Value, []fault.Detail) []fault.Detail) func(checker) checker {
	return func(check checker) checker {
		return func(v jsontext.Value) (connector.Settings, []fault.Detail) {
			settings, faults := check(v)
			return settings, change(v, faults)
		}
	}
}

// texts changes each text.
func texts(change func(string) string) func(checker) checker {
	return before(func(o object) {
		for name, value := range o {
			var text string
			if json.Unmarshal(value, &text) == nil {
				value, _ := jsontext.AppendQuote(nil, change(text))
				o[name] = value
			}
		}
	})
}

// refuse finds a fault in every object that holds the text.
func refuse(text string) func(checker) checker {
	return after(func(v jsontext.Value, faults []fault.Detail) []fault.Detail {
		if strings.Contains(string(v), text) {
			return append(faults, fault.Detail{Pointer: connector.Root, Code: fault.DetailWrongKind, Message: "No."})
		}
		return faults
	})
}

// TestPlantedChecks shows that each fault of checking itself is found.
func TestPlantedChecks(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(checker) checker
		rules []string
	}{
		"only the first fault": {after(func(_ jsontext.Value, f []fault.Detail) []fault.Detail { return f[:min(1, len(f))] }), []string{all}},
		"no pointers": {after(func(_ jsontext.Value, f []fault.Detail) []fault.Detail {
			for i := range f {
				f[i].Pointer = connector.Root
			}
			return f
		}), []string{requireds, kind, mask, control}},
		"nothing required": {after(func(_ jsontext.Value, f []fault.Detail) []fault.Detail {
			return slices.DeleteFunc(f, func(d fault.Detail) bool { return d.Code == fault.DetailRequired })
		}), []string{requireds, all, described}},
		"the value in a fault": {after(func(v jsontext.Value, f []fault.Detail) []fault.Detail {
			for i := range f {
				f[i].Message += string(v)
			}
			return f
		}), []string{silence}},
		"canonical names only": {before(func(o object) { delete(o, "server"); delete(o, "card_base64") }), []string{aliases}},
		"one of two names wins": {before(func(o object) {
			if _, both := o["host"]; both {
				delete(o, "server")
			}
		}), []string{alike}},
		"null is a value":        {refuse(`null`), []string{nulls}},
		"an empty text is one":   {texts(func(s string) string { return s + " " }), []string{nulls}},
		"numbers never as text":  {refuse(`"65535"`), []string{spelling}},
		"stars are a secret":     {texts(func(s string) string { return strings.ReplaceAll(s, "*", "x") }), []string{mask}},
		"line breaks are mended": {texts(func(s string) string { return strings.Join(strings.Fields(s), "") }), []string{control}},
		"strangers are refused":  {refuse(strange), []string{strangers}},
		"strangers are dropped":  {before(func(o object) { delete(o, strange) }), []string{strangers}},
		"a setting is dropped":   {before(func(o object) { delete(o, "quiet") }), []string{shown}},
		"everything is accepted": {after(func(jsontext.Value, []fault.Detail) []fault.Detail { return nil }), []string{requireds, all, kind, alike, mask, control, bounds, described}},
		"strangers are not looked at": {before(func(o object) {
			if _, there := o[strange]; there {
				o[strange] = jsontext.Value(`1`)
			}
		}), []string{bounds}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newSubject(sound())
			if err != nil {
				t.Fatal(err)
			}
			s.checker = c.plant(s.checker)
			foundBy(t, s, c.rules...)
		})
	}
}

// TestPlantedSchemas shows that a schema which says something else is found.
func TestPlantedSchemas(t *testing.T) {
	for name, replace := range map[string][2]string{
		"secrets that are read":   {`"writeOnly":true`, `"writeOnly":false`},
		"nothing required":        {`"required":["card"]`, `"required":[]`},
		"a name left out":         {`"card_base64":`, `"cord_base64":`},
		"a number is no text":     {`["integer","string"]`, `["integer"]`},
		"a title left out":        {`"title":"Quiet"`, `"title":""`},
		"no schema of its kind":   {`"anyOf":[`, `"anyOf":[12,`},
		"not JSON":                {`{`, ``},
		"any value of the switch": {`[true,false,"true","false"]`, `[true,false,"true","false",null]`},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newSubject(sound())
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.ReplaceAll(string(s.schema), replace[0], replace[1])
			if changed == string(s.schema) {
				t.Fatal("the fault cannot be planted: the schema does not hold what it replaces")
			}
			s.schema = jsontext.Value(changed)
			foundBy(t, s, described)
		})
	}
}

func repeating(text string) (code, message string) {
	if len(text) > 20 {
		return fault.DetailMalformed, "This is wrong: " + text
	}
	return "", ""
}

func refusing(string) (code, message string) { return fault.DetailMalformed, "No." }
