package endtoend

import (
	"net/http"
	"strings"
	"testing"
)

func accountChecks() []check {
	return []check{
		{"a service key buys a token", tokenIsBought},
		{"refresh gives a fresh token and leaves the old one", tokenIsRefreshed},
		{"logout kills the token at once", tokenIsKilled},
		{"what is no service key buys nothing", tokenIsRefused},
		{"the current user", currentUser},
		{"health is public", health},
	}
}

func tokenIsBought(t *testing.T, su *suite) {
	one, two := su.signIn(t, su.Keys[0].Admin), su.signIn(t, su.Keys[0].Admin)
	if one.token == two.token {
		t.Error("two sign-ins share a token")
	}
	for _, s := range []*session{one, two} {
		s.get(t, "/users/current").ok(t)
	}
}

func tokenIsRefreshed(t *testing.T, su *suite) {
	s := su.signIn(t, su.Keys[0].Admin)
	r := s.post(t, "/token/refresh", nil, revealing()).ok(t).form(t, tokenForm)
	fresh := &session{su: su, token: r.text("access_token"), user: s.user, org: s.org}
	su.leaks.watch(fresh.token)
	if fresh.token == s.token {
		t.Error("refresh gives the same token back")
	}
	s.get(t, "/users/current").ok(t)
	fresh.get(t, "/users/current").ok(t)
	s.post(t, "/token/logout", nil).ok(t)
	s.post(t, "/token/refresh", nil, revealing()).refused(t, http.StatusUnauthorized, "unauthenticated")
	fresh.get(t, "/users/current").ok(t)
}

func tokenIsKilled(t *testing.T, su *suite) {
	s, other := su.signIn(t, su.Keys[0].Admin), su.signIn(t, su.Keys[0].Admin)
	s.post(t, "/token/logout", nil).ok(t).form(t, fields{}.exactly())
	s.get(t, "/users/current").refused(t, http.StatusUnauthorized, "unauthenticated")
	s.get(t, "/data_credentials").refused(t, http.StatusUnauthorized, "unauthenticated")
	s.post(t, "/data_credentials", su.s3(label("late"))).refused(t, http.StatusUnauthorized, "unauthenticated")
	s.post(t, "/token/logout", nil).refused(t, http.StatusUnauthorized, "unauthenticated")
	other.get(t, "/users/current").ok(t)
}

func tokenIsRefused(t *testing.T, su *suite) {
	key := su.Keys[0].Admin
	for name, c := range map[string]struct {
		header string
		code   int
	}{
		"nothing":              {"", http.StatusBadRequest},
		"no scheme":            {key, http.StatusUnauthorized},
		"scheme alone":         {"Basic", http.StatusBadRequest},
		"scheme and a space":   {"Basic ", http.StatusBadRequest},
		"another scheme":       {"Digest " + key, http.StatusUnauthorized},
		"two words":            {"Basic " + key + " " + key, http.StatusUnauthorized},
		"no key":               {"Basic invalid-key-12345", http.StatusUnauthorized},
		"user and password":    {"Basic dXNlcjpwYXNz", http.StatusUnauthorized},
		"one letter more":      {"Basic " + key + "A", http.StatusUnauthorized},
		"one letter less":      {"Basic " + key[:len(key)-1], http.StatusUnauthorized},
		"one letter changed":   {"Basic " + changed(key), http.StatusUnauthorized},
		"a session's token":    {"Basic " + su.admin.token, http.StatusUnauthorized},
		"nine thousand bytes":  {"Basic " + strings.Repeat("k", 9000), http.StatusUnauthorized},
		"characters beyond it": {"Basic crk_1_1_1_\u00e9\u00e9", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			r := su.post(t, "/token", nil, header("Authorization", c.header))
			r.refused(t, c.code, "")
		})
	}
}

// changed is a key with one letter of its secret another one.
func changed(key string) string {
	at := len(key) - 12
	letter := "x"
	if key[at] == 'x' {
		letter = "y"
	}
	return key[:at] + letter + key[at+1:]
}

func currentUser(t *testing.T, su *suite) {
	whole := fields{"user": userForm, "org": orgForm, "org_membership": membershipForm}.shape()
	r := su.admin.get(t, "/users/current").ok(t).form(t, whole)
	if r.int("user", "id") != su.admin.user || r.int("org", "id") != su.admin.org {
		t.Error("the current user is not the one who signed in")
	}
	if r.at("org_membership", "is_admin") != true {
		t.Error("an admin of the organisation is not called one")
	}
	if su.member != nil && su.member.get(t, "/users/current").ok(t).form(t, whole).at("org_membership", "is_admin") != false {
		t.Error("a plain user is called an admin of the organisation")
	}
	// Some released clients say what they accept, and send a content type
	// with a GET.
	su.admin.get(t, "/users/current", header("Accept", "application/vnd.nexla.api.v1+json")).ok(t)
	su.admin.get(t, "/users/current", header("Content-Type", "")).ok(t)
}

func health(t *testing.T, su *suite) {
	su.get(t, "/health", header("Content-Type", "")).ok(t).form(t, anyObject)
	su.get(t, "/health", header("Authorization", "Bearer nonsense")).ok(t)
}
