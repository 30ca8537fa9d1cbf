// Package httpprobe probes credentials for HTTP APIs. It makes the request
// that the credential is tested by twice, with the secret and without: only
// the difference between the two answers proves anything.
package httpprobe

import (
	"context"
	"net/http"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
)

// Prober probes credentials of the type rest. The zero value is ready.
type Prober struct{}

var _ probe.Prober = Prober{}

// Ports are those of web servers: not those of other protocols below 1024,
// whose servers an HTTP request could be made to talk to.
func (Prober) Ports() netguard.Ports {
	return netguard.Ports{{From: 80, To: 90}, {From: 443, To: 444}, {From: 1024, To: 65535}}
}

// Probe reads the plan of the credential, makes its request with the secret
// and, if it is a GET, without, and compares the answers.
func (Prober) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	settings := reader{a.Settings()}
	c := &client{attempt: a, unverified: settings.is(fieldIgnoreCert)}
	var s signIn
	// What the settings say is our own rule to check: nothing is dialled for
	// a sign-in that is not known or an address that is none.
	err := a.Stage(probe.Policy, func() (err error) {
		s, err = readSignIn(settings)
		return err
	})
	if err != nil {
		return a.Explain(err)
	}
	// All requests must fit: the first may not use up the time.
	first, cancel := withShare(ctx, 5, 7)
	defer cancel()
	s.over = s.ends(a)
	if s.exchange != nil {
		if err := c.exchange(first, &s); err != nil {
			return a.Explain(err)
		}
		if s.url == nil {
			a.Warn(probe.WarnNotCrossChecked, "", "The sign-in address gave a token for the secret. The credential names no address to try the token at; give test.url for a fuller check.")
			return probe.Found(probe.CodeOK, "")
		}
	}
	a.Locate(s.urlField, s.urlField)
	err = a.Stage(probe.Auth, func() error {
		with, err := c.ask(first, s.asked())
		if err != nil {
			return err
		}
		return c.judge(ctx, s, with)
	})
	if err != nil {
		return a.Explain(err)
	}
	return probe.Found(probe.CodeOK, "")
}

// exchange gets the token that the secret is traded for. Where it is all that
// will be tried, it must prove the secret.
func (c *client) exchange(ctx context.Context, s *signIn) error {
	x := s.exchange
	c.attempt.Locate(x.field, x.field)
	return c.attempt.Stage(probe.Auth, func() (err error) {
		s.token, err = c.obtain(ctx, x)
		switch {
		case err != nil || s.url != nil:
			return err
		case x.plain:
			return errAnyText
		case !x.trades():
			return errNothingTraded
		}
		return nil
	})
}

// errAnyText is of a sign-in address whose whole answer is the token: a refusal
// in words would pass for one.
var errAnyText = probe.Found(probe.CodeSecretNotTested, "The sign-in address answered with a text, but whether that is a token or a refusal only shows where it is used. Name an address to try it at: test.url or base_url.").At(fieldTestURL)

// errNothingTraded is of a token that is given for nothing, and so proves
// nothing by itself.
var errNothingTraded = probe.Found(probe.CodeSecretNotTested, "The sign-in address is sent nothing secret, so its token proves nothing. Name an address to try the token and request.headers at: test.url or base_url.").At(fieldTestURL)

func withShare(ctx context.Context, part, of time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*part/of)
}

// ask makes a request and gives the answer; an error if that says nothing of
// the secret, whichever request it belongs to.
func (c *client) ask(ctx context.Context, p plan) (answer, error) {
	r, err := p.request()
	if err != nil {
		return answer{}, err
	}
	got, err := c.send(ctx, r, p.urlField, false)
	if err == nil {
		err = got.unavailable()
	}
	return got, err
}

// judge reads the answer to the request with the secret, and where that alone
// proves nothing, compares it with the answer without it. nil is: accepted.
func (c *client) judge(ctx context.Context, s signIn, got answer) error {
	p, with := s.asked(), got.status
	field := p.field()
	switch {
	case len(p.secrets) == 0:
		return probe.Found(probe.CodeSecretNotTested, "This credential holds no secret, so there is nothing to test (the system answers with status %d). Enter a key or a password, and the way to sign in that it is for.", with).At(fieldAuthType)
	case with == http.StatusUnauthorized && field == fieldPassword && got.wantsNoBasic():
		return probe.Found(probe.CodeAuthMethodUnsupported, "The address asks to sign in by Digest, NTLM or Negotiate, and not by Basic, so it did not look at the password. These cannot be probed; check the credential where it is used.").At(fieldAuthType)
	case with == http.StatusUnauthorized && s.over:
		return probe.Found(probe.CodeAuthRejected, "The system refused the secret (status 401). It is a token, and by its own word it has expired: get a new one there, and enter it here.").At(field).Answered(with)
	case with == http.StatusUnauthorized && s.exchange != nil && s.exchange.trades():
		return probe.Found(probe.CodeAuthRejected, "The sign-in address gave a token for the secret, but the system refused the token (status 401). Check what is asked for with it (a scope, an audience), where it is sent, and that both addresses belong together; else make a new secret there.").At(field).Answered(with)
	case with == http.StatusUnauthorized && field == fieldPassword:
		return probe.Found(probe.CodeAuthRejected, "The system refused the user name or the password (status 401). Enter both again, or make a new password there.").At(field).Answered(with)
	case with == http.StatusUnauthorized:
		return probe.Found(probe.CodeAuthRejected, "The system refused the secret (status 401). Enter it again, or make a new one there.").At(field).Answered(with)
	case p.method != http.MethodGet:
		if with/100 != 2 {
			return probe.Found(probe.CodeSecretNotTested, "The system answers the test request with status %d, which tells neither that the secret is good nor that it is bad. Name a test request (test.url, test.method) that succeeds.", with).At(p.urlField)
		}
		c.attempt.Warn(probe.WarnNotCrossChecked, fieldTestMethod, "")
		return nil
	}
	bare, err := c.ask(ctx, s.bare())
	if err != nil {
		return err
	}
	without := bare.status
	refused := without == http.StatusUnauthorized || without == http.StatusForbidden
	switch {
	case with/100 == 2 && refused:
		if len(p.secrets) > 1 && field == fieldHeaders && s.exchange == nil {
			c.attempt.Warn(probe.WarnNotCrossChecked, fieldHeaders, "These headers were left out together, so which of them the system looks at is not known. Put the secret into a field of its own for a fuller check.")
		}
		return nil
	case with == http.StatusForbidden && without != http.StatusForbidden:
		return probe.Found(probe.CodeAuthRejected, "The system refuses the secret (status 403; without it %d). Enter it again, or have it granted the right to this address.", without).At(field).Answered(with)
	}
	return undecided(with, without).At(p.urlField)
}

// unavailable are answers that say nothing of a secret.
func (a answer) unavailable() error {
	switch {
	case a.tooOften():
		return probe.Found(probe.CodeRateLimited, "")
	case a.status >= 500:
		return probe.Found(probe.CodeTargetUnavailable, "The system is there but fails (status %d). Try again later, or ask its operator.", a.status)
	}
	return nil
}

// undecided words the pairs of answers that prove nothing, and says what would.
func undecided(with, without int) probe.Finding {
	const code = probe.CodeSecretNotTested
	switch {
	case with != without && with/100 == 2:
		return probe.Found(code, "With the secret the address answers %d, without it %d, which is no refusal: whether the secret was looked at is not known. Name an address that refuses requests without it (401 or 403).", with, without)
	case with/100 == 2:
		return probe.Found(code, "The address answers %d with the secret and without it, so it does not ask for one. Name an address that does.", with)
	case with/100 == 3 && with != http.StatusNotModified:
		return probe.Found(code, "The address redirects (status %d with the secret, %d without), and a redirect is never followed with a secret. Name the address that it leads to; if that is a page to sign in at, name one of the API that asks for the secret.", with, without)
	case with == http.StatusForbidden:
		return probe.Found(code, "The address answers 403 with the secret and without it: it may be closed to everybody, or to this service. Name an address that the secret opens.")
	case with == http.StatusNotFound:
		return probe.Found(code, "There is nothing at this address (status 404 with the secret, %d without). Check its path.", without)
	case with == http.StatusMethodNotAllowed:
		return probe.Found(code, "The address does not take this kind of request (status 405 with the secret, %d without). Name one that takes GET, or set test.method.", without)
	}
	return probe.Found(code, "The address answers %d with the secret and %d without it, which proves nothing. Name an address that succeeds with the secret and refuses requests without.", with, without)
}
