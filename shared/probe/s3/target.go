package s3probe

import (
	"net/url"
	"strings"

	"credence/shared/pattern"
	"credence/shared/probe"
	"credence/shared/secret"
)

// The settings that are read, under their canonical names.
const (
	fieldAuthType probe.Field = "s3_auth_type"
	fieldKey      probe.Field = "access_key"
	fieldSecret   probe.Field = "secret_key"
	fieldToken    probe.Field = "session_token"
	fieldRegion   probe.Field = "region"
	fieldBucket   probe.Field = "bucket"
	fieldEndpoint probe.Field = "endpoint"
	fieldTestPath probe.Field = "test.path"
)

// target is what the settings name, checked before anything is dialled.
type target struct {
	endpoint    string // of a store other than Amazon's; "" for Amazon's
	region      string
	bucket      string
	prefix      string
	bucketField probe.Field // the setting that named the bucket
	key         string
	secret      secret.Value
	token       secret.Value
}

// amazon reports whether the store is Amazon's own.
func (t target) amazon() bool { return t.endpoint == "" }

// place is the setting that decides the host.
func (t target) place() probe.Field {
	if t.amazon() {
		return fieldRegion
	}
	return fieldEndpoint
}

const defaultRegion = "us-east-1"

var (
	// amazonRegion keeps a region from becoming a host of its own: the SDK puts
	// it into the name that it dials.
	amazonRegion = pattern.New(`^[a-z]{2}(-[a-z]{1,16}){1,3}-\d$`)
	// otherRegion is what other stores call theirs; it stands in the signature
	// alone.
	otherRegion = pattern.New(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	bucketName  = pattern.New(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9_-]$`)
	// special are the endings of names that are no general purpose bucket:
	// directory buckets, aliases of access points of several kinds, tables and
	// multi-region access points. The SDK sends each to a host of its own.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	special = pattern.New(`(--[a-z]+-s3|-s3alias|\.mrap)$`)
	// keyID and session token stand in headers.
	keyID       = pattern.New(`^[!-~]{1,128}$`)
	headerValue = pattern.New(`^[!-~]+$`)
)

// readTarget reads the settings. The error is a Finding and repeats nothing of
// them.
func readTarget(s probe.Settings) (target, error) {
	text := func(f probe.Field) string { return s.Text(string(f)) }
	t := target{
		endpoint: text(fieldEndpoint), region: text(fieldRegion), key: text(fieldKey),
		secret: s.Secret(string(fieldSecret)), token: s.Secret(string(fieldToken)),
	}
	// A role is never assumed, and an instance's never used: both would sign
	// with this service's own identity.
	if way := text(fieldAuthType); way != "" && way != "Access Key" || t.key == "" || t.secret.Len() == 0 {
		return target{}, probe.Found(probe.CodeAuthMethodUnsupported, "Only an access key and its secret key can be probed: a role is taken on from the account that it trusts, never by this service. Nothing was sent; check the credential where it is used.").At(fieldAuthType)
	}
	if !keyID.MatchString(t.key) {
		return target{}, probe.Found(probe.CodeAuthMethodUnsupported, "The access key contains a space, a line break or another character that no access key has. Enter it again without.").At(fieldKey)
	}
	if t.token.Len() > 8<<10 || t.token.Len() > 0 && !headerValue.MatchString(t.token.ExposeText()) {
		return target{}, probe.Found(probe.CodeAuthMethodUnsupported, "The session token contains a space, a line break or another character that no session token has. Enter it again without.").At(fieldToken)
	}
	if err := t.checkEndpoint(); err != nil {
		return target{}, err
	}
	return t, t.readBucket(text(fieldBucket), text(fieldTestPath))
}

func (t *target) checkEndpoint() error {
	region := otherRegion
	if t.amazon() {
		region = amazonRegion
	}
	switch {
	case t.region == "":
		t.region = defaultRegion
	case !region.MatchString(t.region):
		return probe.Found(probe.CodeDestinationBlocked, "This is not the name of a region. Write it like us-east-1, or, for a store other than Amazon's, name its endpoint too.").At(fieldRegion)
	}
	if t.amazon() {
		return nil
	}
	const odd = "This is not the address of a store. Write it like https://s3.example.com: without user, password, query and #."
	if len(t.endpoint) > 2048 || strings.ContainsFunc(t.endpoint, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`\?#`, c) }) {
		return probe.Found(probe.CodeDestinationBlocked, odd).At(fieldEndpoint)
	}
	u, err := url.Parse(t.endpoint)
	if err != nil || u.Opaque != "" || u.User != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return probe.Found(probe.CodeDestinationBlocked, odd).At(fieldEndpoint)
	}
	return nil
}

// readBucket reads the bucket, or else takes the first part of the path to
// test with for one; the rest of the path is the prefix to list, so that a key
// confined to it is not asked for more.
func (t *target) readBucket(bucket, path string) error {
	path = strings.TrimLeft(strings.TrimPrefix(path, "s3://"), "/")
	first, rest, _ := strings.Cut(path, "/")
	t.bucket, t.prefix, t.bucketField = bucket, path, fieldBucket
	switch bucket {
	case "":
		t.bucket, t.prefix, t.bucketField = first, rest, fieldTestPath
	case first:
		t.prefix = rest
	}
	if t.bucket != "" && !isBucket(t.bucket) || len(t.prefix) > 1024 {
		return errNotABucket.At(t.bucketField)
	}
	return nil
}

var errNotABucket = probe.Found(probe.CodeDestinationBlocked, "Only a bucket's own name can be probed: no ARN, no access point or its alias, no directory bucket.")

func isBucket(name string) bool { return bucketName.MatchString(name) && !special.MatchString(name) }
