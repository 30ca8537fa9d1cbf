package httpprobe

import (
	"net/http"
	"slices"
	"strings"
)

// challenge is one way to authenticate that a 401 offers.
type challenge struct {
	scheme string            // in lower case
	params map[string]string // names in lower case
}

// challenges parses WWW-Authenticate (RFC 9110 §11.6.1): several headers, each
// a list of challenges, each with a list of parameters or one token68. What
// does not parse is skipped.
func challenges(h http.Header) []challenge {
	var found []challenge
	for name, values := range h {
		if !strings.EqualFold(name, "WWW-Authenticate") {
			continue
		}
		for _, value := range values {
			for _, item := range splitList(value) {
				found = readItem(found, item)
			}
		}
	}
	return found
}

// readItem reads one element of the list: the start of a challenge, or a
// further parameter of the one before.
func readItem(found []challenge, item string) []challenge {
	word, rest, spaced := strings.Cut(item, " ")
	rest = strings.TrimSpace(rest)
	if name, value, ok := strings.Cut(item, "="); ok && isToken(strings.TrimSpace(name)) && len(found) > 0 {
		found[len(found)-1].params[strings.ToLower(strings.TrimSpace(name))] = unquote(value)
		return found
	}
	if !isToken(word) {
		return found
	}
	c := challenge{strings.ToLower(word), map[string]string{}}
	if name, value, ok := strings.Cut(rest, "="); spaced && ok && isToken(strings.TrimSpace(name)) {
		c.params[strings.ToLower(strings.TrimSpace(name))] = unquote(value)
	}
	return append(found, c)
}

// splitList splits at commas outside quoted strings (RFC 9110 §5.6.1).
func splitList(value string) []string {
	var items []string
	quoted, escaped, from := false, false, 0
	for i, c := range value + "," {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted, i == len(value):
			if item := strings.TrimSpace(value[from:min(i, len(value))]); item != "" {
				items = append(items, item)
			}
			from = i + 1
		}
	}
	return items
}

func unquote(value string) string {
	value = strings.TrimSpace(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = strings.ReplaceAll(value[1:len(value)-1], `\`, "")
	}
	return value
}

func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// offers reports whether a challenge is of one of the schemes.
func offers(found []challenge, schemes ...string) bool {
	return slices.ContainsFunc(found, func(c challenge) bool { return slices.Contains(schemes, c.scheme) })
}

// reason is the error that a challenge names (RFC 6750 §3.1), "" for none.
func reason(found []challenge) string {
	for _, c := range found {
		if code := c.params["error"]; code != "" {
			return strings.ToLower(code)
		}
	}
	return ""
}
