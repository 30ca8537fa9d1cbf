package httpprobe

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"credence/shared/probe"
	"credence/shared/probe/serviceaccount"
	"credence/shared/secret"
)

// readJWT reads the settings of a JSON Web Token: one that is signed here, or
// one that an address issues for a body.
func readJWT(settings reader, t *trial) error {
	p, prefix, err := jwtPlace(settings)
	switch {
	case err != nil:
		return err
	case settings.has(fieldJWTURL) && settings.has(fieldJWTSecret):
		return probe.Found(probe.CodeAuthMethodUnsupported, "A JSON Web Token is either signed with jwt.token.secret or issued by jwt.auth.url. Enter one of the two. Nothing was sent.").At(fieldJWTURL)
	case settings.has(fieldJWTURL):
		x, err := readLogin(settings, login{fieldJWTURL, fieldJWTBody, fieldJWTFormat, fieldJWTPath})
		if err != nil {
			return err
		}
		if kind := settings.text(fieldJWTContent); kind != "" && headerValue(kind) {
			x.header.Set("Content-Type", kind)
		}
		x.place, x.prefix, x.purpose, x.scope = p, prefix, fieldJWTHeader, fieldJWTHeader
		t.exchange = x
		return nil
	}
	if !settings.has(fieldJWTSecret) {
		return probe.Found(probe.CodeSecretNotTested, "The credential has no key to sign a JSON Web Token with. Enter jwt.token.secret, or jwt.auth.url for an address that issues one.").At(fieldJWTSecret)
	}
	signed, err := signedClaims(settings)
	if err != nil {
		return err
	}
	p.field = fieldJWTSecret
	return t.add(p.key(prefix, signed), nil)
}

func jwtPlace(settings reader) (p place, prefix string, err error) {
	if settings.text(fieldJWTMode) == "URL_PARAMETER" {
		name := settings.text(fieldJWTParam)
		if name == "" {
			return p, "", probe.Found(probe.CodeAuthMethodUnsupported, "The name of the parameter that takes the token is missing. Enter it.").At(fieldJWTParam)
		}
		return place{param: name}, "", nil
	}
	p, prefix = place{header: "Authorization"}, "Bearer "
	if name := settings.text(fieldJWTHeader); name != "" {
		if !headerName(name) {
			return p, "", refuseName(fieldJWTHeader)
		}
		if p.header = name; !strings.EqualFold(name, "Authorization") {
			prefix = ""
		}
	}
	if settings.has(fieldJWTType) {
		prefix = strings.TrimSpace(settings.text(fieldJWTType)) + " "
	}
	return p, prefix, nil
}

// signedClaims is the token of the claims in the settings.
func signedClaims(settings reader) (secret.Value, error) {
	claims := jwt.MapClaims{}
	if extra := settings.Secret(string(fieldJWTExtra)); extra.Len() > 0 {
		if json.Unmarshal([]byte(extra.ExposeText()), &claims) != nil {
			return secret.Value{}, probe.Found(probe.CodeAuthMethodUnsupported, "The extra claims cannot be read. Write them as a JSON object. Nothing was sent.").At(fieldJWTExtra)
		}
	}
	for name, field := range map[string]probe.Field{"scope": fieldJWTScope, "aud": fieldJWTAudience, "iss": fieldJWTIssuer} {
		if settings.has(field) {
			claims[name] = settings.text(field)
		}
	}
	life, ok := settings.Int(string(fieldJWTLife))
	if !ok || life <= 0 {
		life = 300
	}
	now := time.Now()
	if _, set := claims["iat"]; !set {
		claims["iat"] = now.Unix()
	}
	if _, set := claims["exp"]; !set {
		claims["exp"] = now.Add(time.Duration(min(life, 86400)) * time.Second).Unix()
	}
	algorithm := settings.text(fieldJWTAlgorithm)
	if algorithm == "NONE" {
		return secret.Value{}, probe.Found(probe.CodeAuthMethodUnsupported, "A token without a signature has no secret that could be tested. Choose an algorithm that signs. Nothing was sent.").At(fieldJWTAlgorithm)
	}
	return sign(claims, algorithm, "", settings.Secret(string(fieldJWTSecret)), fieldJWTSecret)
}

var errPrivateKey = probe.Found(probe.CodeAuthMethodUnsupported, "The private key cannot be read, or does not fit the algorithm. Enter an RSA, EC or Ed25519 key in PEM form, without a passphrase. Nothing was sent.")

// sign makes a token. The key is the secret of HMAC, or a private key in PEM
// form; without an algorithm the kind of the key decides.
func sign(claims jwt.MapClaims, algorithm, keyID string, key secret.Value, field probe.Field) (secret.Value, error) {
	refuse := errPrivateKey.At(field)
	var signWith any = key.Expose()
	if !strings.HasPrefix(algorithm, "HS") && (algorithm != "" || strings.Contains(key.ExposeText(), "PRIVATE KEY")) {
		parsed, ok := privateKey(key)
		if !ok {
			return secret.Value{}, refuse
		}
		signWith = parsed
		if algorithm == "" {
			algorithm = usualAlgorithm(parsed)
		}
	}
	if algorithm == "" {
		algorithm = "HS256"
	}
	method := jwt.GetSigningMethod(algorithm)
	if method == nil {
		return secret.Value{}, probe.Found(probe.CodeAuthMethodUnsupported, "The algorithm of the token is not known. Choose one of the list. Nothing was sent.").At(fieldJWTAlgorithm)
	}
	token := jwt.NewWithClaims(method, claims)
	if keyID != "" {
		token.Header["kid"] = keyID
	}
	signed, err := token.SignedString(signWith)
	if err != nil {
		return secret.Value{}, refuse
	}
	return secret.NewText(signed), nil
}

// privateKey reads a key in PEM form (RFC 7468): PKCS #8, PKCS #1 or SEC 1.
func privateKey(text secret.Value) (crypto.Signer, bool) {
	block, _ := pem.Decode([]byte(text.ExposeText()))
	if block == nil || len(block.Bytes) > 8<<10 {
		return nil, false
	}
	defer clear(block.Bytes)
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		signer, ok := key.(crypto.Signer)
		return signer, ok
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, true
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	return key, err == nil
}

func usualAlgorithm(key crypto.Signer) string {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		switch k.Curve.Params().BitSize {
		case 384:
			return "ES384"
		case 521:
			return "ES512"
		}
		return "ES256"
	case ed25519.PrivateKey:
		return "EdDSA"
	case *rsa.PrivateKey:
	}
	return "RS256"
}

// clientAssertion authenticates an OAuth 2 client by its private key (RFC 7523
// §3): issuer and subject are the client, the audience is the token address.
func clientAssertion(settings reader, address string) (string, error) {
	id := settings.text(fieldClientID)
	if _, ok := privateKey(settings.Secret(string(fieldClientKey))); !ok {
		return "", errPrivateKey.At(fieldClientKey)
	}
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	now := time.Now()
	signed, err := sign(jwt.MapClaims{
		"iss": id, "sub": id, "aud": address, "jti": base64.RawURLEncoding.EncodeToString(random),
		"iat": now.Add(-10 * time.Second).Unix(), "exp": now.Add(2 * time.Minute).Unix(),
	}, settings.text(fieldClientKeyAlgorithm), settings.text(fieldClientKeyID), settings.Secret(string(fieldClientKey)), fieldClientKey)
	return signed.ExposeText(), err
}

// readServiceAccount reads the key of a Google service account. Whatever
// address the key file names, the assertion goes to Google's alone, whose
// audience it has: a token for it proves the key.
func readServiceAccount(settings reader, t *trial) error {
	account, err := serviceaccount.Read(settings.Secret(string(fieldGoogleKey)), fieldGoogleKey)
	if err != nil {
		return err
	}
	scope := strings.Join(strings.FieldsFunc(settings.text(fieldGoogleScopes), func(c rune) bool { return c == ' ' || c == ',' || c == '\n' }), " ")
	if scope == "" {
		scope = "https://www.googleapis.com/auth/cloud-platform.read-only"
	}
	signed, err := account.Assertion(scope, time.Now())
	if err != nil {
		return probe.Found(probe.CodeAuthMethodUnsupported, "The private key in the key file cannot sign. Create a new key for the account.").At(fieldGoogleKey)
	}
	u, err := url.Parse(serviceaccount.TokenAddress)
	if err != nil {
		return probe.Found(probe.CodeProbeInternal, "")
	}
	x := &exchange{
		field: fieldGoogleKey, guilty: fieldGoogleKey, purpose: fieldGoogleScopes, scope: fieldGoogleScopes,
		path: []string{"access_token"}, prefix: "Bearer ", byProtocol: true, refuseReason: googleRefused,
	}
	form := url.Values{"grant_type": {serviceaccount.GrantType}, "assertion": {signed}}
	x.plan = plan{method: http.MethodPost, url: u, urlField: fieldGoogleKey, header: baseHeader(), body: secret.NewText(form.Encode())}
	x.header.Set("Content-Type", "application/x-www-form-urlencoded")
	x.place = place{header: "Authorization"}
	t.exchange = x
	return nil
}

// googleRefused reads Google's answer to an assertion.
func googleRefused(x *exchange, got answer, code string) error {
	f, ok := serviceaccount.Refused(code, got.status, clockApart(got.header))
	if !ok {
		return nil
	}
	return f.At(x.guilty)
}

// clockApart reports whether the clock of the other end differs from ours by
// more than Google tolerates.
func clockApart(h http.Header) bool {
	date, err := http.ParseTime(h.Get("Date"))
	return err == nil && time.Since(date).Abs() > 4*time.Minute
}
