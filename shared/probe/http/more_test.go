package httpprobe_test

import (
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"credence/shared/probe"
)

// Servers that take minutes to install or to start. make check-more installs them
// and sets MORE; elsewhere, in CI too, their tests are skipped. Decision record
// 0012 has the reasons.

func more(t *testing.T, name string) string {
	t.Helper()
	if os.Getenv("MORE") == "" {
		t.Skip("make check-more runs this test")
	}
	path, err := filepath.Abs(filepath.Join("..", "..", "..", ".bin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// call makes a request of an administrator and returns the body of its answer,
// which must be a success.
func call(t *testing.T, token, address, body string) []byte {
	t.Helper()
	method, kind := http.MethodPost, "application/json"
	switch {
	case body == "":
		method = http.MethodGet
	case !strings.HasPrefix(body, "{"):
		kind = "application/x-www-form-urlencoded"
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: status %d, %v: %s", method, address, response.StatusCode, err, answer)
	}
	return answer
}

// TestKeycloak has Keycloak issue tokens to clients that authenticate in three
// ways; its own API, which wants a role, and its address for user data, which
// wants a scope, judge the tokens.
func TestKeycloak(t *testing.T) {
	program, port := more(t, "keycloak/bin/kc.sh"), freePort(t)
	start(t, port, 10*time.Minute, []string{"JAVA_OPTS_KC_HEAP=-Xms64m -Xmx512m", "KC_BOOTSTRAP_ADMIN_USERNAME=admin", "KC_BOOTSTRAP_ADMIN_PASSWORD=adm-1"},
		program, "start-dev", "--http-host=127.0.0.1", "--http-port="+port, "--cache=local", "--db=dev-mem")
	base := "http://127.0.0.1:" + port
	private, other := ecKey(t), ecKey(t)
	issuer := makeRealm(t, base, jwk(t, private))

	tokens := issuer + "/protocol/openid-connect"
	client := func(id string, more settings) settings {
		return settings{
			"auth.type": "OAUTH2", "oauth2.client.id": id, "oauth2.access.token.url": tokens + "/token",
			"oauth2.scope": "openid", "test.url": tokens + "/userinfo",
		}.and(more)
	}
	wrong := settings{"oauth2.client.secret": key + "x"}
	nobody := settings{"oauth2.client.id": "nobody"}
	for _, scheme := range []string{"header", "form"} {
		s := client("app", settings{"oauth2.client.secret": key, "oauth2.client.auth.scheme": scheme})
		judged(t, scheme, s, probe.CodeOK, "")
		judged(t, scheme+", wrong secret", s.and(wrong), probe.CodeAuthRejected, "oauth2.client.secret")
		judged(t, scheme+", unknown client", s.and(nobody), probe.CodeAuthRejected, "oauth2.client.secret")
	}
	unstated := client("app", settings{"oauth2.client.secret": key})
	judged(t, "no scheme", unstated, probe.CodeOK, "")
	judged(t, "no scheme, wrong secret", unstated.and(wrong), probe.CodeSecretNotTested, "oauth2.client.auth.scheme")
	odd := client("odd", settings{"oauth2.client.secret": oddSecret, "oauth2.client.auth.scheme": "header"})
	judged(t, "header, odd characters", odd, probe.CodeOK, "")
	judged(t, "header, odd characters, wrong", odd.and(settings{"oauth2.client.secret": oddSecret + "x"}), probe.CodeSecretNotTested, "oauth2.client.auth.scheme")

	form := client("app", settings{"oauth2.client.secret": key, "oauth2.client.auth.scheme": "form"})
	judged(t, "a token without the scope", form.and(settings{"oauth2.scope": nil}), probe.CodeOK, "")
	judged(t, "a scope that the client lacks", form.and(settings{"oauth2.scope": "none-such"}), probe.CodeSecretNotTested, "oauth2.scope")
	judged(t, "a token for another API", form.and(settings{"test.url": base + "/realms/master/protocol/openid-connect/userinfo"}), probe.CodeTokenRefused, "oauth2.audience")
	judged(t, "a token without the role", form.and(settings{"test.url": base + "/admin/realms/judged/users"}), probe.CodeOK, "")
	judged(t, "a client without the grant", client("browser", settings{"oauth2.client.secret": key, "oauth2.client.auth.scheme": "form"}), probe.CodeSecretNotTested, "oauth2.client.id")
	judged(t, "a disabled client", client("off", settings{"oauth2.client.secret": key, "oauth2.client.auth.scheme": "form"}), probe.CodeAuthRejected, "oauth2.client.secret")
	judged(t, "a realm that is not there", form.and(settings{"oauth2.access.token.url": base + "/realms/none/protocol/openid-connect/token"}), probe.CodeSecretNotTested, "oauth2.access.token.url")

	signs := client("signs", settings{"oauth2.client.private_key": pemKey(t, private), "oauth2.client.auth.scheme": "private_key_jwt"})
	judged(t, "private_key_jwt", signs, probe.CodeOK, "")
	judged(t, "private_key_jwt, another key", signs.and(settings{"oauth2.client.private_key": pemKey(t, other)}), probe.CodeAuthRejected, "oauth2.client.private_key")
	judged(t, "private_key_jwt, unknown client", signs.and(nobody), probe.CodeAuthRejected, "oauth2.client.private_key")
	person := func(name, password, secret string) settings {
		body := url.Values{"grant_type": {"password"}, "client_id": {"app"}, "client_secret": {secret}, "username": {name}, "password": {password}, "scope": {"openid"}}
		return settings{"auth.type": "TOKEN", "token.auth.url": tokens + "/token", "token.auth.body": body.Encode(), "test.url": tokens + "/userinfo"}
	}
	judged(t, "password", person("ann", key, key), probe.CodeOK, "")
	judged(t, "password, wrong", person("ann", key+"x", key), probe.CodeAuthRejected, "token.auth.body")
	judged(t, "password, unknown user", person("nobody", key, key), probe.CodeAuthRejected, "token.auth.body")
	judged(t, "password, disabled user", person("ben", key, key), probe.CodeAuthDisabled, "token.auth.body")
	judged(t, "password, the client's secret is wrong", person("ann", key, key+"x"), probe.CodeSecretNotTested, "token.auth.body")
	judged(t, "private_key_jwt, a client with a secret", signs.and(settings{"oauth2.client.id": "app"}), probe.CodeAuthRejected, "oauth2.client.private_key")
}

const oddSecret = `canary+/=:%& "é1`

// makeRealm makes a realm with clients and returns the address of its issuer.
func makeRealm(t *testing.T, base, public string) string {
	t.Helper()
	var granted struct {
		Token string `json:"access_token"`
	}
	answer := call(t, "", base+"/realms/master/protocol/openid-connect/token", "grant_type=password&client_id=admin-cli&username=admin&password=adm-1")
	if err := json.Unmarshal(answer, &granted); err != nil {
		t.Fatal(err)
	}
	client := func(id string, more map[string]any) map[string]any {
		c := map[string]any{"clientId": id, "serviceAccountsEnabled": true, "standardFlowEnabled": false, "clientAuthenticatorType": "client-secret"}
		for name, value := range more {
			c[name] = value
		}
		return c
	}
	user := func(name string, enabled bool) map[string]any {
		return map[string]any{
			"username": name, "enabled": enabled, "email": name + "@example.com", "firstName": "A", "lastName": "B",
			"credentials": []any{map[string]any{"type": "password", "value": key}},
		}
	}
	realm, err := json.Marshal(map[string]any{"realm": "judged", "enabled": true, "users": []any{user("ann", true), user("ben", false)}, "clients": []any{
		client("app", map[string]any{"secret": key, "directAccessGrantsEnabled": true}),
		client("odd", map[string]any{"secret": oddSecret}),
		client("off", map[string]any{"secret": key, "enabled": false}),
		client("browser", map[string]any{"secret": key, "serviceAccountsEnabled": false}),
		client("signs", map[string]any{"clientAuthenticatorType": "client-jwt", "attributes": map[string]string{
			"use.jwks.string": "true", "jwks.string": `{"keys":[` + public + `]}`, "token.endpoint.auth.signing.alg": "ES256",
		}}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	call(t, granted.Token, base+"/admin/realms", string(realm))
	return base + "/realms/judged"
}

// TestHydra has Ory Hydra judge clients and assertions.
func TestHydra(t *testing.T) {
	program, port, admin := more(t, "hydra"), freePort(t), freePort(t)
	base, config := "http://127.0.0.1:"+port, filepath.Join(t.TempDir(), "hydra.yaml")
	if err := os.WriteFile(config, []byte(`dsn: memory
serve:
  public: {host: 127.0.0.1, port: `+port+`}
  admin: {host: 127.0.0.1, port: `+admin+`}
urls: {self: {issuer: "`+base+`"}}
secrets: {system: [0123456789abcdef0123456789abcdef]}
oauth2: {grant: {jwt: {jti_optional: true, iat_optional: true, max_ttl: 24h}}}
sqa: {opt_out: true}
log: {level: error}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, port, time.Minute, nil, program, "serve", "all", "--dev", "-c", config)
	private, other, signer, stranger := ecKey(t), ecKey(t), rsaKey(t), rsaKey(t)
	manage := "http://127.0.0.1:" + admin + "/admin"
	register := func(id, method, grant, more string) {
		call(t, "", manage+"/clients", `{"client_id":"`+id+`","token_endpoint_auth_method":"`+method+`","grant_types":["`+grant+`"],"scope":"read"`+more+`}`)
	}
	register("basic", "client_secret_basic", "client_credentials", `,"client_secret":`+strconv.Quote(key)+`,"audience":["api"]`)
	register("form", "client_secret_post", "client_credentials", `,"client_secret":`+strconv.Quote(key))
	register("signs", "private_key_jwt", "client_credentials", `,"token_endpoint_auth_signing_alg":"ES256","jwks":{"keys":[`+jwk(t, private)+`]}`)
	register("anybody", "none", grantOfAssertions, "")
	call(t, "", manage+"/trust/grants/jwt-bearer/issuers", `{"issuer":"me","subject":"app","scope":["read"],"expires_at":"2100-01-01T00:00:00Z","jwk":`+rsaJWK(&signer.PublicKey)+`}`)

	api := introspecting(t, manage+"/oauth2/introspect")
	client := func(id, scheme string, more settings) settings {
		return settings{"auth.type": "OAUTH2", "oauth2.client.id": id, "oauth2.client.auth.scheme": scheme, "oauth2.access.token.url": base + "/oauth2/token", "test.url": api}.and(more)
	}
	secret, wrong := settings{"oauth2.client.secret": key}, settings{"oauth2.client.secret": key + "x"}
	judged(t, "header", client("basic", "header", secret), probe.CodeOK, "")
	judged(t, "header, wrong", client("basic", "header", wrong), probe.CodeAuthRejected, "oauth2.client.secret")
	judged(t, "form", client("form", "form", secret), probe.CodeOK, "")
	judged(t, "form, wrong", client("form", "form", wrong), probe.CodeAuthRejected, "oauth2.client.secret")
	judged(t, "form, a client for the header", client("basic", "form", secret), probe.CodeSecretNotTested, "oauth2.client.auth.scheme")
	judged(t, "header, a client for the form", client("form", "header", secret), probe.CodeSecretNotTested, "oauth2.client.auth.scheme")
	judged(t, "form, unknown client", client("nobody", "form", secret), probe.CodeAuthRejected, "oauth2.client.secret")
	judged(t, "the audience", client("basic", "header", secret.and(settings{"oauth2.audience": "api"})), probe.CodeOK, "")
	judged(t, "another audience", client("basic", "header", secret.and(settings{"oauth2.audience": "other"})), probe.CodeSecretNotTested, "oauth2.audience")
	judged(t, "another scope", client("basic", "header", secret.and(settings{"oauth2.scope": "write"})), probe.CodeSecretNotTested, "oauth2.scope")
	judged(t, "private_key_jwt", client("signs", "private_key_jwt", settings{"oauth2.client.private_key": pemKey(t, private)}), probe.CodeOK, "")
	judged(t, "private_key_jwt, another key", client("signs", "private_key_jwt", settings{"oauth2.client.private_key": pemKey(t, other)}), probe.CodeAuthRejected, "oauth2.client.private_key")

	assertion := func(key *rsa.PrivateKey, claims jwt.MapClaims) settings {
		all := jwt.MapClaims{"iss": "me", "sub": "app", "aud": base + "/oauth2/token", "exp": time.Now().Add(time.Hour).Unix()}
		maps.Copy(all, claims)
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, all)
		token.Header["kid"] = "k1"
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		body := url.Values{"grant_type": {grantOfAssertions}, "client_id": {"anybody"}, "scope": {"read"}, "assertion": {signed}}
		return settings{"auth.type": "TOKEN", "token.auth.url": base + "/oauth2/token", "token.auth.body": body.Encode(), "test.url": api}
	}
	judged(t, "assertion", assertion(signer, nil), probe.CodeOK, "")
	judged(t, "assertion by another key", assertion(stranger, nil), probe.CodeAuthRejected, "token.auth.body")
	judged(t, "assertion that has expired", assertion(signer, jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}), probe.CodeAuthExpired, "token.auth.body")
	judged(t, "assertion for another audience", assertion(signer, jwt.MapClaims{"aud": "https://other.example.com"}), probe.CodeSecretNotTested, "token.auth.body")
	judged(t, "assertion of an unknown issuer", assertion(signer, jwt.MapClaims{"iss": "nobody"}), probe.CodeSecretNotTested, "token.auth.body")
}

const grantOfAssertions = "urn:ietf:params:oauth:grant-type:jwt-bearer"

func rsaJWK(key *rsa.PublicKey) string {
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty":"RSA","use":"sig","alg":"RS256","kid":"k1","n":%q,"e":%q}`, encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes()))
}

// introspecting serves an API that has a token introspected (RFC 7662).
func introspecting(t *testing.T, address string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := http.PostForm(address, url.Values{"token": {strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}})
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = response.Body.Close() }()
		var token struct {
			Active bool `json:"active"`
		}
		if json.UnmarshalRead(response.Body, &token) != nil || !token.Active {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}
