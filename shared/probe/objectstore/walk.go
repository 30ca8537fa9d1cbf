package objectstore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
)

// What one tree may cost. An attempt dials 16 times and reads 1 MiB; of the
// dials some are for a sign-in, of the bytes some for TLS and headers.
const (
	maxRequests = 12
	maxTogether = 4
	maxKeys     = 1000
	maxPage     = 448 << 10
	maxBytes    = netguard.MaxRead - 160<<10
	// longEntry is what a key of 1,024 bytes takes in a list, each byte
	// written as %XX, with all that is told of it.
	longEntry = 3584
	onePage   = 4 * longEntry // more than a list of one key takes
)

// walk makes a tree of pages.
type walk struct {
	store  Store
	bucket string // "" where a key's first segment names it
	tree   *forest
	until  time.Time // no request begins later

	requests int             // still allowed
	bytes    int             // still allowed, of answers
	entry    int             // bytes that an entry took, at most, on the average of a page
	fresh    []Query         // folders not yet looked at
	further  []Query         // pages behind those that came
	seen     map[string]bool // folders that were ever in fresh
	partial  bool            // something there is not in the tree
}

// Tree lists what lies at a place, depth levels deep. Up to depth 1 it asks
// level by level; deeper, it first asks for all keys at once, since many a
// place has few enough for one answer. Folders that may not be listed, and what
// neither the requests nor the bytes of an attempt reach, are left out, and the
// tree says that it is truncated. A path is read as it stands first; where nothing
// is there and it begins with the bucket's own name, without that. The error is a
// Finding.
func Tree(ctx context.Context, s Store, at Location, depth int) (probe.Tree, error) {
	w := &walk{store: s, until: half(ctx), requests: maxRequests, bytes: maxBytes}
	tree, err := w.look(ctx, at, depth)
	if at.Named && errors.Is(err, errNotThere) && w.requests > 0 {
		return w.look(ctx, at.unnamed(), depth)
	}
	return tree, err
}

// look makes the tree of a place, within what is left of the walk's requests and
// bytes.
func (w *walk) look(ctx context.Context, at Location, depth int) (probe.Tree, error) {
	w.bucket, w.tree, w.seen = at.Bucket, newForest(asFolder(at.Key), depth), map[string]bool{}
	if err := w.first(ctx, at.Bucket != "" && depth > 1); err != nil {
		return probe.Tree{}, err
	}
	for w.goesOn() {
		if err := w.round(ctx); err != nil {
			return probe.Tree{}, err
		}
	}
	truncated := w.partial || w.tree.full || len(w.fresh)+len(w.further) > 0
	if at.Key != "" && !w.tree.known && !truncated {
		return w.single(ctx, at.Key)
	}
	return probe.Tree{Nodes: w.tree.nodes(), Truncated: truncated}, nil
}

// half is the middle of the time that is left, so that what began earlier has
// as long again to end.
func half(ctx context.Context) time.Time {
	now := time.Now()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = now.Add(probe.Budget)
	}
	return now.Add(deadline.Sub(now) / 2)
}

// first asks for the first page: of all keys (flat), or of the root's own
// level. Where its keys are so long that the answer is too, it asks for fewer.
func (w *walk) first(ctx context.Context, flat bool) error {
	q := Query{Prefix: w.tree.root, Flat: flat, Keys: maxKeys, Bytes: maxPage}
	page, err := w.begin(ctx, q)
	if err == nil && page.Cut {
		q.Keys = maxPage / longEntry
		page, err = w.begin(ctx, q)
	}
	if err != nil {
		return err
	}
	if page.Cut {
		return errForeign // more than so few keys can take
	}
	if err := w.take(q, page); err != nil {
		return err
	}
	if flat && page.Next != "" {
		w.fresh = append(w.fresh, Query{Prefix: w.tree.root})
	}
	return nil
}

// begin gives the first page with something on it, and keeps count of those
// before.
func (w *walk) begin(ctx context.Context, q Query) (Page, error) {
	return begin(q, func(q Query) (Page, error) {
		w.requests--
		page, err := w.ask(ctx, q)
		w.bytes -= page.Bytes
		return page, err
	})
}

func (w *walk) ask(ctx context.Context, q Query) (Page, error) {
	if w.bucket != "" {
		return w.store.List(ctx, w.bucket, q)
	}
	if q.Prefix == "" {
		return w.store.Buckets(ctx, q)
	}
	bucket, prefix, _ := strings.Cut(q.Prefix, "/")
	q.Prefix = prefix
	page, err := w.store.List(ctx, bucket, q)
	for i := range page.Objects {
		page.Objects[i].Key = bucket + "/" + page.Objects[i].Key
	}
	for i := range page.Folders {
		page.Folders[i] = bucket + "/" + page.Folders[i]
	}
	return page, err
}

// goesOn reports whether there is something to ask for, and enough left to ask.
func (w *walk) goesOn() bool {
	return len(w.fresh)+len(w.further) > 0 && w.requests > 0 && w.bytes >= 2*longEntry && !w.tree.full && time.Now().Before(w.until)
}

// batch takes what is to be asked for side by side. One page is what is behind
// another that came, the others are of folders that were never looked at, as
// far as there are such: a folder of very many is not shown without those
// beside it, nor without what is in them.
func (w *walk) batch() []Query {
	var batch []Query
	from := func(queue *[]Query, most int) {
		n := min(len(*queue), most, maxTogether-len(batch), w.requests-len(batch))
		batch = append(batch, (*queue)[:n]...)
		*queue = (*queue)[n:]
	}
	from(&w.further, 1)
	from(&w.fresh, maxTogether)
	from(&w.further, maxTogether)
	return batch
}

// round asks for a few pages side by side.
func (w *walk) round(ctx context.Context) error {
	batch := w.batch()
	share := min(w.bytes/len(batch), maxPage)
	pages, errs := make([]Page, len(batch)), make([]error, len(batch))
	var together sync.WaitGroup
	for i := range batch {
		q := &batch[i]
		q.Bytes, q.Keys = share, w.keys(share)
		together.Go(func() { pages[i], errs[i] = w.ask(ctx, *q) })
	}
	together.Wait()
	w.requests -= len(batch)
	for i, page := range pages {
		w.bytes -= page.Bytes
		if errs[i] != nil {
			if err := w.forgive(errs[i]); err != nil {
				return err
			}
			continue
		}
		if page.Cut {
			w.partial = true
			continue
		}
		if err := w.take(batch[i], page); err != nil {
			return err
		}
	}
	return nil
}

// keys is how many of them fit into an answer, going by those that came and
// leaving room for longer ones.
func (w *walk) keys(bytes int) int {
	entry := 2 * w.entry
	if entry == 0 {
		entry = longEntry
	}
	return min(max(bytes/entry, 1), maxKeys)
}

// forgive lets a tree be shown without what the store would not list now: nil
// if it would not. A store that asks to be left alone is.
func (w *walk) forgive(err error) error {
	var f probe.Finding
	if !errors.As(err, &f) {
		return err
	}
	switch f.Code {
	case probe.CodeRateLimited, probe.CodeTargetUnavailable:
		w.requests = 0
	case probe.WarnScopeMissing, probe.WarnResourceNotFound:
	default:
		return err
	}
	w.partial = true
	return nil
}

// take puts a page into the tree, and what is behind it into the queues.
func (w *walk) take(q Query, page Page) error {
	for _, o := range page.Objects {
		if !strings.HasPrefix(o.Key, q.Prefix) || o.Size < 0 {
			return errForeign
		}
		w.tree.add(o)
	}
	for _, prefix := range page.Folders {
		if len(prefix) <= len(q.Prefix) || !strings.HasPrefix(prefix, q.Prefix) || !strings.HasSuffix(prefix, "/") {
			return errForeign
		}
		w.tree.addFolder(prefix)
		if w.tree.level(prefix) < w.tree.depth && !w.seen[prefix] {
			w.seen[prefix] = true
			w.fresh = append(w.fresh, Query{Prefix: prefix})
		}
	}
	w.partial = w.partial || page.Lost
	if n := len(page.Objects) + len(page.Folders); n > 0 {
		w.entry = max(w.entry, page.Bytes/n)
	}
	if page.Next != "" && !q.Flat {
		w.further = append(w.further, Query{Prefix: q.Prefix, After: page.Next})
	}
	return nil
}

// single is the tree of a path that is no folder: the one file that it names.
// A store lists keys in their order, so that it comes first of all that begin
// like it.
func (w *walk) single(ctx context.Context, key string) (probe.Tree, error) {
	if strings.HasSuffix(key, "/") {
		return probe.Tree{}, errNotThere
	}
	page, err := w.begin(ctx, Query{Prefix: key, Keys: 1, Bytes: onePage})
	switch {
	case err != nil:
		return probe.Tree{}, err
	case len(page.Objects) == 0 || page.Objects[0].Key != key:
		return probe.Tree{}, errNotThere
	}
	return probe.Tree{Nodes: []probe.Node{file(key[strings.LastIndexByte(key, '/')+1:], page.Objects[0])}}, nil
}
