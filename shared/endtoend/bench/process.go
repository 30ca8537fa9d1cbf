package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	startTimeout = 30 * time.Second
	ticksASecond = 100 // USER_HZ of every Linux that Go runs on
)

// process is a server that this program started.
type process struct {
	cmd   *exec.Cmd
	log   string        // file of its standard output and error
	start time.Duration // until the first request was answered
}

// startProcess starts a program and waits until ready reports true.
func startProcess(ctx context.Context, log string, ready func() bool, program string, args ...string) (*process, error) {
	f, err := os.Create(filepath.Clean(log))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	p := &process{cmd: cmd, log: log}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for !ready() {
		if time.Since(began) > startTimeout || ctx.Err() != nil {
			p.stop()
			text, _ := os.ReadFile(filepath.Clean(log))
			return nil, fmt.Errorf("%s does not answer: %s", program, text)
		}
		time.Sleep(time.Millisecond)
	}
	p.start = time.Since(began)
	return p, nil
}

// stop ends the process by its id and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	ended := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer ended.Stop()
	_ = p.cmd.Wait()
}

// cpu returns the processor time that the process has used.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// proc_pid_stat(5): the name in brackets may hold spaces; utime and stime are
	// the 12th and 13th fields after it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, errUser := strconv.ParseInt(fields[11], 10, 64)
	system, errSystem := strconv.ParseInt(fields[12], 10, 64)
	if errUser != nil || errSystem != nil {
		return 0, fmt.Errorf("/proc/%d/stat has another form", p.cmd.Process.Pid)
	}
	return time.Duration(user+system) * time.Second / ticksASecond, nil
}

// memory returns resident memory in MiB: all of it, and the anonymous part, which
// leaves out the pages of files.
func (p *process) memory() (all, anonymous float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	field := func(name string) float64 {
		m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(text)
		if m == nil {
			return 0
		}
		kb, _ := strconv.ParseFloat(string(m[1]), 64)
		return kb / 1024
	}
	return field("VmRSS"), field("RssAnon")
}

// freeAddress returns an address on loopback that nothing listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
