// Package s3probe probes keys of Amazon S3 and of stores that speak its
// protocol. It lists at most one key of the bucket and compares the answer with
// that to another secret key.
package s3probe

import (
	"context"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
)

// Prober probes credentials of the type s3 and of others with its fields. The
// zero value is ready.
type Prober struct {
	amazon string // in place of Amazon's own addresses
}

// At returns a prober that sends requests to an address in place of Amazon's
// own, for tests with a fake of Amazon. No setting of a credential leads to it.
func At(address string) Prober { return Prober{amazon: address} }

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

// signIn proves the keys, and returns what the store answers about the bucket,
// or about the list of buckets where that alone proves them.
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
	switch {
	case err != nil:
		return bucket, err
	case !proven:
		return bucket, s.unproven(bucket, account)
	case s.bucket == "":
		return account, nil
	}
	return bucket, nil
}

// proven reports whether an answer shows that the signature was checked and
// accepted. Amazon checks every signature that a request carries, on a public
// bucket too. Another store must refuse the same request of another secret key.
// Of a version that is proven already no such request is sent, if the store
// still refuses the same request without a signature.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
func (s *store) proven(ctx context.Context, got answer, do ask) (bool, error) {
	switch {
	case got.kind == final:
		return false, got.finding
	case s.amazon():
		return got.kind == accepted, nil
	case got.kind == accepted && s.attempt.Rejection() == rejection:
		if closed, err := s.refusesAnonymous(ctx, do); closed || err != nil {
			return closed, err
		}
	}
	return s.refusesStranger(ctx, got, do)
}

// unproven words what was learned where neither request proved the keys.
func (s *store) unproven(bucket, account answer) error {
	const code = probe.CodeSecretNotTested
	switch {
	case account.kind == elsewhere && s.amazon():
		return probe.Found(code, "Amazon does not answer whose keys these are in this region: it may not be enabled for your account. Set region to one that is.").At(fieldRegion)
	case account.kind == elsewhere:
		return probe.Found(code, "The store belongs to another region than the credential's, so it did not check the signature. Set region to the store's own, and endpoint to the address of that region.").At(fieldRegion)
	case account.kind == misplaced:
		return probe.Found(code, "The address contains a bucket, whose files the store lists to anybody, so nothing is proven. Write the address of the store alone, and the name of the bucket into bucket.").At(fieldEndpoint)
	case account.kind == accepted:
		return probe.Found(code, "The store answers the same to any signature, so nothing is proven. Set bucket to one that is not public. Some stores for tests check no signatures; no probe can prove their keys.").At(fieldBucket)
	case bucket.kind == accepted:
		return probe.Found(code, "This bucket is public: it can be listed with any signature, so nothing is proven. Set bucket to one that is not public, or allow the key to list its buckets.").At(s.bucketField)
	case bucket.kind == missing:
		return probe.Found(code, "The store has no bucket of this name, and answers so before it checks the keys. Check the name of the bucket, and the address.").At(s.bucketField)
	case s.bucket == "":
		return probe.Found(code, "The store does not let this key list buckets, and does not report whether a right is missing or the secret key is wrong. Set bucket to one that the key may list.").At(fieldBucket)
	}
	return probe.Found(code, "The store lets this key list neither the bucket nor its buckets, and does not report whether a right is missing or the secret key is wrong. Check the bucket's name, and allow the key to list it.").At(s.bucketField)
}

// access reports on the bucket, now that the keys are good.
func (s *store) access(got answer) probe.Finding {
	a := s.attempt
	switch got.kind {
	case accepted:
		_ = a.Stage(probe.Access, func() error { return nil })
	case misplaced:
		a.Warn(probe.WarnResourceNotFound, fieldEndpoint, "The keys are good, but the address contains a bucket too. Write the address of the store alone into endpoint, and the name of the bucket into bucket.")
	case missing:
		a.Warn(probe.WarnResourceNotFound, s.bucketField, "The keys are good, but there is no bucket of this name. Check the name, and that the address is that of the bucket's region.")
	case elsewhere:
		s.elsewhere(got.region)
	case billed:
		a.Warn(probe.WarnScopeMissing, s.bucketField, "The keys are good, but the bucket bills the project or account that reads it (requester pays), and a probe has none to bill; or that project has no active billing. Check both, or use a bucket that its owner pays for.")
	case path:
		a.Warn(probe.WarnResourceNotFound, fieldTestPath, "The keys are good, but the store does not accept the path to list. Check test.path.")
	case other:
		a.Warn(probe.WarnScopeMissing, s.named(), "The keys are good, but the store did not list what the credential names, and gives a reason that is not known here. Contact its operator, or set bucket to another one.")
	default:
		if s.bucket == "" {
			a.Warn(probe.WarnScopeMissing, fieldBucket, "The keys are good, but the store does not let them list their buckets. Set bucket, so that it is tested too.")
			break
		}
		a.Warn(probe.WarnScopeMissing, s.bucketField, "The keys are good, but the store does not let them list this bucket. Have them granted s3:ListBucket on it, or set another bucket.")
	}
	return probe.Found(probe.CodeOK, "")
}

// named is the setting of the bucket, or that for one.
func (s *store) named() probe.Field {
	if s.bucket == "" {
		return fieldBucket
	}
	return s.bucketField
}

// elsewhere warns of a bucket of another region. Other stores than Amazon have
// an address for each.
func (s *store) elsewhere(region string) {
	if s.amazon() {
		s.attempt.Warn(probe.WarnResourceNotFound, fieldRegion, "The keys are good, but the bucket is in another region than the credential's. Set region to the bucket's own.")
	} else {
		s.attempt.Warn(probe.WarnResourceNotFound, fieldRegion, "The keys are good, but the bucket is in another region than the credential's. Set region to the bucket's own, and endpoint to the address of that region.")
	}
	if amazonRegion.MatchString(region) {
		s.attempt.Fact("bucket_region", region)
	}
}
