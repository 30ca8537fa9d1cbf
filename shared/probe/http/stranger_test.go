package httpprobe_test

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// serves is a system that answers 401 to who shows nothing, and what any says
// to the others.
func serves(shown func(r *http.Request) string, any int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch shown(r) {
		case key:
		case "":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.WriteHeader(any)
		}
	}
}

func of(header string) func(r *http.Request) string {
	return func(r *http.Request) string {
		return strings.TrimPrefix(r.Header.Get(header), "Bearer ")
	}
}

// Systems that look for a secret, and some that look at it.
func strangers(t *testing.T) {
	apiKey, own := settings{"api_key": key}, settings{"auth.type": "NONE", "request.headers": "Accept: text/plain\nX-Own: " + key}
	bearer := settings{"auth.type": "API_KEY", "api.key.auth.key": "Authorization", "api.key.auth.value": "Bearer " + key}
	parameter := settings{"auth.type": "API_KEY", "api.key.include.mode": "URL_PARAMETER", "api.key.auth.key": "k", "api.key.auth.value": key}
	basic := settings{"auth.type": "BASIC", "basic.username": "app", "basic.password": key}
	tenant := settings{"api_key": key, "request.headers": `{"X-Tenant":"acme"}`}
	password := func(r *http.Request) string {
		user, got, _ := r.BasicAuth()
		if user == "app" && got != key {
			t.Error("a wrong password was tried on the user's own name")
		}
		return got
	}
	asked := func(r *http.Request) string { return r.URL.Query().Get("k") }
	for name, row := range map[string]struct {
		handle   http.HandlerFunc
		settings settings
		want     probe.Code
		pointer  string
	}{
		"any key":             {serves(of("X-Api-Key"), 200), apiKey, probe.CodeSecretNotTested, "base_url"},
		"any key, no content": {serves(of("X-Api-Key"), 204), apiKey, probe.CodeSecretNotTested, "base_url"},
		"any bearer":          {serves(of("Authorization"), 200), bearer, probe.CodeSecretNotTested, "base_url"},
		"any parameter":       {serves(asked, 200), parameter, probe.CodeSecretNotTested, "base_url"},
		"any password":        {serves(password, 200), basic, probe.CodeSecretNotTested, "base_url"},
		"any own header":      {serves(of("X-Own"), 200), own, probe.CodeSecretNotTested, "base_url"},
		"another header, any": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Tenant") == "" {
				w.WriteHeader(http.StatusForbidden)
			}
		}, tenant, probe.CodeSecretNotTested, "base_url"},
		"another header, and the key": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Tenant") != "acme" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			serves(of("X-Api-Key"), 401)(w, r)
		}, tenant, probe.CodeOK, ""},
		"this key":               {serves(of("X-Api-Key"), 401), apiKey, probe.CodeOK, ""},
		"this bearer":            {serves(of("Authorization"), 401), bearer, probe.CodeOK, ""},
		"this parameter":         {serves(asked, 403), parameter, probe.CodeOK, ""},
		"this password":          {serves(password, 401), basic, probe.CodeOK, ""},
		"this own header":        {serves(of("X-Own"), 401), own, probe.CodeOK, ""},
		"malformed to it":        {serves(of("X-Api-Key"), 400), apiKey, probe.CodeOK, ""},
		"hidden from it":         {serves(of("X-Api-Key"), 404), apiKey, probe.CodeOK, ""},
		"sent to sign in":        {serves(of("X-Api-Key"), 302), apiKey, probe.CodeOK, ""},
		"breaks on it":           {serves(of("X-Api-Key"), 500), apiKey, probe.CodeOK, ""},
		"too often":              {serves(of("X-Api-Key"), 429), apiKey, probe.CodeRateLimited, ""},
		"asks for Digest":        {challenge("Digest realm=x"), basic, probe.CodeAuthMethodUnsupported, "auth.type"},
		"asks for Negotiate":     {challenge("Negotiate", "NTLM"), basic, probe.CodeAuthMethodUnsupported, "auth.type"},
		"asks for Basic too":     {challenge("Digest realm=x", "Basic realm=y"), basic, probe.CodeAuthRejected, "basic.password"},
		"asks for Basic in one":  {challenge("Digest realm=x, Basic realm=y"), basic, probe.CodeAuthRejected, "basic.password"},
		"asks for a bearer":      {challenge("Bearer"), basic, probe.CodeAuthRejected, "basic.password"},
		"asks a key for Digest":  {challenge("Digest realm=x"), apiKey, probe.CodeAuthRejected, "api_key"},
		"asks for nothing named": {challenge(), basic, probe.CodeAuthRejected, "basic.password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, with(web(t, nil, row.handle).URL, nil).only(row.settings), probe.Config{})
			expect(t, got, row.want, row.pointer)
		})
	}
}

// only gives other settings for the same address.
func (s settings) only(others settings) settings {
	all := settings{"base_url": s["base_url"]}
	for name, value := range others {
		all[name] = value
	}
	return all
}

func challenge(challenges ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Www-Authenticate"] = challenges
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// Sign-in addresses that give a token to anybody, and some that look at what
// they are sent.
func strangersSignIn(t *testing.T) {
	guests := func(w http.ResponseWriter, r *http.Request) { // a token of another kind for who is not known
		body, _ := io.ReadAll(r.Body)
		given := "guest"
		if strings.Contains(string(body), key) {
			given = token
		}
		answer(http.StatusOK, `{"data":{"token":"`+given+`"}}`)(w, r)
	}
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer(http.StatusOK, `{"json":`+string(body)+`}`)(w, r)
	}
	anybody := answer(http.StatusOK, `{"access_token":"`+token+`","data":{"token":"`+token+`"}}`)
	tokens, guestsToo := header("Authorization", "Bearer "+token), func(r *http.Request) bool { return r.Header.Get("Authorization") != "" }
	login := settings{"auth.type": "TOKEN", "token.auth.url": "/token", "token.auth.body": `{"user":"app","password":"` + key + `"}`, "token.auth.token.path": "data.token"}
	echoed := login.and(settings{"token.auth.token.path": "json.password"})
	client := settings{"auth.type": "OAUTH2", "oauth2.client.id": "app", "oauth2.client.secret": key, "oauth2.access.token.url": "/token"}
	form := client.and(settings{"oauth2.client.auth.scheme": "form"})
	get := client.and(settings{"oauth2.client.auth.scheme": "query", "oauth2.access.token.method": "GET"})
	bare := settings{"token.auth.body": nil, "auth.type": "TOKEN", "token.auth.url": "/token", "request.headers": "X-Own: " + key}
	both := func(r *http.Request) bool { return tokens(r) && r.Header.Get("X-Own") == key }
	const untested = probe.CodeSecretNotTested
	for name, row := range map[string]struct {
		token    http.HandlerFunc
		ok       func(r *http.Request) bool
		settings settings
		want     probe.Code // with an address to try the token at
		alone    probe.Code // without
	}{
		"any client":          {anybody, tokens, client, untested, untested},
		"any client, form":    {anybody, tokens, form, untested, untested},
		"any client, GET":     {anybody, tokens, get, untested, untested},
		"this client":         {grant("app", key, "header"), tokens, client, probe.CodeOK, probe.CodeOK},
		"this client, form":   {grant("app", key, "form"), tokens, form, probe.CodeOK, probe.CodeOK},
		"this client, GET":    {grant("app", key, "query"), tokens, get, probe.CodeOK, probe.CodeOK},
		"any login":           {anybody, tokens, login, untested, untested},
		"echoes":              {echo, guestsToo, echoed, untested, untested},
		"guests, told apart":  {guests, tokens, login, probe.CodeOK, untested},
		"guests, taken":       {guests, guestsToo, login, untested, untested},
		"an error beside":     {answer(200, `{"error":{"code":1},"data":{"token":"x"}}`), guestsToo, login, untested, untested},
		"errors beside":       {answer(200, `{"errors":["no"],"data":{"token":"x"}}`), guestsToo, login, untested, untested},
		"an error for others": {judged(`{"error":null,"errors":[],"data":{"token":"`+token+`"}}`, 200, `{"error":"no","data":{"token":"x"}}`), tokens, login, probe.CodeOK, probe.CodeOK},
		"fails for others":    {judged(`{"data":{"token":"`+token+`"}}`, 500, ""), tokens, login, probe.CodeOK, probe.CodeOK},
		"too often":           {judged(`{"data":{"token":"`+token+`"}}`, 429, ""), tokens, login, probe.CodeRateLimited, probe.CodeRateLimited},
		"a form":              {judged(`{"data":{"token":"`+token+`"}}`, 401, ""), tokens, login.and(settings{"token.auth.body": "grant_type=password&user=app&password=" + key}), probe.CodeOK, probe.CodeOK},
		"neither":             {judged(`{"data":{"token":"`+token+`"}}`, 401, ""), tokens, login.and(settings{"token.auth.body": "<password>" + key + "</password>"}), probe.CodeOK, probe.CodeOK},
		"a token for nothing": {anybody, both, bare, probe.CodeOK, untested},
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
	all := settings{}
	for name, value := range s {
		all[name] = value
	}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// judged is a sign-in that knows the key, and answers otherwise to who does not.
func judged(good string, status int, other string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), key) {
			answer(http.StatusOK, good)(w, r)
			return
		}
		answer(status, other)(w, r)
	}
}

// A stranger sends a body of the same form: nothing of the credential's own,
// be it a name, and what the sign-in is steered by.
func TestWhatAStrangerSends(t *testing.T) {
	for name, row := range map[string]struct{ body, want string }{
		"JSON":       {`{"user":"app-` + key + `","pin":[1,{"x":"` + key + `"}],"on":true,"grant_type":"password"}`, `{"user":"CREDENCEPROBENOBODY1","pin":[0,{"x":"CREDENCEPROBENOBODY1"}],"on":true,"grant_type":"password"}`},
		"form":       {"grant_type=password&scope=a&user=app&password=" + key, "grant_type=password&password=CREDENCEPROBENOBODY1&scope=a&user=CREDENCEPROBENOBODY1"},
		"plain text": {key, "CREDENCEPROBENOBODY1"},
		"odd form":   {"a=%zz" + key, "CREDENCEPROBENOBODY1"},
	} {
		var asked atomic.Int64
		url := api(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			switch asked.Add(1) {
			case 1:
				if string(body) != row.body {
					t.Errorf("%s: the body became %d bytes", name, len(body))
				}
				answer(http.StatusOK, `{"access_token":"`+token+`"}`)(w, r)
			case 2:
				if !same(string(body), row.want) {
					t.Errorf("%s: a stranger sends %s", name, body)
				}
				answer(http.StatusUnauthorized, probetest.Foreign)(w, r)
			default:
				t.Errorf("%s: asked again", name)
			}
		}, header("Authorization", "Bearer "+token))
		got := run(t, settings{"auth.type": "TOKEN", "token.auth.url": url + "/token", "base_url": url, "token.auth.body": row.body}, probe.Config{})
		expect(t, got, probe.CodeOK, "")
	}
}

// same compares texts, JSON regardless of its order.
func same(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}
