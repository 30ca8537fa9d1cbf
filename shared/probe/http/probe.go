// Package httpprobe probes credentials for HTTP APIs. It makes the request that
// the credential is tested with twice, with the secret and with another one:
// only the difference between the two answers proves anything.
package httpprobe

import (
	"context"
	"slices"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
)

// Prober probes credentials of the type rest. The zero value is ready.
type Prober struct {
	double string // of Google's token address, in tests
}

var _ probe.Prober = Prober{}

// Ports are those of web servers: not those of other protocols below 1024,
// whose servers an HTTP request could be made to talk to.
func (Prober) Ports() netguard.Ports {
	return netguard.Ports{{From: 80, To: 90}, {From: 443, To: 444}, {From: 1024, To: 65535}}
}

// Probe reads the settings, trades the secret for a token where the way to
// authenticate requires it, makes the test request and compares its answer with
// that to another secret.
func (p Prober) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	settings := reader{a.Settings()}
	t := &trial{client: &client{attempt: a, unverified: settings.is(fieldIgnoreCert)}, settings: settings}
	// The settings are checked by rules of our own: nothing is dialled for a way
	// to authenticate that is not known, or for a malformed address.
	err := a.Stage(probe.Policy, func() error { return readTrial(settings, t) })
	if err != nil {
		return a.Explain(err)
	}
	if t.exchange != nil && t.exchange.byProtocol && p.double != "" {
		t.exchange.url.Scheme, t.exchange.url.Host = "https", p.double
	}
	t.expired = t.ends()
	if t.exchange != nil {
		if err := t.trade(ctx); err != nil || t.plan.url == nil {
			return outcome(a, err)
		}
	}
	a.Locate(t.plan.urlField, t.plan.urlField)
	return outcome(a, a.Stage(probe.Auth, func() error { return t.judge(ctx) }))
}

func outcome(a *probe.Attempt, err error) probe.Finding {
	if err != nil {
		return a.Explain(err)
	}
	return probe.Found(probe.CodeOK, "")
}

// trade makes the exchange and puts its token into the test request.
func (t *trial) trade(ctx context.Context) error {
	// The test request must fit too: the exchange may not use up the time.
	if t.plan.url != nil {
		var cancel context.CancelFunc
		ctx, cancel = withShare(ctx, 4, 7)
		defer cancel()
	}
	t.attempt.Locate(t.exchange.field, t.exchange.field)
	return t.attempt.Stage(probe.Auth, func() error {
		token, err := t.obtain(ctx)
		if err == nil {
			t.plan.places = append(t.plan.places, token)
		}
		return err
	})
}

func withShare(ctx context.Context, part, of time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*part/of)
}

// ends records when those of the secrets expire that are tokens and name their
// expiry. A token that is traded for one of them is made anew for each use, and
// is no part of the credential. It reports whether one has expired.
func (t *trial) ends() (expired bool) {
	sent := t.plan.places
	if t.exchange != nil {
		sent = slices.Concat(sent, t.exchange.places)
	}
	for _, p := range sent {
		bare := t.settings.Secret(string(p.field)) // a password is sent encoded
		expired = t.attempt.TokenEnds(p.value) || t.attempt.TokenEnds(bare) || expired
	}
	return expired
}
