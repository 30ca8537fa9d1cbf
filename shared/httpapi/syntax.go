package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
	"credence/shared/jsontree"
)

// syntaxFault returns the fault of a body that is not JSON: the line and the
// column (RFC 8259 has no lines; a line ends with U+000A and a column is a
// character, both from 1), the form of the text before it and, for a common
// mistake, what to change.
func syntaxFault(err *jsontree.Error, body []byte, declared []string) error {
	at, offset := safePointer(err.Pointer.Tokens(), declared), err.Offset
	switch {
	case errors.Is(err, jsontree.ErrDepth):
		return malformed(at, fault.DetailTooLong, fmt.Sprintf("The body is nested more than %d levels deep.", maxDepth))
	case errors.Is(err, jsontree.ErrParts):
		return malformed(at, fault.DetailTooLong, fmt.Sprintf("The body has more than %d members. Send less at once.", maxMembers))
	case errors.Is(err, jsontree.ErrSecond):
		return malformed("", fault.DetailMalformed, "A second value follows the first, before "+position(body, offset)+". Send one JSON value.")
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return malformed(at, fault.DetailDuplicate, "A name stands twice in one object, the second time at "+position(body, offset)+". Send each once.")
	}
	form := outline(body, offset, declared)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		if form != "" {
			form = " after " + form + ","
		}
		return malformed(at, fault.DetailMalformed, fmt.Sprintf("The body ends at %s,%s before its JSON does. Send all of it.", position(body, int64(len(body))), form))
	}
	message := fmt.Sprintf("The body is not valid JSON at %s, after %s.", position(body, offset), form)
	if form == "" {
		message = fmt.Sprintf("The body is not JSON: it does not begin as JSON does, at %s.", position(body, offset))
	}
	return malformed(at, fault.DetailMalformed, message+mistake(body, offset))
}

// position names the place of a byte of the body.
func position(body []byte, offset int64) string {
	before := body[:min(max(offset, 0), int64(len(body)))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Sprintf("line %d, column %d", line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])+1)
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(body []byte) int64 {
	for n := 0; n < len(body); {
		r, size := utf8.DecodeRune(body[n:])
		if r == utf8.RuneError && size == 1 {
			return int64(n)
		}
		n += size
	}
	return -1
}

// maxOutline is how many characters of an outline are shown, the last ones.
const maxOutline = 60

// outline returns the form of the body before offset: its brackets, colons and
// commas, the names that are declared, and … in the place of every other name and
// every value, so that it never holds a value. All of it is valid JSON so far,
// so a quotation mark within a value cannot turn the rest of it inside out.
func outline(body []byte, offset int64, declared []string) string {
	valid := body[:min(offset, int64(len(body)))]
	dec := jsontext.NewDecoder(bytes.NewReader(valid))
	var out strings.Builder
	for last := int64(0); ; {
		token, err := dec.ReadToken()
		if err != nil {
			out.WriteString(separator(valid[last:]))
			break
		}
		out.WriteString(separator(valid[last:dec.InputOffset()]))
		last = dec.InputOffset()
		within, n := dec.StackIndex(dec.StackDepth())
		switch kind := token.Kind(); {
		case kind == '{' || kind == '}' || kind == '[' || kind == ']':
			out.WriteByte(byte(kind))
		case kind == '"' && within == '{' && n%2 == 1 && slices.Contains(declared, token.String()):
			out.WriteString(`"` + token.String() + `"`)
		default:
			out.WriteString("…")
		}
	}
	text := []rune(out.String())
	switch {
	case len(text) > maxOutline:
		text = append([]rune("…"), text[len(text)-maxOutline:]...)
	}
	return string(text)
}

// separator returns the colon or comma that text begins with, "" for any other text.
func separator(text []byte) string {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) > 0 && (text[0] == ':' || text[0] == ',') {
		return string(text[:1])
	}
	return ""
}

// mistake returns the sentence with the fix: what to change about a common mistake, or where to.
func mistake(body []byte, offset int64) string {
	before, at := bytes.TrimRight(body[:offset], " \t\r\n"), byte(0)
	if offset < int64(len(body)) {
		at = body[offset]
	}
	if word := bytes.TrimRightFunc(before, func(r rune) bool { return r < utf8.RuneSelf && letter(byte(r)) }); letter(at) && len(word) > 0 {
		before = bytes.TrimRight(word, " \t\r\n") // at may lie within a word that begins as null, true or false do
	}
	if len(before) == 0 {
		return " Send a JSON object, in curly brackets."
	}
	switch last := before[len(before)-1]; {
	case at == ',' && closes(body[offset+1:]):
		return " Remove this comma."
	case at == '\'' && strings.IndexByte("{[,:", last) >= 0:
		return " Use double quotation marks."
	case at == '/' && strings.IndexByte("{[,:", last) >= 0:
		return " JSON has no comments: remove this one."
	case at < ' ' && at != 0:
		return ` Within a text, write a line break as \n and a tab as \t.`
	case at == '\\' && bytes.HasPrefix(body[offset:], []byte(`\u`)):
		return ` Write a backslash as \\; \u takes four hexadecimal digits, and half of a surrogate pair is no character.`
	case at == '\\':
		return ` Write a backslash as \\.`
	case last == '"':
		return ` A colon or a comma is missing, or a quotation mark within a text: write that as \".`
	case letter(at) && last == '{':
		return " Put the name in double quotation marks."
	case letter(at) && strings.IndexByte("[,:", last) >= 0:
		return " Put a text in double quotation marks; without them are numbers, true, false and null."
	}
	return " Correct the JSON there."
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// closes reports whether the next token ends an object or an array.
func closes(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && (rest[0] == '}' || rest[0] == ']')
}
