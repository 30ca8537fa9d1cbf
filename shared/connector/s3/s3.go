// Package s3 declares credentials of Amazon S3 and of stores that speak its
// protocol.
package s3

import (
	"slices"
	"strings"

	"credence/shared/connector"
	"credence/shared/fault"
	"credence/shared/pattern"
)

// Type is the declaration.
func Type() *connector.Type {
	return &connector.Type{
		Name: "s3", Near: []string{"aws_s3", "amazon_s3", "aws", "s3a", "bucket"}, ID: 1, ConnectionType: "s3", Title: "Amazon S3",
		Help: "A bucket, or all buckets, of Amazon S3 or a store that speaks its protocol.",
		Fields: slices.Concat([]connector.Field{
			{Name: "s3_auth_type", Kind: connector.Text, Title: "Way to sign in", Public: true, OneOf: []string{"Access Key", "ARN", "Instance Role"}},
			{Name: "access_key", Also: []string{"access_key_id"}, Near: []string{"aws_access_key_id", "aws_access_key", "key_id"}, Kind: connector.Text, Title: "Access key id", Identity: true},
			{Name: "secret_key", Also: []string{"secret_access_key"}, Near: []string{"aws_secret_access_key", "aws_secret_key", "secret"}, Kind: connector.Text, Title: "Secret access key", Secret: true},
			{Name: "session_token", Near: []string{"aws_session_token", "token"}, Kind: connector.Text, Title: "Session token", Help: "With temporary keys only.", Secret: true},
			{Name: "arn", Near: []string{"role_arn", "role"}, Kind: connector.Text, Title: "ARN of the role", Destination: true, Public: true, MaxBytes: 2048, Check: connector.Form(arnForm, "Send an ARN, such as arn:aws:iam::123456789012:role/reader.")},
			{Name: "external_id", Kind: connector.Text, Title: "External id"},
			{Name: "region", Near: []string{"aws_region", "region_name", "location"}, Kind: connector.Text, Title: "Region", Destination: true, Public: true, Check: connector.Form(regionForm, "Send a region's name, such as us-east-1: letters, digits and hyphens, no underscores.")},
			{Name: "bucket", Near: []string{"container", "s3_bucket"}, Kind: connector.Text, Title: "Bucket", Destination: true, Public: true, Check: connector.Form(bucketForm, "Send a bucket's name alone, of three characters at least: no ARN, no path.")},
			{Name: "endpoint", Near: []string{"endpoint_url", "host", "url", "base_url"}, Kind: connector.Text, Title: "Address of the store", Help: "Of a store other than Amazon's.", Destination: true, Public: true, Check: checkEndpoint},
			{Name: "test.path", Kind: connector.Text, Title: "Path to test with", Destination: true, Public: true},
			connector.CACertificate(),
		}, connector.BucketEncryption(), connector.FileEncryption()),
		Methods: []connector.Method{
			{Name: "Access Key", When: named("Access Key"), Needs: []string{"access_key", "secret_key"}, May: []string{"session_token"}},
			{Name: "ARN", When: named("ARN"), Needs: []string{"arn"}, May: []string{"external_id"}, Example: []byte(
				`{"s3_auth_type":"ARN","arn":"arn:aws:iam::123456789012:role/reader","external_id":"a-shared-word"}`)},
			// The published list of fields asks for the external id and not for
			// the ARN.
			{Name: "ARN", When: named("ARN"), Needs: []string{"external_id"}},
			{Name: "Instance Role", When: named("Instance Role"), Example: []byte(`{"s3_auth_type":"Instance Role","bucket":"my-data-bucket"}`)},
		},
		Example: []byte(`{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_key":"correct horse battery staple","bucket":"my-data-bucket","region":"us-east-1"}`),
	}
}

func named(way string) map[string]string { return map[string]string{"s3_auth_type": way} }

var (
	// regionForm takes the names of other stores' regions too. A dot or slash
	// would let it become a host of its own in the address that drivers build.
	regionForm = pattern.New(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	// bucketForm takes names of old buckets too, with capitals, underscores and
	// up to 255 bytes. A colon or slash would make it an ARN or a path.
	bucketForm = pattern.New(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9_-]$`)
	arnForm    = pattern.New(`^arn:[a-z0-9-]+:[a-z0-9-]*:[a-z0-9-]*:[0-9]*:[!-~]+$`)
)

// checkEndpoint takes a URL without a query, which a driver would drop or sign.
func checkEndpoint(text string) (code, message string) {
	if strings.Contains(text, "?") {
		return fault.DetailMalformed, "Send the store's address without a query, such as https://s3.example.com."
	}
	return connector.CheckURL(text)
}
