package httpprobe

import (
	"context"
	"net/http"
	"slices"

	"credence/shared/probe"
)

// trial is one credential under test.
type trial struct {
	*client
	settings reader
	plan     plan // the request to test with; without an address where only the exchange is tested
	exchange *exchange
	expect   expectation
	expired  bool // one of the secrets is a token that has expired by its own claim
	proven   bool // the exchange has proven the secret; the test request is about its token
}

// ask makes a request and returns the answer; an error if that tells nothing of
// the secret, whichever request it belongs to.
func (t *trial) ask(ctx context.Context, p plan) (answer, error) {
	got, err := t.send(ctx, p, true)
	if err == nil {
		err = got.unavailable()
	}
	return got, err
}

// judge makes the test request and decides by its answer, compared with the
// answer to another secret. nil is: accepted.
func (t *trial) judge(ctx context.Context) error {
	got, err := t.ask(ctx, t.plan)
	switch {
	case err != nil:
		return err
	case got.wantsCertificate():
		return t.certificateFinding(got)
	case t.expect.stated() && t.expect.missed(got) == "":
		return t.compare(ctx, got)
	case got.status == http.StatusUnauthorized:
		return t.rejected(ctx, got)
	case got.status == http.StatusForbidden && t.plan.tested():
		return t.forbidden(ctx, got)
	case got.status == http.StatusForbidden:
		return probe.Found(probe.CodeAuthRejected, "This credential has no secret, and the address denies access without one (status 403). Set auth.type to the way to authenticate that the system requires, or enter another address.").At(t.plan.urlField).Answered(got.status)
	case t.expect.stated():
		return t.unexpected(got)
	case got.status == http.StatusBadRequest && t.plan.tested() && got.names():
		return t.badRequest(ctx, got)
	case !got.succeeds():
		return t.inconclusive(got)
	}
	return t.compare(ctx, got)
}

var errCertificate = probe.Found(probe.CodeClientCertificate, "The server accepts requests only with a client certificate. Enter the certificate and its private key.")

// certificateFinding is the finding for an answer about the client certificate.
func (t *trial) certificateFinding(got answer) error {
	if t.plan.certificate == nil {
		return errCertificate.At(t.certField)
	}
	return probe.Found(probe.CodeAuthRejected, "The server rejects the client certificate (status %d). Check that it is signed by an authority that the server trusts, and that it has not expired or been revoked.", got.status).At(t.certField).Answered(got.status)
}

// compare makes the counter-examples for a request that succeeded.
func (t *trial) compare(ctx context.Context, got answer) error {
	if !t.plan.tested() {
		if t.exchange == nil {
			t.attempt.Warn(probe.WarnNoSecret, fieldAuthType, "")
		}
		return nil
	}
	if known := t.attempt.Rejection(); known != "" {
		if got.class().String() != known {
			return nil
		}
		return t.same(got, got)
	}
	if t.plan.leavesOut() && !t.expect.stated() && got.doubtful() {
		return t.unproven(errDoubtful.At(t.plan.urlField))
	}
	if err := t.differing(ctx, got); err != nil {
		return err
	}
	return t.steady(ctx, got)
}

// differing makes the counter-examples and compares their answers.
func (t *trial) differing(ctx context.Context, got answer) error {
	own := t.ownHeaders()
	if len(own) < 2 {
		return t.against(ctx, got, t.plan.counter())
	}
	// Which of several headers is the secret is not known: each is replaced
	// alone. One that the system ignores proves nothing of the others.
	ignored := 0
	var last error
	for _, i := range own {
		switch err := t.against(ctx, got, t.plan.counterAt(i)); {
		case err == nil:
		case isCode(err, probe.CodeSecretNotTested):
			ignored, last = ignored+1, err
		default:
			return err
		}
	}
	switch {
	case ignored == len(own), ignored > 0 && !namedLikeSecrets(t.plan, own):
		return last
	case ignored > 0:
		t.attempt.Warn(probe.WarnNotCrossChecked, fieldHeaders, "The system ignores at least one of these headers at this address, so an error in that one would not show. Remove the headers that are not needed from request.headers.")
	}
	return nil
}

// against makes one counter-example and compares its answer.
func (t *trial) against(ctx context.Context, got answer, counter plan) error {
	other, err := t.send(ctx, counter, true)
	switch {
	case counter.certAlone && (isCode(err, probe.CodeClientCertificate) || isCode(err, probe.CodeTCPReset) && t.attempt.CertificateRequested()):
		other = answer{status: http.StatusForbidden} // the handshake fails without it
	case err != nil:
		return err
	}
	met := t.expect.stated() && t.expect.missed(other) == ""
	if err := other.unavailable(); err != nil && !met {
		return err
	}
	if met || !t.expect.stated() && !differs(got, other) {
		return t.same(got, other)
	}
	t.attempt.Reject(other.class().String())
	return nil
}

// differs reports whether the answer to another secret is of another class than
// a success. Two successes are of one class whatever they hold, except for a
// web page in place of data.
func differs(got, other answer) bool {
	if !other.succeeds() {
		return true
	}
	kind := got.class().body.kind
	return other.class().body.kind == bodyHTML && (kind == bodyJSON || kind == bodyXML)
}

// forbidden decides on a 403. Where another secret gets 401, the secret was
// recognised.
func (t *trial) forbidden(ctx context.Context, got answer) error {
	if err := t.stated(got); err != nil {
		return err
	}
	recognised := t.proven && !got.rejects()
	if known := t.attempt.Rejection(); recognised {
	} else if known != "" {
		recognised = got.class().String() != known
	} else {
		other, err := t.ask(ctx, t.plan.counter())
		switch {
		case err != nil:
			return err
		case other.status == http.StatusUnauthorized:
			recognised = got.recognises() || !t.plan.account() && !got.rejects()
			if again, err := t.ask(ctx, t.plan); recognised && (err != nil || again.status != got.status) {
				return t.changing(got, again, err)
			}
		case other.status == http.StatusForbidden:
			recognised = got.recognises() && !got.rejects() && other.rejects()
		}
		if recognised {
			t.attempt.Reject(other.class().String())
		} else if other.status == http.StatusUnauthorized {
			return probe.Found(probe.CodeSecretNotTested, "The address answers 403 to the secret, and 401 without it or to another one. Some systems answer so to a wrong secret, others to an account that lacks the right. Set test.url to an address that every account may read.").At(t.plan.urlField)
		}
	}
	switch {
	case recognised:
		t.attempt.Warn(probe.WarnScopeMissing, t.plan.urlField, "The system recognises the secret, but does not allow it to use this address (status 403). Have the right or scope granted, or set test.url to another address.")
		return nil
	case got.rejects() && t.proven:
		return errTokenRefused(got.status).At(t.exchange.purpose)
	case got.rejects():
		return t.byName(got)
	case got.wantsCert:
		return errCertificate.At(t.certField)
	}
	if t.plan.account() {
		return probe.Found(probe.CodeSecretNotTested, "The address answers 403 with the password, and does not ask for one without it: it may be closed to everybody, or to this service. Set test.url to an address that the password gives access to.").At(t.plan.urlField)
	}
	return probe.Found(probe.CodeSecretNotTested, "The address answers 403 with the secret and with another one: it may be closed to everybody, or to this service. Set test.url to an address that the secret gives access to.").At(t.plan.urlField)
}

// ownHeaders are the places of the user's own headers, where these are the
// secret: those that are named like one, or else all.
func (t *trial) ownHeaders() []int {
	var all, named []int
	for i, p := range t.plan.places {
		if p.field != fieldHeaders || p.aside {
			continue
		}
		all = append(all, i)
		if secretName.MatchString(p.header) {
			named = append(named, i)
		}
	}
	if len(named) > 0 {
		all = named
	}
	return all[:min(len(all), 4)]
}

func namedLikeSecrets(p plan, at []int) bool {
	return !slices.ContainsFunc(at, func(i int) bool { return !secretName.MatchString(p.places[i].header) })
}

func isCode(err error, code probe.Code) bool {
	f, ok := err.(probe.Finding) //nolint:errorlint // judge's own, never wrapped
	return ok && f.Code == code
}
