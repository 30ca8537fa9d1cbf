package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/fault"
)

// Sentences that must not differ with the reason: what is not there, is
// another organisation's or is hidden from the caller reads the same, and so
// does every token that signs nobody in.
const (
	notFound        = "There is nothing with this id that you may see. Check the id, and that your key belongs to the right organisation."
	unauthenticated = "The service key or token is not accepted: it is missing, wrong, expired or paused. Get a token with POST /token and send it as Authorization: Bearer."
	routeNotFound   = "There is no such route. Check the path: GET /openapi.json lists every route, and none ends with a slash."
	tooLarge        = "The body is longer than 256 KB. Send less at once."
	headersTooLong  = "The address and the headers of the request are longer than 32 KB together. Send shorter or fewer ones."
	internal        = "Something went wrong on our side. Try again; if it stays, report the request_id."
)

var fixed = map[fault.Code]string{
	fault.CodeNotFound:        notFound,
	fault.CodeUnauthenticated: unauthenticated,
	fault.CodeRouteNotFound:   routeNotFound,
	fault.CodeInternal:        internal,
}

// retryAfter is what a caller is told where the error does not say.
const retryAfter = 2 * time.Second

// wireError is the body of every error.
type wireError struct {
	Message      string       `json:"message"`
	Error        string       `json:"error"`
	Code         fault.Code   `json:"error_code"`
	Details      []wireDetail `json:"details"`
	ResourceType *string      `json:"resource_type"`
	ResourceID   *int64       `json:"resource_id"`
	RequestID    string       `json:"request_id"`
	DataSources  []int64      `json:"data_sources,omitzero"`
	DataSinks    []int64      `json:"data_sinks,omitzero"`
}

type wireDetail struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// lastResort is sent if even an error cannot be encoded.
const lastResort = `{"message":"Something went wrong on our side.","error":"Internal Server Error","error_code":"internal",` +
	`"details":[],"resource_type":null,"resource_id":null,"request_id":""}`

// Classify returns the fault that an error shows to the caller: the first in its
// chain. Any other error is internal, but for the end of the request's time.
func Classify(err error) *fault.Error {
	var e *fault.Error
	switch {
	case errors.As(err, &e):
		if _, known := fault.Codes[e.Code]; known {
			return e
		}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.New(fault.CodeStoreUnavailable, "The request took too long on our side and was given up. Try again shortly.").After(retryAfter)
	}
	return fault.New(fault.CodeInternal, internal)
}

// render turns an error into an answer. It returns the fault shown, for the log.
func render(err error, ex *exchange) (Answer, []byte, *fault.Error) {
	e := Classify(err)
	status := fault.Codes[e.Code]
	w := wireError{
		Message: e.Message, Error: http.StatusText(status), Code: e.Code, RequestID: ex.id,
		Details: make([]wireDetail, 0, len(e.Details)),
	}
	if text, ok := fixed[e.Code]; ok {
		w.Message = text
	}
	for _, d := range e.Details {
		w.Details = append(w.Details, wireDetail(d))
	}
	kind, id := e.ResourceType, e.ResourceID
	if kind == "" && ex.route != nil {
		kind, id = ex.route.Resource, pathID(ex.http, "id")
	}
	if kind != "" {
		w.ResourceType = &kind
	}
	if id != 0 {
		w.ResourceID = &id
	}
	if e.Code == fault.CodeInUse {
		w.DataSources, w.DataSinks = []int64{}, []int64{}
		if e.References != nil {
			w.DataSources = append(w.DataSources, e.References.DataSources...)
			w.DataSinks = append(w.DataSinks, e.References.DataSinks...)
		}
	}
	body, encodeErr := json.Marshal(w)
	if encodeErr != nil {
		status, body = http.StatusInternalServerError, []byte(lastResort)
	}
	return Answer{Status: status, Header: errorHeader(e, status)}, body, e
}

func errorHeader(e *fault.Error, status int) http.Header {
	h := http.Header{}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer") // RFC 9110, section 15.5.2
	}
	if status == http.StatusUnsupportedMediaType {
		h.Set("Accept-Encoding", "identity") // RFC 9110, section 15.5.16
	}
	return h
}
