package runtimehost_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"credence/shared/lambdahttp/runtimehost"
)

// TestNoOrphans kills a process that hosts a function: the function's process
// must die with it. The test runs itself as that host.
func TestNoOrphans(t *testing.T) {
	if binary := os.Getenv(orphanHost); binary != "" {
		host(t, binary)
		return
	}
	self := exec.Command(os.Args[0], "-test.run=^TestNoOrphans$")
	self.Env = append(os.Environ(), orphanHost+"="+bootstrap)
	out, err := self.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	alive := err == nil && running(pid)
	_ = self.Process.Kill()
	_ = self.Wait()
	if readErr != nil || !alive {
		t.Fatalf("the host did not start a function: %q, %v", line, readErr)
	}
	for end := time.Now().Add(30 * time.Second); running(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d outlived its host", pid)
		}
	}
}

func host(t *testing.T, binary string) {
	f, err := runtimehost.Start(context.Background(), runtimehost.Config{
		Binary: binary, Env: map[string]string{"ECHO_MODE": "raw"}, Timeout: time.Minute, MaxEnvironments: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	pid := says(t, invoke(t, f, `{}`)).PID
	// A runtime that waits for its next event would notice by itself that the
	// host is gone; one that is busy does not.
	url, arrived, open := gate(t, 1)
	close(open)
	go func() { <-arrived; fmt.Println(pid) }()
	invoke(t, f, `{"do":"hang","gate":%q}`, url)
}

// running reports whether a process lives; a dead one that its new parent has
// not waited for does not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
