package gcsprobe_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/probe/probetest"
)

// The service account that the double knows, and the token of a person.
const (
	email      = "canary-loader@my-project.iam.gserviceaccount.com"
	keyID      = "canary0key0id"
	personal   = "ya29.canary-personal"
	goodBucket = "closed-data"
)

// double is Google's token address and its Cloud Storage, as far as a probe
// asks them. The token address verifies signature, issuer, audience, scope and
// times of an assertion; storage knows the tokens that it gave out.
type double struct {
	*httptest.Server
	key    *rsa.PublicKey
	offset time.Duration // its clock is ahead of ours by this
	files  *files        // that can be looked at; nil for a double that is only probed

	mu     sync.Mutex
	tokens map[string]bool
	seen   []string
}

func newDouble(t *testing.T, config *tls.Config, key *rsa.PublicKey, offset time.Duration) *double {
	t.Helper()
	d := &double{key: key, offset: offset, tokens: map[string]bool{personal: true}}
	d.Server = httptest.NewUnstartedServer(d)
	d.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	d.TLS = config
	d.StartTLS()
	t.Cleanup(d.Close)
	return d
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(d.offset).UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	d.seen = append(d.seen, fmt.Sprintf("%s %s %v", r.Method, r.URL.Path, bearer))
	if r.URL.Path == "/token" {
		d.trade(w, r)
		return
	}
	if d.files != nil {
		d.files.serve(w, r, d.tokens[token])
		return
	}
	d.storage(w, r, bearer, d.tokens[token])
}

func (d *double) trade(w http.ResponseWriter, r *http.Request) {
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":%q}`, code, probetest.Foreign+" "+r.FormValue("assertion"))
	}
	if r.Method != http.MethodPost || r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		refuse("unsupported_grant_type")
		return
	}
	if code := d.verify(r.FormValue("assertion")); code != "" {
		refuse(code)
		return
	}
	token := "ya29.canary-" + rand.Text()
	d.tokens[token] = true
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, token)
}

// verify checks an assertion (RFC 7515 §5.2, RFC 7523 §3); "" if it is right.
func (d *double) verify(assertion string) (code string) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "invalid_grant"
	}
	var raw [3][]byte
	for i, p := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil {
			return "invalid_grant"
		}
		raw[i] = b
	}
	var head struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		KeyID     string `json:"kid"`
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Scope    string `json:"scope"`
		Audience string `json:"aud"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	strict := json.RejectUnknownMembers(true)
	if json.Unmarshal(raw[0], &head, strict) != nil || json.Unmarshal(raw[1], &claims, strict) != nil {
		return "invalid_grant"
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Add(d.offset)
	issued, expires := time.Unix(claims.Issued, 0), time.Unix(claims.Expires, 0)
	switch {
	case head.Algorithm != "RS256", head.Type != "JWT", head.KeyID != "" && head.KeyID != keyID, claims.Issuer != email,
		claims.Audience != "https://oauth2.googleapis.com/token",
		issued.After(now), expires.Before(now), expires.Sub(issued) > time.Hour,
		rsa.VerifyPKCS1v15(d.key, crypto.SHA256, sum[:], raw[2]) != nil:
		return "invalid_grant"
	case claims.Scope != "https://www.googleapis.com/auth/devstorage.read_only":
		return "invalid_scope"
	}
	return ""
}

// refuse answers with an error in the form of Google's APIs.
func refuse(w http.ResponseWriter, status int, reason string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"message":%[2]q,"domain":"global","reason":%q}]}}`, status, probetest.Foreign, reason)
}

func (d *double) storage(w http.ResponseWriter, r *http.Request, shown, known bool) {
	refuse := func(status int, reason string) { refuse(w, status, reason) }
	list := func(kind string) { _, _ = fmt.Fprintf(w, `{"kind":%q}`, kind) }
	if shown && !known {
		refuse(http.StatusUnauthorized, "authError")
		return
	}
	bucket, objects := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/storage/v1/b/"), "/o")
	q := r.URL.Query()
	switch {
	case r.Method != http.MethodGet || q.Get("maxResults") != "1" || q.Get("fields") != "kind":
		refuse(http.StatusBadRequest, "badRequest")
	case objects && bucket == "no-such-bucket":
		refuse(http.StatusNotFound, "notFound")
	case objects && bucket == "open-to-all":
		list("storage#objects")
	case !known:
		refuse(http.StatusUnauthorized, "required")
	case objects && bucket == "payer-needed":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"code":400,"message":"Bucket is requester pays bucket but no user project provided.","errors":[{"message":"Bucket is requester pays bucket but no user project provided.","domain":"global","reason":"required"}]}}`)
	case objects && bucket == "too-many":
		refuse(http.StatusForbidden, "userRateLimitExceeded")
	case objects && bucket == "out-of-order":
		refuse(http.StatusServiceUnavailable, "backendError")
	case objects && bucket == "a-page":
		_, _ = io.WriteString(w, "<html>"+probetest.Foreign)
	case objects && bucket == goodBucket && !strings.HasPrefix(q.Get("prefix"), "denied"):
		list("storage#objects")
	case !objects && q.Get("project") == "my-project":
		list("storage#buckets")
	default:
		refuse(http.StatusForbidden, "forbidden")
	}
}
