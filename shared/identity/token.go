package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"credence/shared/id"
)

// A token is what a caller presents: a service key (crk) or a session (crs).
//
//	crk_<org>_<user>_<key>_<43 characters, base64url of 32 random bytes><8 hex digits>
//
// The three numbers only say where to look; they grant nothing. The last eight
// digits are the CRC-32 (IEEE 802.3) of all that stands before them: a typing
// error is told from a wrong secret without reading anything, and scanners for
// leaked secrets find few false ones. 256 random bits cannot be guessed, so
// one SHA-256 of them is all that is kept; a slow hash is for passwords.
type token struct {
	prefix         string
	org, user, key int64
	hash           hash
}

// KeyPrefix begins every service key.
const KeyPrefix = keyToken + "_"

const (
	keyToken     = "crk"
	sessionToken = "crs"

	randomBytes = 32
	randomChars = 43
	sumChars    = 8
)

// hash is the SHA-256 of a token's random bytes.
type hash [sha256.Size]byte

// matches compares in constant time, so that the time an answer takes says
// nothing about how much of a secret was right.
func (h hash) matches(other hash) bool { return subtle.ConstantTimeCompare(h[:], other[:]) == 1 }

// encoding refuses set bits behind the last byte, of which there would
// otherwise be four spellings of each token (RFC 4648, section 3.5).
var encoding = base64.RawURLEncoding.Strict()

// newToken makes a token's text and the hash to keep of it. crypto/rand does
// not fail: it ends the program instead.
func newToken(prefix string, org, user, key int64) (string, hash) {
	random := make([]byte, randomBytes)
	defer clear(random)
	_, _ = rand.Read(random)
	text := fmt.Sprintf("%s_%d_%d_%d_%s", prefix, org, user, key, encoding.EncodeToString(random))
	return text + checksum(text), sha256.Sum256(random)
}

func checksum(text string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) }

// parseToken reads a token strictly: one spelling of each is accepted. It
// reports false without saying why.
func parseToken(prefix, text string) (token, bool) {
	t := token{prefix: prefix}
	rest, ok := strings.CutPrefix(text, prefix+"_")
	if !ok || len(text) < randomChars+sumChars {
		return token{}, false
	}
	for _, n := range []*int64{&t.org, &t.user, &t.key} {
		digits, tail, found := strings.Cut(rest, "_")
		if *n, ok = parseNumber(digits); !found || !ok {
			return token{}, false
		}
		rest = tail
	}
	body, sum := text[:len(text)-sumChars], text[len(text)-sumChars:]
	if len(rest) != randomChars+sumChars || checksum(body) != sum {
		return token{}, false
	}
	// The decoder skips line breaks, which leaves fewer bytes than asked for.
	random, err := encoding.DecodeString(rest[:randomChars])
	if err != nil || len(random) != randomBytes {
		return token{}, false
	}
	t.hash = sha256.Sum256(random)
	clear(random)
	return t, true
}

// parseNumber reads a positive integer below 2^53 in its one spelling.
func parseNumber(digits string) (int64, bool) {
	if digits == "" || len(digits) > 16 || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n <= id.Max
}
