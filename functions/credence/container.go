package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/store/embedded"
)

// A backup is a tar file of
//
//	credence.db     the store
//	key             the key file, if it was asked for
//	manifest.json   what the two are, with the SHA-256 of the store; last, so that
//	                a backup that is cut off has none
//
// and, if it was made for recipients, encrypted with age (age-encryption.org/v1).
// One with a key file always is.
const (
	entryKey      = "key"
	entryManifest = "manifest.json"
	agePrefix     = "age-encryption.org/v1\n"
	backupFormat  = 1
)

// manifest describes a backup.
type manifest struct {
	Format      int       `json:"format"`
	MadeAt      time.Time `json:"made_at"`
	MadeBy      string    `json:"made_by"` // the version of Credence
	StoreFormat int       `json:"store_format"`
	Records     int       `json:"records"`
	Bytes       int64     `json:"bytes"`
	SHA256      string    `json:"sha256"`
	KeyID       string    `json:"key_id"`                   // the key file that the store needs
	PreviousKey string    `json:"previous_key_id,omitzero"` // and another, in the middle of a rekey
	WithKey     bool      `json:"with_key"`
}

// pack writes a backup of a store's file; key is the text of the key file, or nil.
func pack(w io.Writer, db *os.File, key []byte, m manifest) error {
	t := tar.NewWriter(w)
	head := func(name string, size int64) error {
		return t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: m.MadeAt, Format: tar.FormatPAX})
	}
	if err := head(embedded.FileName, m.Bytes); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(t, sum), db, m.Bytes); err != nil {
		return err
	}
	m.SHA256, m.WithKey, m.Format = hex.EncodeToString(sum.Sum(nil)), key != nil, backupFormat
	if key != nil {
		if err := head(entryKey, int64(len(key))); err != nil {
			return err
		}
		if _, err := t.Write(key); err != nil {
			return err
		}
	}
	text, err := json.Marshal(m, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	if err := head(entryManifest, int64(len(text))); err != nil {
		return err
	}
	if _, err := t.Write(text); err != nil {
		return err
	}
	return t.Close()
}

// errNeedsIdentity reports a backup that is encrypted.
var errNeedsIdentity = errors.New("the backup is encrypted. Name the file of an age identity that it was made for with --identity")

// unpack reads a backup, writes its store to db and returns the rest. What it
// returns without an error is whole: every byte of the store is covered by the
// manifest's digest.
func unpack(r io.Reader, identityFile string, db io.Writer) (manifest, []byte, error) {
	b := bufio.NewReader(r)
	if start, _ := b.Peek(len(agePrefix)); string(start) == agePrefix {
		clear, err := decrypt(b, identityFile)
		if err != nil {
			return manifest{}, nil, err
		}
		return unpackTar(clear, db)
	}
	return unpackTar(b, db)
}

func decrypt(r io.Reader, identityFile string) (io.Reader, error) {
	if identityFile == "" {
		return nil, errNeedsIdentity
	}
	f, err := os.Open(identityFile)
	if err != nil {
		return nil, fmt.Errorf("reading the age identity: %w", err)
	}
	defer func() { _ = f.Close() }()
	identities, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("%s is not a file of age identities, as age-keygen makes it", identityFile)
	}
	clear, err := age.Decrypt(r, identities...)
	if err != nil {
		return nil, fmt.Errorf("the identity in %s does not open this backup, or the backup is damaged", identityFile)
	}
	return clear, nil
}

// errBackup reports a file that is no whole backup.
func errBackup(problem string) error {
	return fmt.Errorf("the backup cannot be used: %s. Take another copy of it", problem)
}

func unpackTar(r io.Reader, db io.Writer) (m manifest, key []byte, err error) {
	t := tar.NewReader(r)
	sum, size := sha256.New(), int64(-1)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return m, key, errBackup("it ends before its manifest")
		}
		if err != nil {
			return m, key, errBackup("it is damaged, cut off, or no backup of credence")
		}
		switch {
		case h.Name == embedded.FileName && size < 0:
			if size, err = io.Copy(io.MultiWriter(db, sum), t); err != nil { //nolint:gosec // a tar file is not compressed
				return m, key, unreadable(err)
			}
		case h.Name == entryKey && key == nil:
			if key, err = io.ReadAll(io.LimitReader(t, 4<<10)); err != nil {
				return m, key, unreadable(err)
			}
		case h.Name == entryManifest:
			text, err := io.ReadAll(io.LimitReader(t, 64<<10))
			if err != nil {
				return m, key, unreadable(err)
			}
			if err := json.Unmarshal(text, &m); err != nil {
				return m, key, errBackup("its manifest is damaged")
			}
			return m, key, m.hold(size, hex.EncodeToString(sum.Sum(nil)), key != nil)
		default:
			return m, key, errBackup("it holds something else than a backup does")
		}
	}
}

// unreadable keeps an error of the disk and replaces any other.
func unreadable(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return err
	}
	return errBackup("it is damaged or cut off")
}

func (m manifest) hold(size int64, sum string, withKey bool) error {
	switch {
	case m.Format > backupFormat:
		return fmt.Errorf("a newer version of Credence (%s) made this backup. Restore it with that version", m.MadeBy)
	case m.Bytes != size || m.SHA256 != sum || m.WithKey != withKey || m.Format != backupFormat:
		return errBackup("its content is not what its manifest says")
	}
	return nil
}

// isBackup reports whether a file is a backup and no store's file.
func isBackup(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	start := make([]byte, 512)
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, err
	}
	start = start[:n]
	return bytes.HasPrefix(start, []byte(agePrefix)) || n > 262 && string(start[257:262]) == "ustar", nil
}
