package builtin_test

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
)

// BenchmarkCheck is what validating and sealing costs a request, for the
// example of each type.
func BenchmarkCheck(b *testing.B) {
	for _, typ := range registry(b).All() {
		b.Run(typ.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, faults := typ.Check(typ.Example); len(faults) > 0 {
					b.Fatal("the example is refused")
				}
				if _, err := sealedForm(typ, typ.Example); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// sealedForm returns the form in which an object is sealed.
func sealedForm(typ *connector.Type, text jsontext.Value) (jsontext.Value, error) {
	sent, err := connector.Parse(text)
	if err != nil {
		return nil, err
	}
	return typ.Canonical(sent)
}

// BenchmarkRegistry is what the list costs a function that starts.
func BenchmarkRegistry(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		registry(b)
	}
}
