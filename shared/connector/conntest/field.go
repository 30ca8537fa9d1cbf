package conntest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/fault"
)

// required takes each required field away.
func required(s *subject) (found []string) {
	for _, one := range s.samples {
		for _, name := range slices.Concat(s.typ.Needs, one.needs) {
			f := s.field(name)
			if one.members.sentAs(f) == "" {
				found = append(found, fmt.Sprintf("the example of %s lacks %s", one.label, name))
				continue
			}
			_, faults := s.check(one.members.without(f))
			asked := at(faults, name, fault.DetailRequired)
			// Without its only field a request is of that way no longer, and
			// another one is asked for.
			if !slices.Contains(s.typ.Needs, name) && len(one.needs) == 1 {
				asked = slices.ContainsFunc(faults, func(d fault.Detail) bool { return d.Code == fault.DetailRequired })
			}
			if !asked && !s.otherwise(one, f) {
				found = append(found, fmt.Sprintf("%s without %s: %s, want %s asked for", one.label, name, brief(faults), pointer(name)))
			}
		}
	}
	_, faults := s.check(object{})
	if len(s.typ.Needs)+len(s.typ.Methods) > 0 && !slices.ContainsFunc(faults, func(d fault.Detail) bool { return d.Code == fault.DetailRequired }) {
		found = append(found, "an empty object is accepted, or refused without asking for a field")
	}
	return found
}

// otherwise reports whether a sample without a field is whole in another of its
// type's ways.
func (s *subject) otherwise(one sample, f connector.Field) bool {
	left := one.members.without(f)
	settings, faults := s.check(left)
	if len(faults) > 0 || slices.Contains(s.typ.Needs, f.Name) {
		return false
	}
	return slices.ContainsFunc(s.typ.Methods, func(m connector.Method) bool {
		return m.Name == settings.Method() && !slices.Contains(m.Needs, f.Name) &&
			!slices.ContainsFunc(m.Needs, func(name string) bool { return left.sentAs(s.field(name)) == "" })
	})
}

// together takes two required fields away, and adds a value of another kind.
func together(s *subject) (found []string) {
	first := s.samples[0]
	settings, _ := s.check(first.members)
	var needs []string
	for _, m := range s.typ.Methods {
		if m.Name == settings.Method() && !slices.ContainsFunc(m.Needs, func(n string) bool { return !settings.Has(n) }) {
			needs = m.Needs
			break
		}
	}
	all := slices.Concat(s.typ.Needs, needs)
	for i, a := range all {
		for _, b := range all[i+1:] {
			_, faults := s.check(first.members.without(s.field(a)).without(s.field(b)))
			if !at(faults, a, fault.DetailRequired) || !at(faults, b, fault.DetailRequired) {
				found = append(found, fmt.Sprintf("without %s and %s: %s", a, b, brief(faults)))
			}
		}
	}
	for _, f := range s.typ.Fields {
		if len(s.typ.Needs) == 0 || f.Name == s.typ.Needs[0] {
			continue
		}
		if _, faults := s.check(first.members.without(s.field(s.typ.Needs[0])).with(f, f.Name, `[]`)); !at(faults, f.Name) || !at(faults, s.typ.Needs[0]) {
			found = append(found, fmt.Sprintf("without %s and with a wrong %s: %s", s.typ.Needs[0], f.Name, brief(faults)))
		}
	}
	return found
}

// encoded is the value of a field as it is sent under one of its names.
func encoded(f connector.Field, name string, settings connector.Settings, sent jsontext.Value) string {
	if f.Kind != connector.Object {
		return string(sent)
	}
	text := settings.Text(f.Name)
	if slices.Contains(f.Encoded, name) {
		return strconv.Quote(base64.StdEncoding.EncodeToString([]byte(text)))
	}
	return text
}

// named sends each field of each example under each of its names.
func named(s *subject) (found []string) {
	for _, one := range s.samples {
		before, faults := s.check(one.members)
		if len(faults) > 0 {
			return []string{"the example of " + one.label + " is refused"}
		}
		for _, f := range s.typ.Fields {
			sent := one.members.sentAs(f)
			if sent == "" {
				continue
			}
			for _, name := range names(f) {
				after, faults := s.check(one.members.with(f, name, encoded(f, name, before, one.members[sent])))
				if len(faults) > 0 {
					found = append(found, fmt.Sprintf("%s with %s for %s: %s", one.label, name, sent, brief(faults)))
					continue
				}
				if after.Method() != before.Method() || !after.Secret(f.Name).Equal(before.Secret(f.Name)) {
					found = append(found, fmt.Sprintf("%s with %s for %s means something else", one.label, name, sent))
				}
			}
		}
	}
	return found
}

// agreeing sends a field twice, under two names: with one value, then with two.
func agreeing(s *subject) (found []string) {
	for _, one := range s.samples {
		before, _ := s.check(one.members)
		for _, f := range s.typ.Fields {
			sent := one.members.sentAs(f)
			for _, name := range names(f) {
				if sent == "" || name == sent || f.Kind != connector.Text || len(f.OneOf) > 0 {
					continue
				}
				both := one.members.with(f, sent, string(one.members[sent]))
				both[name] = one.members[sent]
				if after, faults := s.check(both); len(faults) > 0 || !after.Secret(f.Name).Equal(before.Secret(f.Name)) {
					found = append(found, fmt.Sprintf("%s and %s with one value: %s", sent, name, brief(faults)))
				}
				both[name] = jsontext.Value(`"https://other.example.org"`)
				if _, faults := s.check(both); !at(faults, sent) && !at(faults, name) {
					found = append(found, fmt.Sprintf("%s and %s with two values: %s", sent, name, brief(faults)))
				}
			}
		}
	}
	return found
}
