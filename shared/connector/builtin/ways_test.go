package builtin_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
)

// TestWays sends what leaves the way to sign in to be found out: "way" is the
// one that is taken, else the lines are the faults.
func TestWays(t *testing.T) {
	types := registry(t)
	key := keyFile("service_account")
	const api = `"base_url":"https://api.example.com"`
	for name, c := range map[string]struct{ typ, sent, want string }{
		"s3 of nothing":               {"s3", `{}`, "/access_key required\n/secret_key required"},
		"s3 of a bucket":              {"s3", `{"bucket":"my-bucket","region":"us-east-1"}`, "/access_key required\n/secret_key required"},
		"s3 named":                    {"s3", `{"s3_auth_type":"Access Key","access_key":"A","secret_key":"s"}`, "way Access Key"},
		"s3 named in small letters":   {"s3", `{"s3_auth_type":"access key","access_key":"A","secret_key":"s"}`, "/s3_auth_type unknown_value"},
		"s3 of a temporary key":       {"s3", `{"access_key":"A","secret_key":"s","session_token":"t"}`, "way Access Key"},
		"s3 of a role's ARN":          {"s3", `{"arn":"arn:aws:iam::123456789012:role/team/r","external_id":"x"}`, "way ARN"},
		"s3 of an external id":        {"s3", `{"s3_auth_type":"ARN","external_id":"x"}`, "way ARN"},
		"s3 of an ARN that is none":   {"s3", `{"arn":"role/r"}`, "/arn malformed"},
		"s3 named ARN, and no more":   {"s3", `{"s3_auth_type":"ARN"}`, "/arn required"},
		"s3 named ARN, with keys":     {"s3", `{"s3_auth_type":"ARN","access_key_id":"A","secret_key":"s"}`, "/s3_auth_type conflicting\n/arn required"},
		"s3 by the instance":          {"s3", `{"s3_auth_type":"Instance Role"}`, "way Instance Role"},
		"s3 in two ways":              {"s3", `{"access_key_id":"A","secret_key":"s","arn":"arn:aws:iam::123456789012:role/r"}`, "/access_key_id conflicting\n/secret_key conflicting\n/arn conflicting"},
		"s3 in two ways, one named":   {"s3", `{"s3_auth_type":"ARN","access_key":"A","secret_key":"s","arn":"arn:aws:iam::123456789012:role/r"}`, "way ARN"},
		"s3 of another store":         {"s3", `{"access_key":"A","secret_key":"s","endpoint":"http://10.0.0.7:9000","region":"auto","bucket":"My_Old.Bucket"}`, "way Access Key"},
		"gcs of nothing":              {"gcs", `{}`, "/json_creds required"},
		"gcs of a project":            {"gcs", `{"project_id":"p","is_service_account":true}`, "/json_creds required"},
		"gcs, its JSON for base64":    {"gcs", `{"service_account_key":` + quoted(t, key) + `}`, "/service_account_key malformed"},
		"gcs, one key twice":          {"gcs", `{"json_creds":` + key + `,"service_account_key":"` + in64(key) + `"}`, "way Service Account"},
		"gcs, two keys":               {"gcs", `{"json_creds":` + key + `,"service_account_key":"` + in64(strings.Replace(key, "0a1b", "0a1c", 1)) + `"}`, "/service_account_key conflicting"},
		"gcs in two ways":             {"gcs", `{"json_creds":` + key + `,"access_token":"t"}`, "/json_creds conflicting\n/access_token conflicting"},
		"gcs, two tokens of one way":  {"gcs", `{"access_token":"t","vendor.access_token":"t","vendor.refresh_token":"r"}`, "way OAUTH2"},
		"gcs, a person with a key":    {"gcs", `{"is_service_account":false,"json_creds":` + key + `}`, "/is_service_account conflicting\n/access_token required"},
		"postgres without a port":     {"postgres", `{"host":"db","user":"u","password":"p","database":"d"}`, "way "},
		"postgres of nothing":         {"postgres", `{}`, "/host required\n/username required\n/password required\n/database_name required"},
		"postgres of nulls":           {"postgres", `{"host":null,"port":"many","user":null,"password":""}`, "/port wrong_kind\n/host required\n/user required\n/password required\n/database_name required"},
		"postgres, one name in two":   {"postgres", `{"host":"db","user":"u","username":"v","password":"p","database":"d"}`, "/user conflicting"},
		"mysql without a database":    {"mysql", `{"host":"db","user":"u","password":"p"}`, "way "},
		"rest of nothing":             {"rest", `{}`, "/api_key required\n/base_url required"},
		"rest of a key":               {"rest", `{"api_key":"k"}`, "/base_url required"},
		"rest of an address":          {"rest", `{` + api + `}`, "/api_key required"},
		"rest, simple and named":      {"rest", `{"auth.type":"API_KEY","api_key":"k",` + api + `}`, "way api_key"},
		"rest of a user":              {"rest", `{"basic.username":"u",` + api + `}`, "way BASIC"},
		"rest of a user and password": {"rest", `{"basic.username":"u","basic.password":"p",` + api + `}`, "way BASIC"},
		"rest, these for a token":     {"rest", `{"token.auth.url":"https://id.example.org","basic.username":"u","basic.password":"p"}`, "way TOKEN"},
		"rest, a body for a token":    {"rest", `{"auth.type":"TOKEN","token.auth.url":"https://id.example.org","token.auth.body":"{}"}`, "way TOKEN"},
		"rest of a client":            {"rest", `{"oauth2.client.id":"i","oauth2.client.secret":"s","oauth2.access.token.url":"https://id.example.org/t"}`, "way OAUTH2"},
		"rest, headers beside a key":  {"rest", `{"api_key":"k","request.headers":"X: y",` + api + `}`, "way api_key"},
		"rest, headers alone":         {"rest", `{"request.headers":"X: y",` + api + `}`, "way NONE"},
		"rest of nothing, named":      {"rest", `{"auth.type":"NONE","skip.validation":"true"}`, "way NONE"},
		"rest, a JWT beside nothing":  {"rest", `{"auth.type":"NONE","jwt.enabled":true,"jwt.token.secret":"s","jwt.token.algorithm":"HS256"}`, "way NONE"},
		"rest, a JWT":                 {"rest", `{"jwt.enabled":true,"jwt.token.secret":"s"}`, "way JWT"},
		"rest, a JWT for a named key": {"rest", `{"auth.type":"API_KEY","jwt.token.secret":"s"}`, "/api_key required\n/base_url required"},
		"rest named, with another's":  {"rest", `{"auth.type":"BASIC","api_key":"k",` + api + `}`, "/auth.type conflicting\n/basic.username required\n/basic.password required"},
		"rest in two ways":            {"rest", `{"api_key":"k","basic.username":"u","basic.password":"p",` + api + `}`, "/api_key conflicting\n/base_url conflicting\n/basic.username conflicting\n/basic.password conflicting"},
		"rest in a way that is none":  {"rest", `{"auth.type":"basic","basic.username":"u","basic.password":"p"}`, "/auth.type unknown_value"},
	} {
		t.Run(name, func(t *testing.T) {
			typ, ok := types.Lookup(c.typ)
			if !ok {
				t.Fatal("it is not on the list")
			}
			settings, faults := typ.Check(jsontext.Value(c.sent))
			var told []string
			for _, d := range faults {
				told = append(told, strings.TrimPrefix(d.Pointer, connector.Root)+" "+d.Code)
			}
			got := strings.Join(told, "\n")
			if len(faults) == 0 {
				got = "way " + settings.Method()
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
