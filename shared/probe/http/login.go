package httpprobe

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/pattern"
	"credence/shared/probe"
	"credence/shared/secret"
)

// login are the settings of a sign-in address that answers with a token, for
// the ways that have one.
type login struct {
	url, body, format, path probe.Field
}

// readToken reads the settings of TOKEN: a request to token.auth.url whose
// answer holds the token.
func readToken(settings reader, t *trial) error {
	if settings.text(fieldTokenFormat) == "xml" || settings.has(fieldTokenCookie) || settings.has(fieldTokenFrom) {
		return probe.Found(probe.CodeAuthMethodUnsupported, "A token in XML, in a cookie or in a header of the answer cannot be probed. Nothing was sent; check the credential where it is used.").At(fieldTokenFormat)
	}
	x, err := readLogin(settings, login{fieldLoginURL, fieldLoginBody, fieldTokenFormat, fieldTokenPath})
	if err != nil {
		return err
	}
	switch m := settings.text(fieldLoginMethod); m {
	case "":
	case http.MethodGet, http.MethodPost, http.MethodPut:
		x.method = m
	default:
		return probe.Found(probe.CodeAuthMethodUnsupported, "A probe requests a token by GET, POST or PUT. Set token.auth.method to one of them.").At(fieldLoginMethod)
	}
	if x.method == http.MethodGet {
		x.body, x.otherBody = secret.Value{}, secret.Value{}
		x.header.Del("Content-Type")
	}
	if settings.has(fieldUser) || settings.has(fieldPassword) {
		pair, err := readBasic(settings)
		if err != nil {
			return err
		}
		x.places, x.guilty = []place{pair}, pair.field
	}
	x.purpose, x.scope = fieldTokenHeader, fieldTokenHeader
	t.exchange = x
	x.place, x.prefix, err = tokenPlace(settings)
	return err
}

func readLogin(settings reader, from login) (*exchange, error) {
	if !settings.has(from.url) {
		return nil, probe.Found(probe.CodeAuthMethodUnsupported, "The address that issues the token is missing. Enter it.").At(from.url)
	}
	u, err := parseURL(settings.text(from.url), from.url)
	if err != nil {
		return nil, err
	}
	x := &exchange{field: from.url, guilty: from.body, plain: settings.text(from.format) == "plain"}
	x.plan = plan{method: http.MethodPost, url: u, urlField: from.url, header: baseHeader(), body: settings.Secret(string(from.body))}
	x.otherBody = withoutSecrets(x.body)
	if x.body.Len() > 0 {
		x.header.Set("Content-Type", bodyType(x.body))
	}
	path := strings.TrimPrefix(strings.TrimPrefix(settings.text(from.path), "$"), ".")
	if path == "" {
		path = "access_token"
	}
	x.path = strings.Split(path, ".")
	return x, nil
}

// tokenPlace reads where the token goes in the requests that follow.
func tokenPlace(settings reader) (p place, prefix string, err error) {
	if settings.text(fieldTokenMode) == "URL_PARAMETER" {
		name := settings.text(fieldTokenParam)
		if name == "" {
			return place{}, "", probe.Found(probe.CodeAuthMethodUnsupported, "The name of the parameter that takes the token is missing. Enter it.").At(fieldTokenParam)
		}
		return place{param: name}, "", nil
	}
	p, prefix = place{header: "Authorization"}, "Bearer "
	if name := settings.text(fieldTokenHeader); name != "" {
		if !headerName(name) {
			return place{}, "", refuseName(fieldTokenHeader)
		}
		if p.header = name; !strings.EqualFold(name, "Authorization") {
			prefix = ""
		}
	}
	if settings.has(fieldTokenPrefix) {
		prefix = strings.TrimSpace(settings.text(fieldTokenPrefix)) + " "
	}
	return p, prefix, nil
}

// secretName are names of headers and members that hold a secret.
var secretName = pattern.New(`(?i)auth|key|token|secret|pass|pwd|pin|signature|cookie|session|credential`)

// withoutSecrets is a body for a counter-example. It usually holds the password
// of an account, so the members that are named like secrets are left out, and
// the whole body where none is.
func withoutSecrets(body secret.Value) secret.Value {
	var members map[string]jsontext.Value
	if json.Unmarshal([]byte(body.ExposeText()), &members) == nil {
		if !strip(members) {
			return secret.NewText("{}")
		}
		left, err := json.Marshal(members)
		if err != nil {
			return secret.NewText("{}")
		}
		return secret.New(left)
	}
	form, err := url.ParseQuery(body.ExposeText())
	if err != nil {
		return secret.Value{}
	}
	found := false
	for name := range form {
		if secretName.MatchString(name) {
			form.Del(name)
			found = true
		}
	}
	if !found {
		return secret.Value{}
	}
	return secret.NewText(form.Encode())
}

// strip takes out the members that are named like secrets, at each level.
func strip(members map[string]jsontext.Value) (found bool) {
	for name, value := range members {
		var inner map[string]jsontext.Value
		switch {
		case value.Kind() == '{' && json.Unmarshal(value, &inner) == nil:
			if !strip(inner) {
				continue
			}
			found = true
			if left, err := json.Marshal(inner); err == nil {
				members[name] = left
			}
		case secretName.MatchString(name):
			delete(members, name)
			found = true
		}
	}
	return found
}

func bodyType(body secret.Value) string {
	b := body.Expose()
	defer clear(b)
	if jsontext.Value(b).IsValid() {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}
