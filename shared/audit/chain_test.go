package audit

import (
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/store"
)

// TestCanonicalText compares the text under a digest with that of the JSON
// library, which made the digests of all entries so far.
func TestCanonicalText(t *testing.T) {
	for _, a := range []store.Attributes{
		{},
		{"format": int64(2), "n": int64(-1), "big": int64(1<<53 - 1), "gone": true, "there": false},
		{"text": "a\"b\\c\n\t\x00\x7f<>&\u2028\u2029é€😀", "": "", "B": "b", "a": "A", "é": "x"},
		{"bytes": []byte{0, 1, 254, 255}, "none": []byte{}},
	} {
		want, err := json.Marshal(map[string]any(a), json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := appendCanonical(nil, a); err != nil || string(got) != string(want) {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	for _, bad := range []any{"\xff", 1.5, nil} {
		if got, err := appendCanonical(nil, store.Attributes{"a": bad}); err == nil {
			t.Errorf("%q became %s", bad, got)
		}
	}
}
