package httpprobe

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"credence/shared/probe"
	"credence/shared/secret"
)

// Ways for a client to authenticate at the token address: RFC 6749 §2.3.1, a
// query that some systems require, and RFC 7523 §2.2.
const (
	inHeader  = "header"
	inForm    = "form"
	inQuery   = "query"
	assertion = "private_key_jwt"
)

// clientAuth is how an OAuth 2 client authenticates.
type clientAuth struct {
	scheme   string
	unstated bool // the credential does not name the scheme
	encoded  bool // id or secret differ when they are form-encoded, which not every server decodes
}

// readOAuth2 reads the settings of OAUTH2: an access token that is at hand, or
// the credentials of a client (RFC 6749 §4.4).
func readOAuth2(settings reader, t *trial) error {
	for _, field := range []probe.Field{fieldAccessToken, fieldVendorToken} {
		if token := settings.Secret(string(field)); token.Len() > 0 && !settings.has(fieldAccessURL) {
			t.plan.places = append(t.plan.places, place{header: "Authorization", field: field}.key(tokenScheme(settings), token))
			return nil
		}
	}
	if settings.text(fieldExchange) == "3-legged" || !settings.has(fieldClientID) || !settings.has(fieldAccessURL) ||
		!settings.has(fieldClientSecret) && !settings.has(fieldClientKey) {
		return probe.Found(probe.CodeAuthMethodUnsupported, "A probe uses OAuth 2 with client credentials (a token address, a client id, and a client secret or private key) or with an access token. A consent in a browser cannot be probed. Nothing was sent; check the credential where it is used.").At(fieldAuthType)
	}
	x, err := clientCredentials(settings)
	t.exchange = x
	return err
}

func tokenScheme(settings reader) string {
	if settings.has(fieldTokenType) {
		return strings.TrimSpace(settings.text(fieldTokenType)) + " "
	}
	return "Bearer "
}

func clientCredentials(settings reader) (*exchange, error) {
	u, err := parseURL(settings.text(fieldAccessURL), fieldAccessURL)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(settings.Secret(string(fieldAuthBody)).ExposeText())
	if err != nil {
		return nil, probe.Found(probe.CodeAuthMethodUnsupported, "The body of the token request cannot be read. Write it as a form: name=value, joined by &.").At(fieldAuthBody)
	}
	form.Set("grant_type", "client_credentials")
	for name, field := range map[string]probe.Field{"scope": fieldScope, "audience": fieldAudience, "resource": fieldResource} {
		if settings.has(field) {
			form.Set(name, settings.text(field))
		}
	}
	x := &exchange{field: fieldAccessURL, guilty: fieldClientSecret, purpose: fieldAudience, scope: fieldScope, path: []string{"access_token"}, prefix: tokenScheme(settings)}
	x.plan = plan{method: http.MethodPost, url: u, urlField: fieldAccessURL, header: baseHeader()}
	x.place = place{header: "Authorization"}
	if x.places, err = readHeaders(settings.Secret(string(fieldAuthHeaders)), fieldAuthHeaders); err != nil {
		return nil, err
	}
	for i := range x.places {
		x.places[i].aside = true
	}
	if err := x.authenticate(settings, form); err != nil {
		return nil, err
	}
	return x, nil
}

// authenticate puts the client's id and secret where its scheme has them, and
// completes the request with the form.
func (x *exchange) authenticate(settings reader, form url.Values) error {
	id, key := settings.text(fieldClientID), settings.Secret(string(fieldClientSecret))
	scheme := settings.text(fieldAccessScheme)
	x.client = &clientAuth{scheme: scheme, unstated: scheme == ""}
	if scheme == "" {
		x.client.scheme = inHeader
		if !settings.has(fieldClientSecret) {
			x.client.scheme = assertion
		}
	}
	x.client.encoded = url.QueryEscape(id) != id || url.QueryEscape(key.ExposeText()) != key.ExposeText()
	made := another(key)
	otherForm := clone(form)
	switch x.client.scheme {
	case inForm:
		form.Set("client_id", id)
		form.Set("client_secret", key.ExposeText())
		otherForm.Set("client_id", id)
		otherForm.Set("client_secret", made.ExposeText())
	case inQuery:
		x.places = append(x.places, place{param: "client_id", value: secret.NewText(id), field: fieldClientID, aside: true},
			place{param: "client_secret", value: key, other: made, field: fieldClientSecret})
	case assertion:
		signed, err := clientAssertion(settings, x.url.String())
		if err != nil {
			return err
		}
		x.guilty = fieldClientKey
		form.Set("client_id", id)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		otherForm = clone(form)
		form.Set("client_assertion", signed)
		otherForm.Set("client_assertion", another(secret.NewText(signed)).ExposeText())
	default: // RFC 6749 §2.3.1: both encoded as form values first
		x.places = append(x.places, place{
			header: "Authorization", field: fieldClientSecret,
			value: basic(url.QueryEscape(id), secret.NewText(url.QueryEscape(key.ExposeText()))),
			other: basic(url.QueryEscape(id), secret.NewText(url.QueryEscape(made.ExposeText()))),
		})
	}
	x.complete(settings, form, otherForm)
	return nil
}

// complete puts the form into the body, or with GET into the query.
func (x *exchange) complete(settings reader, form, otherForm url.Values) {
	if settings.text(fieldAccessMethod) != http.MethodGet {
		x.body, x.otherBody = secret.NewText(form.Encode()), secret.NewText(otherForm.Encode())
		x.header.Set("Content-Type", "application/x-www-form-urlencoded")
		return
	}
	x.method = http.MethodGet
	for name := range form {
		x.places = append(x.places, place{param: name, value: secret.NewText(form.Get(name)), other: secret.NewText(otherForm.Get(name)), field: x.guilty})
	}
}

func clone(form url.Values) url.Values {
	copied := url.Values{}
	for name, values := range form {
		copied[name] = slices.Clone(values)
	}
	return copied
}

// refused reads an error of RFC 6749 §5.2, and those that common servers answer
// with; nil where there is none of them.
func (c *clientAuth) refused(x *exchange, got answer, code string) error {
	const untested = probe.CodeSecretNotTested
	status := got.status
	ambiguous := c.scheme == inHeader && c.encoded
	if f := entraCode(got.body); f != nil && (!ambiguous || f.Code != probe.CodeAuthRejected) {
		return f.At(x.guilty).Answered(status)
	}
	switch code {
	case "invalid_client", "invalid_client_credentials", "incorrect_client_credentials":
		return c.rejected(x, got)
	case "unauthorized_client":
		if status == http.StatusUnauthorized && got.rejects() { // Keycloak's answer to a wrong secret
			return c.rejected(x, got)
		}
		return probe.Found(untested, "The token address does not know this client, or does not allow it the client credentials grant (unauthorized_client). Check oauth2.client.id, and have the grant allowed for the client.").At(fieldClientID)
	case "invalid_grant":
		return probe.Found(untested, "The token address rejects the grant (invalid_grant). Check oauth2.auth.body and the clock of the system; the client's secret is neither proven nor rejected.").At(fieldAuthBody)
	case "invalid_scope":
		return probe.Found(untested, "The token address does not accept the scope (invalid_scope). Set oauth2.scope to scopes that this client may request, or leave it out.").At(fieldScope)
	case "invalid_target":
		return probe.Found(untested, "The token address does not accept the resource or audience (invalid_target). Set oauth2.resource or oauth2.audience to one that it knows.").At(fieldResource)
	case "access_denied":
		if status == http.StatusUnauthorized { // Auth0's answer to a wrong secret
			return c.rejected(x, got)
		}
		return probe.Found(untested, "The token address denies this client the audience that it requests (access_denied). Set oauth2.audience, and have the client allowed there.").At(fieldAudience)
	case "unsupported_grant_type":
		return probe.Found(probe.CodeAuthMethodUnsupported, "The token address does not offer the client credentials grant (unsupported_grant_type), so the secret was not checked. Check oauth2.access.token.url.").At(fieldAccessURL)
	case "invalid_request":
		if status == http.StatusUnauthorized { // Apigee's answer to a wrong client
			return c.rejected(x, got)
		}
		return c.badRequest(x, got)
	case "temporarily_unavailable", "server_error":
		return probe.Found(probe.CodeTargetUnavailable, "The token address reports a failure of its own (status %d). Try again later, or contact its operator.", status)
	case "slow_down", "rate_limit_exceeded":
		return probe.Found(probe.CodeRateLimited, "")
	}
	if status == http.StatusUnauthorized {
		return c.rejected(x, got)
	}
	return nil
}

// rejected decides on a client that was not authenticated: it may be the secret,
// or the place that it was sent in.
func (c *clientAuth) rejected(x *exchange, got answer) error {
	const code = probe.CodeSecretNotTested
	if f, ok := cause(got); ok && f.Code.Verdict() == probe.Unknown {
		return blame(f, x.guilty)
	}
	switch {
	case got.says(wordsScheme):
		return probe.Found(code, "The token address requires another way to authenticate for this client (status %d), so it did not check the secret. Set oauth2.client.auth.scheme to the way that is registered for the client: header, form or private_key_jwt.", got.status).At(fieldAccessScheme)
	case got.says(wordsExpired):
		return probe.Found(probe.CodeAuthExpired, "The token address reports that the client's secret has expired. Create a new one there and enter it here.").At(x.guilty).Answered(got.status)
	case c.scheme == assertion && got.says(wordsClaims):
		return probe.Found(code, "The token address rejects a claim of the assertion (status %d), such as its audience, and not its signature. Set oauth2.access.token.url to the address that the system documents as the audience.", got.status).At(fieldAccessURL)
	case c.scheme == assertion:
		return probe.Found(probe.CodeAuthRejected, "The token address rejects the signature of the client's private key (status %d). Check that its public key is registered for this client, and oauth2.client.key.id.", got.status).At(x.guilty).Answered(got.status)
	case c.unstated:
		return probe.Found(code, "The token address does not authenticate the client (status %d). The secret was sent in the header, which is the default; the system may expect it in the form. Set oauth2.client.auth.scheme to form or header, as the system documents, and probe again. If it is set rightly, the client id or secret is wrong.", got.status).At(fieldAccessScheme)
	case c.scheme == inHeader && c.encoded:
		return probe.Found(code, "The token address does not authenticate the client (status %d). The client id or secret contains characters that are encoded in the header (RFC 6749), and not every system decodes them. Set oauth2.client.auth.scheme to form if the system accepts it there; else enter the secret again.", got.status).At(fieldAccessScheme)
	}
	return probe.Found(probe.CodeAuthRejected, "The token address rejects the client id or the client secret (status %d). Enter both again, or create a new secret there.", got.status).At(x.guilty).Answered(got.status)
}

func (c *clientAuth) badRequest(x *exchange, got answer) error {
	const code = probe.CodeSecretNotTested
	switch {
	case got.says(wordsAudience): // Ory Hydra's answer
		return probe.Found(code, "The token address does not accept the audience (invalid_request). Set oauth2.audience to one that this client may request, or leave it out.").At(fieldAudience)
	case c.unstated:
		return probe.Found(code, "The token address finds the request incomplete (invalid_request). Some systems answer so when they expect the client's secret in the form: set oauth2.client.auth.scheme to form. Others require oauth2.scope, oauth2.audience or oauth2.resource.").At(fieldAccessScheme)
	}
	return probe.Found(code, "The token address finds the request incomplete or malformed (invalid_request). Check which of oauth2.scope, oauth2.audience, oauth2.resource and oauth2.auth.body it requires.").At(x.field)
}

func baseHeader() http.Header { return http.Header{"Accept": {"application/json"}} }
