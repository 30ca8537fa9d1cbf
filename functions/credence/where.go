package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"credence/shared/api/admin"
)

const (
	storeEmbedded = "embedded"
	storeDynamo   = "dynamodb"
)

// where says which data a command is about. Every command that uses data embeds it.
type where struct {
	Data           string `default:"./.data" placeholder:"DIR" help:"Folder of the store and the key file."`
	Store          string `default:"embedded" placeholder:"NAME" help:"Store: embedded or dynamodb."`
	DynamoEndpoint string `name:"dynamodb-endpoint" placeholder:"URL" help:"A DynamoDB engine on this machine; without it AWS, as its environment variables say."`
	DynamoTables   string `name:"dynamodb-tables" default:"credence" placeholder:"PREFIX" help:"What the names of the three tables begin with."`
}

// resolve makes the folder's path absolute and returns every problem of the flags.
func (w *where) resolve() []string {
	var problems []string
	if w.Store != storeEmbedded && w.Store != storeDynamo {
		problems = append(problems, "--store must be embedded or dynamodb.")
	}
	path, err := filepath.Abs(w.Data)
	if err != nil || strings.TrimSpace(w.Data) == "" {
		return append(problems, "--data must name a folder.")
	}
	w.Data = path
	return problems
}

// do carries out one operator's command: through the admin socket of the server
// that has the data open, else on the data itself.
func (w *where) do(ctx context.Context, c admin.Command) (admin.Reply, error) {
	if err := usage(c.Action, w.resolve()...); err != nil {
		return admin.Reply{}, err
	}
	reply, err := overSocket(ctx, w.Data, c)
	if errors.Is(err, errNoServer) {
		return w.onData(ctx, c)
	}
	return reply, err
}

// run carries out one operator's command and prints the reply.
func (w *where) run(ctx context.Context, io streams, o output, c admin.Command) error {
	reply, err := w.do(ctx, c)
	if err != nil {
		return err
	}
	return o.print(io.out, c.Action, reply)
}

// onData opens the data, which must exist: an operator's command creates no folder.
func (w *where) onData(ctx context.Context, c admin.Command) (admin.Reply, error) {
	if _, err := os.Stat(w.Data); err != nil {
		return admin.Reply{}, fmt.Errorf("there is no data in %s yet. Start the server once, or name another folder with --data", w.Data)
	}
	d, err := openData(ctx, *w, false)
	if err != nil {
		return admin.Reply{}, err
	}
	defer func() { _ = d.Close() }()
	return admin.API{Identity: d.identity, Store: d.store}.Do(ctx, c)
}
