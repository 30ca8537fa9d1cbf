package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"credence/shared/id"
)

// A known answer, worked out apart from this package: the random bytes are 0
// to 31, the checksum is zlib's crc32 of all before it.
const (
	known    = "crk_7_8_9_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" + knownSum
	knownSum = "ae3967e7"
)

func TestTokenKnownAnswer(t *testing.T) {
	got, ok := parseToken(keyToken, known)
	random := make([]byte, 32)
	for n := range random {
		random[n] = byte(n)
	}
	if !ok || got.org != 7 || got.user != 8 || got.key != 9 || got.hash != sha256.Sum256(random) {
		t.Errorf("read as %d %d %d, %v", got.org, got.user, got.key, ok)
	}
}

func TestTokensComeBack(t *testing.T) {
	seen := map[hash]bool{}
	for _, prefix := range []string{keyToken, sessionToken} {
		for n := range 500 {
			org, user, key := int64(1+n), id.Max-int64(n), int64(1+n*n)
			k := Key{ID: key, OrgID: org, OwnerID: user}
			for g := range n % MaxGenerations {
				k.Lineage[g] = KeyRef{id.Max - int64(g), int64(1 + n)}
			}
			text, h := newToken(prefix, k)
			got, ok := parseToken(prefix, text)
			if want := (token{prefix, org, user, key, k.Lineage, h, sha256.Sum256([]byte(text))}); !ok || got != want {
				t.Fatalf("token %d does not come back", n)
			}
			if seen[h] {
				t.Fatal("two tokens share a secret")
			}
			seen[h] = true
			raw, _ := base64.RawURLEncoding.DecodeString(text[len(text)-51 : len(text)-8])
			if h != sha256.Sum256(raw) || strings.Contains(text, hex.EncodeToString(h[:])) {
				t.Fatal("what is kept is not the hash of the random bytes")
			}
		}
	}
}

// seeds is what is almost a token: each differs from the known answer in the
// way its name says, with the checksum put right where that is not the point.
func seeds() map[string]string {
	right := func(body string) string { return body + checksum(body) }
	body := strings.TrimSuffix(known, knownSum)
	random := body[len("crk_7_8_9_"):]
	return map[string]string{
		"empty": "", "prefix": "crk_", "a session": right("crs" + body[3:]), "upper case": right("CRK" + body[3:]),
		"no prefix": right(body[4:]), "two numbers": right("crk_7_8_" + random), "four numbers": right("crk_7_8_9_10_" + random), "five generations": right("crk_7_8_9_1_1_2_2_3_3_4_4_" + random),
		"a lineage with a zero": right("crk_7_8_9_8_0_" + random), "a lineage with no number": right("crk_7_8_9_8__" + random),
		"a zero": right("crk_0_8_9_" + random), "a leading zero": right("crk_07_8_9_" + random), "a plus": right("crk_+7_8_9_" + random),
		"a minus": right("crk_-7_8_9_" + random), "a space": right("crk_ 7_8_9_" + random), "hexadecimal": right("crk_0x7_8_9_" + random),
		"2^53": right("crk_9007199254740992_8_9_" + random), "20 digits": right("crk_99999999999999999999_8_9_" + random),
		"Arabic digits": right("crk_٧_8_9_" + random), "no number": right("crk__8_9_" + random),
		"a letter less": right(body[:len(body)-1]), "a letter more": right(body + "A"),
		"set bits behind the last byte": right(body[:len(body)-1] + "9"), "standard base64": right(strings.Replace(body, "AAEC", "AA+C", 1)),
		"padding": right(body + "="), "a line break": right(body[:20] + "\n" + body[21:]), "a line break more": right(body[:20] + "\r\n" + body[20:]),
		"upper case checksum": body + strings.ToUpper("abcdef01"), "no checksum": body, "wrong checksum": body + "00000000",
		"a space behind": known + " ", "a line behind": known + "\n", "a space before": " " + known, "a NUL": known[:30] + "\x00" + known[31:],
		"long": right("crk_7_8_9_" + strings.Repeat("A", 9000)),
	}
}

func TestWhatIsAlmostAToken(t *testing.T) {
	for name, text := range seeds() {
		if got, ok := parseToken(keyToken, text); ok || got != (token{}) {
			t.Errorf("%s: accepted", name)
		}
	}
	for at := range len(known) {
		for _, c := range []byte("0aZ_-") {
			if known[at] == c {
				continue
			}
			if _, ok := parseToken(keyToken, known[:at]+string(c)+known[at+1:]); ok {
				t.Errorf("byte %d changed to %q: accepted", at, c)
			}
		}
	}
}

// FuzzToken holds the parser to one spelling of each token: what it accepts is
// what it would itself write.
func FuzzToken(f *testing.F) {
	f.Add(known)
	for _, text := range seeds() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, prefix := range []string{keyToken, sessionToken} {
			got, ok := parseToken(prefix, text)
			if !ok {
				continue
			}
			raw, err := base64.RawURLEncoding.DecodeString(text[len(text)-51 : len(text)-8])
			if err != nil || sha256.Sum256(raw) != got.hash {
				t.Fatal("the hash is of other bytes")
			}
			again := fmt.Sprintf("%s_%d_%d_%d_", prefix, got.org, got.user, got.key)
			for _, r := range got.lineage.Keys() {
				again += fmt.Sprintf("%d_%d_", r.User, r.Key)
			}
			again += base64.RawURLEncoding.EncodeToString(raw)
			if again+checksum(again) != text {
				t.Fatal("two spellings of one token")
			}
		}
	})
}

func BenchmarkParseToken(b *testing.B) {
	for b.Loop() {
		if _, ok := parseToken(keyToken, known); !ok {
			b.Fatal("refused")
		}
	}
}
