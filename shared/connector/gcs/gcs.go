// Package gcs declares credentials of Google Cloud Storage.
package gcs

import (
	"encoding/base64"
	"slices"

	"credence/shared/connector"
	"credence/shared/pattern"
)

// Type is the declaration.
func Type() *connector.Type {
	account := map[string]string{"is_service_account": "true"}
	person := map[string]string{"is_service_account": "false"}
	return &connector.Type{
		Name: "gcs", Near: []string{"google_cloud_storage", "gs", "google_storage", "gcp_storage", "google"}, ID: 4, ConnectionType: "gcs", Title: "Google Cloud Storage",
		Help: "Buckets of a Google Cloud project, signed in to with a service account or a token.",
		Fields: slices.Concat(connector.ServiceAccount(), []connector.Field{
			{Name: "bucket", Kind: connector.Text, Title: "Bucket", Destination: true, Public: true, Check: connector.Form(bucketForm, "Send a bucket's name alone, in lower case, of three characters at least: no address, no path.")},
			{Name: "test.path", Kind: connector.Text, Title: "Path to test with", Destination: true, Public: true},
		}, connector.OAuth(), connector.FileEncryption()),
		Methods: slices.Concat([]connector.Method{
			{Name: "Service Account", When: account, Needs: []string{"json_creds"}},
		}, connector.OAuthMethods(person, `{"is_service_account":false,"project_id":"my-project","auth.type":"OAUTH2","access_token":"correct horse battery staple"}`)),
		Example: []byte(`{"service_account_key":"` + base64.StdEncoding.EncodeToString(accountKey) + `"}`),
	}
}

var bucketForm = pattern.New(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// accountKey has the form of a key file and no key.
var accountKey = []byte(`{"type":"service_account","project_id":"my-project","client_email":"loader@my-project.iam.gserviceaccount.com","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}`)
