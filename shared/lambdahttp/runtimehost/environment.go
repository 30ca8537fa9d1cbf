//go:build unix

package runtimehost

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

const unhandled = "Unhandled" // the only value that Lambda gives a custom runtime

// environment is one process with its own Runtime API. One goroutine at a time
// drives it (boot, invoke, kill); the runtime's calls come beside that.
type environment struct {
	server      *http.Server
	process     *exec.Cmd
	log         *capture
	initialised time.Duration

	ready    chan struct{} // the runtime asks for its next invocation
	next     chan *invocation
	initFail chan []byte   // what the runtime posted to init/error
	exited   chan struct{} // closed when the process is gone, after exitErr is set
	exitErr  error
	killed   chan struct{} // closed by kill
	killOnce sync.Once

	mu      sync.Mutex
	current *invocation // delivered and not yet answered
	polling bool        // the runtime has come back for more
}

// invocation is one event on its way through the runtime.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan answer // takes one
}

type answer struct {
	payload []byte
	failed  bool
}

// errorDocument is what Lambda returns for a function that failed.
type errorDocument struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

func document(kind, format string, args ...any) []byte {
	out, err := json.Marshal(errorDocument{Type: kind, Message: fmt.Sprintf(format, args...)})
	if err != nil {
		return []byte(`{"errorType":"Runtime.Unknown"}`)
	}
	return out
}

// boot starts a process and waits for its first call of next. The second
// result is the error document if it does not come to that; the environment
// must be dropped then, as always when it is of no more use.
func (f *Function) boot() (*environment, []byte) {
	env := &environment{
		ready: make(chan struct{}, 1), next: make(chan *invocation), initFail: make(chan []byte, 1),
		exited: make(chan struct{}), killed: make(chan struct{}),
	}
	start := time.Now()
	if err := f.launch(env); err != nil {
		env.exitErr = err
		close(env.exited)
		return env, document("Runtime.InvalidEntrypoint", "Error: the runtime could not be started")
	}
	limit := time.NewTimer(initLimit)
	defer limit.Stop()
	select {
	case <-env.ready:
		env.initialised = time.Since(start)
		return env, nil
	case fault := <-env.initFail:
		return env, fault
	case <-env.exited:
		select {
		case fault := <-env.initFail: // it said why before it ended
			return env, fault
		default:
		}
		return env, exitDocument("", env.exitErr)
	case <-limit.C:
		return env, document("Sandbox.Timedout", "Error: Init timed out after %.2f seconds", initLimit.Seconds())
	case <-f.ctx.Done():
		return env, document("Sandbox.Closed", "Error: the environment was shut down")
	}
}

// launch opens the listener, then starts the process that is told of it.
func (f *Function) launch(env *environment) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("opening the runtime API: %w", err)
	}
	env.server = &http.Server{Handler: env.api(), ReadHeaderTimeout: 10 * time.Second}
	f.wg.Add(1)
	go func() {
		defer f.wg.Done()
		_ = env.server.Serve(listener) // until kill closes it
	}()
	env.log, err = newCapture()
	if err != nil {
		return err
	}
	env.process = exec.Command(f.cfg.Binary) //nolint:gosec // running what it is given is what this package is for
	env.process.Env = environ(lambdaEnv(listener.Addr().String(), f.cfg.MemoryMB), f.cfg.Env)
	env.process.Stdout, env.process.Stderr = env.log.w, env.log.w
	env.process.SysProcAttr = childAttr()

	started := make(chan error, 1)
	f.wg.Add(1)
	go func() {
		defer f.wg.Done()
		// The kernel ties a child's death signal to the thread that started it
		// (prctl(2), PR_SET_PDEATHSIG), so that thread stays until the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := env.process.Start()
		env.log.closeWriter()
		started <- err
		if err == nil {
			env.exitErr = env.process.Wait()
			close(env.exited)
		}
	}()
	return <-started
}

func environ(sets ...map[string]string) []string {
	var out []string
	for _, set := range sets {
		for name, value := range set {
			out = append(out, name+"="+value)
		}
	}
	return out
}

// invoke hands one event to the runtime, which is known to wait for it, and
// fills in the result. It returns when the runtime asks for the next one, or
// cannot any more.
func (e *environment) invoke(ctx context.Context, timeout time.Duration, payload []byte, result *Result) {
	start := time.Now()
	inv := &invocation{id: requestID(), payload: payload, deadline: start.Add(timeout), answer: make(chan answer, 1)}
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	defer func() { result.Duration = time.Since(start) }()

	fail := func(doc []byte) { result.Payload, result.FunctionError = doc, unhandled }
	select {
	case e.next <- inv:
	case <-e.exited:
		fail(exitDocument(inv.id, e.exitErr))
		return
	case <-ctx.Done():
		fail(document("Sandbox.Closed", "RequestId: %s Error: the environment was shut down", inv.id))
		return
	}
	answered := false
	take := func(a answer) {
		answered = true
		result.Payload = a.payload
		if a.failed {
			result.FunctionError = unhandled
		}
	}
	for {
		select {
		case a := <-inv.answer:
			take(a)
		case <-e.ready:
			if !answered { // next implies that the answer was posted before
				take(<-inv.answer)
			}
			return
		case <-e.exited:
			select {
			case a := <-inv.answer:
				take(a)
			default:
			}
			if !answered {
				fail(exitDocument(inv.id, e.exitErr))
			}
			return
		case <-limit.C:
			// Lambda counts until next is called, so an answer already given
			// does not stand.
			result.TimedOut = true
			fail(document("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", inv.id, timeout.Seconds()))
			return
		case <-ctx.Done():
			fail(document("Sandbox.Closed", "RequestId: %s Error: the environment was shut down", inv.id))
			return
		}
	}
}

func exitDocument(id string, err error) []byte {
	prefix := ""
	if id != "" {
		prefix = "RequestId: " + id + " "
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return document("Runtime.ExitError", "%sError: Runtime exited with error: %s", prefix, exit.ProcessState)
	}
	return document("Runtime.ExitError", "%sError: Runtime exited without providing a reason", prefix)
}

// gone reports whether the process has ended.
func (e *environment) gone() bool {
	select {
	case <-e.exited:
		return true
	default:
		return false
	}
}

// reusable reports whether the runtime waits for its next invocation.
func (e *environment) reusable() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.polling && e.current == nil && !e.gone()
}

// kill ends the process by its id, waits until it is gone, and closes its
// listener. It may be called again.
func (e *environment) kill() {
	e.killOnce.Do(func() {
		close(e.killed)
		if e.process != nil && e.process.Process != nil && !e.gone() {
			_ = e.process.Process.Kill() // it may have ended just now
		}
		<-e.exited
		if e.server != nil {
			_ = e.server.Close()
		}
		if e.log != nil {
			e.log.close()
		}
	})
}

func (e *environment) logs() []byte {
	if e.log == nil {
		return nil
	}
	return e.log.take()
}

// requestID is a random UUID (RFC 9562, version 4), as Lambda's are.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
