package embedded

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"slices"

	"credence/shared/store"
)

// Report is the result of a Verify.
type Report struct {
	Format  int   // of the file
	Bytes   int64 // of the file
	Items   int   // records that were read
	Old     int   // records of version 1, which have no checksum
	Partial bool  // the walk was ended by its caller before the end
	Faults  []string
	More    int // faults beyond those listed
}

// maxFaults is how many faults a report lists.
const maxFaults = 200

// errEnough ends a walk that its caller does not want to go on.
var errEnough = errors.New("the walk was ended by its caller")

// Verify reads a store's file from its first page to its last: the pages and how
// they hang together, each record's checksum, the tallies of each table, and that
// the list of what expires agrees with the records. It takes no page for granted,
// reads with system calls, changes nothing, and may be given any file. progress,
// if not nil, is called with the bytes read so far and those of the file.
//
// A file that a process has open gives ErrLocked: verify a copy made with Copy. The
// error is of the system; faults of the file are in
// the report.
func Verify(path string, progress func(done, total int64)) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("checking a store's file: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := lock(f, false, lockPatience); err != nil {
		return Report{}, fmt.Errorf("checking a store's file: %w", err)
	}
	v, err := newVerifier(f)
	if err != nil {
		return Report{}, fmt.Errorf("checking a store's file: %w", err)
	}
	v.progress = func(done int64) bool {
		if progress != nil {
			progress(done, v.report.Bytes)
		}
		return true
	}
	v.run()
	if err := v.err(); errors.Is(err, ErrNewerFormat) {
		return Report{}, err
	}
	return v.report, nil
}

// verifier walks a file and compares what it counts with what the file says.
type verifier struct {
	file     *os.File
	walk     walk
	report   Report
	progress func(done int64) (more bool)
	done     int64

	seed    maphash.Seed
	format  map[string][]byte // the bucket "format"
	buckets []string
	counted header
	// What expires by the records, and by the list: equal sums of hashes.
	expiring, listed tallyOfHashes
	records          reader
}

type tallyOfHashes struct {
	n   int
	sum uint64
}

func newVerifier(f *os.File) (*verifier, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	v := &verifier{file: f, seed: maphash.MakeSeed(), format: map[string][]byte{}, records: reader{least: recordWithoutSum}}
	v.report.Bytes = info.Size()
	v.progress = func(int64) bool { return true }
	v.walk = walk{
		file: f, size: info.Size(), item: v.item,
		bucket: func(name string) { v.buckets = append(v.buckets, name) },
		page: func(n int64) error {
			if v.done += n; !v.progress(v.done) {
				return errEnough
			}
			return nil
		},
	}
	return v, nil
}

func (v *verifier) run() {
	switch err := v.walk.run(); {
	case errors.Is(err, errEnough):
		v.report.Partial = true
	case err != nil:
		v.fault(err.Error())
	default:
		v.compare()
	}
}

func (v *verifier) fault(text string) {
	if len(v.report.Faults) < maxFaults {
		v.report.Faults = append(v.report.Faults, text)
		return
	}
	v.report.More++
}

// item takes one key of a bucket. A damaged record is a fault and no end: the
// next one may be damaged too.
func (v *verifier) item(bucket string, key, value []byte) error {
	switch {
	case bucket == bucketFormat:
		v.format[string(key)] = slices.Clone(value)
	case bucket == bucketExpiry:
		at, _, _, ok := splitExpiryKey(key)
		if !ok || len(value) != 0 || at < 1 {
			v.fault("an entry in the list of what expires is damaged")
			return nil
		}
		v.listed.add(maphash.Bytes(v.seed, key))
	case slices.Contains(tables[:], bucket):
		v.record(bucket, key, value)
	default:
		return fmt.Errorf("there is a table %q, which no store has", bucket)
	}
	return nil
}

func (v *verifier) record(table string, key, record []byte) {
	v.report.Items++
	_, sum, err := v.records.body(table, key, record)
	var p parser
	var expires int64
	if err == nil {
		p, expires, err = v.records.open(table, key, record)
	}
	for ok := err == nil; ok; {
		_, _, ok = p.next()
	}
	partition, sort, ok := splitBucketKey(key)
	if err != nil || p.failed || !ok || partition == "" || sort == "" {
		v.fault(damaged(table, key).Error())
		return
	}
	if record[0] == recordWithoutSum {
		v.report.Old++
	}
	v.counted.count(table, 1, sum)
	if expires != 0 {
		v.expiring.add(maphash.Bytes(v.seed, expiryKey(expires, table, key)))
	}
}

func (t *tallyOfHashes) add(hash uint64) { t.n++; t.sum += hash }

// compare holds the counts against the file's header, after a whole walk.
func (v *verifier) compare() {
	for _, name := range append(tables[:], bucketExpiry, bucketFormat) {
		if !slices.Contains(v.buckets, name) {
			v.fault("the table " + name + " is gone")
		}
	}
	format, err := checkFormat(v.format[string(keyFormat)])
	if err != nil {
		v.fault(err.Error()) // or err answers that a newer version wrote it
		return
	}
	v.report.Format = int(format)
	record, there := v.format[string(keyHeader)]
	if format == 1 && there || format > 1 && !there || len(v.format) != int(format) {
		v.fault("the file's header is damaged")
		return
	}
	if v.expiring != v.listed {
		v.fault(fmt.Sprintf("the list of what expires has %d entries and does not agree with the %d records that expire", v.listed.n, v.expiring.n))
	}
	if format == 1 {
		return
	}
	h, err := decodeHeader(record)
	if err != nil {
		v.fault(err.Error())
		return
	}
	if h.least > recordWithoutSum && v.report.Old > 0 {
		v.fault(fmt.Sprintf("%d records are without a checksum, which this file does not have", v.report.Old))
	}
	for i, name := range tables {
		if want, got := h.tallies[i], v.counted.tallies[i]; want != got {
			v.fault(fmt.Sprintf("the table %s holds %d records that can be read, and %d were written, or not the same ones", name, got.n, want.n))
		}
	}
}

// err is the first fault as an error, nil if there is none. That a newer version
// wrote the file explains whatever else is found.
func (v *verifier) err() error {
	if _, err := checkFormat(v.format[string(keyFormat)]); errors.Is(err, ErrNewerFormat) {
		return err
	}
	if len(v.report.Faults) == 0 {
		return nil
	}
	return damagedFile(v.report.Faults[0], len(v.report.Faults)+v.report.More-1)
}

// upgraded is the header of a file of Format 1, whose every record was read.
func (v *verifier) upgraded() (header, error) {
	if v.report.Partial {
		whole, err := newVerifier(v.file)
		if err != nil {
			return header{}, err
		}
		whole.run()
		if err := whole.err(); err != nil {
			return header{}, err
		}
		v = whole
	}
	h := v.counted
	h.least = recordWithoutSum
	return h, nil
}

// damagedFile says what is wrong with a file as a whole.
func damagedFile(first string, more int) error {
	if more > 0 {
		first += fmt.Sprintf(" (and %d more)", more)
	}
	return &FileError{Fault: first}
}

// FileError reports a file that is no whole store. errors.Is(err,
// store.ErrDamaged) holds for it.
type FileError struct{ Fault string }

func (e *FileError) Error() string { return "the store's file is damaged: " + e.Fault }

// Unwrap makes the error store.ErrDamaged.
func (e *FileError) Unwrap() error { return store.ErrDamaged }

// AccessError reports a file that other users can reach, and what to run.
type AccessError struct{ Path, Problem, Remedy string }

func (e *AccessError) Error() string {
	if e.Remedy == "" {
		return e.Path + ": " + e.Problem
	}
	return e.Path + ": " + e.Problem + "; " + e.Remedy
}
