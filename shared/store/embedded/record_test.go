package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"credence/shared/store"
)

var sample = store.Item{
	Key:     key("k"),
	Expires: time.Unix(1_900_000_000, 0).UTC(),
	Attributes: store.Attributes{
		"text": "x", "empty": "", "bytes": []byte{0, 255}, "none": []byte{},
		"number": int64(-1<<53 + 1), "yes": true, "no": false,
	},
}

var (
	sampleKey = bucketKey(sample.Key.Partition, sample.Key.Sort)
	anyRecord = reader{least: recordWithoutSum}
)

// withoutSum is the record of version 1 that has the same content.
func withoutSum(record []byte) []byte {
	return append([]byte{recordWithoutSum}, record[1+sumBytes:]...)
}

func TestRecordComesBack(t *testing.T) {
	whole := encode(sample, sampleKey)
	for name, record := range map[string][]byte{"with a checksum": whole, "without": withoutSum(whole)} {
		if got, err := anyRecord.decode(sample.Key, sampleKey, record); err != nil || !reflect.DeepEqual(got, sample) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestDamagedRecordIsRefused: of a record with a checksum every change is found,
// and the error names the item.
func TestDamagedRecordIsRefused(t *testing.T) {
	whole := encode(sample, sampleKey)
	strict := reader{least: recordVersion}
	refuse := func(what string, table store.Table, key, record []byte) {
		t.Helper()
		k := sample.Key
		k.Table = table
		var named *DamagedError
		if _, err := strict.decode(k, key, record); !errors.As(err, &named) || !errors.Is(err, store.ErrDamaged) || named.Table != string(table) {
			t.Errorf("%s: %v, want a DamagedError", what, err)
		}
	}
	for bit := range len(whole) * 8 {
		changed := bytes.Clone(whole)
		changed[bit/8] ^= 1 << (bit % 8)
		refuse(fmt.Sprintf("bit %d changed", bit), sample.Key.Table, sampleKey, changed)
	}
	for n := range whole {
		refuse(fmt.Sprintf("cut to %d bytes", n), sample.Key.Table, sampleKey, whole[:n])
	}
	refuse("under another key", sample.Key.Table, bucketKey("P", "other"), whole)
	refuse("in another table", store.Vault, sampleKey, whole)
	refuse("a record without a checksum, which the file does not have", sample.Key.Table, sampleKey, withoutSum(whole))
}

// FuzzDecode reads what a damaged disk may give: it must end, without a panic,
// and what it accepts must come back the same.
func FuzzDecode(f *testing.F) {
	whole := withoutSum(encode(sample, sampleKey))
	f.Add(whole)
	f.Add([]byte{})
	f.Add(encode(sample, sampleKey))
	f.Add([]byte{recordWithoutSum, 0})
	f.Add([]byte{recordWithoutSum, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 'a'})
	f.Add(append(whole[:len(whole)-1:len(whole)-1], 9))
	f.Fuzz(func(t *testing.T, record []byte) {
		k, at := key("k"), bucketKey("P", "k")
		if p, _, err := anyRecord.open(string(k.Table), at, record); err == nil {
			_ = p.holds("text", appendValue(nil, "x"))
		}
		got, err := anyRecord.decode(k, at, record)
		if err != nil {
			return
		}
		again, err := anyRecord.decode(k, at, encode(got, at))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%+v came back as %+v, %v", got, again, err)
		}
	})
}
