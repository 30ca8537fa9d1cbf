package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// A file of bbolt (format 2 of it) is a row of pages of equal size, integers in the
// byte order of the machine:
//
//	page     id u64 | flags u16 | count u16 | overflow u32, then what the flags say
//	meta     magic u32 | 2 u32 | page size u32 | u32 | root u64 | u64 | freelist u64 |
//	         high-water mark u64 | transaction u64 | FNV-1a of all before, u64
//	branch   count × (position u32 | key size u32 | page u64), then the keys
//	leaf     count × (flags u32 | position u32 | key size u32 | value size u32), then keys and values
//	freelist count × u64, or 0xffff and the count as the first of them
//
// A position counts from the element's own beginning. A page with an overflow of n
// takes the n pages behind it too. Pages 0 and 1 are metas, of which the one with
// the greater transaction counts. A bucket is a leaf element with flag 1, whose
// value is its root page u64 | u64, and, if the root is 0, its only page.
//
// The engine maps the file into memory and trusts every position and count in it.
// This walk reads the file with system calls and trusts none, so it may be given
// any file; what it accepts, the engine can read without a panic or a fault.
const (
	pageHeader   = 16
	metaSize     = 64
	elementSize  = 16
	bucketHeader = 16

	flagBranch, flagLeaf, flagMeta, flagFreelist = 1, 2, 4, 16

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	maxDepth    = 64
)

var order = binary.NativeEndian

type meta struct {
	pageSize              int64
	root, freelist, pages uint64
	transaction           uint64
}

// walk is one pass over a file.
type walk struct {
	file io.ReaderAt
	size int64
	meta meta
	used []uint64 // a bit for each page that the walk came across

	// bucket is called at the beginning of each bucket, item for each key in it.
	// The slices are the caller's only until item returns.
	bucket func(name string)
	item   func(name string, key, value []byte) error
	// page is called after each page with its size, and may end the walk.
	page func(n int64) error
}

// run walks the metas, the buckets and the list of free pages.
func (w *walk) run() error {
	if err := w.readMetas(); err != nil {
		return err
	}
	w.used = make([]uint64, w.meta.pages/64+1)
	w.used[0] = 3
	if err := w.tree(w.meta.root, bounds{}, 0, w.rootElement); err != nil {
		return err
	}
	return w.freePages()
}

// readMetas wants both metas whole and one transaction apart, as every commit
// leaves them. The engine would go on from the other one if the newer were
// damaged, and silently lose the last commit.
func (w *walk) readMetas() error {
	first, err := w.readMeta(0)
	if err != nil {
		return fmt.Errorf("page 0: %w", err)
	}
	if first.pageSize < 1<<10 || first.pageSize > 1<<24 || first.pageSize&(first.pageSize-1) != 0 {
		return errors.New("page 0: the page size is not valid")
	}
	second, err := w.readMeta(first.pageSize)
	if err != nil {
		return fmt.Errorf("page 1: %w", err)
	}
	w.meta = first
	older := second
	if second.transaction > first.transaction {
		w.meta, older = second, first
	}
	if older.transaction+1 != w.meta.transaction || older.pageSize != w.meta.pageSize {
		return errors.New("pages 0 and 1 do not belong together: one of them is older than the last commit")
	}
	// Divided, since the product may overflow.
	if have := uint64(w.size / w.meta.pageSize); w.meta.pages > have || w.meta.pages < 4 {
		return fmt.Errorf("the file is cut off: it has %d pages of %d", have, w.meta.pages)
	}
	return nil
}

func (w *walk) readMeta(at int64) (meta, error) {
	b := make([]byte, pageHeader+metaSize)
	if _, err := w.file.ReadAt(b, at); err != nil {
		return meta{}, cutOff(err)
	}
	m := b[pageHeader:]
	if order.Uint32(m) != boltMagic || order.Uint32(m[4:]) != boltVersion {
		return meta{}, errors.New("it does not begin as a database")
	}
	h := fnv.New64a()
	_, _ = h.Write(m[:metaSize-8])
	if h.Sum64() != order.Uint64(m[metaSize-8:]) {
		return meta{}, errors.New("its checksum is wrong")
	}
	return meta{
		pageSize: int64(order.Uint32(m[8:])), root: order.Uint64(m[16:]), freelist: order.Uint64(m[32:]),
		pages: order.Uint64(m[40:]), transaction: order.Uint64(m[48:]),
	}, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is cut off")
	}
	return err
}

// read reads a page with what overflows from it, and marks it as used.
func (w *walk) read(id uint64) ([]byte, error) {
	head := make([]byte, pageHeader)
	if id < 2 || id >= w.meta.pages {
		return nil, fmt.Errorf("page %d is out of the file's range", id)
	}
	at := int64(id) * w.meta.pageSize
	if _, err := w.file.ReadAt(head, at); err != nil {
		return nil, cutOff(err)
	}
	n := uint64(order.Uint32(head[12:])) + 1
	if order.Uint64(head) != id || n > w.meta.pages-id {
		return nil, fmt.Errorf("page %d: its head is damaged", id)
	}
	for i := id; i < id+n; i++ {
		if err := w.use(i); err != nil {
			return nil, err
		}
	}
	b := make([]byte, int64(n)*w.meta.pageSize)
	if _, err := w.file.ReadAt(b, at); err != nil {
		return nil, cutOff(err)
	}
	return b, w.page(int64(len(b)))
}

func (w *walk) use(id uint64) error {
	bit := uint64(1) << (id % 64)
	if w.used[id/64]&bit != 0 {
		return fmt.Errorf("page %d is in use twice", id)
	}
	w.used[id/64] |= bit
	return nil
}

// bounds are the keys between which a page's keys lie: from the first, which is
// inclusive, to the last, which is not; nil is open.
type bounds struct{ from, to []byte }

// element is called for each element of a leaf.
type element func(flags uint32, key, value []byte) error

// tree walks a page and all below it.
func (w *walk) tree(id uint64, within bounds, depth int, each element) error {
	b, err := w.read(id)
	switch {
	case err != nil:
		return err
	case depth > maxDepth:
		return fmt.Errorf("page %d lies too deep", id)
	}
	switch order.Uint16(b[8:]) {
	case flagLeaf:
		err = leaf(b, within, each)
	case flagBranch:
		err = w.branch(b, within, depth, each)
	default:
		err = fmt.Errorf("page %d is of a wrong kind", id)
	}
	return err
}

func (w *walk) branch(b []byte, within bounds, depth int, each element) error {
	id, n := order.Uint64(b), int(order.Uint16(b[10:]))
	keys, pages := make([][]byte, n), make([]uint64, n)
	for i := range n {
		e := pageHeader + i*elementSize
		if e+elementSize > len(b) {
			return fmt.Errorf("page %d: it holds less than it says", id)
		}
		key, ok := cut(b, e, order.Uint32(b[e:]), order.Uint32(b[e+4:]), n)
		if !ok || !within.hold(key) {
			return fmt.Errorf("page %d: its keys are damaged", id)
		}
		keys[i], pages[i] = key, order.Uint64(b[e+8:])
		within.from = append(bytes.Clone(key), 0)
	}
	if n == 0 {
		return fmt.Errorf("page %d: it is empty", id)
	}
	for i := range n {
		below := bounds{from: keys[i], to: within.to}
		if i+1 < n {
			below.to = keys[i+1]
		}
		if err := w.tree(pages[i], below, depth+1, each); err != nil {
			return err
		}
	}
	return nil
}

// hold reports whether a key lies within the bounds.
func (b bounds) hold(key []byte) bool {
	return len(key) > 0 && bytes.Compare(key, b.from) >= 0 && (b.to == nil || bytes.Compare(key, b.to) < 0)
}

func leaf(b []byte, within bounds, each element) error {
	id, n := order.Uint64(b), int(order.Uint16(b[10:]))
	for i := range n {
		e := pageHeader + i*elementSize
		if e+elementSize > len(b) {
			return fmt.Errorf("page %d: it holds less than it says", id)
		}
		position, keySize, valueSize := order.Uint32(b[e+4:]), order.Uint32(b[e+8:]), order.Uint32(b[e+12:])
		key, ok := cut(b, e, position, keySize, n)
		if !ok || !within.hold(key) {
			return fmt.Errorf("page %d: its keys are damaged", id)
		}
		value, ok := cut(b, e+len(key), position, valueSize, n)
		if !ok {
			return fmt.Errorf("page %d: its values are damaged", id)
		}
		if err := each(order.Uint32(b[e:]), key, value); err != nil {
			return err
		}
		within.from = append(bytes.Clone(key), 0)
	}
	return nil
}

// cut is size bytes of a page, at a position behind the element at e. They lie
// behind all n elements.
func cut(b []byte, e int, position, size uint32, n int) ([]byte, bool) {
	from := int64(e) + int64(position)
	to := from + int64(size)
	if from < int64(pageHeader+n*elementSize) || to > int64(len(b)) {
		return nil, false
	}
	return b[from:to:to], true
}

// rootElement walks the bucket that an element of the root names.
func (w *walk) rootElement(flags uint32, key, value []byte) error {
	if flags != 1 || len(value) < bucketHeader {
		return fmt.Errorf("the list of tables is damaged")
	}
	name := string(key)
	w.bucket(name)
	each := func(flags uint32, key, value []byte) error {
		if flags != 0 {
			return fmt.Errorf("an item of the table %s is damaged", name)
		}
		return w.item(name, key, value)
	}
	if root := order.Uint64(value); root != 0 {
		return w.tree(root, bounds{}, 0, each)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != flagLeaf {
		return fmt.Errorf("the table %s is damaged", name)
	}
	return leaf(inline, bounds{}, each)
}

// freePages reads the list of free pages: the engine writes over each of them.
func (w *walk) freePages() error {
	b, err := w.read(w.meta.freelist)
	if err != nil {
		return fmt.Errorf("reading the list of free pages: %w", err)
	}
	n, from := uint64(order.Uint16(b[10:])), uint64(pageHeader)
	if n == 0xffff {
		n, from = order.Uint64(b[pageHeader:]), pageHeader+8
	}
	if order.Uint16(b[8:]) != flagFreelist || n > (uint64(len(b))-from)/8 {
		return errors.New("the list of free pages is damaged")
	}
	for i := range n {
		id := order.Uint64(b[from+8*i:])
		if id < 2 || id >= w.meta.pages {
			return errors.New("the list of free pages is damaged")
		}
		if err := w.use(id); err != nil {
			return err
		}
	}
	return nil
}
