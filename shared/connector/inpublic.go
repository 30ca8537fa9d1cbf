package connector

import (
	"net/url"
	"strings"

	"credence/shared/pattern"
)

var (
	// assignment is a secret by its name, as in a query, a DSN or a JDBC URL.
	assignment = pattern.New(`(?i)(^|[?&;,\s{"'(])["']?(password|passwd|pwd|passphrase|secret|secret_?key|client_?secret|account_?key|shared_?access_?key|shared_?secret_?key|api_?key|access_?token|auth_?token|x-amz-signature|sig)["']?\s*[=:]\s*["']?[^\s;&"']`)
	// withUser is the authority of a URL from its user on, with or without the
	// scheme before it (RFC 3986 §3.2.1). Passwords are not always encoded.
	withUser = pattern.New(`(?:://[^\s@/?#:]*(:[^\s@]*)?@|^[^\s@/:?#]+(:[^\s@/][^\s@]*)@)`)
	// portAndPath is what stands in place of a password where the @ belongs to
	// the path: https://host:8443/users/@me.
	portAndPath = pattern.New(`^:[0-9]{1,5}[/?#]`)
)

// inPublic reports whether a text that is shown to others carries a secret: a
// URL with a user or password, or a password by its name.
func inPublic(text string) bool {
	if plain, err := url.QueryUnescape(text); err == nil && plain != text && carriesSecret(plain) {
		return true
	}
	return carriesSecret(text)
}

func carriesSecret(text string) bool {
	if assignment.MatchString(text) {
		return true
	}
	found := withUser.FindStringSubmatch(text)
	if found == nil {
		return false
	}
	return !portAndPath.MatchString(found[1]) && !portAndPath.MatchString(found[2]) || strings.Count(text, "@") > 1 && strings.Contains(found[0], "//")
}

//nolint:gosec // a message
const publicSecret = "This field is shown to others, and the value contains a user, a password or a key. Take it out: secrets have fields of their own."
