package httpprobe

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"credence/shared/pattern"
	"credence/shared/probe"
)

// badRequest decides on a 400 that names the secret, as APIs of Google and AWS
// answer. It rejects the secret if another one is rejected alike.
func (t *trial) badRequest(ctx context.Context, got answer) error {
	if t.proven {
		return errTokenRefused(got.status).At(t.exchange.purpose)
	}
	if err := t.part(got); err != nil {
		return err
	}
	if t.attempt.Rejection() == "" {
		other, err := t.ask(ctx, t.plan.counter())
		if err != nil {
			return err
		}
		if other.status != got.status || !other.names() {
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
	return t.plan.hinted(probe.Found(probe.CodeAuthRejected, "The system answers that the secret is not valid (status %d). Enter it again, or create a new one at the system.", got.status).At(t.plan.field()).Answered(got.status), t.settings)
}

// rejected decides on a 401.
func (t *trial) rejected(ctx context.Context, got answer) error {
	field, offered := t.plan.field(), challenges(got.header)
	if err := t.stated(got); err != nil {
		return err
	}
	if err := t.unrelated(ctx, got); err != nil {
		return err
	}
	switch {
	case !t.plan.tested() && t.exchange == nil:
		return probe.Found(probe.CodeAuthRejected, "This credential has no secret, and the address requires authentication (status 401). Set auth.type to the way to authenticate that the system requires, or enter another address.").At(t.plan.urlField).Answered(got.status)
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

// unrelated is the finding for a 401 that is not about the secret: the system did
// not find one, it contradicts itself, it is about the audience of a token, or it
// names a missing right or plan where another secret is rejected in other words.
func (t *trial) unrelated(ctx context.Context, got answer) error {
	at := func(f probe.Finding) error { return f.At(t.plan.urlField) }
	switch {
	case !t.plan.tested() || t.exchange != nil:
		return nil
	case got.says(wordsMissing) && !got.says(wordsRejects):
		return probe.Found(probe.CodeAuthMethodUnsupported, "The system answers that the request has no key, token or password (status 401), so it did not check this one. It expects the secret at another place: check the name of the header or parameter, and the way to authenticate.").At(t.plan.wayField())
	case got.affirms():
		return at(probe.Found(probe.CodeSecretNotTested, "The address answers with status 401 and a body that reports success, so the two contradict each other. Set test.expect.status and test.expect.pointer to what a successful answer has, or enter another address."))
	case t.plan.places != nil && t.plan.field() != fieldJWTSecret && got.says(wordsAudience):
		return at(probe.Found(probe.CodeSecretNotTested, "The system rejects the audience of the token (status 401): it was issued for another API. Enter an address of that API, or a token that was issued for this one."))
	case t.plan.account() || !got.says(wordsScope) || got.rejects():
		return nil
	}
	if t.attempt.Rejection() == "" {
		other, err := t.ask(ctx, t.plan.counter())
		if err != nil || other.status == http.StatusUnauthorized && other.says(wordsScope) {
			return err // it says so to every secret
		}
	}
	return at(probe.Found(probe.CodeSecretNotTested, "The system recognises the secret, but its account lacks a right or a plan that this address requires (status 401). Have it granted, or enter another address."))
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
		return blame(f, t.plan.field()).Answered(got.status)
	}
	if err := t.part(got); err != nil {
		return err
	}
	f, ok := cause(got)
	switch {
	case got.header.Get("X-GitHub-OTP") != "":
		return at(probe.Found(probe.CodeAuthMFARequired, ""))
	case got.header.Get("X-Authentication-Denied-Reason") != "":
		return at(probe.Found(probe.CodeAuthLocked, ""))
	case t.exchange == nil && got.says(wordsWay):
		return probe.Found(probe.CodeAuthMethodUnsupported, "The system does not accept this way to authenticate, or it is disabled there (status %d). Use another one, such as a token in place of a password, or have this one enabled.", got.status).At(fieldAuthType)
	case ok:
		return at(f)
	case got.status == http.StatusUnauthorized && t.exchange == nil && (reason(challenges(got.header)) == "insufficient_scope" || got.says(wordsNoScope) && !got.rejects()):
		return probe.Found(probe.CodeSecretNotTested, "The system recognises the token, but it lacks a scope that this address requires (status 401). Request the scope, or set test.url to another address.").At(t.plan.urlField)
	}
	return nil
}

// causes are what answers say of a secret or an account in words of their own,
// the first that fits first. The one without a code is a message that stands for
// several causes.
var causes = []struct {
	words   *pattern.Pattern
	finding probe.Finding
}{
	{wordsMFA, probe.Found(probe.CodeAuthMFARequired, "")},
	{wordsLocked, probe.Found(probe.CodeAuthLocked, "")},
	{wordsClock, probe.Found(probe.CodeTargetUnavailable, "The system rejects the time of the request: its clock and the clock of this service differ. Nothing is known of the secret. Have the system's clock corrected, then probe again.")},
	{wordsSource, probe.Found(probe.CodeSourceIPDenied, "")},
	{wordsEither, probe.Finding{}},
	{wordsExpired, probe.Found(probe.CodeAuthExpired, "")},
	{wordsRevoked, probe.Found(probe.CodeAuthRevoked, "")},
	{wordsOff, probe.Found(probe.CodeAuthDisabled, "")},
}

// cause is the finding for the cause that an answer gives in words; false for none.
func cause(got answer) (probe.Finding, bool) {
	for _, c := range causes {
		if got.says(c.words) {
			return c.finding, c.finding.Code != ""
		}
	}
	return probe.Finding{}, false
}

// blame names the field of a finding, where that is about the credential.
func blame(f probe.Finding, field probe.Field) probe.Finding {
	if f.Code == probe.CodeTargetUnavailable || f.Code == probe.CodeSourceIPDenied {
		return f
	}
	return f.At(field)
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
			return !offers(offered, scheme, "xbasic", "x-basic") // names that keep browsers from asking
		case strings.EqualFold(s.header, "Authorization"): // some systems name their challenge otherwise than the scheme they accept
			return !offers(offered, scheme) && onlyOf(offered, "basic", "digest", "negotiate", "ntlm", "dpop", "hawk")
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
