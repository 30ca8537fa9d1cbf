package endtoend

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// number is a JSON number as it was written.
type number string

// decode reads one JSON document strictly: no duplicate name, no invalid UTF-8.
// Objects are map[string]any, arrays []any, numbers keep their text.
func decode(body []byte) (any, error) {
	var v any
	asWritten := json.UnmarshalFromFunc(func(d *jsontext.Decoder, v *any) error {
		if d.PeekKind() != '0' {
			return errors.ErrUnsupported
		}
		text, err := d.ReadValue()
		*v = number(text)
		return err
	})
	err := json.Unmarshal(body, &v, json.WithUnmarshalers(asWritten))
	return v, err
}

// shape says what is wrong with a value, each fault with the place it stands at.
type shape func(at string, v any) []string

func kind(what string, ok func(any) bool) shape {
	return func(at string, v any) []string {
		if ok(v) {
			return nil
		}
		return []string{fmt.Sprintf("%s is not %s but %s", at, what, kindOf(v))}
	}
}

// kindOf tells a value's kind and not the value.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return "nothing JSON knows"
}

var stamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

var (
	text      = kind("a string", func(v any) bool { _, ok := v.(string); return ok })
	nonempty  = kind("a string with something in it", func(v any) bool { s, ok := v.(string); return ok && s != "" })
	boolean   = kind("a boolean", func(v any) bool { _, ok := v.(bool); return ok })
	null      = kind("null", func(v any) bool { return v == nil })
	anyObject = kind("an object", func(v any) bool { _, ok := v.(map[string]any); return ok })
	integer   = kind("an integer below 2^53", func(v any) bool {
		n, ok := v.(number)
		i, err := strconv.ParseInt(string(n), 10, 64)
		return ok && err == nil && i > -1<<53 && i < 1<<53
	})
	id        = kind("a positive integer below 2^53", func(v any) bool { return len(integer("", v)) == 0 && toInt(v) > 0 })
	timestamp = kind("a UTC time with milliseconds", func(v any) bool {
		s, ok := v.(string)
		_, err := time.Parse(time.RFC3339, s)
		return ok && err == nil && stamp.MatchString(s)
	})
)

// toInt is an integer's value, 0 for anything else.
func toInt(v any) int64 {
	n, _ := v.(number)
	i, _ := strconv.ParseInt(string(n), 10, 64)
	return i
}

// is allows exactly one text.
func is(want string) shape {
	return kind(strconv.Quote(want), func(v any) bool { return v == any(want) })
}

// oneOf allows any of some texts.
func oneOf(wants ...string) shape {
	return kind(fmt.Sprintf("one of %q", wants), func(v any) bool { s, ok := v.(string); return ok && slices.Contains(wants, s) })
}

// or allows another shape too.
func (s shape) or(other shape) shape {
	return func(at string, v any) []string {
		if len(other(at, v)) == 0 {
			return nil
		}
		return s(at, v)
	}
}

// list is an array, never null, of one shape.
func list(of shape) shape {
	return func(at string, v any) []string {
		items, ok := v.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is not an array but %s", at, kindOf(v))}
		}
		var faults []string
		for i, item := range items {
			faults = append(faults, of(fmt.Sprintf("%s/%d", at, i), item)...)
		}
		return faults
	}
}

// fields is an object with at least these fields: clients ignore what they do
// not know, so others may stand beside them.
type fields map[string]shape

func (f fields) shape() shape {
	return func(at string, v any) []string {
		object, ok := v.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is not an object but %s", at, kindOf(v))}
		}
		var faults []string
		for _, field := range slices.Sorted(maps.Keys(f)) {
			value, there := object[field]
			if !there {
				faults = append(faults, fmt.Sprintf("%s/%s is missing", at, field))
				continue
			}
			faults = append(faults, f[field](at+"/"+field, value)...)
		}
		return faults
	}
}

// exactly is an object with these fields and no others.
func (f fields) exactly() shape {
	return func(at string, v any) []string {
		faults := f.shape()(at, v)
		object, _ := v.(map[string]any)
		for _, field := range slices.Sorted(maps.Keys(object)) {
			if f[field] == nil {
				faults = append(faults, fmt.Sprintf("%s/%s does not belong there", at, field))
			}
		}
		return faults
	}
}

// without refuses fields that must never show, at any depth.
func (s shape) without(names ...string) shape {
	return func(at string, v any) []string {
		return append(s(at, v), found(at, v, names)...)
	}
}

func found(at string, v any, names []string) []string {
	var faults []string
	switch v := v.(type) {
	case map[string]any:
		for _, field := range slices.Sorted(maps.Keys(v)) {
			if slices.Contains(names, field) {
				faults = append(faults, fmt.Sprintf("%s/%s must not be there", at, field))
			}
			faults = append(faults, found(at+"/"+field, v[field], names)...)
		}
	case []any:
		for i, item := range v {
			faults = append(faults, found(fmt.Sprintf("%s/%d", at, i), item, names)...)
		}
	}
	return faults
}
