package httpapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"credence/shared/fault"
	"credence/shared/nearest"
)

// Names are the members that a body may have.
type Names struct {
	Known   []string          // read by the endpoint; errors may repeat them
	Ignored []string          // accepted without effect, such as what only the service sets
	Also    map[string]string // words that clients use for a known name, for suggestions
}

// FieldsOf returns the names of the JSON members of a struct, those of embedded
// structs included: what a client that read the struct may send back.
func FieldsOf(of any) []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// Only adds an error for each member that is not among the names. A name that
// was sent may be a secret in the wrong place, so an error repeats only one that
// is near a known name.
func (o *Object) Only(names Names) {
	strange := 0
	for _, p := range o.fields.Parts {
		sent := p.Name
		if slices.Contains(names.Known, sent) || slices.Contains(names.Ignored, sent) {
			continue
		}
		if near := nearest.To(sent, names.Known, names.Also); near != "" {
			o.Fault(sent, fault.DetailUnknown, fmt.Sprintf("There is no field %q.", sent)+nearest.Hint(near))
			continue
		}
		strange++
	}
	if strange > 0 {
		*o.faults = append(*o.faults, fault.Detail{Pointer: o.pointer, Code: fault.DetailUnknown, Message: fmt.Sprintf(
			"%s. Send only: %s.", unknownFields(strange), strings.Join(names.Known, ", "))})
	}
}

// unknownFields names fields that must not be repeated by their number.
func unknownFields(n int) string {
	if n == 1 {
		return "A field is unknown here"
	}
	return fmt.Sprintf("%d fields are unknown here", n)
}
