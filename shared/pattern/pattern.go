// Package pattern holds regular expressions that are compiled when they are
// first asked. A package has a dozen, a function that starts asks none of them,
// and compiling them all would be a good part of its start.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression in the syntax of package regexp. It may be
// used from many goroutines.
type Pattern struct {
	text     string
	compiled func() *regexp.Regexp
}

// New takes an expression that is known to compile, as a constant is: the first
// use of another panics. shared/architecture compiles each that is written.
func New(text string) *Pattern {
	return &Pattern{text, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
}

// MatchString reports whether s holds what the expression describes.
func (p *Pattern) MatchString(s string) bool { return p.compiled().MatchString(s) }

// FindStringSubmatch gives the leftmost match and those of its groups; nil if
// there is none.
func (p *Pattern) FindStringSubmatch(s string) []string { return p.compiled().FindStringSubmatch(s) }

// String is the expression as it was written.
func (p *Pattern) String() string { return p.text }
