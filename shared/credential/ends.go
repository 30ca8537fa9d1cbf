package credential

import (
	"time"

	"credence/shared/probe"
	"credence/shared/store"
)

// Ends is when what works today stops working, as far as probes found out:
// zero where a system told nothing, or never was asked.
type Ends struct {
	Secret      time.Time // the password, key or token itself
	Certificate time.Time // the one that the system showed, which its operator renews
}

// First is the earlier of the two; zero where neither is known.
func (e Ends) First() time.Time {
	if e.Secret.IsZero() || !e.Certificate.IsZero() && e.Certificate.Before(e.Secret) {
		return e.Certificate
	}
	return e.Secret
}

func (e Ends) equal(other Ends) bool {
	return e.Secret.Equal(other.Secret) && e.Certificate.Equal(other.Certificate)
}

// learn is what is known after a result. A probe that went all the way to a
// valid verdict knows what there is to know, also that there is no end; one
// that stopped before adds what it came across and takes nothing away.
func (e Ends) learn(r probe.Result) Ends {
	found := Ends{Secret: r.Time(probe.FactExpires), Certificate: r.Time(probe.FactCertificateEnd)}
	if r.Verdict == probe.Valid {
		return found
	}
	if !found.Secret.IsZero() {
		e.Secret = found.Secret
	}
	if !found.Certificate.IsZero() {
		e.Certificate = found.Certificate
	}
	return e
}

// The attributes that hold it, in a credential's row and in a version's.
const (
	attrSecretEnd      = "ends"
	attrCertificateEnd = "tls_ends"
)

func (e Ends) encode(a store.Attributes) {
	a.SetTime(attrSecretEnd, e.Secret)
	a.SetTime(attrCertificateEnd, e.Certificate)
}

func decodeEnds(a store.Attributes) Ends {
	return Ends{Secret: a.Time(attrSecretEnd), Certificate: a.Time(attrCertificateEnd)}
}
