// Package rows is the table of behaviours on which net/http, the adapter and a
// bootstrap run as on Lambda must agree: handlers that answer in every way that
// matters, an echo of the request they saw, and a client that sends a request
// byte for byte.
package rows

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/httpapi"
)

// Patterns are the routes of Handler, which are the gateway's route keys too.
var Patterns = []string{
	"GET /echo",
	"POST /echo",
	"DELETE /echo",
	"GET /echo/{id}",
	"GET /echo/{id}/part",
	"GET /answers/{row}",
	"HEAD /answers/{row}",
}

// Handler serves Patterns, and refuses what the gateway routed elsewhere.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for _, pattern := range Patterns {
		serve := echo
		if strings.Contains(pattern, "/answers/") {
			serve = answer
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if httpapi.CheckRouteKey(r.Context(), r.Method, r.Pattern) != nil {
				http.Error(w, "route_not_found", http.StatusNotFound)
				return
			}
			serve(w, r)
		})
	}
	return mux
}

// Seen is what a handler saw of a request. Header holds the values of each
// name joined by commas: the gateway delivers them so, and RFC 9110 §5.3 makes
// it the same thing.
type Seen struct {
	Pattern  string
	Method   string
	Path     string
	Target   string // of the request line
	ID       string
	Query    map[string][]string
	RawQuery string
	Host     string
	HostPort bool // RemoteAddr is host:port
	Header   map[string]string
	Cookies  []string
	Body     []byte
	Length   int64
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	_, _, err = net.SplitHostPort(r.RemoteAddr)
	seen := Seen{
		Pattern: r.Pattern, Method: r.Method, Path: r.URL.Path, Target: r.RequestURI, ID: r.PathValue("id"),
		Query: r.URL.Query(), RawQuery: r.URL.RawQuery, Host: r.Host, HostPort: err == nil,
		Header: map[string]string{}, Body: body, Length: r.ContentLength,
	}
	for name, values := range r.Header {
		if !addedByGateway(name) {
			seen.Header[name] = strings.Join(values, ",")
		}
	}
	// Get must give the whole of a value that has commas in it.
	seen.Header["Get(X-Signature)"] = r.Header.Get("X-Signature")
	for _, c := range r.Cookies() {
		seen.Cookies = append(seen.Cookies, c.String())
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.MarshalWrite(w, seen, json.Deterministic(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		panic(err)
	}
}

// addedByGateway names headers that the gateway adds or writes itself.
func addedByGateway(name string) bool {
	return strings.HasPrefix(name, "X-Forwarded-") || name == "X-Amzn-Trace-Id" || name == "Content-Length" || name == "Connection"
}

// Exchange is what a client got.
type Exchange struct {
	Status  int
	Header  map[string]string // values joined by commas
	Cookies []string          // Set-Cookie
	Body    []byte
}

// NewExchange takes what a client can rely on out of an answer: neither the
// time, nor the framing, nor the gateway's own id.
func NewExchange(status int, header http.Header, body []byte) Exchange {
	e := Exchange{Status: status, Header: map[string]string{}, Body: body}
	for name, values := range header {
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Set-Cookie":
			e.Cookies = values
		case "Date", "Content-Length", "Connection", "Transfer-Encoding", "Apigw-Requestid":
		default:
			e.Header[textproto.CanonicalMIMEHeaderKey(name)] = strings.Join(values, ",")
		}
	}
	return e
}

// Diff says where two exchanges differ, or "".
func (e Exchange) Diff(o Exchange) string {
	var out []string
	if e.Status != o.Status {
		out = append(out, fmt.Sprintf("status %d and %d", e.Status, o.Status))
	}
	a, _ := json.Marshal(e.Header, json.Deterministic(true))
	b, _ := json.Marshal(o.Header, json.Deterministic(true))
	if !bytes.Equal(a, b) {
		out = append(out, fmt.Sprintf("headers %s and %s", a, b))
	}
	if !slices.Equal(e.Cookies, o.Cookies) {
		out = append(out, fmt.Sprintf("cookies %q and %q", e.Cookies, o.Cookies))
	}
	if !bytes.Equal(e.Body, o.Body) {
		out = append(out, fmt.Sprintf("bodies %.600q and %.600q", e.Body, o.Body))
	}
	return strings.Join(out, "; ")
}

// Send writes a request as it stands to a server and reads the answer. In head
// the lines end in LF and are sent with CRLF; an empty line parts it from the
// body, which is sent as it is.
func Send(addr string, request []byte) (Exchange, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return Exchange{}, err
	}
	defer conn.Close() //nolint:errcheck // the answer was read in full, or failed
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return Exchange{}, err
	}
	head, body, _ := bytes.Cut(request, []byte("\n\n"))
	wire := bytes.ReplaceAll(bytes.TrimSuffix(head, []byte("\n")), []byte("\n"), []byte("\r\n"))
	wire = append(append(wire, "\r\nConnection: close\r\n\r\n"...), body...)
	if _, err := conn.Write(wire); err != nil {
		return Exchange{}, err
	}
	method, _, _ := strings.Cut(string(request), " ")
	answers, asked := bufio.NewReader(conn), &http.Request{Method: method}
	resp, err := http.ReadResponse(answers, asked)
	for err == nil && resp.StatusCode < 200 { // interim: the answer is yet to come
		resp, err = http.ReadResponse(answers, asked)
	}
	if err != nil {
		return Exchange{}, err
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return Exchange{}, err
	}
	return NewExchange(resp.StatusCode, resp.Header, got), nil
}
