//go:build unix

// Package runtimehost runs a Lambda function's real bootstrap on one machine,
// without containers: a Runtime API for each execution environment, and in
// front of it the part of an API Gateway HTTP API that turns requests into
// events. It is for development and tests; it isolates nothing, limits no
// memory and does not freeze a process between invocations.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
package runtimehost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	maxPayload = 6_291_556 // bytes of a request or response, as Lambda counts them
	maxTimeout = 15 * time.Minute
	initLimit  = 10 * time.Second // until the first call of next
)

// Errors of Invoke: the function was not run.
var (
	// ErrThrottled means that every environment is busy. Lambda answers 429
	// TooManyRequestsException.
	ErrThrottled = errors.New("invoking the function: all its environments are busy")
	// ErrTooLarge means that the payload is above 6 MB. Lambda answers 413
	// RequestTooLargeException.
	ErrTooLarge = errors.New("invoking the function: the payload is larger than 6 MB")
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("invoking the function: it was closed")
)

// Config says what to run.
type Config struct {
	Binary          string            // the bootstrap
	Env             map[string]string // all of the environment but what Lambda itself sets
	Timeout         time.Duration     // of one invocation; up to 15 minutes
	MaxEnvironments int               // how many requests may run at once, at least 1
	MemoryMB        int               // only told to the function; 0 is 128
}

// Result is what an invocation came to.
type Result struct {
	Payload       []byte        // the function's answer, or the error document
	FunctionError string        // "Unhandled" if Payload is an error document, else ""
	TimedOut      bool          // FunctionError because it ran longer than Timeout
	Cold          bool          // a new environment was started for it
	InitDuration  time.Duration // from exec to the first call of next; 0 unless Cold
	Duration      time.Duration // from the event's delivery to the end, init not counted
	Log           []byte        // what the process wrote meanwhile, the last 256 KiB
}

// Function is a deployed function. Its methods may be called concurrently.
type Function struct {
	cfg Config
	ctx context.Context // ends when no environment may run any longer

	stop context.CancelFunc
	wg   sync.WaitGroup // invocations and processes

	mu     sync.Mutex
	closed bool
	live   int            // environments that exist
	idle   []*environment // the most recently used last
}

// Start checks cfg and returns a function without an environment: the first
// starts with the first Invoke. The end of ctx does what Close does, without
// waiting for it.
func Start(ctx context.Context, cfg Config) (*Function, error) {
	var faults []error
	if info, err := os.Stat(cfg.Binary); err != nil {
		faults = append(faults, err)
	} else if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		faults = append(faults, errors.New("the binary is not an executable file"))
	}
	if cfg.Timeout <= 0 || cfg.Timeout > maxTimeout {
		faults = append(faults, fmt.Errorf("the timeout must be above 0 and at most %v", maxTimeout))
	}
	if cfg.MaxEnvironments < 1 {
		faults = append(faults, errors.New("at least one environment must be allowed"))
	}
	for name := range cfg.Env {
		if _, reserved := lambdaEnv("", 0)[name]; reserved || name == "" || strings.ContainsAny(name, "=\x00") {
			faults = append(faults, fmt.Errorf("the variable %q cannot be set", name))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("starting the function: %w", err)
	}
	if cfg.MemoryMB == 0 {
		cfg.MemoryMB = 128
	}
	f := &Function{cfg: cfg}
	f.ctx, f.stop = context.WithCancel(ctx)
	context.AfterFunc(f.ctx, func() { _ = f.Close() })
	return f, nil
}

// Invoke runs the function once, in an idle environment or a new one, and
// waits until its environment is ready for the next or gone. A function that
// fails is no error of Invoke: it is a Result with FunctionError. When ctx
// ends first, its error is returned and the function runs on, as on Lambda.
func (f *Function) Invoke(ctx context.Context, payload []byte) (Result, error) {
	if len(payload) > maxPayload {
		return Result{}, ErrTooLarge
	}
	f.mu.Lock()
	env, err := f.take()
	if err == nil {
		f.wg.Add(1) // while closed is known to be false, so Close waits for it
	}
	f.mu.Unlock()
	if err != nil {
		return Result{}, err
	}
	done := make(chan Result, 1)
	go func() {
		defer f.wg.Done()
		done <- f.run(env, payload)
	}()
	select {
	case r := <-done:
		return r, nil
	case <-ctx.Done():
		return Result{}, fmt.Errorf("invoking the function: %w", context.Cause(ctx))
	}
}

// take reserves an environment; nil is one that has yet to be started. The
// caller holds mu.
func (f *Function) take() (*environment, error) {
	if f.closed || f.ctx.Err() != nil {
		return nil, ErrClosed
	}
	for len(f.idle) > 0 {
		env := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if !env.gone() {
			return env, nil
		}
		env.kill() // it ended by itself while idle; this closes its listener
		f.live--
	}
	if f.live == f.cfg.MaxEnvironments {
		return nil, ErrThrottled
	}
	f.live++
	return nil, nil
}

func (f *Function) run(env *environment, payload []byte) Result {
	var result Result
	if env == nil {
		started, fault := f.boot()
		if fault != nil {
			f.drop(started)
			log := started.logs()
			return Result{Payload: fault, FunctionError: unhandled, Cold: true, Log: log}
		}
		env = started
		result.Cold, result.InitDuration = true, env.initialised
	}
	env.invoke(f.ctx, f.cfg.Timeout, payload, &result)
	result.Log = env.logs() // before another invocation may have it
	f.mu.Lock()
	keep := env.reusable() && !f.closed
	if keep {
		f.idle = append(f.idle, env)
	}
	f.mu.Unlock()
	if !keep {
		f.drop(env)
		result.Log = append(result.Log, env.logs()...)
	}
	return result
}

// drop ends an environment for good and waits until its process is gone.
func (f *Function) drop(env *environment) {
	env.kill()
	f.mu.Lock()
	f.live--
	f.mu.Unlock()
}

// Close kills every environment, idle or not, and returns when no process and
// no listener is left. It may be called again.
func (f *Function) Close() error {
	f.mu.Lock()
	f.closed = true
	idle := f.idle
	f.idle = nil
	f.mu.Unlock()
	f.stop()
	for _, env := range idle {
		f.drop(env)
	}
	f.wg.Wait()
	return nil
}

// lambdaEnv is what Lambda sets for every function.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func lambdaEnv(api string, memoryMB int) map[string]string {
	return map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          api,
		"AWS_LAMBDA_FUNCTION_NAME":        functionName,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": fmt.Sprint(memoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"_HANDLER":                        "bootstrap",
		"TZ":                              ":UTC",
	}
}

const functionName = "function"
