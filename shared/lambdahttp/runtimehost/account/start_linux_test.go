package account_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credence/shared/lambdahttp/runtimehost/account"
)

const hello = "hello" // the function to compare with

// rounds of starts, one of each function by turns, so that what else the
// machine does meets all of them alike.
const rounds = 21

// started is what one start took until the runtime asked for its first event.
type started struct {
	init, cpu time.Duration
	faults    float64 // pages, minor
	resident  float64 // MiB, at most
}

// BenchmarkColdStart starts each bootstrap as Lambda does, from nothing, and
// prints the medians, and the ratio to a function that only says hello. One
// that only links the SDK's clients shows how much of it is not ours.
func BenchmarkColdStart(b *testing.B) {
	folder := b.TempDir()
	const internal = "./shared/lambdahttp/runtimehost/internal/"
	if err := account.Build(b.Context(), top, folder, internal+hello, internal+"plain"); err != nil {
		b.Fatal(err)
	}
	template, err := os.ReadFile(filepath.Join(top, "template.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	deployed, err := account.Read(template, "arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-4000-8000-00000000c0de", nil)
	if err != nil {
		b.Fatal(err)
	}
	deployed = append(deployed, account.Deployed{Folder: hello}, account.Deployed{Folder: "plain"})
	seen := map[string][]started{}
	for range rounds {
		for _, d := range deployed {
			seen[d.Folder] = append(seen[d.Folder], start(b, filepath.Join(folder, d.Folder), d.Env))
		}
	}
	milliseconds := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	initOf := func(s started) float64 { return milliseconds(s.init) }
	for _, d := range deployed {
		all := seen[d.Folder]
		b.Run(d.Folder, func(b *testing.B) {
			b.ReportMetric(0, "ns/op") // the starts are behind us
			b.ReportMetric(median(all, initOf), "init-ms")
			b.ReportMetric(median(all, initOf)/median(seen[hello], initOf), "init/hello")
			b.ReportMetric(median(all, func(s started) float64 { return milliseconds(s.cpu) }), "cpu-ms")
			b.ReportMetric(median(all, func(s started) float64 { return s.faults }), "faults")
			b.ReportMetric(median(all, func(s started) float64 { return s.resident }), "rss-MiB")
		})
	}
}

func median(all []started, of func(started) float64) float64 {
	var values []float64
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// start runs a bootstrap until it asks for its first event, and ends it.
func start(b *testing.B, binary string, env map[string]string) started {
	asked, done := make(chan time.Time, 1), make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/invocation/next") {
			asked <- time.Now()
		}
		<-done
	}))
	defer api.Close()
	defer close(done)
	cmd := exec.CommandContext(b.Context(), binary)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "AWS_REGION=eu-central-1",
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
	}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	var s started
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case at := <-asked:
		s.init = at.Sub(begin)
	case err := <-ended:
		b.Fatalf("%s ended before it asked for an event: %v: %s", filepath.Base(binary), err, log.Bytes())
	}
	s.resident = resident(b, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) {
		b.Fatal(err)
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.faults = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Minflt)
	return s
}

// resident is the most memory that a process had so far, in MiB. What the kernel
// tells of a process that ended counts its parent in.
func resident(b *testing.B, pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "kB")))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	b.Fatal("the kernel does not say what memory the process had")
	return 0
}
