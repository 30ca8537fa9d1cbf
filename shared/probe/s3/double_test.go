package s3probe_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"credence/shared/probe/probetest"
)

// The keys that the double knows: lasting ones, and temporary ones with their
// tokens, one of which has run out.
const (
	lastingKey, lastingSecret = "AKIACANARY0001", "canary-lasting-77b0"
	passingKey, passingSecret = "ASIACANARY0001", "canary-passing-11c3"
	goodToken, oldToken       = "canary-token-good/+==", "canary-token-old/+=="
)

// amazon is a double of Amazon's S3 and STS that verifies signatures (SigV4).
// It is unkind where Amazon's documents leave it open: S3 says that a bucket is
// missing, forbidden or elsewhere before it looks at a signature.
type amazon struct {
	*httptest.Server
	offset  time.Duration               // its clock is ahead of ours by this
	buckets map[string]probetest.Bucket // that have something to look at
	refuses map[string]said             // by "bucket/key", or "bucket?prefix" of a list

	mu   sync.Mutex
	seen []string
}

func newAmazon(t *testing.T, config *tls.Config, offset time.Duration) *amazon {
	t.Helper()
	d := &amazon{offset: offset}
	d.Server = httptest.NewUnstartedServer(d)
	d.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	d.TLS = config
	d.StartTLS()
	t.Cleanup(d.Close)
	return d
}

// fail is an error in the form of S3; that of STS differs in its root, which
// no client looks at.
func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<Error><Code>%s</Code><Message>%s %s</Message><Error><Code>%[1]s</Code></Error></Error>`, code, probetest.Foreign, lastingSecret)
}

func (d *amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now().Add(d.offset)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	body, _ := io.ReadAll(r.Body)
	signed := r.Header.Get("Authorization") != ""
	d.mu.Lock()
	d.seen = append(d.seen, fmt.Sprintf("%s %s %v", r.Method, r.URL.Path, signed))
	d.mu.Unlock()
	if r.Method == http.MethodPost {
		d.sts(w, r, body, now)
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch bucket {
	case "missing":
		fail(w, 404, "NoSuchBucket")
		return
	case "forbidden":
		fail(w, 403, "AccessDenied")
		return
	case "ruled":
		fail(w, 405, "MethodNotAllowed")
		return
	case "elsewhere":
		w.Header().Set("X-Amz-Bucket-Region", "eu-central-1")
		w.Header().Set("Location", "https://127.0.0.1:1/"+probetest.Foreign)
		fail(w, 301, "PermanentRedirect")
		return
	case "nearby":
		w.Header().Set("X-Amz-Bucket-Region", probetest.Foreign+".example.com/")
		fail(w, 400, "AuthorizationHeaderMalformed")
		return
	}
	if code, status := verify(r, body, now, 15*time.Minute); code != "" && (signed || bucket != "public") {
		fail(w, status, code)
		return
	}
	if d.buckets != nil {
		d.serve(w, r, bucket, key)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = fmt.Fprintf(w, `<ListBucketResult><Name>%s</Name><KeyCount>1</KeyCount><Contents><Key>%s</Key></Contents></ListBucketResult>`, bucket, probetest.Foreign)
}

func (d *amazon) sts(w http.ResponseWriter, r *http.Request, body []byte, now time.Time) {
	code, status := verify(r, body, now, 5*time.Minute)
	switch code {
	case "":
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/`+probetest.Foreign+`</Arn><UserId>`+probetest.Foreign+`</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		return
	case "InvalidAccessKeyId":
		code = "InvalidClientTokenId"
	case "RequestTimeTooSkewed":
		code = "SignatureDoesNotMatch" // STS says no more than that
	}
	fail(w, status, code)
}

// verify checks a signature by making it again; "" if it is right.
func verify(r *http.Request, body []byte, now time.Time, tolerance time.Duration) (code string, status int) {
	// Credential=id/date/region/service/aws4_request, SignedHeaders=…, Signature=…
	text := strings.NewReplacer("AWS4-HMAC-SHA256 Credential=", "", "/", " ", ", SignedHeaders=", " ", ", Signature=", " ").Replace(r.Header.Get("Authorization"))
	parts := strings.Fields(text)
	if len(parts) != 7 {
		return "AccessDenied", 403
	}
	id, region, service, names, signature := parts[0], parts[2], parts[3], parts[5], parts[6]
	secret, token := lastingSecret, ""
	switch id {
	case lastingKey:
	case passingKey:
		secret, token = passingSecret, r.Header.Get("X-Amz-Security-Token")
		if token == oldToken {
			return "ExpiredToken", 400
		}
		if token != goodToken {
			return "InvalidToken", 400
		}
	default:
		return "InvalidAccessKeyId", 403
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || now.Sub(at).Abs() > tolerance {
		return "RequestTimeTooSkewed", 403
	}
	again := httptest.NewRequest(r.Method, "https://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	again.Header = http.Header{}
	again.ContentLength = 0
	for _, name := range strings.Split(names, ";") {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if got := r.Header.Get("X-Amz-Content-Sha256"); got != "" && got != hash {
		return "XAmzContentSHA256Mismatch", 400
	}
	keys := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	err = signer.SignHTTP(r.Context(), keys, again, hash, service, region, at)
	if err != nil || !strings.HasSuffix(again.Header.Get("Authorization"), signature) {
		return "SignatureDoesNotMatch", 403
	}
	return "", 200
}
