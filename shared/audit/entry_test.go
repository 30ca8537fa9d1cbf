package audit

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// TestEncodedWithoutReflection: what is appended is byte-identical to what json makes of
// the same values, because hashes of the chain cover it.
func TestEncodedWithoutReflection(t *testing.T) {
	type interval string
	values := []any{
		nil, "", "a", "\"<&>\u2028\x00\\ä", "\xff", []string(nil),
		[]string{},
		[]string{"a", "b\n"},
		true, false,
		int64(0), int64(-9007199254740991), 3, 1.5, interval("daily"),
		[]any{"x", nil},
		map[string]any{"b": 1, "a": []string{"c"}},
	}
	changes := map[string]Change{}
	for i, v := range values {
		want, wantErr := json.Marshal(v, json.Deterministic(true))
		got, err := appendJSON([]byte("x"), v)
		if (err == nil) != (wantErr == nil) || err == nil && string(got) != "x"+string(want) {
			t.Errorf("%#v is %s (%v), want %s (%v)", v, got, err, want, wantErr)
		}
		if wantErr == nil {
			changes[strings.Repeat("<n", i)] = Change{v, values[0]}
		}
	}
	for _, some := range []map[string]Change{nil, {}, changes} {
		want, _ := json.Marshal(some, json.Deterministic(true))
		if got, err := appendChanges(nil, some); err != nil || string(got) != string(want) {
			t.Errorf("the changes are %s (%v), want %s", got, err, want)
		}
	}
}
