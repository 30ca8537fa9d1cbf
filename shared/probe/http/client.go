package httpprobe

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/roundtrip"
)

// client makes the requests of one attempt.
type client struct {
	attempt    *probe.Attempt
	unverified bool        // accept any certificate of the server, as the credential asks
	certField  probe.Field // the setting that holds, or would hold, the client certificate
}

// answer is what is kept of a response: its text only until it is classified.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	whole     bool // the body is complete
	wantsCert bool // the TLS handshake requested a client certificate that there was none for
}

// bodyTime is how long the body of an answer is waited for, once its status is
// there: a part of the time that is left, so that a counter-example fits too.
func bodyTime(ctx context.Context) time.Duration {
	const most = 1200 * time.Millisecond
	if deadline, ok := ctx.Deadline(); ok {
		return min(most, time.Until(deadline)/5)
	}
	return most
}

// send makes the request of a plan. With glance the body may be cut off, since
// the status may tell enough. The error is a Finding.
func (c *client) send(ctx context.Context, p plan, glance bool) (answer, error) {
	r, err := p.request()
	if err != nil {
		return answer{}, err
	}
	via := roundtrip.New(c.attempt, p.urlField)
	if c.unverified {
		via.Unverified(fieldIgnoreCert)
	}
	via.Present(p.certificate, c.certField)
	r = r.WithContext(ctx)
	var response *http.Response
	more := false
	if glance {
		response, more, err = via.Glance(r, roundtrip.MaxBody, bodyTime(ctx))
	} else {
		response, err = via.Do(r)
	}
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	body, whole := unpacked(body, response.Header.Get("Content-Encoding"))
	return answer{response.StatusCode, response.Header, body, whole && !more, c.attempt.CertificateRequested()}, nil
}

// unpacked decodes gzip, which some servers send though it was not requested.
// It returns at most roundtrip.MaxBody bytes, and whether these are all.
func unpacked(body []byte, encoding string) ([]byte, bool) {
	if !strings.EqualFold(strings.TrimSpace(encoding), "gzip") {
		return body, true
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	plain, err := io.ReadAll(io.LimitReader(z, roundtrip.MaxBody+1))
	if len(plain) > roundtrip.MaxBody {
		return plain[:roundtrip.MaxBody], false
	}
	return plain, err == nil
}
