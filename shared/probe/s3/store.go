package s3probe

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"time"

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
	elsewhere             // the bucket, or the whole store, is of another region
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
	most      int // bytes of an answer that may be cut off there; 0 for one that must be whole
	got       head
}

// head is what is kept of an answer.
type head struct {
	status int
	code   string // of an error in the form of S3 or STS, else ""
	header http.Header
	bytes  int  // of the body
	more   bool // it was cut off there
}

// Do keeps to itself what the SDK adds about itself and the process it runs in;
// those headers are no part of a signature.
func (q *request) Do(r *http.Request) (response *http.Response, err error) {
	r.Header.Del("X-Amzn-Trace-Id")
	r.Header.Del("User-Agent")
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
	response.Body = io.NopCloser(bytes.NewReader(body))
	q.got = head{response.StatusCode, "", response.Header, len(body), more}
	if response.StatusCode/100 != 2 {
		q.got.code = errorCode(body)
	}
	return response, nil
}

// errorCode gives the code of an error document: that of S3, or that of STS,
// which wraps it.
func errorCode(body []byte) string {
	var document struct {
		XMLName xml.Name
		Code    string `xml:"Code"`
		Wrapped string `xml:"Error>Code"`
	}
	switch err := xml.Unmarshal(body, &document); {
	case err != nil:
		return ""
	case document.XMLName.Local == "Error":
		return document.Code
	case document.XMLName.Local == "ErrorResponse":
		return document.Wrapped
	}
	return ""
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

var errNotAStore = probe.Found(probe.CodeProtocolMismatch, "Something answers there, but not as an S3 store does. Check the address, and that it is the store's own and not its console's.")

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
		return errNotAStore.At(s.place())
	}
	return err
}

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
	got, ok := q.answered(err)
	if !ok {
		return answer{finding: s.attempt.Explain(err)}
	}
	if f, ok := got.unavailable(); ok {
		return answer{finding: f, code: got.code}
	}
	if _, ok := refusals[got.code]; ok || clockCodes[got.code] {
		return answer{finding: s.refusal(got), code: got.code}
	}
	switch got.code {
	case "AccessDenied", "AllAccessDisabled":
		return answer{kind: denied, code: got.code}
	case "NoSuchBucket", "InvalidBucketName":
		return answer{kind: missing, code: got.code}
	case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "RegionDisabledException":
		return answer{kind: elsewhere, region: got.header.Get("X-Amz-Bucket-Region"), code: got.code}
	case "":
		return answer{finding: errNotAStore.At(s.place())}
	}
	return answer{kind: other, code: got.code}
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
	return got.status == http.StatusUnauthorized || got.status == http.StatusForbidden ||
		got.code == "MissingSecurityHeader" || got.code == "MissingAuthenticationToken", nil
}

// nobodysSecret is a secret key that nobody has.
const nobodysSecret = "CREDENCEPROBENOBODY1"

// refusesStranger makes the same request signed with another secret key: false
// if that is accepted, so that the store looks for a signature, or knows the
// access key, and does not check the one by the other. The access key is the
// credential's own, since one that the store does not know would prove less.
func (s *store) refusesStranger(ctx context.Context, do ask) (bool, error) {
	stranger := *s
	stranger.config.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		keys, err := s.credentials(ctx)
		keys.SecretAccessKey = nobodysSecret
		return keys, err
	})
	q := &request{client: s.client}
	err := do(ctx, &stranger, q)
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
	return true, nil
}

// answered gives the answer that err was made of; false if there was none, or
// one that is no error of a store's.
func (q *request) answered(err error) (head, bool) {
	var f probe.Finding
	return q.got, !errors.As(err, &f) && q.got.status != 0 && q.got.status/100 != 2
}

// unavailable are answers that say nothing of the keys.
func (h head) unavailable() (probe.Finding, bool) {
	switch h.code {
	case "SlowDown", "SlowDownRead", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "TooManyRequestsException":
		return probe.Found(probe.CodeRateLimited, ""), true
	}
	switch {
	case h.status == http.StatusTooManyRequests:
		return probe.Found(probe.CodeRateLimited, ""), true
	case h.status >= 500 && h.status != http.StatusNotImplemented:
		return probe.Found(probe.CodeTargetUnavailable, "The store is there but fails (status %d). Try again later, or ask its operator.", h.status), true
	}
	return probe.Finding{}, false
}

// refusals are the codes by which a store refuses the keys themselves.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
var refusals = map[string]probe.Finding{
	"SignatureDoesNotMatch":   probe.Found(probe.CodeAuthRejected, "The store refused the signature: this secret key does not belong to this access key. Enter both again, or make a new pair there.").At(fieldSecret),
	"InvalidAccessKeyId":      unknownKey,
	"InvalidClientTokenId":    unknownKey,
	"Unauthorized":            unknownKey,
	"InvalidSecurity":         unknownKey,
	"InvalidToken":            wrongToken,
	"InvalidTokenId":          wrongToken, // MinIO's
	"ExpiredToken":            expired,
	"ExpiredTokenException":   expired,
	"TokenRefreshRequired":    expired,
	"AccountProblem":          disabled,
	"NotSignedUp":             disabled,
	"OptInRequired":           disabled,
	"UserSuspended":           disabled,
	"XMinioAccessKeyDisabled": disabled,
}

var (
	unknownKey = probe.Found(probe.CodeAuthRejected, "The store does not accept this access key: it does not exist there, or is not active. Enter it again, or make a new one there.").At(fieldKey)
	wrongToken = probe.Found(probe.CodeAuthRejected, "The store refused the session token. It must be the one that came with this access key; enter all three again.").At(fieldToken)
	expired    = probe.Found(probe.CodeAuthExpired, "The temporary keys have expired. Enter new ones: access key, secret key and session token.").At(fieldToken)
	disabled   = probe.Found(probe.CodeAuthDisabled, "The account of this access key is disabled at the store, or not set up. Have it enabled there, or use another.").At(fieldKey)
)

// clockCodes are refusals of the time in a signature.
var clockCodes = map[string]bool{"RequestTimeTooSkewed": true, "RequestExpired": true}

// skew is less than any store tolerates: Amazon's S3 takes 15 minutes, its STS
// five.
const skew = 4 * time.Minute

// refusal words a refusal. STS names a signature that is out of time as it
// names one that is wrong, so the clocks are compared first.
func (s *store) refusal(got head) probe.Finding {
	date, err := http.ParseTime(got.header.Get("Date"))
	switch apart := time.Since(date).Abs() > skew; {
	case !clockCodes[got.code] && (err != nil || !apart):
	case s.amazon():
		return probe.Found(probe.CodeProbeInternal, "The clock of this service is wrong, so every signature is refused; nothing is known of the keys. Its operator has been told.")
	default:
		return probe.Found(probe.CodeTargetUnavailable, "The clocks of the store and of this service differ by more than a signature may be old; nothing is known of the keys. Have the store's clock set right.").At(fieldEndpoint)
	}
	f := refusals[got.code]
	if f.Code == probe.CodeAuthRejected && s.token.Len() == 0 && len(s.key) > 4 && s.key[:4] == "ASIA" {
		// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
		f = probe.Found(probe.CodeAuthRejected, "The store refused the keys. This access key is a temporary one, which is good only with its session token. Enter that too.").At(fieldToken)
	}
	return f.Answered(got.status)
}
