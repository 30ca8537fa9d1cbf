package builtin_test

import (
	"testing"

	"credence/shared/connector/builtin"
	"credence/shared/connector/conntest"
)

// TestTypes holds every type of the list to every rule.
func TestTypes(t *testing.T) {
	types := builtin.Types()
	if len(types) == 0 {
		t.Fatal("the list is empty")
	}
	for _, typ := range types {
		t.Run(typ.Name, func(t *testing.T) {
			t.Parallel()
			conntest.Run(t, typ)
		})
	}
}
