//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credence/shared/store/embedded"
)

// These variables make this binary the program with the command line that follows,
// one argument a line, and bound the files that it writes.
const (
	programVariable = "CREDENCE_TEST_PROGRAM"
	limitVariable   = "CREDENCE_TEST_FILE_LIMIT"
)

// TestProgram is the child of the tests below. By itself it does nothing.
func TestProgram(t *testing.T) {
	line, ok := os.LookupEnv(programVariable)
	if !ok {
		t.Skip("is run by other tests")
	}
	if most, err := strconv.ParseUint(os.Getenv(limitVariable), 10, 64); err == nil {
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		limit.Cur = most
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	os.Exit(run(context.Background(), strings.Split(line, "\n"), streams{os.Stdout, os.Stderr}))
}

// child is the program in a process of its own.
func child(ctx context.Context, limit string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestProgram$")
	cmd.Env = append(os.Environ(), programVariable+"="+strings.Join(args, "\n"), limitVariable+"="+limit)
	return cmd
}

// full makes a data folder whose store has some megabytes, and a backup of it.
func full(t *testing.T) (dir, backup string) {
	t.Helper()
	p, sign := bench(t)
	field := strings.Repeat("x", 12<<10)
	for n := range 200 {
		ask(t, p.handler, "POST", "/data_credentials", sign, fmt.Sprintf(
			`{"name":"n%d","credentials_type":"rest","credentials":{"api_key":"%s","base_url":"https://api.example.com"}}`, n, field))
	}
	dir, backup = p.data.folder, filepath.Join(t.TempDir(), "backup")
	if err := p.data.Close(); err != nil {
		t.Fatal(err)
	}
	command(t, 0, "backup", backup, "--data", dir)
	return dir, backup
}

// copyFolder copies the store and the key file of a data folder to a new one.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{embedded.FileName, keyFile} {
		copyFile(t, filepath.Join(from, name), filepath.Join(to, name))
	}
	return to
}

// offline are the commands that write files, each with the data folder, a backup of
// it, and an empty folder for what it makes.
var offline = []struct {
	name string
	args func(dir, backup, out string) []string
	// again is the answer to a repeat of a command that had ended when it was cut off.
	again string
	// result is the data folder or the backup to check, besides the data folder.
	result func(out string) []string
}{
	{
		"backup", func(dir, _, out string) []string {
			return []string{"backup", filepath.Join(out, "made"), "--data", dir}
		},
		"exists already", func(out string) []string { return []string{filepath.Join(out, "made")} },
	},
	{"restore", func(_, backup, out string) []string {
		return []string{"restore", backup, "--data", filepath.Join(out, "made")}
	}, "exists already", func(out string) []string { return []string{"--data", filepath.Join(out, "made")} }},
	{"compact", func(dir, _, _ string) []string { return []string{"compact", "--data", dir} }, "", nil},
	{"rekey", func(dir, _, out string) []string {
		return []string{"rekey", "--data", dir, "--new-key", filepath.Join(out, "next")}
	}, "is under already", nil},
	{"check", func(dir, _, _ string) []string { return []string{"check", "--open", "--data", dir} }, "", nil},
	{"check of a backup", func(_, backup, _ string) []string { return []string{"check", backup} }, "", nil},
}

// TestKilledCommands kills each command in the middle of its work, at four moments.
// The store that it works on is whole, and so is what it has made; the command can
// be repeated.
func TestKilledCommands(t *testing.T) {
	source, backup := full(t)
	for _, row := range offline {
		t.Run(row.name, func(t *testing.T) {
			took := time.Now()
			if out, err := child(t.Context(), "", row.args(copyFolder(t, source), backup, t.TempDir())...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			whole := time.Since(took)
			killed := 0
			for n := range 4 {
				dir, out := copyFolder(t, source), t.TempDir()
				args := row.args(dir, backup, out)
				c := child(t.Context(), "", args...)
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(whole * time.Duration(n+2) / 6)
				_ = c.Process.Kill() // it may have ended
				if err := c.Wait(); err != nil {
					killed++
				}
				command(t, 0, "check", "--open", "--data", dir)
				if again := child(t.Context(), "", args...); !repeats(t, again, row.again) {
					t.Errorf("killed at %d/6: the repeat fails", n+2)
				}
				command(t, 0, "check", "--open", "--data", dir)
				if row.result != nil {
					command(t, 0, append([]string{"check"}, row.result(out)...)...)
				}
			}
			if killed == 0 {
				t.Error("each ended before it was killed")
			}
		})
	}
}

// repeats runs a command again; it succeeds, or answers that it is done.
func repeats(t *testing.T, c *exec.Cmd, done string) bool {
	t.Helper()
	out, err := c.CombinedOutput()
	if err == nil || done != "" && strings.Contains(string(out), done) {
		return true
	}
	t.Logf("%s", out)
	return false
}

// TestCommandsWithoutRoom runs each command in a process whose files may not grow
// beyond a limit, as on a full disk: it answers one sentence, leaves nothing behind,
// and succeeds when there is room.
func TestCommandsWithoutRoom(t *testing.T) {
	source, backup := full(t)
	for _, row := range offline {
		for _, limit := range []int{0, 1 << 20} {
			t.Run(fmt.Sprint(row.name, " ", limit), func(t *testing.T) {
				dir, out := copyFolder(t, source), t.TempDir()
				args := row.args(dir, backup, out)
				printed, err := child(t.Context(), strconv.Itoa(limit), args...).CombinedOutput()
				text := strings.TrimSpace(string(printed))
				var exit *exec.ExitError
				switch {
				case err == nil && (row.name == "check" || row.name == "rekey"): // needs no room, or little
				case !errors.As(err, &exit) || exit.ExitCode() != 1 || text != "credence: "+noRoom:
					t.Errorf("%v: %s", err, text)
				}
				for _, folder := range []string{dir, out} {
					if left, _ := filepath.Glob(filepath.Join(folder, ".*")); len(left) > 0 {
						t.Errorf("leaves %v", left)
					}
				}
				command(t, 0, "check", "--open", "--data", dir)
				if !repeats(t, child(t.Context(), "", args...), row.again) {
					t.Error("the repeat fails")
				}
				command(t, 0, "check", "--open", "--data", dir)
			})
		}
	}
}

// TestCheckFindsWideRights: each permission that lets other users reach the data is
// a finding with the command that changes it.
func TestCheckFindsWideRights(t *testing.T) {
	dir := formerStore(t)
	copyFile(t, filepath.Join("testdata", "format1.key"), filepath.Join(dir, keyFile))
	if out := command(t, 0, "check", "--data", dir); !strings.Contains(out, "3 file permissions: 0 faults") {
		t.Errorf("check says %q", out)
	}
	for name, mode := range map[string]os.FileMode{"": 0o750, keyFile: 0o640, embedded.FileName: 0o606} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil {
			err = os.Chmod(path, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
		out := command(t, 1, "check", "--data", dir)
		if want := fmt.Sprintf("%s\n  Its mode is %04o, so other users can reach it.\n  Run: chmod %o %s\n", path, mode, info.Mode().Perm(), path); !strings.Contains(out, want) || !strings.Contains(out, ": 1 fault.") {
			t.Errorf("check says %q, want %q in it", out, want)
		}
		if err := os.Chmod(path, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
}
