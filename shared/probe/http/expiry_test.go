package httpprobe_test

import (
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// ending is a JSON Web Token that ends then.
func ending(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"HS256"}`)) + "." + part([]byte(claims)) + ".canary-signature"
}

// A secret that is a token is told to end when it says so, wherever it is sent,
// taken or refused; one that is made for the occasion has no end worth telling.
func TestTokensThatEnd(t *testing.T) {
	const at = "2100-01-01T00:00:00Z"
	good, later, over := ending(`{"exp":4102444800}`), ending(`{"exp":4200000000}`), ending(`{"exp":1000000000}`)
	trade := func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "app" || password != key && password != good {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write([]byte(`{"access_token":"` + later + `"}`))
	}
	basic := func(password string) func(*http.Request) bool {
		return func(r *http.Request) bool { _, got, _ := r.BasicAuth(); return got == password }
	}
	exchange := settings{"auth.type": "TOKEN", "token.auth.url": "/token", "basic.username": "app", "basic.password": key}
	for name, row := range map[string]struct {
		ok       func(r *http.Request) bool
		settings settings
		code     probe.Code
		want     string
	}{
		"api_key":         {header("X-Api-Key", good), settings{"api_key": good}, probe.CodeOK, at},
		"api_key, no end": {header("X-Api-Key", key), settings{"api_key": key}, probe.CodeOK, ""},
		"refused":         {header("X-Api-Key", key), settings{"api_key": good}, probe.CodeAuthRejected, at},
		"refused, over":   {header("X-Api-Key", key), settings{"api_key": over}, probe.CodeAuthRejected, "2001-09-09T01:46:40Z"},
		"taken, over":     {header("X-Api-Key", over), settings{"api_key": over}, probe.CodeOK, "2001-09-09T01:46:40Z"},
		"header":          {header("Authorization", "Bearer "+good), settings{"auth.type": "API_KEY", "api.key.auth.key": "Authorization", "api.key.auth.value": "Bearer " + good}, probe.CodeOK, at},
		"parameter":       {func(r *http.Request) bool { return r.URL.Query().Get("k") == good }, settings{"auth.type": "API_KEY", "api.key.include.mode": "URL_PARAMETER", "api.key.auth.key": "k", "api.key.auth.value": good}, probe.CodeOK, at},
		"password":        {basic(good), settings{"auth.type": "BASIC", "basic.username": "app", "basic.password": good}, probe.CodeOK, at},
		"own header":      {header("X-Own", good), settings{"auth.type": "NONE", "request.headers": "Accept: text/plain\nX-Own: " + good}, probe.CodeOK, at},
		"two of them":     {header("X-Api-Key", later), settings{"api_key": later, "request.headers": `{"X-Own":"` + good + `"}`}, probe.CodeOK, at},
		"traded":          {header("Authorization", "Bearer "+later), exchange, probe.CodeOK, ""},
		"trading":         {header("Authorization", "Bearer "+later), settings{"auth.type": "TOKEN", "token.auth.url": "/token", "basic.username": "app", "basic.password": good}, probe.CodeOK, at},
	} {
		t.Run(name, func(t *testing.T) {
			url := api(t, trade, row.ok)
			s := settings{"base_url": url}
			for field, value := range row.settings {
				s[field] = value
			}
			if path, ok := s["token.auth.url"].(string); ok {
				s["token.auth.url"] = url + path
			}
			got := run(t, s, probe.Config{})
			if got.Code != row.code || got.Facts[probe.FactExpires] != row.want {
				t.Errorf("%s, ends at %q, want %s, %q", got.Code, got.Facts[probe.FactExpires], row.code, row.want)
			}
			if said := strings.Contains(got.Message, "it has expired"); said != (name == "refused, over") {
				t.Errorf("that it has expired is told: %v: %s", said, got.Message)
			}
			probetest.Sound(t, got, over, good, later, good[:30])
		})
	}
}

// The end of the server's certificate is told whether it is still to come or
// has passed.
func TestCertificatesThatEnd(t *testing.T) {
	ca := probetest.NewAuthority(t)
	for name, row := range map[string]struct {
		in   time.Duration
		code probe.Code
	}{
		"to come": {10 * time.Hour, probe.CodeOK},
		"passed":  {-time.Hour, probe.CodeTLSExpired},
	} {
		end := time.Now().Add(row.in)
		s := web(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{NotAfter: end})}}, pair(200, 401, ""))
		got := run(t, with(s.URL, settings{"tls.ca_certificate": ca.PEM}), probe.Config{})
		if want := end.UTC().Format(time.RFC3339); got.Code != row.code || got.Facts[probe.FactCertificateEnd] != want {
			t.Errorf("%s: %s, facts %v, want %s", name, got.Code, got.Facts, want)
		}
	}
}
