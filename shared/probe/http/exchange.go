package httpprobe

import (
	"bytes"
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/probe"
	"credence/shared/secret"
)

// exchange trades the secret for a token at a sign-in address.
type exchange struct {
	plan                 // its request; the secrets in it are those that are traded
	field    probe.Field // of the sign-in address
	guilty   probe.Field // the setting to change when the exchange is refused
	plain    bool        // the whole body is the token
	path     []string    // where the token stands in a JSON body
	place    place       // where the token goes; its value is the prefix
	asObject bool        // RFC 6749: an "error" in the answer names the cause
}

// readTokenExchange reads the settings of TOKEN: a request to token.auth.url
// whose answer holds the token.
func readTokenExchange(settings reader) (*exchange, error) {
	if !settings.has(fieldLoginURL) {
		return nil, probe.Found(probe.CodeAuthMethodUnsupported, "Name the address that gives the token.").At(fieldLoginURL)
	}
	u, err := parseURL(settings.text(fieldLoginURL), fieldLoginURL)
	if err != nil {
		return nil, err
	}
	if settings.text(fieldTokenFormat) == "xml" || settings.has(fieldTokenCookie) || settings.has(fieldTokenFrom) {
		return nil, probe.Found(probe.CodeAuthMethodUnsupported, "A token in XML, in a cookie or in a header of the answer cannot be probed. Nothing was sent; check the credential where it is used.").At(fieldTokenFormat)
	}
	x := &exchange{field: fieldLoginURL, guilty: fieldLoginBody, plain: settings.text(fieldTokenFormat) == "plain"}
	x.plan = plan{method: http.MethodPost, url: u, urlField: fieldLoginURL, header: baseHeader(), body: settings.Secret(string(fieldLoginBody))}
	switch m := settings.text(fieldLoginMethod); m {
	case "":
	case http.MethodGet, http.MethodPost, http.MethodPut:
		x.method = m
	default:
		return nil, probe.Found(probe.CodeAuthMethodUnsupported, "A token is asked for by GET, POST or PUT.").At(fieldLoginMethod)
	}
	if x.method == http.MethodGet {
		x.body = secret.Value{}
	}
	if x.body.Len() > 0 {
		x.header.Set("Content-Type", bodyType(x.body))
	}
	if settings.has(fieldPassword) {
		x.guilty = fieldPassword
		pair, err := readBasic(settings)
		if err != nil {
			return nil, err
		}
		x.secrets = []place{pair}
	}
	path := strings.TrimPrefix(strings.TrimPrefix(settings.text(fieldTokenPath), "$"), ".")
	if path == "" {
		path = "access_token"
	}
	x.path = strings.Split(path, ".")
	x.place, err = tokenPlace(settings)
	return x, err
}

// tokenPlace reads where the token goes in the requests that follow.
func tokenPlace(settings reader) (place, error) {
	if settings.text(fieldTokenMode) == "URL_PARAMETER" {
		name := settings.text(fieldTokenParam)
		if name == "" {
			return place{}, probe.Found(probe.CodeAuthMethodUnsupported, "Name the parameter that takes the token.").At(fieldTokenParam)
		}
		return place{param: name, field: fieldLoginBody}, nil
	}
	p := place{header: "Authorization", value: secret.NewText("Bearer "), field: fieldLoginBody}
	if name := settings.text(fieldTokenHeader); name != "" {
		canonical, ok := headerName(name)
		if !ok {
			return place{}, refuseName(fieldTokenHeader)
		}
		p.header, p.value = canonical, secret.Value{}
		if canonical == "Authorization" {
			p.value = secret.NewText("Bearer ")
		}
	}
	if settings.has(fieldTokenPrefix) {
		p.value = secret.NewText(strings.TrimSpace(settings.text(fieldTokenPrefix)) + " ")
	}
	return p, nil
}

// readClientCredentials reads the settings of OAUTH2 for a program that signs
// in as itself (RFC 6749 §4.4). Tokens that a person consented to are renewed
// in a browser, so they are not probed.
func readClientCredentials(settings reader) (*exchange, error) {
	unfit := probe.Found(probe.CodeAuthMethodUnsupported, "Only OAuth 2 client credentials can be probed: an access token URL, a client id and a client secret. Nothing was sent; check the credential where it is used.").At(fieldAuthType)
	id, key := settings.text(fieldClientID), settings.Secret(string(fieldClientSecret))
	if settings.text(fieldExchange) == "3-legged" || id == "" || key.Len() == 0 || !settings.has(fieldAccessURL) {
		return nil, unfit
	}
	u, err := parseURL(settings.text(fieldAccessURL), fieldAccessURL)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(settings.Secret(string(fieldAuthBody)).ExposeText())
	if err != nil {
		return nil, probe.Found(probe.CodeAuthMethodUnsupported, "The body of the token request cannot be read. Write it as a form: name=value, joined by &.").At(fieldAuthBody)
	}
	form.Set("grant_type", "client_credentials")
	x := &exchange{field: fieldAccessURL, guilty: fieldClientSecret, path: []string{"access_token"}, asObject: true}
	x.plan = plan{method: http.MethodPost, url: u, urlField: fieldAccessURL, header: baseHeader()}
	if x.secrets, err = readHeaders(settings.Secret(string(fieldAuthHeaders)), fieldAuthHeaders); err != nil {
		return nil, err
	}
	switch settings.text(fieldAccessScheme) {
	case "form":
		form.Set("client_id", id)
		form.Set("client_secret", key.ExposeText())
	case "query":
		x.secrets = append(x.secrets, place{param: "client_id", value: secret.NewText(id), field: fieldClientID},
			place{param: "client_secret", value: key, field: fieldClientSecret})
	default: // RFC 6749 §2.3.1: both encoded as form values first
		pair := basic(url.QueryEscape(id), secret.NewText(url.QueryEscape(key.ExposeText())))
		x.secrets = append(x.secrets, place{header: "Authorization", value: pair, field: fieldClientSecret})
	}
	if settings.text(fieldAccessMethod) == http.MethodGet {
		x.method = http.MethodGet
		for name := range form {
			x.secrets = append(x.secrets, place{param: name, value: secret.NewText(form.Get(name)), field: fieldClientSecret})
		}
	} else {
		x.body = secret.NewText(form.Encode())
		x.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	kind := "Bearer"
	if settings.has(fieldTokenType) {
		kind = strings.TrimSpace(settings.text(fieldTokenType))
	}
	x.place = place{header: "Authorization", value: secret.NewText(kind + " "), field: fieldClientSecret}
	return x, nil
}

func baseHeader() http.Header {
	return http.Header{"Accept": {"application/json"}}
}

func bodyType(body secret.Value) string {
	b := body.Expose()
	defer clear(b)
	if jsontext.Value(b).IsValid() {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

// obtain makes the exchange and gives the token in its place.
func (c *client) obtain(ctx context.Context, x *exchange) (place, error) {
	r, err := x.request()
	if err != nil {
		return place{}, err
	}
	got, err := c.send(ctx, r, x.field, true)
	if err != nil {
		return place{}, err
	}
	if err := x.refused(got); err != nil {
		return place{}, err
	}
	value, ok := x.token(got.body)
	switch {
	case !ok:
		return place{}, probe.Found(probe.CodeProtocolMismatch, "The sign-in address answered, but not with a token where one was expected. Check the address and the path of the token.").At(x.field)
	case x.sends(string(value)):
		return place{}, probe.Found(probe.CodeProtocolMismatch, "The sign-in address gives back what it was sent, which is no token. Check the address and the path of the token.").At(x.field)
	}
	token := x.place
	token.value = secret.New(append(token.value.Expose(), value...))
	return token, nil
}

// trades reports whether the exchange sends anything that may be secret.
func (x *exchange) trades() bool {
	if len(x.secrets) > 0 {
		return true
	}
	body := strings.TrimSpace(x.body.ExposeText())
	var document any
	if json.Unmarshal([]byte(body), &document) == nil {
		return says(document)
	}
	if form, err := url.ParseQuery(body); err == nil && strings.Contains(body, "=") {
		return slices.ContainsFunc(slices.Collect(maps.Keys(form)), func(name string) bool { return !steers(name) && form.Get(name) != "" })
	}
	return body != ""
}

// says reports whether a document of JSON holds a text or number, but for those
// by which nobody signs in.
func says(document any) bool {
	switch v := document.(type) {
	case string:
		return v != ""
	case float64:
		return true
	case []any:
		return slices.ContainsFunc(v, says)
	case map[string]any:
		for name, value := range v {
			if !steers(name) && says(value) {
				return true
			}
		}
	}
	return false
}

// steers reports whether a field says what is wanted (RFC 6749 §4), and not by
// whom.
func steers(name string) bool { return name == "grant_type" || name == "scope" }

// sends reports whether a text is one of the values that the exchange sends, in
// any of their forms: an address that echoes would otherwise give a token to
// anybody.
func (x *exchange) sends(text string) bool {
	sent := []string{x.url.String(), x.url.Host, x.url.Path}
	for _, values := range x.header {
		sent = append(sent, values...)
	}
	for _, p := range x.secrets {
		value := p.value.ExposeText()
		_, bare, _ := strings.Cut(value, " ")
		pair, _ := base64.StdEncoding.DecodeString(bare)
		user, password, _ := strings.Cut(string(pair), ":")
		sent = append(sent, value, bare, string(pair), user, password)
	}
	body := x.body.ExposeText()
	form, _ := url.ParseQuery(body)
	for _, values := range form {
		sent = append(sent, values...)
	}
	return strings.Contains(body, strconv.Quote(text)) || slices.ContainsFunc(append(sent, body), func(value string) bool {
		plain, err := url.QueryUnescape(value)
		return text == value || err == nil && text == plain
	})
}

// refused reads the status of the sign-in address: nil for 2xx.
func (x *exchange) refused(got answer) error {
	if err := got.unavailable(); err != nil {
		return err
	}
	failed, cause := x.failed(got.body)
	switch {
	case got.status/100 == 2 && failed:
		return probe.Found(probe.CodeSecretNotTested, "The sign-in address answers with an error in place of a token (status %d). Check the secret and the fields that are sent with it.", got.status).At(x.field)
	case got.status/100 == 2:
		return nil
	case got.status == http.StatusUnauthorized, got.status == http.StatusBadRequest && x.asObject && cause == "invalid_client":
		return probe.Found(probe.CodeAuthRejected, "The sign-in address refused the secret (status %d). Enter it again, or make a new one there.", got.status).At(x.guilty).Answered(got.status)
	case got.status/100 == 3:
		return probe.Found(probe.CodeSecretNotTested, "The sign-in address redirects (status %d), and a redirect is never followed with a secret. Name the final address.", got.status).At(x.field)
	}
	return probe.Found(probe.CodeSecretNotTested, "The sign-in address answers with status %d, which tells neither that the secret is good nor that it is bad. Check the address and the fields that are sent with the secret.", got.status).At(x.field)
}

// failed reports whether an answer holds an error, whatever its status says, and
// gives that of RFC 6749 §5.2, if it is one.
func (x *exchange) failed(body []byte) (failed bool, code string) {
	var answer struct {
		Error  jsontext.Value `json:"error"`
		Errors jsontext.Value `json:"errors"`
	}
	if x.plain || json.Unmarshal(body, &answer) != nil {
		return false, ""
	}
	_ = json.Unmarshal(answer.Error, &code)
	return holds(answer.Error) || holds(answer.Errors), code
}

// holds reports whether a member holds more than that there is nothing.
func holds(value jsontext.Value) bool {
	_ = value.Compact()
	switch string(value) {
	case "", "null", "false", "0", `""`, "{}", "[]":
		return false
	}
	return true
}

// token finds the token in the body of an answer.
func (x *exchange) token(body []byte) ([]byte, bool) {
	if x.plain {
		body = bytes.TrimSpace(body)
		return body, len(body) > 0 && headerValue(string(body))
	}
	value := jsontext.Value(body)
	for _, name := range x.path {
		var object map[string]jsontext.Value
		if json.Unmarshal(value, &object) != nil {
			return nil, false
		}
		value = object[name]
	}
	var text string
	if json.Unmarshal(value, &text) != nil || text == "" || !headerValue(text) {
		return nil, false
	}
	return []byte(text), true
}
