package httpprobe

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
	"credence/shared/secret"
)

// signIn is all that the settings say: the request to test by, and, for ways
// to sign in that trade the secret for a token first, the exchange.
type signIn struct {
	plan
	exchange *exchange // nil = the secrets are in the plan
	token    place     // that it gave
	over     bool      // one of the secrets is a token that has expired by its own word
}

// asked is the request to test by, with all that it takes.
func (s signIn) asked() plan {
	switch {
	case s.exchange == nil:
		return s.plan
	case s.exchange.trades():
		return s.with(append(slices.Clone(s.secrets), s.token))
	}
	return s.with(append([]place{s.token}, s.secrets...)) // the secret is last
}

// bare is the request to compare with, without the secret. Headers of the user's
// own stay where the secret stands elsewhere: the system may ask for them
// besides, and that they are missing would pass for a look at the secret. Where
// nothing else is secret they are it.
func (s signIn) bare() plan {
	switch {
	case s.exchange != nil && s.exchange.trades():
		return s.plan
	case s.exchange != nil: // the token is nobody's: the headers are the secret
		return s.with([]place{s.token})
	}
	own := slices.Clone(s.secrets)
	own = slices.DeleteFunc(own, func(p place) bool { return p.field != fieldHeaders })
	if len(own) == len(s.secrets) {
		own = nil
	}
	return s.with(own)
}

// negotiates reports whether a header is one by which nobody signs in.
func negotiates(header string) bool {
	switch header {
	case "User-Agent", "Content-Type", "Content-Language", "Referer", "Origin", "Cache-Control", "Pragma", "Prefer", "Dnt":
		return true
	}
	return strings.HasPrefix(header, "Accept")
}

// field is the setting to change when the secret is refused.
func (p plan) field() probe.Field {
	if len(p.secrets) == 0 {
		return ""
	}
	return p.secrets[len(p.secrets)-1].field
}

// ends tells when those of the secrets expire that are tokens and say so. A
// token that is traded for one of them is made anew for each use, and no part
// of the credential. It reports whether one is over.
func (s signIn) ends(a *probe.Attempt) (over bool) {
	sent := s.secrets
	if s.exchange != nil {
		sent = slices.Concat(sent, s.exchange.secrets)
	}
	for _, p := range sent {
		bare := a.Settings().Secret(string(p.field)) // a password goes out encoded
		over = a.TokenEnds(p.value) || a.TokenEnds(bare) || over
	}
	return over
}

// readSignIn reads the settings. Its errors are Findings, made before anything
// is dialled.
func readSignIn(settings reader) (signIn, error) {
	if err := unsupported(settings); err != nil {
		return signIn{}, err
	}
	p, err := readRequest(settings)
	if err != nil {
		return signIn{}, err
	}
	s := signIn{plan: p}
	switch method := settings.Method(); method {
	case "NONE":
	case "BASIC":
		err = s.add(readBasic(settings))
	case "API_KEY":
		err = s.add(readAPIKey(settings))
	case "TOKEN":
		s.exchange, err = readTokenExchange(settings)
	case "OAUTH2":
		s.exchange, err = readClientCredentials(settings)
	default:
		if !settings.has(fieldAPIKey) {
			return signIn{}, probe.Found(probe.CodeAuthMethodUnsupported, "").At(fieldAuthType)
		}
		err = s.add(place{header: "X-Api-Key", value: settings.Secret(string(fieldAPIKey)), field: fieldAPIKey}, nil)
	}
	switch {
	case err != nil:
		return signIn{}, err
	case s.url == nil && s.exchange == nil:
		return signIn{}, probe.Found(probe.CodeSecretNotTested, "The credential names no address to try the secret at. Give test.url or base_url.").At(fieldTestURL)
	case s.exchange != nil && !s.exchange.trades() && len(s.secrets) == 0:
		return signIn{}, probe.Found(probe.CodeSecretNotTested, "The credential holds nothing secret that the sign-in address could trade for a token. Give token.auth.body with POST, or basic.username and basic.password.").At(fieldLoginBody)
	}
	return s, nil
}

// unsupported refuses ways to sign in that are not probed.
func unsupported(settings reader) error {
	for _, f := range []probe.Field{fieldJWT, fieldHMAC} {
		if settings.is(f) {
			return probe.Found(probe.CodeAuthMethodUnsupported, "").At(f)
		}
	}
	if settings.has(fieldCert) {
		return probe.Found(probe.CodeAuthMethodUnsupported, "Signing in with a client's certificate cannot be probed. Nothing was sent; check the credential where it is used.").At(fieldCert)
	}
	switch settings.Method() {
	case "OAUTH1", "AWS_SIGNATURE", "gcp_service_account":
		return probe.Found(probe.CodeAuthMethodUnsupported, "").At(fieldAuthType)
	}
	return nil
}

// add puts a secret that was read into the plan.
func (s *signIn) add(p place, err error) error {
	if err == nil {
		s.secrets = append(s.secrets, p)
	}
	return err
}

func readAPIKey(settings reader) (place, error) {
	p := place{value: settings.Secret(string(fieldKeyValue)), field: fieldKeyValue}
	if p.value.Len() == 0 {
		return place{}, probe.Found(probe.CodeSecretNotTested, "The credential holds no key. Enter it.").At(fieldKeyValue)
	}
	name := settings.text(fieldKeyName)
	if settings.text(fieldKeyMode) == "URL_PARAMETER" {
		if name == "" {
			return place{}, probe.Found(probe.CodeAuthMethodUnsupported, "Name the parameter that takes the key.").At(fieldKeyName)
		}
		p.param = name
		return p, nil
	}
	if name == "" {
		name = "X-Api-Key"
	}
	var ok bool
	if p.header, ok = headerName(name); !ok {
		return place{}, refuseName(fieldKeyName)
	}
	return p, nil
}

func readBasic(settings reader) (place, error) {
	user := settings.text(fieldUser)
	if strings.Contains(user, ":") {
		return place{}, probe.Found(probe.CodeAuthMethodUnsupported, "A user name with a colon cannot be sent with Basic sign-in.").At(fieldUser)
	}
	return place{header: "Authorization", value: basic(user, settings.Secret(string(fieldPassword))), field: fieldPassword}, nil
}

// basic is the credentials of RFC 7617.
func basic(user string, password secret.Value) secret.Value {
	pair := append([]byte(user+":"), password.Expose()...)
	defer clear(pair)
	return secret.NewText("Basic " + base64.StdEncoding.EncodeToString(pair))
}

// readRequest reads the request without its secrets, but for those that stand
// in headers of the user's own.
func readRequest(settings reader) (plan, error) {
	p := plan{method: http.MethodGet, header: http.Header{"Accept": {"*/*"}, "Cache-Control": {"no-cache"}}, urlField: fieldBaseURL}
	text := settings.text(fieldBaseURL)
	if settings.has(fieldTestURL) {
		p.urlField, text = fieldTestURL, settings.text(fieldTestURL)
		if m := settings.text(fieldTestMethod); m != "" {
			p.method = m
		}
		p.body = settings.Secret(string(fieldTestBody))
	}
	if p.method != http.MethodGet && p.method != http.MethodPost {
		return plan{}, probe.Found(probe.CodeAuthMethodUnsupported, "A test request is a GET or a POST.").At(fieldTestMethod)
	}
	if p.method == http.MethodGet {
		p.body = secret.Value{}
	}
	if kind := settings.text(fieldTestContent); kind != "" && p.body.Len() > 0 {
		if !headerValue(kind) {
			return plan{}, refuseValue(fieldTestContent)
		}
		p.header.Set("Content-Type", kind)
	}
	if text != "" {
		u, err := parseURL(text, p.urlField)
		if err != nil {
			return plan{}, err
		}
		p.url = u
	}
	own, err := readHeaders(settings.Secret(string(fieldHeaders)), fieldHeaders)
	if err != nil {
		return plan{}, err
	}
	// Headers of the user's own may hold the key, but for those that say what is
	// wanted, and not by whom.
	for _, h := range own {
		if negotiates(h.header) {
			p.header.Set(h.header, h.value.ExposeText())
		} else {
			p.secrets = append(p.secrets, h)
		}
	}
	return p, nil
}

// readHeaders reads headers of the user's own: a JSON object of texts, or
// lines "Name: value".
func readHeaders(value secret.Value, field probe.Field) ([]place, error) {
	text := strings.TrimSpace(value.ExposeText())
	if text == "" {
		return nil, nil
	}
	refuse := probe.Found(probe.CodeAuthMethodUnsupported, "The headers cannot be read. Write them as a JSON object of names and texts, or one \"Name: value\" a line.").At(field)
	pairs := map[string]string{}
	if strings.HasPrefix(text, "{") {
		if json.Unmarshal([]byte(text), &pairs) != nil {
			return nil, refuse
		}
	} else {
		for line := range strings.Lines(text) {
			name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
			if !ok {
				return nil, refuse
			}
			pairs[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	var headers []place
	for name, value := range pairs {
		name, ok := headerName(name)
		if !ok {
			return nil, refuseName(field)
		}
		if !headerValue(value) {
			return nil, refuseValue(field)
		}
		headers = append(headers, place{header: name, value: secret.NewText(value), field: field})
	}
	return headers, nil
}
