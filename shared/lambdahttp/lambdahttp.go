// Package lambdahttp lets an http.Handler answer the events of an API Gateway
// HTTP API (payload format 2.0). The conversion is that of
// awslabs/aws-lambda-go-api-proxy; this package guards the event before it and
// the answer after it, so that a handler sees and says the same as behind
// net/http. What cannot agree is what the gateway does not deliver: the client's
// port, the line breaks between equal headers, and interim (1xx) answers.
package lambdahttp

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
	"credence/shared/httpapi"
)

// maxAnswer is how many bytes an encoded answer may have. Lambda refuses a
// response payload above 6 MB (6,291,556 bytes) and the caller would then see
// the gateway's error instead of one of ours.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const maxAnswer = 6 << 20

// margin is how long before Lambda's own deadline a handler must give up, so
// that its answer still leaves: at the deadline the process is killed.
const margin = 500 * time.Millisecond

// Options say how requests are served.
type Options struct {
	// Budget bounds the context of one request. 0 leaves only Lambda's
	// deadline less half a second, which bounds it in any case.
	Budget time.Duration
	// Logger hears of panics and of events that are none. Required.
	Logger *slog.Logger
}

// Start serves h to Lambda and returns only by ending the process, as
// lambda.Start does. h is called for one request at a time.
func Start(h http.Handler, o Options) { lambda.Start(Handler(h, o)) }

// Handler is what Start runs: it takes one event as JSON and gives the answer
// as JSON. Its error is always nil and it never panics: whatever goes wrong is
// an answer with the service's error body, because the runtime would write an
// error's text, or a panic's value, to the log and to X-Ray.
//
// The context of the request carries the event's route key and request id
// (httpapi.CheckRouteKey, httpapi.RequestID). It may be called concurrently.
func Handler(h http.Handler, o Options) lambda.Handler {
	return &function{handler: h, budget: o.Budget, log: o.Logger}
}

type function struct {
	handler http.Handler
	budget  time.Duration
	log     *slog.Logger
}

// Invoke implements lambda.Handler.
func (f *function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var event events.APIGatewayV2HTTPRequest
	// Lenient where the gateway's own JSON might be odd: what the client sent
	// lies inside strings, and the body in them is parsed strictly elsewhere.
	lenient := json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err := json.Unmarshal(payload, &event, lenient); err != nil || event.Version != "2.0" {
		f.log.ErrorContext(ctx, "the event is not one of an HTTP API, payload format 2.0", "bytes", len(payload))
		return encodeRefusal("", fault.New(fault.CodeInvalidRequest, "The event is not one of an HTTP API with payload format 2.0.")), nil
	}
	id := event.RequestContext.RequestID
	out, err := json.Marshal(f.answer(ctx, event), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		f.log.ErrorContext(ctx, "encoding the answer", "request_id", id, "error_type", typeOf(err))
		return encodeRefusal(id, internal()), nil
	}
	if len(out) > maxAnswer {
		f.log.ErrorContext(ctx, "the answer is larger than Lambda sends", "request_id", id, "bytes", len(out))
		return encodeRefusal(id, fault.New(fault.CodeInternal, "The answer is larger than can be sent; ask for less at a time.")), nil
	}
	return out, nil
}

// answer runs one event through the handler. A panic anywhere below ends here.
func (f *function) answer(ctx context.Context, event events.APIGatewayV2HTTPRequest) (resp events.APIGatewayV2HTTPResponse) {
	id := event.RequestContext.RequestID
	defer func() {
		if v := recover(); v != nil {
			f.log.ErrorContext(ctx, "a handler panicked", "request_id", id, "panic_type", typeOf(v), "stack", stack())
			resp = refusal(id, internal())
		}
	}()
	call, err := parse(event)
	if err != nil {
		return refusal(id, err)
	}
	ctx, cancel := f.bound(ctx)
	defer cancel()
	ctx = httpapi.WithRouteKey(ctx, event.RouteKey)
	ctx = httpapi.WithRequestID(ctx, id)

	rec := newRecorder(call.method)
	adapter := httpadapter.NewV2(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.handler.ServeHTTP(rec, call.complete(r))
		rec.copyTo(w)
	}))
	resp, perr := adapter.ProxyWithContext(ctx, call.event())
	if perr != nil {
		f.log.ErrorContext(ctx, "the adapter refused an event that was guarded", "request_id", id, "error_type", typeOf(perr))
		return refusal(id, internal())
	}
	if !rec.typed {
		// The adapter names a type wherever none is set; net/http does not
		// where the body is encoded or the handler wanted none.
		delete(resp.Headers, "Content-Type")
	}
	return resp
}

// bound gives the request its deadline: the earlier of the budget and Lambda's
// own less the margin.
func (f *function) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if limited {
		end = end.Add(-margin)
	}
	if f.budget > 0 {
		if b := time.Now().Add(f.budget); !limited || b.Before(end) {
			end, limited = b, true
		}
	}
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end)
}
