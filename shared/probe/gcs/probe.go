// Package gcsprobe probes credentials of Google Cloud Storage: the key of a
// service account by what Google's token address says to its signature, an
// access token by the difference that it makes.
package gcsprobe

import (
	"context"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
	"credence/shared/probe/roundtrip"
	"credence/shared/secret"
)

// Prober probes credentials of the type gcs. The zero value is ready.
type Prober struct {
	double string // in place of Google's own hosts
}

// At returns a prober that sends every request to an address in place of
// Google's, for tests with a fake of Google. No setting of a credential leads to it.
func At(address string) Prober { return Prober{double: address} }

var _ probe.Prober = Prober{}

// Ports is that of HTTPS: both addresses are Google's.
func (p Prober) Ports() netguard.Ports {
	if p.double != "" {
		return netguard.AnyPort
	}
	return netguard.Ports{{From: 443, To: 443}}
}

// Probe signs in with the service account's key and lists at most one object
// of the bucket, or one bucket of the project. With an access token it lists
// with it and without.
func (p Prober) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	var what plan
	err := a.Stage(probe.Policy, func() (err error) {
		if what, err = readPlan(a.Settings()); err != nil {
			return err
		}
		return what.toRead()
	})
	if err != nil {
		return a.Explain(err)
	}
	if what.account == nil && !what.renewable {
		a.TokenEnds(what.token)
	}
	g := p.newGoogle(a)
	var found outcome
	err = a.Stage(probe.Auth, func() (err error) {
		if what.account != nil {
			found, err = g.proveAccount(ctx, what)
		} else {
			found, err = g.proveToken(ctx, what)
		}
		return err
	})
	if err != nil {
		return own(a.Explain(err))
	}
	return g.access(what, found)
}

func (p Prober) newGoogle(a *probe.Attempt) *google {
	a.Locate("", "") // no setting names these hosts
	g := &google{attempt: a, client: roundtrip.New(a, ""), token: tokenAddress, api: apiAddress}
	if p.double != "" {
		g.token, g.api = p.double+"/token", p.double+"/storage/v1/"
	}
	return g
}

// own words the faults of a connection: the hosts are Google's, so that no
// setting of these credentials names them or brings a certificate.
func own(f probe.Finding) probe.Finding {
	switch f.Code {
	case probe.CodeTLSUntrusted, probe.CodeTLSNameMismatch, probe.CodeTLSExpired:
		return probe.Found(f.Code, "What answers in Google's place shows a certificate that is not good for it: something on the way, such as a proxy, opens encrypted connections. Nothing was sent; inform the operator of this service.")
	case probe.CodeDNSNotFound, probe.CodeDNSTimeout, probe.CodeTCPRefused, probe.CodeTCPTimeout, probe.CodeTCPReset, probe.CodeTLSUnsupported, probe.CodeProbeTimeout:
		return probe.Found(f.Code, "Google's service could not be reached from here, or broke off before it answered. Nothing of the credential needs to be changed: try again, and if it lasts, inform the operator of this service.")
	case probe.CodeProtocolMismatch:
		return errNotGoogle
	}
	return f
}

// proveAccount gets an access token and makes the first read with it.
func (g *google) proveAccount(ctx context.Context, what plan) (outcome, error) {
	token, err := g.accessToken(ctx, *what.account)
	if err != nil || len(what.reads) == 0 {
		return outcome{kind: accepted}, err
	}
	found, err := g.read(ctx, what.reads[0], token)
	if err == nil && found.kind == refused {
		return found, what.refused(found.why)
	}
	return found, err
}

// proveToken reads with the token and without, the next thing where the first
// proves nothing. A token that is not good is refused wherever it is shown; one
// that is may be denied, so it counts that the same request without it is
// answered by 401.
// https://docs.cloud.google.com/storage/docs/json_api/v1/status-codes#401-unauthorized
func (g *google) proveToken(ctx context.Context, what plan) (outcome, error) {
	var first outcome
	for i, r := range what.reads {
		with, err := g.read(ctx, r, what.token)
		if err != nil {
			return with, err
		}
		if i == 0 {
			first = with
		}
		if with.kind == refused {
			return with, what.refused(with.why)
		}
		without, err := g.read(ctx, r, secret.Value{})
		if err != nil {
			return without, err
		}
		if without.kind == refused {
			return first, nil
		}
	}
	return first, probe.Found(probe.CodeSecretNotTested, "Google answers the same without the token, so nothing is proven. Set bucket to one that is not public, or set project_id.").At(what.reads[0].field)
}

// access reports on the bucket or the project, now that the secret is good.
func (g *google) access(what plan, found outcome) probe.Finding {
	ok := probe.Found(probe.CodeOK, "")
	if len(what.reads) == 0 {
		return ok
	}
	field := what.reads[0].field
	remedy, known := what.remedy(found.why, field)
	switch {
	case found.kind == accepted:
		_ = g.attempt.Stage(probe.Access, func() error { return nil })
	case known:
		g.attempt.WarnOf(remedy)
	case found.kind == missing && field == fieldProject:
		g.attempt.Warn(probe.WarnResourceNotFound, field, "The secret is good, but there is no project of this id. Check it.")
	case found.kind == missing:
		g.attempt.Warn(probe.WarnResourceNotFound, field, "The secret is good, but there is no bucket of this name. Check it.")
	case found.kind == other && field == fieldProject:
		g.attempt.Warn(probe.WarnResourceNotFound, field, "The secret is good, but Google does not accept this project. Check its id.")
	case found.kind == other:
		g.attempt.Warn(probe.WarnScopeMissing, field, "The secret is good, but Google did not list this bucket, for a reason that is not known here. Check its name and settings, or set another bucket.")
	case field == fieldProject:
		g.attempt.Warn(probe.WarnScopeMissing, field, "The secret is good, but may not list the buckets of this project, or there is no such project. Check its id, and have the account granted storage.buckets.list, or set bucket.")
	default:
		g.attempt.Warn(probe.WarnScopeMissing, field, "The secret is good, but may not list this bucket. Have its account granted storage.objects.list on it (the role Storage Object Viewer has that), or set another bucket.")
	}
	return ok
}
