// Package nearest suggests the name that a person meant by a name that does
// not exist: a field, a parameter, a flag, a command.
package nearest

import (
	"slices"
	"strings"

	"github.com/hbollon/go-edlib"
)

const (
	maxBytes = 64 // of a name that was sent; no known name is longer
	minPart  = 3  // characters of a name that is part of another, such as host of hostname
	partCost = 4  // more than any distance that is accepted, so that a spelling error is preferred
)

// To returns the known name that sent most likely stands for, or "" if none is
// near. The result is always an element of known, never what was sent: a name
// in the wrong place may be a secret.
//
// Also maps further words that people use to known names, such as port to addr;
// a word whose name is not among known is ignored. Case, dots, hyphens, spaces
// and underscores do not count. Otherwise the nearest name by the
// Damerau-Levenshtein distance (optimal string alignment) is returned, then a
// name that sent begins or ends with, or that begins or ends with sent, if it
// makes up half of the longer one. The first of several equally near names
// is returned. So a name for which To returns one differs from a known name by
// little, and an error may repeat it.
func To(sent string, known []string, also map[string]string) string {
	if len(sent) > maxBytes {
		return ""
	}
	word := fold(sent)
	if word == "" {
		return ""
	}
	for other, name := range also {
		if fold(other) == word && slices.Contains(known, name) {
			return name
		}
	}
	best, least := "", partCost*maxBytes
	for _, name := range known {
		if cost, near := distance(word, fold(name)); near && cost < least {
			best, least = name, cost
		}
	}
	return best
}

// Hint returns the sentence that suggests a name returned by To, with a space
// before it to follow another sentence; "" for "".
func Hint(name string) string {
	if name == "" {
		return ""
	}
	return " Did you mean " + name + "?"
}

// distance reports how far two folded names are apart and whether that is near
// enough to be the same name.
func distance(a, b string) (int, bool) {
	d := edlib.OSADamerauLevenshteinDistance(a, b)
	if d <= tolerance(max(len(a), len(b))) {
		return d, true
	}
	short, long := a, b
	if len(short) > len(long) {
		short, long = long, short
	}
	if len(short) >= minPart && len(long) <= 2*len(short) && (strings.HasPrefix(long, short) || strings.HasSuffix(long, short)) {
		return partCost + len(long) - len(short), true
	}
	return 0, false
}

// tolerance returns how many errors a name of n characters may have.
func tolerance(n int) int {
	switch {
	case n < 3:
		return 0
	case n < 6:
		return 1
	case n < 10:
		return 2
	}
	return 3
}

func fold(name string) string {
	return strings.NewReplacer(".", "", "-", "", "_", "", " ", "", "[]", "").Replace(strings.ToLower(name))
}
