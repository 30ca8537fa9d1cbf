package objectstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/objectstore"
	"credence/shared/probe/probetest"
)

func TestLocate(t *testing.T) {
	for _, row := range []struct {
		path, bucket string
		want         objectstore.Location
		fails        probe.Code
	}{
		{"", "b", objectstore.Location{Bucket: "b"}, ""},
		{"/", "b", objectstore.Location{Bucket: "b"}, ""},
		{"in/x", "b", objectstore.Location{Bucket: "b", Key: "in/x"}, ""},
		{"/in/x", "b", objectstore.Location{Bucket: "b", Key: "in/x"}, ""},
		{"//in/x", "b", objectstore.Location{Bucket: "b", Key: "/in/x"}, ""},
		{"b/x", "b", objectstore.Location{Bucket: "b", Key: "b/x", Named: true}, ""},
		{"/b", "b", objectstore.Location{Bucket: "b", Key: "b", Named: true}, ""},
		{"bb/x", "b", objectstore.Location{Bucket: "b", Key: "bb/x"}, ""},
		{"s3://b", "b", objectstore.Location{Bucket: "b"}, ""},
		{"s3://b/", "b", objectstore.Location{Bucket: "b"}, ""},
		{"s3://b/in//x/", "b", objectstore.Location{Bucket: "b", Key: "in//x/"}, ""},
		{"s3://b//x", "b", objectstore.Location{Bucket: "b", Key: "/x"}, ""},
		{"/s3://b/x", "b", objectstore.Location{Bucket: "b", Key: "s3://b/x"}, ""},
		{"gs://c/x", "b", objectstore.Location{Bucket: "b", Key: "gs://c/x"}, ""},
		{strings.Repeat("x", 1024), "b", objectstore.Location{Bucket: "b", Key: strings.Repeat("x", 1024)}, ""},
		{strings.Repeat("x", 1025), "b", objectstore.Location{}, probe.WarnResourceNotFound},
		{"s3://c/x", "b", objectstore.Location{}, probe.WarnScopeMissing},
		{"s3://B/x", "b", objectstore.Location{}, probe.WarnScopeMissing},
		{"s3://bb", "b", objectstore.Location{}, probe.WarnScopeMissing},
		{"s3://", "b", objectstore.Location{}, probe.WarnScopeMissing},
		{"s3:///b/x", "b", objectstore.Location{}, probe.WarnScopeMissing},

		{"", "", objectstore.Location{}, ""},
		{"/", "", objectstore.Location{}, ""},
		{"s3://", "", objectstore.Location{}, ""},
		{"c", "", objectstore.Location{Bucket: "c"}, ""},
		{"/c/in/x", "", objectstore.Location{Bucket: "c", Key: "in/x"}, ""},
		{"s3://c//x", "", objectstore.Location{Bucket: "c", Key: "/x"}, ""},
		{"//c/x", "", objectstore.Location{Key: "c/x"}, ""}, // of a bucket without a name, which no store has
	} {
		got, err := objectstore.Locate(row.path, "s3://", row.bucket)
		var f probe.Finding
		if errors.As(err, &f); f.Code != row.fails || (err != nil) != (row.fails != "") || got != row.want {
			t.Errorf("%q of %q: %+v, %v", row.path, row.bucket, got, err)
		}
	}
}

// What is at the path as it stands comes before what is there without the bucket's
// name; where nothing is, a path with the name leads where one without it does.
func TestOwnBucketInAPath(t *testing.T) {
	for name, row := range map[string]struct {
		keys  []string
		path  string
		nodes string // of the tree, one level
		file  string // of the sample: its size
	}{
		"a folder of the bucket's name": {[]string{"b/x:1", "x:2"}, "b", "[x]", "1"},
		"the same, a file in it":        {[]string{"b/x:1", "x:2"}, "b/x", "[x]", "1"},
		"a file of the bucket's name":   {[]string{"b:1", "x:2"}, "b", "[b]", "1"},
		"the bucket":                    {[]string{"a/x:3", "z:2"}, "/b/", "[a z]", "3"},
		"a folder in it":                {[]string{"in/x:3"}, "b/in", "[x]", "3"},
		"a file in it":                  {[]string{"in/x:3"}, "/b/in/x", "[x]", "3"},
	} {
		m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": bucketOf(row.keys...)}}
		tree, err := m.tree(located(t, row.path), 1)
		var names []string
		for _, n := range tree.Nodes {
			names = append(names, n.Name)
		}
		sample, failed := objectstore.Sample(t.Context(), m, located(t, row.path))
		if got := fmt.Sprint(names); err != nil || failed != nil || got != row.nodes || fmt.Sprint(len(sample.Bytes)) != row.file {
			t.Errorf("%s: %s, %v, %d bytes, %v", name, got, err, len(sample.Bytes), failed)
		}
	}
}

// A path never leads out of the credential's bucket, and what is behind the
// bucket is the key as it stands.
func FuzzLocate(f *testing.F) {
	for _, seed := range [][2]string{{"", ""}, {"/a", "b"}, {"s3://b/a", "b"}, {"s3://c/a", "b"}, {"//", ""}, {"c//x", ""}, {"s3://s3://", "s3:"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, path, bucket string) {
		got, err := objectstore.Locate(path, "s3://", bucket)
		var finding probe.Finding
		switch {
		case err != nil && !errors.As(err, &finding):
			t.Fatal("an error that is no finding")
		case err == nil && bucket != "" && got.Bucket != bucket:
			t.Fatalf("%q leads to %q", path, got.Bucket)
		case err == nil && (!strings.HasSuffix(path, got.Key) || len(got.Key) > 1024 || strings.Contains(got.Bucket, "/") != strings.Contains(bucket, "/")):
			t.Fatalf("%q leads to %+v", path, got)
		}
	})
}
