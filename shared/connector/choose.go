package connector

import (
	"fmt"
	"slices"
	"strings"

	"credence/shared/fault"
)

// choose finds the way to sign in: of those that the discriminators allow, the
// one whose fields are all there. Where there are none, the nearest one tells
// what is missing; where there are two, nobody could say which is meant.
func (c *check) choose() {
	if len(c.typ.Methods) == 0 {
		return
	}
	for _, d := range c.typ.discriminators() {
		if c.broken[d.Name] {
			return // which way is meant is not known, and its own fault says so
		}
		c.discriminated = c.discriminated || c.settings.Has(d.Name)
	}
	var allowed, excluded []Method
	for _, m := range c.typ.Methods {
		if c.allows(m) {
			allowed = append(allowed, m)
		} else if !m.Fallback {
			excluded = append(excluded, m)
		}
	}
	if len(allowed) == 0 {
		c.contradict("These exclude one another. Send those of one way to sign in.")
		return
	}
	whole := c.whole(allowed)
	switch names := named(whole); len(names) {
	case 0:
		if others := named(c.whole(excluded)); len(others) > 0 && len(others[0].Needs) > 0 {
			c.contradict(fmt.Sprintf("It excludes the fields that were sent, which are those of %s. Change it, leave it out, or send the fields that belong to it.", others[0].Name))
		}
		c.take(c.nearest(allowed))
	case 1:
		c.take(whole[0])
	default:
		c.conflict(names)
	}
}

// allows reports whether no discriminator that was sent says otherwise. A way
// that needs nothing must be named by all of its own.
func (c *check) allows(m Method) bool {
	if m.Fallback && c.discriminated {
		return false
	}
	for name, value := range m.When {
		if !c.settings.Has(name) {
			if len(m.Needs) == 0 {
				return false
			}
			continue
		}
		if c.settings.Text(name) != value {
			return false
		}
	}
	return true
}

// whole are the ways of which every field is there, without those whose fields
// are a part of another's and without fallbacks beside others.
func (c *check) whole(ways []Method) []Method {
	var found []Method
	for _, m := range ways {
		if !slices.ContainsFunc(m.Needs, func(name string) bool { return !c.has(name) }) {
			found = append(found, m)
		}
	}
	if slices.ContainsFunc(found, func(m Method) bool { return !m.Fallback }) {
		found = slices.DeleteFunc(found, func(m Method) bool { return m.Fallback })
	}
	all := slices.Clone(found)
	return slices.DeleteFunc(found, func(m Method) bool {
		return slices.ContainsFunc(all, func(o Method) bool {
			return len(o.Needs) > len(m.Needs) && holds(o.Needs, m.Needs)
		})
	})
}

func holds(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// named keeps the first of each name.
func named(ways []Method) []Method {
	var found []Method
	for _, m := range ways {
		if !slices.ContainsFunc(found, func(o Method) bool { return o.Name == m.Name }) {
			found = append(found, m)
		}
	}
	return found
}

// nearest is the way of which the most is there, the first where none is. Who
// signs in says more than where, which is much the same for every way.
func (c *check) nearest(ways []Method) Method {
	best, most := ways[0], 0
	for _, m := range ways {
		there := 0
		for _, name := range slices.Concat(m.Needs, m.May) {
			f, _ := c.typ.field(name)
			switch {
			case c.has(name) && f.Destination:
				there++
			case c.has(name):
				there += len(c.typ.Fields)
			}
		}
		if there > most {
			best, most = m, there
		}
	}
	return best
}

func (c *check) take(m Method) {
	c.settings.method = m.Name
	for _, name := range m.Needs {
		c.need(name)
	}
}

// contradict points at each discriminator that was sent.
func (c *check) contradict(message string) {
	for _, d := range c.typ.discriminators() {
		if v, ok := c.settings.values[d.Name]; ok {
			c.add(v.sentAs, fault.DetailConflict, message)
		}
	}
}

// conflict points at each field of the ways, but for those that all of them
// need.
func (c *check) conflict(ways []Method) {
	var names []string
	for _, m := range ways {
		names = append(names, m.Name)
	}
	message := "There are fields for several ways to sign in: " + strings.Join(names, ", ") + ". Send those of one."
	told := map[string]bool{}
	for _, m := range ways {
		for _, name := range m.Needs {
			shared := !slices.ContainsFunc(ways, func(o Method) bool { return !slices.Contains(o.Needs, name) })
			v, ok := c.settings.values[name]
			if shared || told[name] || !ok {
				continue
			}
			told[name] = true
			c.add(v.sentAs, fault.DetailConflict, message)
		}
	}
}
