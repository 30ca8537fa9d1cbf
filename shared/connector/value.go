package connector

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
	"credence/shared/jsontree"
	"credence/shared/pattern"
	"credence/shared/secret"
)

var (
	// masked is what interfaces show in place of a secret. Sent back, it would
	// replace the secret by stars.
	masked = pattern.New(`^(?:[*•●]{3,}|[\[<](?i:secret|redacted|masked|hidden)[\]>])$`)
	whole  = pattern.New(`^-?(?:0|[1-9][0-9]*)$`)
)

// nothing reports whether a value counts as not sent: null, and an empty text,
// which forms send for what was left out, whatever the field's kind.
func nothing(n jsontree.Node) bool {
	return n.Kind() == 'n' || string(n.Raw) == `""`
}

// read takes one value, as text: a number, truth or object is its JSON. code is
// "" where the value is right.
func (f Field) read(n jsontree.Node, encoded bool) (v secret.Value, code, message string) {
	text, isText := n.Text(), n.Kind() == '"'
	switch f.Kind {
	case Number:
		text, code, message = f.readNumber(text, n.Kind())
	case Bool:
		text, code, message = readBool(text, n.Kind())
	case Object:
		text, code, message = f.readObject(text, isText, encoded)
	default:
		if !isText {
			return v, fault.DetailWrongKind, "Send a string."
		}
		text = f.restore(text)
		code, message = f.rules(text)
	}
	if code != "" {
		return v, code, message
	}
	return secret.NewText(text), "", ""
}

func (f Field) readNumber(text string, kind jsontext.Kind) (string, string, string) {
	if kind != '"' && kind != '0' || !whole.MatchString(text) {
		return "", fault.DetailWrongKind, "Send a whole number."
	}
	n, err := strconv.ParseInt(text, 10, 64)
	low, high := f.Min, f.Max
	if low == 0 && high == 0 {
		low, high = -1<<53+1, 1<<53-1 // what a double holds exactly
	}
	if err != nil || n < low || n > high {
		return "", fault.DetailOutOfRange, fmt.Sprintf("Send a number from %d to %d.", low, high)
	}
	return strconv.FormatInt(n, 10), "", ""
}

func readBool(text string, kind jsontext.Kind) (string, string, string) {
	if kind == 't' || kind == 'f' || kind == '"' {
		for _, truth := range []string{"true", "false"} {
			if strings.EqualFold(text, truth) {
				return truth, "", ""
			}
		}
	}
	return "", fault.DetailWrongKind, "Send true or false."
}

func (f Field) readObject(text string, isText, encoded bool) (string, string, string) {
	if f.Secret && isText && masked.MatchString(text) {
		return "", fault.DetailPlaceholder, sentMask
	}
	if encoded {
		if !isText {
			return "", fault.DetailWrongKind, "Send a string: base64 of a JSON object."
		}
		plain, err := decodeBase64(text)
		if err != nil {
			return "", fault.DetailMalformed, "Send base64 of a JSON object."
		}
		text = string(plain)
	}
	// IsValid refuses duplicate keys and broken UTF-8 inside the text too.
	if v := jsontext.Value(text); !v.IsValid() || v.Kind() != '{' {
		switch {
		case encoded:
			return "", fault.DetailMalformed, "Send base64 of a JSON object; what it holds is none."
		case isText:
			return "", fault.DetailMalformed, "Send a JSON object, or text that holds one."
		}
		return "", fault.DetailWrongKind, "Send a JSON object, or text that holds one."
	}
	text = f.restore(text)
	if f.Check != nil {
		if code, message := f.Check(text); code != "" {
			return "", code, message
		}
	}
	return text, "", ""
}

// decodeBase64 takes what tools print: with line breaks or without, with
// padding or without.
func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("\n", "", "\r", "", " ", "").Replace(text), "=")
	return base64.RawStdEncoding.Strict().DecodeString(text)
}

const sentMask = "This is what is shown in place of a secret. Send the secret itself, or leave credentials out to keep the one there is."

// rules holds a text to what its field asks.
func (f Field) rules(text string) (code, message string) {
	limit := f.MaxBytes
	if limit == 0 {
		limit = MaxTextBytes
	}
	switch {
	case f.Secret && masked.MatchString(text):
		return fault.DetailPlaceholder, sentMask
	case len(text) > limit:
		return fault.DetailTooLong, fmt.Sprintf("At most %d bytes.", limit)
	case f.PEM && brokenPEM(text):
		return fault.DetailMalformed, lostBreaks
	case len(f.OneOf) > 0 && !slices.Contains(f.OneOf, text):
		return fault.DetailUnknown, "Use one of: " + strings.Join(f.OneOf, ", ") + "."
	case (f.Destination || f.Identity) && !f.Lines && strings.ContainsFunc(text, unprintable):
		return fault.DetailMalformed, "Leave out line breaks, other control characters and marks of text direction."
	}
	if f.Check != nil {
		if code, message := f.Check(text); code != "" {
			return code, message
		}
	}
	if shown := f.shown(text); f.Public && len(f.OneOf) == 0 && (InPublic(shown) || !f.Identity && (isAmazons(shown) || !strings.Contains(f.Name, "path") && signsIn(shown))) {
		return fault.DetailForbidden, publicSecret
	}
	return "", ""
}

// shown is what is shown of a text whatever the method.
func (f Field) shown(text string) string {
	if f.Shown == nil {
		return text
	}
	return f.Shown("", text)
}

// unprintable characters in a destination would end a line of a protocol, or
// make it read as another one.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// same reports whether two values of the field mean the same.
func (f Field) same(a, b secret.Value) bool {
	if f.Kind != Object {
		return a.Equal(b)
	}
	x, y := jsontext.Value(a.Expose()), jsontext.Value(b.Expose())
	return x.Canonicalize() == nil && y.Canonicalize() == nil && string(x) == string(y)
}

// render is a value as JSON again.
func (f Field) render(v setting) jsontext.Value {
	if f.Kind != Text {
		return v.text.Expose()
	}
	quoted, err := jsontext.AppendQuote(nil, v.text.Expose())
	if err != nil {
		return jsontext.Value(`""`)
	}
	return quoted
}
