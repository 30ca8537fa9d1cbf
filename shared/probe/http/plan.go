package httpprobe

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"credence/shared/probe"
	"credence/shared/secret"
)

// place is where a secret is put into a request, and what a counter-example
// puts there instead.
type place struct {
	header string       // the header's name as written, or "" for a parameter of the URL
	param  string       // the parameter's name
	value  secret.Value // as sent, with its prefix
	other  secret.Value // as sent in a counter-example; empty leaves it out
	field  probe.Field  // the setting that it came from
	// account marks the password of an account, which a counter-example leaves
	// out: a made-up one would count towards a lockout.
	account bool
	// aside marks a header of the user's own beside another secret: it is sent
	// in the counter-example as it is.
	aside bool
}

// key makes a place for a key or token: its counter-example is a made-up one.
func (s place) key(prefix string, value secret.Value) place {
	s.value, s.other = joined(prefix, value), joined(prefix, another(value))
	return s
}

// joined is prefix and value in one.
func joined(prefix string, value secret.Value) secret.Value {
	text := append([]byte(prefix), value.Expose()...)
	defer clear(text)
	return secret.New(text)
}

// plan is a request, read from the settings before anything is dialled.
type plan struct {
	method    string
	url       *url.URL
	urlField  probe.Field // the setting it came from
	header    http.Header // without secrets
	body      secret.Value
	otherBody secret.Value // the body of a counter-example
	places    []place
	// sign adds a signature over the whole request; forged asks for that of a
	// made-up secret.
	sign func(r *http.Request, body []byte, forged bool) error
	// certificate is presented to a server that requests one. A counter-example
	// leaves it out where it is all that the credential authenticates with.
	certificate *tls.Certificate
	certAlone   bool
	blame       probe.Field // the setting to change when the secret is rejected; "" = that of the last place
	blameID     probe.Field // the setting of the key's id, of a signature; "" for none
	forged      bool        // this is a counter-example that is signed
}

// field is the setting to change when the secret is rejected.
func (p plan) field() probe.Field {
	if p.blame != "" || len(p.places) == 0 {
		return p.blame
	}
	return p.places[len(p.places)-1].field
}

// tested reports whether the request carries a secret that a counter-example
// can replace.
func (p plan) tested() bool {
	return p.sign != nil || p.certAlone || p.blame == fieldTestBody || slices.ContainsFunc(p.places, func(s place) bool { return !s.aside })
}

// account reports whether the secret is the password of an account.
func (p plan) account() bool {
	return slices.ContainsFunc(p.places, func(s place) bool { return s.account })
}

// counter is the same request with another secret.
func (p plan) counter() plan {
	p.places = slices.Clone(p.places)
	for i := range p.places {
		p.swap(i)
	}
	p.body, p.forged = p.otherBody, p.sign != nil
	if p.certAlone {
		p.certificate = nil
	}
	return p
}

// counterAt is the same request with another value in one place.
func (p plan) counterAt(i int) plan {
	p.places = slices.Clone(p.places)
	p.swap(i)
	return p
}

func (p plan) swap(i int) {
	if !p.places[i].aside {
		p.places[i].value = p.places[i].other
	}
}

// request builds the request, with the secrets in their places. Its errors are
// Findings.
func (p plan) request() (*http.Request, error) {
	u := *p.url
	r := &http.Request{
		Method: p.method, URL: &u, Host: u.Host, Header: p.header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	var body []byte
	if p.body.Len() > 0 {
		body = p.body.Expose()
		r.ContentLength = int64(len(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
	}
	for _, s := range p.places {
		if err := s.put(r); err != nil {
			return nil, err
		}
	}
	if p.sign != nil {
		if err := p.sign(r, body, p.forged); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (s place) put(r *http.Request) error {
	if s.value.Len() == 0 {
		return nil
	}
	value := s.value.ExposeText()
	if s.header != "" {
		if !headerValue(value) {
			return refuseValue(s.field)
		}
		setHeader(r.Header, s.header, value)
		return nil
	}
	// Appended to the query of the address, which stays byte-identical.
	query := url.QueryEscape(s.param) + "=" + url.QueryEscape(value)
	if r.URL.RawQuery != "" {
		query = r.URL.RawQuery + "&" + query
	}
	r.URL.RawQuery = query
	return nil
}

// setHeader sets a header under its name as written: some servers compare
// names with their case. HTTP/2 has lower case only (RFC 9113 §8.2).
func setHeader(h http.Header, name, value string) {
	for known := range h {
		if strings.EqualFold(known, name) {
			delete(h, known)
		}
	}
	h[name] = []string{value}
}

// parseURL reads an address: https, or http (which only an address that the
// operator listed is reached by), a host, no user, no fragment. The error is a
// Finding and repeats nothing of the text.
func parseURL(text string, field probe.Field) (*url.URL, error) {
	const code = probe.CodeDestinationBlocked
	if len(text) > 4096 || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }) {
		return nil, probe.Found(code, "The address contains spaces, control characters or backslashes, or is longer than 4,096 bytes. Enter a whole address, such as https://api.example.com/path.").At(field)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Opaque != "", u.Hostname() == "", u.Scheme != "https" && u.Scheme != "http":
		return nil, probe.Found(code, "The address is not a whole one. Enter it with its scheme and host, such as https://api.example.com/path.").At(field)
	case u.User != nil:
		return nil, probe.Found(code, "The address contains a user or password before the host. Take it out, and use the fields for authentication.").At(field)
	case u.Fragment != "", strings.Contains(text, "#"):
		return nil, probe.Found(code, "The address contains a fragment (a part after #), which is never sent. Take it out.").At(field)
	}
	return u, nil
}

// neverSet are headers that decide where a request goes, where it came from or
// how it is framed (RFC 9110 §7.6.1, RFC 7239).
var neverSet = []string{
	"Host", "Content-Length", "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Http2-Settings", "Forwarded", "Via", "X-Real-Ip", "Expect",
}

// headerName reports whether a header of that name may be set.
func headerName(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	for _, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	name = http.CanonicalHeaderKey(name)
	return !slices.Contains(neverSet, name) && !strings.HasPrefix(name, "Proxy-") && !strings.HasPrefix(name, "X-Forwarded-")
}

// headerValue reports whether text can be the value of a header (RFC 9110
// §5.5): no control characters but the tab. A line break at the end of a
// pasted key is the usual cause.
func headerValue(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) && strings.TrimSpace(text) == text
}

func refuseValue(field probe.Field) error {
	return probe.Found(probe.CodeAuthMethodUnsupported,
		"The value begins or ends with a space, or contains a line break or another control character, and cannot be sent in a header. Enter it without.").At(field)
}

func refuseName(field probe.Field) error {
	return probe.Found(probe.CodeAuthMethodUnsupported,
		"A header of this name cannot be set. Use letters, digits and hyphens, and none of the headers that control a request, such as Host.").At(field)
}
