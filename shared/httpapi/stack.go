package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/identity"
)

// SignIn tells who a request comes from.
type SignIn interface {
	// Authenticate reads who the bearer token belongs to and, in the same
	// round trip, the load, which may be nil. A token that does not sign anybody
	// in, whatever the reason, is one fault: CodeUnauthenticated.
	Authenticate(ctx context.Context, bearer string, origin identity.Origin, l identity.Load) (identity.Caller, error)
}

// Denials keeps the audit of refusals. An error of it is what the caller gets:
// nothing is refused unrecorded, and nothing was done.
type Denials interface {
	Denied(ctx context.Context, caller identity.Caller, r access.Refusal) error
}

// Config is what Stack needs. SignIn, Denials and Logger are required.
type Config struct {
	SignIn  SignIn
	Denials Denials
	Logger  *slog.Logger
	Clock   func() time.Time // nil = time.Now
	// Proxies are the reverse proxies whose X-Forwarded-For, or Forwarded without
	// that, names the client. From any other peer both headers are ignored.
	Proxies []netip.Prefix
	// Elsewhere returns the patterns of every route of the API, for a process
	// that serves some of them and answers for the methods of all: the function
	// behind a gateway's $default. May be nil.
	Elsewhere func() []string
}

const defaultWithin = 6 * time.Second

type stack struct {
	Config
	routes router
	bounds bounds
	client func(r *http.Request) string // the address that a request comes from
}

// Stack is the only maker of an http.Handler. For every request, in this order:
// an id, recovery from panics, the route, authentication (not on public routes),
// the scope of the caller's key, the body within its limits (public routes take
// none), the endpoint, the encoding of its answer or error, the security headers,
// one line in the log. So nothing is read for a caller who is not known.
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
	client, err := clients(cfg.Proxies)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	return &stack{cfg, rt, newBounds(), client}, nil
}

// exchange is what is known of one request while it is served.
type exchange struct {
	started  time.Time
	id       string
	http     *http.Request
	client   string // its address; "" if there is none to be known
	w        http.ResponseWriter
	route    *Route // nil until one matched
	caller   identity.Caller
	sizeIn   int
	received []byte   // the body
	read     bool     // the body is read to its end
	held     []func() // give back what the request takes of the bounds
}

// Values of headers that every answer has. They are shared and never changed in place.
var (
	typeJSON = []string{"application/json"}
	noStore  = []string{"no-store"}
	noSniff  = []string{"nosniff"}
)

func (s *stack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ex := &exchange{started: s.Clock(), id: requestID(r.Context()), client: s.client(r), http: r, w: w}
	defer ex.release()
	answer, body, err := s.run(ex)
	var e *fault.Error
	if err != nil {
		answer, body, e = render(err, ex)
	}
	defer ex.wipe(answer, body)
	h := w.Header()
	maps.Copy(h, answer.Header)
	ex.describe(h)
	if asset, ok := answer.Body.(Asset); ok {
		asset.describe(h)
	}
	switch answer.Status {
	case http.StatusNotModified, http.StatusNoContent:
		body = nil
	default:
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if answer.Status == http.StatusMethodNotAllowed {
		h.Set("Allow", s.allow(r)) // RFC 9110, section 15.5.6
	}
	if r.Method == http.MethodHead {
		body = nil
	}
	ex.spare(h)
	w.WriteHeader(answer.Status)
	// What fails here is the connection; there is nobody left to tell.
	_, _ = w.Write(body)
	s.log(ex, answer.Status, len(body), e, err)
}

// describe sets the headers of every answer.
func (ex *exchange) describe(h http.Header) {
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = typeJSON, noStore, noSniff
	h.Set("X-Request-Id", ex.id)
}

// wipe clears what was received and sent: either may hold a secret. An asset is
// not cleared, whose bytes are the same for every request.
func (ex *exchange) wipe(answer Answer, body []byte) {
	clear(ex.received)
	if _, ok := answer.Body.(Asset); ok {
		return
	}
	if own, ok := answer.Body.(jsontext.Value); ok && answer.Secret {
		clear(own)
	}
	clear(body)
}

// run does all that may fail or panic, up to the encoded body: so far nothing
// is sent, and whatever happens can still become an error body.
func (s *stack) run(ex *exchange) (answer Answer, body []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			answer, body, err = Answer{}, nil, &panicError{kind: fmt.Sprintf("%T", v), at: callers()}
		}
	}()
	if headerBytes(ex.http) > MaxHeaderBytes {
		return Answer{}, nil, fault.New(fault.CodeHeadersTooLarge, headersTooLong)
	}
	route := s.routes.match(ex.http)
	if route == nil {
		answer, err := s.unmatched(ex.http)
		return answer, nil, err
	}
	ex.route = route
	if err := CheckRouteKey(ex.http.Context(), ex.http.Method, route.Pattern); err != nil {
		return Answer{}, nil, err
	}
	within := route.Within
	if within == 0 {
		within = defaultWithin
	}
	end := time.Now().Add(within)
	req := &Request{HTTP: ex.http, Origin: ex.origin()}
	if !route.Public {
		if end, err = s.receive(ex, req, end); err != nil {
			return Answer{}, nil, err
		}
	}
	req.query = route.Query
	if len(route.Query) == 0 {
		if err := req.Query().Err(); err != nil {
			return Answer{}, nil, err
		}
	}
	ctx, cancel := context.WithDeadline(ex.http.Context(), end)
	defer cancel()
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
	if err == nil && len(body) > longAnswer && !route.Public {
		full := ex.take(ctx, s.bounds.answers, heavyWait, len(body))
		if ex.reads() {
			err = full
		}
	}
	return answer, body, err
}

// reads reports whether the request changes nothing and sends nothing to another
// system. The answer to any other request waits for its share of the answers, but is
// sent without one: "nothing was changed" would be untrue.
func (ex *exchange) reads() bool {
	return ex.http.Method == http.MethodGet || ex.http.Method == http.MethodHead
}

// allow lists the methods of a request's path, as the header Allow has them; ""
// for a path that is no route's.
func (s *stack) allow(r *http.Request) string {
	all := s.routes
	if s.Elsewhere != nil {
		all = append(slices.Clone(all), entriesOf(s.Elsewhere())...)
	}
	return all.allow(r)
}

// unmatched answers what is no route: OPTIONS with the methods of the path,
// another method of a path that is known, and a path that is not.
func (s *stack) unmatched(r *http.Request) (Answer, error) {
	allow := s.allow(r)
	switch {
	case allow == "":
		return Answer{}, fault.New(fault.CodeRouteNotFound, routeNotFound)
	case r.Method == http.MethodOptions:
		return Answer{Status: http.StatusNoContent, Header: http.Header{"Allow": {allow}}}, nil
	}
	return Answer{}, fault.New(fault.CodeMethodNotAllowed, "This path does not have that method. Use one of: "+allow+".")
}

// receive authenticates the caller and then reads the body. The time that the
// body takes is the client's: it returns the end of the request, moved by that.
func (s *stack) receive(ex *exchange, req *Request, end time.Time) (time.Time, error) {
	ctx, cancel := context.WithDeadline(ex.http.Context(), end)
	defer cancel()
	if err := s.admit(ctx, ex, req); err != nil {
		return end, err
	}
	if err := ex.take(ctx, s.bounds.requests, 0, 1); err != nil {
		return end, err
	}
	began := time.Now()
	var err error
	if req.body, err = s.readBody(ctx, ex); err != nil {
		return end, err
	}
	ex.received, ex.sizeIn = req.body, len(req.body)
	end = end.Add(time.Since(began))
	if ex.route.Heavy {
		err = ex.take(ctx, s.bounds.heavy, heavyWait, 1)
	}
	return end, err
}

// admit authenticates the caller and checks the scopes of the key.
func (s *stack) admit(ctx context.Context, ex *exchange, req *Request) error {
	bearer, ok := Credentials(req.HTTP.Header, "Bearer")
	if !ok {
		return fault.New(fault.CodeUnauthenticated, unauthenticated)
	}
	id := pathID(req.HTTP, "id")
	if ex.route.load != nil && id != 0 {
		req.load = ex.route.load(id)
	}
	caller, err := s.SignIn.Authenticate(ctx, bearer, req.Origin, req.load)
	if err != nil {
		return err
	}
	ex.caller, req.Caller = caller, caller
	missing := ex.route.Needs.Missing(caller.Scopes)
	if len(missing) == 0 {
		return nil
	}
	refusal := access.Refusal{
		Route: ex.route.Pattern, Missing: missing,
		Resource: ex.route.Resource, ResourceID: id,
	}
	if req.load != nil {
		refusal.Owner = req.load.OwnerSeenBy(caller)
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
