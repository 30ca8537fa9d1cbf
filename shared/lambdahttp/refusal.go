package lambdahttp

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
)

// refusalBody is the service's error body, for what never reaches a handler.
type refusalBody struct {
	Message      string           `json:"message"`
	Error        string           `json:"error"`
	Code         fault.Code       `json:"error_code"`
	Details      []jsontext.Value `json:"details"`
	ResourceType *string          `json:"resource_type"`
	ResourceID   *int64           `json:"resource_id"`
	RequestID    string           `json:"request_id"`
}

// internal is the fault that says nothing.
func internal() *fault.Error {
	return fault.New(fault.CodeInternal, "Something went wrong on our side. Try again; if it stays, report the request_id.")
}

// refusal is the answer that stands in for a handler's.
func refusal(requestID string, f *fault.Error) events.APIGatewayV2HTTPResponse {
	status := fault.Codes[f.Code]
	body, err := json.Marshal(refusalBody{
		Message:   f.Message,
		Error:     http.StatusText(status),
		Code:      f.Code,
		RequestID: requestID,
	}, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		body = []byte(`{"error_code":"internal"}`)
	}
	return events.APIGatewayV2HTTPResponse{
		StatusCode: status,
		Headers: map[string]string{
			"Content-Type":           "application/json",
			"Cache-Control":          "no-store",
			"X-Content-Type-Options": "nosniff",
			"X-Request-Id":           requestID,
		},
		Body: string(body),
	}
}

func encodeRefusal(requestID string, f *fault.Error) []byte {
	out, err := json.Marshal(refusal(requestID, f), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return []byte(`{"statusCode":500}`)
	}
	return out
}

// typeOf names the type of an error or a panic's value, never the value.
func typeOf(v any) string { return fmt.Sprintf("%T", v) }

// stack names the functions that led here. debug.Stack would print the words of
// their arguments too.
func stack() []string {
	pcs := make([]uintptr, 48)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var out []string
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") {
			out = append(out, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		}
		if !more {
			return out
		}
	}
}
