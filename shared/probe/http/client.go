package httpprobe

import (
	"context"
	"io"
	"net/http"

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
