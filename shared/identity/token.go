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
//	crk_<org>_<user>_<key>[_<user>_<key>]…_<43 characters, base64url of 32 random bytes><8 hex digits>
//
// The pairs after the key name the keys that it was made with, its parent
// first, so that one read finds them all. The numbers select rows; they grant
// nothing, and the key's row must name the same lineage. The last eight
// digits are the CRC-32 (IEEE 802.3) of all that stands before them: a typing
// error is told from a wrong secret without reading anything, and scanners for
// leaked secrets find few false ones. 256 random bits cannot be guessed, so
// one SHA-256 of them is all that is kept; a slow hash is for passwords.
type token struct {
	prefix         string
	org, user, key int64
	lineage        Lineage
	hash           hash
	digest         hash // of the whole text
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

// newToken returns the text of a new token for a key and the hash to store.
// crypto/rand does not fail: it ends the program instead.
func newToken(prefix string, k Key) (string, hash) {
	random := make([]byte, randomBytes)
	defer clear(random)
	_, _ = rand.Read(random)
	text := fmt.Sprintf("%s_%d_%d_%d_", prefix, k.OrgID, k.OwnerID, k.ID)
	for _, r := range k.Lineage.Keys() {
		text += fmt.Sprintf("%d_%d_", r.User, r.Key)
	}
	text += encoding.EncodeToString(random)
	return text + checksum(text), sha256.Sum256(random)
}

func checksum(text string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) }

// parseToken reads a token strictly: one spelling of each is accepted. It
// reports false without saying why.
func parseToken(prefix, text string) (token, bool) {
	if len(text) < randomChars+sumChars {
		return token{}, false
	}
	head, rest := text[:len(text)-randomChars-sumChars], text[len(text)-randomChars-sumChars:]
	numbers, ok := strings.CutPrefix(head, prefix+"_")
	t, ok2 := parseNumbers(numbers)
	if !ok || !ok2 || checksum(text[:len(text)-sumChars]) != rest[randomChars:] {
		return token{}, false
	}
	t.prefix = prefix
	// The decoder skips line breaks, which leaves fewer bytes than asked for.
	random, err := encoding.DecodeString(rest[:randomChars])
	if err != nil || len(random) != randomBytes {
		return token{}, false
	}
	t.hash, t.digest = sha256.Sum256(random), sha256.Sum256([]byte(text))
	clear(random)
	return t, true
}

// parseNumbers reads org, user and key, then a user and a key for each member
// of the lineage, each number with an underscore behind it.
func parseNumbers(text string) (token, bool) {
	var n [3 + 2*len(Lineage{})]int64
	count := 0
	for text != "" {
		digits, tail, found := strings.Cut(text, "_")
		if !found || count == len(n) {
			return token{}, false
		}
		var ok bool
		if n[count], ok = parseNumber(digits); !ok {
			return token{}, false
		}
		count, text = count+1, tail
	}
	t := token{org: n[0], user: n[1], key: n[2]}
	for i := range t.lineage {
		t.lineage[i] = KeyRef{n[3+2*i], n[4+2*i]}
	}
	return t, count >= 3 && count%2 == 1
}

// parseNumber reads a positive integer below 2^53 in its one spelling.
func parseNumber(digits string) (int64, bool) {
	if digits == "" || len(digits) > 16 || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n <= id.Max
}
