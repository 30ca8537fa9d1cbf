package httpprobe_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"software.sslmate.com/src/go-pkcs12"

	"credence/shared/probe"
	httpprobe "credence/shared/probe/http"
	"credence/shared/probe/probetest"
)

func pemKey(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signedBy reports whether a token verifies under a public key and a method,
// for an audience where one is named.
func signedBy(text string, key crypto.Signer, method, audience string) bool {
	options := []jwt.ParserOption{jwt.WithValidMethods([]string{method}), jwt.WithExpirationRequired()}
	if audience != "" {
		options = append(options, jwt.WithAudience(audience))
	}
	token, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return key.Public(), nil }, options...)
	return err == nil && token.Valid
}

// A client authenticates by an assertion that its private key signs.
func TestPrivateKeyJWT(t *testing.T) {
	right, other, elliptic := rsaKey(t), rsaKey(t), ecKey(t)
	for name, row := range map[string]struct {
		sent     crypto.Signer
		server   crypto.Signer
		method   string
		settings settings
		want     probe.Code
		pointer  string
	}{
		"RSA":             {right, right, "RS256", nil, probe.CodeOK, ""},
		"RSA, PS256":      {right, right, "PS256", settings{"oauth2.client.key.algorithm": "PS256"}, probe.CodeOK, ""},
		"EC":              {elliptic, elliptic, "ES256", nil, probe.CodeOK, ""},
		"another key":     {other, right, "RS256", nil, probe.CodeAuthRejected, "oauth2.client.private_key"},
		"another method":  {right, right, "RS512", nil, probe.CodeAuthRejected, "oauth2.client.private_key"},
		"no key":          {right, right, "RS256", settings{"oauth2.client.private_key": key}, probe.CodeAuthMethodUnsupported, "oauth2.client.private_key"},
		"a key of no fit": {right, right, "RS256", settings{"oauth2.client.key.algorithm": "ES256"}, probe.CodeAuthMethodUnsupported, "oauth2.client.private_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := api(t, func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				form := r.PostForm
				ok := form.Get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" && form.Get("client_id") == "app" &&
					signedBy(form.Get("client_assertion"), row.server, row.method, "http://"+r.Host+"/token")
				if !ok {
					answer(http.StatusBadRequest, `{"error":"invalid_client"}`)(w, r)
					return
				}
				answer(http.StatusOK, `{"access_token":"`+token+`"}`)(w, r)
			}, header("Authorization", "Bearer "+token))
			s := settings{
				"auth.type": "OAUTH2", "oauth2.client.id": "app", "oauth2.client.auth.scheme": "private_key_jwt",
				"oauth2.client.private_key": pemKey(t, row.sent), "oauth2.access.token.url": "/token",
			}.and(row.settings)
			expect(t, run(t, at(url, s), probe.Config{}), row.want, row.pointer)
		})
	}
}

// A JSON Web Token is signed here, or issued by an address.
func TestJWT(t *testing.T) {
	right, other, elliptic := rsaKey(t), rsaKey(t), ecKey(t)
	bearer := func(key crypto.Signer, method, audience string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return signedBy(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), key, method, audience)
		}
	}
	for name, row := range map[string]struct {
		ok       func(*http.Request) bool
		settings settings
		want     probe.Code
		pointer  string
	}{
		"RS256":        {bearer(right, "RS256", "api"), settings{"jwt.token.secret": pemKey(t, right), "jwt.token.algorithm": "RS256", "jwt.claim.audience": "api"}, probe.CodeOK, ""},
		"by its key":   {bearer(right, "RS256", ""), settings{"jwt.token.secret": pemKey(t, right)}, probe.CodeOK, ""},
		"ES256":        {bearer(elliptic, "ES256", ""), settings{"jwt.token.secret": pemKey(t, elliptic), "jwt.token.algorithm": "ES256"}, probe.CodeOK, ""},
		"another key":  {bearer(right, "RS256", ""), settings{"jwt.token.secret": pemKey(t, other), "jwt.token.algorithm": "RS256"}, probe.CodeAuthRejected, "jwt.token.secret"},
		"extra claims": {bearer(right, "RS256", "x"), settings{"jwt.token.secret": pemKey(t, right), "jwt.claim.extra.json": `{"aud":"x","n":1}`}, probe.CodeOK, ""},
		"parameter": {
			func(r *http.Request) bool { return signedBy(r.URL.Query().Get("jwt"), right, "RS256", "") },
			settings{"jwt.token.secret": pemKey(t, right), "jwt.token.include.mode": "URL_PARAMETER", "jwt.token.url.parameter": "jwt"},
			probe.CodeOK, "",
		},
		"own header": {func(r *http.Request) bool {
			return signedBy(strings.TrimPrefix(r.Header.Get("X-Jwt"), "JWT "), right, "RS256", "")
		}, settings{"jwt.token.secret": pemKey(t, right), "jwt.token.header": "X-JWT", "jwt.token.header.type": "JWT"}, probe.CodeOK, ""},
		"no claims":  {bearer(right, "RS256", ""), settings{"jwt.token.secret": pemKey(t, right), "jwt.claim.extra.json": key}, probe.CodeAuthMethodUnsupported, "jwt.claim.extra.json"},
		"an address": {header("Authorization", "Bearer "+token), settings{"jwt.auth.url": "/token", "jwt.auth.body": key, "jwt.auth.token.path": "id"}, probe.CodeOK, ""},
		"both":       {bearer(right, "RS256", ""), settings{"jwt.token.secret": key, "jwt.auth.url": "/token"}, probe.CodeAuthMethodUnsupported, "jwt.auth.url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := at(api(t, secretly(`{"id":"`+token+`"}`), row.ok), settings{"jwt.enabled": true}.and(row.settings))
			expect(t, run(t, s, probe.Config{}), row.want, row.pointer)
		})
	}
}

// The key of a Google service account goes to the token address of the prober,
// whatever address the key file names.
func TestGoogleServiceAccount(t *testing.T) {
	right, other := rsaKey(t), rsaKey(t)
	ca := probetest.NewAuthority(t)
	google := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token" && signedBy(r.PostFormValue("assertion"), right, "RS256", "https://oauth2.googleapis.com/token"):
			answer(http.StatusOK, `{"access_token":"`+token+`"}`)(w, r)
		case r.URL.Path == "/token":
			answer(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`)(w, r)
		case r.Header.Get("Authorization") != "Bearer "+token || r.URL.Path == "/other":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	google.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	google.StartTLS()
	t.Cleanup(google.Close)
	file := func(key crypto.Signer) string {
		return `{"type":"service_account","client_email":"a@p.iam.gserviceaccount.com","token_uri":"http://169.254.169.254/","private_key":` + jsonText(pemKey(t, key)) + `}`
	}
	for name, row := range map[string]struct {
		file, path string
		want       probe.Code
		pointer    string
	}{
		"right":              {file(right), "/", probe.CodeOK, ""},
		"another key":        {file(other), "/", probe.CodeAuthRejected, "gcp.service.account.credentials.json"},
		"the API refuses it": {file(right), "/other", probe.CodeTokenRefused, "gcp.service.account.oauth.scopes"},
		"no key":             {`{"type":"service_account"}`, "/", probe.CodeAuthMethodUnsupported, "gcp.service.account.credentials.json"},
	} {
		t.Run(name, func(t *testing.T) {
			runner := probe.NewRunner(map[string]probe.Prober{"rest": httpprobe.At(strings.TrimPrefix(google.URL, "https://"))}, probetest.Loopback(t, nil), probe.Config{})
			got := runner.Run(t.Context(), "rest", check(t, settings{
				"auth.type": "gcp_service_account", "gcp.service.account.credentials.json": row.file,
				"test.url": google.URL + row.path, "tls.ca_certificate": ca.PEM,
			}))
			probetest.Sound(t, got, token)
			expect(t, got, row.want, row.pointer)
		})
	}
}

func jsonText(text string) string { return `"` + strings.ReplaceAll(text, "\n", `\n`) + `"` }

// Client certificates come as PKCS #12 or in PEM form.
func TestClientCertificates(t *testing.T) {
	ca, stranger := probetest.NewAuthority(t), probetest.NewAuthority(t)
	mutual := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	old := mutual.Clone()
	old.MaxVersion = tls.VersionTLS12
	right, wrong := ca.Issue(t, probetest.Leaf{}), stranger.Issue(t, probetest.Leaf{})
	certificate, private := probetest.PEM(t, right)
	_, anotherKey := probetest.PEM(t, wrong)
	wrongCertificate, wrongPrivate := probetest.PEM(t, wrong)
	for name, row := range map[string]struct {
		settings settings
		want     probe.Code
		pointer  string
	}{
		"PKCS 12":              {settings{"client.p12": probetest.P12(t, right, key), "client.p12.password": key}, probe.CodeOK, ""},
		"PKCS 12, wrong word":  {settings{"client.p12": probetest.P12(t, right, key), "client.p12.password": "x"}, probe.CodeAuthMethodUnsupported, "client.p12.password"},
		"PKCS 12, a stranger":  {settings{"client.p12": probetest.P12(t, wrong, key), "client.p12.password": key}, probe.CodeAuthRejected, "client.p12"},
		"no PKCS 12":           {settings{"client.p12": base64.StdEncoding.EncodeToString([]byte("no file"))}, probe.CodeAuthMethodUnsupported, "client.p12"},
		"no base64":            {settings{"client.p12": "*"}, probe.CodeAuthMethodUnsupported, "client.p12"},
		"PEM":                  {settings{"tls.client_certificate": certificate, "tls.client_key": private}, probe.CodeOK, ""},
		"PEM, a stranger":      {settings{"tls.client_certificate": wrongCertificate, "tls.client_key": wrongPrivate}, probe.CodeAuthRejected, "tls.client_certificate"},
		"PEM, another key":     {settings{"tls.client_certificate": certificate, "tls.client_key": anotherKey}, probe.CodeAuthMethodUnsupported, "tls.client_certificate"},
		"PEM, no key":          {settings{"tls.client_certificate": certificate}, probe.CodeAuthMethodUnsupported, "tls.client_key"},
		"PEM, no certificate":  {settings{"tls.client_key": private}, probe.CodeAuthMethodUnsupported, "tls.client_certificate"},
		"PEM, a locked key":    {settings{"tls.client_certificate": certificate, "tls.client_key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"}, probe.CodeAuthMethodUnsupported, "tls.client_key"},
		"none":                 {settings{"api_key": key}, probe.CodeClientCertificate, "tls.client_certificate"},
		"a key beside it":      {settings{"api_key": key, "tls.client_certificate": certificate, "tls.client_key": private}, probe.CodeOK, ""},
		"a wrong key beside":   {settings{"api_key": key + "x", "tls.client_certificate": certificate, "tls.client_key": private}, probe.CodeAuthRejected, "api_key"},
		"a key and a stranger": {settings{"api_key": key, "tls.client_certificate": wrongCertificate, "tls.client_key": wrongPrivate}, probe.CodeAuthRejected, "tls.client_certificate"},
	} {
		for version, config := range map[string]*tls.Config{"1.3": mutual, "1.2": old} {
			t.Run(name+", TLS "+version, func(t *testing.T) {
				t.Parallel()
				s := web(t, config.Clone(), func(w http.ResponseWriter, r *http.Request) {
					if row.settings["api_key"] != nil && r.Header.Get("X-Api-Key") != key {
						w.WriteHeader(http.StatusUnauthorized)
					}
				})
				sent := settings{"base_url": s.URL, "tls.ca_certificate": ca.PEM}.and(row.settings)
				if sent["api_key"] == nil {
					sent["auth.type"] = "client certificate"
				}
				expect(t, run(t, sent, probe.Config{}), row.want, row.pointer)
			})
		}
	}
}

// A PKCS #12 file decides how often its password is hashed. One that asks for
// more than is computed is told by its numbers alone.
func TestRoundsOfPKCS12AreBounded(t *testing.T) {
	ca := probetest.NewAuthority(t)
	c := ca.Issue(t, probetest.Leaf{})
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for rounds, want := range map[int]bool{1: true, 2048: true, 600_000: true, 600_001: false} {
		file, err := pkcs12.Modern.WithIterations(rounds).Encode(c.PrivateKey, leaf, nil, key)
		if err != nil {
			t.Fatal(err)
		}
		if got := httpprobe.Cheap(file); got != want {
			t.Errorf("%d rounds: cheap is %v", rounds, got)
		}
	}
	if !httpprobe.Cheap(nil) || !httpprobe.Cheap([]byte("no DER")) {
		t.Error("what is no file is not cheap")
	}
}
