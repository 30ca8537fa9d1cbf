package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"

	"github.com/go-json-experiment/json"
)

// A cursor is base64url of
//
//	checksum (8 bytes) | Start as JSON
//
// where the checksum is the beginning of the SHA-256 of the list and the JSON. It
// finds a cursor that was cut, changed, or taken to a list with another filter or
// order. It is no signature and need not be one: a cursor grants nothing, since a
// page holds only what its caller may see anyway.
const (
	checksumBytes  = 8
	maxCursorBytes = 4 << 10
)

// list identifies the list that a request asks for: the path and all parameters
// but those that choose a page.
func (q *Query) list() string {
	rest := url.Values(maps.Clone(q.values))
	for _, name := range PageQuery {
		rest.Del(name)
	}
	return q.path + "?" + rest.Encode()
}

func (s Start) cursor(list string) string {
	text, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		panic("httpapi: a cursor cannot be encoded") // texts and numbers always can
	}
	return base64.RawURLEncoding.EncodeToString(slices.Concat(checksum(list, text), text))
}

func readCursor(list, cursor string) (Start, bool) {
	if len(cursor) > maxCursorBytes {
		return Start{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < checksumBytes {
		return Start{}, false
	}
	sum, text := raw[:checksumBytes], raw[checksumBytes:]
	if subtle.ConstantTimeCompare(sum, checksum(list, text)) == 0 {
		return Start{}, false
	}
	var s Start
	err = json.Unmarshal(text, &s)
	return s, err == nil && s.Page > 0
}

func checksum(list string, text []byte) []byte {
	sum := sha256.Sum256(slices.Concat([]byte(list), []byte{0}, text))
	return sum[:checksumBytes]
}
