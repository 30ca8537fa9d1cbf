package httpprobe

import (
	"context"
	"net/http"
	"slices"
	"strings"

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
		return t.rejected(got)
	case got.status == http.StatusForbidden && t.plan.tested():
		return t.forbidden(ctx, got)
	case got.status == http.StatusForbidden:
		return probe.Found(probe.CodeAuthRejected, "This credential authenticates with nothing, and the address refuses that (status 403). Choose the way to authenticate that the system requires, or another address.").At(t.plan.urlField).Answered(got.status)
	case t.expect.stated():
		return t.unexpected(got)
	case got.status == http.StatusBadRequest && t.plan.tested() && got.rejects():
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
		t.attempt.Warn(probe.WarnNotCrossChecked, fieldHeaders, "The system ignores at least one of these headers at this address, so an error in that one would not show. Take out what is not needed.")
	}
	return nil
}

// against makes one counter-example and compares its answer.
func (t *trial) against(ctx context.Context, got answer, counter plan) error {
	other, err := t.send(ctx, counter, true)
	switch {
	case counter.certAlone && isCode(err, probe.CodeClientCertificate):
		other = answer{status: http.StatusForbidden} // the handshake fails without it
	case err != nil:
		return err
	}
	if t.expect.stated() {
		if t.expect.missed(other) == "" {
			return t.same(got, other)
		}
		t.attempt.Reject(other.class().String())
		return nil
	}
	if err := other.unavailable(); err != nil {
		return err
	}
	if !differs(got, other) {
		return t.same(got, other)
	}
	t.attempt.Reject(other.class().String())
	if other.status == http.StatusUnauthorized {
		return nil
	}
	// Anything but 401 may have another cause than the secret, such as a limit
	// of requests. The secret was accepted, so sending it again is harmless.
	again, err := t.ask(ctx, t.plan)
	switch {
	case err != nil:
		return err
	case again.class() != got.class():
		return probe.Found(probe.CodeSecretNotTested, "The address answers the same request with status %d, then with status %d: the difference is not caused by the secret. Try again, or name an address with stable answers.", got.status, again.status).At(t.plan.urlField)
	}
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
		case other.status == http.StatusForbidden:
			recognised = got.recognises() && !got.rejects() && other.rejects()
		}
		if recognised {
			t.attempt.Reject(other.class().String())
		} else if other.status == http.StatusUnauthorized {
			return probe.Found(probe.CodeSecretNotTested, "The address answers 403 to the secret, and 401 without it or to another one. Some systems answer so to a wrong secret, others to an account that lacks the right. Name an address that every account of the system may read.").At(t.plan.urlField)
		}
	}
	switch {
	case recognised:
		t.attempt.Warn(probe.WarnScopeMissing, t.plan.urlField, "The system recognises the secret, but does not allow it to use this address (status 403). Have the right or scope granted, or name another address.")
		return nil
	case got.rejects() && t.proven:
		return errTokenRefused(got.status).At(t.exchange.purpose)
	case got.rejects():
		return t.byName(got)
	case got.wantsCert:
		return errCertificate.At(t.certField)
	}
	if t.plan.account() {
		return probe.Found(probe.CodeSecretNotTested, "The address answers 403 with the password, and does not ask for one without it: it may be closed to everybody, or to this service. Name an address that the password opens.").At(t.plan.urlField)
	}
	return probe.Found(probe.CodeSecretNotTested, "The address answers 403 with the secret and with another one: it may be closed to everybody, or to this service. Name an address that the secret opens.").At(t.plan.urlField)
}

// badRequest decides on a 400 that names the secret, as APIs of Google and AWS
// answer. It rejects the secret if another one is rejected alike.
func (t *trial) badRequest(ctx context.Context, got answer) error {
	if t.proven {
		return errTokenRefused(got.status).At(t.exchange.purpose)
	}
	if t.attempt.Rejection() == "" {
		other, err := t.ask(ctx, t.plan.counter())
		if err != nil {
			return err
		}
		if other.status != got.status || !other.rejects() {
			return t.plan.hinted(probe.Found(probe.CodeSecretNotTested, "The address answers with status %d and an error that names the secret, and otherwise to another secret. It may be the request that is malformed: check the secret, and where and how it is sent.", got.status).At(t.plan.field()), t.settings)
		}
	}
	return t.byName(got)
}

// byName is the finding for a secret that is rejected in so many words.
func (t *trial) byName(got answer) error {
	if t.plan.blameID != "" && got.says(wordsNoKey) {
		return probe.Found(probe.CodeAuthRejected, "The system does not know this key id (status %d). Check it, and that the key was not deleted; temporary keys need their session token.", got.status).At(t.plan.blameID).Answered(got.status)
	}
	return t.plan.hinted(probe.Found(probe.CodeAuthRejected, "The system rejects the secret by name (status %d). Enter it again, or create a new one at the system.", got.status).At(t.plan.field()).Answered(got.status), t.settings)
}

// rejected decides on a 401.
func (t *trial) rejected(got answer) error {
	field, offered := t.plan.field(), challenges(got.header)
	if err := t.stated(got); err != nil {
		return err
	}
	switch {
	case !t.plan.tested() && t.exchange == nil:
		return probe.Found(probe.CodeAuthRejected, "This credential authenticates with nothing, and the address requires authentication (status 401). Choose the way to authenticate that the system requires, or another address.").At(t.plan.urlField).Answered(got.status)
	case t.exchange != nil && t.exchange.trades():
		if reason(offered) == "insufficient_scope" {
			return errTokenRefused(got.status).At(t.exchange.scope)
		}
		return errTokenRefused(got.status).At(t.exchange.purpose)
	case t.plan.otherScheme(offered):
		return probe.Found(probe.CodeAuthMethodUnsupported, "The address requires another way to authenticate than this credential uses (its WWW-Authenticate header names it), so it did not check the secret. Choose that way, or an address of the API that accepts this one.").At(t.plan.wayField())
	case t.expired:
		return probe.Found(probe.CodeAuthRejected, "The system rejects the secret (status 401). It is a token, and by its own claim it has expired: get a new one at the system, and enter it here.").At(field).Answered(got.status)
	case t.plan.account():
		return t.plan.hinted(probe.Found(probe.CodeAuthRejected, "The system rejects the user name or the password (status 401). Enter both again, or set a new password there.").At(field).Answered(got.status), t.settings)
	case field == fieldJWTSecret && got.says(wordsClaims):
		return probe.Found(probe.CodeSecretNotTested, "The system rejects a claim of the token (status 401), and not its signature. Check jwt.claim.audience, jwt.claim.issuer and the other claims that it expects.").At(fieldJWTAudience)
	case field == fieldJWTSecret:
		return probe.Found(probe.CodeAuthRejected, "The system rejects the token that was signed with this key (status 401). Check the key and jwt.token.algorithm, and that the claims (issuer, audience, expiry) are those that the system expects.").At(field).Answered(got.status)
	case t.plan.blameID != "" && got.says(wordsNoKey):
		return t.byName(got)
	case t.plan.sign != nil:
		return probe.Found(probe.CodeAuthRejected, "The system rejects the signature or the key that it was made with (status 401). Enter key and secret again, or create new ones there.").At(field).Answered(got.status)
	}
	return t.plan.hinted(probe.Found(probe.CodeAuthRejected, "The system rejects the secret (status 401). Enter it again, or create a new one there; check too that it is sent where the system expects it.").At(field).Answered(got.status), t.settings)
}

func errTokenRefused(status int) probe.Finding {
	return probe.Found(probe.CodeTokenRefused, "The token address accepted the secret and issued a token, but the API rejects the token (status %d). Check what the token is requested for (audience, scope, resource), where it is sent, and that both addresses belong to one system.", status)
}

// stated is the cause that a 401 or 403 gives in words of its own.
func (t *trial) stated(got answer) error {
	at := func(f probe.Finding) error {
		if t.exchange != nil && t.exchange.trades() && f.Code.Verdict() == probe.Invalid {
			return nil // of a token that was just issued
		}
		return f.At(t.plan.field()).Answered(got.status)
	}
	switch {
	case got.header.Get("X-GitHub-OTP") != "" || got.says(wordsMFA):
		return at(probe.Found(probe.CodeAuthMFARequired, ""))
	case got.header.Get("X-Authentication-Denied-Reason") != "" || got.says(wordsLocked):
		return at(probe.Found(probe.CodeAuthLocked, ""))
	case got.says(wordsClock):
		return probe.Found(probe.CodeTargetUnavailable, "The system rejects the time of the request: its clock and the clock of this service differ. Nothing is known of the secret.")
	case got.says(wordsSource):
		return probe.Found(probe.CodeSourceIPDenied, "")
	case got.says(wordsEither): // one message for several causes
		return nil
	case got.says(wordsExpired):
		return at(probe.Found(probe.CodeAuthExpired, ""))
	case got.says(wordsRevoked):
		return at(probe.Found(probe.CodeAuthRevoked, ""))
	case got.says(wordsOff):
		return at(probe.Found(probe.CodeAuthDisabled, ""))
	case got.status == http.StatusUnauthorized && t.exchange == nil && reason(challenges(got.header)) == "insufficient_scope":
		return probe.Found(probe.CodeSecretNotTested, "The system recognises the token, but it lacks a scope that this address requires (status 401). Request the scope, or name another address.").At(t.plan.urlField)
	}
	return nil
}

// same is the finding for a secret that makes no difference.
func (t *trial) same(got, other answer) error {
	const code = probe.CodeSecretNotTested
	f := probe.Found(code, "The address answers status %d to the secret and status %d to another one, without a difference that proves it was checked. Name an address that requires the secret, or describe success with test.expect.pointer and test.expect.value.", got.status, other.status)
	switch {
	case t.expect.stated():
		f = probe.Found(code, "The answer to another secret meets test.expect too, so it does not prove this one. Choose a status or a member of the answer that only the right secret gets.")
	case t.plan.certAlone:
		f = probe.Found(code, "The address answers %d with the client certificate and without it, so it does not require one. Name an address that does.", got.status)
	case t.plan.account() && got.status == other.status:
		f = probe.Found(code, "The address answers %d with the password and without it, so it does not require one. Name an address that does.", got.status)
	case got.class().body.kind == bodyHTML:
		f = probe.Found(code, "The address answers the same web page (status %d) to the secret and to another one. Name an address of the API that requires the secret.", got.status)
	}
	return t.unproven(f.At(t.plan.urlField))
}

// unproven is the finding for a test request that proves nothing. An exchange
// may have proven the secret already: then it is a warning.
func (t *trial) unproven(f probe.Finding) error {
	if !t.proven {
		return f
	}
	t.attempt.Warn(probe.WarnNotCrossChecked, t.plan.urlField, "The token address accepts the secret and rejects another. Whether the API accepts the token is not known: it does not answer the test request with success, or answers the same to another token.")
	return nil
}

// unexpected is the finding for an answer that the user does not call success.
func (t *trial) unexpected(got answer) error {
	f := probe.Found(probe.CodeSecretNotTested, "The answer (status %d) has no value at test.expect.pointer. Check the pointer and the secret.", got.status)
	switch field := t.expect.missed(got); field {
	case fieldExpectStatus:
		return probe.Found(probe.CodeSecretNotTested, "The address answers with status %d, and test.expect.status is %d. Check the secret and the test request, or change test.expect.status.", got.status, int(t.expect.status)).At(field)
	case fieldExpectValue:
		return probe.Found(probe.CodeSecretNotTested, "The answer (status %d) has another value at test.expect.pointer than test.expect.value. Check the secret and the test request, or change test.expect.value.", got.status).At(field)
	default:
		return f.At(field)
	}
}

// inconclusive is the finding for an answer that is neither a success nor a
// rejection of the secret.
func (t *trial) inconclusive(got answer) error {
	const code = probe.CodeSecretNotTested
	f := probe.Found(code, "The address answers with status %d, which is neither a success nor a rejection of the secret. Name an address that succeeds with the secret.", got.status)
	switch {
	case got.status/100 == 2 && got.class().body.kind == bodyHTML:
		return probe.Found(code, "The address answers with a page to sign in at (status %d), which is no answer of an API. Name an address of the API.", got.status).At(t.plan.urlField)
	case got.status/100 == 2:
		return t.plan.hinted(probe.Found(code, "The address answers with status %d and reports an error in the body, so the secret is not proven. Check the secret and the test request.", got.status).At(t.plan.urlField), t.settings)
	case got.status/100 == 3 && got.status != http.StatusNotModified:
		f = probe.Found(code, "The address redirects (status %d), and a redirect is never followed with a secret. Name the address that it leads to; if that is a page to sign in at, name an address of the API.", got.status)
	case got.status == http.StatusNotFound, got.status == http.StatusGone:
		f = probe.Found(code, "The system has nothing at this address (status %d). Check its path; some systems answer so to a wrong secret too.", got.status)
	case got.status == http.StatusMethodNotAllowed:
		f = probe.Found(code, "The address does not accept this method (status %d). Name an address that accepts GET, or set test.method.", got.status)
	case got.wantsCert:
		return errCertificate.At(t.certField)
	}
	return t.unproven(f.At(t.plan.urlField))
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

// otherScheme reports whether a 401 asks for other schemes than the request
// used (RFC 9110 §11.6.1). Without a challenge it does not.
func (p plan) otherScheme(offered []challenge) bool {
	if len(offered) == 0 || !p.tested() || p.sign != nil {
		return false
	}
	for _, s := range p.places {
		scheme, _, spaced := strings.Cut(strings.ToLower(s.value.ExposeText()), " ")
		switch {
		case s.aside:
		case strings.EqualFold(s.header, "Cookie"), strings.EqualFold(s.header, "Authorization") && !spaced, s.param == "access_token":
			return false
		case strings.EqualFold(s.header, "Authorization") && scheme == "basic":
			return !offers(offered, scheme)
		case strings.EqualFold(s.header, "Authorization"): // some systems name their challenge otherwise than the scheme they accept
			return !offers(offered, scheme) && onlyOf(offered, "basic", "digest", "negotiate", "ntlm")
		default: // a key in a header or parameter of its own
			return onlyOf(offered, "basic", "digest", "bearer", "negotiate", "ntlm", "dpop", "hawk")
		}
	}
	return false
}

// onlyOf reports whether all challenges are of the schemes.
func onlyOf(offered []challenge, schemes ...string) bool {
	return !slices.ContainsFunc(offered, func(c challenge) bool { return !slices.Contains(schemes, c.scheme) })
}

// wayField is the setting that decides how the secret is sent.
func (p plan) wayField() probe.Field {
	if p.field() == fieldKeyValue {
		return fieldKeyName
	}
	return fieldAuthType
}
