package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"credence/shared/credential"
	"credence/shared/envelope/localkms"
	"credence/shared/store/embedded"
)

// restoreCommand puts a backup into a data folder that has no store.
type restoreCommand struct {
	File     string `arg:"" help:"The backup to read."`
	Identity string `placeholder:"FILE" help:"Age identity of an encrypted backup, as age-keygen writes it."`
	output   `embed:""`
	where    `embed:""`
}

// Run restores the backup and prints what was in it.
func (c *restoreCommand) Run(ctx context.Context, io streams) error {
	if err := usage("restore", c.resolve()...); err != nil {
		return err
	}
	if c.Store != storeEmbedded {
		return errOnlyEmbedded
	}
	m, err := c.restore(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, m)
	}
	_, err = fmt.Fprintf(io.out, "%s holds the store as it was on %s: %d records.\n", c.Data, m.MadeAt.Format(time.RFC3339), m.Records)
	if _, missing := os.Lstat(filepath.Join(c.Data, keyFile)); err == nil && missing != nil {
		_, err = fmt.Fprintf(io.out, "Put the key file of %s there as %q (mode 0600) before you start the server.\n", m.KeyID, keyFile)
	}
	return err
}

// restore reads the backup into a file beside its place, verifies it, and only
// then puts the key file and the store there. Nothing is written over.
func (c *restoreCommand) restore(ctx context.Context) (m manifest, err error) {
	path, keyPath := filepath.Join(c.Data, embedded.FileName), filepath.Join(c.Data, keyFile)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return m, errors.Join(err, fmt.Errorf("%s exists already, and a restore writes over nothing. Name an empty folder with --data", path))
	}
	from, err := os.Open(c.File)
	if err != nil {
		return m, fmt.Errorf("reading the backup: %w", err)
	}
	defer func() { _ = from.Close() }()
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return m, fmt.Errorf("making the data folder: %w", err)
	}
	if err := checkFolder(c.Data); err != nil {
		return m, err
	}
	work, err := os.MkdirTemp(c.Data, ".restore-*") // mode 0700
	if err != nil {
		return m, fmt.Errorf("restoring the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	draft := filepath.Join(work, embedded.FileName)
	m, key, err := unpackFile(from, c.Identity, draft)
	defer clear(key)
	if err != nil {
		return m, err
	}
	_, ring, err := soundStore(ctx, draft)
	if err != nil {
		return m, err
	}
	if err := settleKey(keyPath, filepath.Join(work, keyFile), key, ring); err != nil {
		return m, err
	}
	if err := os.Link(draft, path); err != nil {
		return m, fmt.Errorf("putting the store in its place: %w", err)
	}
	return m, syncFolder(c.Data)
}

// unpackFile unpacks a backup's store into a new file and syncs it.
func unpackFile(from *os.File, identityFile, to string) (m manifest, key []byte, err error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if m, key, err = unpack(from, identityFile, f); err != nil {
		return m, key, err
	}
	return m, key, f.Sync()
}

// settleKey puts the backup's key file in its place, or holds the one that is there
// against the store.
func settleKey(path, draft string, text []byte, ring credential.KeyRing) error {
	if _, err := os.Lstat(path); err == nil {
		there, err := localkms.Open(path, true)
		if err != nil {
			return err
		}
		if ring.Current != "" && there.ID() != ring.Current && there.ID() != ring.Previous {
			return wrongKey(path, map[string]*localkms.Key{there.ID(): there}, ring.Current)
		}
		return nil
	}
	if text == nil {
		return nil
	}
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return fmt.Errorf("restoring the key file: %w", err)
	}
	k, err := localkms.Open(draft, true)
	if err != nil || ring.Current != "" && k.ID() != ring.Current {
		return errors.Join(errBackup("its key is not the one of its store"), err)
	}
	_, err = localkms.Copy(draft, path)
	return err
}
