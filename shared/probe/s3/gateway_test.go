package s3probe_test

import (
	"flag"
	"strings"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/probetest"
)

// words is what the rows say, for people to read.
var words probetest.Words

var update = flag.Bool("update", false, "write the golden file anew")

// A real server that verifies signatures.
func TestGateway(t *testing.T) {
	t.Cleanup(func() { words.Golden(t, *update) }) // behind the parallel rows
	ca := probetest.NewAuthority(t)
	gateway := start(t, ca.Issue(t, probetest.Leaf{}))
	root := settings{"access_key_id": rootKey, "secret_access_key": rootSecret, "region": "us-east-1", "endpoint": gateway.secured, "tls.ca_certificate": ca.PEM}
	user := root.and(settings{"access_key_id": userKey, "secret_access_key": userSecret})
	plain := settings{"endpoint": gateway.plain}
	port := gateway.secured[strings.LastIndexByte(gateway.secured, ':'):]
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		untested = probe.CodeSecretNotTested
		notFound = probe.WarnResourceNotFound
		scope    = probe.WarnScopeMissing
	)
	for name, row := range map[string]struct {
		settings settings
		want     want
	}{
		"bucket":                     {root.and(settings{"bucket": ownBucket}), want{code: ok}},
		"bucket, no region":          {root.and(settings{"bucket": ownBucket, "region": nil}), want{code: ok}},
		"bucket by name of the host": {root.and(settings{"bucket": ownBucket, "endpoint": "https://localhost" + port + "/"}), want{code: ok}},
		"bucket, plain, listed":      {root.and(plain).and(settings{"bucket": ownBucket}), want{code: ok}},
		"no bucket":                  {root, want{code: ok}},
		"no bucket, plain, listed":   {root.and(plain), want{code: ok}},
		"user's bucket":              {user.and(settings{"bucket": userBucket}), want{code: ok}},
		"user, no bucket":            {user, want{code: ok}},
		"path":                       {root.and(settings{"test.path": ownBucket + "/in/"}), want{code: ok}},
		"path with a scheme":         {root.and(settings{"test.path": "s3://" + ownBucket + "/in/one"}), want{code: ok}},
		"path in the bucket":         {root.and(settings{"bucket": ownBucket, "test.path": "/in"}), want{code: ok}},
		"path from the bucket on":    {root.and(settings{"bucket": ownBucket, "test.path": ownBucket + "/in"}), want{code: ok}},

		"missing bucket":          {root.and(settings{"bucket": "no-such"}), want{ok, "", notFound, "bucket"}},
		"missing bucket, user":    {user.and(settings{"bucket": "no-such"}), want{ok, "", notFound, "bucket"}},
		"missing bucket by path":  {root.and(settings{"test.path": "no-such/x"}), want{ok, "", notFound, "test.path"}},
		"name that no bucket has": {root.and(settings{"bucket": "Has_Capitals"}), want{ok, "", notFound, "bucket"}},
		"forbidden bucket":        {user.and(settings{"bucket": ownBucket}), want{ok, "", scope, "bucket"}},
		"forbidden path":          {user.and(settings{"test.path": ownBucket + "/in"}), want{ok, "", scope, "test.path"}},
		"public bucket":           {root.and(settings{"bucket": publicBucket}), want{code: ok}},
		"public bucket, user":     {user.and(settings{"bucket": publicBucket}), want{code: ok}},

		"wrong secret":                        {root.and(settings{"bucket": ownBucket, "secret_access_key": "canary-wrong"}), want{code: rejected, pointer: "secret_key"}},
		"wrong secret, a character less":      {root.and(settings{"bucket": ownBucket, "secret_access_key": rootSecret[1:]}), want{code: rejected, pointer: "secret_key"}},
		"wrong secret, plain":                 {root.and(plain).and(settings{"bucket": ownBucket, "secret_access_key": "canary-wrong"}), want{code: rejected, pointer: "secret_key"}},
		"wrong secret, no bucket":             {root.and(settings{"secret_access_key": "canary-wrong"}), want{code: rejected, pointer: "secret_key"}},
		"wrong secret, public bucket":         {root.and(settings{"bucket": publicBucket, "secret_access_key": "canary-wrong"}), want{code: rejected, pointer: "secret_key"}},
		"wrong secret, missing bucket":        {root.and(settings{"bucket": "no-such", "secret_access_key": "canary-wrong"}), want{code: rejected, pointer: "secret_key"}},
		"wrong secret, forbidden bucket":      {user.and(settings{"bucket": ownBucket, "secret_access_key": "canary-wrong"}), want{code: rejected, pointer: "secret_key"}},
		"another's secret":                    {root.and(settings{"bucket": ownBucket, "secret_access_key": userSecret}), want{code: rejected, pointer: "secret_key"}},
		"wrong key":                           {root.and(settings{"bucket": ownBucket, "access_key_id": "CANARYNOBODY01"}), want{code: rejected, pointer: "access_key"}},
		"wrong key, no bucket":                {root.and(settings{"access_key_id": "CANARYNOBODY01"}), want{code: rejected, pointer: "access_key"}},
		"wrong key, public bucket":            {root.and(settings{"bucket": publicBucket, "access_key_id": "CANARYNOBODY01"}), want{code: rejected, pointer: "access_key"}},
		"wrong key, a temporary one's prefix": {root.and(settings{"access_key_id": "ASIACANARY0001"}), want{code: rejected, pointer: "session_token"}},

		"wrong region":               {root.and(settings{"bucket": ownBucket, "region": "eu-west-1"}), want{code: untested, pointer: "region"}},
		"wrong region, no bucket":    {root.and(settings{"region": "eu-west-1"}), want{code: untested, pointer: "region"}},
		"wrong region, wrong secret": {root.and(settings{"bucket": ownBucket, "region": "eu-west-1", "secret_access_key": "canary-wrong"}), want{code: untested, pointer: "region"}},

		"exchanged":                       {root.and(settings{"access_key_id": "root/Secret+Key=0123456789abcdefghijklmn", "secret_access_key": rootKey, "bucket": ownBucket}), want{code: untested, pointer: "access_key"}},
		"exchanged, plain letters":        {root.and(settings{"access_key_id": "canaryRootSecretKey0123456789abcdefghijk", "secret_access_key": rootKey + "EXAMPLE", "bucket": ownBucket}), want{code: rejected, pointer: "access_key"}},
		"bucket in the address too":       {root.and(settings{"bucket": ownBucket, "endpoint": gateway.secured + "/" + ownBucket}), want{ok, "", notFound, "endpoint"}},
		"bucket in the address too, user": {user.and(settings{"bucket": userBucket, "endpoint": gateway.secured + "/" + userBucket + "/"}), want{ok, "", notFound, "endpoint"}},
		"bucket in the address alone":     {root.and(settings{"endpoint": gateway.secured + "/" + ownBucket}), want{ok, "", notFound, "endpoint"}},
		"bucket in the address, wrong":    {root.and(settings{"bucket": ownBucket, "endpoint": gateway.secured + "/" + ownBucket, "secret_access_key": "canary-wrong"}), want{code: rejected, pointer: "secret_key"}},
		"secret with a blank":             {root.and(settings{"bucket": ownBucket, "secret_access_key": rootSecret[:8] + " " + rootSecret[8:]}), want{code: rejected, pointer: "secret_key"}},
		"secret in quotation marks":       {root.and(settings{"bucket": ownBucket, "secret_access_key": `"` + rootSecret + `"`}), want{code: rejected, pointer: "secret_key"}},
		"secret, invisible":               {root.and(settings{"bucket": ownBucket, "secret_access_key": rootSecret + "\u200b"}), want{code: rejected, pointer: "secret_key"}},

		"wrong port":          {root.and(settings{"endpoint": "https://" + probetest.ClosedPort(t)}), want{code: probe.CodeTCPRefused, pointer: "endpoint"}},
		"wrong host":          {root.and(settings{"endpoint": "https://no-such-host.invalid"}), want{code: probe.CodeDNSNotFound, pointer: "endpoint"}},
		"authority not given": {root.and(settings{"tls.ca_certificate": nil}), want{code: probe.CodeTLSUntrusted, pointer: "tls.ca_certificate"}},
		"other authority":     {root.and(settings{"tls.ca_certificate": probetest.NewAuthority(t).PEM}), want{code: probe.CodeTLSUntrusted, pointer: "tls.ca_certificate"}},
		"TLS on a plain port": {root.and(settings{"endpoint": "https://" + strings.TrimPrefix(gateway.plain, "http://")}), want{code: probe.CodeTLSUnsupported, pointer: "endpoint"}},
		"plain on a TLS port": {root.and(settings{"endpoint": "http://127.0.0.1" + port}), want{code: probe.CodeTCPReset, pointer: "endpoint"}}, // it says nothing
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := row.settings
			got := trial{settings: saved(t, s), prober: builtin.Probers()["s3"]}.run(t)
			row.want.hold(t, got)
			words.Keep(name, got)
		})
	}
}
