package store_test

import (
	"fmt"
	"testing"

	"credence/shared/store"
)

func TestKeyText(t *testing.T) {
	for _, n := range []int64{0, 1, 9, 10, 1<<53 - 1, 9_999_999_999_999_999} {
		got := store.NewKeyText().Int("A#", n).Padded("#B#", n).String()
		if want := fmt.Sprintf("A#%d#B#%016d", n, n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		first, rest, ok := store.CutNumber(got, "A#")
		second, whole := store.Numbered(rest, "#B#")
		if first != n || second != n || !ok || !whole {
			t.Errorf("%s reads as %d, %d", got, first, second)
		}
	}
	for _, bad := range []string{"", "A", "A#", "B#1", "A#-1", "A#+1", "A#x", "A#1x", "A#99999999999999999999"} {
		if n, ok := store.Numbered(bad, "A#"); ok {
			t.Errorf("%q reads as %d", bad, n)
		}
	}
}
