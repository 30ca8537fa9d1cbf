// Command credence serves every route of Credence in one process on this machine,
// over the embedded store and a key file: what `make run` starts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// version is set by the release build; a build from a checkout names its commit.
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run does what the command line asks for and returns the exit code: 0 done,
// 1 failed, 2 the command line was refused.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	default:
		_, _ = fmt.Fprintln(stderr, "credence: "+explain(err))
		return 1
	}
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return serveCommand(ctx, nil, stdout, stderr)
	}
	switch args[0] {
	case "--help", "-h", "help":
		_, err := io.WriteString(stdout, usage)
		return err
	case "--version", "version":
		_, err := fmt.Fprintln(stdout, "credence "+versionText())
		return err
	case "serve":
		return serveCommand(ctx, args[1:], stdout, stderr)
	case "org", "user", "key":
		return addCommand(ctx, args, stdout, stderr)
	}
	if len(args[0]) > 0 && args[0][0] == '-' {
		return serveCommand(ctx, args, stdout, stderr)
	}
	_, _ = fmt.Fprintf(stderr, "credence: there is no command %q\n\n%s", args[0], usage)
	return errUsage
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return version + " (" + s.Value[:min(len(s.Value), 12)] + ")"
		}
	}
	return version
}
