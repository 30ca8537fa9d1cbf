// Package s3probe probes keys of Amazon S3 and of stores that speak its
// protocol. It lists at most one key of the bucket and tells, by what the
// store answers and would answer to nobody, whether the signature was proven.
package s3probe

import (
	"context"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
)

// Prober probes credentials of the type s3 and of others with its fields. The
// zero value is ready.
type Prober struct {
	amazon string // in place of Amazon's own addresses; set by tests of this package alone
}

var _ probe.Prober = Prober{}

// Ports are those of web servers: not those of other protocols below 1024,
// whose servers an HTTP request could be made to talk to.
func (Prober) Ports() netguard.Ports {
	return netguard.Ports{{From: 80, To: 90}, {From: 443, To: 444}, {From: 1024, To: 65535}}
}

// Probe lists at most one key of the bucket. Where that does not prove the
// keys, or no bucket is named, it asks Amazon whose keys they are, or another
// store for the list of buckets.
func (p Prober) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	var t target
	err := a.Stage(probe.Policy, func() (err error) {
		t, err = readTarget(a.Settings())
		return err
	})
	if err != nil {
		return a.Explain(err)
	}
	a.Locate(t.place(), t.place())
	s := newStore(a, t, p.amazon)
	var bucket answer
	err = a.Stage(probe.Auth, func() (err error) {
		bucket, err = s.signIn(ctx)
		return err
	})
	if err != nil {
		return a.Explain(err)
	}
	return s.access(bucket)
}

// signIn proves the keys, and gives what the store says of the bucket.
func (s *store) signIn(ctx context.Context) (answer, error) {
	var bucket answer
	if s.bucket != "" {
		bucket = s.signed(ctx, listBucket)
		proven, err := s.proven(ctx, bucket, listBucket)
		if proven || err != nil {
			return bucket, err
		}
	}
	do := listBuckets
	if s.amazon() {
		do = callerIdentity
	}
	account := s.signed(ctx, do)
	proven, err := s.proven(ctx, account, do)
	if proven || err != nil {
		return bucket, err
	}
	return bucket, s.unproven(bucket, account)
}

// proven reports whether an answer shows that the signature was checked and
// found right. Amazon checks every signature that a request carries, on a
// public bucket too; of another store it is known only if it refuses the same
// request without one, and with one of another secret key. That a request was
// denied, or a bucket is missing, may have been said without a look at the
// signature.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
func (s *store) proven(ctx context.Context, got answer, do ask) (bool, error) {
	switch {
	case got.kind == final:
		return false, got.finding
	case got.kind != accepted:
		return false, nil
	case s.amazon():
		return true, nil
	}
	if closed, err := s.refusesAnonymous(ctx, do); !closed || err != nil {
		return false, err
	}
	return s.refusesStranger(ctx, do)
}

// unproven words what was learned where neither request proved the keys.
func (s *store) unproven(bucket, account answer) error {
	const code = probe.CodeSecretNotTested
	switch {
	case account.kind == elsewhere:
		return probe.Found(code, "The store belongs to another region than the credential names, so it does not look at the signature. Set region to the store's own.").At(fieldRegion)
	case account.kind == accepted:
		return probe.Found(code, "The store answers the same to anybody, or to any signature, so nothing is proven. Name a bucket that is closed to others; if the store checks no signatures at all, as some do that are for tests, no probe can prove its keys.").At(fieldBucket)
	case bucket.kind == accepted:
		return probe.Found(code, "Anybody may list this bucket, or with any signature, so nothing is proven. Name one that is closed to others, or let the key list its buckets.").At(s.bucketField)
	case s.bucket == "":
		return probe.Found(code, "The store does not let this key list buckets, and does not say whether for want of a right or for its secret. Name a bucket that the key may list.").At(fieldBucket)
	}
	return probe.Found(code, "The store lets this key list neither the bucket nor its buckets, and does not say whether for want of a right or for its secret. Check the bucket's name, and let the key list it.").At(s.bucketField)
}

// access tells of the bucket, now that the keys are good.
func (s *store) access(bucket answer) probe.Finding {
	ok := probe.Found(probe.CodeOK, "")
	switch bucket.kind {
	case accepted:
		_ = s.attempt.Stage(probe.Access, func() error { return nil })
	case denied, other:
		s.attempt.Warn(probe.WarnScopeMissing, s.bucketField, "The keys are good, but the store does not let them list this bucket. Have them granted s3:ListBucket on it, or name another.")
	case missing:
		s.attempt.Warn(probe.WarnResourceNotFound, s.bucketField, "The keys are good, but there is no bucket of this name. Check it.")
	case elsewhere:
		s.attempt.Warn(probe.WarnResourceNotFound, fieldRegion, "The keys are good, but the bucket lies in another region than the credential names. Set region to the bucket's own.")
		if amazonRegion.MatchString(bucket.region) {
			s.attempt.Fact("bucket_region", bucket.region)
		}
	}
	return ok
}
