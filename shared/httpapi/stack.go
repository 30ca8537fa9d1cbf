package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// SignIn tells who a request comes from.
type SignIn interface {
	// Authenticate reads who the bearer token belongs to and, in the same
	// round trip, the items that reads names. It answers one Item for each of
	// those keys. A token that does not sign anybody in, whatever the reason,
	// is one fault: CodeUnauthenticated.
	Authenticate(ctx context.Context, bearer string, origin identity.Origin,
		reads func(org int64) []store.Key) (identity.Caller, []store.Item, error)
}

// Denials keeps the audit of refusals. An error of it is what the caller gets:
// nothing is refused unrecorded, and nothing was done.
type Denials interface {
	Denied(ctx context.Context, caller identity.Caller, r access.Refusal) error
}

// Config is what Stack needs. All of it is required but Clock.
type Config struct {
	SignIn  SignIn
	Denials Denials
	Logger  *slog.Logger
	Clock   func() time.Time // nil = time.Now
}

// MaxBodyBytes is the longest body that is read; more is 413.
const MaxBodyBytes = 256 << 10

const defaultWithin = 6 * time.Second

type stack struct {
	Config
	routes router
}

// Stack is the only maker of an http.Handler. For every request, in this order:
// an id, recovery from panics, the route, the body's limit, sign-in (but for
// public routes), the scope of the caller's key, the endpoint, the encoding of
// its answer or error, the security headers, one line in the log.
//
// It returns an error, naming every fault at once, for a config with a part
// missing and for routes that conflict or say nothing about who may call them.
func Stack(cfg Config, routes ...[]Route) (http.Handler, error) {
	var faults []error
	if cfg.SignIn == nil || cfg.Denials == nil || cfg.Logger == nil {
		faults = append(faults, errors.New("building the stack: sign-in, denials and logger are required"))
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	var all []Route
	for _, family := range routes {
		all = append(all, family...)
	}
	rt, err := newRouter(all)
	if err != nil {
		faults = append(faults, err)
	}
	if len(all) == 0 {
		faults = append(faults, errors.New("building the stack: no routes"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &stack{cfg, rt}, nil
}

// exchange is what is known of one request while it is served.
type exchange struct {
	started time.Time
	id      string
	http    *http.Request
	route   *Route // nil until one matched
	caller  identity.Caller
	sizeIn  int
}

func (s *stack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ex := &exchange{started: s.Clock(), id: requestID(r.Context()), http: r}
	answer, body, err := s.run(ex)
	var e *fault.Error
	if err != nil {
		answer, body, e = render(err, ex)
	}
	h := w.Header()
	maps.Copy(h, answer.Header)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", ex.id)
	if asset, ok := answer.Body.(Asset); ok {
		asset.describe(h)
	}
	if answer.Status == http.StatusNotModified {
		body = nil
	} else {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(answer.Status)
	// What fails here is the connection; there is nobody left to tell.
	_, _ = w.Write(body)
	s.log(ex, answer.Status, len(body), e, err)
}

// run does all that may fail or panic, up to the encoded body: so far nothing
// is sent, and whatever happens can still become an error body.
func (s *stack) run(ex *exchange) (answer Answer, body []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			answer, body, err = Answer{}, nil, &panicError{kind: fmt.Sprintf("%T", v), at: callers()}
		}
	}()
	route, ok := s.routes.match(ex.http)
	if !ok {
		return Answer{}, nil, fault.New(fault.CodeRouteNotFound, routeNotFound)
	}
	ex.route = route
	if err := CheckRouteKey(ex.http.Context(), route.Pattern); err != nil {
		return Answer{}, nil, err
	}
	within := route.Within
	if within == 0 {
		within = defaultWithin
	}
	ctx, cancel := context.WithTimeout(ex.http.Context(), within)
	defer cancel()

	req := &Request{HTTP: ex.http, Origin: origin(ex.http, ex.id)}
	if req.body, err = readBody(ex.http); err != nil {
		return Answer{}, nil, err
	}
	ex.sizeIn = len(req.body)
	if !route.Public {
		if err := s.admit(ctx, ex, req); err != nil {
			return Answer{}, nil, err
		}
	}
	answer, err = route.Handle(ctx, req)
	if err != nil {
		return Answer{}, nil, err
	}
	if _, ok := answer.Body.(Asset); ok && !route.Public {
		return Answer{}, nil, errors.New("answering an asset on a route that is not public")
	}
	body, err = encode(answer)
	if answer.Status == 0 {
		answer.Status = http.StatusOK
	}
	return answer, body, err
}

// admit authenticates the caller and checks the scopes of the key.
func (s *stack) admit(ctx context.Context, ex *exchange, req *Request) error {
	bearer, ok := Credentials(req.HTTP.Header, "Bearer")
	if !ok {
		return fault.New(fault.CodeUnauthenticated, unauthenticated)
	}
	reads := func(org int64) []store.Key {
		if ex.route.Reads == nil {
			return nil
		}
		return ex.route.Reads(org, req.HTTP)
	}
	caller, items, err := s.SignIn.Authenticate(ctx, bearer, req.Origin, reads)
	if err != nil {
		return err
	}
	ex.caller, req.Caller, req.Items = caller, caller, items
	missing := ex.route.Needs.Missing(caller.Scopes)
	if len(missing) == 0 {
		return nil
	}
	refusal := access.Refusal{
		Route: ex.route.Pattern, Missing: missing,
		Resource: ex.route.Resource, ResourceID: PathID(req.HTTP, "id"),
	}
	if err := s.Denials.Denied(ctx, caller, refusal); err != nil {
		return err
	}
	return lacking(missing)
}

// lacking returns the error that names every missing scope.
func lacking(missing []access.Scope) error {
	names := make([]string, len(missing))
	for i, scope := range missing {
		names[i] = strconv.Quote(string(scope))
	}
	message := fmt.Sprintf("The service key does not hold the scope %s, which this route requires. Use a key that holds it.", names[0])
	if len(names) > 1 {
		message = fmt.Sprintf("The service key does not hold the scopes %s, which this route requires. Use a key that holds them.",
			strings.Join(names[:len(names)-1], ", ")+" and "+names[len(names)-1])
	}
	return fault.New(fault.CodeScopeMissing, message)
}

// Credentials takes what follows the scheme in the one Authorization header
// (RFC 9110, section 11.6.2; schemes are told apart without regard to case).
// It reports false for another scheme, no header, or more than one.
func Credentials(h http.Header, scheme string) (string, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	name, rest, found := strings.Cut(values[0], " ")
	rest = strings.Trim(rest, " ")
	return rest, found && strings.EqualFold(name, scheme) && rest != "" && !strings.ContainsAny(rest, " \t")
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	if r.ContentLength > MaxBodyBytes {
		return nil, fault.New(fault.CodeTooLarge, tooLarge)
	}
	// One byte more tells a body at the limit from one beyond it.
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBodyBytes+1))
	if err != nil {
		return nil, fault.New(fault.CodeMalformedJSON, "The body did not arrive whole. Send the request again.").Because(err)
	}
	if len(body) > MaxBodyBytes {
		return nil, fault.New(fault.CodeTooLarge, tooLarge)
	}
	return body, nil
}

// maxListBytes keeps a list below what a gateway lets through.
const maxListBytes = 4_500_000

func encode(a Answer) ([]byte, error) {
	switch b := a.Body.(type) {
	case nil:
		a.Body = struct{}{}
	case Asset:
		return b.Content, nil
	}
	body, err := json.Marshal(a.Body, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	if a.list && len(body) > maxListBytes {
		return nil, fault.New(fault.CodePageRequired,
			"The list is too long for one answer. Ask for pages with page and per_page, or for fewer items a page.")
	}
	return body, nil
}

// panicError is a panic that was recovered from. It keeps the type of the value
// and where it came from; the value itself may hold a secret and is dropped.
type panicError struct {
	kind string
	at   []string
}

func (e *panicError) Error() string { return "recovering from a panic of type " + e.kind }

// callers names the functions that led to the panic, without their arguments.
func callers() []string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var out []string
	for {
		f, more := frames.Next()
		out = append(out, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return out
		}
	}
}
