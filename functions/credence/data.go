package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"credence/shared/api/health"
	"credence/shared/audit"
	"credence/shared/boot"
	"credence/shared/credential"
	"credence/shared/envelope/localkms"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/dynamo"
	"credence/shared/store/embedded"
)

// data is what the service keeps: its store, and the key files that open the
// secrets in it.
type data struct {
	store    store.Store
	file     *embedded.Store // the same, if it is the embedded one; else nil
	close    io.Closer
	identity *identity.Service
	keys     *localkms.Ring
	ring     credential.KeyRing // as the store records it
	folder   string
	fresh    bool // there was no organisation yet
	gate     *gate
	moving   sync.Mutex      // held while the store is moved to another key
	stepped  func(int) error // tests end a move before a step of it
}

// Close ends the use of the store.
func (d *data) Close() error {
	if d.close == nil {
		return nil
	}
	return d.close.Close()
}

// openData opens the data folder, which it makes on first use. A key file beside
// a store that is missing or empty is the sign of a lost store: only anew, which
// the operator states with --new, allows a new one there.
func openData(ctx context.Context, w where, anew bool) (*data, error) {
	if err := os.MkdirAll(w.Data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	if err := checkFolder(w.Data); err != nil {
		return nil, err
	}
	if err := checkLink(filepath.Join(w.Data, keyFile)); err != nil {
		return nil, err
	}
	if w.Store == storeEmbedded {
		if err := checkBeside(w.Data, anew); err != nil {
			return nil, err
		}
	}
	d := &data{folder: w.Data}
	if err := d.open(ctx, w); err != nil {
		return nil, err
	}
	d.gate = &gate{Store: d.store}
	d.store = d.gate
	if err := d.begin(ctx, w, anew); err != nil {
		_ = d.Close()
		return nil, err
	}
	removeDrafts(w.Data)
	return d, nil
}

// draftAge is how old a draft in the data folder must be to count as left behind by
// a command that was killed.
const draftAge = time.Hour

// removeDrafts removes what commands that were killed left behind: copies of the
// store, which hold no more than it does, and key files that were never used. What
// cannot be removed stays.
func removeDrafts(dir string) {
	for _, name := range []string{".new-store-*", ".compact-*", ".backup-*", ".restore-*", ".check-*", ".new-key-*"} {
		paths, _ := filepath.Glob(filepath.Join(dir, name)) // the pattern is well-formed
		for _, path := range paths {
			if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > draftAge {
				_ = os.RemoveAll(path)
			}
		}
	}
}

// checkBeside rejects a missing or empty store file beside a key file. With anew
// an empty one is removed, so that a new store is made in its place.
func checkBeside(dir string, anew bool) error {
	path := filepath.Join(dir, embedded.FileName)
	info, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	switch {
	case err != nil && !missing:
		return fmt.Errorf("looking for the store: %w", err)
	case !missing && info.Size() > 0:
		return nil
	case !missing && anew:
		return os.Remove(path)
	case anew:
		return nil
	}
	if _, err := os.Lstat(filepath.Join(dir, keyFile)); err == nil {
		state := "missing"
		if !missing {
			state = "empty"
		}
		return fmt.Errorf("%s is %s, but the key file beside it shows that there was a store. "+
			"Restore a backup with credence restore, or start with --new to begin an empty store under this key", path, state)
	}
	return nil // an empty file alone is rejected when it is opened
}

// begin reads who and which key the store is for.
func (d *data) begin(ctx context.Context, w where, anew bool) error {
	d.identity = identity.New(d.store, audit.Journal{}, time.Now)
	orgs, err := d.identity.Orgs(ctx)
	if err != nil {
		return err
	}
	d.fresh = len(orgs) == 0
	if anew && !d.fresh {
		return errors.New("there is a store already, and --new begins an empty one. " +
			"Leave out --new (or unset CREDENCE_NEW) to serve it, or choose another folder with --data")
	}
	_, keyErr := os.Lstat(filepath.Join(w.Data, keyFile))
	ring, recorded, err := credential.LoadKeyRing(ctx, d.store, orgs)
	if err != nil {
		return err
	}
	// Unless the key file belongs to the embedded store beside it.
	_, fileErr := os.Lstat(filepath.Join(w.Data, embedded.FileName))
	if w.Store == storeDynamo && d.fresh && !recorded && keyErr == nil && fileErr != nil && !anew {
		return fmt.Errorf("the tables %s-… are empty, but the key file in %s shows that there was a store. "+
			"Name its tables with --dynamodb-tables, or start with --new to begin an empty store under this key", w.DynamoTables, w.Data)
	}
	if d.keys, err = loadKeys(w.Data, ring, !d.fresh || recorded); err != nil {
		return err
	}
	d.ring = ring
	d.gate.keys = d.keys
	if !recorded {
		d.ring = credential.KeyRing{Current: d.keys.Current().ID()}
		return d.ring.Save(ctx, d.store, credential.KeyRing{})
	}
	return nil
}

func (d *data) open(ctx context.Context, w where) error {
	if w.Store == storeDynamo {
		s, err := openDynamo(ctx, w)
		d.store = s
		return err
	}
	s, err := embedded.Open(w.Data)
	if err != nil {
		return err
	}
	d.store, d.file, d.close = s, s, s
	return nil
}

// openDynamo uses AWS as the environment says or, with an endpoint on this
// machine, a local engine, whose tables it makes.
func openDynamo(ctx context.Context, w where) (store.Store, error) {
	tables := dynamo.Tables{Meta: w.DynamoTables + "-meta", Vault: w.DynamoTables + "-vault", Audit: w.DynamoTables + "-audit"}
	if w.DynamoEndpoint == "" {
		cfg, err := boot.AWS(ctx, boot.Logger(os.Stderr, slog.LevelInfo))
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

// writes is how the route of the service's health tries a write: on the embedded
// store alone, where a full disk serves reads as before. A write to DynamoDB costs.
func (d *data) writes() *health.Writes {
	if d.file == nil {
		return nil
	}
	return &health.Writes{Store: d.file, Now: time.Now, Failure: d.gate.lastFailure}
}
