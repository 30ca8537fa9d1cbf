//go:build unix

package account

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Flags are what the Makefile compiles functions with, symbols left out.
var Flags = []string{"-tags=lambda.norpc,nethttpomithttp2", "-trimpath", "-gcflags=all=-l"}

// Build compiles the functions for this machine into a folder, with the flags
// that they are shipped with, and more packages if named. top is the folder of
// go.mod.
func Build(ctx context.Context, top, folder string, more ...string) error {
	folders, err := filepath.Glob(filepath.Join(top, "functions", "*"))
	if err != nil {
		return fmt.Errorf("looking for functions: %w", err)
	}
	args := slices.Concat([]string{"build"}, Flags, []string{"-ldflags=-s -w", "-o", folder + string(filepath.Separator)})
	for _, f := range folders {
		if name := filepath.Base(f); name != "credence" {
			args = append(args, "./functions/"+name)
		}
	}
	cmd := exec.CommandContext(ctx, "go", append(args, more...)...)
	cmd.Dir, cmd.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the functions: %w: %s", err, out)
	}
	return nil
}

// Engine starts dynoxide, a DynamoDB engine, in memory, and tells where it
// listens. It is the one in the variable CREDENCE_DYNOXIDE, in .bin below top,
// or on the PATH; where there is none the error is exec.ErrNotFound. stop ends
// it, and so does the end of this process.
func Engine(ctx context.Context, top string) (endpoint string, stop func(), err error) {
	path := os.Getenv("CREDENCE_DYNOXIDE")
	if path == "" {
		path = filepath.Join(top, ".bin", "dynoxide")
		if _, err := os.Stat(path); err != nil {
			if path, err = exec.LookPath("dynoxide"); err != nil {
				return "", nil, fmt.Errorf("looking for dynoxide, which .ci/install-dynoxide installs: %w", err)
			}
		}
	}
	// A port that was free a moment ago may be taken: try again.
	for range 3 {
		if endpoint, stop, err = serveEngine(ctx, path); err == nil {
			return endpoint, stop, nil
		}
	}
	return "", nil, err
}

func serveEngine(ctx context.Context, path string) (string, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("looking for a free port: %w", err)
	}
	address := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return "", nil, fmt.Errorf("looking for a free port: %w", err)
	}
	// The shell ends the engine, by its id, once its input closes: by us, or
	// because this process is no more.
	script := `"$1" serve --host 127.0.0.1 -p "$2" & read -r _; kill $!`
	cmd := exec.Command("sh", "-c", script, "sh", path, fmt.Sprint(address.Port))
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, fmt.Errorf("starting the engine: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("starting the engine: %w", err)
	}
	stop := func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	endpoint := "http://" + address.String()
	client := &http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		res, err := client.Get(endpoint)
		if err == nil {
			_ = res.Body.Close()
			return endpoint, stop, nil
		}
	}
	stop()
	return "", nil, errors.New("starting the engine: it does not listen")
}
