package lambdahttp

import (
	"encoding/base64"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"credence/shared/fault"
)

// call is what one event asks, in the terms of net/http.
type call struct {
	method string
	url    *url.URL
	target string // as it would stand in a request line
	host   string
	remote string
	header http.Header
	body   string // decoded
}

// parse reads an event. Its error says which part is malformed, never its value.
func parse(event events.APIGatewayV2HTTPRequest) (call, *fault.Error) {
	about := event.RequestContext.HTTP
	c := call{method: about.Method, body: event.Body}
	if !isToken(c.method) {
		return c, fault.New(fault.CodeInvalidRequest, "The request's method is malformed.")
	}
	if event.IsBase64Encoded {
		raw, err := base64.StdEncoding.DecodeString(event.Body)
		if err != nil {
			return c, fault.New(fault.CodeInvalidRequest, "The request's body is not the base64 that it is said to be.")
		}
		c.body = string(raw)
	}
	path := event.RawPath
	if path == "" {
		path = about.Path
	}
	c.target = escapePath(withoutPrefix(path, event.RouteKey, event.RequestContext.Stage))
	if event.RawQueryString != "" {
		c.target += "?" + escapeQuery(event.RawQueryString)
	}
	u, err := url.ParseRequestURI(c.target)
	if err != nil {
		return c, fault.New(fault.CodeInvalidRequest, "The request's path is malformed.")
	}
	c.url = u
	c.header, c.host = readHeaders(event)
	if c.host == "" {
		c.host = event.RequestContext.DomainName
	}
	// The gateway does not tell the client's port; net/http's form has one.
	c.remote = net.JoinHostPort(about.SourceIP, "0")
	return c, nil
}

// withoutPrefix is the path below what a deployment puts before it: the name of
// a stage other than $default, and the key of an API mapping of a custom domain,
// which stand in rawPath. Which segments those are, the matched route says: they
// are what precedes as many segments as it has, where its literal ones agree.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-mapping-template-reference.html
func withoutPrefix(path, routeKey, stage string) string {
	if rest, found := strings.CutPrefix(path, "/"+stage); found && stage != "" && stage != "$default" && (rest == "" || rest[0] == '/') {
		path = "/" + strings.TrimPrefix(rest, "/")
	}
	_, pattern, found := strings.Cut(routeKey, " /")
	if !found {
		return path // the route that takes all others: what the prefix is, is not known
	}
	if pattern == "" {
		return "/"
	}
	want := strings.Split(pattern, "/")
	have := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(have) <= len(want) {
		return path
	}
	have = have[len(have)-len(want):]
	for i, segment := range want {
		if !strings.HasPrefix(segment, "{") && segment != have[i] {
			return path
		}
	}
	return "/" + strings.Join(have, "/")
}

// event is what the adapter is given. It has nothing in it that the adapter
// could misread: it cuts header values at commas, lets a path's bare % or # end
// in an error that quotes the path on standard output, and reads a server
// address from the environment. complete sets all of that afterwards.
func (c call) event() events.APIGatewayV2HTTPRequest {
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0",
		RawPath: "/",
		Body:    c.body,
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: c.method},
		},
	}
}

// complete makes the adapter's request the one a server would have read.
func (c call) complete(r *http.Request) *http.Request {
	r.Method = c.method
	r.URL = c.url
	r.RequestURI = c.target
	r.Host = c.host
	r.RemoteAddr = c.remote
	r.Header = c.header
	r.GetBody = nil
	return r
}

// readHeaders gives the event's headers, each value whole, and the host apart.
// Headers that the adapter uses to carry a gateway's context are never a
// client's to send, so they are dropped.
func readHeaders(event events.APIGatewayV2HTTPRequest) (http.Header, string) {
	h := make(http.Header, len(event.Headers)+1)
	host := ""
	for _, name := range slices.Sorted(maps.Keys(event.Headers)) {
		value := event.Headers[name]
		switch key := textproto.CanonicalMIMEHeaderKey(name); {
		case key == "Host":
			host = value
		case key == "Transfer-Encoding", strings.HasPrefix(strings.ToLower(key), "x-golambdaproxy-"):
		default:
			h[key] = append(h[key], value)
		}
	}
	if len(event.Cookies) > 0 {
		// RFC 6265 §5.4: one Cookie header, the pairs parted by "; ".
		h["Cookie"] = []string{strings.Join(event.Cookies, "; ")}
	}
	return h, host
}

// escapePath makes a path fit for a request line without knowing whether it was
// decoded already, as an HTTP API does to rawPath: what is a valid escape
// stays, and every byte that cannot stand in an encoded path is escaped
// (RFC 3986 §3.3).
func escapePath(path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return escape(path, func(b byte) bool {
		return isAlphanumeric(b) || strings.IndexByte("/-._~!$&'()*+,;=:@", b) >= 0
	})
}

// escapeQuery does the same for a query, which the gateway leaves encoded: only
// what a request line cannot hold, and a fragment's mark, are escaped. A bare %
// stays: net/http drops the parameter that has one.
func escapeQuery(query string) string {
	return escape(query, func(b byte) bool { return b > ' ' && b != 0x7f && b != '#' })
}

func escape(s string, literal func(byte) bool) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	out.Grow(len(s))
	for i := 0; i < len(s); i++ {
		b := s[i]
		if literal(b) || b == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out.WriteByte(b)
			continue
		}
		out.WriteByte('%')
		out.WriteByte(hex[b>>4])
		out.WriteByte(hex[b&15])
	}
	return out.String()
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// isToken reports whether s is an RFC 9110 §5.6.2 token: a method or the name
// of a header.
func isToken(s string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
