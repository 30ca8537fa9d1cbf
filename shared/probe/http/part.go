package httpprobe

import (
	"credence/shared/pattern"
	"credence/shared/probe"
)

// part is a part of a signed request that a rejection names in place of the secret.
type part struct {
	words   *pattern.Pattern
	finding probe.Finding
}

// parts are those of each way to sign, by the setting of its secret.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html
// https://wiki.oauth.net/w/page/12238543/ProblemReporting
var parts = map[probe.Field][]part{
	fieldAWSSecret: {
		{
			pattern.New(`\bscoped to( \w+){0,3} region\b`),
			probe.Found(probe.CodeSecretNotTested, "The system rejects the region of the signature, and did not check the secret. Set aws.region to the region of the address.").At(fieldAWSRegion),
		},
		{
			pattern.New(`\bscoped to( \w+){0,3} service\b`),
			probe.Found(probe.CodeSecretNotTested, "The system rejects the service of the signature, and did not check the secret. Set aws.service to the service of the address, such as execute-api or es.").At(fieldAWSService),
		},
	},
	fieldConsumerSecret: {
		{
			pattern.New(`\bsignature method( \w+){0,2} (rejected|not supported|unsupported|not allowed)\b`),
			probe.Found(probe.CodeSecretNotTested, "The system rejects the method of the signature, and did not check the secrets. Set oauth1.signature.method to one that it supports, such as HMAC-SHA1.").At(fieldOAuth1Method),
		},
		{
			pattern.New(`\bconsumer key( \w+){0,2} (unknown|rejected|refused|invalid|not found)\b`),
			probe.Found(probe.CodeAuthRejected, "The system does not accept this consumer key. Check oauth1.consumer.key, and that the application is active there.").At(fieldConsumerKey),
		},
		{
			pattern.New(`\btoken (rejected|revoked|expired|used|invalid)\b`),
			probe.Found(probe.CodeAuthRejected, "The system does not accept this access token: it is not known there, has expired or was revoked. Enter a new access token and its secret.").At(fieldOAuth1Token),
		},
	},
	fieldJWTSecret: {{
		pattern.New(`\b(unexpected|unsupported|invalid|wrong) (signing method|alg|algorithm)\b|\b(signing method|alg|algorithm)( \w+){0,3} (not supported|not allowed|unsupported|mismatch)\b`),
		probe.Found(probe.CodeSecretNotTested, "The system does not accept the algorithm of the token, and did not check its signature. Set jwt.token.algorithm to one that it accepts.").At(fieldJWTAlgorithm),
	}},
}

// part is the finding for a rejection that names such a part; nil for none.
func (t *trial) part(got answer) error {
	for _, p := range parts[t.plan.field()] {
		if got.says(p.words) {
			return p.finding.Answered(got.status)
		}
	}
	return nil
}
