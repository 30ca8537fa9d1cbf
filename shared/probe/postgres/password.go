package postgres

import (
	"crypto/sha256"
	"slices"

	"github.com/xdg-go/stringprep"
)

// PostgreSQL has the profile of RFC 4013 with two differences: U+200B, which is
// of two tables, is a space and not nothing; and characters are prohibited as
// they are before the normalization.
// https://www.postgresql.org/docs/current/sasl-authentication.html
var admissible, normal = func() (admissible, normal stringprep.Profile) {
	admissible = stringprep.SASLprep
	admissible.Mappings = slices.Clone(admissible.Mappings)
	slices.Reverse(admissible.Mappings)
	normal = admissible
	admissible.Normalize, normal.Prohibits, normal.CheckBiDi = false, nil, false
	return admissible, normal
}()

// prepared is the form of a password that SCRAM is computed of. A password that
// has none is taken as it is, as the server took it.
func prepared(password string) string {
	if mapped, err := admissible.Prepare(password); err == nil && mapped != "" {
		if form, err := normal.Prepare(password); err == nil {
			return form // which the driver's own profile (RFC 8265) leaves as it is
		}
	}
	return verbatim(password)
}

// verbatim is another password of which SCRAM computes the same, and which the
// driver does not normalize, because it has a control character. HMAC, whose key
// the password is, hashes a key that is longer than a block, and fills a shorter
// one with zeros (RFC 2104 section 2). There is none for a key of one block.
func verbatim(password string) string {
	if len(password) > sha256.BlockSize {
		digest := sha256.Sum256([]byte(password))
		password = string(digest[:])
	}
	if len(password) < sha256.BlockSize {
		password += "\x00"
	}
	return password
}
