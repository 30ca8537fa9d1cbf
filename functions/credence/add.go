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
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/api/admin"
	"credence/shared/fault"
)

const addUsage = `Usage:
  credence org add NAME     [--email ADDRESS] [--domain DOMAIN] [--data DIR]
  credence user add ADDRESS [--org ID] [--name "FULL NAME"] [--admin] [--data DIR]
  credence key add ADDRESS  [--org ID] [--name NAME] [--data DIR]

Each makes what it says and a service key, which it prints once. --org may be
left out while there is one organisation only. --data is ./.data by default;
--store and the flags of DynamoDB are those of serve.
`

// addCommand does one admin command: through the socket of the server that has
// the data open, or on the data itself.
func addCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, o, err := parseAdd(args, stdout, stderr)
	if err != nil {
		return err
	}
	reply, err := overSocket(ctx, o.data, c)
	if errors.Is(err, errNoServer) {
		reply, err = onData(ctx, o, c)
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "Organisation %q (%d), user %s. The service key is shown only now:\n\n%s\n\n",
		reply.OrgName, reply.OrgID, reply.Email, reply.ServiceKey)
	return nil
}

func parseAdd(args []string, stdout, stderr io.Writer) (admin.Command, options, error) {
	var c admin.Command
	var o options
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() { _, _ = io.WriteString(stdout, addUsage) }
	var name string
	o.where(fs)
	fs.StringVar(&name, "name", "", "")
	fs.StringVar(&c.Email, "email", "", "")
	fs.StringVar(&c.Domain, "domain", "", "")
	fs.Int64Var(&c.Org, "org", 0, "")
	fs.BoolVar(&c.Admin, "admin", false, "")
	// Flags may stand before and after what is added.
	var words []string
	for rest := args[1:]; len(rest) > 0; {
		if err := fs.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return c, o, err
			}
			return c, o, errUsage
		}
		if rest = fs.Args(); len(rest) > 0 {
			words, rest = append(words, rest[0]), rest[1:]
		}
	}
	if len(words) != 2 || words[0] != "add" {
		_, _ = io.WriteString(stderr, addUsage)
		return c, o, errUsage
	}
	c.Action = args[0] + " add"
	switch c.Action {
	case admin.AddOrg:
		c.Name = words[1]
	case admin.AddUser:
		c.Email, c.Full = words[1], name
	default:
		c.Email, c.Name = words[1], name
	}
	var err error
	if o.data, err = filepath.Abs(o.data); err != nil {
		return c, o, fmt.Errorf("reading --data: %w", err)
	}
	return c, o, nil
}

// onData opens the data, which must be there: an admin command makes no folder.
func onData(ctx context.Context, o options, c admin.Command) (admin.Reply, error) {
	if _, err := os.Stat(o.data); err != nil {
		return admin.Reply{}, fmt.Errorf("there is no data in %s yet: start the server once, or name another folder with --data", o.data)
	}
	d, err := openData(ctx, o)
	if err != nil {
		return admin.Reply{}, err
	}
	defer func() { _ = d.Close() }()
	return admin.API{Identity: d.identity}.Do(ctx, c)
}

// errNoServer says that nobody listens on the folder's socket.
var errNoServer = errors.New("no server has the data open")

const adminTimeout = 10 * time.Second

// socketPath is the admin socket of a data folder. A socket's whole path may
// have about a hundred bytes, so it is named from the working folder where that
// is shorter.
func socketPath(dir string) string {
	path := filepath.Join(dir, "admin.sock")
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
			return rel
		}
	}
	return path
}

func overSocket(ctx context.Context, dir string, c admin.Command) (admin.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	path := socketPath(dir)
	dial := func(ctx context.Context) (net.Conn, error) {
		d := net.Dialer{Timeout: time.Second} //nolint:forbidigo // a socket in our own data folder, never a target that a user names
		return d.DialContext(ctx, "unix", path)
	}
	conn, err := dial(ctx)
	if err != nil {
		return admin.Reply{}, errNoServer
	}
	_ = conn.Close()
	body, err := json.Marshal(c)
	if err != nil {
		return admin.Reply{}, fmt.Errorf("encoding the command: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/", bytes.NewReader(body))
	if err != nil {
		return admin.Reply{}, fmt.Errorf("asking the server: %w", err)
	}
	res, err := client.Do(req) //nolint:gosec // the client reaches that one socket, whatever the URL says
	if err != nil {
		return admin.Reply{}, fmt.Errorf("asking the server: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	var reply socketReply
	if err := json.UnmarshalRead(io.LimitReader(res.Body, 64<<10), &reply); err != nil {
		return admin.Reply{}, fmt.Errorf("reading the server's answer: %w", err)
	}
	if reply.Error != "" {
		return admin.Reply{}, errors.New(reply.Error)
	}
	return reply.Reply, nil
}

// socketReply is a reply, or why there is none.
type socketReply struct {
	Error string      `json:"error"`
	Reply admin.Reply `json:"reply"`
}

// listenAdmin serves admin commands on the folder's socket, which only the
// folder's owner may open, until the function it returns is called.
func (p *program) listenAdmin(dir string) (func(), error) {
	path := socketPath(dir)
	// The data is open by this process alone, so a socket that is there was
	// left by one that is gone.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("making the admin socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("making the admin socket (the data folder's path may be too long for one): %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("closing the admin socket to others: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(p.serveAdmin), ReadHeaderTimeout: adminTimeout}
	go func() { _ = server.Serve(listener) }() // ends with Close
	return func() { _ = server.Close() }, nil
}

func (p *program) serveAdmin(w http.ResponseWriter, r *http.Request) {
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
	_ = json.MarshalWrite(w, reply) // what fails here is the connection
}

// said is the sentence of a fault without its code.
func said(err error) (string, bool) {
	var f *fault.Error
	if !errors.As(err, &f) {
		return "", false
	}
	return f.Message, true
}
