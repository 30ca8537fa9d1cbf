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

// ways are the ways to authenticate, by the method of the credential. Each
// reads its settings into the trial: its errors are Findings, made before
// anything is dialled.
var ways = map[string]func(settings reader, t *trial) error{
	"NONE":                func(reader, *trial) error { return nil },
	"client certificate":  func(reader, *trial) error { return nil },
	"api_key":             readSimpleKey,
	"API_KEY":             readAPIKey,
	"BASIC":               func(settings reader, t *trial) error { return t.add(readBasic(settings)) },
	"TOKEN":               readToken,
	"OAUTH2":              readOAuth2,
	"OAUTH1":              readOAuth1,
	"AWS_SIGNATURE":       readAWS,
	"gcp_service_account": readServiceAccount,
	"JWT":                 readJWT,
}

// readTrial reads the settings.
func readTrial(settings reader, t *trial) error {
	if settings.is(fieldHMAC) {
		return probe.Found(probe.CodeAuthMethodUnsupported, "Requests signed with HMAC cannot be probed: which parts of a request are signed differs between systems. Nothing was sent; check the credential where it is used.").At(fieldHMAC)
	}
	var err error
	if t.plan, err = readRequest(settings); err != nil {
		return err
	}
	t.expect = readExpectation(settings)
	method := settings.Method()
	if settings.is(fieldJWT) {
		method = "JWT"
	}
	way, ok := ways[method]
	if !ok {
		if !settings.has(fieldAPIKey) {
			return probe.Found(probe.CodeAuthMethodUnsupported, "").At(fieldAuthType)
		}
		way = readSimpleKey
	}
	if err := way(settings, t); err != nil {
		return err
	}
	t.setAside()
	if err := t.readCertificate(settings); err != nil {
		return err
	}
	// The only secret may stand in the body of the test request.
	if other := withoutSecrets(t.plan.body); t.exchange == nil && !t.plan.tested() && t.plan.body.Len() > 0 && other.Len() > len("{}") {
		t.plan.otherBody, t.plan.blame = other, fieldTestBody
	}
	switch x := t.exchange; {
	case t.plan.url == nil && x == nil:
		return probe.Found(probe.CodeSecretNotTested, "The credential has no address to test the secret with. Set test.url or base_url.").At(fieldTestURL)
	case x != nil && !x.trades() && !t.plan.tested():
		return probe.Found(probe.CodeSecretNotTested, "The credential has nothing secret that the token address could trade for a token. Set token.auth.body with POST, or basic.username and basic.password.").At(x.guilty)
	case x != nil && !x.trades() && t.plan.url == nil:
		return errNothingTraded
	}
	return nil
}

var errNothingTraded = probe.Found(probe.CodeSecretNotTested, "Nothing secret is sent to the token address, so its token proves nothing. Set test.url or base_url to an address to test the token and request.headers at.").At(fieldTestURL)

// setAside marks the user's own headers that stand beside another secret. They
// stay in the counter-example: the system may require them, and that they are
// missing would pass for a check of the secret.
func (t *trial) setAside() {
	elsewhere := t.plan.sign != nil || t.plan.certAlone || t.exchange != nil && t.exchange.trades() ||
		slices.ContainsFunc(t.plan.places, func(p place) bool { return p.field != fieldHeaders })
	for i := range t.plan.places {
		if t.plan.places[i].field == fieldHeaders {
			t.plan.places[i].aside = elsewhere
		}
	}
}

// add puts a secret that was read into the test request.
func (t *trial) add(p place, err error) error {
	if err == nil {
		t.plan.places = append(t.plan.places, p)
	}
	return err
}

func readSimpleKey(settings reader, t *trial) error {
	if !settings.has(fieldAPIKey) {
		return readAPIKey(settings, t)
	}
	return t.add(place{header: "X-Api-Key", field: fieldAPIKey}.key("", settings.Secret(string(fieldAPIKey))), nil)
}

func readAPIKey(settings reader, t *trial) error {
	value := settings.Secret(string(fieldKeyValue))
	if value.Len() == 0 && settings.has(fieldAPIKey) {
		return readSimpleKey(settings, t)
	}
	if value.Len() == 0 {
		return probe.Found(probe.CodeSecretNotTested, "The credential has no key. Enter it.").At(fieldKeyValue)
	}
	p := place{field: fieldKeyValue}
	name := settings.text(fieldKeyName)
	if settings.text(fieldKeyMode) == "URL_PARAMETER" {
		if name == "" {
			return probe.Found(probe.CodeAuthMethodUnsupported, "The name of the parameter that takes the key is missing. Enter it.").At(fieldKeyName)
		}
		p.param = name
		return t.add(p.key("", value), nil)
	}
	if name == "" {
		name = "X-Api-Key"
	}
	if !headerName(name) {
		return refuseName(fieldKeyName)
	}
	p.header, p.value = name, value
	p.other, p.account = anotherHeader(name, value)
	return t.add(p, nil)
}

// readBasic reads user and password. Where one of them is empty the other is a
// key, of which a counter-example may make up another.
func readBasic(settings reader) (place, error) {
	user, password := settings.text(fieldUser), settings.Secret(string(fieldPassword))
	if strings.Contains(user, ":") {
		return place{}, probe.Found(probe.CodeAuthMethodUnsupported, "A user name that contains a colon cannot be sent with Basic authentication (RFC 7617). Use a user name without one, or another auth.type.").At(fieldUser)
	}
	p := place{header: "Authorization", value: basic(user, password), field: fieldPassword}
	switch {
	case user == "" && password.Len() == 0:
		return place{}, probe.Found(probe.CodeSecretNotTested, "The credential has neither a user name nor a password. Enter them.").At(fieldPassword)
	case user == "":
		p.other = basic("", another(password))
	case password.Len() == 0:
		p.field, p.other = fieldUser, basic(another(secret.NewText(user)).ExposeText(), secret.Value{})
	default:
		p.account = true
	}
	return p, nil
}

// basic is the credentials of RFC 7617.
func basic(user string, password secret.Value) secret.Value {
	pair := append([]byte(user+":"), password.Expose()...)
	defer clear(pair)
	return secret.NewText("Basic " + base64.StdEncoding.EncodeToString(pair))
}

// readRequest reads the request without its secrets, except for those in
// headers of the user's own.
func readRequest(settings reader) (plan, error) {
	p := plan{method: http.MethodGet, header: http.Header{"Accept": {"*/*"}, "Cache-Control": {"no-cache"}}, urlField: fieldBaseURL}
	address := settings.text(fieldBaseURL)
	if settings.has(fieldTestURL) {
		p.urlField, address = fieldTestURL, settings.text(fieldTestURL)
		if m := settings.text(fieldTestMethod); m != "" {
			p.method = m
		}
	}
	switch p.method {
	case http.MethodGet:
	case http.MethodPost:
		p.body = settings.Secret(string(fieldTestBody))
		p.otherBody = p.body
	default:
		return plan{}, probe.Found(probe.CodeAuthMethodUnsupported, "A probe makes a GET or a POST. Set test.method to one of them.").At(fieldTestMethod)
	}
	if kind := settings.text(fieldTestContent); p.body.Len() > 0 {
		if kind == "" {
			kind = bodyType(p.body)
		}
		if !headerValue(kind) {
			return plan{}, refuseValue(fieldTestContent)
		}
		p.header.Set("Content-Type", kind)
	}
	if address != "" {
		u, err := parseURL(address, p.urlField)
		if err != nil {
			return plan{}, err
		}
		p.url = u
	}
	own, err := readHeaders(settings.Secret(string(fieldHeaders)), fieldHeaders)
	if err != nil {
		return plan{}, err
	}
	for _, h := range own {
		if negotiates(h.header) {
			p.header.Set(h.header, h.value.ExposeText())
		} else {
			p.places = append(p.places, h)
		}
	}
	return p, nil
}

// negotiates reports whether a header is one that nobody authenticates with.
func negotiates(header string) bool {
	name := http.CanonicalHeaderKey(header)
	return strings.HasPrefix(name, "Accept") || slices.Contains([]string{
		"User-Agent", "Content-Type", "Content-Language", "Referer", "Origin", "Cache-Control", "Pragma", "Prefer", "Dnt",
	}, name)
}

// readHeaders reads headers of the user's own: a JSON object of strings, or
// lines "Name: value". They come in the order of their names.
func readHeaders(value secret.Value, field probe.Field) ([]place, error) {
	lines := strings.TrimSpace(value.ExposeText())
	if lines == "" {
		return nil, nil
	}
	refuse := probe.Found(probe.CodeAuthMethodUnsupported, "The headers cannot be read. Write them as a JSON object of names and strings, or one \"Name: value\" a line.").At(field)
	pairs := map[string]string{}
	if strings.HasPrefix(lines, "{") {
		if json.Unmarshal([]byte(lines), &pairs) != nil {
			return nil, refuse
		}
	} else {
		for line := range strings.Lines(lines) {
			name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
			if !ok {
				return nil, refuse
			}
			pairs[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	var headers []place
	for name, value := range pairs {
		if !headerName(name) {
			return nil, refuseName(field)
		}
		if !headerValue(value) {
			return nil, refuseValue(field)
		}
		p := place{header: name, value: secret.NewText(value), field: field}
		p.other, p.account = anotherHeader(name, p.value)
		headers = append(headers, p)
	}
	slices.SortFunc(headers, func(a, b place) int { return strings.Compare(a.header, b.header) })
	return headers, nil
}
