package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

// The bucket "format" holds two keys. "version" is one byte, the Format, which
// every release reads first. "header", from Format 2 on, is a record with a
// checksum like any other:
//
//	least          the lowest version of a record that the file may hold
//	<table>.n      how many records the table holds
//	<table>.sum    the sum of their checksums, modulo 2^64, in eight bytes
//
// The tallies change in the transaction that changes the records. A checksum
// finds a record that is not what was written; the tallies find one that is gone
// or came back, as when a page's count is damaged or an old page is in its place.
var (
	keyFormat = []byte("version")
	keyHeader = []byte("header")
)

// tables are the buckets that hold records, in the order of their names.
var tables = [...]string{string(store.Audit), string(store.Meta), string(store.Vault)}

// tally is how many records a table holds, and the sum of their checksums.
type tally struct {
	n   int64
	sum uint64
}

func (t tally) add(n int64, sum uint32) tally {
	return tally{n: t.n + n, sum: t.sum + uint64(n)*uint64(sum)}
}

// header is a value: a transaction that fails drops its copy.
type header struct {
	least   byte
	tallies [len(tables)]tally
}

// count adds n records, 1 or -1, of the same checksum to a table's tally.
func (h *header) count(table string, n int64, sum uint32) {
	for i, name := range tables {
		if name == table {
			h.tallies[i] = h.tallies[i].add(n, sum)
		}
	}
}

func (h header) encode() []byte {
	a := store.Attributes{"least": int64(h.least)}
	for i, name := range tables {
		a[name+".n"] = h.tallies[i].n
		a[name+".sum"] = binary.BigEndian.AppendUint64(nil, h.tallies[i].sum)
	}
	return encodeAs(bucketFormat, store.Item{Attributes: a}, keyHeader)
}

func decodeHeader(record []byte) (header, error) {
	i, err := reader{least: recordVersion}.decode(store.Key{Table: bucketFormat}, keyHeader, record)
	if err != nil {
		return header{}, errors.New("its header is damaged")
	}
	h := header{least: byte(i.Attributes.Int("least"))}
	for n, name := range tables {
		sum := i.Attributes.Bytes(name + ".sum")
		if len(sum) != 8 || h.least < recordWithoutSum || h.least > recordVersion {
			return header{}, errors.New("its header is damaged")
		}
		h.tallies[n] = tally{n: i.Attributes.Int(name + ".n"), sum: binary.BigEndian.Uint64(sum)}
	}
	return h, nil
}

// readHeader checks the format and the buckets of a file that was prepared, and
// returns its header: the zero one for a file of Format 1, which has none.
func readHeader(tx *bolt.Tx) (header, error) {
	b := tx.Bucket([]byte(bucketFormat))
	if b == nil {
		return header{}, errors.New("it has no format marker, so it is not a store of Credence")
	}
	format, err := checkFormat(b.Get(keyFormat))
	if err != nil {
		return header{}, err
	}
	for _, name := range append(tables[:], bucketExpiry) {
		if tx.Bucket([]byte(name)) == nil {
			return header{}, fmt.Errorf("its table %s is gone", name)
		}
	}
	record := b.Get(keyHeader)
	switch {
	case format == 1 && record == nil:
		return header{}, nil
	case format == 1:
		return header{}, errors.New("its format marker is damaged")
	case record == nil:
		return header{}, errors.New("its header is gone")
	}
	return decodeHeader(record)
}

// checkFormat reads the marker: one byte, and whatever a later format may add.
func checkFormat(marker []byte) (byte, error) {
	if len(marker) == 0 || marker[0] == 0 {
		return 0, errors.New("its format marker is damaged")
	}
	if marker[0] > Format {
		return 0, fmt.Errorf("format %d, known up to %d: %w", marker[0], Format, ErrNewerFormat)
	}
	return marker[0], nil
}

// fill makes the buckets, the format and the header of a new file.
func fill(tx *bolt.Tx) error {
	for _, name := range append(tables[:], bucketExpiry, bucketFormat) {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return stamp(tx, header{least: recordVersion})
}

// stamp writes the format and the header.
func stamp(tx *bolt.Tx, h header) error {
	b := tx.Bucket([]byte(bucketFormat))
	if err := b.Put(keyFormat, []byte{Format}); err != nil {
		return err
	}
	return b.Put(keyHeader, h.encode())
}
