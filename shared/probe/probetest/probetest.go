// Package probetest has what a prober is proven with: certificates of every
// kind, servers that misbehave, and the look at a result that every row of a
// prober's table takes.
package probetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
)

// Loopback makes a guard that reaches this machine.
func Loopback(t testing.TB, resolver netguard.Resolver) *netguard.Guard {
	t.Helper()
	g, err := netguard.New(netguard.Policy{Loopback: true, Resolver: resolver})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Server is a listener on 127.0.0.1.
type Server struct {
	Addr     string // host:port
	Port     string
	Accepted atomic.Int64
	Read     atomic.Int64 // bytes that arrived
}

// Serve starts a server that gives each connection to handle, in a goroutine
// of its own, and closes it afterwards; all end with the test.
func Serve(t testing.TB, handle func(ctx context.Context, c net.Conn)) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{Addr: listener.Addr().String()}
	_, s.Port, _ = net.SplitHostPort(s.Addr)
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
	})
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.Accepted.Add(1)
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			go func() {
				defer stop()
				defer func() { _ = c.Close() }()
				handle(ctx, counted{c, &s.Read})
			}()
		}
	}()
	return s
}

type counted struct {
	net.Conn
	read *atomic.Int64
}

// SetLinger is that of the *net.TCPConn: with 0 seconds, Close resets the connection.
func (c counted) SetLinger(seconds int) error { return c.Conn.(*net.TCPConn).SetLinger(seconds) }

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// ClosedPort gives the address of a port that nobody listens on.
func ClosedPort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// Slack is how long after its budget a probe may be seen to end: its answer is
// due a second later than that, and on a busy machine a timer is late.
const Slack = time.Second

// Foreign is text that hostile servers send and that no result may repeat.
const Foreign = "FOREIGN-b7f31c"

// Hang takes the connection and never answers.
func Hang(ctx context.Context, c net.Conn) {
	go func() { _, _ = io.Copy(io.Discard, c) }()
	<-ctx.Done()
}

// CloseAtOnce ends the connection before a byte went either way.
func CloseAtOnce(context.Context, net.Conn) {}

// Drip sends text over and over, a byte each 200 ms.
func Drip(text string) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// Endless sends head, then text over and over as fast as it is read.
func Endless(head, text string) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		chunk := []byte(strings.Repeat(text, 1+4096/len(text)))
		_, err := io.WriteString(c, head)
		for err == nil && ctx.Err() == nil {
			_, err = c.Write(chunk)
		}
	}
}

// Banner says one thing, such as another protocol's greeting, and waits.
func Banner(text string) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		_, _ = io.WriteString(c, text)
		Hang(ctx, c)
	}
}

// Bomb answers a request of HTTP with 300 MiB that fit into 300 KiB: one MiB,
// compressed, 300 times, which RFC 1952 §2.2 makes one file.
func Bomb(_ context.Context, c net.Conn) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	_, _ = z.Write(make([]byte, 1<<20))
	_ = z.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+strings.Repeat(member.String(), 300))
}

// Sound checks what holds of every result: a known code with its verdict,
// status and marks; the stages in their order and not contradicting it; a
// message that tells a person something; and nowhere any of the forbidden
// texts (secrets, what a server said).
func Sound(t testing.TB, r probe.Result, forbidden ...string) {
	t.Helper()
	if !r.Code.Known() || r.Verdict != r.Code.Verdict() || r.Stop != r.Code.Stop() || r.Retryable != r.Code.Retryable() {
		t.Errorf("%s: verdict %s, stop %v, retryable %v do not belong to the code", r.Code, r.Verdict, r.Stop, r.Retryable)
	}
	switch ok := r.Status == 200; {
	case r.Verdict == probe.Valid && !ok, r.Verdict == probe.Unknown && r.Status != 400,
		r.Verdict == probe.Invalid && (r.Status < 400 || r.Status > 499 || r.Status == 401 || r.Status == 429):
		t.Errorf("%s: status %d for %s", r.Code, r.Status, r.Verdict)
	}
	if r.Code != probe.CodeOK && !strings.HasSuffix(r.Message, ".") {
		t.Errorf("%s: the message %q is no sentence", r.Code, r.Message)
	}
	if r.Pointer != "" && !strings.HasPrefix(r.Pointer, "/credentials/") {
		t.Errorf("%s: pointer %q", r.Code, r.Pointer)
	}
	soundStages(t, r)
	text := fmt.Sprintf("%+v", r)
	for _, f := range append(slices.Clone(forbidden), Foreign) {
		if f != "" && strings.Contains(strings.ToLower(text), strings.ToLower(f)) {
			t.Errorf("%s: the result holds foreign text", r.Code) // and this line does not
		}
	}
}

func soundStages(t testing.TB, r probe.Result) {
	t.Helper()
	var names []string
	failed := 0
	for _, s := range r.Stages {
		names = append(names, s.Name)
		if s.Outcome == probe.StageFailed {
			failed++
		}
		if s.Millis < 0 || !strings.HasSuffix(s.Message, ".") || s.Outcome == "" {
			t.Errorf("%s: stage %+v", r.Code, s)
		}
	}
	if want := []string{"policy", "dns", "tcp", "tls", "protocol", "auth", "access"}; !slices.Equal(names, want) {
		t.Errorf("%s: stages %v", r.Code, names)
	}
	if dialled := len(names) > 0 && r.Stages[0].Outcome != probe.StageSkipped; dialled && (failed == 0) != (r.Verdict == probe.Valid) || failed > 1 {
		t.Errorf("%s: %d stages failed in %+v", r.Code, failed, r.Stages)
	}
}

// Stage gives one stage of a result.
func Stage(r probe.Result, name string) probe.Stage {
	for _, s := range r.Stages {
		if s.Name == name {
			return s
		}
	}
	return probe.Stage{}
}
