//go:build unix

// Command cmd deploys template.yaml on this machine, without containers, for
// those who develop it: `make lambda` serves it over HTTP, `make invoke` sends
// one event to one function. What it keeps lies in memory and is gone when it
// ends. It lives here and not under functions/, where every folder is shipped.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/lambdahttp/runtimehost"
	"credence/shared/lambdahttp/runtimehost/account"
)

const usage = `Usage, from the top of the repository:
  cmd serve [--addr HOST:PORT] [--allow RANGES]   the whole template behind one address
  cmd invoke FUNCTION EVENT                       one event, such as create events/create.json
`

// errUsage says that the command line was refused and the usage is printed.
var errUsage = errors.New("reading the command line")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, errUsage):
		_, _ = io.WriteString(os.Stderr, usage)
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("cmd", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {} // main prints it
	addr := fs.String("addr", "127.0.0.1:3001", "")
	allow := fs.String("allow", "", "")
	if len(args) == 0 {
		return errUsage
	}
	if err := fs.Parse(args[1:]); err != nil {
		return errUsage
	}
	serving := args[0] == "serve" && fs.NArg() == 0
	if !serving && (args[0] != "invoke" || fs.NArg() != 2) {
		return errUsage
	}
	var event []byte
	if !serving {
		var err error
		if event, err = os.ReadFile(fs.Arg(1)); err != nil {
			return fmt.Errorf("reading the event: %w", err)
		}
	}
	a, end, err := deploy(ctx, *allow)
	if err != nil {
		return err
	}
	defer end()
	if serving {
		return serve(ctx, a, *addr, stdout)
	}
	if event, err = account.NewFiller(a).Fill(ctx, event); err != nil {
		return err
	}
	res, err := a.Invoke(ctx, fs.Arg(0), event)
	if err != nil {
		return err
	}
	return show(res, stdout, stderr)
}

// deploy builds the functions and deploys them over a new engine.
func deploy(ctx context.Context, allow string) (_ *account.Account, _ func(), err error) {
	template, err := os.ReadFile("template.yaml")
	if err != nil {
		return nil, nil, fmt.Errorf("reading the template, at the top of the repository: %w", err)
	}
	folder, err := os.MkdirTemp("", "credence-bootstraps-")
	if err != nil {
		return nil, nil, fmt.Errorf("making a folder for the functions: %w", err)
	}
	ends := []func(){func() { _ = os.RemoveAll(folder) }}
	end := func() {
		for i := len(ends) - 1; i >= 0; i-- {
			ends[i]()
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	top, err := filepath.Abs(".")
	if err != nil {
		return nil, nil, err
	}
	if err := account.Build(ctx, top, folder); err != nil {
		return nil, nil, err
	}
	endpoint, stop, err := account.Engine(ctx, top)
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, stop)
	a, err := account.Open(ctx, account.Config{
		Template: template, Bootstraps: folder, Engine: endpoint,
		Parameters: map[string]string{"AllowedPrivateRanges": allow},
	})
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, func() { _ = a.Close() })
	return a, end, nil
}

const welcome = `Credence as Lambda functions: http://%s
Everything is kept in memory and is gone when this ends.
Service keys of the admins of two organisations:

%s
%s
`

func serve(ctx context.Context, a *account.Account, addr string, stdout io.Writer) error {
	front, err := a.Front()
	if err != nil {
		return err
	}
	filler := account.NewFiller(a)
	first, err := filler.Key(ctx, 0)
	if err != nil {
		return err
	}
	second, err := filler.Key(ctx, 1)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", addr, err)
	}
	server := &http.Server{Handler: front, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	_, _ = fmt.Fprintf(stdout, welcome, listener.Addr(), first, second)
	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
		return server.Close()
	}
}

// show prints what the function answered, and what it logged to stderr.
func show(res runtimehost.Result, stdout, stderr io.Writer) error {
	_, _ = stderr.Write(res.Log)
	_, _ = fmt.Fprintf(stderr, "cold start %v, init %v, duration %v\n", res.Cold, res.InitDuration.Round(time.Millisecond), res.Duration.Round(time.Microsecond))
	out := jsontext.Value(bytes.TrimSpace(res.Payload))
	if err := out.Indent(); err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	_, _ = fmt.Fprintln(stdout, string(out))
	if res.FunctionError != "" {
		return errors.New("the function failed")
	}
	return nil
}
