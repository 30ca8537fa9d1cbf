package connector_test

import (
	"strconv"
	"testing"

	"credence/shared/connector"
	"credence/shared/fault"
)

// What looks like a secret and is none is accepted in a public field; conntest
// has the secrets that none may carry.
func TestPublicText(t *testing.T) {
	typ := &connector.Type{
		Name: "open", ID: 9001, ConnectionType: "open", Title: "Open", Help: "A type.",
		Fields: []connector.Field{{Name: "note", Kind: connector.Text, Title: "Note", Public: true}},
	}
	for _, text := range []string{
		"analytics", "user@example.com", "o'hara \"x\"@y", "user@server-1", "postgres.abcdefghijkl", "key=value", "tokens", "token", "password", "the secret",
		"secret:read", "read:token write:token", "openid profile email", "https://www.googleapis.com/auth/devstorage.read_only", "api://0c1d2e3f-0000-4000-8000-000000000001/.default",
		"arn:aws:kms:eu-west-1:123456789012:key/1a2b3c4d-1111-2222-3333-444455556666", "arn:aws:iam::123456789012:role/secret-reader", "projects/p/locations/l/keyRings/r/cryptoKeys/k",
		"https://db.example.com:8443/users/@me", "https://h.example.com/a@b", "https://h.example.com/v1/token", "https://token.example.com/oauth/token", "in/year=2030/month=01/",
		"bearer", "Bearer", "Basic", "basic auth", "bearer of news", "application/json; charset=utf-8", "data.token", "$.access_token", "x-api-key", "X-Auth-Token", "sk-short", "eyJ", "npm_config",
		"0123456789012345678901234567890123456789", "abcdefghijklmnopqrstuvwxyzabcdefghijklmn", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "YWJjZGVmZ2hpamtsbW5vcA==", "per%cent", "100%", "a:b", "C:\\data", "sales:2030",
		"https://h.example.com/x?code=US", "https://h.example.com/a//b", "https://h.example.com/x?auth=basic", "passport", "bypass:none", "2030-01-01T12:30:00Z", "password policy", "user/x@h", "MTIzNDU2Nzg5MA==",
	} {
		if _, faults := typ.Check([]byte(`{"note":` + strconv.Quote(text) + `}`)); len(faults) > 0 {
			t.Errorf("%q: %v", text, faults)
		}
	}
	if _, faults := typ.Check([]byte(`{"note":"password=x"}`)); len(faults) != 1 || faults[0].Code != fault.DetailForbidden {
		t.Errorf("a password: %v", faults)
	}
}
