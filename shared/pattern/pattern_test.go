package pattern_test

import (
	"slices"
	"sync"
	"testing"

	"credence/shared/pattern"
)

func TestPattern(t *testing.T) {
	p := pattern.New(`^([a-z])([0-9]+)$`)
	if got := p.String(); got != `^([a-z])([0-9]+)$` {
		t.Errorf("written %q", got)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if !p.MatchString("a12") || p.MatchString("12") {
				t.Error("it matches what it should not, or the other way round")
			}
		})
	}
	all.Wait()
	if got := p.FindStringSubmatch("a12"); !slices.Equal(got, []string{"a12", "a", "12"}) {
		t.Errorf("found %q", got)
	}
	if got := p.FindStringSubmatch("12"); got != nil {
		t.Errorf("found %q where nothing is", got)
	}
}

// TestNewCompilesNothing: what does not compile is found out by its first use,
// not by its making.
func TestNewCompilesNothing(t *testing.T) {
	p := pattern.New(`(`)
	defer func() {
		if recover() == nil {
			t.Error("an expression that is none was used")
		}
	}()
	p.MatchString("")
}
