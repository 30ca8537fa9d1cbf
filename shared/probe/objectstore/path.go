package objectstore

import (
	"strings"

	"credence/shared/probe"
)

// Location is what a path names.
type Location struct {
	Bucket string // "" for the list of buckets
	Key    string // of an object or, up to a "/", of a folder; "" for the whole bucket
	Named  bool   // Key begins with the bucket's own name, which may stand for the bucket
}

// unnamed is the location without the bucket's name before its key.
func (l Location) unnamed() Location {
	_, key, _ := strings.Cut(l.Key, "/")
	return Location{Bucket: l.Bucket, Key: key}
}

// Locate reads a path: a key of the credential's bucket, or, where it names
// none, a bucket and a key of it. One "/" before it is left out; scheme
// ("s3://") may stand before a bucket and its key in both cases. Everything
// behind that is the key, as it stands; one that begins with the name of the
// credential's bucket is Named. The error is a Finding, and another bucket than
// the credential's is one.
func Locate(path, scheme, bucket string) (Location, error) {
	rest, full := strings.CutPrefix(path, scheme)
	if !full {
		rest = strings.TrimPrefix(path, "/")
	}
	if bucket != "" && !full {
		first, _, _ := strings.Cut(rest, "/")
		return within(Location{bucket, rest, first == bucket})
	}
	first, key, _ := strings.Cut(rest, "/")
	if bucket != "" && first != bucket {
		return Location{}, probe.Found(probe.WarnScopeMissing, "The credential is for another bucket, so nothing was asked. Leave the bucket out of the path, or use a credential for it.").Asked(probe.AskedPath)
	}
	return within(Location{Bucket: first, Key: key})
}

// maxKey is the limit of both Amazon and Google, in bytes.
const maxKey = 1024

func within(l Location) (Location, error) {
	if len(l.Key) > maxKey {
		return Location{}, errNotThere
	}
	return l, nil
}

// asFolder is the prefix of what lies in a folder.
func asFolder(key string) string {
	if key == "" || strings.HasSuffix(key, "/") {
		return key
	}
	return key + "/"
}
