package main

import (
	"fmt"
	"os"
	"path/filepath"

	"credence/shared/credential"
	"credence/shared/envelope/localkms"
)

// The key files of a data folder. keyNext is there while the store is moved to it,
// and then takes the place of keyFile, which is kept under the name of oldKeyFile
// for backups that were made before.
const (
	keyFile = "key"
	keyNext = "key.next"
)

// loadKeys opens the key files that the store's record names. Without a record,
// and without data, it makes the first key. A key file that is missing beside data
// is never replaced: a new key would open none of it.
func loadKeys(dir string, ring credential.KeyRing, dataExists bool) (*localkms.Ring, error) {
	path := filepath.Join(dir, keyFile)
	if ring.Current == "" {
		k, err := localkms.Open(path, dataExists)
		if err != nil {
			return nil, err
		}
		return localkms.NewRing(k), nil
	}
	found := map[string]*localkms.Key{}
	for _, file := range []string{oldKeyFile(dir, ring.Previous), filepath.Join(dir, keyNext), path} {
		if _, err := os.Lstat(file); err != nil && (file != path || found[ring.Current] != nil) {
			continue // the first two are there during a move, path is not between the renames of its end
		}
		k, err := localkms.Open(file, true)
		if err != nil {
			return nil, err
		}
		found[k.ID()] = k
	}
	current, previous := found[ring.Current], found[ring.Previous]
	switch {
	case current == nil:
		return nil, wrongKey(path, found, ring.Current)
	case ring.Previous == "":
		return localkms.NewRing(current), nil
	case previous == nil:
		return nil, wrongKey(path, found, ring.Previous)
	}
	return localkms.NewRing(current, previous), nil
}

func wrongKey(path string, found map[string]*localkms.Key, wanted string) error {
	has := ""
	for id := range found {
		has += " " + id
	}
	return fmt.Errorf("%s holds the key%s, and the secrets in the store are sealed under the key %s. "+
		"Put the key file of this store back in its place, or choose the data folder that belongs to this key with --data", path, has, wanted)
}
