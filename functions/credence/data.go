package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"credence/shared/audit"
	"credence/shared/boot"
	"credence/shared/envelope/localkms"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/dynamo"
	"credence/shared/store/embedded"
)

// data is what the service keeps: its store, and the key file that opens the
// secrets in it.
type data struct {
	store    store.Store
	close    io.Closer
	identity *identity.Service
	key      *localkms.Key
	fresh    bool // there was no organisation yet
}

// Close ends the use of the store.
func (d *data) Close() error {
	if d.close == nil {
		return nil
	}
	return d.close.Close()
}

// openData opens the data folder, which it makes on first use.
func openData(ctx context.Context, w where) (*data, error) {
	if err := os.MkdirAll(w.Data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	d := &data{}
	if err := d.open(ctx, w); err != nil {
		return nil, err
	}
	d.identity = identity.New(d.store, audit.Journal{}, time.Now)
	orgs, err := d.identity.Orgs(ctx)
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	d.fresh = len(orgs) == 0
	// A key file that is missing beside data is never replaced: a new key would
	// open none of it.
	if d.key, err = localkms.Open(filepath.Join(w.Data, "key"), !d.fresh); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

func (d *data) open(ctx context.Context, w where) error {
	if w.Store == storeDynamo {
		s, err := openDynamo(ctx, w)
		d.store = s
		return err
	}
	s, err := embedded.Open(w.Data)
	d.store, d.close = s, s
	return err
}

// openDynamo uses AWS as the environment says or, with an endpoint on this
// machine, a local engine, whose tables it makes.
func openDynamo(ctx context.Context, w where) (store.Store, error) {
	tables := dynamo.Tables{Meta: w.DynamoTables + "-meta", Vault: w.DynamoTables + "-vault", Audit: w.DynamoTables + "-audit"}
	if w.DynamoEndpoint == "" {
		cfg, err := boot.AWS(ctx)
		if err != nil {
			return nil, err
		}
		return dynamo.New(dynamo.Client(cfg), tables), nil
	}
	if u, err := url.Parse(w.DynamoEndpoint); err != nil || !loopback(u.Hostname()) {
		return nil, fmt.Errorf("reading --dynamodb-endpoint: it must be a URL of this machine, such as http://127.0.0.1:8000")
	}
	client := dynamo.LocalClient(w.DynamoEndpoint)
	if err := dynamo.CreateTables(ctx, client, tables); err != nil {
		return nil, fmt.Errorf("making the tables: %w", err)
	}
	return dynamo.New(client, tables), nil
}
