package httpprobe

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
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
	packed    bool // the body is in a coding that is not read
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
	got := answer{status: response.StatusCode, header: response.Header, wantsCert: c.attempt.CertificateRequested()}
	body, got.whole, got.packed = unpacked(body, response.Header.Get("Content-Encoding"))
	got.body, got.whole = roundtrip.UTF8(body), got.whole && !more
	return got, nil
}

// unpacked decodes gzip and deflate, which some servers send though they were not
// requested. It returns at most roundtrip.MaxBody bytes, whether these are all, and
// whether the body is in another coding (RFC 9110 section 8.4.1).
func unpacked(body []byte, coding string) (plain []byte, whole, other bool) {
	var unpack func(io.Reader) (io.ReadCloser, error)
	switch strings.ToLower(strings.TrimSpace(coding)) {
	case "", "identity":
		return body, true, false
	case "gzip", "x-gzip":
		unpack = func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "deflate":
		unpack = zlib.NewReader
		if len(body) > 1 && binary.BigEndian.Uint16(body)%31 != 0 { // RFC 1950 section 2.2: some send it without its header
			unpack = func(r io.Reader) (io.ReadCloser, error) { return flate.NewReader(r), nil }
		}
	default:
		return nil, false, len(body) > 0
	}
	z, err := unpack(bytes.NewReader(body))
	if err != nil {
		return nil, false, len(body) > 0
	}
	plain, err = io.ReadAll(io.LimitReader(z, roundtrip.MaxBody+1))
	if len(plain) > roundtrip.MaxBody {
		return plain[:roundtrip.MaxBody], false, false
	}
	return plain, err == nil, false
}
