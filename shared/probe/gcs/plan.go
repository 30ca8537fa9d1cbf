package gcsprobe

import (
	"net/url"
	"strings"

	"credence/shared/pattern"
	"credence/shared/probe"
	"credence/shared/probe/serviceaccount"
	"credence/shared/secret"
)

// The settings that are read, under their canonical names.
const (
	fieldAccount     probe.Field = "json_creds"
	fieldIsAccount   probe.Field = "is_service_account"
	fieldProject     probe.Field = "project_id"
	fieldBucket      probe.Field = "bucket"
	fieldTestPath    probe.Field = "test.path"
	fieldAuthType    probe.Field = "auth.type"
	fieldToken       probe.Field = "access_token"
	fieldVendorToken probe.Field = "vendor.access_token"
	fieldRefresh     probe.Field = "vendor.refresh_token"
)

// plan is what the settings name, checked before anything is dialled.
type plan struct {
	account     *serviceaccount.Account // nil for a token
	token       secret.Value            // where there is no account
	tokenField  probe.Field
	renewable   bool // the token comes with another that renews it
	bucket      string
	prefix      string
	bucketField probe.Field // the setting that named the bucket
	project     string
	reads       []read // what a probe asks for, in this order
}

// read is one request that lists at most one thing.
type read struct {
	path  string      // below the API's address, escaped
	kind  string      // of a right answer
	field probe.Field // the setting that names the thing
}

var (
	bucketName = pattern.New(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)
	// projectID is an id, an old one with its domain, or a number.
	projectID = pattern.New(`^[a-z0-9][a-z0-9.:-]{0,127}$`)
	// bearer is the form of RFC 6750 §2.1.
	bearer = pattern.New(`^[A-Za-z0-9._~+/-]+=*$`)
)

// readPlan reads the settings. The error is a Finding and repeats nothing of
// them.
func readPlan(s probe.Settings) (plan, error) {
	var p plan
	isAccount, said := s.Bool(string(fieldIsAccount))
	hasAccount := s.Secret(string(fieldAccount)).Len() > 0
	switch {
	case hasAccount && (isAccount || !said):
		a, err := serviceaccount.Read(s.Secret(string(fieldAccount)), fieldAccount)
		if err != nil {
			return plan{}, err
		}
		p.account = &a
	case isAccount:
		return plan{}, probe.Found(probe.CodeAuthMethodUnsupported, "is_service_account is true, but the credential contains no key of a service account. Put the JSON of its key file into json_creds. Nothing was sent.").At(fieldAccount)
	default:
		if err := p.readToken(s); err != nil {
			return plan{}, err
		}
	}
	return p, p.readNames(s)
}

func (p *plan) readToken(s probe.Settings) error {
	for _, f := range []probe.Field{fieldToken, fieldVendorToken} {
		if t := s.Secret(string(f)); t.Len() > 0 {
			p.token, p.tokenField = t, f
			break
		}
	}
	p.renewable = s.Secret(string(fieldRefresh)).Len() > 0
	switch {
	case p.token.Len() == 0 && s.Secret(string(fieldAccount)).Len() > 0:
		return probe.Found(probe.CodeAuthMethodUnsupported, "The credential contains a service account's key, but is_service_account is false. Set it to true, or leave it out. Nothing was sent.").At(fieldIsAccount)
	case p.token.Len() == 0:
		return probe.Found(probe.CodeAuthMethodUnsupported, "Only a service account's key or an access token can be probed; other tokens are renewed where they are used. Nothing was sent.").At(fieldAuthType)
	case p.token.Len() > 8<<10 || !bearer.MatchString(p.token.ExposeText()):
		return probe.Found(probe.CodeAuthMethodUnsupported, "The access token contains a space, a line break or another character that no token has, or is longer than 8 KiB. Enter it again without. Nothing was sent.").At(p.tokenField)
	}
	return nil
}

// readNames reads the bucket, or else takes the first part of the path to test
// with for one; the rest of the path is the prefix to list. The project, the
// setting's or the key file's, is the next thing to ask for.
func (p *plan) readNames(s probe.Settings) error {
	bucket, field := s.Text(string(fieldBucket)), fieldBucket
	path := strings.TrimLeft(strings.TrimPrefix(s.Text(string(fieldTestPath)), scheme), "/")
	first, rest, _ := strings.Cut(path, "/")
	switch bucket {
	case "":
		bucket, path, field = first, rest, fieldTestPath
	case first:
		path = rest
	}
	if bucket != "" && (!bucketName.MatchString(bucket) || len(path) > 1024) {
		return errNotABucket.At(field)
	}
	p.bucket, p.prefix, p.bucketField = bucket, path, field
	project := s.Text(string(fieldProject))
	if project != "" && !projectID.MatchString(project) {
		return probe.Found(probe.CodeDestinationBlocked, "This is not the id of a project. Write the id alone.").At(fieldProject)
	}
	if project == "" && p.account != nil && projectID.MatchString(p.account.Project) {
		project = p.account.Project
	}
	p.project = project
	return nil
}

// scheme may stand before a bucket in a path.
const scheme = "gs://"

var errNotABucket = probe.Found(probe.CodeDestinationBlocked, "This is not the name of a bucket. Write the name alone, without address and path.")

// toRead adds what a probe asks for.
func (p *plan) toRead() error {
	if p.bucket != "" {
		query := url.Values{"maxResults": {"1"}, "fields": {"kind"}}
		if p.prefix != "" {
			query.Set("prefix", p.prefix)
		}
		p.reads = append(p.reads, read{objectsOf(p.bucket) + "?" + query.Encode(), kindObjects, p.bucketField})
	}
	if p.project != "" {
		query := url.Values{"maxResults": {"1"}, "fields": {"kind"}, "project": {p.project}}
		p.reads = append(p.reads, read{"b?" + query.Encode(), kindBuckets, fieldProject})
	}
	if p.account == nil && len(p.reads) == 0 {
		return probe.Found(probe.CodeSecretNotTested, "The credential has neither a bucket nor a project, so there is nothing to test the token with. Set bucket or project_id. Nothing was sent.").At(fieldProject)
	}
	return nil
}

// The kinds of right answers.
const (
	kindObjects = "storage#objects"
	kindBuckets = "storage#buckets"
)

// objectsOf is the path of a bucket's objects, below the API's address.
func objectsOf(bucket string) string { return "b/" + url.PathEscape(bucket) + "/o" }
