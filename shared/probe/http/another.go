package httpprobe

import (
	"bytes"
	"crypto/rand"
	"strings"

	"credence/shared/secret"
)

// another makes up a secret of the same shape: each letter is replaced by a
// letter of its case and each digit by a digit. A scheme before a space, a
// vendor's prefix ("sk_live_", "xoxb-") and the readable parts of a JSON Web
// Token stay, so that a system reads it as a secret of the same kind.
func another(value secret.Value) secret.Value {
	text := value.Expose()
	defer clear(text)
	from := fixed(text)
	made := bytes.Clone(text)
	for range 8 {
		randomise(made[from:])
		if uuid := made[from:]; isUUID(uuid) { // its version and variant (RFC 9562 section 4) stay
			uuid[14], uuid[19] = text[from+14], text[from+19]
		}
		if !bytes.Equal(made, text) {
			return secret.New(made)
		}
	}
	return secret.New(append(made, 'x')) // nothing in it could be replaced
}

// fixed is the length of the part that another keeps.
func fixed(text []byte) int {
	from := bytes.LastIndexByte(text, ' ') + 1
	bare := text[from:]
	if bytes.Count(bare, []byte(".")) == 2 { // RFC 7515 §7.1: the signature is last
		return from + bytes.LastIndexByte(bare, '.') + 1
	}
	prefix := bytes.LastIndexAny(bare[:min(len(bare), 12)], "_-") + 1
	if len(bare)-prefix >= 8 {
		return from + prefix
	}
	return from
}

func isUUID(text []byte) bool {
	return len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-'
}

const hexDigits = "0123456789abcdefABCDEF"

// randomise replaces letters and digits; hexadecimal text stays hexadecimal.
func randomise(text []byte) {
	alphabet := byte(26)
	if len(bytes.Trim(text, hexDigits+"-")) == 0 {
		alphabet = 6
	}
	random := make([]byte, len(text))
	_, _ = rand.Read(random) // never fails (crypto/rand)
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9':
			text[i] = '0' + random[i]%10
		case c >= 'a' && c <= 'z':
			text[i] = 'a' + random[i]%alphabet
		case c >= 'A' && c <= 'Z':
			text[i] = 'A' + random[i]%alphabet
		}
	}
}

// anotherHeader is another for the value of a header: the names of cookies
// stay, and a password in Basic is left out.
func anotherHeader(name string, value secret.Value) (other secret.Value, account bool) {
	text := value.ExposeText()
	scheme, _, _ := strings.Cut(text, " ")
	switch {
	case strings.EqualFold(name, "Authorization") && (strings.EqualFold(scheme, "Basic") || strings.EqualFold(scheme, "Digest")):
		return secret.Value{}, true
	case strings.EqualFold(name, "Cookie"):
		var pairs []string
		for pair := range strings.SplitSeq(text, ";") {
			key, v, _ := strings.Cut(strings.TrimSpace(pair), "=")
			pairs = append(pairs, key+"="+another(secret.NewText(v)).ExposeText())
		}
		return secret.NewText(strings.Join(pairs, "; ")), false
	}
	return another(value), false
}
