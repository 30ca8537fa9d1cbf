package httpprobe_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"testing"

	"credence/shared/probe"
)

// shows is a request with these headers, name and value in turn.
func shows(headers ...string) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		for i := 0; i < len(headers); i += 2 {
			if r.Header.Get(headers[i]) != headers[i+1] {
				return false
			}
		}
		return true
	}
}

// Headers of the user's own are the secret where nothing else is one, and stay
// as they are where something is.
func ownHeaders(t *testing.T) {
	tenant := settings{"api_key": key, "request.headers": `{"X-Tenant":"acme"}`}
	only := settings{"auth.type": "NONE", "request.headers": "Accept: text/plain\nUser-Agent: loader\nX-Own: " + key}
	two := settings{"auth.type": "NONE", "request.headers": "X-App: app\nX-Own: " + key}
	for name, row := range map[string]struct {
		ok       func(r *http.Request) bool
		settings settings
		want     probe.Code
		pointer  string
	}{
		"asks for both":            {shows("X-Tenant", "acme", "X-Api-Key", key), tenant, probe.CodeOK, ""},
		"asks for the key alone":   {shows("X-Api-Key", key), tenant, probe.CodeOK, ""},
		"does not look at the key": {shows("X-Tenant", "acme"), tenant, probe.CodeSecretNotTested, "base_url"},
		"wants another key":        {shows("X-Tenant", "acme", "X-Api-Key", "another"), tenant, probe.CodeAuthRejected, "api_key"},
		"asks for it":              {shows("X-Own", key), only, probe.CodeOK, ""},
		"asks who it is besides":   {shows("X-Own", key, "User-Agent", "loader"), only, probe.CodeOK, ""},
		"only asks who it is":      {shows("User-Agent", "loader", "Accept", "text/plain"), only, probe.CodeSecretNotTested, "base_url"},
		"POST, only who it is":     {func(*http.Request) bool { return true }, settings{"auth.type": "NONE", "test.url": "/", "test.method": "POST", "request.headers": "Accept: a/b\nReferer: x"}, probe.CodeOK, ""},
		"asks for two":             {shows("X-App", "app", "X-Own", key), two, probe.CodeOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, run(t, at(api(t, nil, row.ok), row.settings), probe.Config{}), row.want, row.pointer)
		})
	}
}

// A 401 says how to sign in (RFC 9110 §11.6.1): one that asks for a password in
// another way did not look at one that came by Basic.
func challenges(t *testing.T) {
	basic := settings{"auth.type": "BASIC", "basic.username": "app", "basic.password": key}
	for name, row := range map[string]struct {
		challenges []string
		settings   settings
		want       probe.Code
		pointer    string
	}{
		"Digest":            {[]string{"Digest realm=x"}, basic, probe.CodeAuthMethodUnsupported, "auth.type"},
		"Negotiate or NTLM": {[]string{"Negotiate", "NTLM"}, basic, probe.CodeAuthMethodUnsupported, "auth.type"},
		"Basic too":         {[]string{"Digest realm=x", "Basic realm=y"}, basic, probe.CodeAuthRejected, "basic.password"},
		"Basic in one":      {[]string{"Digest realm=x, Basic realm=y"}, basic, probe.CodeAuthRejected, "basic.password"},
		"a bearer":          {[]string{"Bearer"}, basic, probe.CodeAuthMethodUnsupported, "auth.type"},
		"both in one":       {[]string{"Negotiate, NTLM"}, basic, probe.CodeAuthMethodUnsupported, "auth.type"},
		"a quoted Basic":    {[]string{`Bearer realm="a, Basic b"`}, basic, probe.CodeAuthMethodUnsupported, "auth.type"},
		"a token68":         {[]string{"Negotiate YII=, Basic realm=\"x\""}, basic, probe.CodeAuthRejected, "basic.password"},
		"nothing named":     {nil, basic, probe.CodeAuthRejected, "basic.password"},
		"Digest of a key":   {[]string{"Digest realm=x"}, settings{"api_key": key}, probe.CodeAuthMethodUnsupported, "auth.type"},
		"a scheme of keys":  {[]string{"ApiKey", "Basic"}, settings{"api_key": key}, probe.CodeAuthRejected, "api_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := web(t, nil, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Www-Authenticate"] = row.challenges
				w.WriteHeader(http.StatusUnauthorized)
			})
			expect(t, run(t, at(s.URL, row.settings), probe.Config{}), row.want, row.pointer)
		})
	}
}

// Answers of a sign-in address that hold a token, or what looks like one.
func doubtfulTokens(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer(http.StatusOK, `{"json":`+string(body)+`,"header":"`+r.Header.Get("Authorization")+`"}`)(w, r)
	}
	form := func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusOK, `{"token":"`+r.PostFormValue("password")+`"}`)(w, r)
	}
	decoded := func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		plain, _ := url.QueryUnescape(password)
		answer(http.StatusOK, `{"user":"`+user+`","password":"`+password+`","access_token":"`+plain+`","host":"`+r.Host+`"}`)(w, r)
	}
	pinned := func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) == "{}" {
			answer(http.StatusUnauthorized, "")(w, r)
			return
		}
		answer(http.StatusOK, `{"token":"`+token+`"}`)(w, r)
	}
	anything := func(r *http.Request) bool { return r.Header.Get("Authorization") != "" }
	bearer := shows("Authorization", "Bearer "+token)
	login := settings{"auth.type": "TOKEN", "token.auth.url": "/token", "token.auth.body": `{"user":"app","password":"` + key + `"}`, "token.auth.token.path": "token"}
	free := settings{"auth.type": "TOKEN", "token.auth.url": "/token", "token.auth.token.path": "token", "request.headers": "X-Own: " + key}
	given := answer(http.StatusOK, `{"token":"`+token+`"}`)
	const untested = probe.CodeSecretNotTested
	for name, row := range map[string]struct {
		token    http.HandlerFunc
		ok       func(r *http.Request) bool
		settings settings
		want     probe.Code // with an address to try the token at
		alone    probe.Code // without
	}{
		"no error beside":       {secretly(`{"error":null,"errors":[],"token":"` + token + `"}`), bearer, login, probe.CodeOK, probe.CodeOK},
		"an error beside":       {answer(200, `{"error":{"code":1},"token":"x"}`), anything, login, untested, untested},
		"errors beside":         {answer(200, `{"errors":["no"],"token":"x"}`), anything, login, untested, untested},
		"an echo of the body":   {echo, anything, login.and(settings{"token.auth.token.path": "json.password"}), probe.CodeProtocolMismatch, probe.CodeProtocolMismatch},
		"an echo of the header": {echo, anything, login.and(settings{"token.auth.token.path": "header", "token.auth.body": "{}", "basic.username": "app", "basic.password": key}), probe.CodeProtocolMismatch, probe.CodeProtocolMismatch},
		"an echo of Basic":      {decoded, anything, login.and(settings{"token.auth.token.path": "password", "token.auth.body": nil, "basic.username": "app", "basic.password": key}), probe.CodeProtocolMismatch, probe.CodeProtocolMismatch},
		"an echo of a user":     {decoded, anything, login.and(settings{"token.auth.token.path": "user", "token.auth.body": nil, "basic.username": "app", "basic.password": key}), probe.CodeProtocolMismatch, probe.CodeProtocolMismatch},
		"an echo of a client":   {decoded, anything, settings{"auth.type": "OAUTH2", "oauth2.client.id": "app", "oauth2.client.secret": key + "+/=", "oauth2.access.token.url": "/token"}, probe.CodeProtocolMismatch, probe.CodeProtocolMismatch},
		"an echo of the host":   {decoded, anything, login.and(settings{"token.auth.token.path": "host"}), probe.CodeProtocolMismatch, probe.CodeProtocolMismatch},
		"for an empty body":     {given, bearer, login.and(settings{"token.auth.body": "{}"}), untested, untested},
		"for a blank body":      {given, bearer, login.and(settings{"token.auth.body": "  "}), untested, untested},
		"for a scope":           {given, bearer, login.and(settings{"token.auth.body": "grant_type=client_credentials&scope=a"}), untested, untested},
		"for a scope, JSON":     {given, bearer, login.and(settings{"token.auth.body": `{"scope":"a","on":true,"of":[null,{}]}`}), untested, untested},
		"for a number":          {pinned, bearer, login.and(settings{"token.auth.body": `{"pin":[{"x":7}]}`}), probe.CodeOK, probe.CodeOK},
		"for anything":          {given, bearer, login, untested, untested},
		"for a word":            {secretly(`{"token":"` + token + `"}`), bearer, login.and(settings{"token.auth.body": key}), probe.CodeOK, probe.CodeOK},
		"an echo of a form":     {form, anything, login.and(settings{"token.auth.body": "user=app&password=" + key}), probe.CodeProtocolMismatch, probe.CodeProtocolMismatch},
		"a token like a part":   {secretly(`{"token":"` + key[:4] + `"}`), shows("Authorization", "Bearer "+key[:4]), login, probe.CodeOK, probe.CodeOK},
		"for nothing":           {given, shows("Authorization", "Bearer "+token, "X-Own", key), free, probe.CodeOK, untested},
		"for nothing, enough":   {given, bearer, free, untested, untested},
		"for nothing, refused":  {given, shows("X-Own", "another"), free, probe.CodeAuthRejected, untested},
	} {
		for _, alone := range []bool{false, true} {
			label, want := name, row.want
			if alone {
				label, want = name+", alone", row.alone
			}
			t.Run(label, func(t *testing.T) {
				t.Parallel()
				s := at(api(t, row.token, row.ok), row.settings)
				if alone {
					delete(s, "base_url")
				}
				if got := run(t, s, probe.Config{}); got.Code != want {
					t.Errorf("got %s at %q, want %s: %s", got.Code, got.Pointer, want, got.Message)
				}
			})
		}
	}
}

// and gives the settings with more.
func (s settings) and(more settings) settings {
	all := maps.Clone(s)
	maps.Copy(all, more)
	return all
}
