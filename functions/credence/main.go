// Command credence serves every route of Credence in one process on this machine,
// over the embedded store and a key file, and manages that data: `credence --help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	harden()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{out: os.Stdout, err: os.Stderr}))
}

// run executes one command line and returns the exit code: 0 when the command
// succeeded, 1 when it failed, 2 when the command line was rejected.
func run(ctx context.Context, args []string, io streams) int {
	err := execute(ctx, args, io)
	var u *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &u):
		u.blame(args)
		for _, problem := range u.problems {
			_, _ = fmt.Fprintln(io.err, "credence: "+problem)
		}
		if u.summary != "" {
			_, _ = fmt.Fprintln(io.err, "Usage: credence "+u.summary)
		}
		_, _ = fmt.Fprintf(io.err, "Run \"%s --help\" for every command and flag.\n", u.command)
		return 2
	default:
		_, _ = fmt.Fprintln(io.err, "credence: "+explain(err))
		return 1
	}
}
