package postgres

import (
	"slices"

	"github.com/xdg-go/stringprep"
)

// saslPrep is the profile of RFC 4013 as PostgreSQL has it: U+200B, which is of
// two tables, is a space there and not nothing.
var saslPrep = func() stringprep.Profile {
	p := stringprep.SASLprep
	p.Mappings = slices.Clone(p.Mappings)
	slices.Reverse(p.Mappings)
	return p
}()

// prepared is the form of a password that SCRAM is computed of. A password that
// has none is taken as it is, as the server took it. The driver's own (RFC 8265)
// keeps what this one replaces, so it changes nothing of the result.
// https://www.postgresql.org/docs/current/sasl-authentication.html
func prepared(password string) string {
	if form, err := saslPrep.Prepare(password); err == nil && form != "" {
		return form
	}
	return password
}
