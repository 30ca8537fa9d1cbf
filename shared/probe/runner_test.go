package probe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
	"credence/shared/probe/probetest"
	"credence/shared/secret"
)

// plain are settings of a test's own prober: texts only.
type plain map[string]string

func (p plain) Text(name string) string         { return p[name] }
func (p plain) Secret(name string) secret.Value { return secret.NewText(p[name]) }
func (p plain) Int(string) (int64, bool)        { return 0, false }
func (p plain) Bool(name string) (bool, bool)   { v, ok := p[name]; return v == "true", ok }
func (p plain) Has(name string) bool            { return p[name] != "" }
func (p plain) Method() string                  { return "" }

// prober is a prober made of a function.
type prober func(ctx context.Context, a *probe.Attempt) probe.Finding

func (prober) Ports() netguard.Ports { return netguard.AnyPort }

func (p prober) Probe(ctx context.Context, a *probe.Attempt) probe.Finding { return p(ctx, a) }

const short = 400 * time.Millisecond

func run(t *testing.T, config probe.Config, p prober) probe.Result {
	t.Helper()
	if config.Budget == 0 {
		config.Budget = short
	}
	r := probe.NewRunner(map[string]probe.Prober{"x": p}, probetest.Loopback(t, nil), config)
	began := time.Now()
	result := r.Run(t.Context(), "x", plain{})
	if took := time.Since(began); took > config.Budget+probetest.Slack {
		t.Errorf("the probe took %v of %v", took, config.Budget)
	}
	probetest.Sound(t, result)
	return result
}

func expect(t *testing.T, r probe.Result, code probe.Code, stages string) {
	t.Helper()
	if r.Code != code {
		t.Errorf("got %s, want %s", r.Code, code)
	}
	var got []string
	for _, s := range r.Stages {
		if s.Outcome != probe.StageSkipped {
			got = append(got, s.Name+" "+string(s.Outcome))
		}
	}
	if strings.Join(got, ", ") != stages {
		t.Errorf("%s: stages %q, want %q", r.Code, strings.Join(got, ", "), stages)
	}
}

func TestRunAnswersWithoutAttempt(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	called := false
	r := probe.NewRunner(map[string]probe.Prober{"x": prober(func(context.Context, *probe.Attempt) probe.Finding {
		called = true
		return probe.Finding{}
	})}, probetest.Loopback(t, nil), probe.Config{Now: func() time.Time { return at }})
	for _, row := range []struct {
		typeName string
		settings plain
		want     probe.Code
	}{
		{"no_such_type", plain{}, probe.CodeNoProbeForType},
		{"x", plain{"has_ssh_tunnel": "true", "host": "127.0.0.1"}, probe.CodeTunnelUnsupported},
	} {
		got := r.Run(t.Context(), row.typeName, row.settings)
		probetest.Sound(t, got)
		expect(t, got, row.want, "")
		if !got.CheckedAt.Equal(at) || got.ConnectionType != row.typeName || called {
			t.Errorf("%s: at %v, type %s, prober called %v", row.want, got.CheckedAt, got.ConnectionType, called)
		}
	}
	if r.Run(t.Context(), "x", plain{"has_ssh_tunnel": "false"}); !called {
		t.Error("has_ssh_tunnel false kept the prober from being called")
	}
	if !r.Probes("x") || r.Probes("no_such_type") {
		t.Error("Probes does not tell what the runner probes")
	}
}

// A driver that ignores its context is left behind at the deadline; what it
// does later changes nothing. The usual budget, whole.
func TestRunAnswersAtTheDeadline(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	var late sync.WaitGroup
	late.Add(1)
	got := run(t, probe.Config{Budget: probe.Budget}, func(_ context.Context, a *probe.Attempt) probe.Finding {
		defer late.Done()
		_ = a.Stage(probe.Auth, func() error { <-let; return nil })
		a.Fact("late", "1")
		a.Warn(probe.WarnOverPrivileged, "", "")
		_, err := a.DialContext(context.Background(), "tcp", "127.0.0.1:1")
		if err == nil {
			t.Error("an attempt that was left behind could still dial")
		}
		return probe.Found(probe.CodeOK, "")
	})
	close(let)
	late.Wait()
	expect(t, got, probe.CodeProbeTimeout, "auth failed")
	if len(got.Facts)+len(got.Warnings) != 0 {
		t.Errorf("facts %v and warnings %v came late and stayed", got.Facts, got.Warnings)
	}
	if ms := probetest.Stage(got, "auth").Millis; ms < 6000 {
		t.Errorf("the stage took %d ms, by its own account", ms)
	}
}

// Whoever is left behind keeps no connection.
func TestRunClosesWhatWasDialled(t *testing.T) {
	closed, let := make(chan struct{}), make(chan struct{})
	defer close(let)
	server := probetest.Serve(t, func(_ context.Context, c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		close(closed)
	})
	run(t, probe.Config{}, func(ctx context.Context, a *probe.Attempt) probe.Finding {
		if _, err := a.DialContext(ctx, "tcp", server.Addr); err != nil {
			t.Error(err)
		}
		return a.Explain(a.Stage(probe.Auth, func() error { <-let; return nil }))
	})
	select {
	case <-closed:
	case <-time.After(probetest.Slack):
		t.Error("the connection is still open after the answer")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := probe.NewRunner(map[string]probe.Prober{"x": prober(func(context.Context, *probe.Attempt) probe.Finding {
		cancel()
		select {}
	})}, probetest.Loopback(t, nil), probe.Config{})
	got := r.Run(ctx, "x", plain{})
	probetest.Sound(t, got)
	expect(t, got, probe.CodeProbeTimeout, "")
}

func TestRunRecoversPanics(t *testing.T) {
	var log bytes.Buffer
	config := probe.Config{Log: slog.New(slog.NewJSONHandler(&log, nil))}
	for name, p := range map[string]prober{
		"outside": func(context.Context, *probe.Attempt) probe.Finding { panic(probetest.Foreign) },
		"inside": func(_ context.Context, a *probe.Attempt) probe.Finding {
			_ = a.Stage(probe.Auth, func() error { panic(errors.New(probetest.Foreign)) })
			return probe.Found(probe.CodeOK, "")
		},
	} {
		got := run(t, config, p)
		if got.Code != probe.CodeProbeInternal || got.Verdict != probe.Unknown {
			t.Errorf("%s: %s", name, got.Code)
		}
	}
	if strings.Contains(log.String(), probetest.Foreign) || strings.Count(log.String(), "a prober panicked") != 2 {
		t.Error("the log must tell of both panics and hold neither value")
	}
}

// A verdict that the stages do not bear out is our fault, never a verdict.
func TestVerdictsNeedTheirStage(t *testing.T) {
	stage := func(name string, err error, then probe.Code) prober {
		return func(_ context.Context, a *probe.Attempt) probe.Finding {
			_ = a.Stage(name, func() error { return err })
			return probe.Found(then, "")
		}
	}
	rejected := probe.Found(probe.CodeAuthRejected, "")
	for name, row := range map[string]struct {
		p    prober
		want probe.Code
	}{
		"nothing":                       {func(context.Context, *probe.Attempt) probe.Finding { return probe.Finding{} }, probe.CodeProbeInternal},
		"an unknown code":               {stage(probe.Auth, nil, "NONSENSE"), probe.CodeProbeInternal},
		"a warning as a verdict":        {stage(probe.Auth, nil, probe.WarnScopeMissing), probe.CodeProbeInternal},
		"valid, nothing presented":      {stage(probe.Protocol, nil, probe.CodeOK), probe.CodeProbeInternal},
		"valid, refused":                {stage(probe.Auth, rejected, probe.CodeOK), probe.CodeProbeInternal},
		"valid":                         {stage(probe.Auth, nil, probe.CodeOK), probe.CodeOK},
		"invalid, nothing presented":    {stage(probe.Protocol, rejected, probe.CodeAuthRejected), probe.CodeProbeInternal},
		"invalid, accepted":             {stage(probe.Auth, nil, probe.CodeAuthRejected), probe.CodeProbeInternal},
		"invalid":                       {stage(probe.Auth, rejected, probe.CodeAuthRejected), probe.CodeAuthRejected},
		"unknown needs no presentation": {stage(probe.Protocol, probe.Found(probe.CodeRateLimited, ""), probe.CodeRateLimited), probe.CodeRateLimited},
	} {
		r := probe.NewRunner(map[string]probe.Prober{"x": row.p}, probetest.Loopback(t, nil), probe.Config{})
		if got := r.Run(t.Context(), "x", plain{}); got.Code != row.want || got.Verdict != row.want.Verdict() {
			t.Errorf("%s: %s, %s; want %s", name, got.Code, got.Verdict, row.want)
		}
	}
}

// A driver that dials within its own call: the stage that failed is the lower
// one, whatever the driver makes of the error; a later dial that succeeds
// takes the failure back.
func TestStagesWithinStages(t *testing.T) {
	up := probetest.Serve(t, probetest.Hang)
	down := probetest.ClosedPort(t)
	driver := func(addresses ...string) prober {
		return func(ctx context.Context, a *probe.Attempt) probe.Finding {
			a.Locate("bootstrap", "bootstrap")
			err := a.Stage(probe.Auth, func() error {
				err := errors.New("no address")
				for _, address := range addresses {
					if _, err = a.DialContext(ctx, "tcp", address); err == nil {
						return nil
					}
				}
				return errors.New("driver: hiding: " + err.Error())
			})
			if err != nil {
				return a.Explain(errors.New("hidden again"))
			}
			return probe.Found(probe.CodeOK, "")
		}
	}
	got := run(t, probe.Config{}, driver(down))
	expect(t, got, probe.CodeTCPRefused, "policy ok, tcp failed")
	if got.Pointer != "/credentials/bootstrap" {
		t.Errorf("pointer %q", got.Pointer)
	}
	expect(t, run(t, probe.Config{}, driver(down, up.Addr)), probe.CodeOK, "policy ok, tcp ok, auth ok")
	expect(t, run(t, probe.Config{}, driver("169.254.169.254:80")), probe.CodeDestinationBlocked, "policy failed")
	expect(t, run(t, probe.Config{}, driver("10.255.255.1:80")), probe.CodeDestinationBlocked, "policy failed")
}

// When time runs out inside a driver's own goroutine, the stage that is open
// there is the one that failed.
func TestTimeRunsOutBelow(t *testing.T) {
	got := run(t, probe.Config{}, func(ctx context.Context, a *probe.Attempt) probe.Finding {
		return a.Explain(a.Stage(probe.Auth, func() error {
			began := make(chan struct{})
			go func() {
				_ = a.Stage(probe.TLS, func() error { close(began); <-ctx.Done(); time.Sleep(short); return nil })
			}()
			<-began
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		}))
	})
	expect(t, got, probe.CodeProbeTimeout, "tls failed")
}

// Where a driver met a fault of a lower stage inside its own call, the time of
// that call is the lower stage's: it stands where it went.
func TestTimeGoesWhereTheFaultIs(t *testing.T) {
	const wait = 50 * time.Millisecond
	mismatch := probe.Found(probe.CodeProtocolMismatch, "")
	for name, fail := range map[string]func(a *probe.Attempt) error{
		"told by the code":  func(*probe.Attempt) error { return mismatch },
		"told by the stage": func(a *probe.Attempt) error { return a.Stage(probe.Protocol, func() error { return io.EOF }) },
	} {
		got := run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
			return a.Explain(a.Stage(probe.Auth, func() error {
				time.Sleep(wait)
				return fail(a)
			}))
		})
		protocol, auth := probetest.Stage(got, probe.Protocol), probetest.Stage(got, probe.Auth)
		if protocol.Outcome != probe.StageFailed || protocol.Millis < wait.Milliseconds() || auth.Outcome != probe.StageSkipped || auth.Millis != 0 {
			t.Errorf("%s: %+v and %+v", name, protocol, auth)
		}
	}
}

// sent are settings of which one came by another name.
type sent struct{ plain }

func (sent) SentAs(name string) string {
	if name == "database_name" {
		return "database"
	}
	return name
}

// Pointers lead to what was sent, not to what we call it.
func TestPointersNameWhatWasSent(t *testing.T) {
	for _, row := range []struct{ failed, warned, wantFailed, wantWarned string }{
		{"database_name", "host", "/credentials/database", "/credentials/host"},
		{"password", "database_name", "/credentials/password", "/credentials/database"},
		{"", "", "", ""},
	} {
		r := probe.NewRunner(map[string]probe.Prober{"x": prober(func(_ context.Context, a *probe.Attempt) probe.Finding {
			a.Warn(probe.WarnOverPrivileged, probe.Field(row.warned), "")
			return a.Explain(a.Stage(probe.Auth, func() error { return probe.Found(probe.CodeAuthRejected, "").At(probe.Field(row.failed)) }))
		})}, probetest.Loopback(t, nil), probe.Config{})
		got := r.Run(t.Context(), "x", sent{})
		if got.Pointer != row.wantFailed || len(got.Warnings) != 1 || got.Warnings[0].Pointer != row.wantWarned {
			t.Errorf("at %q with %+v, want %q and %q", got.Pointer, got.Warnings, row.wantFailed, row.wantWarned)
		}
	}
}

func TestExplain(t *testing.T) {
	const words = probetest.Foreign
	for name, row := range map[string]struct {
		stage string
		err   error
		want  probe.Code
	}{
		"not found":     {probe.DNS, &net.DNSError{Err: words, Name: words, IsNotFound: true}, probe.CodeDNSNotFound},
		"dns time-out":  {probe.DNS, &net.DNSError{Err: words, IsTimeout: true}, probe.CodeDNSTimeout},
		"dns failure":   {probe.DNS, &net.DNSError{Err: words, IsTemporary: true}, probe.CodeDNSTimeout},
		"dns deadline":  {probe.DNS, context.DeadlineExceeded, probe.CodeDNSTimeout},
		"refused":       {probe.TCP, fmt.Errorf("%s: %w", words, syscall.ECONNREFUSED), probe.CodeTCPRefused},
		"no route":      {probe.TCP, syscall.EHOSTUNREACH, probe.CodeTCPTimeout},
		"tcp deadline":  {probe.TCP, context.DeadlineExceeded, probe.CodeTCPTimeout},
		"tls deadline":  {probe.TLS, context.DeadlineExceeded, probe.CodeProbeTimeout},
		"auth deadline": {probe.Auth, context.DeadlineExceeded, probe.CodeProbeTimeout},
		"reset":         {probe.Auth, syscall.ECONNRESET, probe.CodeTCPReset},
		"end":           {probe.Protocol, io.EOF, probe.CodeTCPReset},
		"cut off":       {probe.Auth, io.ErrUnexpectedEOF, probe.CodeTCPReset},
		"too much":      {probe.Protocol, fmt.Errorf("%w", netguard.ErrReadLimit), probe.CodeProtocolMismatch},
		"alert":         {probe.Auth, &net.OpError{Op: "remote error", Err: errors.New(words)}, probe.CodeTLSUnsupported},
		"driver's tls":  {probe.Auth, errors.New("driver: tls: " + words), probe.CodeTLSUnsupported},
		"odd tls":       {probe.TLS, errors.New(words), probe.CodeTLSUnsupported},
		"odd":           {probe.Auth, errors.New(words), probe.CodeProtocolMismatch},
		"odd, early":    {probe.Policy, errors.New(words), probe.CodeProbeInternal},
		"a finding":     {probe.Auth, fmt.Errorf("%s: %w", words, probe.Found(probe.CodeAuthLocked, "")), probe.CodeAuthLocked},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
				err := a.Stage(row.stage, func() error { return row.err })
				if strings.Contains(err.Error(), words) {
					t.Error("the error of a stage holds the driver's words")
				}
				return a.Explain(err)
			})
			if got.Code != row.want {
				t.Errorf("got %s, want %s", got.Code, row.want)
			}
		})
	}
}

// A connection that breaks before the sign-in points at the port, which may be
// another system's; one that breaks later points nowhere.
func TestAResetPointsAtThePort(t *testing.T) {
	for stage, want := range map[string]string{probe.TLS: "/credentials/port", probe.Protocol: "/credentials/port", probe.Auth: "", probe.Access: ""} {
		got := run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
			return a.Explain(a.Stage(stage, func() error { return io.EOF }))
		})
		if got.Code != probe.CodeTCPReset || got.Pointer != want {
			t.Errorf("in %s: %s at %q, want it at %q", stage, got.Code, got.Pointer, want)
		}
	}
}

func TestMessagesNameTheEgress(t *testing.T) {
	config := probe.Config{Egress: []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("203.0.113.0/28")}}
	for code, named := range map[probe.Code]bool{probe.CodeTCPTimeout: true, probe.CodeSourceIPDenied: true, probe.CodeTCPReset: true, probe.CodeTCPRefused: false} {
		got := run(t, config, func(_ context.Context, a *probe.Attempt) probe.Finding {
			return a.Explain(a.Stage(probe.TCP, func() error { return probe.Found(code, "") }))
		})
		if strings.Contains(got.Message, "198.51.100.7, 203.0.113.0/28.") != named {
			t.Errorf("%s: %q", code, got.Message)
		}
	}
}

func TestWireStatus(t *testing.T) {
	for target, want := range map[int]int{0: 403, 401: 403, 403: 403, 400: 400, 404: 404, 407: 403, 408: 403, 422: 422, 425: 403, 429: 403, 451: 451, 500: 403, 503: 403, 200: 403, 302: 403} {
		got := run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
			return a.Explain(a.Stage(probe.Auth, func() error { return probe.Found(probe.CodeAuthRejected, "").Answered(target) }))
		})
		if got.Status != want {
			t.Errorf("a target's %d became %d, want %d", target, got.Status, want)
		}
	}
}

func TestFactsHoldNoProse(t *testing.T) {
	got := run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
		for name, value := range map[string]string{"a": "15.4 (Debian)", "b": "", "c": "a\nb", "d": strings.Repeat("x", 65), "e": `"`, "f": "é"} {
			_ = name
			a.Fact("bad", value)
		}
		a.Fact("server_version", "15.4")
		return a.Explain(a.Stage(probe.Auth, func() error { return probe.Found(probe.CodeRateLimited, "") }))
	})
	if len(got.Facts) != 1 || got.Facts["server_version"] != "15.4" {
		t.Errorf("facts %v", got.Facts)
	}
}

// Of connections side by side, each failing in a stage of its own, the lowest
// stage stands failed, whichever was first.
func TestConnectionsSideBySide(t *testing.T) {
	reset, refused := probe.Found(probe.CodeTCPReset, ""), probe.Found(probe.CodeTCPRefused, "")
	for _, order := range [][2]string{{probe.Protocol, probe.TCP}, {probe.TCP, probe.Protocol}} {
		got := run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
			return a.Explain(a.Stage(probe.Access, func() error {
				for _, name := range order {
					_ = a.Stage(name, func() error { return map[string]error{probe.Protocol: reset, probe.TCP: refused}[name] })
				}
				return reset
			}))
		})
		expect(t, got, probe.CodeTCPRefused, "tcp failed")
	}
}

// A connection that another one's failure finds while it is being made has not
// failed itself.
func TestAFailureLeavesOtherConnectionsAlone(t *testing.T) {
	got := run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
		dialling, failed, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_ = a.Stage(probe.TCP, func() error { close(dialling); <-failed; return nil })
		}()
		<-dialling
		err := a.Stage(probe.Protocol, func() error { return io.EOF })
		close(failed)
		<-done
		return a.Explain(err)
	})
	expect(t, got, probe.CodeTCPReset, "tcp ok, protocol failed")
}
