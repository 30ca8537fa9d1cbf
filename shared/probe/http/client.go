package httpprobe

import (
	"context"
	"io"
	"net/http"
	"strings"

	"credence/shared/probe"
	"credence/shared/probe/roundtrip"
)

// client makes the requests of one attempt.
type client struct {
	attempt    *probe.Attempt
	unverified bool // any certificate will do, as the credential asks
}

// answer is what is kept of a response: its text only until it is classified.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes one request. The body of the answer is read only where wantBody
// says so. The field is the setting that the address came from. The error is a
// Finding.
func (c *client) send(ctx context.Context, r *http.Request, field probe.Field, wantBody bool) (answer, error) {
	via := roundtrip.New(c.attempt, field)
	if c.unverified {
		via.Unverified(fieldIgnoreCert)
	}
	do := via.Look
	if wantBody {
		do = via.Do
	}
	response, err := do(r.WithContext(ctx))
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, body}, err
}

// wantsNoBasic reports whether a 401 asks for a password in other ways than
// Basic alone (RFC 9110 §11.6.1).
func (a answer) wantsNoBasic() bool {
	other := false
	for _, challenge := range a.header.Values("Www-Authenticate") {
		scheme, _, _ := strings.Cut(strings.ToLower(challenge), " ")
		switch {
		case strings.Contains(strings.ToLower(challenge), "basic"):
			return false
		case scheme == "digest", scheme == "ntlm", scheme == "negotiate":
			other = true
		}
	}
	return other
}

// tooOften reports whether an answer asks to come back later. Some systems
// refuse who asks too often with 403, and tell by a header that it is not for
// the secret.
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#rate-limit-errors
func (a answer) tooOften() bool {
	return a.status == http.StatusTooManyRequests ||
		a.status == http.StatusForbidden && (a.header.Get("Retry-After") != "" || a.header.Get("X-Ratelimit-Remaining") == "0")
}
