package store

import (
	"strconv"
	"strings"
)

// keyDigits is the number of digits of a padded number: every number below 2^53
// fits, so that sort keys sort as their numbers do.
const keyDigits = 16

// KeyText is a partition or a sort key under construction.
type KeyText []byte

// NewKeyText starts a text with room for the longest key of numbers.
func NewKeyText() KeyText { return make(KeyText, 0, 64) }

// Int appends a name and a number in its shortest form.
func (t KeyText) Int(name string, n int64) KeyText {
	return strconv.AppendInt(append(t, name...), n, 10)
}

// Padded appends a name and a number that is not negative, in 16 digits.
func (t KeyText) Padded(name string, n int64) KeyText {
	t = append(t, name...)
	start := len(t)
	t = strconv.AppendInt(append(t, "0000000000000000"...), n, 10)
	digits := len(t) - start - keyDigits
	return append(t[:start+keyDigits-digits], t[start+keyDigits:]...)
}

// String returns the text.
func (t KeyText) String() string { return string(t) }

// CutNumber reads a name and the number after it, as Int or Padded wrote them,
// and returns the text that follows. It reports false for anything else.
func CutNumber(text, name string) (n int64, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, name)
	end := 0
	for end < len(text) && '0' <= text[end] && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	return n, text[end:], ok && err == nil
}

// Numbered is CutNumber for a text that ends with the number.
func Numbered(text, name string) (int64, bool) {
	n, rest, ok := CutNumber(text, name)
	return n, ok && rest == ""
}

// Under is the range of a partition's items whose sort keys begin with prefix. No
// sort key has a character above the tilde.
func Under(t Table, partition, prefix string) Range {
	return Range{Table: t, Partition: partition, From: prefix, To: prefix + "~"}
}
