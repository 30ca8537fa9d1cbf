package probetest

import (
	"slices"
	"strings"
	"time"
)

// Bucket is a bucket of objects by key, as doubles of object stores keep it.
type Bucket map[string]Stored

// Stored is one object.
type Stored struct {
	Content           string
	Type              string
	Created, Modified time.Time
}

// List lists as the documents of Amazon and Google say: in the order of bytes,
// what goes on behind the next delimiter rolled up into one prefix that ends
// with it, at most that many of both. Next, "" at the end, is the page's last
// entry, behind which another page begins.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
// https://docs.cloud.google.com/storage/docs/json_api/v1/objects/list
func (b Bucket) List(prefix, delimiter, after string, most int) (keys, folders []string, next string) {
	var all []string
	for key := range b {
		if strings.HasPrefix(key, prefix) {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	last := ""
	for _, key := range all {
		entry, rolled := key, false
		if at := strings.Index(key[len(prefix):], delimiter); delimiter != "" && at >= 0 {
			entry, rolled = key[:len(prefix)+at+len(delimiter)], true
		}
		if entry <= after || entry == last && rolled {
			continue
		}
		if len(keys)+len(folders) == most {
			return keys, folders, last
		}
		if last = entry; rolled {
			folders = append(folders, entry)
		} else {
			keys = append(keys, entry)
		}
	}
	return keys, folders, ""
}
