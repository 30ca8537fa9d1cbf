package s3probe_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
	s3probe "credence/shared/probe/s3"
)

// What a server of another maker cannot show: Amazon's two services, temporary
// keys, buckets of other regions, a clock that is wrong.
func TestAmazon(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	lasting := settings{"access_key": lastingKey, "secret_key": lastingSecret, "region": "us-west-2", "tls.ca_certificate": ca.PEM}
	passing := lasting.and(settings{"access_key": passingKey, "secret_key": passingSecret, "session_token": goodToken})
	wrong := settings{"secret_key": "canary-wrong"}
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		notFound = probe.WarnResourceNotFound
		scope    = probe.WarnScopeMissing
		list     = "GET /data true"
		identity = "POST / true"
	)
	for name, row := range map[string]struct {
		settings settings
		offset   time.Duration
		want     want
		seen     []string // the requests; nil for any
		region   string   // the fact
	}{
		"bucket":                 {lasting.and(settings{"bucket": "data"}), 0, want{code: ok}, []string{list}, ""},
		"bucket, no region":      {lasting.and(settings{"bucket": "data", "region": nil}), 0, want{code: ok}, []string{list}, ""},
		"no bucket":              {lasting, 0, want{code: ok}, []string{identity}, ""},
		"path":                   {lasting.and(settings{"test.path": "data/a b/ü"}), 0, want{code: ok}, []string{list}, ""},
		"temporary":              {passing.and(settings{"bucket": "data"}), 0, want{code: ok}, []string{list}, ""},
		"temporary, no bucket":   {passing, 0, want{code: ok}, []string{identity}, ""},
		"public bucket":          {lasting.and(settings{"bucket": "public"}), 0, want{code: ok}, []string{"GET /public true"}, ""},
		"missing bucket":         {lasting.and(settings{"bucket": "missing"}), 0, want{ok, "", notFound, "bucket"}, []string{"GET /missing true", identity}, ""},
		"forbidden bucket":       {lasting.and(settings{"bucket": "forbidden"}), 0, want{ok, "", scope, "bucket"}, []string{"GET /forbidden true", identity}, ""},
		"bucket with its rules":  {lasting.and(settings{"bucket": "ruled"}), 0, want{ok, "", scope, "bucket"}, []string{"GET /ruled true", identity}, ""},
		"bucket elsewhere":       {lasting.and(settings{"bucket": "elsewhere"}), 0, want{ok, "", notFound, "region"}, []string{"GET /elsewhere true", identity}, "eu-central-1"},
		"bucket nearby, foreign": {lasting.and(settings{"bucket": "nearby"}), 0, want{ok, "", notFound, "region"}, []string{"GET /nearby true", identity}, ""},

		"wrong secret":                 {lasting.and(wrong).and(settings{"bucket": "data"}), 0, want{code: rejected, pointer: "secret_key"}, []string{list}, ""},
		"wrong secret, no bucket":      {lasting.and(wrong), 0, want{code: rejected, pointer: "secret_key"}, nil, ""},
		"wrong secret, public":         {lasting.and(wrong).and(settings{"bucket": "public"}), 0, want{code: rejected, pointer: "secret_key"}, nil, ""},
		"wrong secret, missing":        {lasting.and(wrong).and(settings{"bucket": "missing"}), 0, want{code: rejected, pointer: "secret_key"}, nil, ""},
		"wrong secret, forbidden":      {lasting.and(wrong).and(settings{"bucket": "forbidden"}), 0, want{code: rejected, pointer: "secret_key"}, nil, ""},
		"wrong secret, elsewhere":      {lasting.and(wrong).and(settings{"bucket": "elsewhere"}), 0, want{code: rejected, pointer: "secret_key"}, nil, ""},
		"wrong key":                    {lasting.and(settings{"bucket": "data", "access_key": "AKIACANARY9999"}), 0, want{code: rejected, pointer: "access_key"}, nil, ""},
		"wrong key, no bucket":         {lasting.and(settings{"access_key": "AKIACANARY9999"}), 0, want{code: rejected, pointer: "access_key"}, nil, ""},
		"wrong key, forbidden":         {lasting.and(settings{"bucket": "forbidden", "access_key": "AKIACANARY9999"}), 0, want{code: rejected, pointer: "access_key"}, nil, ""},
		"temporary, no token":          {passing.and(settings{"bucket": "data", "session_token": nil}), 0, want{code: rejected, pointer: "session_token"}, nil, ""},
		"temporary, wrong token":       {passing.and(settings{"bucket": "data", "session_token": "canary-token"}), 0, want{code: rejected, pointer: "session_token"}, nil, ""},
		"temporary, old token":         {passing.and(settings{"bucket": "data", "session_token": oldToken}), 0, want{code: probe.CodeAuthExpired, pointer: "session_token"}, nil, ""},
		"temporary, old, no bucket":    {passing.and(settings{"session_token": oldToken}), 0, want{code: probe.CodeAuthExpired, pointer: "session_token"}, nil, ""},
		"temporary, wrong secret":      {passing.and(wrong).and(settings{"bucket": "data"}), 0, want{code: rejected, pointer: "secret_key"}, nil, ""},
		"clock late":                   {lasting.and(settings{"bucket": "data"}), 20 * time.Minute, want{code: probe.CodeProbeInternal}, []string{list}, ""},
		"clock early":                  {lasting.and(settings{"bucket": "data"}), -20 * time.Minute, want{code: probe.CodeProbeInternal}, []string{list}, ""},
		"clock late, no bucket":        {lasting, 6 * time.Minute, want{code: probe.CodeProbeInternal}, []string{identity}, ""},
		"clock late, forbidden bucket": {lasting.and(settings{"bucket": "forbidden"}), 6 * time.Minute, want{code: probe.CodeProbeInternal}, nil, ""},
		"clock a little late":          {lasting.and(settings{"bucket": "data"}), 3 * time.Minute, want{code: ok}, []string{list}, ""},
		"clock late, wrong secret":     {lasting.and(wrong), 6 * time.Minute, want{code: probe.CodeProbeInternal}, nil, ""},
		"authority not given":          {lasting.and(settings{"tls.ca_certificate": nil}), 0, want{code: probe.CodeTLSUntrusted, pointer: "tls.ca_certificate"}, []string{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			double := newAmazon(t, config, row.offset)
			got := trial{settings: saved(t, row.settings), prober: s3probe.At(double.URL)}.run(t)
			row.want.hold(t, got)
			if row.seen != nil && !slices.Equal(double.seen, row.seen) {
				t.Errorf("requests %q, want %q", double.seen, row.seen)
			}
			if got.Facts["bucket_region"] != row.region {
				t.Errorf("the region is told as %q", got.Facts["bucket_region"])
			}
			if account := got.Facts["aws_account"]; account != "" && account != "123456789012" {
				t.Errorf("the account is told as %q", account)
			}
		})
	}
}

// nowhere is a name server that knows no name and keeps what it is asked.
type nowhere struct{ asked []string }

func (n *nowhere) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.asked = append(n.asked, host)
	return nil, &net.DNSError{Name: host, IsNotFound: true}
}

// Without an endpoint the host is Amazon's, whatever else the settings say.
func TestAmazonHosts(t *testing.T) {
	keys := settings{"access_key": lastingKey, "secret_key": lastingSecret}
	for name, row := range map[string]struct {
		settings settings
		host     string
	}{
		"bucket":               {settings{"bucket": "data", "region": "eu-west-1"}, "s3.eu-west-1.amazonaws.com"},
		"no region":            {settings{"bucket": "data"}, "s3.us-east-1.amazonaws.com"},
		"bucket with dots":     {settings{"bucket": "evil.example.com", "region": "eu-west-1"}, "s3.eu-west-1.amazonaws.com"},
		"bucket in capitals":   {settings{"bucket": "My_Bucket", "region": "eu-west-1"}, "s3.eu-west-1.amazonaws.com"},
		"no bucket":            {settings{"region": "eu-west-1"}, "sts.eu-west-1.amazonaws.com"},
		"neither":              {settings{}, "sts.us-east-1.amazonaws.com"},
		"China":                {settings{"bucket": "data", "region": "cn-north-1"}, "s3.cn-north-1.amazonaws.com.cn"},
		"the US government's":  {settings{"region": "us-gov-west-1"}, "sts.us-gov-west-1.amazonaws.com"},
		"a region that is not": {settings{"bucket": "data", "region": "xx-nowhere-9"}, "s3.xx-nowhere-9.amazonaws.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names := &nowhere{}
			got := trial{settings: saved(t, keys.and(row.settings)), prober: s3probe.Prober{}, resolver: names}.run(t)
			want{code: probe.CodeDNSNotFound, pointer: "region"}.hold(t, got)
			if !slices.Equal(names.asked, []string{row.host}) {
				t.Errorf("asked for %q, want %q", names.asked, row.host)
			}
		})
	}
}
