package httpprobe

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"credence/shared/probe"
	"credence/shared/secret"
)

// place is where a secret is put into a request.
type place struct {
	header string // the header's name, or "" for a parameter of the URL
	param  string
	value  secret.Value // whole: with its prefix
	field  probe.Field  // the setting it came from
}

// plan is the request that tests a credential, read from its settings before
// anything is dialled.
type plan struct {
	method   string
	url      *url.URL
	urlField probe.Field // the setting it came from
	header   http.Header // of the request with and without the secret
	body     secret.Value
	secrets  []place
}

// with gives the plan with other secrets.
func (p plan) with(secrets []place) plan {
	p.secrets = secrets
	return p
}

// request builds the request, with the secrets in their places. Its errors are
// Findings.
func (p plan) request() (*http.Request, error) {
	u := *p.url
	r := &http.Request{
		Method: p.method, URL: &u, Host: u.Host, Header: p.header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if p.body.Len() > 0 {
		body := p.body.Expose()
		r.Body, r.ContentLength = readCloser{bytes.NewReader(body)}, int64(len(body))
	}
	for _, s := range p.secrets {
		if err := s.put(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (s place) put(r *http.Request) error {
	value := s.value.ExposeText()
	if s.header != "" {
		if !headerValue(value) {
			return refuseValue(s.field)
		}
		r.Header.Set(s.header, value)
		return nil
	}
	// Added behind what the address has, which stays byte for byte.
	query := url.QueryEscape(s.param) + "=" + url.QueryEscape(value)
	if r.URL.RawQuery != "" {
		query = r.URL.RawQuery + "&" + query
	}
	r.URL.RawQuery = query
	return nil
}

// parseURL reads an address: https, or http (which only an address that the
// operator listed is reached by), a host, no user, no fragment. The error is a
// Finding and repeats nothing of the text.
func parseURL(text string, field probe.Field) (*url.URL, error) {
	refuse := func(f probe.Finding) error { return f.At(field) }
	if len(text) > 4096 || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }) {
		return nil, refuse(probe.Found(probe.CodeDestinationBlocked, "This is not an address: it holds spaces, control characters or backslashes, or is longer than 4,096 bytes."))
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Opaque != "", u.Hostname() == "", u.Scheme != "https" && u.Scheme != "http":
		return nil, refuse(probe.Found(probe.CodeDestinationBlocked, "This is not a whole address. Write it like https://api.example.com/path."))
	case u.User != nil:
		return nil, refuse(probe.Found(probe.CodeDestinationBlocked, "The address holds a user or password before the host. Take it out, and use the fields for signing in."))
	case u.Fragment != "", strings.Contains(text, "#"):
		return nil, refuse(probe.Found(probe.CodeDestinationBlocked, "The address holds a part behind a #, which is never sent. Take it out."))
	}
	return u, nil
}

// neverSet are headers that say where a request goes, where it came from or
// how it is framed (RFC 9110 §7.6.1, RFC 7239).
var neverSet = map[string]bool{
	"Host": true, "Content-Length": true, "Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "Http2-Settings": true, "Forwarded": true, "Via": true,
	"X-Real-Ip": true, "Expect": true,
}

// headerName gives the canonical form of a header that may be set, or false.
func headerName(name string) (string, bool) {
	if name == "" || len(name) > 128 {
		return "", false
	}
	for _, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return "", false
		}
	}
	name = http.CanonicalHeaderKey(name)
	if neverSet[name] || strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Forwarded-") {
		return "", false
	}
	return name, true
}

// headerValue reports whether text can be the value of a header (RFC 9110
// §5.5): no control characters but the tab. A line break at the end of a
// pasted key is the usual cause.
func headerValue(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) && strings.TrimSpace(text) == text
}

func refuseValue(field probe.Field) error {
	return probe.Found(probe.CodeAuthMethodUnsupported,
		"The value begins or ends with a space, or holds a line break or another control character, and cannot be sent in a header. Enter it again without.").At(field)
}

func refuseName(field probe.Field) error {
	return probe.Found(probe.CodeAuthMethodUnsupported,
		"This is not the name of a header that can be set. Use letters, digits and hyphens, and none of the headers that steer a request, such as Host.").At(field)
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
