package connector

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"

	"credence/shared/fault"
	"credence/shared/pattern"
)

// The checks are what a Field's Check may be. They hold what is stored to a
// form; where a destination may lead is decided when it is dialled, by what its
// name resolves to then.

// projectForm takes ids of Google Cloud projects, old ones of a domain
// ("example.com:name") and project numbers.
var projectForm = pattern.New(`^[A-Za-z0-9][A-Za-z0-9.:-]{0,127}$`)

// Form makes a check of a regular expression. message says what to send.
func Form(form *pattern.Pattern, message string) func(string) (code, message string) {
	return func(text string) (string, string) {
		if form.MatchString(text) {
			return "", ""
		}
		return fault.DetailMalformed, message
	}
}

// CheckHost takes one host name, in any script, or one address (IPv6 without
// brackets and zone).
func CheckHost(text string) (code, message string) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return "", ""
	}
	if strings.HasPrefix(text, "[") {
		return fault.DetailMalformed, "Send an IPv6 address without the brackets around it, and a port in its own field."
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || strings.ContainsFunc(label, notInLabel) {
			return fault.DetailMalformed, "Send one host name or address, without scheme, user, port, path or spaces."
		}
	}
	return "", ""
}

// notInLabel allows the underscore, which names in private networks hold.
func notInLabel(r rune) bool {
	return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}

// CheckURL takes a whole http or https URL that holds no user and no fragment.
func CheckURL(text string) (code, message string) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "",
		strings.ContainsFunc(text, unicode.IsSpace), strings.Contains(text, `\`):
		return fault.DetailMalformed, "Send a whole URL, such as https://api.example.com/v1."
	case u.User != nil, strings.Contains(text, "#"):
		return fault.DetailMalformed, "Leave user, password and fragment out of the URL; secrets have fields of their own."
	}
	return "", ""
}

// WithoutQuery is a Field's Shown: a URL up to its query, which may hold a key.
// Of a credential without a secret (the method NONE) the path may be the
// secret, as that of a webhook is: there only the Origin is shown.
func WithoutQuery(method, text string) string {
	if method == "NONE" {
		return Origin(method, text)
	}
	address, _, _ := strings.Cut(text, "?")
	return address
}

// Origin is a Field's Shown: scheme, host and port of a URL (RFC 6454, section 4),
// for addresses that secrets are traded at, whose path may hold one.
func Origin(_, text string) string {
	address, _, _ := strings.Cut(text, "?")
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// CheckPointer accepts a JSON Pointer (RFC 6901).
func CheckPointer(text string) (code, message string) {
	if text[0] != '/' || strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(text), "~") {
		return fault.DetailMalformed, "Send a JSON Pointer (RFC 6901), such as /data/ok."
	}
	return "", ""
}

// CheckHeaderName takes a field name of HTTP (RFC 9110, section 5.1).
func CheckHeaderName(name string) (code, message string) {
	const marks = "!#$%&'*+-.^_`|~"
	if strings.ContainsFunc(name, func(r rune) bool {
		return r >= 0x80 || !strings.ContainsRune(marks, r) &&
			(r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return fault.DetailMalformed, "A header's name holds letters, digits and hyphens."
	}
	return "", ""
}

// maxCertificates is how many certificates a credential may bring: public
// bundles have 100 to 150.
const maxCertificates = 256

// CheckCertificates takes certificates in PEM (RFC 7468) and nothing behind
// them.
func CheckCertificates(text string) (code, message string) {
	const say = "Send 1 to 256 certificates in PEM, and nothing else."
	rest := []byte(text)
	for n := 0; ; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if n == 0 || strings.TrimSpace(string(rest)) != "" {
				return fault.DetailMalformed, say
			}
			return "", ""
		}
		if n == maxCertificates || block.Type != "CERTIFICATE" {
			return fault.DetailMalformed, say
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fault.DetailMalformed, say
		}
	}
}

// CheckServiceAccount takes the JSON of a service account's key and no other
// kind of Google credentials: external_account and impersonated ones name files,
// programs and addresses that whoever uses them would read, run or call, and an
// authorized_user is a person's.
func CheckServiceAccount(text string) (code, message string) {
	var key struct {
		Type       string `json:"type"`
		Email      string `json:"client_email"`
		PrivateKey string `json:"private_key"`
	}
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		return fault.DetailMalformed, "Send the JSON of a service account's key file."
	}
	switch {
	case key.Type != "service_account":
		return fault.DetailForbidden, "Only a service account's key is taken: its type must be service_account."
	case key.Email == "" || key.PrivateKey == "":
		return fault.DetailMalformed, "The service account's JSON must hold client_email and private_key."
	case masked.MatchString(key.PrivateKey):
		return fault.DetailPlaceholder, sentMask
	case brokenPEM(key.PrivateKey):
		return fault.DetailMalformed, "In private_key: " + lowerFirst(lostBreaks)
	}
	return "", ""
}
