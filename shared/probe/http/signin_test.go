package httpprobe_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// api accepts what ok accepts and refuses the rest; token trades.
func api(t *testing.T, token http.HandlerFunc, ok func(r *http.Request) bool) string {
	t.Helper()
	mux := http.NewServeMux()
	if token != nil {
		mux.HandleFunc("/token", token)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !ok(r) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s := httptest.NewServer(mux) // no foreign text behind a body that must be JSON
	t.Cleanup(s.Close)
	return s.URL
}

func header(name, value string) func(r *http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get(name) == value }
}

const token = "canary-token-77aa01"

func waysToSignIn(t *testing.T) {
	basicOK := func(r *http.Request) bool {
		user, password, ok := r.BasicAuth()
		return ok && user == "app" && password == key
	}
	for name, row := range map[string]struct {
		ok       func(r *http.Request) bool
		settings settings
		want     probe.Code
		pointer  string
	}{
		"simple":          {header("X-Api-Key", key), settings{"api_key": key}, probe.CodeOK, ""},
		"header":          {header("X-My-Key", key), settings{"auth.type": "API_KEY", "api.key.include.mode": "HEADER", "api.key.auth.key": "x-my-key", "api.key.auth.value": key}, probe.CodeOK, ""},
		"header, unnamed": {header("X-Api-Key", key), settings{"auth.type": "API_KEY", "api.key.auth.value": key}, probe.CodeOK, ""},
		"header, wrong":   {header("X-My-Key", key), settings{"auth.type": "API_KEY", "api.key.auth.key": "X-My-Key", "api.key.auth.value": key + "x"}, probe.CodeAuthRejected, "api.key.auth.value"},
		"parameter": {func(r *http.Request) bool {
			return r.URL.Query().Get("k&y") == key+"&=%" && r.URL.Query().Get("a") == "1"
		}, settings{"auth.type": "API_KEY", "api.key.include.mode": "URL_PARAMETER", "api.key.auth.key": "k&y", "api.key.auth.value": key + "&=%", "test.url": "?a=1"}, probe.CodeOK, ""},
		"parameter, wrong":       {func(r *http.Request) bool { return r.URL.Query().Get("k") == key }, settings{"auth.type": "API_KEY", "api.key.include.mode": "URL_PARAMETER", "api.key.auth.key": "k", "api.key.auth.value": key + "x"}, probe.CodeAuthRejected, "api.key.auth.value"},
		"parameter without name": {header("X", ""), settings{"auth.type": "API_KEY", "api.key.include.mode": "URL_PARAMETER", "api.key.auth.value": key}, probe.CodeAuthMethodUnsupported, "api.key.auth.key"},
		"basic":                  {basicOK, settings{"auth.type": "BASIC", "basic.username": "app", "basic.password": key}, probe.CodeOK, ""},
		"basic, wrong":           {basicOK, settings{"auth.type": "BASIC", "basic.username": "app", "basic.password": key + "x"}, probe.CodeAuthRejected, "basic.password"},
		"basic, wrong user":      {basicOK, settings{"auth.type": "BASIC", "basic.username": "other", "basic.password": key}, probe.CodeAuthRejected, "basic.password"},
		"basic, colon in user":   {basicOK, settings{"auth.type": "BASIC", "basic.username": "app:x", "basic.password": key}, probe.CodeAuthMethodUnsupported, "basic.username"},
		"none":                   {func(*http.Request) bool { return true }, settings{"auth.type": "NONE"}, probe.CodeOK, ""},
		"none, refused":          {header("X", "y"), settings{"auth.type": "NONE"}, probe.CodeAuthRejected, "base_url"},
		"own headers, JSON":      {header("X-Own", key), settings{"auth.type": "NONE", "request.headers": `{"X-Own":"` + key + `","Accept":"text/plain"}`}, probe.CodeOK, ""},
		"own headers, lines":     {header("X-Own", key), settings{"auth.type": "NONE", "request.headers": "Accept: text/plain\r\nX-Own: " + key}, probe.CodeOK, ""},
		"own headers, wrong":     {header("X-Own", key), settings{"auth.type": "NONE", "request.headers": `{"X-Own":"` + key + `x"}`}, probe.CodeAuthRejected, "request.headers"},
		"own headers, unclear":   {header("X-Own", key), settings{"auth.type": "NONE", "request.headers": key}, probe.CodeAuthMethodUnsupported, "request.headers"},
		"own headers, no texts":  {header("X-Own", key), settings{"auth.type": "NONE", "request.headers": `{"X-Own":["` + key + `"]}`}, probe.CodeAuthMethodUnsupported, "request.headers"},
		"own headers and a key":  {header("X-Api-Key", key), settings{"api_key": key, "request.headers": `{"x-api-key":"other"}`}, probe.CodeOK, ""},
		"POST":                   {func(r *http.Request) bool { return posted(r) && r.Header.Get("X-Api-Key") == key }, settings{"api_key": key, "test.url": "/", "test.method": "POST", "test.body": `{"q":"` + key + `"}`, "test.content.type": "application/json"}, probe.CodeOK, ""},
		"POST, wrong":            {func(r *http.Request) bool { return r.Header.Get("X-Api-Key") == key }, settings{"api_key": key + "x", "test.url": "/", "test.method": "POST"}, probe.CodeAuthRejected, "api_key"},
		"DELETE":                 {header("X", ""), settings{"api_key": key, "test.url": "/", "test.method": "DELETE"}, probe.CodeAuthMethodUnsupported, "test.method"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, at(api(t, nil, row.ok), row.settings), probe.Config{})
			expect(t, got, row.want, row.pointer)
			warned := len(got.Warnings) == 1 && got.Warnings[0].Code == probe.WarnNoSecret
			if warned != (name == "none") {
				t.Errorf("warnings %v", got.Warnings)
			}
		})
	}
}

// at completes settings with the address of a server: of base_url, and of the
// others where they are a path or a query alone.
func at(url string, s settings) settings {
	whole := settings{"base_url": url}
	for name, value := range s {
		if text, ok := value.(string); ok && strings.HasSuffix(name, "url") {
			value = url + text
		}
		whole[name] = value
		if value == nil {
			delete(whole, name)
		}
	}
	return whole
}

func posted(r *http.Request) bool {
	body, _ := io.ReadAll(r.Body)
	return r.Method == "POST" && string(body) == `{"q":"`+key+`"}` && r.Header.Get("Content-Type") == "application/json"
}

func expect(t *testing.T, got probe.Result, code probe.Code, field string) {
	t.Helper()
	if field != "" {
		field = "/credentials/" + field
	}
	if got.Code != code || got.Pointer != field {
		t.Errorf("got %s at %q, want %s at %q: %s %+v", got.Code, got.Pointer, code, field, got.Message, got.Stages)
	}
}

func tokens(t *testing.T) {
	bearer := header("Authorization", "Bearer "+token)
	clientID, clientSecret := "id&1", key+"&=+ %"
	oauth := func(more settings) settings {
		s := settings{"auth.type": "OAUTH2", "oauth2.client.id": clientID, "oauth2.client.secret": clientSecret, "oauth2.access.token.url": "/token"}
		for k, v := range more {
			s[k] = v
		}
		return s
	}
	login := func(more settings) settings {
		s := settings{"auth.type": "TOKEN", "token.auth.url": "/token", "token.auth.body": `{"password":"` + key + `"}`, "token.auth.token.path": "data.token"}
		for k, v := range more {
			s[k] = v
		}
		return s
	}
	for name, row := range map[string]struct {
		token    http.HandlerFunc
		ok       func(r *http.Request) bool
		settings settings
		want     probe.Code
		pointer  string
	}{
		"client credentials, header": {grant(clientID, clientSecret, "header"), bearer, oauth(nil), probe.CodeOK, ""},
		"client credentials, form":   {grant(clientID, clientSecret, "form"), bearer, oauth(settings{"oauth2.client.auth.scheme": "form", "oauth2.auth.body": "scope=read"}), probe.CodeOK, ""},
		"client credentials, query":  {grant(clientID, clientSecret, "query"), bearer, oauth(settings{"oauth2.client.auth.scheme": "query"}), probe.CodeOK, ""},
		"client credentials, GET":    {grant(clientID, clientSecret, "query"), bearer, oauth(settings{"oauth2.client.auth.scheme": "query", "oauth2.access.token.method": "GET"}), probe.CodeOK, ""},
		"another word than Bearer":   {grant(clientID, clientSecret, "header"), header("Authorization", "Token "+token), oauth(settings{"oauth2.token.type.override": "Token"}), probe.CodeOK, ""},
		"wrong secret":               {grant(clientID, clientSecret+"x", "header"), bearer, oauth(settings{"oauth2.client.auth.scheme": "form"}), probe.CodeAuthRejected, "oauth2.client.secret"},
		"wrong secret, no scheme":    {grant(clientID, clientSecret+"x", "header"), bearer, oauth(nil), probe.CodeSecretNotTested, "oauth2.client.auth.scheme"},
		"wrong secret, 400":          {answer(400, `{"error":"invalid_client","error_description":"`+probetest.Foreign+`"}`), bearer, oauth(settings{"oauth2.client.auth.scheme": "form"}), probe.CodeAuthRejected, "oauth2.client.secret"},
		"wrong scope, 400":           {answer(400, `{"error":"invalid_scope"}`), bearer, oauth(nil), probe.CodeSecretNotTested, "oauth2.scope"},
		"token address closed":       {answer(403, ""), bearer, oauth(nil), probe.CodeSecretNotTested, "oauth2.access.token.url"},
		"token address redirects":    {answer(302, ""), bearer, oauth(nil), probe.CodeSecretNotTested, "oauth2.access.token.url"},
		"token address fails":        {answer(503, ""), bearer, oauth(nil), probe.CodeTargetUnavailable, ""},
		"token address is busy":      {answer(429, ""), bearer, oauth(nil), probe.CodeRateLimited, ""},
		"an error that says 200":     {answer(200, `{"error":"incorrect_client_credentials","error_description":"`+probetest.Foreign+`"}`), bearer, oauth(nil), probe.CodeSecretNotTested, "oauth2.client.auth.scheme"},
		"an error and a token":       {answer(200, `{"error":"invalid_client","access_token":"`+token+`"}`), bearer, oauth(nil), probe.CodeSecretNotTested, "oauth2.client.auth.scheme"},
		"closed for asking too often": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "60")
			answer(403, probetest.Foreign)(w, r)
		}, bearer, oauth(nil), probe.CodeRateLimited, ""},
		"login, nothing secret":      {answer(200, `{"access_token":"`+token+`"}`), bearer, login(settings{"token.auth.body": nil, "token.auth.token.path": nil}), probe.CodeSecretNotTested, "token.auth.body"},
		"login, GET has no body":     {answer(200, `{"access_token":"`+token+`"}`), bearer, login(settings{"token.auth.method": "GET", "token.auth.token.path": nil}), probe.CodeSecretNotTested, "token.auth.body"},
		"login, words for a token":   {answer(200, "Invalid credentials"), bearer, login(settings{"token.auth.response.format": "plain", "base_url": nil}), probe.CodeSecretNotTested, "token.auth.url"},
		"no token":                   {answer(200, `{"token_type":"bearer"}`), bearer, oauth(nil), probe.CodeProtocolMismatch, "oauth2.access.token.url"},
		"token is no text":           {answer(200, `{"access_token":{"x":1}}`), bearer, oauth(nil), probe.CodeProtocolMismatch, "oauth2.access.token.url"},
		"token with a line break":    {answer(200, `{"access_token":"a\r\nX: y"}`), bearer, oauth(nil), probe.CodeProtocolMismatch, "oauth2.access.token.url"},
		"token is HTML":              {answer(200, "<html>"+probetest.Foreign), bearer, oauth(nil), probe.CodeProtocolMismatch, "oauth2.access.token.url"},
		"token of 100 KiB":           {answer(200, `{"access_token":"`+strings.Repeat("x", 100<<10)+`"}`), bearer, oauth(nil), probe.CodeProtocolMismatch, "oauth2.access.token.url"},
		"token not accepted":         {grant(clientID, clientSecret, "header"), header("X", "y"), oauth(nil), probe.CodeTokenRefused, "oauth2.audience"},
		"nothing asks for the token": {grant(clientID, clientSecret, "header"), func(*http.Request) bool { return true }, oauth(nil), probe.CodeOK, ""},
		"consented in a browser":     {nil, bearer, oauth(settings{"oauth2.token_exchange_type": "3-legged"}), probe.CodeAuthMethodUnsupported, "auth.type"},
		"no client secret":           {nil, bearer, oauth(settings{"oauth2.client.secret": nil}), probe.CodeAuthMethodUnsupported, "auth.type"},
		"login":                      {signIn(key), bearer, login(nil), probe.CodeOK, ""},
		"login with a JSONPath":      {signIn(key), bearer, login(settings{"token.auth.token.path": "$.data.token"}), probe.CodeOK, ""},
		"login, plain":               {secretly(token + "\n"), bearer, login(settings{"token.auth.response.format": "plain"}), probe.CodeOK, ""},
		"login, own header":          {signIn(key), header("X-Session", token), login(settings{"token.auth.request.header.name": "X-Session"}), probe.CodeOK, ""},
		"login, own prefix":          {signIn(key), header("Authorization", "Session "+token), login(settings{"token.auth.request.header.prefix": "Session"}), probe.CodeOK, ""},
		"login, parameter":           {signIn(key), func(r *http.Request) bool { return r.URL.Query().Get("t") == token }, login(settings{"token.auth.token.include.mode": "URL_PARAMETER", "token.auth.token.url.parameter": "t"}), probe.CodeOK, ""},
		"login, wrong":               {signIn("other"), bearer, login(nil), probe.CodeAuthRejected, "token.auth.body"},
		"login, XML":                 {nil, bearer, login(settings{"token.auth.response.format": "xml"}), probe.CodeAuthMethodUnsupported, "token.auth.response.format"},
		"login, bad header":          {nil, bearer, login(settings{"token.auth.request.header.name": "Host"}), probe.CodeAuthMethodUnsupported, "token.auth.request.header.name"},
		"login, no address":          {nil, bearer, login(settings{"token.auth.url": nil}), probe.CodeAuthMethodUnsupported, "token.auth.url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, at(api(t, row.token, row.ok), row.settings), probe.Config{})
			expect(t, got, row.want, row.pointer)
		})
	}
	t.Run("only the exchange", func(t *testing.T) {
		s := at(api(t, grant(clientID, clientSecret, "header"), bearer), oauth(nil))
		delete(s, "base_url")
		got := run(t, s, probe.Config{})
		expect(t, got, probe.CodeOK, "")
		if len(got.Warnings) != 0 {
			t.Errorf("warnings %v", got.Warnings)
		}
	})
	t.Run("the sign-in address is blocked", func(t *testing.T) {
		s := at(api(t, nil, bearer), oauth(nil))
		s["oauth2.access.token.url"] = "http://169.254.169.254/latest/api/token"
		expect(t, run(t, s, probe.Config{}), probe.CodeDestinationBlocked, "oauth2.access.token.url")
	})
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://169.254.169.254/")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// grant is a token endpoint of RFC 6749 that takes the client's id and secret
// in one place only.
func grant(id, secret, where string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		gotID, gotSecret, _ := r.BasicAuth()
		switch where {
		case "form":
			gotID, gotSecret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
		case "query":
			gotID, gotSecret = r.URL.Query().Get("client_id"), r.URL.Query().Get("client_secret")
		default: // each encoded before they are joined
			gotID, gotSecret = unescape(gotID), unescape(gotSecret)
		}
		if gotID != id || gotSecret != secret || r.Form.Get("grant_type") != "client_credentials" {
			answer(http.StatusUnauthorized, probetest.Foreign)(w, r)
			return
		}
		answer(http.StatusOK, `{"access_token":"`+token+`","token_type":"bearer"}`)(w, r)
	}
}

func unescape(s string) string {
	r, err := http.NewRequest("GET", "http://x/?v="+s, nil)
	if err != nil {
		return ""
	}
	return r.URL.Query().Get("v")
}

// secretly answers with a body to a request whose body has the secret, and else
// with 401.
func secretly(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if sent, _ := io.ReadAll(r.Body); !strings.Contains(string(sent), key) {
			answer(http.StatusUnauthorized, probetest.Foreign)(w, r)
			return
		}
		answer(http.StatusOK, body)(w, r)
	}
}

func signIn(password string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"password":"`+password+`"}` || r.Header.Get("Content-Type") != "application/json" {
			answer(http.StatusUnauthorized, probetest.Foreign)(w, r)
			return
		}
		answer(http.StatusOK, `{"data":{"token":"`+token+`"}}`)(w, r)
	}
}

// What is not probed is told before anything is dialled.
func unsupportedWaysAreNotDialled(t *testing.T) {
	server := probetest.Serve(t, probetest.Hang)
	for name, row := range map[string]struct {
		settings settings
		pointer  string
	}{
		"OAUTH1":           {settings{"auth.type": "OAUTH1"}, "oauth1.consumer.secret"},
		"AWS_SIGNATURE":    {settings{"auth.type": "AWS_SIGNATURE"}, "aws.secret.key"},
		"Google":           {settings{"auth.type": "gcp_service_account"}, "gcp.service.account.credentials.json"},
		"unheard of":       {settings{"auth.type": "KERBEROS"}, "auth.type"},
		"JWT":              {settings{"auth.type": "NONE", "jwt.enabled": true, "jwt.token.secret": key, "jwt.token.algorithm": "NONE"}, "jwt.token.algorithm"},
		"HMAC":             {settings{"api_key": key, "hmac.enabled": true}, "hmac.enabled"},
		"certificate":      {settings{"api_key": key, "client.p12": "x"}, "client.p12"},
		"Host":             {settings{"auth.type": "API_KEY", "api.key.auth.key": "Host", "api.key.auth.value": key}, "api.key.auth.key"},
		"X-Forwarded-For":  {settings{"auth.type": "API_KEY", "api.key.auth.key": "x-forwarded-for", "api.key.auth.value": key}, "api.key.auth.key"},
		"Transfer":         {settings{"auth.type": "NONE", "request.headers": `{"transfer-encoding":"chunked"}`}, "request.headers"},
		"Connection":       {settings{"auth.type": "NONE", "request.headers": "Connection: upgrade"}, "request.headers"},
		"Proxy":            {settings{"auth.type": "NONE", "request.headers": "Proxy-Authorization: " + key}, "request.headers"},
		"line break":       {settings{"auth.type": "API_KEY", "api.key.auth.key": "X\r\nY", "api.key.auth.value": key}, "api.key.auth.key"},
		"space":            {settings{"auth.type": "API_KEY", "api.key.auth.key": "X Y", "api.key.auth.value": key}, "api.key.auth.key"},
		"value with break": {settings{"auth.type": "NONE", "request.headers": `{"X-A":"a\r\nX-B: ` + key + `"}`}, "request.headers"},
	} {
		s := settings{"base_url": "http://" + server.Addr}
		for k, v := range row.settings {
			s[k] = v
		}
		expect(t, run(t, s, probe.Config{}), probe.CodeAuthMethodUnsupported, row.pointer)
		if n := server.Accepted.Load(); n != 0 {
			t.Fatalf("%s: %d connections", name, n)
		}
	}
}

// The request is what it says: the path and query as given, no proxy, no
// cookie, no header but ours and the user's. It is made with the secret, with another, and
// with the secret again.
func TestRequests(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://"+probetest.ClosedPort(t))
	var with, without atomic.Int64
	url := api(t, nil, func(r *http.Request) bool {
		if r.URL.RequestURI() != "/a%2Fb/?x=%20&y" {
			t.Errorf("the path became %q", r.URL.RequestURI())
		}
		for name := range r.Header {
			switch name {
			case "User-Agent", "Accept", "Cache-Control", "Connection":
			case "X-Api-Key":
				if r.Header.Get("X-Api-Key") != key {
					continue
				}
				with.Add(1)
				return r.Header.Get("X-Own") == "acme"
			case "X-Own":
			default:
				t.Errorf("the header %s was sent", name)
			}
		}
		without.Add(1)
		return false
	})
	got := run(t, settings{"api_key": key, "base_url": url + "/a%2Fb/?x=%20&y", "request.headers": `{"X-Own":"acme"}`}, probe.Config{})
	expect(t, got, probe.CodeOK, "")
	if with.Load() != 2 || without.Load() != 1 {
		t.Errorf("%d requests with the secret, %d without", with.Load(), without.Load())
	}
}
