package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/api/admin"
	"credence/shared/fault"
)

// errNoServer reports that no server listens on the folder's admin socket.
var errNoServer = errors.New("no server has the data open")

const (
	adminTimeout  = 10 * time.Second // of one operator's command
	maxAdminBytes = 16 << 20         // of a reply; a list of every key of an organisation fits
)

// adminHandler serves the admin socket of a running server. An operation that
// is no admin.Command adds a pattern of its own here.
func (p *program) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", p.answerCommand)
	mux.HandleFunc("GET /snapshot", p.answerSnapshot)
	mux.HandleFunc("POST /rekey", p.answerRekey)
	return mux
}

// answerCommand carries out one admin.Command and answers with a socketReply.
func (p *program) answerCommand(w http.ResponseWriter, r *http.Request) {
	var c admin.Command
	var reply socketReply
	ctx, cancel := context.WithTimeout(r.Context(), adminTimeout)
	defer cancel()
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 64<<10), &c)
	if err == nil {
		reply.Reply, err = p.admin.Do(ctx, c)
	}
	if err != nil {
		reply.Error = explain(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, reply) // the only error is that of the connection
}

// socketReply is the reply to a command or, if Error is not "", why there is none.
type socketReply struct {
	Error string      `json:"error"`
	Reply admin.Reply `json:"reply"`
}

// socketPath returns the path of a data folder's admin socket. The path of a
// socket may have about a hundred bytes, so it is relative to the working folder
// where that is shorter.
func socketPath(dir string) string {
	path := filepath.Join(dir, "admin.sock")
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
			return rel
		}
	}
	return path
}

// maxSocketPath is the longest path of a Unix socket on every system, in bytes: 104
// with the closing zero on macOS and the BSDs, 108 on Linux (unix(7)).
const maxSocketPath = 103

// listenAdmin serves the folder's admin socket, which only the folder's owner
// may open, until the function that it returns is called.
func (p *program) listenAdmin(dir string) (func(), error) {
	path := socketPath(dir)
	// Only this process has the data open, so an existing socket was left by a
	// process that has ended.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("making the admin socket: %w", err)
	}
	listener, err := listenTight(path)
	if err != nil {
		if len(path) > maxSocketPath {
			return nil, fmt.Errorf("the data folder's path is too long for the admin socket in it: %s has %d bytes of at most %d. "+
				"Choose a shorter one with --data", path, len(path), maxSocketPath)
		}
		return nil, fmt.Errorf("making the admin socket %s (the data folder must be writable): %w", path, err)
	}
	server := &http.Server{Handler: p.adminHandler(), ReadHeaderTimeout: adminTimeout}
	go func() { _ = server.Serve(listener) }() // ends with Close
	return func() { _ = server.Close() }, nil
}

// socketClient returns a client of the admin socket of the server that has dir
// open, for any URL. The error is errNoServer if no server listens there.
func socketClient(ctx context.Context, dir string) (*http.Client, error) {
	path := socketPath(dir)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: time.Second} //nolint:forbidigo // a socket in our own data folder, never a target that a user names
		return d.DialContext(ctx, "unix", path)
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, errNoServer
	}
	_ = conn.Close()
	return &http.Client{Transport: &http.Transport{DialContext: dial}}, nil
}

// overSocket sends one command to the server that has dir open.
func overSocket(ctx context.Context, dir string, c admin.Command) (admin.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	client, err := socketClient(ctx, dir)
	if err != nil {
		return admin.Reply{}, err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return admin.Reply{}, fmt.Errorf("encoding the command: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/", bytes.NewReader(body))
	if err != nil {
		return admin.Reply{}, fmt.Errorf("asking the server: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return admin.Reply{}, fmt.Errorf("asking the server: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	var reply socketReply
	if err := json.UnmarshalRead(io.LimitReader(res.Body, maxAdminBytes), &reply); err != nil {
		return admin.Reply{}, fmt.Errorf("reading the server's answer: %w", err)
	}
	if reply.Error != "" {
		return admin.Reply{}, errors.New(reply.Error)
	}
	return reply.Reply, nil
}

// sentence returns the message of a fault without its code.
func sentence(err error) (string, bool) {
	var f *fault.Error
	if !errors.As(err, &f) {
		return "", false
	}
	return f.Message, true
}
