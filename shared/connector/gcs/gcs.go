// Package gcs declares credentials of Google Cloud Storage.
package gcs

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"credence/shared/connector"
	"credence/shared/fault"
)

// Type is the declaration.
func Type() *connector.Type {
	return &connector.Type{
		Name: "gcs", ID: 4, ConnectionType: "gcs", Title: "Google Cloud Storage",
		Help: "Buckets of a Google Cloud project, signed in to with a service account.",
		Fields: slices.Concat([]connector.Field{
			{Name: "is_service_account", Kind: connector.Bool, Title: "Signs in as a service account", Public: true},
			{Name: "json_creds", Kind: connector.Object, Title: "Service account's JSON", Help: "The key file's object, or its text.", Secret: true, Check: CheckServiceAccount},
			{Name: "service_account_key", Kind: connector.Text, Title: "Service account's key", Help: "The key file in base64.", Secret: true, Check: checkEncoded},
			{Name: "project_id", Kind: connector.Text, Title: "Project", Destination: true, Public: true},
			{Name: "bucket", Kind: connector.Text, Title: "Bucket", Destination: true, Public: true},
			{Name: "test.path", Kind: connector.Text, Title: "Path to test with", Public: true},
		}, connector.OAuth(), connector.FileEncryption()),
		Methods: []connector.Method{
			{Name: "Service Account Key", Needs: []string{"service_account_key"}},
			{Name: "Service Account", Needs: []string{"json_creds"}},
			{Name: "OAUTH2", Needs: []string{"access_token"}, May: []string{"oauth2.client.id", "oauth2.client.secret", "oauth2.access.token.url"}},
			{Name: "OAUTH2", Needs: []string{"vendor.access_token"}, May: []string{"vendor.refresh_token"}},
		},
		Example: example,
	}
}

// The key in the example is no key: only its form is looked at here.
var example = []byte(`{"service_account_key":"` + base64.StdEncoding.EncodeToString([]byte(
	`{"type":"service_account","project_id":"my-project","client_email":"loader@my-project.iam.gserviceaccount.com","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}`)) + `"}`)

// CheckServiceAccount takes the JSON of a service account's key and no other
// kind of Google credentials: external_account and impersonated ones name files,
// programs and addresses that whoever uses them would read, run or call.
func CheckServiceAccount(text string) (code, message string) {
	var key struct {
		Type       string `json:"type"`
		Email      string `json:"client_email"`
		PrivateKey string `json:"private_key"`
	}
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		return fault.DetailMalformed, "Send the JSON of a service account's key file."
	}
	if key.Type != "service_account" {
		return fault.DetailForbidden, "Only a service account's key is taken: its type must be service_account."
	}
	if key.Email == "" || key.PrivateKey == "" {
		return fault.DetailMalformed, "The service account's JSON must hold client_email and private_key."
	}
	return "", ""
}

func checkEncoded(text string) (code, message string) {
	plain, err := decode(text)
	if err != nil {
		return fault.DetailMalformed, "Send the service account's JSON key file in base64."
	}
	return CheckServiceAccount(string(plain))
}

// decode takes base64 as tools print it: with line breaks, with padding or
// without.
func decode(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("\n", "", "\r", "", " ", "").Replace(text), "=")
	return base64.RawStdEncoding.DecodeString(text)
}
