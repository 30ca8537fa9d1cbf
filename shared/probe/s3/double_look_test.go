package s3probe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
	s3probe "credence/shared/probe/s3"
)

// oddKeys are names that Amazon takes and a file system does not.
func oddKeys() probetest.Bucket {
	b := probetest.Bucket{}
	for _, key := range []string{"/x", "//y", "a//b", "a/b", "a", "c/", "d/", "d/../e", "f\x01\x02\n", "g+h i%20j", `k"&<l>`, "m/\u00ff/日本", "n/.", "o/_%2F/p", strings.Repeat("q", 1024)} {
		b[key] = probetest.Stored{Content: "0123456789"[:len(key)%7]}
	}
	b["c/"], b["d/"] = probetest.Stored{}, probetest.Stored{Content: "full"}
	return b
}

func numbered(n int, form string) probetest.Bucket {
	b := probetest.Bucket{}
	for i := range n {
		b[fmt.Sprintf(form, i)] = probetest.Stored{Content: "x"}
	}
	return b
}

// Looks at what a server of another maker cannot show: Amazon's keys, pages,
// archives, encryption and regions.
func TestAmazonLooks(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "region": "us-west-2", "tls.ca_certificate": ca.PEM}
	in := func(bucket string) settings { return keys.and(settings{"bucket": bucket}) }
	buckets := map[string]probetest.Bucket{
		"odd": oddKeys(), "wide": numbered(6000, "%04d"), "deep": numbered(1200, "a/%03d/x"),
		"mixed": {"in/x": {Content: "x"}, "no/x": {Content: "x"}, "z": {Content: "z"}},
		"data":  {"a.csv": {Content: "a,b\n", Type: "text/csv"}, "b": {Content: "{}", Type: "application/json; charset=utf-8"}, "empty": {}, "a//b": {Content: "twice"}},
		"cold":  {}, "data--usw2-az1--x-s3": {}, "elsewhere": {}, "forbidden": {},
	}
	for key := range numbered(1100, "%04d") {
		buckets["mixed"]["in/"+key] = probetest.Stored{}
	}
	refuses := map[string]said{
		"mixed?no/": {403, "AccessDenied"}, "cold/ice": {403, "InvalidObjectState"}, "cold/own": {400, "InvalidRequest"}, "cold/kms": {400, "KMS.DisabledException"},
		"cold/denied": {403, "AccessDenied"}, "cold/odd": {400, probetest.Foreign}, "cold/slow": {503, "SlowDown"}, "data/a//b": {403, "SignatureDoesNotMatch"},
		"cold/gone": {403, "InvalidAccessKeyId"}, "cold/late": {403, "RequestTimeTooSkewed"}, "cold?may-not/": {403, "AccessDenied"}, "cold?bad/": {403, "SignatureDoesNotMatch"},
		"cold?slow/": {503, "SlowDown"}, "cold?odd/": {400, probetest.Foreign},
	}
	const (
		ok       = probe.CodeOK
		scope    = probe.WarnScopeMissing
		notFound = probe.WarnResourceNotFound
		path     = "/path"
	)
	reasons := map[string]string{"sample, archived": "S3 Glacier", "sample, SSE-C": "SSE-C", "sample, its key disabled": "KMS key that is disabled", "sample, denied": "s3:GetObject"}
	for name, row := range map[string]struct {
		settings settings
		path     string
		depth    int // 0 for a sample
		want     seen
		dials    int
	}{
		"odd keys":               {in("odd"), "", 10, seen{ok, "", `""{""{"y":3} "x":2} "a":1 "a/"{""{"b":4} "b":3} "c"{} "d"{"":4 ".."{"e":6}} "f\x01\x02\n":4 "g+h i%20j":2 "k\"&<l>":6 "m"{"ÿ"{"日本":4}} "n"{".":3} "o"{"_%2F"{"p":1}} "` + strings.Repeat("q", 1024) + `":2`, false}, 1},
		"a slash before":         {in("odd"), "//", 1, seen{ok, "", `""{} "x":2`, false}, 1},
		"an empty segment":       {in("odd"), "a//", 1, seen{ok, "", `"b":4`, false}, 1},
		"a file of control":      {in("odd"), "f\x01\x02\n", 1, seen{ok, "", `"f\x01\x02\n":4`, false}, 2},
		"a plus and a space":     {in("odd"), "g+h i%20j", 3, seen{ok, "", `"g+h i%20j":2`, false}, 2},
		"a folder that is none":  {in("odd"), "d/../", 3, seen{ok, "", `"e":6`, false}, 1},
		"temporary keys":         {in("odd").and(settings{"access_key": passingKey, "secret_key": passingSecret, "session_token": goodToken}), "n", 1, seen{ok, "", `".":3`, false}, 1},
		"old temporary keys":     {in("odd").and(settings{"access_key": passingKey, "secret_key": passingSecret, "session_token": oldToken}), "n", 1, seen{probe.CodeAuthExpired, "/credentials/session_token", "", false}, 1},
		"a folder may not":       {in("mixed"), "no", 1, seen{scope, path, "", false}, 1},
		"slow down":              {in("cold"), "slow", 1, seen{probe.CodeRateLimited, "", "", false}, 1},
		"a code of its own":      {in("cold"), "odd", 1, seen{scope, path, "", false}, 1},
		"wrong signature":        {in("cold"), "bad", 1, seen{probe.CodeAuthRejected, "/credentials/secret_key", "", false}, 1},
		"all may not":            {in("forbidden"), "", 2, seen{scope, "/credentials/bucket", "", false}, 1},
		"elsewhere":              {in("elsewhere"), "", 2, seen{notFound, "/credentials/region", "", false}, 1},
		"elsewhere, by path":     {keys, "elsewhere/x", 2, seen{notFound, "/credentials/region", "", false}, 1},
		"no such bucket, a path": {keys, "nowhere/x", 2, seen{notFound, path, "", false}, 1},
		"buckets":                {keys, "", 1, seen{ok, "", `"cold"{} "data"{} "data--usw2-az1--x-s3"{} "deep"{} "elsewhere"{} "forbidden"{} "mixed"{} "odd"{} "wide"{}`, false}, 1},
		"a directory bucket":     {keys, "data--usw2-az1--x-s3", 1, seen{probe.CodeDestinationBlocked, path, "", false}, 0},

		"sample":                     {in("data"), "a.csv", 0, seen{ok, "", "text/csv", false}, 2},
		"sample, told":               {in("data"), "b", 0, seen{ok, "", "application/json", false}, 2},
		"sample, empty":              {in("data"), "empty", 0, seen{ok, "", "application/octet-stream", false}, 2},
		"sample, no bucket":          {keys, "data/a.csv", 0, seen{ok, "", "text/csv", false}, 2},
		"sample, odd":                {in("odd"), "f\x01\x02\n", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, a slash before":     {in("odd"), "//x", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, an empty segment":   {in("odd"), "a//b", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, a plus":             {in("odd"), "g+h i%20j", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, longest":            {in("odd"), strings.Repeat("q", 1024), 0, seen{ok, "", "text/plain", false}, 2},
		"sample, a marker":           {in("odd"), "c/", 0, seen{notFound, path, "", false}, 1},
		"sample, a full marker":      {in("odd"), "d/", 0, seen{ok, "", "text/plain", false}, 2},
		"sample, a dot":              {in("odd"), "n/.", 0, seen{probe.CodeDestinationBlocked, path, "", false}, 0},
		"sample, archived":           {in("cold"), "ice", 0, seen{scope, path, "", false}, 2},
		"sample, SSE-C":              {in("cold"), "own", 0, seen{scope, path, "", false}, 2},
		"sample, its key disabled":   {in("cold"), "kms", 0, seen{scope, path, "", false}, 2},
		"sample, denied":             {in("cold"), "denied", 0, seen{scope, path, "", false}, 2},
		"sample, may not list":       {in("cold"), "may-not", 0, seen{notFound, path, "", false}, 2},
		"sample, a code of its own":  {in("cold"), "odd", 0, seen{scope, path, "", false}, 2},
		"sample, slow down":          {in("cold"), "slow", 0, seen{probe.CodeRateLimited, "", "", false}, 1},
		"sample, the key is gone":    {in("cold"), "gone", 0, seen{probe.CodeAuthRejected, "/credentials/access_key", "", false}, 2},
		"sample, the clock":          {in("cold"), "late", 0, seen{probe.CodeProbeInternal, "", "", false}, 2},
		"sample, rewritten":          {in("data"), "a//b", 0, seen{probe.CodeProtocolMismatch, path, "", false}, 2},
		"sample, wrong signature":    {in("cold"), "bad", 0, seen{probe.CodeAuthRejected, "/credentials/secret_key", "", false}, 1},
		"sample, forbidden bucket":   {in("forbidden"), "x", 0, seen{scope, path, "", false}, 2},
		"sample, elsewhere":          {in("elsewhere"), "x", 0, seen{notFound, "/credentials/region", "", false}, 1},
		"sample, a directory bucket": {keys, "data--usw2-az1--x-s3/x", 0, seen{probe.CodeDestinationBlocked, path, "", false}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			double := newAmazon(t, config, 0)
			double.buckets, double.refuses = buckets, refuses
			of := trial{settings: saved(t, row.settings), prober: s3probe.At(double.URL)}
			if row.depth > 0 {
				tree, got := of.tree(t, row.path, row.depth)
				row.want.hold(t, got, probetest.Outline(tree.Nodes), tree.Truncated)
				if got.Facts["bucket_region"] != map[bool]string{true: "eu-central-1"}[strings.HasPrefix(name, "elsewhere")] {
					t.Errorf("facts %v", got.Facts)
				}
			} else {
				sample, got := of.sample(t, row.path)
				row.want.hold(t, got, sample.ContentType, sample.Truncated)
				if word := reasons[name]; !strings.Contains(got.Message, word) {
					t.Errorf("the message does not tell of %s: %s", word, got.Message)
				}
			}
			if len(double.seen) != row.dials {
				t.Errorf("requests %q, want %d", double.seen, row.dials)
			}
			for _, s := range double.seen {
				if !strings.HasPrefix(s, "GET ") || !strings.HasSuffix(s, " true") {
					t.Errorf("request %q", s)
				}
			}
		})
	}
	for name, row := range map[string]struct {
		settings  settings
		depth     int
		least     int
		truncated bool
	}{
		"pages":                  {in("wide"), 1, 1900, true},
		"pages, deep":            {in("wide"), 10, 1500, true},
		"folders":                {in("deep"), 2, 1201, false},
		"folders, deep":          {in("deep"), 3, 2000, true},
		"one folder may not":     {in("mixed"), 2, 1100, true},
		"buckets, two may not":   {keys, 2, 1500, true},
		"buckets, all of it":     {keys, 10, 1200, true},
		"the path without limit": {in("mixed").and(settings{"bucket": nil, "test.path": "mixed/in/0"}), 1, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			double := newAmazon(t, config, 0)
			double.buckets, double.refuses = buckets, refuses
			tree, got := trial{settings: saved(t, row.settings), prober: s3probe.At(double.URL)}.tree(t, "", row.depth)
			n := strings.Count(probetest.Outline(tree.Nodes), ":") + strings.Count(probetest.Outline(tree.Nodes), "{")
			if got.Code != ok || n < row.least || tree.Truncated != row.truncated || len(double.seen) > 12 {
				t.Errorf("%s, %d nodes by %d requests, truncated %v: %+v", got.Code, n, len(double.seen), tree.Truncated, got.Stages)
			}
			if strings.Contains(strings.Join(double.seen, " "), "--x-s3") {
				t.Error("a directory bucket of the list was looked into")
			}
			t.Logf("%d nodes by %d requests", n, len(double.seen))
		})
	}
}

// Amazon names other addresses each time it is asked. A look's many requests go
// to the one that took the first.
func TestLooksStayWithAnAddress(t *testing.T) {
	ca := probetest.NewAuthority(t)
	double := newAmazon(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{Names: []string{"s3.example.com"}})}}, 0)
	double.buckets = map[string]probetest.Bucket{"deep": numbered(1200, "a/%03d/x")}
	keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "region": "us-west-2", "bucket": "deep", "tls.ca_certificate": ca.PEM}
	names := &turning{}
	of := trial{settings: saved(t, keys), prober: s3probe.At(strings.Replace(double.URL, "127.0.0.1", "s3.example.com", 1)), resolver: names}
	tree, got := of.tree(t, "", 3)
	if got.Code != probe.CodeOK || len(tree.Nodes) != 1 || len(double.seen) < 10 || names.asked != 1 {
		t.Errorf("%s, %d requests, %d look-ups: %s", got.Code, len(double.seen), names.asked, got.Message)
	}
}

// turning is a name server that answers each look-up with another address, the
// first of which is where the server is.
type turning struct{ asked int }

func (n *turning) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n.asked++
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(n.asked)})}, nil
}

// Places that our own rules refuse, before anything is dialled.
func TestPlacesRefusedWithoutDialling(t *testing.T) {
	target := probetest.Serve(t, probetest.Hang)
	keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "region": "us-west-2"}
	const blocked = probe.CodeDestinationBlocked
	for name, row := range map[string]struct {
		more settings
		path string
		want seen
	}{
		"another bucket":      {settings{"bucket": "data"}, "s3://other/x", seen{probe.WarnScopeMissing, "/path", "", false}},
		"another, by test":    {settings{"test.path": "data/x"}, "s3://other/x", seen{probe.WarnScopeMissing, "/path", "", false}},
		"too long":            {settings{"bucket": "data"}, strings.Repeat("x", 1025), seen{probe.WarnResourceNotFound, "/path", "", false}},
		"ARN":                 {nil, "arn:aws:s3:us-west-2:123456789012:accesspoint/mine", seen{blocked, "/path", "", false}},
		"ARN, in full":        {nil, "s3://arn:aws:s3:::data/x", seen{blocked, "/path", "", false}},
		"alias":               {nil, "mine-metadata-s3alias/x", seen{blocked, "/path", "", false}},
		"many regions":        {nil, "mfzwi23gnjvgw.mrap", seen{blocked, "/path", "", false}},
		"directory":           {nil, "data--usw2-az1--x-s3/x", seen{blocked, "/path", "", false}},
		"parent":              {nil, "../x", seen{blocked, "/path", "", false}},
		"host":                {nil, "evil.example:443/x", seen{blocked, "/path", "", false}},
		"query":               {nil, "data?acl", seen{blocked, "/path", "", false}},
		"line break":          {nil, "data\r\nX: y/z", seen{blocked, "/path", "", false}},
		"no name":             {nil, "s3:///x", seen{blocked, "/path", "", false}},
		"bad bucket":          {settings{"bucket": "data?acl"}, "x", seen{blocked, "/credentials/bucket", "", false}},
		"role":                {settings{"s3_auth_type": "ARN"}, "data/x", seen{probe.CodeAuthMethodUnsupported, "/credentials/s3_auth_type", "", false}},
		"endpoint is special": {settings{"endpoint": "http://169.254.169.254/"}, "data/x", seen{blocked, "/credentials/endpoint", "", false}},
	} {
		t.Run(name, func(t *testing.T) {
			names := &nowhere{}
			of := trial{settings: stored(keys.and(row.more)), prober: s3probe.At("https://" + target.Addr), resolver: names}
			tree, got := of.tree(t, row.path, 2)
			row.want.hold(t, got, probetest.Outline(tree.Nodes), tree.Truncated)
			sample, got := of.sample(t, row.path)
			row.want.hold(t, got, sample.ContentType, sample.Truncated)
			if n := target.Accepted.Load(); n != 0 || len(names.asked) != 0 {
				t.Fatalf("%d connections, asked for %q", n, names.asked)
			}
		})
	}
}

// Stores that misbehave at the first request of a look, or at a later one.
func TestHostileLooks(t *testing.T) {
	foreign := probetest.Foreign
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n"
	const page = head + "<ListBucketResult><Name>data</Name><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>" +
		"<Contents><Key>a</Key><Size>1</Size></Contents><Contents><Key>f/x</Key><Size>1</Size></Contents></ListBucketResult>"
	const folders = head + "<ListBucketResult><Name>data</Name><CommonPrefixes><Prefix>f/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>g/</Prefix></CommonPrefixes></ListBucketResult>"
	const none = head + "<ListBucketResult><Name>data</Name></ListBucketResult>"
	say := func(text string) func(context.Context, net.Conn) {
		return func(_ context.Context, c net.Conn) { _, _ = io.WriteString(c, text) }
	}
	dripping := func(ctx context.Context, c net.Conn) { _, _ = io.WriteString(c, head); probetest.Drip(listing)(ctx, c) }
	endless := probetest.Endless(head+"<ListBucketResult><Name>data</Name>", "<Contents><Key>"+foreign+"</Key></Contents>")
	type turns = []func(context.Context, net.Conn) // the last one again and again
	for name, row := range map[string]struct {
		turns   turns
		tree    probe.Code
		partial bool // there is a tree, cut
		sample  probe.Code
	}{
		"hangs":           {turns{probetest.Hang}, probe.CodeProbeTimeout, false, probe.CodeProbeTimeout},
		"closes":          {turns{probetest.CloseAtOnce}, probe.CodeTCPReset, false, probe.CodeTCPReset},
		"drips":           {turns{dripping}, probe.CodeProbeTimeout, false, probe.CodeProbeTimeout},
		"sends endlessly": {turns{endless}, probe.CodeProtocolMismatch, false, probe.CodeProtocolMismatch},
		"half a list":     {turns{say(page[:len(page)-40])}, probe.CodeProtocolMismatch, false, probe.CodeProtocolMismatch},
		"breaks off":      {turns{say("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + listing)}, probe.CodeTCPReset, false, probe.CodeTCPReset},
		"a page":          {turns{say(head + "<html>" + foreign)}, probe.CodeProtocolMismatch, false, probe.CodeProtocolMismatch},
		"serves anything": {turns{say("HTTP/1.1 200 OK\r\n\r\n" + foreign)}, probe.CodeProtocolMismatch, false, probe.CodeProtocolMismatch},
		"refuses plainly": {turns{say("HTTP/1.1 403 Forbidden\r\n\r\n" + foreign)}, probe.CodeProtocolMismatch, false, probe.CodeProtocolMismatch},
		"redirects":       {turns{say("HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")}, probe.CodeProtocolMismatch, false, probe.CodeProtocolMismatch},
		"another bucket":  {turns{say(strings.Replace(folders, "data", "other", 1))}, probe.CodeProtocolMismatch, false, probe.CodeProtocolMismatch},
		"a bad code":      {turns{say("HTTP/1.1 400 Bad\r\n\r\n<Error><Code>" + foreign + "</Code></Error>")}, probe.WarnScopeMissing, false, probe.WarnScopeMissing},

		"hangs, then":           {turns{say(page), probetest.Hang}, probe.CodeProbeTimeout, false, probe.CodeProbeTimeout},
		"closes, then":          {turns{say(page), probetest.CloseAtOnce}, probe.CodeTCPReset, false, probe.CodeTCPReset},
		"drips, then":           {turns{say(folders), dripping}, probe.CodeProbeTimeout, false, probe.CodeProbeTimeout},
		"one of many hangs":     {turns{say(page), say(folders), say(none), probetest.Hang}, probe.CodeProbeTimeout, false, ""},
		"one of many closes":    {turns{say(page), say(folders), probetest.CloseAtOnce, say(none)}, probe.CodeTCPReset, false, ""},
		"more, and no way on":   {turns{say(strings.Replace(page, "<NextContinuationToken>x</NextContinuationToken>", "<NextMarker>f/x</NextMarker>", 1))}, probe.CodeOK, true, probe.CodeOK},
		"more without end":      {turns{say(strings.Replace(page, "f/x", "b", 1))}, probe.CodeOK, true, probe.CodeOK},
		"sends endlessly, then": {turns{say(page), endless}, probe.CodeOK, true, probe.CodeOK},
		"a page, then":          {turns{say(page), say(head + "<html>" + foreign)}, probe.CodeProtocolMismatch, false, probe.CodeOK},
		"slow down, then":       {turns{say(page), say("HTTP/1.1 503 Slow\r\n\r\n<Error><Code>SlowDown</Code></Error>")}, probe.CodeOK, true, probe.CodeRateLimited},
		"denied, then":          {turns{say(page), say("HTTP/1.1 403 No\r\n\r\n<Error><Code>AccessDenied</Code></Error>")}, probe.CodeOK, true, probe.WarnScopeMissing},
		"refused, then":         {turns{say(page), say("HTTP/1.1 403 No\r\n\r\n<Error><Code>InvalidAccessKeyId</Code></Error>")}, probe.CodeAuthRejected, false, probe.CodeAuthRejected},
		"redirects, then":       {turns{say(page), say("HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")}, probe.CodeProtocolMismatch, false, probe.CodeProtocolMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, sampled := range []bool{false, true} {
				var n atomic.Int64
				s := probetest.Serve(t, func(ctx context.Context, c net.Conn) {
					turn := min(int(n.Add(1)), len(row.turns)) - 1
					_, _ = c.Read(make([]byte, 8192))
					row.turns[turn](ctx, c)
				})
				keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "endpoint": "http://" + s.Addr, "bucket": "data"}
				of := trial{settings: saved(t, keys), prober: s3probe.Prober{}, budget: 2 * time.Second}
				if sampled {
					if row.sample == "" {
						continue
					}
					sample, got := of.sample(t, "file")
					if got.Code != row.sample || len(sample.Bytes) > probe.MaxSampleBytes || (sample.Bytes != nil) != (got.Code == probe.CodeOK) {
						t.Errorf("sample: %s, %d bytes: %s %+v", got.Code, len(sample.Bytes), got.Message, got.Stages)
					}
					continue
				}
				tree, got := of.tree(t, "", 3)
				if got.Code != row.tree || (len(tree.Nodes) > 0) != row.partial || tree.Truncated != row.partial {
					t.Errorf("tree: %s, %s, truncated %v: %s %+v", got.Code, probetest.Outline(tree.Nodes), tree.Truncated, got.Message, got.Stages)
				}
			}
		})
	}
}
