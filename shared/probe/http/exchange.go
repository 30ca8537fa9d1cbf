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

// exchange trades the secret for a token at a token address.
type exchange struct {
	plan                     // its request; the secrets in it are those that are traded
	field        probe.Field // of the token address
	guilty       probe.Field // the setting to change when the exchange is rejected
	purpose      probe.Field // the setting that decides what the token is good for
	scope        probe.Field // the setting of its scope
	plain        bool        // the whole body is the token
	path         []string    // the members that lead to the token in a JSON body
	place        place       // where the token goes
	prefix       string      // before the token there
	client       *clientAuth // of OAuth 2; nil for another exchange
	byProtocol   bool        // a token proves the secret: the address is that of a known service
	refuseReason func(x *exchange, got answer, code string) error
}

// obtain makes the exchange, and the same with another secret: only the
// difference proves the secret. It returns the token in its place.
func (t *trial) obtain(ctx context.Context) (place, error) {
	x := t.exchange
	got, err := t.send(ctx, x.plan, false)
	if err != nil {
		return place{}, err
	}
	if got.wantsCertificate() {
		return place{}, t.certificateFinding(got)
	}
	if err := t.refused(got); err != nil {
		return place{}, err
	}
	value, err := x.token(got)
	if err != nil {
		return place{}, err
	}
	token := x.place
	prefix := x.prefix
	if scheme, _, spaced := strings.Cut(string(value), " "); spaced && strings.EqualFold(scheme, strings.TrimSpace(prefix)) {
		prefix = "" // some systems answer with the scheme before the token
	}
	if token.field = x.guilty; !x.trades() {
		token.aside, token.value = true, joined(prefix, secret.New(value))
		return token, nil
	}
	token = token.key(prefix, secret.New(value))
	known := t.attempt.Rejection()
	switch {
	case x.byProtocol:
	case known != "":
		if t.plan.url == nil && got.class().String() == known {
			return place{}, x.anySecret()
		}
	default:
		if err := t.counterExchange(ctx); err != nil {
			return place{}, err
		}
		if err := t.steadyExchange(ctx); err != nil {
			return place{}, err
		}
	}
	t.proven = true
	return token, nil
}

// counterExchange makes the exchange with another secret. A token for it means
// that the address issues tokens without regard to the secret.
func (t *trial) counterExchange(ctx context.Context) error {
	x := t.exchange
	other, err := t.send(ctx, x.counter(), false)
	if err != nil {
		return err
	}
	if err := other.unavailable(); err != nil {
		return err
	}
	if failed, _ := x.failed(other); other.status/100 == 2 && !failed {
		if _, err := x.token(other); err == nil {
			return x.anySecret()
		}
	}
	t.attempt.Reject(other.class().String())
	return nil
}

func (x *exchange) anySecret() error {
	return probe.Found(probe.CodeSecretNotTested, "The token address issues a token for another secret too, so its token proves nothing. Check that it is the token address of the system itself.").At(x.field)
}

// trades reports whether the exchange sends anything that may be secret.
func (x *exchange) trades() bool {
	if x.byProtocol || x.sign != nil || slices.ContainsFunc(x.places, func(p place) bool { return !p.aside }) {
		return true
	}
	body := strings.TrimSpace(x.body.ExposeText())
	var document any
	if json.Unmarshal([]byte(body), &document) == nil {
		return carries(document)
	}
	if form, err := url.ParseQuery(body); err == nil && strings.Contains(body, "=") {
		return slices.ContainsFunc(slices.Collect(maps.Keys(form)), func(name string) bool { return !steers(name) && form.Get(name) != "" })
	}
	return body != ""
}

// carries reports whether a JSON document has a string or number beside those
// that only say what is requested.
func carries(document any) bool {
	switch v := document.(type) {
	case string:
		return v != ""
	case float64:
		return true
	case []any:
		return slices.ContainsFunc(v, carries)
	case map[string]any:
		for name, value := range v {
			if !steers(name) && carries(value) {
				return true
			}
		}
	}
	return false
}

// steers reports whether a field says what is requested (RFC 6749 §4, RFC 8707
// §2), and not by whom.
func steers(name string) bool {
	return slices.Contains([]string{"grant_type", "scope", "audience", "resource"}, name)
}

// sends reports whether a text is one of the values that the exchange sends, in
// any of their forms: an address that echoes would otherwise give a token to
// anybody.
func (x *exchange) sends(text string) bool {
	sent := []string{x.url.String(), x.url.Host, x.url.Path}
	for _, values := range x.header {
		sent = append(sent, values...)
	}
	for _, p := range x.places {
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

// refused reads the answer of the token address: nil for 2xx without an error.
func (t *trial) refused(got answer) error {
	x := t.exchange
	if err := got.unavailable(); err != nil {
		return err
	}
	failed, code := x.failed(got)
	if x.client != nil && (failed || got.status/100 != 2) {
		if err := x.client.refused(x, got, code); err != nil {
			return err
		}
	}
	if grant := x.grant(); grant != "" && (failed || got.status/100 != 2) {
		if err := t.grantRefused(got, grant, code); err != nil {
			return err
		}
	}
	if x.refuseReason != nil && got.status/100 != 2 {
		if err := x.refuseReason(x, got, code); err != nil {
			return err
		}
	}
	switch offered := challenges(got.header); {
	case got.status/100 == 2 && failed:
		return probe.Found(probe.CodeSecretNotTested, "The token address answers with an error in place of a token (status %d). Check the secret and the fields that are sent with it.", got.status).At(x.field)
	case got.status/100 == 2:
		return nil
	case got.status == http.StatusUnauthorized && x.otherScheme(offered):
		return probe.Found(probe.CodeAuthMethodUnsupported, "The token address requires another way to authenticate than this credential uses (its WWW-Authenticate header names it), so it did not check the secret. Check the address and the way to authenticate.").At(x.field)
	case got.status == http.StatusUnauthorized:
		return x.hinted(probe.Found(probe.CodeAuthRejected, "The token address rejects the secret (status %d). Enter it again, or create a new one there.", got.status).At(x.guilty).Answered(got.status), t.settings)
	case got.status == http.StatusForbidden && got.rejects():
		return x.hinted(probe.Found(probe.CodeAuthRejected, "The token address answers that the secret is not valid (status %d). Enter it again, or create a new one there.", got.status).At(x.guilty).Answered(got.status), t.settings)
	case got.status/100 == 3:
		return probe.Found(probe.CodeSecretNotTested, "The token address redirects (status %d), and a redirect is never followed with a secret. Enter the final address.", got.status).At(x.field)
	case got.status == http.StatusNotFound, got.status == http.StatusMethodNotAllowed:
		return probe.Found(probe.CodeSecretNotTested, "The system issues no tokens at this address by this method (status %d). Check its path.", got.status).At(x.field)
	}
	return probe.Found(probe.CodeSecretNotTested, "The token address answers with status %d, which neither proves nor rejects the secret. Check the address and the fields that are sent with the secret.", got.status).At(x.field)
}

// failed reports whether an answer holds an error, whatever its status, and the
// error code of RFC 6749 §5.2 if it is one.
func (x *exchange) failed(got answer) (failed bool, code string) {
	said := got.read()
	if x.plain {
		return said.kind == bodyHTML || said.failed, ""
	}
	var members map[string]jsontext.Value
	if json.Unmarshal(document(got.body), &members, jsontext.AllowDuplicateNames(true)) != nil {
		form, err := url.ParseQuery(strings.TrimSpace(string(got.body)))
		return err == nil && form.Get("error") != "", form.Get("error")
	}
	return said.failed, errorCode(members)
}

// errorCode is the error code of an answer: RFC 6749's member, or that of systems
// that put it into an object, or under another name.
func errorCode(members map[string]jsontext.Value) string {
	for _, name := range []string{"error", "ErrorCode", "errorCode", "error_code", "code"} {
		var code string
		var object map[string]jsontext.Value
		switch value := members[name]; {
		case json.Unmarshal(value, &code) == nil && code != "":
			return code
		case json.Unmarshal(value, &object) == nil:
			if code := errorCode(map[string]jsontext.Value{"code": object["code"], "error": object["type"]}); code != "" {
				return code
			}
		}
	}
	return ""
}

// token finds the token in an answer: JSON, or the form encoding that some
// systems answer with (https://docs.github.com/en/apps/oauth-apps).
func (x *exchange) token(got answer) ([]byte, error) {
	value := x.find(got.body)
	switch {
	case value == nil || !headerValue(string(value)) || slices.Contains(noTokens, strings.ToLower(string(value))):
		return nil, probe.Found(probe.CodeProtocolMismatch, "The token address answers, but without a token where one is expected. Check the address and the path of the token.").At(x.field)
	case x.sends(string(value)):
		return nil, probe.Found(probe.CodeProtocolMismatch, "The token address answers with a value that it was sent, which is no token. Check the address and the path of the token.").At(x.field)
	}
	return value, nil
}

// noTokens are texts in place of a token where there is none.
var noTokens = []string{"null", "undefined", "none", "nil", "false", "0", "-1", "error", "invalid"}

func (x *exchange) find(body []byte) []byte {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\uFEFF")))
	var text string
	if x.plain {
		if json.Unmarshal(body, &text) == nil { // a JSON string is its content
			body = []byte(text)
		}
		if len(body) == 0 {
			return nil
		}
		return body
	}
	value := jsontext.Value(body)
	for _, name := range x.path {
		var object map[string]jsontext.Value
		if json.Unmarshal(value, &object, jsontext.AllowDuplicateNames(true)) != nil {
			form, err := url.ParseQuery(string(body))
			if err != nil || len(x.path) != 1 || form.Get(name) == "" || bytes.ContainsAny(body, "<{ ") {
				return nil
			}
			return []byte(form.Get(name))
		}
		value = object[name]
	}
	if json.Unmarshal(value, &text) != nil || text == "" {
		return nil
	}
	return []byte(text)
}
