package localkms

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The file is one line of text: the form's name and the key in base64 (RFC 4648
// §4, padded), ended by a newline. Nothing else is read as a key.
const filePrefix = "credence-local-key-1 "

const fileSize = len(filePrefix) + 44 + 1

// Open reads the key file at path. If there is none it makes one, unless
// dataExists says that the store beside it holds secrets: those were sealed under
// a key that is lost or elsewhere, and a new one in its place would hide that.
//
// A file that others may read or write, or that belongs to another user, is
// refused. A new file has mode 0600 and appears whole or not at all; of several
// programs that make it at once one wins, and all use its key. Open may be called
// again.
func Open(path string, dataExists bool) (*Key, error) {
	fileKey, err := read(path)
	fresh := false
	if errors.Is(err, fs.ErrNotExist) {
		if dataExists {
			return nil, fmt.Errorf("opening the key file: %s is missing, but the store holds secrets sealed under its key; "+
				"put the file back from your copy, or remove the store if its secrets are not needed", path)
		}
		fresh, err = create(path)
		if err == nil {
			fileKey, err = read(path)
		}
	}
	defer clear(fileKey)
	if err != nil {
		return nil, fmt.Errorf("opening the key file: %w", err)
	}
	k, err := newKey(fileKey)
	if err != nil {
		return nil, fmt.Errorf("opening the key file: %w", err)
	}
	k.fresh = fresh
	return k, nil
}

// read checks what is open and not what the path names, which may change between
// the two. The caller clears the key.
func read(path string) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := checkAccess(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, int64(fileSize)+1))
	defer clear(text)
	if err != nil {
		return nil, err
	}
	fileKey, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return fileKey, nil
}

// parse accepts exactly one spelling of each key, so that a damaged file is not
// taken for another key.
func parse(text []byte) ([]byte, error) {
	if len(text) != fileSize || string(text[:len(filePrefix)]) != filePrefix || text[fileSize-1] != '\n' {
		return nil, fmt.Errorf("it is not one line of the form %q; put it back from your copy", filePrefix+"<44 characters>")
	}
	encoded := string(text[len(filePrefix) : fileSize-1])
	fileKey, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(fileKey) != keySize || strings.ContainsAny(encoded, "\r\n") {
		clear(fileKey)
		return nil, errors.New("its key is damaged; put it back from your copy")
	}
	return fileKey, nil
}

func spell(fileKey []byte) []byte {
	return append(base64.StdEncoding.AppendEncode([]byte(filePrefix), fileKey), '\n')
}

// create makes the file of a new key and reports whether it was this call that did.
func create(path string) (made bool, err error) {
	fileKey := make([]byte, keySize)
	_, _ = rand.Read(fileKey)
	defer clear(fileKey)
	return place(path, fileKey)
}

// place makes the file of a key and reports whether it was this call that did. It
// writes beside the path and links the whole file there: a link, unlike a rename,
// replaces nothing, and a crash leaves no half of a key under the name.
func place(path string, fileKey []byte) (made bool, err error) {
	text := spell(fileKey)
	defer clear(text)

	dir := filepath.Dir(path)
	draft, err := os.CreateTemp(dir, ".new-key-*") // O_EXCL, mode 0600
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.Remove(draft.Name())) }()
	_, err = draft.Write(text)
	if err == nil {
		err = draft.Sync()
	}
	if err := errors.Join(err, draft.Close()); err != nil {
		return false, err
	}
	if err := os.Link(draft.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		return false, err
	}
	return true, syncDir(dir)
}
