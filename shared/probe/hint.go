package probe

import (
	"strings"
	"unicode"
)

// hint is a character, or a mistake in pasting, that a rejected secret is checked
// for.
type hint struct {
	found func(text string) bool
	text  sentence
}

func contains(characters string) func(string) bool {
	return func(text string) bool { return strings.ContainsAny(text, characters) }
}

// hints are in the order of how surely they are a mistake.
var hints = []hint{
	{contains("\u200b\u200c\u200d\u2060\ufeff\u00ad"), "The value contains an invisible character (such as U+200B, a zero width space, or U+FEFF, a byte order mark). Type it, or paste it through a plain text editor."},
	{contains("\u00a0\u2007\u202f"), "The value contains a no-break space (U+00A0). Take it out."},
	{contains("\u2018\u2019\u201c\u201d\u00ab\u00bb"), "The value contains a typographic quotation mark, which a word processor may have put in. Take it out, or enter the plain one."},
	{contains("\u2010\u2011\u2012\u2013\u2014\u2212"), "The value contains a typographic dash, which a word processor may have put in. Enter a plain hyphen."},
	{quoted, "The value begins or ends with a quotation mark. Enter it without quotation marks, unless they belong to it."},
	{func(text string) bool { return strings.TrimSpace(text) != text }, "The value begins or ends with white space. Enter it without."},
	{contains("\r\n\t"), "The value contains a line break or a tab. Enter it on one line."},
	{doubled, "The value begins with the word Bearer, which is sent before it already. Enter the token alone."},
	{placeholder, "The value looks like a placeholder from documentation. Enter the secret itself."},
	{func(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }, "The value contains a control character. Enter it without."},
}

func quoted(text string) bool {
	text = strings.TrimSpace(text)
	_, bare, _ := strings.Cut(text, " ") // behind a scheme
	for _, t := range []string{text, bare} {
		if t != "" && (strings.ContainsAny(t[:1], "\"'`") || strings.ContainsAny(t[len(t)-1:], "\"'`")) {
			return true
		}
	}
	return false
}

// doubled recognises a scheme that is sent twice.
func doubled(text string) bool {
	first, rest, _ := strings.Cut(text, " ")
	second, _, again := strings.Cut(strings.TrimSpace(rest), " ")
	return again && strings.EqualFold(first, second) && strings.EqualFold(first, "Bearer")
}

func placeholder(text string) bool {
	lower := strings.ToLower(text)
	for _, mark := range []string{"your_", "your-", "<your", "changeme", "{{", "${", "xxxxxx"} {
		if strings.Contains(lower, mark) {
			return true
		}
	}
	return strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">")
}

// Pasted appends a hint to the finding for a rejected secret, if one of the texts
// that the secret was entered and sent as shows a suspicious character or another
// mistake in pasting. The texts themselves are never repeated. It reports whether
// there was one.
func (f Finding) Pasted(texts ...string) (Finding, bool) {
	for _, h := range hints {
		for _, text := range texts {
			if h.found(text) {
				return f.Hint(h.text), true
			}
		}
	}
	return f, false
}
