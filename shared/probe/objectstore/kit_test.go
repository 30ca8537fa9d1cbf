package objectstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/objectstore"
	"credence/shared/probe/probetest"
)

// memory is a store in memory, whose lists take as many bytes as those of a
// real one would. It holds its caller to what a look may cost.
type memory struct {
	t       *testing.T
	buckets map[string]probetest.Bucket
	refuse  map[string]error                                         // by bucket, "/" and prefix
	answer  func(q objectstore.Query, page *objectstore.Page, n int) // bends the n-th answer

	mu       sync.Mutex
	asked    []string // each query
	together int
	most     int // that were under way together
	bytes    int
}

func (m *memory) List(_ context.Context, bucket string, q objectstore.Query) (objectstore.Page, error) {
	n, done := m.begin(bucket, q)
	defer done()
	if err := m.refuse[bucket+"/"+q.Prefix]; err != nil {
		return objectstore.Page{}, err
	}
	delimiter := "/"
	if q.Flat {
		delimiter = ""
	}
	keys, folders, next := m.buckets[bucket].List(q.Prefix, delimiter, q.After, q.Keys)
	page := objectstore.Page{Folders: folders, Next: next}
	for _, key := range keys {
		o := m.buckets[bucket][key]
		page.Objects = append(page.Objects, objectstore.Object{Key: key, Size: int64(len(o.Content)), Created: o.Created, Modified: o.Modified})
	}
	return m.end(q, page, n), nil
}

func (m *memory) Buckets(_ context.Context, q objectstore.Query) (objectstore.Page, error) {
	n, done := m.begin("", q)
	defer done()
	var page objectstore.Page
	for name := range m.buckets {
		page.Folders = append(page.Folders, name+"/")
	}
	return m.end(q, page, n), nil
}

func (m *memory) begin(bucket string, q objectstore.Query) (int, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q.Keys < 1 || q.Keys > 1000 || q.Bytes < 1 {
		m.t.Errorf("asked for %d keys in %d bytes", q.Keys, q.Bytes)
	}
	form := "%s/%s"
	if q.Flat {
		form += " flat"
	}
	if q.After != "" {
		form += " on"
	}
	m.asked = append(m.asked, fmt.Sprintf(form, bucket, q.Prefix))
	if m.together++; m.together > m.most {
		m.most = m.together
	}
	return len(m.asked), func() {
		time.Sleep(time.Millisecond) // so that what is asked for together is seen so
		m.mu.Lock()
		defer m.mu.Unlock()
		m.together--
	}
}

// end counts the bytes of a page and cuts it where there are too many.
func (m *memory) end(q objectstore.Query, page objectstore.Page, n int) objectstore.Page {
	for _, o := range page.Objects {
		page.Bytes += 300 + 3*len(o.Key)
	}
	for _, f := range page.Folders {
		page.Bytes += 60 + 3*len(f)
	}
	if m.answer != nil {
		m.answer(q, &page, n)
	}
	if page.Bytes > q.Bytes {
		page = objectstore.Page{Bytes: q.Bytes, Cut: true}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += page.Bytes
	return page
}

func (m *memory) Read(_ context.Context, at objectstore.Location, most int) (objectstore.Content, error) {
	if err := m.refuse[at.Bucket+"/"+at.Key+" read"]; err != nil {
		return objectstore.Content{}, err
	}
	o, ok := m.buckets[at.Bucket][at.Key]
	if !ok {
		return objectstore.Content{Missing: true}, nil
	}
	content := []byte(o.Content)
	return objectstore.Content{Bytes: content[:min(len(content), most)], More: len(content) > most, Type: o.Type}, nil
}

// tree looks at a place, and holds the look to its costs.
func (m *memory) tree(at objectstore.Location, depth int) (probe.Tree, error) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), probe.Budget)
	defer cancel()
	tree, err := objectstore.Tree(ctx, m, at, depth)
	if len(m.asked) > 13 || m.most > 4 || m.bytes > 1<<20-128<<10 {
		m.t.Errorf("%d requests, %d together, %d bytes", len(m.asked), m.most, m.bytes)
	}
	return tree, err
}

// bucketOf is a bucket of empty objects but for the size in "key:size".
func bucketOf(keys ...string) probetest.Bucket {
	b := probetest.Bucket{}
	for _, key := range keys {
		size := 0
		if at := strings.LastIndexByte(key, ':'); at >= 0 {
			_, _ = fmt.Sscan(key[at+1:], &size)
			key = key[:at]
		}
		b[key] = probetest.Stored{Content: strings.Repeat("x", size)}
	}
	return b
}

// many are keys made of a form with one number in it.
func many(n int, form string) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf(form, i)
	}
	return keys
}

func in(key string) objectstore.Location { return objectstore.Location{Bucket: "b", Key: key} }

// located reads a path of the bucket b.
func located(t *testing.T, path string) objectstore.Location {
	t.Helper()
	at, err := objectstore.Locate(path, "s3://", "b")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func count(nodes []probe.Node) int {
	n := len(nodes)
	for _, node := range nodes {
		n += count(node.Nodes)
	}
	return n
}

// found gives the node at a path of names.
func found(nodes []probe.Node, path ...string) *probe.Node {
	i := slices.IndexFunc(nodes, func(n probe.Node) bool { return n.Name == path[0] })
	switch {
	case i < 0:
		return nil
	case len(path) == 1:
		return &nodes[i]
	}
	return found(nodes[i].Nodes, path[1:]...)
}
