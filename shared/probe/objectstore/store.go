// Package objectstore is what the probers of object stores have in common when
// they look into one. Such a store has no folders: its keys are texts, and what
// a "/" ends is called a folder. The tree is made of keys within what a probe
// may ask and read, and a file's beginning is told from its content.
package objectstore

import (
	"context"
	"time"

	"credence/shared/probe"
)

// Store is asked for lists and objects, by many goroutines at once. Its errors
// are Findings. What is there but may not be looked at is WarnScopeMissing,
// what is not there WarnResourceNotFound, a store that cannot serve
// CodeRateLimited or CodeTargetUnavailable: these leave no failed stage behind,
// so that a tree without it can still be shown. All others do.
type Store interface {
	// Buckets gives one page of the buckets, as folders. The query has neither
	// prefix nor depth.
	Buckets(ctx context.Context, q Query) (Page, error)
	// List gives one page of what lies under a prefix; where nothing does, an
	// empty one. The bucket's name may be the store's own word.
	List(ctx context.Context, bucket string, q Query) (Page, error)
	// Read gives the beginning of an object, most bytes of it.
	Read(ctx context.Context, at Location, most int) (Content, error)
}

// Query is what is asked of a list.
type Query struct {
	Prefix string // "", or a key's beginning
	Flat   bool   // all keys, not only those up to the next "/"
	After  string // Page.Next of the page before; "" for the first
	Keys   int    // at most, 1 to maxKeys
	Bytes  int    // of the answer, at most
}

// Page is one answer to a Query.
type Page struct {
	Objects []Object
	Folders []string // prefixes that go on behind the next "/", with it
	Next    string   // "" on the last page
	Bytes   int      // of the answer
	Lost    bool     // there is more, and no Next to ask for it by
	Cut     bool     // it was longer than was asked for, and nothing of it is here
}

// empty reports whether a page has nothing, and says that there may be more.
func (p Page) empty() bool { return len(p.Objects)+len(p.Folders) == 0 && p.Next != "" }

// begin asks for pages until one has something: Google's may be empty though
// more come. https://docs.cloud.google.com/storage/docs/json_api/v1/objects/list
func begin(q Query, list func(Query) (Page, error)) (Page, error) {
	page, err := list(q)
	for n := 1; n < maxEmpty && err == nil && page.empty(); n++ {
		q.After = page.Next
		page, err = list(q)
	}
	return page, err
}

// maxEmpty is how many such pages are asked for in a row.
const maxEmpty = 3

// Object is one entry of a list.
type Object struct {
	Key               string
	Size              int64 // in bytes
	Created, Modified time.Time
}

// Content is the beginning of an object.
type Content struct {
	Bytes   []byte
	More    bool   // there is more
	Type    string // as the store tells it; "" for nothing
	Missing bool   // there is no such object
}

var (
	errForeign  = probe.Found(probe.CodeProtocolMismatch, "The store lists what it was not asked for. Check the address, and that it is an object store's own.")
	errNotThere = probe.Found(probe.WarnResourceNotFound, "There is no file and no folder at this path. Look at the tree of the folder above it; upper and lower case count.").Asked(probe.AskedPath)
	errFolder   = probe.Found(probe.WarnResourceNotFound, "This is a folder, and none of its first keys is a file. Name a file in it, as its tree shows them.").Asked(probe.AskedPath)
)
