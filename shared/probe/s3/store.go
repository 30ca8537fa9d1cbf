package s3probe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"credence/shared/pattern"
	"credence/shared/probe"
	"credence/shared/probe/roundtrip"
)

// kind sorts the answers of a store.
type kind int

const (
	final     kind = iota // the finding says it all
	accepted              // it did as asked
	denied                // 403 that is not about the signature
	missing               // no such bucket
	misplaced             // the address contains the bucket
	elsewhere             // the bucket, or the whole store, is of another region
	billed                // the bucket bills its readers
	path                  // the path to list is not accepted
	other                 // an answer of a store, and nothing of the above
)

type answer struct {
	kind    kind
	finding probe.Finding // where final
	region  string        // where elsewhere, if the store says it
	code    string        // the store's own, if it said one
}

// store asks a store, signed with the credential's keys and never with any
// other: the configuration is a literal, so that no environment, file,
// profile or metadata service is looked at.
type store struct {
	target
	attempt *probe.Attempt
	client  *roundtrip.Client
	config  aws.Config
	pinned  string // in place of Amazon's own addresses, in tests
}

func newStore(a *probe.Attempt, t target, pinned string) *store {
	client := roundtrip.New(a, t.place())
	return &store{target: t, attempt: a, client: client, pinned: pinned, config: aws.Config{
		Region:      t.region,
		Credentials: aws.CredentialsProviderFunc(t.credentials),
		HTTPClient:  client, // each request brings its own, which goes by this one
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}}
}

func (t target) credentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: t.key, SecretAccessKey: t.secret.ExposeText(), SessionToken: t.token.ExposeText()}, nil
}

// request is one request, and the SDK's way out for it. It reads the code of an
// error itself: where an answer has none, the SDK makes one up from the status,
// so that a proxy's 401 would pass for a store's.
type request struct {
	client    *roundtrip.Client
	anonymous bool
	most      int  // bytes of an answer that may be cut off there; 0 for one that must be whole
	sent      bool // the SDK made a request
	got       head
}

// head is what is kept of an answer.
type head struct {
	status int
	code   string // of an error in the form of S3 or STS, else ""
	text   string // of such an error: read here, and never repeated
	region string // that such an error names
	root   string // the name of the document, if it is XML
	header http.Header
	bytes  int  // of the body
	more   bool // it was cut off there
}

// Do keeps to itself what the SDK adds about itself and the process it runs in;
// those headers are no part of a signature.
func (q *request) Do(r *http.Request) (response *http.Response, err error) {
	r.Header.Del("X-Amzn-Trace-Id")
	r.Header.Del("User-Agent")
	q.sent = true
	more := false
	if q.most > 0 {
		response, more, err = q.client.Begin(r, q.most)
	} else {
		response, err = q.client.Do(r)
	}
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if q.most == 0 || response.StatusCode/100 != 2 { // no content of an object
		body = plainXML(body)
	}
	q.got = head{status: response.StatusCode, header: response.Header, bytes: len(body), more: more}
	q.got.read(body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// bucketRegion returns the region that an answer names; "" for none.
func (h head) bucketRegion() string {
	if region := h.header.Get("X-Amz-Bucket-Region"); region != "" {
		return region
	}
	return h.region
}

// s3 is a client of the store's own address, with the bucket in the path, so
// that no setting but the endpoint or the region is part of a host.
func (s *store) s3(q *request) *s3.Client {
	return s3.NewFromConfig(s.config, func(o *s3.Options) {
		o.HTTPClient = q
		o.UsePathStyle = true
		o.DisableMultiRegionAccessPoints = true
		o.DisableS3ExpressSessionAuth = aws.Bool(true)
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired // of a beginning there is none
		o.BaseEndpoint = base(s.endpoint, s.pinned)
		if q.anonymous {
			o.Credentials = aws.AnonymousCredentials{}
		}
	})
}

func base(addresses ...string) *string {
	for _, address := range addresses {
		if address != "" {
			return &address
		}
	}
	return nil
}

// ask makes a request.
type ask func(ctx context.Context, s *store, q *request) error

var errNotAStore = probe.Found(probe.CodeProtocolMismatch, "The address does not answer as an S3 store. Check that it is the address of the store's API, and not of its console.")

// listBucket lists at most one key.
func listBucket(ctx context.Context, s *store, q *request) error {
	in := &s3.ListObjectsV2Input{Bucket: &s.bucket, MaxKeys: aws.Int32(1)}
	if s.prefix != "" {
		in.Prefix = &s.prefix
	}
	out, err := s.s3(q).ListObjectsV2(ctx, in)
	if err == nil && aws.ToString(out.Name) != s.bucket {
		return errNotAStore.At(s.place())
	}
	return err
}

// listBuckets lists at most one of the buckets of the key.
func listBuckets(ctx context.Context, s *store, q *request) error {
	out, err := s.s3(q).ListBuckets(ctx, &s3.ListBucketsInput{MaxBuckets: aws.Int32(1)})
	if err == nil && out.Buckets == nil && out.Owner == nil {
		if q.got.root == "ListBucketResult" {
			return errMisplaced
		}
		return errNotAStore.At(s.place())
	}
	return err
}

// errMisplaced reports that a list of buckets was answered with one of keys.
var errMisplaced = errors.New("the address contains a bucket")

var accountID = pattern.New(`^\d{12}$`)

// callerIdentity asks Amazon whose keys these are, for which nobody needs a
// right and no policy can take it away.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func callerIdentity(ctx context.Context, s *store, q *request) error {
	out, err := sts.NewFromConfig(s.config, func(o *sts.Options) {
		o.HTTPClient = q
		o.BaseEndpoint = base(s.pinned)
	}).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return err
	}
	if !accountID.MatchString(aws.ToString(out.Account)) {
		return errNotAStore.At(s.place())
	}
	s.attempt.Fact("aws_account", *out.Account)
	return nil
}

// signed makes a request with the credential's keys and sorts the answer.
func (s *store) signed(ctx context.Context, do ask) answer {
	return s.answer(ctx, do, &request{client: s.client})
}

func (s *store) answer(ctx context.Context, do ask, q *request) answer {
	err := do(ctx, s, q)
	if err == nil {
		return answer{kind: accepted}
	}
	if errors.Is(err, errMisplaced) {
		return answer{kind: misplaced}
	}
	got, ok := q.answered(err)
	switch {
	case !ok && q.got.status == 0 && !q.sent:
		return answer{finding: errNoRequest(err, s.place())}
	case !ok:
		return answer{finding: s.attempt.Explain(err)}
	}
	return s.classify(got)
}

// errNoRequest words that the SDK made no request of the settings, unless err
// is a finding that has its own words.
func errNoRequest(err error, place probe.Field) probe.Finding {
	var f probe.Finding
	if errors.As(err, &f) {
		return f
	}
	return probe.Found(probe.CodeDestinationBlocked, "No request can be made of these settings. Check endpoint, region and bucket. Nothing was sent.").At(place)
}

// refusesAnonymous makes the same request without a signature: nil if that is
// refused, so that an answer to a signed one proves the keys.
func (s *store) refusesAnonymous(ctx context.Context, do ask) (bool, error) {
	q := &request{client: s.client, anonymous: true}
	err := do(ctx, s, q)
	if err == nil {
		return false, nil
	}
	got, ok := q.answered(err)
	if !ok {
		return false, s.attempt.Explain(err)
	}
	if f, ok := got.unavailable(); ok {
		return false, f
	}
	return got.status/100 == 4, nil
}

// nobodysSecret is a secret key that nobody has.
const nobodysSecret = "CREDENCEPROBENOBODY1"

// rejection is the class of answer to other keys that is remembered.
const rejection = "the keys are rejected"

// refusesStranger makes the same request signed with another secret key, and
// reports whether that is refused where the credential's own was answered with
// got. A store that only looks for a signature, or for an access key that it
// knows, answers both alike. Where the own request was not served, only an
// answer that rejects the keys counts: a store may deny a bucket, or miss it,
// without a look at the signature. The access key is the credential's own, since
// one that the store does not know would prove less.
func (s *store) refusesStranger(ctx context.Context, got answer, do ask) (bool, error) {
	stranger := *s
	stranger.config.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		keys, err := s.credentials(ctx)
		keys.SecretAccessKey = nobodysSecret
		return keys, err
	})
	q := &request{client: s.client}
	err := do(ctx, &stranger, q)
	if err == nil || errors.Is(err, errMisplaced) {
		return false, nil
	}
	other, ok := q.answered(err)
	if !ok {
		return false, s.attempt.Explain(err)
	}
	if f, ok := other.unavailable(); ok {
		return false, f
	}
	refused := rejects(other.code)
	if got.kind == accepted && other.status/100 == 4 && !refused {
		// It may refuse everybody by now: one broken server of several, or a limit.
		again := s.signed(ctx, do)
		if again.kind == final {
			return false, again.finding
		}
		refused = again.kind == accepted
	}
	if refused {
		s.attempt.Reject(rejection)
	}
	return refused, nil
}

// answered gives the answer that err was made of; false if there was none, or
// one that is no error of a store's.
func (q *request) answered(err error) (head, bool) {
	var f probe.Finding
	return q.got, !errors.As(err, &f) && q.got.status != 0 && q.got.status/100 != 2
}

// unavailable are answers that say nothing of the keys.
func (h head) unavailable() (probe.Finding, bool) {
	g, ok := listed(h.code)
	switch {
	case ok && (g.finding.Code == probe.CodeRateLimited || g.finding.Code == probe.CodeTargetUnavailable && h.status/100 != 5):
		return g.finding, true
	case h.status == http.StatusTooManyRequests:
		return probe.Found(probe.CodeRateLimited, ""), true
	case h.status >= 500 && h.status != http.StatusNotImplemented:
		return probe.Found(probe.CodeTargetUnavailable, "The store reports a failure of its own (status %d). Try again later, or contact its operator.", h.status), true
	}
	return probe.Finding{}, false
}
