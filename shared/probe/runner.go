// Package probe finds out whether a credential works against the real system,
// and says what is wrong when it does not: stages, verdicts, codes and their
// words. A Prober knows one family of systems; the Runner gives it a bounded
// attempt and answers in time whatever the system does.
package probe

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"credence/shared/probe/netguard"
)

// Prober tries the credentials of one family of systems. One value serves many
// probes at once.
type Prober interface {
	// Ports are the ports on which such systems are probed; the guard refuses
	// others.
	Ports() netguard.Ports
	// Probe signs in once with the settings of the attempt and makes the
	// smallest request that proves them. It reaches the system only through
	// the attempt, turns a driver's own retries off, and presents the secret
	// within the stage Auth: a verdict without that stage does not count. It
	// ends when ctx does; what it returns later is dropped. It may panic.
	Probe(ctx context.Context, a *Attempt) Finding
}

// Budget is what a probe takes at most, whatever the system does.
const Budget = 7 * time.Second

// Config is what a Runner needs besides probers and guard; its zero value is
// complete.
type Config struct {
	Budget time.Duration    // of a whole probe; 0 = Budget
	Now    func() time.Time // nil = time.Now
	Log    *slog.Logger     // for what is our own fault; nil = nowhere
	// Egress are the addresses that this service connects from, if they are
	// fixed: named where a firewall at the other end may be in the way.
	Egress []netip.Prefix
}

// Runner runs probes. It may be used by many goroutines at once.
type Runner struct {
	probers map[string]Prober
	guard   *netguard.Guard
	config  Config
}

// NewRunner makes a runner of the probers by credentials_type.
func NewRunner(probers map[string]Prober, guard *netguard.Guard, config Config) *Runner {
	if config.Budget <= 0 {
		config.Budget = Budget
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{probers: maps.Clone(probers), guard: guard, config: config}
}

// Probes reports whether credentials of this type can be probed: what the
// schedule leaves out, it leaves out for this reason.
func (r *Runner) Probes(typeName string) bool { _, ok := r.probers[typeName]; return ok }

// Run probes a credential and always answers: within the budget, or sooner if
// ctx ends. A type without a prober, and a target behind an SSH tunnel, are
// answered without dialling. Every text of the result is ours.
func (r *Runner) Run(ctx context.Context, typeName string, settings Settings) Result {
	return r.Recheck(ctx, typeName, settings, "")
}

// Recheck is Run for a version that is proven already: where a prober compares
// answers, it compares with the rejection that Result.Rejection gave then, and
// sends no counter-example. "" is Run.
func (r *Runner) Recheck(ctx context.Context, typeName string, settings Settings, rejection string) Result {
	prober, ok := r.probers[typeName]
	if !ok {
		return NotRun(CodeNoProbeForType, typeName, r.config.Now())
	}
	return r.attempt(ctx, subject{typeName, settings, rejection}, prober.Ports(), (*Attempt).honest, prober.Probe)
}

// subject is the credential of an attempt.
type subject struct {
	typeName  string
	settings  Settings
	rejection string
}

// attempt runs do within the budget and concludes what it finds, which sound
// holds against the stages.
func (r *Runner) attempt(ctx context.Context, s subject, ports netguard.Ports, sound func(*Attempt, Finding) Finding, do func(context.Context, *Attempt) Finding) Result {
	if tunnel, _ := s.settings.Bool("has_ssh_tunnel"); tunnel {
		return NotRun(CodeTunnelUnsupported, s.typeName, r.config.Now())
	}
	// A prober that heeds its context ends first, so that its stages tell
	// where the time went; one that does not is left behind.
	began := time.Now()
	whole, cancelWhole := context.WithDeadline(ctx, began.Add(r.config.Budget*49/50))
	defer cancelWhole()
	inner, cancelInner := context.WithDeadline(whole, began.Add(r.config.Budget*47/50))
	defer cancelInner()

	deadline, _ := inner.Deadline()
	a := &Attempt{
		settings: s.settings, rejection: s.rejection, dialer: r.guard.Dialer(deadline, ports), sound: sound,
		budget: r.config.Budget, now: time.Now, log: r.config.Log.With("connection_type", s.typeName),
		stages: map[string]Stage{}, facts: map[string]string{}, hostField: "host", portField: "port",
	}
	defer a.dialer.Close()
	done := make(chan Finding, 1)
	go func() { done <- a.contain(inner, do) }()
	var found Finding
	select {
	case found = <-done:
	case <-whole.Done():
		found = Found(CodeProbeTimeout, "")
	}
	return a.conclude(found, s.typeName, r.config)
}

// contain runs the prober and turns its panic into a finding. The value of a
// panic may hold a secret, so only its type is logged.
func (a *Attempt) contain(ctx context.Context, do func(context.Context, *Attempt) Finding) (f Finding) {
	defer func() {
		if v := recover(); v != nil {
			a.log.Error("a prober panicked", "panic_type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			f = Found(CodeProbeInternal, "")
		}
	}()
	return do(ctx, a)
}

// NotRun is the result of a probe that was answered without an attempt: no
// prober for the type, a secret that does not open.
func NotRun(code Code, typeName string, at time.Time) Result {
	f := Found(code, "")
	return Result{
		Verdict: code.Verdict(), Code: code, Message: f.text(), Status: f.wireStatus(),
		Retryable: code.Retryable(), Stop: code.Stop(), Stages: skipped("Not reached."),
		CheckedAt: at, ConnectionType: typeName, Facts: map[string]string{},
	}
}

func skipped(message string) []Stage {
	stages := make([]Stage, len(stageOrder))
	for i, name := range stageOrder {
		stages[i] = Stage{Name: name, Outcome: StageSkipped, Message: message}
	}
	return stages
}

// conclude seals the attempt and renders its result.
func (a *Attempt) conclude(f Finding, typeName string, config Config) Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	f = a.abandon(f)
	a.sealed = true
	f = a.sound(a, f)
	result := NotRun(f.Code, typeName, config.Now())
	result.Message, result.Pointer, result.Status = f.text()+egress(f.Code, config.Egress), f.pointer(a.settings), f.wireStatus()
	result.Warnings, result.Facts, result.Rejection = a.warned, a.facts, a.rejected
	reached := f.Code == CodeOK // a stage before one that was reached was not needed
	for i, name := range slices.Backward(stageOrder[:]) {
		switch s, ok := a.stages[name]; {
		case ok && s.Outcome != StageSkipped:
			result.Stages[i], reached = s, true
		case reached:
			result.Stages[i].Message = "Not needed."
		}
	}
	return result
}

// abandon closes the stages that a prober left behind still has open: the
// innermost is the one in which the time ran out. Of a failed stage that was
// recorded before, its own finding says more than the time.
func (a *Attempt) abandon(f Finding) Finding {
	if len(a.open) == 0 {
		return f
	}
	last := a.open[len(a.open)-1]
	late := classify(last.name, context.DeadlineExceeded, a.hostField, a.portField)
	if a.failure != nil && before(a.failedAt, last.name) {
		late = *a.failure
	}
	a.record(last.name, a.now().Sub(last.began), &late)
	a.open = nil
	return late
}

// honest refuses a verdict that the stages do not bear out: valid only if the
// secret was presented and accepted, invalid only if it was presented and
// refused.
func (a *Attempt) honest(f Finding) Finding {
	auth := a.stages[Auth].Outcome
	switch v := f.Code.Verdict(); {
	case !f.Code.Known(),
		v == Valid && auth != StageOK,
		v == Invalid && auth != StageFailed:
		a.log.Error("a prober's verdict does not follow from its stages", "code", string(f.Code), "auth", string(auth))
		return Found(CodeProbeInternal, "")
	}
	if f.Code == CodeProbeInternal {
		a.log.Error("a prober met an error it does not know")
	}
	return f
}

// egress names our own addresses where a firewall or allow-list of the target
// is the likely cause.
func egress(code Code, from []netip.Prefix) string {
	if len(from) == 0 || code != CodeTCPTimeout && code != CodeTCPReset && code != CodeSourceIPDenied {
		return ""
	}
	texts := make([]string, len(from))
	for i, p := range from {
		texts[i] = p.String()
		if p.IsSingleIP() {
			texts[i] = p.Addr().String()
		}
	}
	return " This service connects from " + strings.Join(texts, ", ") + "."
}
