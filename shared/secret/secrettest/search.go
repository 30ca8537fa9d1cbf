// Package secrettest searches output for a secret in the forms in which a
// printer, an encoder or a log may have spelt it.
package secrettest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/go-json-experiment/json"
)

// window is the shortest piece of a secret whose appearance counts as a leak.
// Shorter pieces turn up by chance.
const window = 8

// Search looks for one secret. Make it once and use it on many outputs; it may
// be used from many goroutines.
type Search struct{ needles []needle }

type needle struct {
	form string
	text []byte
}

// NewSearch prepares the search for a secret. It panics on one under four
// bytes, which would be found everywhere.
func NewSearch(secret []byte) *Search {
	if len(secret) < 4 {
		panic("secrettest: a secret under 4 bytes cannot be searched for")
	}
	s := new(Search)
	s.add("raw", secret)
	for i := 0; i+window <= len(secret); i++ {
		s.add("window", secret[i:i+window])
	}
	s.addEscaped(string(secret))
	s.addNumbers(secret)
	s.addBase64(secret)
	reversed := slices.Clone(secret)
	slices.Reverse(reversed)
	s.add("reversed", reversed)
	var wide []byte
	for _, u := range utf16.Encode([]rune(string(secret))) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	s.add("utf-16le", wide)
	return s
}

// In names the forms in which the secret stands in b, each once; none is an
// empty slice.
func (s *Search) In(b []byte) []string {
	var found []string
	for _, n := range s.needles {
		if bytes.Contains(b, n.text) && !slices.Contains(found, n.form) {
			found = append(found, n.form)
		}
	}
	return found
}

func (s *Search) add(form string, text []byte) {
	s.needles = append(s.needles, needle{form, bytes.Clone(text)})
}

func (s *Search) addEscaped(secret string) {
	quoted := strconv.Quote(secret)
	s.add("quoted", []byte(quoted[1:len(quoted)-1]))
	s.add("url", []byte(url.QueryEscape(secret)))
	s.add("url", []byte(url.PathEscape(secret)))
	if spelt, err := json.Marshal(secret); err == nil {
		s.add("json", spelt[1:len(spelt)-1])
	}
}

// addNumbers covers the prints of a byte slice: %x, %X, % x, %v, %d, %#v and
// JSON arrays.
func (s *Search) addNumbers(secret []byte) {
	s.add("hex", []byte(hex.EncodeToString(secret)))
	s.add("hex", []byte(strings.ToUpper(hex.EncodeToString(secret))))
	for _, spelling := range []struct{ form, verb, separator string }{
		{"hex", "%02x", " "},
		{"hex", "%02X", " "},
		{"hex", "0x%x", ", "},
		{"hex", "0x%02x", ", "},
		{"decimal", "%d", " "},
		{"decimal", "%d", ","},
		{"decimal", "%d", ", "},
	} {
		parts := make([]string, len(secret))
		for i, b := range secret {
			parts[i] = fmt.Sprintf(spelling.verb, b)
		}
		s.add(spelling.form, []byte(strings.Join(parts, spelling.separator)))
	}
}

// addBase64 covers the secret at each of the three offsets it can have inside
// a longer encoded text, without the characters that its neighbours share.
func (s *Search) addBase64(secret []byte) {
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			padded := append(make([]byte, offset), secret...)
			text := e.EncodeToString(padded)
			from := (offset*8 + 5) / 6
			to := len(padded) * 8 / 6
			s.add("base64", []byte(text[from:to]))
		}
	}
}
