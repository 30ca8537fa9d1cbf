package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

// transaction is one batch in the making.
type transaction struct {
	tx      *bolt.Tx
	now     int64
	records reader
	head    header
	written int
	err     error // the engine's first, which ends the batch
	cursors map[string]*bolt.Cursor
}

// get returns the record under a key, nil if there is none. One cursor for each table
// serves all keys, also after a change: a seek starts at the root.
func (t *transaction) get(table string, key []byte) []byte {
	c := t.cursors[table]
	if c == nil {
		c = t.bucket(table).Cursor()
		if t.cursors == nil {
			t.cursors = make(map[string]*bolt.Cursor, len(tables))
		}
		t.cursors[table] = c
	}
	found, record := c.Seek(key)
	if !bytes.Equal(found, key) {
		return nil
	}
	return record
}

// judge evaluates every condition of a job by the state so far. A damaged record
// under any of its keys is an error: what is written over it would hide it.
func (t *transaction) judge(j *job) error {
	var failed []int
	for i := range j.changes {
		c := &j.changes[i]
		var p parser
		record := t.get(c.table, c.key)
		c.replaces = record != nil
		there := c.replaces
		if there {
			var expires int64
			var err error
			if p, expires, err = t.records.open(c.table, c.key, record); err != nil {
				return fmt.Errorf("committing: %w", err)
			}
			there = expires == 0 || t.now < expires
		}
		if !c.holds(there, p) {
			failed = append(failed, i)
		}
	}
	if failed != nil {
		return &store.ConditionError{Failed: failed}
	}
	return nil
}

// write applies a job that was judged.
func (t *transaction) write(j *job) {
	for _, c := range j.changes {
		if c.verb == store.Check || t.err != nil {
			continue
		}
		t.written++
		if c.replaces {
			t.remove(c.table, c.key)
		}
		if c.verb == store.Delete {
			continue
		}
		t.keep(t.bucket(c.table).Put(c.key, c.record))
		t.head.count(c.table, 1, binary.BigEndian.Uint32(c.record[1:]))
		if c.expires != 0 {
			t.keep(t.bucket(bucketExpiry).Put(expiryKey(c.expires, c.table, c.key), nil))
		}
	}
}

// remove deletes the record under a key, if there is one, and its expiry entry.
func (t *transaction) remove(table string, key []byte) {
	old := t.get(table, key)
	if old == nil {
		return
	}
	_, expires, err := t.records.open(table, key, old)
	t.keep(err)
	_, sum, err := t.records.body(table, key, old)
	t.keep(err)
	if t.err != nil {
		return
	}
	t.head.count(table, -1, sum)
	t.keep(t.bucket(table).Delete(key))
	if expires != 0 {
		t.keep(t.bucket(bucketExpiry).Delete(expiryKey(expires, table, key)))
	}
}

func (t *transaction) keep(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *transaction) bucket(name string) *bolt.Bucket { return t.tx.Bucket([]byte(name)) }

// sweep removes some of the items that have expired, the oldest first. With a
// batch it removes twice as many as that wrote and a few more, so that they
// cannot outgrow it, and costs no sync of its own.
func (t *transaction) sweep(budget int) {
	var due [][]byte
	c := t.bucket(bucketExpiry).Cursor()
	for k, _ := c.First(); k != nil && len(due) < budget; k, _ = c.Next() {
		if len(k) >= 8 && int64(binary.BigEndian.Uint64(k)) > t.now {
			break
		}
		due = append(due, append([]byte{}, k...))
	}
	for _, k := range due {
		t.written++
		t.expire(k)
	}
}

// expire removes the item that an expiry entry names. An entry that no record
// agrees with goes alone: a damaged entry must not take a living item along.
func (t *transaction) expire(entry []byte) {
	at, table, key, ok := splitExpiryKey(entry)
	if ok {
		record := t.get(table, key)
		if record != nil {
			_, expires, err := t.records.open(table, key, record)
			if err == nil && expires == at {
				t.remove(table, key)
				return
			}
		}
	}
	t.keep(t.bucket(bucketExpiry).Delete(entry))
}

// An expiry key is the second of expiry in eight bytes, the length of the
// table's name in one, the name, and the key in that table: in order of time.
func expiryKey(expires int64, table string, key []byte) []byte {
	b := make([]byte, 0, 9+len(table)+len(key))
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	b = append(b, byte(len(table)))
	b = append(b, table...)
	return append(b, key...)
}

// splitExpiryKey undoes expiryKey; false for what it did not make.
func splitExpiryKey(k []byte) (at int64, table string, key []byte, ok bool) {
	if len(k) < 9 || len(k) < 9+int(k[8]) {
		return 0, "", nil, false
	}
	n := 9 + int(k[8])
	table = string(k[9:n])
	return int64(binary.BigEndian.Uint64(k)), table, k[n:], slices.Contains(tables[:], table)
}
