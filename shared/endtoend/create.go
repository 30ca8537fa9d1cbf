package endtoend

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func createChecks() []check {
	return []check{
		{"the documented requests are served", examples},
		{"the documented answer to an S3 bucket", exampleAnswer},
		{"a service account's key", serviceAccount},
		{"fields that only the service sets are ignored", serviceFields},
		{"every accepted name of a field", acceptedNames},
		{"names that are nearly right", misspelt},
		{"create with all that may be said", createWhole},
		{"faults of a request are told together", createFaults},
		{"types that are none", createUnknownType},
		{"an organisation not the caller's", createForeignOrg},
		{"a placeholder is no secret", createPlaceholder},
		{"values of the wrong kind", createKinds},
	}
}

// examples sends what the API's documentation shows, with values in place.
func examples(t *testing.T, su *suite) {
	access := func() object { return object{"access_key_id": "AKIA" + random()[:16], "secret_key": su.leaks.secret()} }
	for name, c := range map[string]struct {
		kind        string
		credentials object
		public      object
	}{
		"s3 production":      {"s3", access(), object{}},
		"s3 with its type":   {"s3", with(access(), object{"credentials_type": "s3"}), object{}},
		"s3 with its bucket": {"s3", with(access(), object{"bucket": "my-data-bucket", "region": "us-east-1"}), object{"bucket": "my-data-bucket", "region": "us-east-1"}},
		"gcs":                {"gcs", object{"service_account_key": base64.StdEncoding.EncodeToString(su.accountKey(t))}, nil},
		"postgres": {
			"postgres",
			object{"host": "db.example.com", "port": 5432, "database": "analytics", "username": "analytics_user", "password": su.leaks.secret()},
			object{"host": "db.example.com"},
		},
		"mysql": {
			"mysql",
			object{"host": "mysql.example.com", "port": 3306, "database": "production", "username": "data_user", "password": su.leaks.secret()},
			object{"host": "mysql.example.com"},
		},
		"rest":                   {"rest", object{"api_key": su.leaks.secret(), "base_url": "https://api.example.com"}, object{"base_url": "https://api.example.com"}},
		"rest by its other name": {"rest", object{"api_key": su.leaks.secret(), "endpoint": "https://api.example.com"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			made := su.admin.create(t, object{"name": label("example"), "credentials_type": c.kind, "credentials": c.credentials})
			if made.text("credentials_type") != c.kind {
				t.Errorf("made a %q", made.text("credentials_type"))
			}
			for field, want := range c.public {
				if made.at("credentials_non_secure_data", field) != want {
					t.Errorf("the public settings lack %s", field)
				}
			}
			if c.kind == "s3" && !reflect.DeepEqual(made.at("credentials_non_secure_data"), c.public) {
				t.Error("the public settings are not those that were sent, and nothing else")
			}
		})
	}
}

func exampleAnswer(t *testing.T, su *suite) {
	body := with(su.s3("Test S3 Credentials"), object{"description": "AWS S3 access for data storage"})
	r := su.admin.create(t, body)
	for field, want := range map[string]any{
		"name": "Test S3 Credentials", "description": "AWS S3 access for data storage", "credentials_type": "s3",
		"credentials_version": "1", "verified_status": nil, "verified_at": nil, "copied_from_id": nil,
		"access_roles": []any{"owner"}, "api_keys": []any{}, "tags": []any{}, "referenced_resource_ids": map[string]any{},
		"credentials_non_secure_data": object{"bucket": "reports-2031", "region": "eu-central-1"},
	} {
		if got := r.at(field); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", field, got, want)
		}
	}
	if r.int("owner", "id") != su.admin.user || r.int("org", "id") != su.admin.org {
		t.Error("the owner or the organisation is not the caller's")
	}
	if r.text("created_at") != r.text("updated_at") {
		t.Error("a new credential has been updated")
	}
	if !reflect.DeepEqual(r.again(t).value, r.value) {
		t.Error("reading it gives another object than making it")
	}
	su.admin.get(t, r.path+"?expand=all").refused(t, http.StatusBadRequest, "invalid_parameter")
	if !reflect.DeepEqual(su.admin.get(t, r.path+"?expand=1").ok(t).value, r.value) {
		t.Error("expand=1 changes something")
	}
}

// account is the file that Google hands out for a service account.
func (su *suite) accountKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("encoding a key: %v", err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	su.leaks.watch(block[100:160])
	text, err := json.Marshal(object{
		"type": "service_account", "project_id": "warm-river-7", "private_key_id": "f00d", "private_key": block,
		"client_email": "loader@warm-river-7.iam.gserviceaccount.com", "client_id": "1234567890",
		"token_uri": "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com",
	})
	if err != nil {
		t.Fatalf("encoding an account: %v", err)
	}
	return text
}

func serviceAccount(t *testing.T, su *suite) {
	account := su.accountKey(t)
	var asObject object
	if err := json.Unmarshal(account, &asObject); err != nil {
		t.Fatalf("decoding an account: %v", err)
	}
	base := object{"name": label("account"), "credentials_type": "gcs"}
	for name, credentials := range map[string]object{
		"base64": {"service_account_key": base64.StdEncoding.EncodeToString(account)},
		"object": {"json_creds": asObject, "project_id": "warm-river-7", "is_service_account": true},
		"text":   {"json_creds": string(account), "project_id": "warm-river-7", "is_service_account": "true"},
	} {
		t.Run(name, func(t *testing.T) { su.admin.create(t, with(base, object{"credentials": credentials})) })
	}
	foreign := with(asObject, object{"type": "external_account", "credential_source": object{"file": "/proc/self/environ"}, "token_url": "https://example.org/t"})
	for name, c := range map[string]struct{ field, value any }{
		"no base64":           {"service_account_key", "not base64 at all!"},
		"base64 of no JSON":   {"service_account_key", base64.StdEncoding.EncodeToString([]byte("hello"))},
		"another kind of key": {"json_creds", foreign},
		"a user's key":        {"json_creds", with(asObject, object{"type": "authorized_user"})},
		"no private key":      {"json_creds", without(asObject, "private_key")},
	} {
		t.Run(name, func(t *testing.T) {
			field := c.field.(string)
			r := su.admin.post(t, "/data_credentials", with(base, object{"credentials": object{field: c.value}}))
			r.refused(t, http.StatusBadRequest, "")
			if !pointsInto(r.pointers(), "/credentials/"+field) {
				t.Errorf("the details point at %q", r.pointers())
			}
		})
	}
}

func serviceFields(t *testing.T, su *suite) {
	then := "2001-02-03T04:05:06.789Z"
	claims := object{
		"id": 7, "owner": object{"id": su.other.user, "full_name": "Else", "email": "else@example.org"}, "access_roles": []string{"collaborator"},
		"created_at": then, "updated_at": then, "verified_status": "200 Ok", "verified_at": then, "copied_from_id": 7,
		"managed": true, "api_keys": []object{{"a": 1}}, "connector": object{"id": 1}, "credentials_non_secure_data": object{"bucket": "claimed"},
		"referenced_resource_ids": object{"data_sources": []int{1}}, "org": object{"id": su.other.org},
		"vendor": nil, "auth_template": nil, "template_config": object{}, "last_probe": object{"verdict": "valid"}, "expires_at": then,
		"version": 99, "secret_version": 99,
	}
	c := su.admin.create(t, with(su.s3(label("claims")), claims))
	same := func(t *testing.T, r *reply) {
		t.Helper()
		if r.int("id") == 7 || r.int("owner", "id") != su.admin.user || r.int("org", "id") != su.admin.org || r.text("created_at") == then ||
			r.at("verified_status") != nil || r.at("verified_at") != nil || r.at("copied_from_id") != nil ||
			r.int("version") == 99 || r.int("secret_version") != 1 || !reflect.DeepEqual(r.at("access_roles"), []any{"owner"}) || r.at("credentials_non_secure_data", "bucket") != "reports-2031" ||
			len(r.at("referenced_resource_ids").(object)) != 0 {
			t.Error("a client sets what only the service sets")
		}
	}
	same(t, c.reply)
	same(t, su.admin.put(t, c.path, with(claims, object{"description": "claimed"})).ok(t).form(t, fullForm))
	// A client may send back the object that it read.
	read := c.again(t)
	if r := su.admin.put(t, c.path, object{"version": 99}).ok(t).form(t, fullForm); !reflect.DeepEqual(r.value, read.value) {
		t.Error("a version alone is a change")
	}
	same(t, su.admin.put(t, c.path, raw(read.body)).ok(t).form(t, fullForm))
	if c.again(t).text("description") != "claimed" {
		t.Error("sending back the object read changes the description")
	}
}

// misspelt holds names that are nearly right to the name that they suggest: an
// unknown field is kept, as a secret, and a required one is asked for.
func misspelt(t *testing.T, su *suite) {
	postgres := object{"host": "h.example.org", "database": "d", "user": "u", "password": su.leaks.secret()}
	body := func(credentials object) object {
		return object{"name": label("misspelt"), "credentials_type": "postgres", "credentials": credentials}
	}
	c := su.admin.create(t, body(with(postgres, object{"ssl_mode": su.leaks.secret(), "own.key": su.leaks.secret()})))
	if w, _ := c.at("warnings").([]any); len(w) != 2 || !strings.Contains(fmt.Sprint(w), "Did you mean sslmode?") {
		t.Errorf("the warnings are %v", w)
	}
	if c.again(t).at("warnings") != nil {
		t.Error("a warning outlives the answer to the request that it is about")
	}
	if r := su.admin.put(t, c.path, object{"credentials": postgres}).ok(t); r.at("warnings") != nil {
		t.Error("a right update has warnings")
	}
	tried := body(with(postgres, object{"host": su.Targets, "port": 1, "ssl_mode": su.leaks.secret()}))
	if r := su.admin.post(t, "/data_credentials/probe", tried); !strings.Contains(string(r.body), `"UNKNOWN_FIELD"`) || !strings.Contains(string(r.body), "Did you mean sslmode?") {
		t.Errorf("a probe before saving has the warnings %v", r.at("warnings"))
	}
	r := su.admin.post(t, "/data_credentials", body(with(without(postgres, "host", "password"), object{"hostname": "h", "pasword": su.leaks.secret()})))
	r.refused(t, http.StatusBadRequest, "", "/credentials/host", "/credentials/password")
	for _, want := range []string{"You sent hostname. Did you mean host?", "You sent pasword. Did you mean password?"} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("the refusal does not suggest it: %s", want)
		}
	}
	r = su.admin.post(t, "/data_credentials", with(body(postgres), object{"credentials_type": "postgresql"}))
	if r.refused(t, http.StatusBadRequest, "invalid_connector_type"); !strings.Contains(string(r.body), "Did you mean postgres?") {
		t.Error("the type is not suggested")
	}
}

func acceptedNames(t *testing.T, su *suite) {
	for name, c := range map[string]struct {
		kind        string
		credentials object
	}{
		"s3, the table's":      {"s3", object{"s3_auth_type": "Access Key", "access_key": "AKIA" + random()[:16], "secret_key": su.leaks.secret()}},
		"s3, as AWS says":      {"s3", object{"access_key_id": "AKIA" + random()[:16], "secret_access_key": su.leaks.secret()}},
		"postgres, other":      {"postgres", object{"host": "h.example.org", "port": "5432", "database_name": "d", "user": "u", "password": su.leaks.secret()}},
		"mysql, other":         {"mysql", object{"host": "h.example.org", "port": "3306", "database_name": "d", "user": "u", "password": su.leaks.secret()}},
		"rest, url":            {"rest", object{"api_key": su.leaks.secret(), "url": "https://api.example.org/v1"}},
		"rest, dotted":         {"rest", object{"auth.type": "API_KEY", "api.key.include.mode": "HEADER", "api.key.auth.key": "X-Key", "api.key.auth.value": su.leaks.secret(), "test.url": "https://api.example.org/me", "test.method": "GET", "test.content.type": "application/json"}},
		"rest, name and word":  {"rest", object{"auth.type": "BASIC", "basic.username": "u", "basic.password": su.leaks.secret(), "test.url": "https://api.example.org/me"}},
		"keys no type knows":   {"s3", object{"access_key_id": "AKIA" + random()[:16], "secret_key": su.leaks.secret(), "my.own": su.leaks.secret(), "nested": object{"a": []int{1, 2}}}},
		"connector_type alias": {"", object{"api_key": su.leaks.secret(), "base_url": "https://api.example.org"}},
	} {
		t.Run(name, func(t *testing.T) {
			body := object{"name": label("names"), "credentials_type": c.kind, "credentials": c.credentials}
			if c.kind == "" {
				body = object{"name": label("alias"), "connector_type": "rest", "credentials": c.credentials}
			}
			su.admin.create(t, body)
		})
	}
}

func createWhole(t *testing.T, su *suite) {
	body := with(su.postgres(label("whole")), object{
		"description": nil, "tags": []string{"night", "größe"}, "credentials_version": "2", "org_id": su.admin.org, "owner_id": su.admin.user, "probe_interval": "off",
	})
	r := su.admin.create(t, body)
	if r.at("description") != nil || r.text("credentials_version") != "2" {
		t.Error("description or credentials_version are not those sent")
	}
	tags := texts(r.at("tags"))
	if len(tags) != 2 || !contains(tags, "night") || !contains(tags, "größe") {
		t.Errorf("tags are %q", tags)
	}
	for _, secret := range []string{"password"} {
		if r.at("credentials_non_secure_data", secret) != nil {
			t.Errorf("%s is public", secret)
		}
	}
}
