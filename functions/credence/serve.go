package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"credence/shared/boot"
	"credence/shared/httpapi"
	"credence/shared/limit"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

type serveCommand struct {
	serveFlags `embed:""`
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, io streams) error {
	o, problems := c.validate()
	if err := usage("serve", problems...); err != nil {
		return err
	}
	boot.TameDrivers()
	leaveRoom()
	logger := newLogger(io.err)
	d, err := openData(ctx, o.where, o.New)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return serve(ctx, o, d, logger, io.out)
}

// leaveRoom gives the process more threads that run Go code than there are cores, one
// for each list that may be under way. Where lists keep all of them busy, Go looks for
// new packets every 10 ms only; where one is free, a short request gets its part of a
// core from the kernel at once. In a container with a quota of processor time, more
// threads would use it up sooner, so there Go's own number stays.
func leaveRoom() {
	if n := runtime.NumCPU(); os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) == n {
		runtime.GOMAXPROCS(n + httpapi.MaxLists)
	}
}

// serve listens until ctx ends, then lets requests under way finish.
func serve(ctx context.Context, o options, d *data, logger *slog.Logger, stdout io.Writer) error {
	p, err := newProgram(ctx, o, d, logger)
	if err != nil {
		return err
	}
	// Before the first start makes a key that nobody would then be shown twice.
	identity := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
		if err != nil {
			return fmt.Errorf("reading the TLS certificate and key: %w", err)
		}
		identity.Certificates = []tls.Certificate{pair}
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", o.Addr, err)
	}
	defer func() { _ = listener.Close() }()
	o.Addr = listener.Addr().String()
	stopAdmin, err := p.listenAdmin(o.Data)
	if err != nil {
		return err
	}
	defer stopAdmin()
	if err := p.welcome(ctx, o, stdout); err != nil {
		return err
	}
	server := newServer(p.handler, identity, logger)
	listener = bound(server, listener)
	ended := make(chan error, 1)
	go func() {
		if o.TLSCert != "" {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	// Longer than the longest request, a probe.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	_, _ = fmt.Fprintln(stdout, "Stopped.")
	return nil
}

// maxConnections is above the number of requests that httpapi serves at once, so
// that a request too many gets an answer.
const maxConnections = 1024

// bound puts the bound of connections on a server and its listener.
func bound(s *http.Server, l net.Listener) net.Listener {
	return limit.NewConnections(maxConnections).Attach(s, httpapi.Listener(l))
}

func newServer(h http.Handler, identity *tls.Config, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, TLSConfig: identity, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: httpapi.ServerHeaderBytes,
		// By default a connection buffers 1 MB of bodies that no handler reads.
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 64, MaxReceiveBufferPerConnection: 256 << 10, MaxReceiveBufferPerStream: 64 << 10},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// newLogger writes lines for a person at a terminal, JSON for anything else.
func newLogger(w io.Writer) *slog.Logger {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{TimeFormat: time.TimeOnly, ReplaceAttr: brief}))
	}
	return boot.Logger(w, slog.LevelInfo)
}

// brief leaves out of a terminal's lines what a person seldom looks for there;
// the JSON lines have it.
func brief(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case "bytes_in", "bytes_out", "user_agent", "org", "key":
		return slog.Attr{}
	}
	return a
}

const noRoom = "the disk does not take the file: it is full, or a quota or a limit of file sizes (ulimit -f) is reached. " +
	"Nothing that was stored is lost. Make room, then repeat the command."

// explain turns what may go wrong around a start into what to do about it.
func explain(err error) string {
	var path *os.PathError
	var file *embedded.FileError
	var access *embedded.AccessError
	switch {
	case errors.As(err, &file):
		return file.Error() + ". Stop here and restore a backup into another folder with credence restore; credence check lists every fault."
	case errors.As(err, &access):
		return access.Error() + "."
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program listens on this address already. Stop it, or choose another with --addr (make run ADDR=127.0.0.1:4000)."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine does not have that address. Choose another with --addr."
	case errors.Is(err, embedded.ErrLocked):
		return "another process has this data folder open. Stop it, or choose another with --data."
	case errors.Is(err, embedded.ErrNewerFormat):
		return "a newer version of Credence wrote this data. Start that version, or choose another folder with --data."
	case errors.Is(err, embedded.ErrNotWritten), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return noRoom
	case errors.Is(err, store.ErrUnavailable):
		return "the store does not answer. With --store dynamodb, start the engine or check --dynamodb-endpoint; else see whether the disk is full."
	case errors.Is(err, os.ErrNotExist) && errors.As(err, &path):
		return path.Path + " does not exist. Check the path, or create the folder."
	case errors.Is(err, os.ErrPermission) && errors.As(err, &path):
		return "no right to use " + path.Path + ". Choose another folder with --data, or change its permissions."
	case errors.Is(err, syscall.EROFS) && errors.As(err, &path):
		return path.Path + " is on a disk that is read-only. Choose another folder with --data."
	case errors.Is(err, syscall.ENOTDIR) && errors.As(err, &path):
		return path.Path + " is a file, or lies below one. Choose a data folder with --data."
	}
	if text, ok := sentence(err); ok {
		return text
	}
	return err.Error()
}
