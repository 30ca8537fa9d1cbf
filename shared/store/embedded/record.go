package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"credence/shared/store"
)

// A record is stored under a key of a table's bucket:
//
//	byte     2, the version of this layout
//	4 bytes  CRC-32C, big-endian, of: length of the table's name in one byte,
//	         the name, the key, and all that follows the checksum
//	uvarint  second of expiry, 0 = never
//	then for each attribute, in the order of their names:
//	uvarint  length of the name, and the name
//	byte     kind
//	         text, bytes: uvarint length, and the content
//	         number: varint; true, false: nothing
//
// Equal items have equal records. Version 1 has no checksum and is otherwise the
// same; it is read from files that hold such records, and never written.
//
// CRC-32C finds every error of up to 32 consecutive bits, so every damaged byte,
// with certainty, and other damage but for one case in 2^32. It covers the key,
// so a record under another record's key is found too. It is no protection
// against a writer who wants to deceive.
const (
	recordWithoutSum = 1
	recordVersion    = 2
	sumBytes         = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is what a record of version 2 carries; body is what follows it.
func checksum(table string, key, body []byte) uint32 {
	// The prefix is summed here because a slice given to crc32.Update is allocated.
	sum := castagnoli[^byte(0)^byte(len(table))] ^ ^uint32(0)>>8
	for i := range len(table) {
		sum = castagnoli[byte(sum)^table[i]] ^ sum>>8
	}
	return crc32.Update(crc32.Update(^sum, castagnoli, key), castagnoli, body)
}

// DamagedError names an item whose record is damaged. errors.Is(err,
// store.ErrDamaged) holds for it. Its text is for the log.
type DamagedError struct {
	Table string
	Key   string // partition and sort key
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the record of %s in %s is damaged", e.Key, e.Table)
}

// Unwrap makes the error store.ErrDamaged.
func (e *DamagedError) Unwrap() error { return store.ErrDamaged }

func damaged(table string, key []byte) error {
	return &DamagedError{Table: table, Key: readable(key)}
}

// readable is a bucket's key as partition and sort key.
func readable(key []byte) string {
	if len(key) < 2 {
		return fmt.Sprintf("%q", key)
	}
	n := 2 + int(binary.BigEndian.Uint16(key))
	if n > len(key) {
		return fmt.Sprintf("%q", key[2:])
	}
	return fmt.Sprintf("%q", string(key[2:n])+" "+string(key[n:]))
}

type kind byte

const (
	kindText   kind = 1
	kindBytes  kind = 2
	kindNumber kind = 3
	kindTrue   kind = 4
	kindFalse  kind = 5
)

// encode makes the record of a valid item, under the key that bucketKey gives.
func encode(i store.Item, key []byte) []byte {
	return encodeAs(string(i.Key.Table), i, key)
}

// usualAttributes is more than an item of the service has.
const usualAttributes = 32

// encodeAs is encode for an item of a bucket that is not a table.
func encodeAs(bucket string, i store.Item, key []byte) []byte {
	b := make([]byte, 1+sumBytes, store.ItemBytes(i)+8*len(i.Attributes)+16)
	b[0] = recordVersion
	expires := uint64(0)
	if !i.Expires.IsZero() {
		expires = uint64(i.Expires.Unix())
	}
	b = binary.AppendUvarint(b, expires)
	names := make([]string, 0, usualAttributes) // on the stack
	for name := range i.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendSized(b, name)
		b = appendValue(b, i.Attributes[name])
	}
	binary.BigEndian.PutUint32(b[1:], checksum(bucket, key, b[1+sumBytes:]))
	return b
}

// appendValue is the kind and content of a valid value. Two values are equal,
// type included, if and only if these bytes are.
func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendSized(append(b, byte(kindText)), v)
	case []byte:
		return appendSized(append(b, byte(kindBytes)), v)
	case int64:
		return binary.AppendVarint(append(b, byte(kindNumber)), v)
	case bool:
		if v {
			return append(b, byte(kindTrue))
		}
		return append(b, byte(kindFalse))
	}
	panic("embedded: a value that validation let through")
}

func appendSized[T string | []byte](b []byte, content T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(content))), content...)
}

// parser walks a record. Its slices lie in the record.
type parser struct {
	rest   []byte
	failed bool
}

// reader reads the records of one file.
type reader struct {
	// least is the lowest version of a record that the file may hold: in a file
	// without records of version 1, one that claims to be of it is damaged.
	least byte
}

// body checks a record's version and checksum and returns what follows them, and
// the checksum that the record has or, in version 1, would have.
func (r reader) body(bucket string, key, record []byte) (body []byte, sum uint32, err error) {
	switch {
	case len(record) > 1+sumBytes && record[0] == recordVersion:
		body = record[1+sumBytes:]
		sum = checksum(bucket, key, body)
		if sum != binary.BigEndian.Uint32(record[1:]) {
			return nil, 0, damaged(bucket, key)
		}
		return body, sum, nil
	case len(record) > 1 && record[0] == recordWithoutSum && r.least <= recordWithoutSum:
		body = record[1:]
		return body, checksum(bucket, key, body), nil
	}
	return nil, 0, damaged(bucket, key)
}

// open starts on a record and returns its second of expiry, 0 = never.
func (r reader) open(bucket string, key, record []byte) (p parser, expires int64, err error) {
	body, _, err := r.body(bucket, key, record)
	if err != nil {
		return parser{}, 0, err
	}
	p.rest = body
	s := p.uvarint()
	if p.failed || s > math.MaxInt64 {
		return parser{}, 0, damaged(bucket, key)
	}
	return p, int64(s), nil
}

func (p *parser) take(n uint64) []byte {
	if p.failed || n > uint64(len(p.rest)) {
		p.failed = true
		return nil
	}
	b := p.rest[:n]
	p.rest = p.rest[n:]
	return b
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if n <= 0 {
		p.failed = true
		return 0
	}
	p.take(uint64(n))
	return v
}

// next gives the name and value of the next attribute, the value as
// appendValue wrote it; false at the end or when the record is damaged.
func (p *parser) next() (name, value []byte, ok bool) {
	if len(p.rest) == 0 {
		return nil, nil, false
	}
	name = p.take(p.uvarint())
	start := p.rest
	k := p.take(1)
	if p.failed {
		return nil, nil, false
	}
	switch kind(k[0]) {
	case kindText, kindBytes:
		p.take(p.uvarint())
	case kindNumber:
		p.uvarint()
	case kindTrue, kindFalse:
	default:
		p.failed = true
	}
	return name, start[:len(start)-len(p.rest)], !p.failed
}

// decode reads a whole record into memory of the caller's own.
func (r reader) decode(k store.Key, key, record []byte) (store.Item, error) {
	p, expires, err := r.open(string(k.Table), key, record)
	if err != nil {
		return store.Item{}, err
	}
	return p.item(k, key, expires)
}

// item reads the attributes of a record that open started on.
func (p parser) item(k store.Key, key []byte, expires int64) (store.Item, error) {
	i := store.Item{Key: k, Attributes: make(store.Attributes, p.count())}
	texts := string(p.rest) // one copy, of which the names and texts are parts
	if expires != 0 {
		i.Expires = time.Unix(expires, 0).UTC()
	}
	for {
		left := texts[len(texts)-len(p.rest):]
		name, value, ok := p.next()
		if !ok {
			break
		}
		read := len(left) - len(p.rest)
		nameEnd := read - len(value)
		i.Attributes[left[nameEnd-len(name):nameEnd]] = decodeValue(value, left[nameEnd:read])
	}
	if p.failed {
		return store.Item{}, damaged(string(k.Table), key)
	}
	return i, nil
}

// count is the number of attributes ahead, up to the first malformed one.
func (p parser) count() (n int) {
	for {
		if _, _, ok := p.next(); !ok {
			return n
		}
		n++
	}
}

// decodeValue undoes appendValue; next has checked the form. The text has the
// same bytes, and may be kept.
func decodeValue(value []byte, text string) any {
	content := value[1:]
	switch kind(value[0]) {
	case kindText, kindBytes:
		_, n := binary.Uvarint(content)
		if kind(value[0]) == kindText {
			return text[1+n:]
		}
		return append([]byte{}, content[n:]...)
	case kindNumber:
		v, _ := binary.Varint(content)
		return v
	case kindTrue:
		return true
	default:
		return false
	}
}

// holds reports whether the record that p starts has exactly this value, as
// appendValue writes it, under the name. A malformed record holds none.
func (p parser) holds(name string, want []byte) bool {
	for {
		n, v, ok := p.next()
		if !ok {
			return false
		}
		if string(n) == name {
			return bytes.Equal(v, want)
		}
	}
}

// A key in a bucket is the length of the partition in two bytes, the
// partition, and the sort key: a partition's items lie together in the order
// of their sort keys, and no partition is the beginning of another.
func bucketKey(partition, sort string) []byte {
	return appendBucketKey(make([]byte, 0, 2+len(partition)+len(sort)), partition, sort)
}

func appendBucketKey(b []byte, partition, sort string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(partition)))
	b = append(b, partition...)
	return append(b, sort...)
}

// splitBucketKey undoes bucketKey; false for what it did not make.
func splitBucketKey(key []byte) (partition, sort string, ok bool) {
	if len(key) < 2 {
		return "", "", false
	}
	n := 2 + int(binary.BigEndian.Uint16(key))
	if n > len(key) {
		return "", "", false
	}
	return string(key[2:n]), string(key[n:]), true
}
