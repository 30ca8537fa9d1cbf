package s3probe_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/probetest"
)

// seen is what a row of looks asserts.
type seen struct {
	code      probe.Code
	pointer   string // whole
	shown     string // the outline of a tree, or a sample's content type
	truncated bool
}

func (w seen) hold(t *testing.T, got probe.Result, shown string, truncated bool) {
	t.Helper()
	if got.Code != w.code || got.Pointer != w.pointer || shown != w.shown || truncated != w.truncated {
		t.Errorf("got %s at %q, truncated %v: %s %+v\n got %s\nwant %+v", got.Code, got.Pointer, truncated, got.Message, got.Stages, shown, w)
	}
}

// fileBucket has files of many kinds, user's other one many.
const fileBucket, manyBucket = "of-files", "of-many"

const oddName = `x"; DROP TABLE y; --` + "`'"

// files are the contents of fileBucket.
func files() map[string]string {
	return map[string]string{
		"a.csv": "id,name\n1,ü\n", "empty.csv": "", "in/one.json": `{"a":1}`, "in/deep/er/three": "\x00\xff", "kept/": "",
		"long.csv": strings.Repeat("0123456,\n", 9000), "line.txt": strings.Repeat("ü", 50000),
		oddName + "/a b+c%20&d?e#f": "odd", "日本/😀\n": "newline",
	}
}

// put makes a bucket of files.
func put(t *testing.T, client *s3.Client, bucket string, files map[string]string) {
	t.Helper()
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	for key, content := range files {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content)})
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
	}
}

// state is all that is in a server, for a comparison.
func state(t *testing.T, client *s3.Client) string {
	t.Helper()
	var b strings.Builder
	buckets, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range buckets.Buckets {
		pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: bucket.Name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				fmt.Fprintln(&b, *bucket.Name, *o.Key, *o.Size, aws.ToString(o.ETag), o.LastModified)
			}
		}
	}
	return b.String()
}

// Looks at a real server that verifies signatures.
func TestGatewayLooks(t *testing.T) {
	ca := probetest.NewAuthority(t)
	gateway := start(t, ca.Issue(t, probetest.Leaf{}))
	admin := as(gateway.plain, rootKey, rootSecret)
	put(t, admin, fileBucket, files())
	many := map[string]string{}
	for i := range 1050 {
		many[fmt.Sprintf("m/%02d/%04d", i%30, i)] = "x"
	}
	put(t, admin, manyBucket, many)
	before := state(t, admin)

	root := settings{"access_key_id": rootKey, "secret_access_key": rootSecret, "region": "us-east-1", "endpoint": gateway.secured, "tls.ca_certificate": ca.PEM}
	user := root.and(settings{"access_key_id": userKey, "secret_access_key": userSecret})
	in := root.and(settings{"bucket": fileBucket})
	wrong := settings{"secret_access_key": "canary-wrong"}
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		notFound = probe.WarnResourceNotFound
		scope    = probe.WarnScopeMissing
		odd      = `"x\"; DROP TABLE y; --` + "`" + `'"`
		top      = `"a.csv":13 "empty.csv":0 "in"{} "kept"{} "line.txt":100000 "long.csv":81000 ` + odd + `{} "日本"{}`
	)
	t.Run("tree", func(t *testing.T) {
		for name, row := range map[string]struct {
			settings settings
			path     string
			depth    int
			want     seen
		}{
			"depth 1":              {in, "", 1, seen{ok, "", top, false}},
			"depth 10":             {in, "", 10, seen{ok, "", `"a.csv":13 "empty.csv":0 "in"{"deep"{"er"{"three":2}} "one.json":7} "kept"{} "line.txt":100000 "long.csv":81000 ` + odd + `{"a b+c%20&d?e#f":3} "日本"{"😀\n":7}`, false}},
			"plain, listed":        {in.and(settings{"endpoint": gateway.plain}), "", 1, seen{ok, "", top, false}},
			"a folder":             {in, "in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}},
			"a folder, depth 2":    {in, "/in/", 2, seen{ok, "", `"deep"{"er"{}} "one.json":7`, false}},
			"its own bucket":       {in, fileBucket + "/in/", 1, seen{ok, "", `"deep"{} "one.json":7`, false}},
			"in full":              {in, "s3://" + fileBucket + "/in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}},
			"a folder's marker":    {in, "kept", 3, seen{ok, "", ``, false}},
			"an odd folder":        {in, oddName, 1, seen{ok, "", `"a b+c%20&d?e#f":3`, false}},
			"a file":               {in, "in/one.json", 1, seen{ok, "", `"one.json":7`, false}},
			"an odd file":          {in, oddName + "/a b+c%20&d?e#f", 2, seen{ok, "", `"a b+c%20&d?e#f":3`, false}},
			"nothing":              {in, "nowhere", 1, seen{notFound, "/path", "", false}},
			"a name's beginning":   {in, "a.c", 2, seen{notFound, "/path", "", false}},
			"another bucket":       {in, "s3://" + ownBucket + "/in", 1, seen{scope, "/path", "", false}},
			"an empty bucket":      {user.and(settings{"bucket": userBucket}), "", 5, seen{ok, "", "", false}},
			"the path to test":     {root.and(settings{"test.path": fileBucket + "/kept"}), "in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}},
			"no such bucket":       {root.and(settings{"bucket": "no-such"}), "", 1, seen{notFound, "/credentials/bucket", "", false}},
			"no such bucket, deep": {root.and(settings{"test.path": "no-such"}), "x", 2, seen{notFound, "/credentials/test.path", "", false}},
			"forbidden":            {user.and(settings{"bucket": fileBucket}), "", 1, seen{scope, "/credentials/bucket", "", false}},
			"forbidden folder":     {user.and(settings{"bucket": fileBucket}), "in", 2, seen{scope, "/path", "", false}},

			"no bucket":               {root, "", 1, seen{ok, "", `"of-anybody"{} "of-files"{} "of-many"{} "of-root"{} "of-user"{}`, false}},
			"no bucket, the user's":   {user, "", 2, seen{ok, "", `"of-user"{}`, false}},
			"no bucket, one":          {root, fileBucket, 1, seen{ok, "", top, false}},
			"no bucket, a folder":     {root, "s3://" + fileBucket + "/in/deep", 9, seen{ok, "", `"er"{"three":2}`, false}},
			"no bucket, none such":    {root, "no-such/x", 1, seen{notFound, "/path", "", false}},
			"no bucket, forbidden":    {user, fileBucket + "/in", 1, seen{scope, "/path", "", false}},
			"no bucket, an ARN":       {root, "arn:aws:s3:::x/y", 1, seen{probe.CodeDestinationBlocked, "/path", "", false}},
			"no bucket, a slash more": {root, "//" + fileBucket, 1, seen{probe.CodeDestinationBlocked, "/path", "", false}},

			"wrong secret":            {in.and(wrong), "", 1, seen{rejected, "/credentials/secret_key", "", false}},
			"wrong secret, deep":      {in.and(wrong), "in", 9, seen{rejected, "/credentials/secret_key", "", false}},
			"wrong secret, no bucket": {root.and(wrong), "", 1, seen{rejected, "/credentials/secret_key", "", false}},
			"wrong secret, public":    {root.and(wrong).and(settings{"bucket": publicBucket}), "", 1, seen{rejected, "/credentials/secret_key", "", false}},
			"wrong key":               {in.and(settings{"access_key_id": "CANARYNOBODY01"}), "", 1, seen{rejected, "/credentials/access_key", "", false}},
			"wrong region":            {in.and(settings{"region": "eu-west-1"}), "", 1, seen{notFound, "/credentials/region", "", false}},
			"wrong port":              {in.and(settings{"endpoint": "https://" + probetest.ClosedPort(t)}), "", 1, seen{probe.CodeTCPRefused, "/credentials/endpoint", "", false}},
			"authority not given":     {in.and(settings{"tls.ca_certificate": nil}), "", 1, seen{probe.CodeTLSUntrusted, "/credentials/tls.ca_certificate", "", false}},
		} {
			t.Run(name, func(t *testing.T) {
				tree, got := trial{settings: saved(t, row.settings), prober: builtin.Probers()["s3"]}.tree(t, row.path, row.depth)
				row.want.hold(t, got, probetest.Outline(tree.Nodes), tree.Truncated)
			})
		}
	})
	t.Run("many", func(t *testing.T) {
		of := trial{settings: saved(t, root.and(settings{"bucket": manyBucket})), prober: builtin.Probers()["s3"]}
		for depth, least := range map[int]int{2: 31, 3: 1000} {
			tree, got := of.tree(t, "", depth)
			n := strings.Count(probetest.Outline(tree.Nodes), `"`) / 2
			if got.Code != ok || n < least || tree.Truncated != (depth == 3) {
				t.Errorf("depth %d: %s, %d nodes, truncated %v", depth, got.Code, n, tree.Truncated)
			}
		}
		tree, got := of.tree(t, "m/07", 1)
		if got.Code != ok || len(tree.Nodes) != 35 || tree.Truncated || time.Since(tree.Nodes[0].Modified) > time.Hour || !tree.Nodes[0].Created.Equal(tree.Nodes[0].Modified) {
			t.Errorf("%s, %d nodes, truncated %v", got.Code, len(tree.Nodes), tree.Truncated)
		}
	})
	t.Run("sample", func(t *testing.T) {
		for name, row := range map[string]struct {
			settings settings
			path     string
			bytes    int
			want     seen
		}{
			"a table":              {in, "a.csv", 13, seen{ok, "", "text/csv", false}},
			"in full":              {in, "s3://" + fileBucket + "/in/one.json", 7, seen{ok, "", "application/json", false}},
			"no bucket":            {root, fileBucket + "/in/one.json", 7, seen{ok, "", "application/json", false}},
			"nothing in it":        {in, "empty.csv", 0, seen{ok, "", "text/csv", false}},
			"long lines":           {in, "long.csv", 65529, seen{ok, "", "text/csv", true}},
			"one line":             {in, "line.txt", 65536, seen{ok, "", "text/plain", true}},
			"binary":               {in, "in/deep/er/three", 2, seen{ok, "", "application/octet-stream", false}},
			"odd":                  {in, oddName + "/a b+c%20&d?e#f", 3, seen{ok, "", "text/plain", false}},
			"a line's end in it":   {in, "日本/😀\n", 7, seen{ok, "", "text/plain", false}},
			"a folder":             {in, "in", 2, seen{ok, "", "application/octet-stream", false}},
			"a folder, its slash":  {in, "/in/", 2, seen{ok, "", "application/octet-stream", false}},
			"its own bucket":       {in, fileBucket + "/in/one.json", 7, seen{ok, "", "application/json", false}},
			"a folder's marker":    {in, "kept/", 0, seen{notFound, "/path", "", false}},
			"the bucket":           {in, "/", 13, seen{ok, "", "text/csv", false}},
			"nowhere":              {in, "in/two", 0, seen{notFound, "/path", "", false}},
			"dots":                 {in, "in/../a.csv", 0, seen{probe.CodeDestinationBlocked, "/path", "", false}},
			"dots to elsewhere":    {in, "../" + ownBucket + "/three", 0, seen{probe.CodeDestinationBlocked, "/path", "", false}},
			"no such bucket":       {root.and(settings{"bucket": "no-such"}), "x", 0, seen{notFound, "/credentials/bucket", "", false}},
			"forbidden":            {user.and(settings{"bucket": fileBucket}), "a.csv", 0, seen{scope, "/path", "", false}},
			"forbidden, not there": {user.and(settings{"bucket": fileBucket}), "nowhere", 0, seen{scope, "/path", "", false}},
			"may list, not read":   {user.and(settings{"bucket": publicBucket}), "x", 0, seen{scope, "/path", "", false}},
			"wrong secret":         {in.and(wrong), "a.csv", 0, seen{rejected, "/credentials/secret_key", "", false}},
			"wrong region":         {in.and(settings{"region": "eu-west-1"}), "a.csv", 0, seen{notFound, "/credentials/region", "", false}},
		} {
			t.Run(name, func(t *testing.T) {
				sample, got := trial{settings: saved(t, row.settings), prober: builtin.Probers()["s3"]}.sample(t, row.path)
				row.want.hold(t, got, sample.ContentType, sample.Truncated)
				key := strings.TrimPrefix(strings.TrimPrefix(row.path, "s3://"), fileBucket+"/")
				if sample.Path != "" {
					key = strings.TrimPrefix(sample.Path, fileBucket+"/")
				}
				if content := files()[key]; len(sample.Bytes) != row.bytes || !strings.HasPrefix(content, string(sample.Bytes)) {
					t.Errorf("%d bytes, want %d of %q", len(sample.Bytes), row.bytes, content[:min(len(content), 20)])
				}
			})
		}
	})
	if after := state(t, admin); after != before {
		t.Errorf("the server was changed:\n%s\nwas\n%s", after, before)
	}
}
