package s3probe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
	s3probe "credence/shared/probe/s3"
)

// web starts a server without TLS and gives its address.
func web(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handle)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

const (
	listing = `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>data</Name></ListBucketResult>`
	buckets = `<?xml version="1.0"?><ListAllMyBucketsResult><Owner><ID>x</ID></Owner><Buckets></Buckets></ListAllMyBucketsResult>`
)

// said is one answer of a store: a status, and a body or a code of S3.
type said struct {
	status int
	text   string // XML, or a code; "" for no body
}

func (s said) write(w http.ResponseWriter) {
	if strings.HasPrefix(s.text, "<") || s.text == "" {
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.text)
		return
	}
	fail(w, s.status, s.text)
}

// Stores that do not verify signatures, or do not show that they do: none of
// them proves a key. And stores that do, each in its way.
func TestWhatProvesKeys(t *testing.T) {
	yes, all, no := said{200, listing}, said{200, buckets}, said{403, "AccessDenied"}
	const (
		ok       = probe.CodeOK
		untested = probe.CodeSecretNotTested
		away     = probe.CodeTargetUnavailable
		mismatch = probe.CodeProtocolMismatch
		rejected = probe.CodeAuthRejected
		noBucket = probe.WarnResourceNotFound
		scope    = probe.WarnScopeMissing
	)
	html := said{200, "<html><body>" + probetest.Foreign + "</body></html>"}
	for name, row := range map[string]struct {
		bucket, bucketAnonymous said
		list, listAnonymous     said
		want                    want // with a bucket
		none                    want // without
	}{
		"closed":                       {yes, no, all, no, want{code: ok}, want{code: ok}},
		"closed by 401":                {yes, said{401, "Unauthorized"}, all, said{401, ""}, want{code: ok}, want{code: ok}},
		"asks for the header":          {yes, said{400, "MissingSecurityHeader"}, all, said{400, "MissingAuthenticationToken"}, want{code: ok}, want{code: ok}},
		"open to all":                  {yes, yes, all, all, want{code: ok}, want{code: ok}},
		"public bucket, list closed":   {yes, yes, all, no, want{code: ok}, want{code: ok}},
		"public bucket, list denied":   {yes, yes, no, no, want{code: ok}, want{code: untested, pointer: "bucket"}},
		"denies all":                   {no, no, no, no, want{code: untested, pointer: "bucket"}, want{code: untested, pointer: "bucket"}},
		"bucket denied, list closed":   {no, no, all, no, want{ok, "", scope, "bucket"}, want{code: ok}},
		"bucket denied, list open":     {no, no, all, all, want{ok, "", scope, "bucket"}, want{code: ok}},
		"no bucket for anybody":        {said{404, "NoSuchBucket"}, said{404, "NoSuchBucket"}, no, no, want{code: untested, pointer: "bucket"}, want{code: untested, pointer: "bucket"}},
		"no bucket, list closed":       {said{404, "NoSuchBucket"}, no, all, no, want{ok, "", noBucket, "bucket"}, want{code: ok}},
		"cannot list buckets":          {yes, no, said{501, "NotImplemented"}, no, want{code: ok}, want{code: untested, pointer: "bucket"}},
		"denied, cannot list buckets":  {no, no, said{501, "NotImplemented"}, no, want{code: untested, pointer: "bucket"}, want{code: untested, pointer: "bucket"}},
		"a page":                       {html, no, html, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"nothing":                      {said{200, ""}, no, said{200, ""}, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"no content":                   {said{204, ""}, no, said{204, ""}, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"another bucket's listing":     {said{200, strings.Replace(listing, "data", "other", 1)}, no, all, no, want{code: mismatch, pointer: "endpoint"}, want{code: ok}},
		"an error that says 200":       {said{200, "<Error><Code>AccessDenied</Code></Error>"}, no, said{200, "<Error><Code>AccessDenied</Code></Error>"}, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"half an answer":               {said{200, listing[:60]}, no, said{200, buckets[:40]}, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"JSON":                         {said{200, `<{"Name":"data"}`}, no, said{200, `<{}`}, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"a login page with 401":        {said{401, "<html>" + probetest.Foreign}, no, said{401, "<html></html>"}, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"a code in another document":   {said{403, "<Report><Code>SignatureDoesNotMatch</Code></Report>"}, no, said{403, "<Report><Code>SignatureDoesNotMatch</Code></Report>"}, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"a code, wrapped":              {said{403, "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"}, no, said{403, "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"}, no, want{code: rejected, pointer: "access_key"}, want{code: rejected, pointer: "access_key"}},
		"a firewall's 403":             {said{403, "<html>" + probetest.Foreign + "</html>"}, no, said{403, "<html></html>"}, no, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"404 without a body":           {said{404, ""}, said{404, ""}, said{404, ""}, said{404, ""}, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"403 without a body":           {said{403, ""}, said{403, ""}, said{403, ""}, said{403, ""}, want{code: mismatch, pointer: "endpoint"}, want{code: mismatch, pointer: "endpoint"}},
		"signature":                    {said{403, "SignatureDoesNotMatch"}, yes, said{403, "SignatureDoesNotMatch"}, yes, want{code: rejected, pointer: "secret_key"}, want{code: rejected, pointer: "secret_key"}},
		"unauthorized":                 {said{401, "Unauthorized"}, yes, said{401, "Unauthorized"}, yes, want{code: rejected, pointer: "access_key"}, want{code: rejected, pointer: "access_key"}},
		"a token of other keys":        {said{403, "InvalidTokenId"}, no, said{403, "InvalidTokenId"}, no, want{code: rejected, pointer: "session_token"}, want{code: rejected, pointer: "session_token"}},
		"suspended":                    {said{403, "UserSuspended"}, no, said{403, "AccountProblem"}, no, want{code: probe.CodeAuthDisabled, pointer: "access_key"}, want{code: probe.CodeAuthDisabled, pointer: "access_key"}},
		"clock":                        {said{403, "RequestTimeTooSkewed"}, no, said{403, "RequestTimeTooSkewed"}, no, want{code: away, pointer: "endpoint"}, want{code: away, pointer: "endpoint"}},
		"slow down":                    {said{503, "SlowDown"}, no, said{503, "SlowDown"}, no, want{code: probe.CodeRateLimited}, want{code: probe.CodeRateLimited}},
		"too many":                     {said{429, ""}, no, said{429, ""}, no, want{code: probe.CodeRateLimited}, want{code: probe.CodeRateLimited}},
		"fails":                        {said{500, "InternalError"}, no, said{502, "<html></html>"}, no, want{code: away}, want{code: away}},
		"fails to refuse":              {said{503, "SignatureDoesNotMatch"}, no, said{503, "AccessDenied"}, no, want{code: away}, want{code: away}},
		"denied, list unavailable":     {no, no, said{503, "ServiceUnavailable"}, no, want{code: away}, want{code: away}},
		"denied, then signature wrong": {no, no, said{403, "SignatureDoesNotMatch"}, no, want{code: rejected, pointer: "secret_key"}, want{code: rejected, pointer: "secret_key"}},
		"another region":               {said{301, "PermanentRedirect"}, no, said{400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-1</Region></Error>"}, no, want{code: untested, pointer: "region"}, want{code: untested, pointer: "region"}},
		"bucket of another region":     {said{301, "PermanentRedirect"}, no, all, no, want{ok, "", noBucket, "region"}, want{code: ok}},
		"a code of its own":            {said{400, probetest.Foreign}, no, said{400, probetest.Foreign}, no, want{code: untested, pointer: "bucket"}, want{code: untested, pointer: "bucket"}},
	} {
		for _, bucket := range []any{"data", nil} {
			t.Run(fmt.Sprintf("%s, bucket %v", name, bucket), func(t *testing.T) {
				t.Parallel()
				address := web(t, func(w http.ResponseWriter, r *http.Request) {
					answers := map[bool]map[bool]said{
						true:  {true: row.bucket, false: row.bucketAnonymous},
						false: {true: row.list, false: row.listAnonymous},
					}
					signed := r.Header.Get("Authorization") != ""
					answer := answers[strings.HasPrefix(r.URL.Path, "/data")][signed]
					code, status := verify(r, nil, time.Now(), time.Minute)
					if signed && code != "" && answer.status/100 == 2 { // all else is said before the signature is checked
						answer = said{status, code}
					}
					answer.write(w)
				})
				expected := row.want
				if bucket == nil {
					expected = row.none
				}
				keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "endpoint": address, "bucket": bucket}
				expected.hold(t, trial{settings: saved(t, keys), prober: s3probe.Prober{}}.run(t))
			})
		}
	}
}

// A version that is proven is probed again without another secret, as long as
// the store refuses a request without a signature.
func TestRecheck(t *testing.T) {
	yes, mismatch := said{200, listing}, said{403, "SignatureDoesNotMatch"}
	for name, row := range map[string]struct {
		anonymous, stranger said
		want                probe.Code
		strangers           int
	}{
		"denied":                      {said{403, "AccessDenied"}, mismatch, probe.CodeOK, 0},
		"401":                         {said{401, ""}, mismatch, probe.CodeOK, 0},
		"Cloudflare R2":               {said{400, "<Error><Code>InvalidArgument</Code><Message>Authorization</Message></Error>"}, mismatch, probe.CodeOK, 0},
		"no header":                   {said{400, "MissingSecurityHeader"}, mismatch, probe.CodeOK, 0},
		"not found":                   {said{404, ""}, mismatch, probe.CodeOK, 0},
		"public":                      {yes, mismatch, probe.CodeOK, 1},
		"public, signature unchecked": {yes, yes, probe.CodeSecretNotTested, 1},
		"redirect":                    {said{302, ""}, mismatch, probe.CodeOK, 1},
		"fails":                       {said{503, "InternalError"}, mismatch, probe.CodeTargetUnavailable, 0},
		"slow down":                   {said{503, "SlowDown"}, mismatch, probe.CodeRateLimited, 0},
		"a page":                      {said{200, "<html></html>"}, mismatch, probe.CodeProtocolMismatch, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var strangers atomic.Int64
			anonymous := said{403, "AccessDenied"} // until the keys are proven
			proven := false
			address := web(t, func(w http.ResponseWriter, r *http.Request) {
				switch code, _ := verify(r, nil, time.Now(), time.Minute); {
				case !strings.HasPrefix(r.URL.Path, "/data"):
					said{403, "AccessDenied"}.write(w)
				case r.Header.Get("Authorization") == "":
					anonymous.write(w)
				case code == "":
					yes.write(w)
				default:
					strangers.Add(1)
					if !proven {
						mismatch.write(w)
						return
					}
					row.stranger.write(w)
				}
			})
			keys := saved(t, settings{"access_key": lastingKey, "secret_key": lastingSecret, "endpoint": address, "bucket": "data"})
			runner := probe.NewRunner(map[string]probe.Prober{"s3": s3probe.Prober{}}, probetest.Loopback(t, nil), probe.Config{})
			first := runner.Run(t.Context(), "s3", keys)
			if first.Code != probe.CodeOK || first.Rejection == "" || strangers.Load() != 1 {
				t.Fatalf("%s, rejection %q, %d requests of another secret", first.Code, first.Rejection, strangers.Load())
			}
			proven, anonymous = true, row.anonymous
			strangers.Store(0)
			got := runner.Recheck(t.Context(), "s3", keys, first.Rejection)
			if got.Code != row.want || int(strangers.Load()) != row.strangers {
				t.Errorf("%s after %d requests of another secret: %s", got.Code, strangers.Load(), got.Message)
			}
		})
	}
}

// Stores that look for a signature, or for an access key that they know, and
// some that check the signature: a request signed with another secret key shows
// which.
func TestStrangers(t *testing.T) {
	no := said{403, "AccessDenied"}
	for name, row := range map[string]struct {
		bucket, list said // to a stranger
		want, none   want
	}{
		"any signature will do":    {said{200, listing}, said{200, buckets}, want{code: probe.CodeSecretNotTested, pointer: "bucket"}, want{code: probe.CodeSecretNotTested, pointer: "bucket"}},
		"any will do for a bucket": {said{200, listing}, said{403, "SignatureDoesNotMatch"}, want{code: probe.CodeOK}, want{code: probe.CodeOK}},
		"keys of another length":   {said{400, "InvalidArgument"}, said{400, "InvalidArgument"}, want{code: probe.CodeOK}, want{code: probe.CodeOK}},
		"denied as anybody":        {no, no, want{code: probe.CodeOK}, want{code: probe.CodeOK}},
		"fails":                    {said{503, ""}, said{500, ""}, want{code: probe.CodeTargetUnavailable}, want{code: probe.CodeTargetUnavailable}},
		"too many":                 {said{429, ""}, said{503, "SlowDown"}, want{code: probe.CodeRateLimited}, want{code: probe.CodeRateLimited}},
		"a page":                   {said{200, "<html></html>"}, said{200, "<html></html>"}, want{code: probe.CodeProtocolMismatch, pointer: "endpoint"}, want{code: probe.CodeProtocolMismatch, pointer: "endpoint"}},
	} {
		for _, bucket := range []any{"data", nil} {
			t.Run(fmt.Sprintf("%s, bucket %v", name, bucket), func(t *testing.T) {
				t.Parallel()
				address := web(t, func(w http.ResponseWriter, r *http.Request) {
					by, good, strangers := r.Header.Get("Authorization"), said{200, buckets}, row.list
					if strings.HasPrefix(r.URL.Path, "/data") {
						good, strangers = said{200, listing}, row.bucket
					}
					switch code, _ := verify(r, nil, time.Now(), time.Minute); {
					case by == "":
						no.write(w)
					case code == "":
						good.write(w)
					default:
						if code != "SignatureDoesNotMatch" {
							t.Errorf("the other signature is wrong for another reason: %s", code)
						}
						strangers.write(w)
					}
				})
				expected := row.want
				if bucket == nil {
					expected = row.none
				}
				keys := settings{"access_key": passingKey, "secret_key": passingSecret, "session_token": goodToken, "endpoint": address, "bucket": bucket}
				expected.hold(t, trial{settings: saved(t, keys), prober: s3probe.Prober{}}.run(t))
			})
		}
	}
}

// Servers that misbehave, plain and behind TLS: each gets a verdict that is
// unknown, in time.
func TestHostileServers(t *testing.T) {
	ca := probetest.NewAuthority(t)
	cert := ca.Issue(t, probetest.Leaf{})
	foreign := probetest.Foreign
	reading := func(handle func(context.Context, net.Conn)) func(context.Context, net.Conn) {
		return func(ctx context.Context, c net.Conn) {
			_, _ = c.Read(make([]byte, 8192))
			handle(ctx, c)
		}
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n"
	const denied = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\n\r\n"
	for name, row := range map[string]struct {
		handle func(context.Context, net.Conn)
		want   probe.Code
	}{
		"hangs":                {probetest.Hang, probe.CodeProbeTimeout},
		"closes at once":       {probetest.CloseAtOnce, probe.CodeTCPReset},
		"closes after reading": {reading(probetest.CloseAtOnce), probe.CodeTCPReset},
		"drips its status":     {reading(probetest.Drip("HTTP/1.1 200 " + foreign)), probe.CodeProbeTimeout},
		"drips a listing":      {reading(func(ctx context.Context, c net.Conn) { _, _ = io.WriteString(c, head); probetest.Drip(listing)(ctx, c) }), probe.CodeProbeTimeout},
		"speaks SSH":           {probetest.Banner("SSH-2.0-OpenSSH_9.2 " + foreign + "\r\n"), probe.CodeProtocolMismatch},
		"endless headers":      {reading(probetest.Endless("HTTP/1.1 200 OK\r\n", "X-"+foreign+": "+foreign+"\r\n")), probe.CodeProtocolMismatch},
		"endless listing":      {reading(probetest.Endless(head+"<ListBucketResult><Name>data</Name>", "<Contents><Key>"+foreign+"</Key></Contents>")), probe.CodeProtocolMismatch},
		"endless refusal":      {reading(probetest.Endless(denied+"<Error><Code>SignatureDoesNotMatch</Code>", "<X>"+foreign+"</X>")), probe.CodeProtocolMismatch},
		"deep XML":             {reading(func(_ context.Context, c net.Conn) { _, _ = io.WriteString(c, head+strings.Repeat("<a>", 20000)) }), probe.CodeProtocolMismatch},
		"entities": {reading(func(_ context.Context, c net.Conn) {
			_, _ = io.WriteString(c, head+`<!DOCTYPE x [<!ENTITY a "`+foreign+`"><!ENTITY b "&a;&a;">]><ListBucketResult><Name>&b;</Name></ListBucketResult>`)
		}), probe.CodeProtocolMismatch},
		"gzip bomb":         {reading(probetest.Bomb), probe.CodeProtocolMismatch},
		"short, then hangs": {reading(probetest.Banner("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + listing)), probe.CodeProbeTimeout},
		"short, then closes": {reading(func(_ context.Context, c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"+listing)
		}), probe.CodeTCPReset},
		"switches protocols": {reading(probetest.Banner("HTTP/1.1 101 Switching\r\nUpgrade: " + foreign + "\r\nConnection: Upgrade\r\n\r\n")), probe.CodeProtocolMismatch},
		"HTTP/2 preface":     {probetest.Banner("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), probe.CodeProtocolMismatch},
		"a foreign code": {reading(func(_ context.Context, c net.Conn) {
			_, _ = io.WriteString(c, denied+"<Error><Code>"+foreign+"</Code><Message>"+foreign+"</Message></Error>")
		}), probe.CodeSecretNotTested},
		"an answer of TLS":       {reading(func(_ context.Context, c net.Conn) { _, _ = io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x46") }), probe.CodeTLSRequired},
		"a server that is TLS's": {reading(probetest.Banner("HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")), probe.CodeTLSRequired},
	} {
		for _, secured := range []bool{false, true} {
			scheme, handle, code := "http://", row.handle, row.want
			if secured {
				scheme = "https://"
				handle = func(ctx context.Context, c net.Conn) {
					inner := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
					if inner.HandshakeContext(ctx) == nil {
						row.handle(ctx, inner)
					}
				}
				if code == probe.CodeTLSRequired {
					code = probe.CodeProtocolMismatch
				}
			}
			t.Run(fmt.Sprintf("%s, TLS %v", name, secured), func(t *testing.T) {
				t.Parallel()
				s := probetest.Serve(t, handle)
				keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "endpoint": scheme + s.Addr, "bucket": "data", "tls.ca_certificate": ca.PEM}
				got := trial{settings: saved(t, keys), prober: s3probe.Prober{}, budget: 1500 * time.Millisecond}.run(t)
				if got.Code != code || got.Verdict != probe.Unknown {
					t.Errorf("got %s, want %s: %s %+v", got.Code, code, got.Message, got.Stages)
				}
			})
		}
	}
}

// Certificates that are not good: nothing signed is sent.
func TestCertificates(t *testing.T) {
	ca := probetest.NewAuthority(t)
	for name, row := range map[string]struct {
		leaf    probetest.Leaf
		code    probe.Code
		pointer string
	}{
		"expired":       {probetest.Leaf{NotAfter: time.Now().Add(-time.Hour)}, probe.CodeTLSExpired, ""},
		"not valid yet": {probetest.Leaf{NotAfter: time.Now().Add(72 * time.Hour)}, probe.CodeTLSExpired, ""},
		"another name":  {probetest.Leaf{Names: []string{"s3.example.com"}}, probe.CodeTLSNameMismatch, "endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			double := newAmazon(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, row.leaf)}}, 0)
			keys := settings{"access_key": lastingKey, "secret_key": lastingSecret, "bucket": "data", "tls.ca_certificate": ca.PEM, "endpoint": double.URL}
			want{code: row.code, pointer: row.pointer}.hold(t, trial{settings: saved(t, keys), prober: s3probe.Prober{}}.run(t))
			if len(double.seen) != 0 {
				t.Errorf("requests %q", double.seen)
			}
		})
	}
}
