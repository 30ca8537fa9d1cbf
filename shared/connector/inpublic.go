package connector

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"credence/shared/pattern"
)

var (
	// assignment is a secret by its name, as in a query, a DSN or a JDBC URL.
	assignment = pattern.New(`(?i)(?:^|[^a-z0-9])[a-z0-9_.-]*(?:password|passwd|passphrase|pwd|passwort|kennwort|contrase[nñ]a|mot_?de_?passe|senha|secret|token|(?:api|access|account|private|secret|signing|subscription)[_-]?key|signature|authorization|\bpass|\bsig|[?&]key)["']?\s*=\s*["']?[^\s;&"',)]`)
	// quoted is the same in JSON or YAML. Without quotes only a password is one:
	// secret:read is a scope.
	quoted = pattern.New(`(?i)(?:["'][a-z0-9_.-]*(?:password|passwd|passphrase|pwd|secret|token|key|signature|authorization)["']\s*:|(?:^|[\s{,;])(?:password|passwd|passphrase|pwd)\s*:|(?:^|[\s{,;])[a-z0-9_.-]*(?:secret|token|key|authorization):\s)\s*["']?[^\s"',}]`)
	// told is a password or key as an option of a command, in a header's or an XML
	// element's place, and in an address under a name that is none elsewhere.
	told = pattern.New(`(?i)(?:^|\s)--?(?:password|passwd|pwd|token|secret|api-?key)[\s=]+[^\s-]|(?:^|\s)pass(?:word)?:\S|\b(?:password|passwd|pwd)(?:\t|["']\s*:)\s*\S|<(?:password|passwd|pwd|secret|token|api_?key)>[^<]|[?&;#](?:jwt|hmac|j?session_?id|credentials?)=[^\s&;]{6,}|[?&;#](?:code|auth|sid)=[^\s&;]{16,}`)
	// withUser is the authority of a URL from its user on, with or without the
	// scheme before it (RFC 3986 §3.2.1). Passwords are not always encoded.
	withUser = pattern.New(`(?:(?:^|:)//[^\s@/?#:]*(:[^\s@]*)?@|^[^\s@/:?#]+(:[^\s@/][^\s@]*)@)`)
	// portAndPath is what stands in place of a password where the @ belongs to
	// the path: https://host:8443/users/@me.
	portAndPath = pattern.New(`^:[0-9]{1,5}[/?#]`)
	// shaped are secrets that are known by their form: a private key (RFC 7468),
	// the credentials of a header (RFC 9110 section 11.4), a JSON Web Token (RFC
	// 7519), and keys whose vendors begin them so that they are found:
	// https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
	shaped = pattern.New(`PRIVATE KEY-----|(?i:\b(?:bearer|basic)\s+[a-z0-9+/._~-]{8,}=*$)|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|xapp-|[sr]k_(?:live|test)_|SG\.|AIza|ya29\.|npm_|pypi-|dop_v1_|hf_|sk-|shp(?:at|ss|ca)_|xkeysib-|whsec_|glsa_|sq0(?:atp|csp)-|gsk_|lin_api_|pat-[a-z]{2}\d-|dckr_pat_|figd_|ATATT3|AGE-SECRET-KEY-1)[\w-]{16,}|\bdapi[0-9a-f]{32}\b|\b(?:AKIA|ASIA)[A-Z0-9]{16}[:/,; ][A-Za-z0-9/+]{40}\b|PuTTY-User-Key-File`)
	// slashed is user/password@host, as Oracle's clients have it.
	slashed = pattern.New(`^(?:jdbc:oracle:[a-z]+:)?[^\s@/:?#]+/[^\s@/]{4,}@(?:(?://)?[A-Za-z0-9.-]+(?::\d+)?(?:[:/][\w.-]+)?)$`)
	// pair is user:password, as Basic encodes it (RFC 7617).
	pair = pattern.New(`^[!-9;-~]{1,128}:[!-~]{4,}$`)
	// amazon is the form of a secret access key of AWS.
	amazon = pattern.New(`^[A-Za-z0-9/+]{40}$`)
)

// InPublic reports whether a text that is shown to others carries a secret: a
// URL with a user or password, a secret by its name, or one by its form; also
// where the text is encoded for a URL, or in base64.
func InPublic(text string) bool {
	text = strings.Map(visible, norm.NFKC.String(text))
	if carriesSecret(text) {
		return true
	}
	if plain, err := url.QueryUnescape(text); err == nil && plain != text && InPublic(plain) {
		return true
	}
	plain, err := decodeBase64(strings.NewReplacer("-", "+", "_", "/").Replace(text))
	return err == nil && len(plain) >= 8 && utf8.Valid(plain) && (carriesSecret(string(plain)) || pair.MatchString(string(plain)))
}

// visible drops the characters that are not seen, such as a zero width space.
func visible(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}

// signsIn reports whether a text has the form user/password@host. A path to files
// may have it too.
func signsIn(text string) bool { return slashed.MatchString(text) }

func carriesSecret(text string) bool {
	if assignment.MatchString(text) || quoted.MatchString(text) || told.MatchString(text) || shaped.MatchString(text) {
		return true
	}
	found := withUser.FindStringSubmatch(text)
	if found == nil {
		return false
	}
	return !portAndPath.MatchString(found[1]) && !portAndPath.MatchString(found[2]) || strings.Count(text, "@") > 1 && strings.Contains(found[0], "//")
}

// isAmazons reports whether a text is a secret access key of AWS by its form: 40
// characters, with digits and letters of both cases as random ones have them. Ids
// of clients can have that form too.
func isAmazons(text string) bool {
	return amazon.MatchString(text) && strings.ContainsFunc(text, unicode.IsDigit) && strings.ContainsFunc(text, unicode.IsUpper) && strings.ContainsFunc(text, unicode.IsLower)
}

//nolint:gosec // a message
const publicSecret = "This field is shown to others, and the value contains a user, a password or a key. Take it out: secrets have fields of their own."
