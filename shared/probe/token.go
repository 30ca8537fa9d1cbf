package probe

import (
	"bytes"
	"encoding/base64"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/secret"
)

// TokenEnds adds FactExpires where a secret that is sent as it is stored is, or
// ends in, a JSON Web Token that says of itself when it expires. The signature
// is not looked at: nothing is decided by it. It reports whether the token is
// over by its own word.
func (a *Attempt) TokenEnds(sent secret.Value) (over bool) {
	at, ok := tokenEnd(sent)
	if ok {
		a.Ends(FactExpires, at)
	}
	return ok && at.Before(a.now())
}

// lastSecond is the last one of the year 9999, in Unix time.
const lastSecond = 253402300799

// tokenEnd reads the claim exp (RFC 7519, section 4.1.4) of a token in compact
// form (RFC 7515, section 7.1): three parts, of which the first is an object
// that names an algorithm. What stands before it, up to a space, is the scheme
// of a header.
func tokenEnd(sent secret.Value) (time.Time, bool) {
	text := sent.Expose()
	defer clear(text)
	token := text[bytes.LastIndexByte(text, ' ')+1:]
	parts := bytes.Split(token, []byte("."))
	if len(parts) != 3 {
		return time.Time{}, false
	}
	var head struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Expires *float64 `json:"exp"`
	}
	if !decodePart(parts[0], &head) || !decodePart(parts[1], &claims) || head.Algorithm == "" || claims.Expires == nil {
		return time.Time{}, false
	}
	seconds := *claims.Expires
	if seconds < 0 || seconds > lastSecond {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// decodePart reads one part of a token: base64url without padding (RFC 7515,
// section 2) of a JSON object.
func decodePart(part []byte, into any) bool {
	plain, err := base64.RawURLEncoding.AppendDecode(nil, part)
	defer clear(plain)
	return err == nil && json.Unmarshal(plain, into) == nil
}
