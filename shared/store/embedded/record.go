package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"credence/shared/store"
)

// A record is what lies under a key of a table's bucket:
//
//	byte     1, the version of this layout
//	uvarint  second of expiry, 0 = never
//	then for each attribute, in the order of their names:
//	uvarint  length of the name, and the name
//	byte     kind
//	         text, bytes: uvarint length, and the content
//	         number: varint; true, false: nothing
//
// Equal items have equal records.
const recordVersion = 1

type kind byte

const (
	kindText   kind = 1
	kindBytes  kind = 2
	kindNumber kind = 3
	kindTrue   kind = 4
	kindFalse  kind = 5
)

var errRecord = errors.New("reading an item: damaged record")

// encode makes the record of a valid item.
func encode(i store.Item) []byte {
	b := make([]byte, 0, store.ItemBytes(i)+8*len(i.Attributes)+8)
	b = append(b, recordVersion)
	expires := uint64(0)
	if !i.Expires.IsZero() {
		expires = uint64(i.Expires.Unix())
	}
	b = binary.AppendUvarint(b, expires)
	for _, name := range slices.Sorted(maps.Keys(i.Attributes)) {
		b = appendSized(b, name)
		b = appendValue(b, i.Attributes[name])
	}
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

// open starts on a record and returns its second of expiry, 0 = never.
func open(record []byte) (p parser, expires int64) {
	p.rest = record
	if v := p.take(1); p.failed || v[0] != recordVersion {
		return parser{failed: true}, 0
	}
	s := p.uvarint()
	if s > math.MaxInt64 {
		return parser{failed: true}, 0
	}
	return p, int64(s)
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
func decode(k store.Key, record []byte) (store.Item, error) {
	p, expires := open(record)
	i := store.Item{Key: k, Attributes: store.Attributes{}}
	if expires != 0 {
		i.Expires = time.Unix(expires, 0).UTC()
	}
	for {
		name, value, ok := p.next()
		if !ok {
			break
		}
		i.Attributes[string(name)] = decodeValue(value)
	}
	if p.failed {
		return store.Item{}, errRecord
	}
	return i, nil
}

// decodeValue undoes appendValue; next has checked the form.
func decodeValue(value []byte) any {
	content := value[1:]
	switch kind(value[0]) {
	case kindText, kindBytes:
		_, n := binary.Uvarint(content)
		if kind(value[0]) == kindText {
			return string(content[n:])
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

// holds reports whether the record has exactly this value, as appendValue
// writes it, under the name.
func holds(record []byte, name string, want []byte) (bool, error) {
	p, _ := open(record)
	for {
		n, v, ok := p.next()
		if !ok {
			break
		}
		if string(n) == name {
			return bytes.Equal(v, want), nil
		}
	}
	if p.failed {
		return false, errRecord
	}
	return false, nil
}

// A key in a bucket is the length of the partition in two bytes, the
// partition, and the sort key: a partition's items lie together in the order
// of their sort keys, and no partition is the beginning of another.
func bucketKey(partition, sort string) []byte {
	b := make([]byte, 0, 2+len(partition)+len(sort))
	b = binary.BigEndian.AppendUint16(b, uint16(len(partition)))
	b = append(b, partition...)
	return append(b, sort...)
}
