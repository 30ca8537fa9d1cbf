package builtin_test

import (
	"testing"

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
				if _, err := connector.Canonical(typ.Example); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRegistry is what the list costs a function that starts.
func BenchmarkRegistry(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		registry(b)
	}
}
