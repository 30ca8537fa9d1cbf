package httpprobe

import (
	"strings"

	"credence/shared/probe"
)

// hinted adds a hint to the rejection of a secret, if one of the secrets that
// were sent shows a suspicious character. The value itself is never repeated.
func (p plan) hinted(f probe.Finding, settings reader) probe.Finding {
	for _, s := range p.places {
		if s.aside {
			continue
		}
		stored, sent := settings.Secret(string(s.field)).ExposeText(), s.value.ExposeText()
		if hinted, ok := f.Pasted(stored, sent); ok {
			return hinted
		}
		if strings.EqualFold(s.header, "Authorization") && !strings.Contains(strings.TrimSpace(sent), " ") {
			return f.Hint("The value is sent in the header Authorization without a scheme. Most systems require one before the key, such as Bearer followed by a space.")
		}
	}
	return f
}
