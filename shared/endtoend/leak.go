package endtoend

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"
)

// canaries are the secrets that were sent so far, in the forms in which a leak
// would show.
type canaries struct {
	mu    sync.RWMutex
	forms [][]byte
	known map[string]bool
}

func newCanaries() *canaries { return &canaries{known: map[string]bool{}} }

// random is a text that nobody has seen before.
func random() string { return rand.Text() }

// secret makes a secret and watches for it from now on.
func (c *canaries) secret() string {
	s := "Zq" + random()
	c.watch(s)
	return s
}

// watch looks for a secret in all answers from now on. What is shorter than
// eight bytes would be found by chance.
func (c *canaries) watch(secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(secret) < 8 || c.known[secret] {
		return
	}
	c.known[secret] = true
	for _, form := range forms(secret) {
		c.forms = append(c.forms, []byte(form))
	}
}

// in reports whether any of the secrets shows in what was said.
func (c *canaries) in(said []byte) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.ContainsFunc(c.forms, func(form []byte) bool { return bytes.Contains(said, form) })
}

// forms are the ways to write a text down by accident.
func forms(s string) []string {
	reversed := []rune(s)
	slices.Reverse(reversed)
	out := []string{
		s, url.QueryEscape(s), url.PathEscape(s), string(reversed),
		hex.EncodeToString([]byte(s)), string(bytes.ToUpper([]byte(hex.EncodeToString([]byte(s))))),
	}
	if quoted, err := json.Marshal(s); err == nil {
		out = append(out, string(quoted[1:len(quoted)-1]))
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			// Of an encoding that begins shift bytes earlier, the part that
			// depends on s alone.
			whole := enc.EncodeToString(append(make([]byte, shift), s...))
			out = append(out, whole[(shift*8+5)/6:(shift+len(s))*8/6])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
