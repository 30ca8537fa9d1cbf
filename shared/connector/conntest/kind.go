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

// wrong are values that no field of a kind takes.
func wrong(f connector.Field, name string) []string {
	switch {
	case slices.Contains(f.Encoded, name):
		return []string{`12`, `true`, `["a"]`, `{"a":1}`, `"not base64 at all!"`, strconv.Quote(base64.StdEncoding.EncodeToString([]byte("hello")))}
	case f.Kind == connector.Number:
		return []string{`true`, `"many"`, `[1]`, `{}`, `1.5`, `"1.5"`, `1e3`, `" 1"`, `"+1"`, `"01"`, `12345678901234567890`}
	case f.Kind == connector.Bool:
		return []string{`1`, `"perhaps"`, `[true]`, `{}`}
	case f.Kind == connector.Object:
		return []string{`1`, `true`, `[{}]`, `"no object"`, `"[]"`, `"{"`, `"{\"a\":1,\"a\":2}"`}
	case len(f.OneOf) > 0:
		return []string{`1`, `true`, `["a"]`, `{"a":1}`, `"something else"`}
	}
	return []string{`1`, `true`, `["a"]`, `{"a":1}`}
}

// kinds sends each field with values of another kind, under each of its names.
func kinds(s *subject) (found []string) {
	for _, f := range s.typ.Fields {
		for _, name := range names(f) {
			for _, value := range wrong(f, name) {
				_, faults := s.check(s.base().with(f, name, value))
				if !at(faults, name, fault.DetailWrongKind, fault.DetailMalformed, fault.DetailUnknown, fault.DetailOutOfRange) {
					found = append(found, fmt.Sprintf("%s as %s: %s", name, value, brief(faults)))
				}
			}
		}
	}
	return found
}

// spelled sends numbers and truths as text, and numbers at their limits.
func spelled(s *subject) (found []string) {
	for _, f := range s.typ.Fields {
		switch f.Kind {
		case connector.Number:
			found = append(found, numbers(s, f)...)
		case connector.Bool:
			for text, want := range map[string]bool{`true`: true, `false`: false, `"true"`: true, `"False"`: false} {
				settings, faults := s.check(s.base().with(f, f.Name, text))
				if at(faults, f.Name, fault.DetailWrongKind) {
					found = append(found, fmt.Sprintf("%s as %s is refused", f.Name, text))
				}
				if got, sent := settings.Bool(f.Name); len(faults) == 0 && (got != want || !sent) {
					found = append(found, fmt.Sprintf("%s as %s reads as %t", f.Name, text, got))
				}
			}
		}
	}
	return found
}

func numbers(s *subject, f connector.Field) (found []string) {
	low, high := f.Min, f.Max
	if low == 0 && high == 0 {
		low, high = 0, 1<<53-1
	}
	for _, n := range []int64{low, high} {
		for _, text := range []string{strconv.FormatInt(n, 10), strconv.Quote(strconv.FormatInt(n, 10))} {
			settings, faults := s.check(s.base().with(f, f.Name, text))
			if got, sent := settings.Int(f.Name); len(faults) > 0 || got != n || !sent {
				found = append(found, fmt.Sprintf("%s as %s: %s, reads as %d", f.Name, text, brief(faults), got))
			}
		}
	}
	for _, n := range []int64{low - 1, high + 1} {
		if f.Max == 0 {
			continue
		}
		if _, faults := s.check(s.base().with(f, f.Name, strconv.FormatInt(n, 10))); !at(faults, f.Name, fault.DetailOutOfRange) {
			found = append(found, fmt.Sprintf("%s as %d: %s", f.Name, n, brief(faults)))
		}
	}
	if settings, faults := s.check(s.base().without(f)); len(faults) == 0 {
		if got, sent := settings.Int(f.Name); got != f.Default || sent {
			found = append(found, fmt.Sprintf("%s left out reads as %d, want %d", f.Name, got, f.Default))
		}
	}
	return found
}

// absent sends null, and an empty text, which forms send for what was left out.
func absent(s *subject) (found []string) {
	for _, f := range s.typ.Fields {
		for _, nothing := range []string{`null`, `""`} {
			_, without := s.check(s.base().without(f))
			settings, faults := s.check(s.base().with(f, f.Name, nothing))
			if brief(faults) != brief(without) || settings.Has(f.Name) || slices.Contains(settings.Known(), f.Name) {
				found = append(found, fmt.Sprintf("%s as %s: %s, and left out: %s", f.Name, nothing, brief(faults), brief(without)))
			}
		}
		if !s.needed(f.Name) {
			continue
		}
		for _, name := range names(f) {
			if _, faults := s.check(s.base().with(f, name, `null`)); !at(faults, name, fault.DetailRequired) {
				found = append(found, fmt.Sprintf("%s as null: %s", name, brief(faults)))
			}
		}
	}
	return found
}

// needed reports whether every request must have a field.
func (s *subject) needed(name string) bool { return slices.Contains(s.typ.Needs, name) }

// masks sends what interfaces show in place of secrets.
func masks(s *subject) (found []string) {
	for _, f := range s.typ.Fields {
		if !f.Secret {
			continue
		}
		for _, name := range names(f) {
			for _, mask := range []string{"***", "********", "••••••", "[secret]", "[REDACTED]", "<hidden>"} {
				_, faults := s.check(s.base().with(f, name, strconv.Quote(mask)))
				if !at(faults, name, fault.DetailPlaceholder) {
					found = append(found, fmt.Sprintf("%s as %s: %s", name, mask, brief(faults)))
				}
			}
		}
	}
	return found
}

// controls sends destinations with characters that end a line or hide text.
func controls(s *subject) (found []string) {
	for _, f := range s.typ.Fields {
		if !f.Destination || f.Kind != connector.Text {
			continue
		}
		for _, c := range []string{"\n", "\r\n", "\t", "\x1b", "\x7f", "\u0085", "\u202e", "\u2028"} {
			value, err := jsontext.AppendQuote(nil, "a"+c+"b")
			if err != nil {
				return []string{"quoting a text"}
			}
			if _, faults := s.check(s.base().with(f, f.Name, string(value))); !at(faults, f.Name) {
				found = append(found, fmt.Sprintf("%s with %q: %s", f.Name, c, brief(faults)))
			}
		}
	}
	return found
}
