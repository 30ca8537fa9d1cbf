package verdicts

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

// Keys of service accounts: the one that servers know, and another.
var (
	rightKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	wrongKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
)

const account = "loader@my-project.iam.gserviceaccount.com"

// keyFile returns the key file of the account, with the right key or another.
func keyFile(t *testing.T, right bool) string {
	t.Helper()
	key, err := wrongKey()
	if right {
		key, err = rightKey()
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "my-project", "client_email": account,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asserts reports whether a form holds an assertion of RFC 7523 §3 that the
// right key signed.
func asserts(form string) bool {
	key, err := rightKey()
	if err != nil {
		return false
	}
	token, err := jwt.Parse(form, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }, jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithAudience("https://oauth2.googleapis.com/token"), jwt.WithIssuer(account), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		return false
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	scope, _ := claims["scope"].(string)
	return strings.HasSuffix(scope, "/devstorage.read_only")
}
