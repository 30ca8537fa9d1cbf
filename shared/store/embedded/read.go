package embedded

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

// bulkKeys is how many keys one Get may have without waiting for a turn.
const bulkKeys = 16

// turns are the reads of many keys that run at once: one less than there are cores, so
// that the parallel reads of one list leave a core for short requests.
func turns() chan struct{} { return make(chan struct{}, max(1, runtime.NumCPU()-1)) }

// turn waits until one more read of many keys may run. The function that it returns
// ends that read.
func (s *Store) turn(ctx context.Context) (end func(), err error) {
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns }, nil
	case <-ctx.Done():
		return nil, unavailable("reading items", ctx.Err())
	}
}

// checkEvery is how many items a range reads between looks at its context.
const checkEvery = 256

// view runs do on a durable snapshot.
func (s *Store) view(ctx context.Context, doing string, do func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return unavailable(doing, err)
	}
	tx, err := s.db.Begin(false)
	if err != nil {
		return unavailable(doing, err)
	}
	defer func() { _ = tx.Rollback() }() // of a reader: releases the snapshot, cannot fail
	if err := s.horizon.wait(ctx, tx.ID()); err != nil {
		return unavailable(doing, err)
	}
	return guarded(doing, func() error { return do(tx) })
}

// Get implements store.Store. All items come from one snapshot.
func (s *Store) Get(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
	if err := store.ValidateGet(keys); err != nil {
		return nil, err
	}
	items := make([]store.Item, len(keys))
	if len(keys) > bulkKeys {
		end, err := s.turn(ctx)
		if err != nil {
			return nil, err
		}
		defer end()
	}
	now := s.now()
	err := s.view(ctx, "reading items", func(tx *bolt.Tx) error {
		f := finder{tx: tx}
		for i, k := range keys {
			key, record := f.find(k)
			if record == nil {
				continue
			}
			p, expires, err := s.records.open(string(k.Table), key, record)
			if err == nil && (expires == 0 || now.Unix() < expires) {
				items[i], err = p.item(k, key, expires)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// finder looks up keys in one transaction with one cursor for each table and one
// buffer for all keys.
type finder struct {
	tx      *bolt.Tx
	cursors [len(tables)]*bolt.Cursor
	buffer  [128]byte
}

// find returns the record under a key, nil if there is none, and the key in its
// bucket, which is valid until the next call.
func (f *finder) find(k store.Key) (key, record []byte) {
	at := slices.Index(tables[:], string(k.Table))
	if f.cursors[at] == nil {
		f.cursors[at] = f.tx.Bucket([]byte(k.Table)).Cursor()
	}
	key = appendBucketKey(f.buffer[:0], k.Partition, k.Sort)
	found, record := f.cursors[at].Seek(key)
	if !bytes.Equal(found, key) {
		return key, nil
	}
	return key, record
}

// Range implements store.Store. The page comes from one snapshot.
func (s *Store) Range(ctx context.Context, r store.Range) (store.Page, error) {
	if err := store.ValidateRange(r); err != nil {
		return store.Page{}, err
	}
	r, some := r.Narrow()
	if !some {
		return store.Page{}, s.view(ctx, "reading a range", func(*bolt.Tx) error { return nil })
	}
	var p store.Page
	now := s.now()
	err := s.view(ctx, "reading a range", func(tx *bolt.Tx) error {
		w := walker{c: tx.Bucket([]byte(r.Table)).Cursor(), r: r, prefix: bucketKey(r.Partition, "")}
		n := 0
		for key, record := w.first(); key != nil && !p.More; key, record = w.next() {
			if n++; n%checkEvery == 0 && ctx.Err() != nil {
				return unavailable("reading a range", ctx.Err())
			}
			if err := s.add(&p, r, key, record, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return store.Page{}, err
	}
	return p, nil
}

// add puts an item that has not expired on the page, or says that it follows.
func (s *Store) add(p *store.Page, r store.Range, key, record []byte, now time.Time) error {
	parser, expires, err := s.records.open(string(r.Table), key, record)
	switch {
	case err != nil:
		return err
	case expires != 0 && now.Unix() >= expires:
		return nil
	case r.Limit > 0 && len(p.Items) == r.Limit:
		p.More = true
		return nil
	}
	k := store.Key{Table: r.Table, Partition: r.Partition, Sort: string(key[2+len(r.Partition):])}
	if r.KeysOnly {
		p.Items = append(p.Items, store.Item{Key: k})
		return nil
	}
	item, err := parser.item(k, key, expires)
	if err != nil {
		return err
	}
	p.Items = append(p.Items, item)
	return nil
}

// walker steps through the keys of a narrowed range in their bucket. first and next
// give nil at its end.
type walker struct {
	c      *bolt.Cursor
	r      store.Range
	prefix []byte
}

func (w walker) first() (key, record []byte) {
	if w.r.Descending {
		return w.inside(w.last())
	}
	start := max(w.r.From, w.r.After)
	k, v := w.c.Seek(append(bytes.Clone(w.prefix), start...))
	if w.r.After != "" && bytes.Equal(k, append(bytes.Clone(w.prefix), w.r.After...)) {
		k, v = w.c.Next()
	}
	return w.inside(k, v)
}

// last finds the greatest key of the range. Seek goes to the first key that is
// not less than the one asked for, so the wanted one is there or just before.
func (w walker) last() (k, v []byte) {
	bound, inclusive := w.r.To, true
	if w.r.After != "" {
		bound, inclusive = w.r.After, false
	}
	end := append(bytes.Clone(w.prefix), bound...)
	if bound == "" {
		end = behind(w.prefix)
	}
	k, v = w.c.Seek(end)
	switch {
	case k == nil:
		return w.c.Last()
	case inclusive && bytes.Equal(k, end):
		return k, v
	default:
		return w.c.Prev()
	}
}

// behind is the least key that follows every key with the prefix. A prefix
// starts with the length of its partition, at most 2048, so its first byte is
// never 0xff and there always is one.
func behind(prefix []byte) []byte {
	b := bytes.Clone(prefix)
	for i := len(b) - 1; ; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
}

func (w walker) next() (key, record []byte) {
	if w.r.Descending {
		return w.inside(w.c.Prev())
	}
	return w.inside(w.c.Next())
}

func (w walker) inside(k, record []byte) (key, _ []byte) {
	if !bytes.HasPrefix(k, w.prefix) {
		return nil, nil
	}
	sort := k[len(w.prefix):]
	if w.r.Descending && w.r.From != "" && string(sort) < w.r.From ||
		!w.r.Descending && w.r.To != "" && string(sort) > w.r.To {
		return nil, nil
	}
	return k, record
}
