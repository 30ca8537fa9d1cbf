package s3probe

import (
	"net/http"
	"strings"
	"time"

	"credence/shared/probe"
)

// group lists the error codes that say the same of a request, each with its
// source: Amazon S3's where no other store is named.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
// https://docs.cloud.google.com/storage/docs/xml-api/reference-status
// https://developers.cloudflare.com/r2/api/error-codes
// https://docs.ceph.com/en/latest/radosgw/s3/commons/#common-response-status
type group struct {
	kind    kind
	finding probe.Finding // of final
	codes   string        // separated by spaces
}

var groups = []group{
	// The keys themselves are rejected.
	{final, wrongSecret, "SignatureDoesNotMatch InvalidSignatureException InvalidSignature"},
	{final, unknownKey, "InvalidAccessKeyId InvalidClientTokenId UnrecognizedClientException Unauthorized InvalidSecurity"},
	{final, wrongToken, "InvalidToken InvalidTokenId"}, // the second is MinIO's
	{final, expired, "ExpiredToken ExpiredTokenException TokenRefreshRequired"},
	{final, disabled, "AccountProblem NotSignedUp OptInRequired UserSuspended XMinioAccessKeyDisabled InactiveAccessKey"},

	// The request is rejected before the keys are checked.
	{final, malformedKey, "IncompleteSignature"},
	{final, unsigned, "MissingSecurityHeader MissingAuthenticationToken MissingAuthenticationTokenException MissingSecurityElement"},
	{final, changed, "XAmzContentSHA256Mismatch BadDigest InvalidDigest InvalidHostHeader"},
	{final, otherSignature, "CredentialsNotSupported SignatureVersionNotSupported UnsupportedSignature AuthorizationQueryParametersError"},
	{final, unknownRegion, "InvalidRegionName InvalidRegion InvalidLocationConstraint InvalidLocation"},
	{final, probe.Found(probe.CodeTLSRequired, "The store answers only over TLS. Write the endpoint with https://.").At(fieldEndpoint), "XMinioInsecureClientRequest InsecureTransport HttpsRequired SSLRequired"}, // the first is MinIO's,
	{final, probe.Found(probe.CodeRateLimited, ""), "SlowDown SlowDownRead Throttling ThrottlingException RequestLimitExceeded TooManyRequests TooManyRequestsException " +
		"RequestThrottled ThrottledException BandwidthLimitExceeded PriorRequestNotComplete RateLimitExceeded QuotaExceeded Busy"},
	{final, busy, "InternalError InternalFailure ServiceUnavailable ServiceFailure OperationAborted RequestTimeout RequestTimeoutException XMinioServerNotInitialized"},

	// The answer is about what the request is for.
	{denied, probe.Finding{}, "AccessDenied AccessDeniedException AllAccessDisabled AccessForbidden Forbidden UnauthorizedAccess UnauthorizedAccessError " +
		"NotAuthorized MethodNotAllowed NotImplemented XNotImplemented AccessPointNotAuthorized InvalidBucketState"},
	{billed, probe.Finding{}, "UserProjectMissing UserProjectAccessDenied UserProjectAccountProblem UserProjectInconsistent UserProjectInvalid InvalidPayer RequestPayerRequired"}, // Google's, then Amazon's
	{missing, probe.Finding{}, "NoSuchBucket InvalidBucketName NoSuchAccessPoint InvalidAccessPoint InvalidAccessPointAliasError NoSuchTenant"},
	{misplaced, probe.Finding{}, "NoSuchKey NoSuchObject"}, // to a list: the bucket's name was read as a key
	{elsewhere, probe.Finding{}, "PermanentRedirect TemporaryRedirect Redirect IncorrectEndpoint EndpointNotFound IllegalLocationConstraintException RegionDisabledException"},
	{path, probe.Finding{}, "KeyTooLongError KeyTooLong InvalidURI InvalidKeyName"},
}

// words classify the codes that are not listed, by what their names contain, in
// this order. An unlisted code never rejects the keys: it names the field.
var words = []group{
	{final, probe.Found(probe.CodeRateLimited, ""), "throttl slowdown toomany ratelimit limitexceeded"},
	{final, busy, "unavailable timeout internal notready tryagain"},
	{final, unknownRegion, "region locationconstraint"},
	{final, oddToken, "token"},
	{final, oddSignature, "signature"},
	{final, oddKey, "accesskey credential"},
	{final, oddAccount, "account suspended disabled billing subscription"},
	{missing, probe.Finding{}, "nosuchbucket bucketname bucketnotfound"},
	{denied, probe.Finding{}, "denied forbidden notallowed notauthorized unauthorized permission policy notsupported notimplemented"},
	{elsewhere, probe.Finding{}, "redirect endpoint"},
}

// clockCodes reject the time in a signature.
var clockCodes = []string{"RequestTimeTooSkewed", "RequestExpired", "ExpiredRequest"}

var (
	wrongSecret = probe.Found(probe.CodeAuthRejected, "The store rejected the signature: this secret key does not belong to this access key. Enter both again, or create a new pair there.").At(fieldSecret)
	unknownKey  = probe.Found(probe.CodeAuthRejected, "The store does not accept this access key: it does not exist there, or is not active. Enter it again, or create a new one there.").At(fieldKey)
	lengthOfKey = probe.Found(probe.CodeAuthRejected, "The store's access keys have another length than this one. Enter the access key of this store, whole and without spaces.").At(fieldKey)
	wrongToken  = probe.Found(probe.CodeAuthRejected, "The store rejected the session token. It must be the one that came with this access key; enter all three again.").At(fieldToken)
	expired     = probe.Found(probe.CodeAuthExpired, "The temporary keys have expired. Enter new ones: access key, secret key and session token.").At(fieldToken)
	disabled    = probe.Found(probe.CodeAuthDisabled, "The account of this access key is disabled at the store, or not set up. Have it enabled there, or use another.").At(fieldKey)

	// keyNotFound is Oracle's answer to a key of another region, to one that is not
	// there, and for minutes to a new one:
	// https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/s3compatibleapi.htm
	keyNotFound    = probe.Found(probe.CodeSecretNotTested, "The store found no secret key for this access key, so it did not check the signature. Set region to the home region of the tenancy or to that of the endpoint, and check the access key. A new key works after some minutes.").At(fieldRegion)
	malformedKey   = probe.Found(probe.CodeSecretNotTested, "The store cannot read the access key, so it did not check the signature. Enter the access key as the store shows it.").At(fieldKey)
	oddKey         = probe.Found(probe.CodeSecretNotTested, "The store rejected the request because of its access key, by a code that is not known here. Enter the access key as the store shows it.").At(fieldKey)
	oddToken       = probe.Found(probe.CodeSecretNotTested, "The store rejected the request because of its session token, by a code that is not known here. Enter access key, secret key and session token again, all from one answer.").At(fieldToken)
	oddSignature   = probe.Found(probe.CodeSecretNotTested, "The store rejected the request because of its signature, by a code that is not known here. Enter the secret key again; if it is right, check that the store accepts AWS Signature Version 4.").At(fieldSecret)
	oddAccount     = probe.Found(probe.CodeSecretNotTested, "The store rejected the request because of the account, by a code that is not known here. Check at the store that the account of this access key is active and paid for.").At(fieldKey)
	unsigned       = probe.Found(probe.CodeSecretNotTested, "The store received the request without its signature. A proxy at this address may remove the Authorization header; use the store's own address.").At(fieldEndpoint)
	changed        = probe.Found(probe.CodeSecretNotTested, "The request that arrived at the store is not the one that was signed. A proxy at this address may change it; use the store's own address.").At(fieldEndpoint)
	otherSignature = probe.Found(probe.CodeAuthMethodUnsupported, "The store does not accept the signature of the request, which is AWS Signature Version 4, the only one that a probe makes; a proxy at this address may have changed it. Check endpoint, and the credential where it is used.").At(fieldEndpoint)
	unknownRegion  = probe.Found(probe.CodeSecretNotTested, "The store rejected the region in the request, so it did not check the signature. Set region to one of the store's own; at Cloudflare R2 it is auto.").At(fieldRegion)
	busy           = probe.Found(probe.CodeTargetUnavailable, "The store answers that it is not available now. Try again later, or contact its operator.")
)

// classify sorts an error that a store returned to a signed request.
func (s *store) classify(got head) answer {
	if f, ok := got.unavailable(); ok {
		return answer{finding: f, code: got.code}
	}
	switch {
	case got.code == "":
		return answer{finding: errNotAStore.At(s.place())}
	case s.clock(got):
		return answer{finding: s.wrongClock(), code: got.code}
	case got.code == "AuthorizationHeaderMalformed":
		return s.malformed(got)
	case got.code == "AccessDenied" && strings.Contains(got.text, "specified endpoint"): // Alibaba's
		return answer{kind: elsewhere, code: got.code}
	case got.code == "SignatureDoesNotMatch" && strings.Contains(got.text, "could not be found"): // Oracle's
		return answer{finding: s.hinted(keyNotFound), code: got.code}
	case got.code == "SecondLevelDomainForbidden": // Alibaba's: the bucket stands in the path
		return answer{kind: other, code: got.code}
	case strings.HasPrefix(got.code, "Invalid"):
		if f, ok := invalid(got); ok {
			return s.about(group{kind: final, finding: f}, got)
		}
	}
	if g, ok := listed(got.code); ok {
		return s.about(g, got)
	}
	if strings.HasPrefix(got.code, "KMS.") { // of one file's key
		return answer{kind: other, code: got.code}
	}
	lower := strings.ToLower(got.code)
	for _, g := range words {
		for word := range strings.FieldsSeq(g.codes) {
			if strings.Contains(lower, word) {
				return s.about(g, got)
			}
		}
	}
	return answer{kind: other, code: got.code}
}

// about returns the answer of a group, with the hints that the keys give.
func (s *store) about(g group, got head) answer {
	if g.kind != final {
		return answer{kind: g.kind, region: got.bucketRegion(), code: got.code}
	}
	f := g.finding
	if f.Code.Verdict() == probe.Invalid {
		f = s.temporary(f).Answered(got.status)
	}
	return answer{finding: s.hinted(f), code: got.code}
}

// malformed reads the code by which stores reject the scope of a signature: a
// region in the answer is that of the bucket or the store, and without one the
// access key is not readable.
func (s *store) malformed(got head) answer {
	if got.bucketRegion() != "" || strings.Contains(got.text, "the region ") {
		return answer{kind: elsewhere, region: got.bucketRegion(), code: got.code}
	}
	return answer{finding: s.hinted(malformedKey), code: got.code}
}

// invalid reads the codes that leave to their message which part of the request
// is not accepted. Cloudflare R2's is "Credential access key has length 20,
// should be 32"; MinIO's and Ceph's name the mechanism.
func invalid(got head) (probe.Finding, bool) {
	text := strings.ToLower(got.text)
	has := func(word string) bool { return strings.Contains(text, word) }
	switch got.code {
	case "InvalidArgument", "InvalidRequest":
	default:
		return probe.Finding{}, false
	}
	switch {
	case has("access key") && has("length"):
		return lengthOfKey, true
	case has("authorization mechanism"), has("signature version"), has("aws4-hmac-sha256"):
		return otherSignature, true
	case has("region"):
		return unknownRegion, true
	case has("access key"), has("credential"):
		return malformedKey, true
	case strings.EqualFold(strings.TrimSpace(text), "authorization"), has("authorization header"):
		return unsigned, true
	}
	return probe.Finding{}, false
}

// skew is less than any store tolerates: Amazon's S3 takes 15 minutes, its STS
// five.
const skew = 4 * time.Minute

// clock reports whether an answer is about the time of the signature. STS names
// a signature that is out of time as it names one that is wrong, so the clocks
// are compared where the keys are rejected.
func (s *store) clock(got head) bool {
	for _, code := range clockCodes {
		if code == got.code {
			return true
		}
	}
	date, err := http.ParseTime(got.header.Get("Date"))
	return err == nil && time.Since(date).Abs() > skew && rejects(got.code)
}

// rejects reports whether a code rejects the keys themselves.
func rejects(code string) bool {
	g, ok := listed(code)
	return ok && g.kind == final && g.finding.Code.Verdict() == probe.Invalid
}

// listed returns the group of a code.
func listed(code string) (group, bool) {
	for _, g := range groups {
		for c := range strings.FieldsSeq(g.codes) {
			if c == code {
				return g, true
			}
		}
	}
	return group{}, false
}

func (s *store) wrongClock() probe.Finding {
	if s.amazon() {
		return probe.Found(probe.CodeProbeInternal, "The clock of this service is wrong, so every signature is rejected; nothing is known of the keys. Its operator has been informed.")
	}
	return probe.Found(probe.CodeTargetUnavailable, "The clocks of the store and of this service differ by more than a signature may be old; nothing is known of the keys. Have the store's clock corrected.").At(fieldEndpoint)
}

// temporary words the rejection of a temporary key without its token.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
func (s *store) temporary(f probe.Finding) probe.Finding {
	if f.Code == probe.CodeAuthRejected && s.token.Len() == 0 && strings.HasPrefix(s.key, "ASIA") {
		return probe.Found(probe.CodeAuthRejected, "The store rejected the keys. This access key is a temporary one, which is good only with its session token. Enter that too.").At(fieldToken)
	}
	return f
}

// hinted adds what the form of the keys shows to a finding about them.
func (s *store) hinted(f probe.Finding) probe.Finding {
	secret := s.secret.ExposeText()
	switch {
	case f.Code != probe.CodeAuthRejected && f.Code != probe.CodeSecretNotTested:
		return f
	case f.About(fieldKey, fieldSecret) && exchanged(s.key, secret):
		return f.At(fieldKey).Hint("This access key looks like a secret key: the two may be exchanged.")
	case !f.About(fieldSecret):
		return f
	}
	if hinted, ok := f.Pasted(secret); ok {
		return hinted
	}
	switch {
	case strings.ContainsAny(secret, " \"'`"):
		return f.Hint("The secret key contains a space or a quotation mark. Enter it without.")
	case strings.Contains(secret, "%2F") || strings.Contains(secret, "%2B") || strings.Contains(secret, "%2f") || strings.Contains(secret, "%2b"):
		return f.Hint("The secret key seems to be encoded for a URL (%2F stands for a slash, %2B for a plus). Enter it as the store shows it.")
	}
	return f
}

// exchanged reports whether an access key has the form of a secret key, or the
// secret that of an access key. The access keys of Google's service accounts
// are longer than their secrets.
func exchanged(key, secret string) bool {
	begins := func(text string) bool {
		return strings.HasPrefix(text, "AKIA") || strings.HasPrefix(text, "ASIA") || strings.HasPrefix(text, "GOOG")
	}
	switch {
	case begins(key):
		return false
	case begins(secret), strings.ContainsAny(key, "/+="):
		return true
	}
	return len(key) > len(secret) && len(key) >= 30 && len(secret) >= 16
}
