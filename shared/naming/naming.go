// Package naming brings what people type as names, descriptions and tags into one
// form, so that two names that look alike are the same name.
package naming

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// CharacterError reports a character that no name may hold where it is: one that
// cannot be seen, such as a control character, U+200B or the marks that turn the
// direction of writing, or a combining mark without a character to combine with.
type CharacterError struct {
	Rune rune
	At   int // its place, in characters from 1
}

// Error names the character and its place, in words that may be shown to a user.
func (e *CharacterError) Error() string {
	kind := "invisible character"
	if mark(e.Rune) {
		kind = "combining mark without a letter before it,"
	}
	return fmt.Sprintf("the %s U+%04X at position %d", kind, e.Rune, e.At)
}

// Clean returns text in Unicode's composed form (NFC), without white space at both
// ends and with every other kind of space as U+0020. With lines, line breaks and
// tabs stay. The error is a *CharacterError for the first combining mark that follows
// no character (section 2.11 of the Unicode Standard), or character that cannot be
// seen (section 5.21, default ignorable code points). Those that
// shape their neighbours are accepted where they do: joiners between letters of a
// script beyond Latin or within an emoji, and variation selectors behind a symbol.
// Clean of its own result returns that result.
func Clean(text string, lines bool) (string, error) {
	chars := []rune(strings.TrimFunc(norm.NFC.String(text), unicode.IsSpace))
	for i, r := range chars {
		switch {
		case lines && (r == '\n' || r == '\r' || r == '\t'):
		case unicode.Is(unicode.Zs, r):
			chars[i] = ' '
		case Invisible(r) && !shapes(chars, i):
			return "", &CharacterError{Rune: r, At: i + 1}
		case mark(r) && (i == 0 || unicode.IsSpace(chars[i-1])):
			return "", &CharacterError{Rune: r, At: i + 1}
		}
	}
	return string(chars), nil
}

// Invisible reports whether a character has no shape of its own.
func Invisible(r rune) bool {
	return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point,
		unicode.Variation_Selector, unicode.Noncharacter_Code_Point) || strings.ContainsRune(blanks, r)
}

// blanks are symbols that fonts show as nothing: the Braille pattern without dots,
// the object replacement character, the null note head and the Khitan filler.
const blanks = "\u2800\ufffc\U0001d159\U00016fe4"

// mark reports whether a character combines with the one before it.
func mark(r rune) bool { return unicode.Is(unicode.M, r) && !Invisible(r) }

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
	asText    = '\ufe0e'
	asEmoji   = '\ufe0f'
	keycap    = '\u20e3'
)

// shapes reports whether the invisible character at i shapes what stands beside
// it.
func shapes(chars []rune, i int) bool {
	if i == 0 {
		return false
	}
	before := chars[i-1]
	switch chars[i] {
	case asText, asEmoji:
		return symbol(before) || strings.ContainsRune("0123456789#*", before) && i+1 < len(chars) && chars[i+1] == keycap
	case joiner, nonJoiner:
		return i+1 < len(chars) && (joined(before) && joined(chars[i+1]) ||
			chars[i] == joiner && (symbol(before) || before == asEmoji) && symbol(chars[i+1]))
	}
	return false
}

// symbol reports whether a character is one that emoji are made of.
func symbol(r rune) bool {
	return r > unicode.MaxASCII && unicode.In(r, unicode.So, unicode.Sk, unicode.Sm)
}

// joined reports whether letters of its script are joined or kept apart by
// joiners: Arabic and the scripts behind it in Unicode.
func joined(r rune) bool { return r >= 0x0600 && unicode.In(r, unicode.L, unicode.M) }
