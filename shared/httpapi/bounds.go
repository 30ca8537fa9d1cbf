package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"credence/shared/fault"
	"credence/shared/limit"
)

// The bounds of one process. What a bound protects is memory, so that a few
// callers cannot end the process for all; docs/limits.md explains each.
const (
	// Requests of authenticated callers so many run at once. A server accepts more
	// connections than that, so that it can answer those beyond.
	requestsTotal = 768
	requestsOfOrg = 256

	// MaxBodyBytes is the longest body that is read; more is 413.
	MaxBodyBytes = 256 << 10
	// bodyTime is how long a body may take to arrive: 50 KB/s at the longest.
	bodyTime = 5 * time.Second
	// A body is counted until its request ends, for its parsed form is larger
	// than its bytes; a short one as leastBody, which bounds their number.
	leastBody   = 32 << 10
	bodiesTotal = 32 << 20
	bodiesOfOrg = 8 << 20

	// MaxLists of the routes that are Heavy run at once; the others wait. One costs a
	// core for as long as it runs, so an organisation has one.
	MaxLists   = 4
	heavyOfOrg = 1
	heavyWait  = 2 * time.Second

	// A long answer is counted until the client has it.
	longAnswer   = 64 << 10
	answersTotal = 64 << 20
	answersOfOrg = 16 << 20

	// A body that was not needed is read on, to keep the connection in use, if it
	// is short and arrives at once.
	maxDiscard  = 16 << 10
	discardTime = time.Second
)

// bounds are the slots of one Stack. Each has one level of holders:
// organisations.
type bounds struct{ requests, bodies, heavy, answers *limit.Slots }

func newBounds() bounds {
	return bounds{
		requests: limit.NewSlots(requestsTotal, requestsOfOrg),
		bodies:   limit.NewSlots(bodiesTotal, bodiesOfOrg),
		heavy:    limit.NewSlots(MaxLists, heavyOfOrg),
		answers:  limit.NewSlots(answersTotal, answersOfOrg),
	}
}

// take takes n units of slots for the caller's organisation until the request
// ends. The error is CodeTooManyRequests where the organisation has its share,
// else CodeOverloaded.
func (ex *exchange) take(ctx context.Context, slots *limit.Slots, wait time.Duration, n int) error {
	free, err := slots.Take(ctx, wait, int64(n), ex.caller.Org.ID)
	switch {
	case errors.Is(err, limit.ErrShare):
		return fault.New(fault.CodeTooManyRequests,
			"Your organisation has as many requests under way as it may. Wait, then try again.").After(retryAfter).Because(err)
	case err != nil:
		return fault.New(fault.CodeOverloaded,
			"The service has as much work under way as it takes. Nothing was changed; wait, then try again.").After(retryAfter).Because(err)
	}
	ex.held = append(ex.held, free)
	return nil
}

func (ex *exchange) release() {
	for _, free := range ex.held {
		free()
	}
}

// readBody reads the body of an authenticated request, within its length and its
// time.
func (s *stack) readBody(ctx context.Context, ex *exchange) ([]byte, error) {
	r := ex.http
	if !hasBody(r) {
		return nil, nil
	}
	if coded(r.Header) {
		return nil, fault.New(fault.CodeUnsupportedMediaType,
			"The body is compressed. Send it as it is, without the header Content-Encoding.")
	}
	if r.ContentLength > MaxBodyBytes {
		return nil, fault.New(fault.CodeTooLarge, tooLarge)
	}
	expected := int(r.ContentLength)
	if expected < 0 {
		expected = MaxBodyBytes
	}
	if err := ex.take(ctx, s.bounds.bodies, 0, max(expected, leastBody)); err != nil {
		return nil, err
	}
	// Behind a gateway the body is there already, and there is no deadline to set.
	deadline := http.NewResponseController(ex.w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyTime))
	// One byte more tells a body at the limit from one beyond it.
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBodyBytes+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fault.New(fault.CodeBodyTimeout,
			"The body did not arrive whole within five seconds. Send the request again.").Because(err)
	case err != nil:
		return nil, fault.New(fault.CodeMalformedRequest,
			"The body ended early, or its chunks are not well formed. Send the whole body, with its length in Content-Length.").Because(err)
	}
	if len(body) > MaxBodyBytes {
		return nil, fault.New(fault.CodeTooLarge, tooLarge)
	}
	// net/http goes on reading while the request is served, to see the client go.
	_ = deadline.SetReadDeadline(time.Time{})
	ex.read = true
	return body, nil
}

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// coded reports whether the body is in a content coding other than identity
// (RFC 9110, section 8.4).
func coded(h http.Header) bool {
	for _, line := range h.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}

// spare decides what becomes of a body that was not read, before the answer
// leaves: net/http reads up to 256 KB of it for as long as the client pleases.
func (ex *exchange) spare(h http.Header) {
	r := ex.http
	if ex.read || !hasBody(r) {
		return
	}
	if r.ContentLength < 0 || r.ContentLength > maxDiscard {
		h.Set("Connection", "close")
		return
	}
	_ = http.NewResponseController(ex.w).SetReadDeadline(time.Now().Add(discardTime))
}
