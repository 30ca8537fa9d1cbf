//go:build unix

package runtimehost

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxBody = 10 << 20         // of a request to an HTTP API
	maxWait = 30 * time.Second // for an integration's answer
)

// Invoker is a function that can be invoked: *Function.
type Invoker interface {
	Invoke(ctx context.Context, payload []byte) (Result, error)
}

// RouteBinding says which function serves a route key: "METHOD /path/{name}",
// "ANY /path", "METHOD /path/{name+}" or "$default".
type RouteBinding struct {
	RouteKey string
	Function Invoker
}

// Front answers as an API Gateway HTTP API on the stage $default does that has
// these routes as Lambda integrations of payload format 2.0: it chooses the
// most specific route, makes the event, and turns the function's answer, or
// its failure, into a response. It has no CORS, authorizer or throttling.
// Its error names every route key that is malformed or there twice.
//
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
func Front(routes []RouteBinding) (http.Handler, error) {
	parsed, err := parseRoutes(routes)
	if err != nil {
		return nil, err
	}
	return &front{routes: parsed, wait: maxWait}, nil
}

type front struct {
	routes []route
	wait   time.Duration
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	w.Header().Set("Apigw-Requestid", id)
	for _, route := range f.routes {
		if vars, ok := route.match(r.Method, r.URL.EscapedPath()); ok {
			f.serve(w, r, chosen{route.binding, vars, id})
			return
		}
	}
	say(w, http.StatusNotFound)
}

// chosen is what is decided about a request before its event is made.
type chosen struct {
	RouteBinding
	vars map[string]string
	id   string
}

func (f *front) serve(w http.ResponseWriter, r *http.Request, c chosen) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if errors.As(err, new(*http.MaxBytesError)) {
			say(w, http.StatusRequestEntityTooLarge)
			return
		}
		say(w, http.StatusBadRequest)
		return
	}
	payload, err := json.Marshal(newEvent(r, c, body), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		say(w, http.StatusInternalServerError)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.wait)
	defer cancel()
	result, err := c.Function.Invoke(ctx, payload)
	switch {
	case errors.Is(err, ErrTooLarge):
		say(w, http.StatusRequestEntityTooLarge)
	case err != nil || result.TimedOut: // the wait ended, or nothing could run
		say(w, http.StatusServiceUnavailable)
	case result.FunctionError != "":
		say(w, http.StatusInternalServerError)
	default:
		respond(w, result.Payload)
	}
}

// say answers in the gateway's own words.
func say(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"message":"`+http.StatusText(status)+`"}`)
}

// newEvent is the event of a request: names of headers in lower case, equal
// headers joined by commas, cookies apart, the path decoded and cut at a
// question mark that decoding brought forth, the query as sent.
func newEvent(r *http.Request, c chosen, body []byte) events.APIGatewayV2HTTPRequest {
	path, _, _ := strings.Cut(r.URL.Path, "?")
	now := time.Now().UTC()
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		client = r.RemoteAddr
	}
	e := events.APIGatewayV2HTTPRequest{
		Version:        "2.0",
		RouteKey:       c.RouteKey,
		RawPath:        path,
		RawQueryString: r.URL.RawQuery,
		Headers:        eventHeaders(r, client, len(body)),
		PathParameters: c.vars,
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: c.RouteKey, AccountID: "000000000000", Stage: defaultKey, RequestID: c.id, APIID: "local",
			DomainName: r.Host, Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: client, UserAgent: r.UserAgent(),
			},
		},
	}
	e.RequestContext.DomainPrefix, _, _ = strings.Cut(r.Host, ".")
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			e.Cookies = append(e.Cookies, strings.TrimSpace(pair))
		}
	}
	if query, _ := url.ParseQuery(r.URL.RawQuery); len(query) > 0 {
		e.QueryStringParameters = map[string]string{}
		for name, values := range query {
			e.QueryStringParameters[name] = strings.Join(values, ",")
		}
	}
	if e.IsBase64Encoded = len(body) > 0 && !isText(r.Header.Get("Content-Type"), body); e.IsBase64Encoded {
		e.Body = base64.StdEncoding.EncodeToString(body)
	} else {
		e.Body = string(body)
	}
	return e
}

func eventHeaders(r *http.Request, client string, length int) map[string]string {
	h := map[string]string{}
	for name, values := range r.Header {
		switch name {
		case "Cookie", "Connection", "Keep-Alive", "Te", "Trailer", "Upgrade", "Proxy-Connection": // RFC 9110 §7.6.1
		default:
			h[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	h["host"] = r.Host
	h["content-length"] = strconv.Itoa(length)
	if before := h["x-forwarded-for"]; before != "" {
		client = before + ", " + client
	}
	h["x-forwarded-for"] = client
	h["x-forwarded-proto"], h["x-forwarded-port"] = "https", "443"
	h["x-amzn-trace-id"] = strings.TrimSuffix(traceID(), ";Sampled=0")
	return h
}

// isText reports whether a body goes into the event as it is. What JSON could
// not carry unchanged never does.
func isText(contentType string, body []byte) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || !utf8.Valid(body) {
		return false
	}
	switch kind {
	case "application/json", "application/javascript", "application/xml":
		return true
	}
	return strings.HasPrefix(kind, "text/")
}

// reply is an answer of payload format 2.0. What has no statusCode is not of
// that form and stands for itself.
type reply struct {
	StatusCode      *int              `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// respond writes a function's answer; one that is malformed is an error of the
// gateway.
func respond(w http.ResponseWriter, payload []byte) {
	var fields struct {
		StatusCode jsontext.Value `json:"statusCode"`
	}
	lenient := json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if !jsontext.Value(payload).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
		say(w, http.StatusInternalServerError)
		return
	}
	if err := json.Unmarshal(payload, &fields, lenient); err != nil || fields.StatusCode == nil {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(payload)
		return
	}
	var rep reply
	if err := json.Unmarshal(payload, &rep, lenient); err != nil || rep.StatusCode == nil || *rep.StatusCode < 200 || *rep.StatusCode > 599 {
		say(w, http.StatusInternalServerError)
		return
	}
	body := []byte(rep.Body)
	if rep.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(rep.Body); err != nil {
			say(w, http.StatusInternalServerError)
			return
		}
	}
	h := w.Header()
	h["Content-Type"] = nil // the function's alone: nothing is guessed
	for name, value := range rep.Headers {
		h.Set(name, value)
	}
	for _, cookie := range rep.Cookies {
		h.Add("Set-Cookie", cookie)
	}
	w.WriteHeader(*rep.StatusCode)
	_, _ = w.Write(body)
}
