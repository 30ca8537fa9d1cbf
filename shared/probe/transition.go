package probe

import (
	"slices"
	"time"
)

// The outcome of a stage, and the one failure of an attempt, which is that of the
// lowest stage that failed. A driver may run several stages in one call and on
// several connections, so the end of a stage may concern another stage.
//
//	              ┌── ends well ─────────────► ok ◄───────────┐
//	              │                            │ ends again,   │ ends again, well:
//	              │                            ▼ in failure    │ the failure is forgotten
//	open ─────────┼── ends in failure ───────► failed ─────────┘
//	              │                            │ a lower stage fails, on
//	              │   a lower stage failed,    ▼ another connection
//	              └── or the failure is its ─► skipped
//
// transitions is the same as a table: how the stage ended, and where the failure
// of the attempt is recorded, seen from this stage.
var transitions = map[ending]map[position]transition{
	endedOK: {
		nowhere: {outcome: StageOK},
		below:   {outcome: StageOK},
		here:    {outcome: StageOK, effect: (*Attempt).forget},
		above:   {outcome: StageOK},
	},
	endedFailed: {
		nowhere: {outcome: StageFailed, effect: (*Attempt).fail},
		below:   {outcome: StageSkipped, effect: (*Attempt).charge},
		here:    {outcome: StageFailed, effect: (*Attempt).fail},
		above:   {outcome: StageFailed, effect: (*Attempt).supplant},
	},
	endedForLower: {
		nowhere: {outcome: StageSkipped, descend: true},
		below:   {outcome: StageSkipped, effect: (*Attempt).charge},
		here:    {outcome: StageSkipped, descend: true},
		above:   {outcome: StageSkipped, descend: true},
	},
}

// ending is how a stage ended.
type ending int

const (
	endedOK       ending = iota
	endedFailed          // with a failure of its own
	endedForLower        // with a failure that belongs to a lower stage
)

// position is where the failure of the attempt is recorded.
type position int

const (
	nowhere position = iota
	below            // at a lower stage
	here             // at the stage that ends
	above            // at a higher stage, of another connection
)

// transition is the outcome of the stage, and its effect on others.
type transition struct {
	outcome Outcome
	effect  func(a *Attempt, name string, took time.Duration, f *Finding)
	descend bool // the failure is then recorded at the lower stage that it belongs to
}

// record notes how a stage ended; the lock is held. If a stage ends again (a second
// dial), the times add up and the last outcome counts.
func (a *Attempt) record(name string, took time.Duration, f *Finding) {
	t := transitions[ended(name, f)][a.failurePosition(name)]
	s := a.stages[name]
	s.Name, s.Outcome, s.Message = name, t.outcome, ""
	switch t.outcome {
	case StageOK:
		s.Message = stageOK[name]
	case StageFailed:
		s.Message = f.text()
	}
	a.stages[name] = s
	if t.outcome != StageSkipped {
		a.spend(name, took)
	}
	switch {
	case t.descend:
		a.record(f.home(), took, f)
	case t.effect != nil:
		t.effect(a, name, took, f)
	}
}

func ended(name string, f *Finding) ending {
	switch {
	case f == nil:
		return endedOK
	case before(f.home(), name):
		return endedForLower
	}
	return endedFailed
}

func (a *Attempt) failurePosition(name string) position {
	switch {
	case a.failure == nil:
		return nowhere
	case a.failedAt == name:
		return here
	case before(a.failedAt, name):
		return below
	}
	return above
}

// forget removes the failure of the attempt.
func (a *Attempt) forget(string, time.Duration, *Finding) { a.failure, a.failedAt = nil, "" }

// fail makes the failure of this stage that of the attempt.
func (a *Attempt) fail(name string, _ time.Duration, f *Finding) { a.failure, a.failedAt = f, name }

// supplant does so in place of the failure of a higher stage.
func (a *Attempt) supplant(name string, took time.Duration, f *Finding) {
	higher := a.stages[a.failedAt]
	higher.Outcome, higher.Message = StageSkipped, ""
	a.stages[a.failedAt] = higher
	a.fail(name, took, f)
}

// charge adds the time of a stage that was not reached to the lower one that failed.
func (a *Attempt) charge(_ string, took time.Duration, _ *Finding) { a.spend(a.failedAt, took) }

// spend adds to a stage's time; the lock is held.
func (a *Attempt) spend(name string, took time.Duration) {
	s := a.stages[name]
	s.Millis += took.Milliseconds()
	a.stages[name] = s
}

// home is the stage to which a code belongs, whichever stage reports it; Access, the
// last, for codes that any stage may report.
func (f Finding) home() string {
	switch f.Code {
	case CodeDNSNotFound, CodeDNSTimeout:
		return DNS
	case CodeTCPRefused, CodeTCPTimeout:
		return TCP
	case CodeTLSUntrusted, CodeTLSNameMismatch, CodeTLSExpired, CodeTLSUnsupported:
		return TLS
	case CodeProtocolMismatch:
		return Protocol
	}
	return Access
}

func before(a, b string) bool { return slices.Index(stageOrder, a) < slices.Index(stageOrder, b) }
