package probe

import "time"

// Verdict is what a probe found out about a credential.
type Verdict string

// The verdicts. Unknown changes nothing that was known before.
const (
	Valid   Verdict = "valid"   // the system accepted the secret
	Invalid Verdict = "invalid" // the system refused it after it was presented
	Unknown Verdict = "unknown" // everything else
)

// Outcome is how one stage ended.
type Outcome string

// The outcomes.
const (
	StageOK      Outcome = "ok"
	StageFailed  Outcome = "failed"
	StageSkipped Outcome = "skipped"
)

// Stage is one step on the way to the verdict.
type Stage struct {
	Name    string // one of the stages of attempt.go
	Outcome Outcome
	Millis  int64
	Message string // one sentence, ours; never a server's or driver's words
}

// Warning is something to know about a credential that works.
type Warning struct {
	Code    Code
	Message string
	Pointer string
}

// Result is what a probe says. Every text in it is ours.
type Result struct {
	Verdict        Verdict
	Code           Code
	Message        string // what to do, in the user's words
	Pointer        string // the field to change, "/credentials/…"; "" for none
	Status         int    // on the wire: 200 valid; 403 or the target's own 4xx for invalid; 400 for unknown
	Retryable      bool   // the same probe may come out otherwise without a change
	Stop           bool   // the schedule pauses until the secret changes or a person's probe is valid
	Warnings       []Warning
	Stages         []Stage
	CheckedAt      time.Time
	ConnectionType string
	Facts          map[string]string // server_version, FactExpires, FactCertificateEnd …
	// Rejection is the class of answer by which the system rejected another
	// secret; "" where the prober compares no answers, or sent no
	// counter-example. Runner.Recheck takes it for later probes of the version.
	Rejection string
}

// The facts that are times, in RFC 3339: when the secret stops working, and
// when the certificate that the system showed does.
const (
	FactExpires        = "expires_at"
	FactCertificateEnd = "tls_not_after"
)

// Time reads a fact that is a time; zero where the probe did not find it.
func (r Result) Time(fact string) time.Time {
	at, err := time.Parse(time.RFC3339, r.Facts[fact])
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
