// Package serviceaccount reads keys of Google service accounts and signs the
// assertions that are traded for access tokens.
package serviceaccount

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
	"credence/shared/secret"
)

// TokenAddress is where an assertion is traded, whatever a key file names.
const TokenAddress = "https://oauth2.googleapis.com/token" //nolint:gosec // an address, no token

// Account is a service account's key.
type Account struct {
	Project string // that the key file names; "" for none
	email   string
	keyID   string
	key     *rsa.PrivateKey
}

// maxKeyPEM bounds what parsing and using a private key may cost: 4,096 bits
// take 3.3 KB. Keys of less than 1,024 bits do not sign.
const maxKeyPEM = 4 << 10

// Read reads the JSON of a key file, which is the value of the field. Of its members only those named
// here exist for a probe: its addresses (token_uri, auth_uri, universe_domain
// and the like) would let the credential choose where it is sent, and other
// types than service_account name files, programs and addresses to fetch
// tokens from. The error is a Finding and repeats nothing of the file.
func Read(file secret.Value, field probe.Field) (Account, error) {
	refuse := func(text probe.Finding) (Account, error) { return Account{}, text.At(field) }
	var members struct {
		Type       string `json:"type"`
		Email      string `json:"client_email"`
		KeyID      string `json:"private_key_id"`
		Project    string `json:"project_id"`
		PrivateKey string `json:"private_key"`
	}
	const code = probe.CodeAuthMethodUnsupported
	text := file.Expose()
	defer clear(text)
	switch err := json.Unmarshal(text, &members); {
	case err != nil:
		return refuse(probe.Found(code, "The key file cannot be read. Send the JSON of a service account's key, whole and unchanged. Nothing was sent."))
	case members.Type != "service_account":
		return refuse(probe.Found(code, "Only the key of a service account can be probed: its type must be service_account. Nothing was sent."))
	case !plain(members.Email) || !strings.Contains(members.Email, "@") || members.KeyID != "" && !plain(members.KeyID):
		return refuse(probe.Found(code, "The key file has no service account: client_email is missing, or it or private_key_id is malformed. Send the file whole and unchanged. Nothing was sent."))
	}
	key, ok := readKey(members.PrivateKey)
	if !ok {
		return refuse(probe.Found(code, "The private key in the key file cannot be read. It must be an RSA key in PEM form, of 4,096 bits at most, unchanged. Nothing was sent."))
	}
	return Account{Project: members.Project, email: members.Email, keyID: members.KeyID, key: key}, nil
}

// plain reports whether a text is printable ASCII without spaces, of a
// length that such names have.
func plain(text string) bool {
	return text != "" && len(text) <= 256 && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}

// readKey reads an RSA key in PEM form (RFC 7468): PKCS #8, which Google
// hands out, or PKCS #1.
func readKey(text string) (*rsa.PrivateKey, bool) {
	if len(text) > maxKeyPEM {
		return nil, false
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, false
	}
	defer clear(block.Bytes)
	var key *rsa.PrivateKey
	switch parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err {
	case nil:
		key, _ = parsed.(*rsa.PrivateKey)
	default:
		key, _ = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	return key, key != nil
}

const (
	// GrantType is that of RFC 7523 §2.1.
	GrantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// early lets the clock of the other end be behind ours by that much.
	early = 10 * time.Second
	// life is far less than the hour that is allowed: it is used at once.
	life = 5 * time.Minute
)

// Assertion signs the statement that is traded for an access token of the scope
// (RFC 7523 §3, RS256 of RFC 7518 §3.3). Its audience is Google's token address, which
// nobody else accepts it for.
// https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests
func (a Account) Assertion(scope string, now time.Time) (string, error) {
	head, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		KeyID     string `json:"kid,omitzero"`
	}{"RS256", "JWT", a.keyID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Scope    string `json:"scope"`
		Audience string `json:"aud"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}{a.email, scope, TokenAddress, now.Add(-early).Unix(), now.Add(life).Unix()})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Refused is the finding for an error code of RFC 6749 §5.2, or one of Google's
// own, that answers an assertion with a status; false for an unknown one. skewed
// reports that the clock of the other end differs from ours. The caller names
// the field.
func Refused(code string, status int, skewed bool) (probe.Finding, bool) {
	switch code {
	case "invalid_grant":
		if skewed { // an assertion that is out of time is refused by the same code
			return probe.Found(probe.CodeProbeInternal, "The clock of this service is wrong, so every signature is rejected; nothing is known of the key. Its operator has been informed."), true
		}
		return probe.Found(probe.CodeAuthRejected, "Google rejected the key: it was deleted or never was this account's, or the account is deleted or disabled. Create a new key and enter it here.").Answered(status), true
	case "unauthorized_client": // of an account that is known
		return probe.Found(probe.CodeSecretNotTested, "Google does not issue this account tokens of this scope, and does not report whether the key is valid. Check the account's rights and the organisation's policies at Google."), true
	case "invalid_client", "deleted_client":
		return probe.Found(probe.CodeAuthRejected, "Google does not know this account. Check client_email in the key file, or create a new key.").Answered(status), true
	case "disabled_client", "account_disabled":
		return probe.Found(probe.CodeAuthDisabled, "The service account is disabled. Have it enabled at Google, or use another.").Answered(status), true
	case "rate_limit_exceeded", "slow_down":
		return probe.Found(probe.CodeRateLimited, ""), true
	}
	return probe.Finding{}, false
}
