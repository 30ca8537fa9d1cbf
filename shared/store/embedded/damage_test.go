package embedded

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

// dump is a digest of every item that a store serves.
func dump(ctx context.Context, s *Store) (string, error) {
	h := sha256.New()
	for _, table := range tables {
		err := s.Each(ctx, store.Table(table), func(i store.Item) error {
			_, err := h.Write(encode(i, bucketKey(i.Key.Partition, i.Key.Sort)))
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// filled is a store's file with branches, pages that overflow, items that expire,
// free pages and every table in use, and the digest of its items.
func filled(t *testing.T) (file []byte, digest string) {
	t.Helper()
	dir := t.TempDir()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := mustOpen(t, dir, WithClock(func() time.Time { return now }))
	for i := range 24 {
		for _, w := range group(fmt.Sprint(i)) {
			if i%7 == 0 {
				w.Item.Expires = now.Add(time.Hour)
			}
			mustCommit(t, s, w)
		}
	}
	large := put("large", store.Absent(), store.Attributes{"b": make([]byte, 9<<10)})
	gone := put("gone", store.Absent(), store.Attributes{"b": make([]byte, 12<<10)})
	mustCommit(t, s, large, gone)
	mustCommit(t, s, store.Write{Verb: store.Delete, Item: gone.Item, If: store.Present()})
	digest, err := dump(t.Context(), s)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return file, digest
}

// TestDamageIsFoundOrDoesNotMatter changes bytes of a store's file, one at a time
// and in runs, and cuts the file at many lengths. Each damage is found by Verify,
// which is what opening a store does first, or the store serves exactly what it
// served before. The engine only gets files that Verify accepts; were one of them
// to make it panic or fault, this test would end with it.
func TestDamageIsFoundOrDoesNotMatter(t *testing.T) {
	file, digest := filled(t)
	path := filepath.Join(t.TempDir(), FileName)
	found, harmless := 0, 0
	try := func(what string, damaged []byte) {
		t.Helper()
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := Verify(path, nil)
		if errors.Is(err, ErrNewerFormat) || err == nil && len(report.Faults) > 0 {
			found++
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		harmless++
		s, err := OpenReadOnly(path, WithClock(func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }))
		if err != nil {
			t.Fatalf("%s: not found, and then: %v", what, err)
		}
		got, err := dump(t.Context(), s)
		if err := errors.Join(err, s.Close()); err != nil || got != digest {
			t.Errorf("%s: not found, and other items are served, %v", what, err)
		}
	}
	try("no damage", file)
	if harmless != 1 {
		t.Fatalf("the file as it was is refused")
	}
	random := rand.New(rand.NewPCG(1, 2))
	flip := func(at int) {
		damaged := bytes.Clone(file)
		damaged[at] ^= byte(1 + random.IntN(255))
		try(fmt.Sprintf("byte %d of %d changed", at, len(file)), damaged)
	}
	for range 1500 {
		flip(random.IntN(len(file)))
	}
	// The heads of pages and their first elements, where a byte says most.
	for page := 0; page < len(file); page += 4096 {
		for range 6 {
			flip(page + random.IntN(96))
		}
	}
	for range 200 {
		damaged := bytes.Clone(file)
		at := random.IntN(len(file) - 600)
		for i := range 1 + random.IntN(600) {
			damaged[at+i] = byte(random.IntN(4)) // zeros and small numbers, as lost writes leave
		}
		try(fmt.Sprintf("a run at %d", at), damaged)
	}
	for range 200 { // a page that an earlier or another write left
		damaged := bytes.Clone(file)
		from, to := random.IntN(len(file)/4096), random.IntN(len(file)/4096)
		copy(damaged[to*4096:(to+1)*4096], file[from*4096:(from+1)*4096])
		try(fmt.Sprintf("page %d in the place of page %d", from, to), damaged)
	}
	for n := 0; n < len(file); n += 1 + random.IntN(2*len(file)/200) {
		try(fmt.Sprintf("cut to %d bytes", n), file[:n])
	}
	t.Logf("%d damages of a file of %d bytes: %d found, %d without effect", found+harmless, len(file), found, harmless)
	if found+harmless < 2300 || found < 1000 {
		t.Errorf("%d damages found and %d without effect: too few were tried", found, harmless)
	}
}

// TestEveryRecordByteIsCovered changes each byte of one record in the file.
func TestEveryRecordByteIsCovered(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustCommit(t, s, put("canary", store.Absent(), store.Attributes{"text": "covered by the checksum"}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, FileName)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(file, []byte("\x00\x01Pcanary"))
	end := at + bytes.Index(file[at:], []byte("checksum")) + len("checksum")
	for i := at; i < end; i++ {
		file[i] ^= 0x20
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		file[i] ^= 0x20
		if _, err := Open(dir); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("byte %d of the record changed: open: %v, want store.ErrDamaged", i-at, err)
		}
	}
	if end-at < 40 {
		t.Errorf("the record was found with %d bytes", end-at)
	}
}

const liveVariable = "EMBEDDED_LIVE_DAMAGE_DIR"

// TestDamageWhileOpen cuts off and overwrites the file of an open store, in a
// process of its own: every call answers an error, and none ends the process.
func TestDamageWhileOpen(t *testing.T) {
	dir := os.Getenv(liveVariable)
	if dir == "" {
		for _, damage := range []string{"cut", "zeros", "noise"} {
			t.Run(damage, func(t *testing.T) {
				child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDamageWhileOpen$", "-test.v")
				child.Env = append(os.Environ(), liveVariable+"="+damage+" "+t.TempDir())
				out, err := child.CombinedOutput()
				if err != nil || !strings.Contains(string(out), "--- PASS: TestDamageWhileOpen") || strings.Contains(string(out), "goroutine ") {
					t.Fatalf("%v\n%s", err, out)
				}
			})
		}
		return
	}
	damage, dir, _ := strings.Cut(dir, " ")
	s := mustOpen(t, dir)
	for i := range 200 {
		mustCommit(t, s, group(fmt.Sprint(i))...)
	}
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	switch damage {
	case "cut":
		err = f.Truncate(8192)
	default:
		b := make([]byte, info.Size()-8192)
		for i := range b {
			if damage == "noise" {
				b[i] = byte(random.IntN(256))
			}
		}
		_, err = f.WriteAt(b, 8192)
	}
	if err != nil {
		t.Fatal(err)
	}
	served := 0
	for i := range 200 {
		_, err := s.Range(t.Context(), store.Range{Table: store.Audit, Partition: "G", From: fmt.Sprint(i)})
		_, err2 := s.Get(t.Context(), group(fmt.Sprint(i))[0].Item.Key)
		err3 := s.Commit(t.Context(), put(fmt.Sprint("late", i), store.Absent(), nil))
		for _, err := range []error{err, err2, err3} {
			if err == nil {
				served++
			}
		}
	}
	if served > 0 {
		t.Errorf("%d calls were answered from a file that is gone", served)
	}
	if err := s.Copy(t.Context(), func(int64) (io.Writer, error) { return io.Discard, nil }); err == nil && damage == "cut" {
		t.Error("a file that is cut off was copied")
	}
}

// format1 puts the file that the release before wrote into a directory.
func format1(t *testing.T) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "format1.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestFormat1 reads a file that the release before wrote, writes to it, and gives
// every record a checksum.
func TestFormat1(t *testing.T) {
	dir := format1(t)
	path := filepath.Join(dir, FileName)
	then := time.Date(2026, 11, 30, 22, 32, 0, 0, time.UTC) // before the first of its items expired
	clock := WithClock(func() time.Time { return then })
	check := func(format, items, old int) {
		t.Helper()
		r, err := Verify(path, nil)
		if err != nil || len(r.Faults) > 0 || r.Format != format || r.Items != items || r.Old != old {
			t.Fatalf("verify: %+v, %v; want format %d, %d items, %d old", r, err, format, items, old)
		}
	}
	const items = 74
	check(1, items, items)
	s := mustOpen(t, dir, clock)
	before, err := dump(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.Range(t.Context(), store.Range{Table: store.Meta, Partition: "SYS"})
	if err != nil || len(page.Items) != 2 || page.Items[0].Attributes.Int("org") == 0 {
		t.Fatalf("the organisations: %+v, %v", page.Items, err)
	}
	changed := page.Items[0]
	mustCommit(t, s, store.Write{Verb: store.Put, Item: changed, If: store.Equal("org", changed.Attributes.Int("org"))})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(Format, items, items-1)
	done, err := Compact(t.Context(), dir, nil, clock)
	if err != nil || done.Kept != items || done.Dropped != 0 || done.After >= done.Before {
		t.Fatalf("compact: %+v, %v", done, err)
	}
	check(Format, items, 0)
	s = mustOpen(t, dir, clock)
	if after, err := dump(t.Context(), s); err != nil || after != before {
		t.Errorf("other items after it all, or %v", err)
	}
	if s.records.least != recordVersion {
		t.Error("a compacted file still takes records without a checksum")
	}
}

// TestDamagedRecordNamesItsKey damages one record of an open store: whatever needs
// it answers an error that names the item, and its neighbours are served as before.
func TestDamagedRecordNamesItsKey(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	mustCommit(t, s, put("a", store.Absent(), nil), put("b", store.Absent(), store.Attributes{"text": "x"}), put("c", store.Absent(), nil))
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(store.Meta))
		record := bytes.Clone(b.Get(bucketKey("P", "b")))
		record[len(record)-1] ^= 1
		return b.Put(bucketKey("P", "b"), record)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.View(func(tx *bolt.Tx) error { s.horizon.reach(tx.ID()); return nil }); err != nil {
		t.Fatal(err)
	}
	_, get := s.Get(t.Context(), key("a"), key("b"))
	_, all := s.Range(t.Context(), store.Range{Table: store.Meta, Partition: "P"})
	for name, err := range map[string]error{
		"get": get, "range": all,
		"put":    s.Commit(t.Context(), put("b", store.Always(), nil)),
		"check":  s.Commit(t.Context(), put("d", store.Absent(), nil), store.Write{Verb: store.Check, Item: store.Item{Key: key("b")}, If: store.Present()}),
		"delete": s.Commit(t.Context(), store.Write{Verb: store.Delete, Item: store.Item{Key: key("b")}, If: store.Always()}),
	} {
		var named *DamagedError
		if !errors.As(err, &named) || named.Key != `"P b"` || named.Table != "meta" || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v, want a DamagedError that names the item", name, err)
		}
	}
	mustFind(t, s, "a", true)
	mustFind(t, s, "d", false)
	page, err := s.Range(t.Context(), store.Range{Table: store.Meta, Partition: "P", From: "c"})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("the next item: %v, %v", page, err)
	}
	mustCommit(t, s, put("e", store.Absent(), nil))
}
