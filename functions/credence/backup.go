package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"credence/shared/envelope/localkms"
	"credence/shared/store/embedded"
)

// backupCommand writes a consistent copy of the store, while the server runs or
// not.
type backupCommand struct {
	File      string   `arg:"" help:"The backup to write; it must not exist."`
	WithKey   bool     `help:"Put the key file into the backup too, which then opens every secret; needs --recipient."`
	Recipient []string `placeholder:"AGE1…" help:"Encrypt the backup to this age recipient; may be repeated."`
	output    `embed:""`
	where     `embed:""`
}

// Run writes the backup and prints what is in it.
func (c *backupCommand) Run(ctx context.Context, io streams) error {
	problems := c.resolve()
	if c.WithKey && len(c.Recipient) == 0 {
		problems = append(problems, "--with-key needs --recipient: a backup that opens every secret must be encrypted.")
	}
	recipients, err := parseRecipients(c.Recipient)
	if err != nil {
		problems = append(problems, "--recipient: "+err.Error()+".")
	}
	if err := usage("backup", problems...); err != nil {
		return err
	}
	if c.Store != storeEmbedded {
		return errOnlyEmbedded
	}
	m, err := c.write(ctx, recipients)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, m)
	}
	_, err = fmt.Fprintf(io.out, "%s: %d records, %d bytes, made %s.\n", c.File, m.Records, m.Bytes, m.MadeAt.Format(time.RFC3339))
	if err == nil && !m.WithKey {
		_, err = fmt.Fprintf(io.out, "The key file is not in it. Keep a copy of the key %s apart: without it no secret in the backup can be opened.\n", m.KeyID)
	}
	return err
}

func parseRecipients(texts []string) ([]age.Recipient, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	recipients, err := age.ParseRecipients(strings.NewReader(strings.Join(texts, "\n")))
	if err != nil {
		return nil, errors.New("it must be an age recipient, such as age-keygen prints (age1…)")
	}
	return recipients, nil
}

// write makes the backup beside its place, verifies the store in it, and links it
// there: what is under the name is whole, and nothing is written over.
func (c *backupCommand) write(ctx context.Context, recipients []age.Recipient) (m manifest, err error) {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return m, err
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return m, errors.Join(err, fmt.Errorf("%s exists already. Name a file that does not", c.File))
	}
	work, err := os.MkdirTemp(filepath.Dir(path), ".backup-*") // mode 0700, on the disk that takes the backup
	if err != nil {
		return m, fmt.Errorf("making the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied := filepath.Join(work, embedded.FileName)
	if err := snapshot(ctx, c.where, copied); err != nil {
		return m, err
	}
	if m, err = describeStore(ctx, copied); err != nil {
		return m, err
	}
	var key []byte
	if c.WithKey {
		if key, err = keyText(c.Data, m); err != nil {
			return m, err
		}
		defer clear(key)
	}
	draft := filepath.Join(work, "backup")
	if err := packFile(draft, copied, key, recipients, m); err != nil {
		return m, fmt.Errorf("writing the backup: %w", err)
	}
	m.WithKey = key != nil
	if err := os.Link(draft, path); err != nil {
		return m, fmt.Errorf("putting the backup in its place: %w", err)
	}
	return m, syncFolder(filepath.Dir(path))
}

// describeStore verifies a store's file and describes what is in it.
func describeStore(ctx context.Context, path string) (manifest, error) {
	report, ring, err := soundStore(ctx, path)
	return manifest{
		MadeAt: time.Now().UTC().Truncate(time.Second), MadeBy: version, StoreFormat: report.Format, Records: report.Items,
		Bytes: report.Bytes, KeyID: ring.Current, PreviousKey: ring.Previous,
	}, err
}

// keyText reads the key file that the store needs. While a store is moved to
// another key it needs two, and a backup holds one.
func keyText(dir string, m manifest) ([]byte, error) {
	if m.PreviousKey != "" {
		return nil, errors.New("the store is being moved to another key. Finish that with credence rekey, then make the backup")
	}
	path := filepath.Join(dir, keyFile)
	k, err := localkms.Open(path, true)
	if err != nil {
		return nil, err
	}
	if m.KeyID != "" && k.ID() != m.KeyID {
		return nil, wrongKey(path, map[string]*localkms.Key{k.ID(): k}, m.KeyID)
	}
	return os.ReadFile(path)
}

// packFile writes the backup into a new file and syncs it.
func packFile(path, db string, key []byte, recipients []age.Recipient, m manifest) (err error) {
	from, err := os.Open(db)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var w io.WriteCloser = f
	if len(recipients) > 0 {
		if w, err = age.Encrypt(f, recipients...); err != nil {
			return err
		}
	}
	if err := pack(w, from, key, m); err != nil {
		return err
	}
	if len(recipients) > 0 {
		if err := w.Close(); err != nil {
			return err
		}
	}
	return f.Sync()
}

// syncFolder makes the names in a folder as durable as what they name.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
