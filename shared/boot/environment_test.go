package boot_test

import (
	"slices"
	"strings"
	"testing"

	"credence/shared/boot"
)

func TestEnvironment(t *testing.T) {
	t.Setenv("THERE", " value\n")
	t.Setenv("EMPTY", "  ")
	t.Setenv("LIST", "a, b,,c ")
	var env boot.Environment
	if got := env.Required("THERE"); got != "value" {
		t.Errorf("required: %q", got)
	}
	if err := env.Err(); err != nil {
		t.Errorf("nothing is missing: %v", err)
	}
	if got := env.Optional("ABSENT_ONE"); got != "" {
		t.Errorf("optional: %q", got)
	}
	if got := env.List("LIST"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("list: %q", got)
	}
	if got := env.List("ABSENT_ONE"); got != nil {
		t.Errorf("absent list: %q", got)
	}
	env.Required("EMPTY")
	env.Required("ABSENT_TWO")
	err := env.Err()
	if err == nil || !strings.Contains(err.Error(), "EMPTY") || !strings.Contains(err.Error(), "ABSENT_TWO") || strings.Contains(err.Error(), "ABSENT_ONE") {
		t.Errorf("error %v, want one that names EMPTY and ABSENT_TWO alone", err)
	}
}
