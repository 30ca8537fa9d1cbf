package builtin_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/connector/conntest"
)

// keyFile is a service account's key file, of a type.
func keyFile(kind string) string {
	return `{"type":"` + kind + `","project_id":"my-project","private_key_id":"0a1b","private_key":"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",` +
		`"client_email":"loader@my-project.iam.gserviceaccount.com","client_id":"1","token_uri":"https://oauth2.googleapis.com/token",` +
		`"audience":"//iam.googleapis.com/x","credential_source":{"file":"/etc/hostname"},"refresh_token":"r"}`
}

func in64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func quoted(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPublished sends what the documentation of the published API sends, and
// what its clients do.
func TestPublished(t *testing.T) {
	types := registry(t)
	key := keyFile("service_account")
	for name, c := range map[string]struct{ typ, sent, method, public string }{
		"gcs":                    {"gcs", `{"service_account_key":"` + in64(key) + `"}`, "Service Account", `{}`},
		"gcs, lines of 76":       {"gcs", `{"service_account_key":"` + in64(key)[:76] + `\n` + in64(key)[76:] + `\n"}`, "Service Account", `{}`},
		"gcs, an object":         {"gcs", `{"is_service_account":true,"project_id":"my-project","json_creds":` + key + `}`, "Service Account", `{"is_service_account":true,"project_id":"my-project"}`},
		"gcs, a text":            {"gcs", `{"is_service_account":"True","json_creds":` + quoted(t, key) + `}`, "Service Account", `{"is_service_account":true}`},
		"gcs, a token":           {"gcs", `{"is_service_account":false,"project_id":"my-project","access_token":"ya29.x"}`, "OAUTH2", `{"is_service_account":false,"project_id":"my-project"}`},
		"mysql":                  {"mysql", `{"host":"mysql.example.com","port":3306,"database":"production","username":"data_user","password":"p"}`, "", `{"database":"production","host":"mysql.example.com","port":3306,"username":"data_user"}`},
		"mysql, all as texts":    {"mysql", `{"host":"10.0.0.7","port":"3306","database_name":"production","user":"data_user","password":"p"}`, "", `{"database_name":"production","host":"10.0.0.7","port":3306,"user":"data_user"}`},
		"postgres":               {"postgres", `{"host":"db.example.com","port":5432,"database":"analytics","username":"analytics_user","password":"p"}`, "", `{"database":"analytics","host":"db.example.com","port":5432,"username":"analytics_user"}`},
		"postgres, an IPv6":      {"postgres", `{"host":"2001:db8::1","database":"a","username":"u","password":"p"}`, "", `{"database":"a","host":"2001:db8::1","username":"u"}`},
		"rest":                   {"rest", `{"api_key":"k","base_url":"https://api.example.com"}`, "api_key", `{"base_url":"https://api.example.com"}`},
		"rest, endpoint":         {"rest", `{"api_key":"k","endpoint":"https://api.example.com"}`, "api_key", `{"endpoint":"https://api.example.com"}`},
		"rest, a key in a query": {"rest", `{"api_key":"k","url":"https://api.example.com/v1?key=k&x=?y"}`, "api_key", `{"url":"https://api.example.com/v1"}`},
		"rest, dotted":           {"rest", `{"auth.type":"BASIC","basic.username":"u","basic.password":"p","test.url":"https://api.example.com/me","test.method":"GET","test.content.type":"application/json"}`, "BASIC", `{"auth.type":"BASIC","test.content.type":"application/json","test.method":"GET","test.url":"https://api.example.com/me"}`},
		"rest, as the published example": {
			"rest", `{"auth.type":"NONE","ignore.ssl.cert.validation":false,"test.method":"GET","test.content.type":"application/json","jwt.enabled":false,"hmac.enabled":false,"test.url":"https://demo-api.com/api/info.php?tid=1"}`, "NONE",
			`{"auth.type":"NONE","hmac.enabled":false,"ignore.ssl.cert.validation":false,"jwt.enabled":false,"test.content.type":"application/json","test.method":"GET","test.url":"https://demo-api.com"}`,
		},
		"rest, a token": {
			"rest", `{"auth.type":"OAUTH2","oauth2.token_exchange_type":"2-legged","oauth2.client.id":"loader","oauth2.client.secret":"s","oauth2.access.token.url":"https://id.example.com/t/secret?x=y","base_url":"https://api.example.com/v1"}`, "OAUTH2",
			`{"auth.type":"OAUTH2","base_url":"https://api.example.com/v1","oauth2.access.token.url":"https://id.example.com","oauth2.client.id":"loader","oauth2.token_exchange_type":"2-legged"}`,
		},
		"s3":                      {"s3", `{"credentials_type":"s3","access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_key":"wJalrXUtnFEMI/K7MDENG"}`, "Access Key", `{}`},
		"s3 with a bucket":        {"s3", `{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_key":"wJalrXUtnFEMI/K7MDENG","bucket":"my-data-bucket","region":"us-east-1"}`, "Access Key", `{"bucket":"my-data-bucket","region":"us-east-1"}`},
		"s3 with an AWS name":     {"s3", `{"access_key":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"x"}`, "Access Key", `{}`},
		"s3 without keys, a role": {"s3", `{"s3_auth_type":"ARN","arn":"arn:aws:iam::123456789012:role/reader"}`, "ARN", `{"arn":"arn:aws:iam::123456789012:role/reader","s3_auth_type":"ARN"}`},
	} {
		t.Run(name, func(t *testing.T) {
			typ, ok := types.Lookup(c.typ)
			if !ok {
				t.Fatal("it is not on the list")
			}
			settings, faults := typ.Check(jsontext.Value(c.sent))
			if len(faults) > 0 {
				t.Fatalf("refused: %v", faults)
			}
			if settings.Method() != c.method || string(settings.Public()) != c.public || settings.Unknown() != 0 {
				t.Errorf("taken as %q, public %s, %d unknown", settings.Method(), settings.Public(), settings.Unknown())
			}
			valid, err := conntest.Validator(typ.Schema())
			if err != nil {
				t.Fatal(err)
			}
			if sealed, err := sealedForm(typ, jsontext.Value(c.sent)); err != nil || name != "gcs, a text" && !valid(sealed) {
				t.Errorf("the schema refuses it: %v", err)
			}
		})
	}
}

// TestRefused sends what must not be stored, and wants each fault at its place.
func TestRefused(t *testing.T) {
	types := registry(t)
	const db = `"database":"d","username":"u","password":"p"`
	const s3 = `"access_key_id":"A","secret_key":"s"`
	for name, c := range map[string]struct{ typ, sent, want string }{
		"no base64":               {"gcs", `{"service_account_key":"<Base64 Encoded Key>"}`, "/service_account_key malformed"},
		"base64 of a text":        {"gcs", `{"service_account_key":"` + in64("hello") + `"}`, "/service_account_key malformed"},
		"base64 of another JSON":  {"gcs", `{"service_account_key":"` + in64(`{"a":1}`) + `"}`, "/service_account_key not_allowed"},
		"a key without its key":   {"gcs", `{"service_account_key":"` + in64(`{"type":"service_account","client_email":"a@b"}`) + `"}`, "/service_account_key malformed"},
		"an external account":     {"gcs", `{"service_account_key":"` + in64(keyFile("external_account")) + `"}`, "/service_account_key not_allowed"},
		"a person's":              {"gcs", `{"json_creds":` + keyFile("authorized_user") + `}`, "/json_creds not_allowed"},
		"an impersonated one":     {"gcs", `{"json_creds":` + keyFile("impersonated_service_account") + `}`, "/json_creds not_allowed"},
		"an external, in a text":  {"gcs", `{"json_creds":` + quoted(t, keyFile("external_account_authorized_user")) + `}`, "/json_creds not_allowed"},
		"an external, of rest":    {"rest", `{"auth.type":"gcp_service_account","gcp.service.account.credentials.json":` + keyFile("external_account") + `}`, "/gcp.service.account.credentials.json not_allowed"},
		"the type twice":          {"gcs", `{"service_account_key":"` + in64(`{"type":"service_account","type":"external_account"}`) + `"}`, "/service_account_key malformed"},
		"the type in capitals":    {"gcs", `{"service_account_key":"` + in64(strings.Replace(keyFile("service_account"), `"type"`, `"Type"`, 1)) + `"}`, "/service_account_key not_allowed"},
		"a key shown in stars":    {"gcs", `{"json_creds":{"type":"service_account","client_email":"a@b","private_key":"***"}}`, "/json_creds placeholder"},
		"a socket":                {"postgres", `{"host":"/var/run/postgresql",` + db + `}`, "/host malformed"},
		"two hosts":               {"postgres", `{"host":"a,b",` + db + `}`, "/host malformed"},
		"a DSN":                   {"mysql", `{"host":"unix(/tmp/x)",` + db + `}`, "/host malformed"},
		"a host with a port":      {"mysql", `{"host":"db.example.com:3306",` + db + `}`, "/host malformed"},
		"a host with a zone":      {"mysql", `{"host":"fe80::1%eth0",` + db + `}`, "/host malformed"},
		"a host of two lines":     {"mysql", `{"host":"db\nx",` + db + `}`, "/host malformed"},
		"a port too high":         {"mysql", `{"host":"db","port":65536,` + db + `}`, "/port out_of_range"},
		"a port of words":         {"mysql", `{"host":"db","port":"5432.0",` + db + `}`, "/port wrong_kind"},
		"TLS that gives in":       {"postgres", `{"host":"db","sslmode":"prefer",` + db + `}`, "/sslmode unknown_value"},
		"no certificate":          {"postgres", `{"host":"db","tls.ca_certificate":"/etc/ssl/ca.pem",` + db + `}`, "/tls.ca_certificate malformed"},
		"a region with a host":    {"s3", `{"region":"x.evil.example",` + s3 + `}`, "/region malformed"},
		"a region with a path":    {"s3", `{"region":"evil.example/#",` + s3 + `}`, "/region malformed"},
		"an ARN for a bucket":     {"s3", `{"bucket":"arn:aws:s3:us-east-1:123456789012:accesspoint/x",` + s3 + `}`, "/bucket malformed"},
		"a bucket of one letter":  {"s3", `{"bucket":"a",` + s3 + `}`, "/bucket malformed"},
		"a bucket with a path":    {"s3", `{"bucket":"a/b",` + s3 + `}`, "/bucket malformed"},
		"an endpoint with a user": {"s3", `{"endpoint":"https://u:p@s3.example.com",` + s3 + `}`, "/endpoint malformed"},
		"an endpoint with query":  {"s3", `{"endpoint":"https://s3.example.com?x=1",` + s3 + `}`, "/endpoint malformed"},
		"a URL of files":          {"rest", `{"api_key":"k","base_url":"file:///etc/passwd"}`, "/base_url malformed"},
		"a URL with a user":       {"rest", `{"api_key":"k","base_url":"https://u:p@api.example.com"}`, "/base_url malformed"},
		"a header of two lines":   {"rest", `{"auth.type":"API_KEY","api.key.auth.value":"k","api.key.include.mode":"HEADER","api.key.auth.key":"X\r\nHost: y"}`, "/api.key.auth.key malformed"},
		"the wrong way":           {"s3", `{"s3_auth_type":"Session"}`, "/s3_auth_type unknown_value"},
		"half a key":              {"s3", `{"access_key_id":"A"}`, "/secret_key required"},
		"two things":              {"postgres", `{"host":"db","port":true,"username":"u","password":"p"}`, "/port wrong_kind /database_name required"},
	} {
		t.Run(name, func(t *testing.T) {
			typ, ok := types.Lookup(c.typ)
			if !ok {
				t.Fatal("it is not on the list")
			}
			_, faults := typ.Check(jsontext.Value(c.sent))
			var told []string
			for _, d := range faults {
				told = append(told, strings.TrimPrefix(d.Pointer, connector.Root)+" "+d.Code)
			}
			if got := strings.Join(told, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
