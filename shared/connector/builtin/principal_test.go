package builtin_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// TestPrincipals holds the account that is signed in to to what one would lock
// by trying.
func TestPrincipals(t *testing.T) {
	types := registry(t)
	of := func(name, sent string) string {
		t.Helper()
		typ, _ := types.Lookup(name)
		settings, faults := typ.Check(jsontext.Value(sent))
		if len(faults) > 0 {
			t.Fatalf("%s: %v", name, faults)
		}
		return settings.Principal()
	}
	for name, sent := range map[string]string{
		"rest":  `{"api_key":"k","base_url":"https://api.example.com"}`,
		"gcs":   `{"access_token":"t"}`,
		"rest ": `{"auth.type":"NONE","test.url":"https://api.example.com"}`,
	} {
		if p := of(strings.TrimSpace(name), sent); p != "" {
			t.Errorf("%s names an account though nobody is named: %q", name, p)
		}
	}
	for typ, c := range map[string][3]string{
		"postgres": {
			`{"host":"DB.example.com","username":"u","password":"p","database":"a"}`,
			`{"host":"db.example.com.","port":"5432","user":"u","password":"q","database":"b"}`,
			`{"host":"db.example.com","port":"5433","user":"u","password":"p","database":"a"}`,
		},
		"mysql": {
			`{"host":"db","username":"u","password":"p"}`,
			`{"host":"db","port":3306,"user":"u","password":"q"}`,
			`{"host":"db","user":"v","password":"p"}`,
		},
		"s3": {
			`{"access_key":"A","secret_key":"s"}`,
			`{"access_key_id":"A","secret_access_key":"t","bucket":"my-data-bucket"}`,
			`{"access_key_id":"B","secret_key":"s"}`,
		},
		"rest": {
			`{"basic.username":"u","basic.password":"p","base_url":"https://API.example.com/v1"}`,
			`{"auth.type":"BASIC","basic.username":"u","basic.password":"q","url":"https://api.example.com/v2"}`,
			`{"basic.username":"u","basic.password":"p","base_url":"https://other.example.com/v1"}`,
		},
		"rest ": {
			`{"basic.username":"u","basic.password":"p","base_url":"https://api.example.com/v1"}`,
			`{"basic.username":"u","basic.password":"p","base_url":"https://api.example.com","test.url":"https://api.example.com/me"}`,
			`{"basic.username":"u","basic.password":"p","test.url":"https://other.example.com/me"}`,
		},
		"rest  ": {
			`{"basic.username":"u","basic.password":"p","test.url":"https://api.example.com/me"}`,
			`{"basic.username":"u","basic.password":"p","url":"https://api.example.com"}`,
			`{"basic.username":"u","basic.password":"p","test.url":"https://other.example.com/me"}`,
		},
	} {
		name := strings.TrimSpace(typ)
		a, b, other := of(name, c[0]), of(name, c[1]), of(name, c[2])
		if a == "" || a != b {
			t.Errorf("%s: one account is %q and %q", typ, a, b)
		}
		if a == other {
			t.Errorf("%s: two accounts are both %q", typ, a)
		}
	}
}
