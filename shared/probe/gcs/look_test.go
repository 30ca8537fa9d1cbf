package gcsprobe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/probe"
	gcsprobe "credence/shared/probe/gcs"
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

const oddName = `x"; DROP TABLE y; --` + "`'"

var made, changed = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// shelves are the buckets of the double.
func shelves() *files {
	object := func(content, kind string) probetest.Stored {
		return probetest.Stored{Content: content, Type: kind, Created: made, Modified: changed}
	}
	f := &files{buckets: map[string]probetest.Bucket{
		goodBucket: {
			"a.csv": object("id,name\n1,ü\n", "application/octet-stream"), "in/one.json": object(`{"a":1}`, "application/json"), "in/deep/er/three": object("\x00\xff", ""),
			"kept/": object("", ""), "empty": object("", "text/csv"), "long.csv": object(strings.Repeat("0123456,\n", 9000), "text/csv"),
			"packed.csv": object("\x1f\x8b\x08\x00\x00", "packed"), oddName + "/a b+c%20&d?e#f": object("odd", ""), "/x": object("1", ""), "a//b": object("22", ""), "a": object("333", ""),
			"..": object("4", ""), "d/../e": object("55", ""), "n\n\x01": object("666", ""), "bare/x": object("", ""), "shut": object("x", ""), "gone": object("x", ""), "busy": object("x", ""),
		},
		"no-files": {}, "of-somebody-else": {"x": {}}, "wide-bucket": {}, "deep-bucket": {},
	}}
	for i := range 9000 {
		f.buckets["wide-bucket"][fmt.Sprintf("%04d", i)] = probetest.Stored{}
	}
	for i := range 1200 {
		f.buckets["deep-bucket"][fmt.Sprintf("a/%03d/x", i)] = probetest.Stored{}
	}
	f.refuses = map[string]int{
		"of-somebody-else?": 403, "of-somebody-else?x/": 403, "of-somebody-else/x": 403, goodBucket + "?bare/": 403, goodBucket + "?payer/": 400, goodBucket + "?busy/": 429,
		goodBucket + "/shut": 403, goodBucket + "/gone": 401, goodBucket + "/busy": 503, "deep-bucket?a/007/": 403,
	}
	return f
}

func TestLooks(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	key, wrong := newKey(t, 2048), newKey(t, 2048)
	file := settings{"type": "service_account", "project_id": "my-project", "private_key_id": keyID, "client_email": email, "private_key": pkcs8(t, key)}
	account := settings{"json_creds": file}
	token := settings{"is_service_account": false, "auth.type": "OAUTH2", "access_token": personal, "project_id": "my-project"}
	in := account.and(settings{"bucket": goodBucket})
	bad := settings{"json_creds": file.and(settings{"private_key": pkcs8(t, wrong)})}
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		notFound = probe.WarnResourceNotFound
		scope    = probe.WarnScopeMissing
		path     = "/path"
		bucket   = "/credentials/bucket"
		odd      = `"x\"; DROP TABLE y; --` + "`" + `'"`
		first    = `""{} "..":1 "a":3 "a.csv":13 "a/"{} "bare"{} "busy":1 "d"{} "empty":0 "gone":1 "in"{} "kept"{} "long.csv":81000 "n\n\x01":3 "packed.csv":5 "shut":1 ` + odd + `{}`
	)
	for name, row := range map[string]struct {
		settings settings
		path     string
		depth    int // 0 for a sample
		want     seen
		reads    int
	}{
		"depth 1":               {in, "", 1, seen{ok, "", first, false}, 1},
		"depth 10":              {in, "", 10, seen{ok, "", `""{"x":1} "..":1 "a":3 "a.csv":13 "a/"{""{"b":2}} "bare"{"x":0} "busy":1 "d"{".."{"e":2}} "empty":0 "gone":1 "in"{"deep"{"er"{"three":2}} "one.json":7} "kept"{} "long.csv":81000 "n\n\x01":3 "packed.csv":5 "shut":1 ` + odd + `{"a b+c%20&d?e#f":3}`, false}, 1},
		"a folder":              {in, "in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}, 1},
		"its own bucket":        {in, goodBucket + "/in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}, 3},
		"in full":               {in, "gs://" + goodBucket + "/in", 2, seen{ok, "", `"deep"{"er"{}} "one.json":7`, false}, 1},
		"a file":                {in, "in/one.json", 3, seen{ok, "", `"one.json":7`, false}, 2},
		"an odd folder":         {in, oddName, 1, seen{ok, "", `"a b+c%20&d?e#f":3`, false}, 1},
		"an empty segment":      {in, "a//", 1, seen{ok, "", `"b":2`, false}, 1},
		"a slash before":        {in, "//", 1, seen{ok, "", `"x":1`, false}, 1},
		"a marker":              {in, "kept", 1, seen{ok, "", ``, false}, 1},
		"an empty bucket":       {account.and(settings{"bucket": "no-files"}), "", 4, seen{ok, "", ``, false}, 1},
		"the path to test":      {account.and(settings{"test.path": goodBucket + "/kept"}), "in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}, 1},
		"by token":              {token.and(settings{"bucket": goodBucket}), "in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}, 1},
		"by token, no project":  {token.and(settings{"project_id": nil}), goodBucket + "/in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}, 1},
		"buckets":               {account, "", 1, seen{ok, "", `"closed-data"{} "deep-bucket"{} "no-files"{} "of-somebody-else"{} "wide-bucket"{}`, false}, 1},
		"by its bucket":         {account, goodBucket + "/in", 1, seen{ok, "", `"deep"{} "one.json":7`, false}, 1},
		"no project":            {settings{"json_creds": file.and(settings{"project_id": nil})}, "", 1, seen{notFound, path, "", false}, 0},
		"no project, a token":   {token.and(settings{"project_id": nil}), "", 1, seen{notFound, path, "", false}, 0},
		"no such project":       {account.and(settings{"project_id": "no-such-project"}), "", 1, seen{notFound, "/credentials/project_id", "", false}, 1},
		"another's project":     {account.and(settings{"project_id": "another"}), "", 1, seen{scope, "/credentials/project_id", "", false}, 1},
		"nothing":               {in, "nowhere", 2, seen{notFound, path, "", false}, 2},
		"a name's beginning":    {in, "in/on", 1, seen{notFound, path, "", false}, 2},
		"another bucket":        {in, "gs://no-files", 1, seen{scope, path, "", false}, 0},
		"no bucket's name":      {account, "Data?alt=media", 1, seen{probe.CodeDestinationBlocked, path, "", false}, 0},
		"parent":                {account, "../b", 1, seen{probe.CodeDestinationBlocked, path, "", false}, 0},
		"no such bucket":        {account.and(settings{"bucket": "no-such-bucket"}), "x", 1, seen{notFound, bucket, "", false}, 1},
		"no such bucket, asked": {account, "no-such-bucket", 1, seen{notFound, path, "", false}, 1},
		"forbidden":             {account.and(settings{"bucket": "of-somebody-else"}), "", 1, seen{scope, bucket, "", false}, 1},
		"forbidden folder":      {in, "bare", 1, seen{scope, path, "", false}, 1},
		"the payer is missing":  {in, "payer", 1, seen{scope, path, "", false}, 1},
		"too often":             {in, "busy/", 1, seen{probe.CodeRateLimited, "", "", false}, 1},
		"another key":           {bad.and(settings{"bucket": goodBucket}), "", 1, seen{rejected, "/credentials/json_creds", "", false}, 0},
		"another token":         {token.and(settings{"bucket": goodBucket, "access_token": "ya29.canary-wrong"}), "", 1, seen{rejected, "/credentials/access_token", "", false}, 1},
		"token has run out":     {token.and(settings{"bucket": goodBucket, "access_token": "ya29.canary-wrong", "vendor.refresh_token": "1//canary"}), "", 2, seen{probe.CodeSecretNotTested, "/credentials/access_token", "", false}, 1},

		"sample":                    {in, "a.csv", 0, seen{ok, "", "text/csv", false}, 2},
		"sample, in full":           {account, "gs://" + goodBucket + "/in/one.json", 0, seen{ok, "", "application/json", false}, 2},
		"sample, by token":          {token, goodBucket + "/in/deep/er/three", 0, seen{ok, "", "application/octet-stream", false}, 2},
		"sample, empty":             {in, "empty", 0, seen{ok, "", "application/octet-stream", false}, 2},
		"sample, long":              {in, "long.csv", 0, seen{ok, "", "text/csv", true}, 2},
		"sample, kept packed":       {in, "packed.csv", 0, seen{ok, "", "application/gzip", false}, 2},
		"sample, odd":               {in, oddName + "/a b+c%20&d?e#f", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, control":           {in, "n\n\x01", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, a slash before":    {in, "//x", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, an empty segment":  {in, "a//b", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, dots within":       {in, "d/../e", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, dots":              {in, "..", 0, seen{notFound, path, "", false}, 1},
		"sample, both":              {in, "a", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, may not list":      {in, "bare", 0, seen{notFound, path, "", false}, 2},
		"sample, a folder":          {in, "in", 0, seen{ok, "", "application/octet-stream", false}, 3},
		"sample, its slash":         {in, "in/", 0, seen{ok, "", "application/octet-stream", false}, 2},
		"sample, its own bucket":    {in, goodBucket + "/in/one.json", 0, seen{ok, "", "application/json", false}, 4},
		"sample, a marker":          {in, "kept/", 0, seen{notFound, path, "", false}, 1},
		"sample, nothing":           {in, "nowhere", 0, seen{notFound, path, "", false}, 2},
		"sample, the bucket":        {in, "", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, denied":            {in, "shut", 0, seen{scope, path, "", false}, 2},
		"sample, all denied":        {account, "of-somebody-else/x", 0, seen{scope, path, "", false}, 2},
		"sample, fails":             {in, "busy", 0, seen{probe.CodeRateLimited, "", "", false}, 1},
		"sample, the token is gone": {in, "gone", 0, seen{probe.CodeTokenRefused, "/credentials/json_creds", "", false}, 2},
		"sample, no such bucket":    {account, "no-such-bucket/x", 0, seen{notFound, path, "", false}, 1},
		"sample, another key":       {bad.and(settings{"bucket": goodBucket}), "a.csv", 0, seen{rejected, "/credentials/json_creds", "", false}, 0},
	} {
		for _, gaps := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gaps %v", name, gaps), func(t *testing.T) {
				t.Parallel()
				d := newDouble(t, config, &key.PublicKey, 0)
				d.files = shelves()
				d.files.gaps = gaps
				of := trial{settings: saved(t, row.settings, ca.PEM), prober: gcsprobe.At(d.URL)}
				if row.depth > 0 {
					tree, got := of.tree(t, row.path, row.depth)
					row.want.hold(t, got, probetest.Outline(tree.Nodes), tree.Truncated)
				} else {
					sample, got := of.sample(t, row.path)
					row.want.hold(t, got, sample.ContentType, sample.Truncated)
					_, name, _ := strings.Cut(row.path, goodBucket+"/")
					if sample.Path != "" {
						_, name, _ = strings.Cut(sample.Path, goodBucket+"/")
					}
					if content := d.files.buckets[goodBucket][strings.TrimPrefix(row.path, "/")].Content + d.files.buckets[goodBucket][name].Content; got.Code == ok && (sample.Bytes == nil || !strings.HasPrefix(content, string(sample.Bytes)) || len(sample.Bytes) == 0 && content != "") {
						t.Errorf("%d bytes of %d", len(sample.Bytes), len(content))
					}
				}
				reads := 0
				for _, s := range d.seen {
					if strings.HasPrefix(s, "GET ") && strings.HasSuffix(s, " true") {
						reads++
					} else if s != "POST /token false" {
						t.Errorf("request %q", s)
					}
				}
				if !gaps && reads != row.reads || reads > 12 {
					t.Errorf("requests %q, want %d", d.seen, row.reads)
				}
			})
		}
	}
}

// Many objects, by pages and by folders, and their times.
func TestTreesOfMany(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	key := newKey(t, 2048)
	account := settings{"json_creds": settings{"type": "service_account", "project_id": "my-project", "client_email": email, "private_key": pkcs8(t, key)}}
	for name, row := range map[string]struct {
		bucket    any
		path      string
		depth     int
		least     int
		truncated bool
	}{
		"pages":            {"wide-bucket", "", 1, 4000, true},
		"pages, deep":      {"wide-bucket", "", 9, 4000, true},
		"folders":          {"deep-bucket", "", 2, 1201, false},
		"one may not":      {"deep-bucket", "a/007", 1, 0, false},
		"folders, deep":    {"deep-bucket", "", 3, 2000, true},
		"buckets":          {nil, "", 2, 3000, true},
		"buckets, to ends": {nil, "", 10, 1500, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, config, &key.PublicKey, 0)
			d.files = shelves()
			tree, got := trial{settings: saved(t, account.and(settings{"bucket": row.bucket}), ca.PEM), prober: gcsprobe.At(d.URL)}.tree(t, row.path, row.depth)
			outline := probetest.Outline(tree.Nodes)
			n := strings.Count(outline, ":") + strings.Count(outline, "{")
			want := probe.CodeOK
			if row.least == 0 {
				want = probe.WarnScopeMissing
			}
			if got.Code != want || n < row.least || tree.Truncated != row.truncated || len(d.seen) > 13 {
				t.Errorf("%s, %d nodes by %d requests, truncated %v: %+v", got.Code, n, len(d.seen), tree.Truncated, got.Stages)
			}
			t.Logf("%d nodes by %d requests", n, len(d.seen))
		})
	}
	d := newDouble(t, config, &key.PublicKey, 0)
	d.files = shelves()
	tree, got := trial{settings: saved(t, account, ca.PEM), prober: gcsprobe.At(d.URL)}.tree(t, goodBucket+"/a.csv", 1)
	if got.Code != probe.CodeOK || len(tree.Nodes) != 1 || !tree.Nodes[0].Created.Equal(made) || !tree.Nodes[0].Modified.Equal(changed) {
		t.Errorf("%s, %+v", got.Code, tree.Nodes)
	}
}

// Google names other addresses each time it is asked. A look's many requests go
// to the one that took the first.
func TestLooksStayWithAnAddress(t *testing.T) {
	ca := probetest.NewAuthority(t)
	d := newDouble(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{Names: []string{"storage.example.com"}})}}, nil, 0)
	d.files = shelves()
	mine := settings{"is_service_account": false, "auth.type": "OAUTH2", "access_token": personal, "bucket": "deep-bucket"}
	names := &turning{}
	of := trial{settings: saved(t, mine, ca.PEM), prober: gcsprobe.At(strings.Replace(d.URL, "127.0.0.1", "storage.example.com", 1)), resolver: names}
	tree, got := of.tree(t, "", 3)
	if got.Code != probe.CodeOK || len(tree.Nodes) != 1 || len(d.seen) < 10 || names.asked != 1 {
		t.Errorf("%s, %d requests, %d look-ups: %s", got.Code, len(d.seen), names.asked, got.Message)
	}
}

// turning is a name server that answers each look-up with another address, the
// first of which is where the server is.
type turning struct{ asked int }

func (n *turning) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n.asked++
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(n.asked)})}, nil
}

// Doubles that misbehave at the first read of a look, or at a later one.
func TestHostileLooks(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	mine := settings{"is_service_account": false, "auth.type": "OAUTH2", "access_token": personal, "bucket": goodBucket}
	const (
		some     = `{"kind":"storage#objects","nextPageToken":"x","items":[{"name":"a","size":"1"}]}`
		mismatch = probe.CodeProtocolMismatch
	)
	type said struct {
		status int
		body   string
	}
	for name, row := range map[string]struct {
		turns  []said // the last one again and again
		tree   probe.Code
		sample probe.Code
	}{
		"a page":                 {[]said{{200, "<html>" + probetest.Foreign}}, mismatch, mismatch},
		"nothing":                {[]said{{200, ""}}, mismatch, mismatch},
		"another kind":           {[]said{{200, `{"kind":"storage#buckets"}`}}, mismatch, mismatch},
		"an odd size":            {[]said{{200, `{"kind":"storage#objects","items":[{"name":"a","size":"x"}]}`}}, mismatch, mismatch},
		"less than nothing":      {[]said{{200, `{"kind":"storage#objects","items":[{"name":"a","size":"-1"}]}`}}, mismatch, probe.CodeOK},
		"no name":                {[]said{{200, `{"kind":"storage#objects","prefixes":[""]}`}}, mismatch, probe.CodeOK},
		"far too much":           {[]said{{200, `{"kind":"storage#objects","x":"` + strings.Repeat("a", 600<<10) + `"}`}}, mismatch, mismatch},
		"403 and a page":         {[]said{{403, "<html>" + probetest.Foreign}}, mismatch, mismatch},
		"a redirect":             {[]said{{302, ""}}, mismatch, mismatch},
		"401":                    {[]said{{401, `{"error":{"code":401}}`}}, probe.CodeAuthRejected, probe.CodeAuthRejected},
		"fails":                  {[]said{{500, some}}, probe.CodeTargetUnavailable, probe.CodeTargetUnavailable},
		"then a page":            {[]said{{200, some}, {200, "<html>" + probetest.Foreign}}, mismatch, probe.CodeOK},
		"then 401":               {[]said{{200, some}, {401, `{"error":{"code":401}}`}}, probe.CodeAuthRejected, probe.CodeAuthRejected},
		"then fails":             {[]said{{200, some}, {503, ""}}, probe.CodeOK, probe.CodeTargetUnavailable},
		"then too often":         {[]said{{200, some}, {429, ""}}, probe.CodeOK, probe.CodeRateLimited},
		"then 403":               {[]said{{200, some}, {403, `{"error":{"code":403}}`}}, probe.CodeOK, probe.WarnScopeMissing},
		"then far too much":      {[]said{{200, some}, {200, strings.Repeat("a", 600<<10)}}, probe.CodeOK, probe.CodeOK},
		"goes on without an end": {[]said{{200, some}}, probe.CodeOK, probe.CodeOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, sampled := range []bool{false, true} {
				var n atomic.Int64
				d := newDouble(t, config, nil, 0)
				d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					turn := row.turns[min(int(n.Add(1)), len(row.turns))-1]
					w.Header().Set("Location", "https://127.0.0.1:1/"+probetest.Foreign)
					w.WriteHeader(turn.status)
					_, _ = w.Write([]byte(turn.body))
				})
				of := trial{settings: saved(t, mine, ca.PEM), prober: gcsprobe.At(d.URL), budget: 2 * time.Second}
				if sampled {
					sample, got := of.sample(t, "file")
					if got.Code != row.sample || len(sample.Bytes) > probe.MaxSampleBytes || (sample.Bytes != nil) != (got.Code == probe.CodeOK) {
						t.Errorf("sample: %s, %d bytes: %s %+v", got.Code, len(sample.Bytes), got.Message, got.Stages)
					}
					continue
				}
				tree, got := of.tree(t, "", 3)
				if got.Code != row.tree || got.Code == probe.CodeOK && !tree.Truncated || n.Load() > 12 {
					t.Errorf("tree: %s, truncated %v, %d requests: %s %+v", got.Code, tree.Truncated, n.Load(), got.Message, got.Stages)
				}
			}
		})
	}
	for name, row := range map[string]struct {
		address string
		ca      string
		want    probe.Code
	}{
		"not trusted":    {newDouble(t, config, nil, 0).URL, "", probe.CodeTLSUntrusted},
		"hangs":          {"https://" + probetest.Serve(t, probetest.Hang).Addr, ca.PEM, probe.CodeProbeTimeout},
		"closes at once": {"https://" + probetest.Serve(t, probetest.CloseAtOnce).Addr, ca.PEM, probe.CodeTCPReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := trial{settings: saved(t, mine, row.ca), prober: gcsprobe.At(row.address), budget: time.Second}.tree(t, "", 2)
			if got.Code != row.want || got.Pointer != "" {
				t.Errorf("got %s at %q: %s", got.Code, got.Pointer, got.Message)
			}
		})
	}
}
