// Package s3 declares credentials of Amazon S3 and of stores that speak its
// protocol.
package s3

import (
	"regexp"
	"slices"

	"credence/shared/connector"
	"credence/shared/fault"
)

// Type is the declaration.
func Type() *connector.Type {
	return &connector.Type{
		Name: "s3", ID: 1, ConnectionType: "s3", Title: "Amazon S3",
		Help: "A bucket, or all buckets, of Amazon S3 or a store that speaks its protocol.",
		Fields: slices.Concat([]connector.Field{
			{Name: "s3_auth_type", Kind: connector.Text, Title: "Way to sign in", Public: true, OneOf: []string{"Access Key", "ARN", "Instance Role"}},
			{Name: "access_key", Also: []string{"access_key_id"}, Kind: connector.Text, Title: "Access key id", Identity: true},
			{Name: "secret_key", Also: []string{"secret_access_key"}, Kind: connector.Text, Title: "Secret access key", Secret: true},
			{Name: "session_token", Kind: connector.Text, Title: "Session token", Help: "With temporary keys only.", Secret: true},
			{Name: "region", Kind: connector.Text, Title: "Region", Destination: true, Public: true, Check: form(regionForm, "Send a region's name, such as us-east-1.")},
			{Name: "bucket", Kind: connector.Text, Title: "Bucket", Destination: true, Public: true, Check: form(bucketForm, "Send a bucket's name alone: no ARN, no path.")},
			{Name: "endpoint", Kind: connector.Text, Title: "Address of the store", Help: "Of a store other than Amazon's.", Destination: true, Public: true, Check: connector.CheckURL},
			{Name: "arn", Kind: connector.Text, Title: "ARN of the role", Public: true},
			{Name: "external_id", Kind: connector.Text, Title: "External id", Secret: true},
			{Name: "test.path", Kind: connector.Text, Title: "Path to test with", Public: true},
			connector.CACertificate(),
		}, connector.BucketEncryption(), connector.FileEncryption()),
		Discriminator: "s3_auth_type",
		Methods: []connector.Method{
			{Name: "Access Key", Needs: []string{"access_key", "secret_key"}, May: []string{"session_token"}},
			{Name: "ARN", Needs: []string{"arn"}, May: []string{"external_id"}},
			{Name: "Instance Role", Explicit: true},
		},
		Example: []byte(`{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_key":"correct horse battery staple","bucket":"my-data-bucket","region":"us-east-1"}`),
	}
}

var (
	regionForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	bucketForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`)
)

func form(re *regexp.Regexp, message string) func(string) (string, string) {
	return func(text string) (string, string) {
		if re.MatchString(text) {
			return "", ""
		}
		return fault.DetailMalformed, message
	}
}
