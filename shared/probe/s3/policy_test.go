package s3probe_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
	s3probe "credence/shared/probe/s3"
)

// What is refused by our own rules, before a name is asked for or an address
// dialled, whatever a record may hold.
func TestRefusedWithoutDialling(t *testing.T) {
	target := probetest.Serve(t, probetest.Hang)
	keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "region": "us-west-2", "bucket": "data"}
	at := "https://" + target.Addr
	const (
		blocked     = probe.CodeDestinationBlocked
		unsupported = probe.CodeAuthMethodUnsupported
	)
	for name, row := range map[string]struct {
		more settings
		want want
	}{
		"role":                       {settings{"s3_auth_type": "ARN", "arn": "arn:aws:iam::123456789012:role/reader", "endpoint": at}, want{code: unsupported, pointer: "s3_auth_type"}},
		"role, no keys":              {settings{"s3_auth_type": "ARN", "access_key": nil, "secret_key": nil}, want{code: unsupported, pointer: "s3_auth_type"}},
		"instance's role":            {settings{"s3_auth_type": "Instance Role", "endpoint": at}, want{code: unsupported, pointer: "s3_auth_type"}},
		"a way not known":            {settings{"s3_auth_type": "access key"}, want{code: unsupported, pointer: "s3_auth_type"}},
		"no key":                     {settings{"access_key": nil, "endpoint": at}, want{code: unsupported, pointer: "s3_auth_type"}},
		"no secret":                  {settings{"secret_key": nil, "endpoint": at}, want{code: unsupported, pointer: "s3_auth_type"}},
		"key with a line break":      {settings{"access_key": lastingKey + "\r\nX: y"}, want{code: unsupported, pointer: "access_key"}},
		"key with a space":           {settings{"access_key": lastingKey + " "}, want{code: unsupported, pointer: "access_key"}},
		"token with a line break":    {settings{"session_token": goodToken + "\n"}, want{code: unsupported, pointer: "session_token"}},
		"token of 9 KiB":             {settings{"session_token": strings.Repeat("t", 9<<10)}, want{code: unsupported, pointer: "session_token"}},
		"region is a host":           {settings{"region": "x.evil.example"}, want{code: blocked, pointer: "region"}},
		"region ends the host":       {settings{"region": "evil.example/#"}, want{code: blocked, pointer: "region"}},
		"region with a user":         {settings{"region": "us-east-1@evil.example"}, want{code: blocked, pointer: "region"}},
		"region in capitals":         {settings{"region": "US-EAST-1"}, want{code: blocked, pointer: "region"}},
		"region with a line break":   {settings{"region": "us-east-1\n"}, want{code: blocked, pointer: "region"}},
		"region of another store":    {settings{"region": "auto"}, want{code: blocked, pointer: "region"}},
		"region, other store's, odd": {settings{"region": "a/b", "endpoint": at}, want{code: blocked, pointer: "region"}},
		"region with an underscore":  {settings{"region": "us_east_1", "endpoint": at}, want{code: blocked, pointer: "region"}},
		"endpoint: user":             {settings{"endpoint": "https://canary@" + target.Addr}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: query":            {settings{"endpoint": at + "/?x=canary"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: empty query":      {settings{"endpoint": at + "/?"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: fragment":         {settings{"endpoint": at + "/#canary"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: scheme":           {settings{"endpoint": "file:///etc/passwd"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: no scheme":        {settings{"endpoint": target.Addr}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: no host":          {settings{"endpoint": "https:///data"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: backslash":        {settings{"endpoint": `https:\\` + target.Addr}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: line break":       {settings{"endpoint": at + "\r\nX: canary"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: a template":       {settings{"endpoint": "https://{Bucket}.example.com"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: metadata":         {settings{"endpoint": "http://169.254.169.254/latest/meta-data/"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: metadata, TLS":    {settings{"endpoint": "https://169.254.169.254/"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: metadata, v6":     {settings{"endpoint": "http://[fd00:ec2::254]/"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: metadata, NAT64":  {settings{"endpoint": "https://[64:ff9b::a9fe:a9fe]/"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: containers'":      {settings{"endpoint": "http://169.254.170.2/v2/credentials"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: private":          {settings{"endpoint": "https://10.0.0.1/"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: decimal":          {settings{"endpoint": "https://2852039166/"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: port of SSH":      {settings{"endpoint": "https://127.0.0.1:22/"}, want{code: blocked, pointer: "endpoint"}},
		"endpoint: plain, public":    {settings{"endpoint": "http://93.184.216.34/"}, want{code: probe.CodeTLSRequired, pointer: "endpoint"}},
		"bucket: ARN":                {settings{"bucket": "arn:aws:s3:us-west-2:123456789012:accesspoint/mine"}, want{code: blocked, pointer: "bucket"}},
		"bucket: outpost":            {settings{"bucket": "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01/accesspoint/mine"}, want{code: blocked, pointer: "bucket"}},
		"bucket: many regions":       {settings{"bucket": "mfzwi23gnjvgw.mrap"}, want{code: blocked, pointer: "bucket"}},
		"bucket: directory":          {settings{"bucket": "data--usw2-az1--x-s3"}, want{code: blocked, pointer: "bucket"}},
		"bucket: directory's point":  {settings{"bucket": "data--usw2-az1--xa-s3"}, want{code: blocked, pointer: "bucket"}},
		"bucket: outpost's alias":    {settings{"bucket": "data-o01000000000000000--op-s3"}, want{code: blocked, pointer: "bucket"}},
		"bucket: object lambda":      {settings{"bucket": "data-o01000000000000000--ol-s3"}, want{code: blocked, pointer: "bucket"}},
		"bucket: table":              {settings{"bucket": "data--table-s3"}, want{code: blocked, pointer: "bucket"}},
		"bucket: alias":              {settings{"bucket": "mine-metadata-s3alias"}, want{code: blocked, pointer: "bucket"}},
		"bucket: path":               {settings{"bucket": "data/../other"}, want{code: blocked, pointer: "bucket"}},
		"bucket: parent":             {settings{"bucket": ".."}, want{code: blocked, pointer: "bucket"}},
		"bucket: host":               {settings{"bucket": "evil.example:443"}, want{code: blocked, pointer: "bucket"}},
		"bucket: query":              {settings{"bucket": "data?acl"}, want{code: blocked, pointer: "bucket"}},
		"bucket: line break":         {settings{"bucket": "data\r\nX: y"}, want{code: blocked, pointer: "bucket"}},
		"path: ARN":                  {settings{"bucket": nil, "test.path": "arn:aws:s3:::data/x"}, want{code: blocked, pointer: "test.path"}},
		"path: directory":            {settings{"bucket": nil, "test.path": "data--usw2-az1--x-s3/x"}, want{code: blocked, pointer: "test.path"}},
		"path: too long":             {settings{"test.path": strings.Repeat("x", 1025)}, want{code: blocked, pointer: "bucket"}},
	} {
		t.Run(name, func(t *testing.T) {
			names := &nowhere{}
			got := trial{settings: stored(keys.and(row.more)), prober: s3probe.At(at), resolver: names}.run(t)
			row.want.hold(t, got)
			if probetest.Stage(got, probe.Policy).Outcome != probe.StageFailed {
				t.Errorf("stages %+v", got.Stages)
			}
			if n := target.Accepted.Load(); n != 0 || len(names.asked) != 0 {
				t.Fatalf("%d connections, asked for %q", n, names.asked)
			}
		})
	}
}

// Nothing of the process decides whose keys are used or where a request goes,
// and nothing of it is told to a store.
func TestEnvironmentIsNotRead(t *testing.T) {
	elsewhere := probetest.Serve(t, probetest.Hang)
	folder := t.TempDir()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT1", "AWS_SECRET_ACCESS_KEY": "environment", "AWS_SESSION_TOKEN": "environment",
		"AWS_PROFILE": "environment", "AWS_CONFIG_FILE": folder + "/config", "AWS_ENDPOINT_URL": "http://" + elsewhere.Addr,
		"AWS_ENDPOINT_URL_S3": "http://" + elsewhere.Addr, "AWS_REGION": "environment-1", "AWS_EXECUTION_ENV": "environment",
		"HTTP_PROXY": "http://" + elsewhere.Addr, "HTTPS_PROXY": "http://" + elsewhere.Addr, "ALL_PROXY": "http://" + elsewhere.Addr,
		"AWS_LAMBDA_FUNCTION_NAME": "environment", "_X_AMZN_TRACE_ID": "Root=environment", "AWS_USE_DUALSTACK_ENDPOINT": "true",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://" + elsewhere.Addr, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://" + elsewhere.Addr,
	} {
		t.Setenv(name, value)
	}
	requests := make(chan string, 8)
	listener := probetest.Serve(t, func(_ context.Context, c net.Conn) {
		b := make([]byte, 8192)
		n, _ := c.Read(b)
		requests <- string(b[:n])
	})
	for _, bucket := range []any{"data", nil} {
		keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "endpoint": "http://" + listener.Addr, "bucket": bucket}
		want{code: probe.CodeTCPReset, pointer: "endpoint"}.hold(t, trial{settings: saved(t, keys), prober: s3probe.Prober{}}.run(t))
	}
	if len(requests) != 2 || elsewhere.Accepted.Load() != 0 {
		t.Fatalf("%d requests, %d connections elsewhere", len(requests), elsewhere.Accepted.Load())
	}
	for range 2 {
		r := <-requests
		if !strings.Contains(r, "Credential="+lastingKey+"/") || strings.Contains(strings.ToLower(r), "environment") ||
			strings.Contains(r, "X-Amzn-Trace-Id") || !strings.Contains(r, "User-Agent: Credence-Probe\r\n") {
			t.Errorf("the request is\n%s", r)
		}
	}
}

// A redirect is not followed: no key, and no signature, reaches where it leads.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := probetest.Serve(t, probetest.Hang)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := web(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://"+elsewhere.Addr+"/"+probetest.Foreign)
			w.WriteHeader(status)
		})
		for _, bucket := range []any{"data", nil} {
			keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "endpoint": s, "bucket": bucket}
			got := trial{settings: saved(t, keys), prober: s3probe.Prober{}}.run(t)
			if got.Verdict != probe.Unknown || elsewhere.Accepted.Load() != 0 {
				t.Errorf("%d: %s, %d connections elsewhere", status, got.Code, elsewhere.Accepted.Load())
			}
			if testing.Verbose() {
				t.Log(fmt.Sprint(status), got.Code)
			}
		}
	}
}
