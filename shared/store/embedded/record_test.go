package embedded

import (
	"bytes"
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

func TestDamagedRecordIsRefused(t *testing.T) {
	whole := encode(sample)
	if got, err := decode(sample.Key, whole); err != nil || !reflect.DeepEqual(got, sample) {
		t.Fatalf("decode: %+v, %v", got, err)
	}
	if _, err := decode(sample.Key, append([]byte{recordVersion + 1}, whole[1:]...)); err == nil {
		t.Error("a record of another version was read")
	}
	for n := range whole {
		// A record cut at the end of an attribute is a shorter record; every
		// other cut is damage.
		got, err := decode(sample.Key, whole[:n])
		if err == nil && !bytes.Equal(encode(got), whole[:n]) {
			t.Errorf("a record cut to %d bytes was read as %+v", n, got)
		}
	}
}

// FuzzDecode reads what a damaged disk may give: it must end, without a panic,
// and what it accepts must come back the same.
func FuzzDecode(f *testing.F) {
	whole := encode(sample)
	f.Add(whole)
	f.Add([]byte{})
	f.Add([]byte{recordVersion, 0})
	f.Add([]byte{recordVersion, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 'a'})
	f.Add(append(whole[:len(whole)-1:len(whole)-1], 9))
	f.Fuzz(func(t *testing.T, record []byte) {
		got, err := decode(key("k"), record)
		_, _ = holds(record, "text", appendValue(nil, "x"))
		if err != nil {
			return
		}
		again, err := decode(key("k"), encode(got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%+v came back as %+v, %v", got, again, err)
		}
	})
}
