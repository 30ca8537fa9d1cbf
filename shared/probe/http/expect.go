package httpprobe

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/probe"
)

// expectation is the user's own description of a successful answer.
type expectation struct {
	status     int64
	pointer    jsontext.Pointer // RFC 6901
	hasPointer bool
	value      string
	hasValue   bool
}

func readExpectation(settings reader) expectation {
	e := expectation{pointer: jsontext.Pointer(settings.text(fieldExpectPointer)), value: settings.text(fieldExpectValue)}
	e.status, _ = settings.Int(string(fieldExpectStatus))
	e.hasPointer, e.hasValue = settings.has(fieldExpectPointer), settings.has(fieldExpectValue)
	return e
}

func (e expectation) stated() bool { return e.status != 0 || e.hasPointer }

// missed is the setting that an answer does not meet; "" if it meets all.
func (e expectation) missed(a answer) probe.Field {
	if e.status != 0 && int64(a.status) != e.status {
		return fieldExpectStatus
	}
	if e.status == 0 && a.status/100 != 2 {
		return fieldExpectPointer
	}
	if !e.hasPointer {
		return ""
	}
	value, ok := member(a.body, e.pointer)
	switch {
	case !a.whole || !ok:
		return fieldExpectPointer
	case e.hasValue && text(value) != e.value:
		return fieldExpectValue
	}
	return ""
}

// member finds the value that a JSON Pointer refers to.
func member(document []byte, pointer jsontext.Pointer) (jsontext.Value, bool) {
	value := jsontext.Value(document)
	for token := range pointer.Tokens() {
		switch value.Kind() {
		case '{':
			var members map[string]jsontext.Value
			if json.Unmarshal(value, &members, jsontext.AllowDuplicateNames(true)) != nil {
				return nil, false
			}
			var ok bool
			if value, ok = members[token]; !ok {
				return nil, false
			}
		case '[':
			var items []jsontext.Value
			i, err := strconv.Atoi(token)
			if err != nil || json.Unmarshal(value, &items, jsontext.AllowDuplicateNames(true)) != nil || i < 0 || i >= len(items) {
				return nil, false
			}
			value = items[i]
		default:
			return nil, false
		}
	}
	return value, len(value) > 0 && value.IsValid(jsontext.AllowDuplicateNames(true))
}

// text is a value for a comparison: of a string its characters, of everything
// else its JSON.
func text(value jsontext.Value) string {
	var s string
	if json.Unmarshal(value, &s) == nil && value.Kind() == '"' {
		return s
	}
	return strings.TrimSpace(string(value))
}
