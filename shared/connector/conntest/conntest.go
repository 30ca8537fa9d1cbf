// Package conntest is what every declared type of credentials must satisfy,
// worked out from the declaration alone: a new type writes no test of its own
// for it.
package conntest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/fault"
)

// Run holds one type to every rule, each a subtest. It needs nothing but the
// declaration and may run beside others.
func Run(t *testing.T, typ *connector.Type) {
	s, err := newSubject(typ)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, found := range r.find(s) {
				t.Error(found)
			}
		})
	}
}

// rule finds what is wrong with a type. What it finds never holds a value.
type rule struct {
	name string
	find func(*subject) []string
}

func rules() []rule {
	return []rule{
		{"the declaration agrees with itself", declared},
		{"fields that carry secrets or lead somewhere are marked", marked},
		{"examples are accepted, each as its own way to sign in", accepted},
		{"required fields are asked for", required},
		{"all faults are told at once", together},
		{"each accepted name will do", named},
		{"two names may not say two things", agreeing},
		{"a value of another kind is refused at its place", kinds},
		{"numbers and truths may come as text", spelled},
		{"null and nothing count as not sent", absent},
		{"keys the type does not know are kept, and are not public", unknown},
		{"public settings are those sent, as they were named", public},
		{"public settings hold no secret", discreet},
		{"no value shows in faults or prints", silent},
		{"what stands in place of a secret is refused", masks},
		{"destinations hold no control characters", controls},
		{"what no object may hold is refused", limits},
		{"the schema says the same", schemas},
	}
}

// subject is a type with its examples, and what checks and describes it. The
// test of these rules puts faulty ones in their place.
type subject struct {
	typ     *connector.Type
	samples []sample
	checker func(jsontext.Value) (connector.Settings, []fault.Detail)
	schema  jsontext.Value
}

// sample is a credentials object of one way to sign in.
type sample struct {
	label   string
	way     string   // what Settings.Method must say; "" = whatever it says
	needs   []string // of the way, as far as it is known
	members object
}

type object map[string]jsontext.Value

// newSubject reads the examples. The first sample is the type's own.
func newSubject(typ *connector.Type) (*subject, error) {
	s := &subject{typ: typ, checker: typ.Check, schema: typ.Schema()}
	read := func(label string, example jsontext.Value) (object, error) {
		var o object
		if err := json.Unmarshal(example, &o); err != nil {
			return nil, fmt.Errorf("reading the example of %s: it is no JSON object", label)
		}
		return o, nil
	}
	own, err := read(typ.Name, typ.Example)
	if err != nil {
		return nil, err
	}
	s.samples = append(s.samples, sample{label: typ.Name, members: own})
	for _, m := range typ.Methods {
		if m.Example == nil {
			continue
		}
		label := typ.Name + " by " + m.Name
		o, err := read(label, m.Example)
		if err != nil {
			return nil, err
		}
		s.samples = append(s.samples, sample{label: label, way: m.Name, needs: m.Needs, members: o})
	}
	return s, nil
}

// base is an object that is accepted.
func (s *subject) base() object { return s.samples[0].members }

// names are all names that a field is taken under, the canonical one first.
func names(f connector.Field) []string {
	return slices.Concat([]string{f.Name}, f.Also, f.Encoded)
}

func (s *subject) field(name string) connector.Field {
	i := slices.IndexFunc(s.typ.Fields, func(f connector.Field) bool { return f.Name == name })
	if i < 0 {
		return connector.Field{Name: name}
	}
	return s.typ.Fields[i]
}

func (s *subject) check(o object) (connector.Settings, []fault.Detail) { return s.checker(o.text()) }

// without is o without a field, under any of its names.
func (o object) without(f connector.Field) object {
	left := object{}
	for name, value := range o {
		if !slices.Contains(names(f), name) {
			left[name] = value
		}
	}
	return left
}

// with is o with a field under one name and no other.
func (o object) with(f connector.Field, name, value string) object {
	changed := o.without(f)
	changed[name] = jsontext.Value(value)
	return changed
}

// sentAs is the name that o has a field under, "" for none.
func (o object) sentAs(f connector.Field) string {
	for _, name := range names(f) {
		if _, ok := o[name]; ok {
			return name
		}
	}
	return ""
}

// seal returns the form in which an object is sealed.
func (s *subject) seal(o object) (jsontext.Value, error) {
	sent, err := connector.Parse(o.text())
	if err != nil {
		return nil, err
	}
	return s.typ.Canonical(sent)
}

func (o object) text() jsontext.Value {
	v, err := json.Marshal(map[string]jsontext.Value(o), json.Deterministic(true))
	if err != nil {
		panic("conntest: a sample that is no JSON")
	}
	return v
}

func pointer(name string) string {
	return string(jsontext.Pointer(connector.Root).AppendToken(name))
}

// at reports whether a fault points at a name, with one of the codes; any code
// where none is named.
func at(faults []fault.Detail, name string, codes ...string) bool {
	return slices.ContainsFunc(faults, func(d fault.Detail) bool {
		return d.Pointer == pointer(name) && (len(codes) == 0 || slices.Contains(codes, d.Code))
	})
}

// brief is faults without their sentences.
func brief(faults []fault.Detail) string {
	var told []string
	for _, d := range faults {
		told = append(told, d.Pointer+" "+d.Code)
	}
	if told == nil {
		return "no fault"
	}
	return strings.Join(told, ", ")
}
