// Command bench measures servers on loopback under equal load.
//
// Without -soak it runs the local server, a bare net/http server that answers the
// same JSON without a store and, if -openbao names its program, OpenBao with raft
// and a file audit device. The rounds alternate between the servers, so that what
// else the machine does falls on all of them. With -soak it sends a mixed load to
// the local server and prints how its memory develops.
//
// It reads /proc, so it needs Linux.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// options are the flags of the program.
type options struct {
	credence string        // program of the local server
	openbao  string        // program of OpenBao; empty leaves it out
	rounds   int           // rounds of the comparison
	each     time.Duration // one measurement
	soak     time.Duration // duration of the mixed load; 0 compares instead
	rate     int           // requests a second of the mixed load
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 3 && os.Args[1] == "bare" {
		exit(serveBare(os.Args[2]))
	}
	// One core for the client leaves the other to the server, as wrk -t1 does.
	runtime.GOMAXPROCS(1)
	exit(run(ctx, os.Args[1:], os.Stdout))
}

func exit(err error) {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.credence, "credence", "", "`program` of the local server")
	fs.StringVar(&o.openbao, "openbao", "", "`program` of OpenBao; left out if empty")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of the comparison")
	fs.DurationVar(&o.each, "each", 2*time.Second, "duration of one measurement")
	fs.DurationVar(&o.soak, "soak", 0, "duration of a mixed load instead of the comparison")
	fs.IntVar(&o.rate, "rate", 500, "requests a second of the mixed load")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.credence == "" || o.rounds < 1 || o.each < 100*time.Millisecond || o.rate < 1 || fs.NArg() > 0 {
		return errors.New("the local server must be named by -credence; -rounds and -rate are at least 1, -each at least 100ms")
	}
	work, err := os.MkdirTemp("", "credence-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if o.soak > 0 {
		return soak(ctx, o, work, out)
	}
	return compare(ctx, o, work, out)
}
