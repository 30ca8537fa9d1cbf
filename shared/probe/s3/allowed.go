package s3probe

import (
	"net/http"
	"net/url"
	"strings"

	"credence/shared/probe"
)

// cut reports whether an answer, one that did as asked, was cut off.
func (q *request) cut() bool { return q.got.more && q.got.status == http.StatusOK }

// decoded undoes the encoding of a list, in which a space may be a plus.
func decoded(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// allowed records what an answer says of the keys, and gives what it says of
// the place: nil if it may be looked at. That a place is denied or missing may
// have been said without a look at the signature, so it says nothing of them.
func (v *view) allowed(got answer, whole bool) error {
	switch got.kind {
	case accepted:
		v.listed.Store(true)
		return v.attempt.Stage(probe.Auth, func() error { return nil })
	case final:
		return v.refused(got)
	case missing:
		return v.point(probe.Found(probe.WarnResourceNotFound, "There is no bucket of this name. Check it."), true)
	case misplaced:
		return probe.Found(probe.WarnResourceNotFound, "The address contains a bucket too. Write the address of the store alone into endpoint, and the name of the bucket into bucket.").At(fieldEndpoint)
	case billed:
		return v.point(probe.Found(probe.WarnScopeMissing, "The bucket bills its readers (requester pays), which this service does not accept. Use a bucket that its owner pays for."), true)
	case elsewhere:
		if amazonRegion.MatchString(got.region) {
			v.attempt.Fact("bucket_region", got.region)
		}
		return probe.Found(probe.WarnResourceNotFound, "The bucket, or its whole store, belongs to another region than the credential names. Set region to its own.").At(fieldRegion)
	}
	return v.point(probe.Found(probe.WarnScopeMissing, "The store does not let these keys list this place. Have them granted s3:ListBucket on it, or look at another."), whole)
}

// readable is allowed for an object.
func (v *view) readable(got answer) error {
	switch got.kind {
	case denied:
		return probe.Found(probe.WarnScopeMissing, "The store does not let these keys read this file, or does not say that it is not there. Have them granted s3:GetObject on it, and the use of its KMS key if it has one.").Asked(probe.AskedPath)
	case other, path:
		return unreadable(got.code)
	}
	return v.allowed(got, false)
}

// unreadable words why an object's content is not to be had by who may read it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func unreadable(code string) probe.Finding {
	const scope = probe.WarnScopeMissing
	switch {
	case code == "InvalidObjectState":
		return probe.Found(scope, "This file is archived (S3 Glacier, or a tier like it) and cannot be read until it is restored there. Restore it, or name another.").Asked(probe.AskedPath)
	case code == "InvalidRequest":
		return probe.Found(scope, "This file is encrypted with a key that its reader must bring along (SSE-C), which the credential does not hold. Read it where that key is.").Asked(probe.AskedPath)
	case strings.HasPrefix(code, "KMS."):
		return probe.Found(scope, "This file is encrypted with a KMS key that is disabled, deleted or out of reach. Have the key enabled there, or name another file.").Asked(probe.AskedPath)
	}
	return probe.Found(scope, "The store does not hand out this file to these keys. Read it where the credential is used.").Asked(probe.AskedPath)
}

// refused records that the keys were, if they were. A signature that was good
// for a list and is not for a file was made for another path than arrived.
func (v *view) refused(got answer) error {
	switch {
	case got.finding.Code.Verdict() != probe.Invalid:
		return got.finding
	case got.code == "SignatureDoesNotMatch" && v.listed.Load():
		return probe.Found(probe.CodeProtocolMismatch, "The store accepts the keys, but not their signature for this path: something on the way writes it otherwise. Read it where the credential is used.").Asked(probe.AskedPath)
	}
	return v.attempt.Stage(probe.Auth, func() error { return got.finding })
}

// point names the setting, or the field of the request, that named a bucket
// (whole), or the path in it.
func (v *view) point(f probe.Finding, whole bool) probe.Finding {
	if whole && v.bucket != "" {
		return f.At(v.bucketField)
	}
	return f.Asked(probe.AskedPath)
}
