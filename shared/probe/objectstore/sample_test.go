package objectstore_test

import (
	"bytes"
	"errors"
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"credence/shared/probe"
	"credence/shared/probe/objectstore"
	"credence/shared/probe/probetest"
)

// sample reads one object of a bucket in memory.
func sample(t *testing.T, key string, o probetest.Stored) probe.Sample {
	t.Helper()
	m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": {key: o}}}
	got, err := objectstore.Sample(t.Context(), m, in(key))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What is shown of a file: a text up to its last whole line, else character.
func TestSample(t *testing.T) {
	const most = probe.MaxSampleBytes
	lines := strings.Repeat("a,b,c,d\n", most/8)
	fill := func(n int) string { return strings.Repeat("x", n) }
	for name, row := range map[string]struct {
		content   string
		want      int // bytes that are shown
		truncated bool
	}{
		"nothing":                       {"", 0, false},
		"a text":                        {"a,b\n1,2\n", 8, false},
		"no line's end":                 {"a,b\n1,2", 7, false},
		"just fits":                     {lines, most, false},
		"just fits, no line's end":      {lines[:most-1] + "x", most, false},
		"a byte more":                   {lines + "x", most, true},
		"a line more":                   {"x" + lines, most - 7, true},
		"an end just before the limit":  {fill(most-1) + "\n" + "more", most, true},
		"an end just behind it":         {fill(most) + "\nmore", most, true},
		"one line":                      {fill(2 * most), most, true},
		"one line, a character between": {fill(most-1) + "ü" + fill(9), most - 1, true},
		"the same of four bytes":        {fill(most-3) + "😀" + fill(9), most - 3, true},
		"whole at the limit":            {fill(most-2) + "ü" + fill(9), most, true},
		"a character that fits no end":  {fill(most-2) + "ü", most, false},
		"binary":                        {strings.Repeat("\x00\n", most), most, true},
		"a NUL at the end":              {lines[:most-1] + "\x00more", most, true},
		"bad text":                      {lines[:most-8] + "\xff\nabcdef\n" + "more", most, true},
		"bad at the limit":              {lines[:most-1] + "\xc3(more", most - 8, true}, // it may have been a whole one
		"UTF-16":                        {"\xff\xfe" + strings.Repeat("a\x00\n\x00", most/2), most, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := sample(t, "f", probetest.Stored{Content: row.content})
			if len(got.Bytes) != row.want || got.Truncated != row.truncated || got.Bytes == nil || !strings.HasPrefix(row.content, string(got.Bytes)) {
				t.Errorf("%d bytes of %d, truncated %v; want %d", len(got.Bytes), len(row.content), got.Truncated, row.want)
			}
		})
	}
}

// What a file is said to be.
func TestContentType(t *testing.T) {
	const octets = "application/octet-stream"
	for _, row := range []struct{ key, content, told, want string }{
		{"a.csv", "a,b\n", "text/html", "text/csv"},
		{"in.d/A.CSV", "a,b\n", "", "text/csv"},
		{"a.tsv", "a\tb\n", octets, "text/tab-separated-values"},
		{"a.json", `{"a":1}`, "", "application/json"},
		{"a.jsonl", "{}\n{}\n", "", "application/x-ndjson"},
		{"a.ndjson", "{}\n{}\n", "", "application/x-ndjson"},
		{"a.xml", "<a/>", "", "application/xml"},
		{"a.txt", "<html>", "", "text/plain"},
		{"a.csv", "", "", "text/csv"},
		{"a.parquet", "", "", "application/vnd.apache.parquet"},
		{"a", "", "text/csv; charset=utf-8", "text/csv"},
		{"a", "", "", octets},

		{"a", "a,b\n", "text/csv", "text/csv"},
		{"a", "a,b\n", "binary/octet-stream", "text/plain"},
		{"a", "a,b\n", probetest.Foreign, "text/plain"},
		{"a", "a,b\n", "text/csv; =", "text/plain"},
		{"a", "a,b\n", "", "text/plain"},
		{"a", "<?xml version='1.0'?><a/>", "", "application/xml"},
		{"a", "<!DOCTYPE html><p>", "", "text/html"},
		{"a", "%PDF-1.7", "", "text/plain"}, // all of it is text
		{"a.parquet", "a,b\n", "", "text/plain"},

		{"a", "PAR1\x15\x00\x15", "text/csv", "application/vnd.apache.parquet"},
		{"a.csv", "PAR1\x00\xff", "", "application/vnd.apache.parquet"},
		{"a", "Obj\x01\x04\x14avro\xff", "", "application/avro"},
		{"a", "ORC\x00\xff", "", "application/x-orc"},
		{"a.csv", "\x1f\x8b\x08\x00", "text/csv", "application/gzip"},
		{"a", "BZh91AY&SY\xff", "", "application/x-bzip2"},
		{"a", "\x28\xb5\x2f\xfd\x04", "", "application/zstd"},
		{"a", "PK\x03\x04\x14\x00", "", "application/zip"},
		{"a.xlsx", "PK\x03\x04\x14\x00", "", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
		{"a.csv", "\xff\xfea\x00", "", "text/plain; charset=utf-16le"},
		{"a.csv", "gr\xfc\xdfe;1\n", "", "text/csv"},
		{"a.parquet", "\x00\xff", "text/csv", "application/vnd.apache.parquet"},
		{"a", "gr\xfc\xdfe;1\n", "text/csv", "text/csv"},
		{"a", "\x00\xff", "", octets},
		{"a.exe", "\x00\xff", "a/b", "a/b"},
	} {
		if got := sample(t, row.key, probetest.Stored{Content: row.content, Type: row.told}); got.ContentType != row.want {
			t.Errorf("%s, told %q: %q, want %q", row.key, row.told, got.ContentType, row.want)
		}
	}
}

// What is no file, and what may not be read.
func TestNoSample(t *testing.T) {
	scope := probe.Found(probe.WarnScopeMissing, "")
	reset := probe.Found(probe.CodeTCPReset, "")
	gap := func(_ objectstore.Query, page *objectstore.Page, n int) {
		if n < 3 {
			*page = objectstore.Page{Next: "!"}
		}
	}
	huge := func(q objectstore.Query, page *objectstore.Page, _ int) { page.Bytes = q.Bytes + 1 }
	for name, row := range map[string]struct {
		at     string
		refuse map[string]error
		answer func(q objectstore.Query, page *objectstore.Page, n int)
		want   probe.Code // "" for a sample
		path   string     // of the file that stands for a folder; "folder" where it has none
	}{
		"a file":                         {"in/x", nil, nil, "", ""},
		"the bucket":                     {"", nil, nil, "", "b/both"},
		"a folder":                       {"in", nil, nil, "", "b/in/x"},
		"a folder, its slash":            {"in/", nil, nil, "", "b/in/x"},
		"a folder of folders":            {"deep", nil, nil, "", "b/deep/er/x"},
		"a folder by its marker":         {"kept/", nil, nil, probe.WarnResourceNotFound, "folder"},
		"the same, no slash":             {"kept", nil, nil, probe.WarnResourceNotFound, "folder"},
		"a marker with content":          {"full/", nil, nil, "", "b/full/"},
		"a file and a folder":            {"both", nil, nil, "", ""},
		"the folder of these":            {"both/", nil, nil, "", "b/both/x"},
		"nothing":                        {"i", nil, nil, probe.WarnResourceNotFound, ""},
		"nothing in it":                  {"in/y", nil, nil, probe.WarnResourceNotFound, ""},
		"may not list, may read":         {"in/x", map[string]error{"b/in/x/": scope}, nil, "", ""},
		"may list, may not read":         {"in/x", map[string]error{"b/in/x read": scope}, nil, probe.WarnScopeMissing, ""},
		"may not list, and it is a file": {"in/z", map[string]error{"b/in/z/": scope}, nil, probe.WarnResourceNotFound, ""},
		"no bucket":                      {"in/x", map[string]error{"b/in/x/": probe.Found(probe.WarnResourceNotFound, "")}, nil, probe.WarnResourceNotFound, ""},
		"breaks off":                     {"in/x", map[string]error{"b/in/x/": reset}, nil, probe.CodeTCPReset, ""},
		"breaks off later":               {"in/x", map[string]error{"b/in/x read": reset}, nil, probe.CodeTCPReset, ""},
		"a folder behind empty pages":    {"in", nil, gap, "", "b/in/x"},
		"nothing behind empty pages":     {"i", nil, gap, probe.WarnResourceNotFound, ""},
		"no store":                       {"in/x", nil, huge, probe.CodeProtocolMismatch, ""},
		"a folder of dots":               {"dots/", nil, nil, "", "b/dots/z"},
		"its own bucket":                 {"b", nil, nil, "", "b/both"},
		"its own bucket, a file":         {"b/in/x", nil, nil, "", ""},
		"its own bucket, a folder":       {"b/in/", nil, nil, "", "b/in/x"},
		"its own bucket, nothing":        {"b/i", nil, nil, probe.WarnResourceNotFound, ""},
		"its own bucket, twice":          {"b/b/in/x", nil, nil, probe.WarnResourceNotFound, ""},
		"another bucket":                 {"c/in/x", nil, nil, probe.WarnResourceNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := bucketOf("in/x:3", "deep/er/x:1", "kept/:0", "full/:4", "both:1", "both/x:1", "dots/", "dots/./a:1", "dots/../a:1", "dots/z:1")
			m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": b}, refuse: row.refuse, answer: row.answer}
			got, err := objectstore.Sample(t.Context(), m, located(t, row.at))
			var f probe.Finding
			_ = errors.As(err, &f)
			if f.Code != row.want || (err == nil) != (row.want == "") || (got.Bytes != nil) != (err == nil) {
				t.Errorf("%v, %d bytes", err, len(got.Bytes))
			}
			if (f == objectstore.ErrFolder) != (row.path == "folder") || err == nil && got.Path != row.path {
				t.Errorf("it is said to be a folder: %v; the file is %q, want %q", f == objectstore.ErrFolder, got.Path, row.path)
			}
			if len(m.asked) > 6 {
				t.Errorf("asked %q", m.asked)
			}
		})
	}
}

// Whatever a file holds, what is shown is its beginning, as much as may be
// shown, a text if it was one, and said to be of some type.
func FuzzShow(f *testing.F) {
	for _, seed := range []struct {
		key, told string
		content   string
	}{
		{"a.csv", "text/csv", "a,b\n1,2\n"},
		{"a", "", "\xff\xfea\x00"},
		{"a/b.json", "application/json; charset=utf-8", `{"a":"ü"}`},
		{"x.parquet", "binary/octet-stream", "PAR1\x00"},
		{".", ";;;", "\xc3"},
	} {
		f.Add(seed.key, seed.told, []byte(seed.content), uint8(3))
	}
	f.Fuzz(func(t *testing.T, key, told string, content []byte, times uint8) {
		if key == "" || strings.HasSuffix(key, "/") {
			return
		}
		whole := bytes.Repeat(content, 1+int(times)*64)
		got := sample(t, key, probetest.Stored{Content: string(whole), Type: told})
		if !bytes.HasPrefix(whole, got.Bytes) || len(got.Bytes) > probe.MaxSampleBytes || got.Truncated != (len(whole) > probe.MaxSampleBytes) {
			t.Fatalf("%d bytes of %d, truncated %v", len(got.Bytes), len(whole), got.Truncated)
		}
		if !got.Truncated && len(got.Bytes) != len(whole) {
			t.Fatalf("%d bytes of %d", len(got.Bytes), len(whole))
		}
		if utf8.Valid(whole) && !utf8.Valid(got.Bytes) {
			t.Fatal("a text is cut within a character")
		}
		if _, _, err := mime.ParseMediaType(got.ContentType); err != nil {
			t.Fatalf("it is said to be %q", got.ContentType)
		}
	})
}
