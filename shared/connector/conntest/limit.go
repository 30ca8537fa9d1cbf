package conntest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"credence/shared/connector"
	"credence/shared/fault"
)

// limits sends what no object may hold, under a key that no type knows: there
// nothing but the limits of every object can refuse it. It must be refused, and
// without its key in the pointer.
func limits(s *subject) (found []string) {
	text := func(n int) string { return `"` + strings.Repeat("s", n) + `"` }
	var many strings.Builder
	for i := range connector.MaxMembers {
		many.WriteString(strconv.Quote(strconv.Itoa(i)) + `:1,`)
	}
	for _, c := range []struct{ what, value, code string }{
		{"too deep an array", strings.Repeat("[", connector.MaxDepth) + strings.Repeat("]", connector.MaxDepth), fault.DetailTooLong},
		{"too long a text", text(connector.MaxTextBytes + 1), fault.DetailTooLong},
		{"too long a key", `{` + text(connector.MaxTextBytes+1) + `:1}`, fault.DetailTooLong},
		{"too long a number", strings.Repeat("1", connector.MaxNumberBytes+1), fault.DetailTooLong},
		{"too many members", `{` + many.String() + `"last":1}`, fault.DetailTooLong},
		{"U+0000", `"a\u0000b"`, fault.DetailMalformed},
		{"a key twice", `{"a":1,"\u0061":2}`, fault.DetailMalformed},
		{"half a pair of surrogates", `"\ud83d"`, fault.DetailMalformed},
		{"__proto__", `{"__proto__":{}}`, fault.DetailForbidden},
		{"constructor", `[{"constructor":1}]`, fault.DetailForbidden},
		{"prototype", `{"a":{"prototype":1}}`, fault.DetailForbidden},
	} {
		// Put together as text: no JSON package would write some of these.
		sent := strings.TrimSuffix(string(s.base().text()), "}") + `,"` + strange + `":` + c.value + `}`
		_, faults := s.checker([]byte(sent))
		if !slices.ContainsFunc(faults, func(d fault.Detail) bool { return d.Pointer == connector.Root && d.Code == c.code }) {
			found = append(found, fmt.Sprintf("%s: %s", c.what, brief(faults)))
		}
	}
	return found
}
