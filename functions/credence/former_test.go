package main

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"credence/shared/store/embedded"
)

// formerStore is a data folder with the store's file of the release before, with
// credentials, versions, references, probes, a deleted credential and two
// organisations, and no key file: testdata/format1.key is its key.
func formerStore(t *testing.T) string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "shared", "store", "embedded", "testdata", "format1.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, embedded.FileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
