package verdicts

import (
	"crypto/hmac"
	"crypto/sha1" // of OAuth 1
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// verifies reports whether a request is signed with the right secret, by code
// written from the documents and not by the libraries that sign.
func verifies(scheme string, q *http.Request, body []byte, right string) bool {
	header := q.Header.Get("Authorization")
	switch scheme {
	case "oauth1":
		return oauth1(q, header, right)
	case "sigv4":
		return sigv4(q, header, body, right)
	case "assertion":
		form, err := url.ParseQuery(string(body))
		return err == nil && asserts(form.Get("assertion"))
	}
	token, err := jwt.Parse(strings.TrimPrefix(header, "Bearer "), func(*jwt.Token) (any, error) { return []byte(right), nil },
		jwt.WithValidMethods([]string{scheme}), jwt.WithExpirationRequired())
	return err == nil && token.Valid
}

// oauth1 verifies a signature of RFC 5849 §3.4, of the consumer's secret right
// and the token's secret "token-secret", if there is a token.
func oauth1(q *http.Request, header, right string) bool {
	params := map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimPrefix(header, "OAuth "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		plain, err := url.PathUnescape(strings.Trim(value, `"`))
		if err != nil {
			return false
		}
		params[name] = plain
	}
	given := params["oauth_signature"]
	delete(params, "oauth_signature")
	for name, values := range q.URL.Query() {
		params[name] = values[0]
	}
	var pairs []string
	for name, value := range params {
		pairs = append(pairs, encode(name)+"="+encode(value))
	}
	slices.Sort(pairs)
	tokenSecret := ""
	if params["oauth_token"] != "" {
		tokenSecret = "token-secret"
	}
	key := encode(right) + "&" + encode(tokenSecret)
	base := q.Method + "&" + encode("http://"+q.Host+q.URL.Path) + "&" + encode(strings.Join(pairs, "&"))
	var digest func() hash.Hash
	switch params["oauth_signature_method"] {
	case "HMAC-SHA1":
		digest = sha1.New
	case "HMAC-SHA256":
		digest = sha256.New
	case "PLAINTEXT":
		return given == key
	default:
		return false
	}
	mac := hmac.New(digest, []byte(key))
	mac.Write([]byte(base))
	return given == base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// encode is RFC 5849 §3.6 and RFC 3986 §2.1.
func encode(text string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(text))
}

// sigv4 verifies an AWS signature.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func sigv4(q *http.Request, header string, body []byte, right string) bool {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if !ok || len(scope) != 5 {
		return false
	}
	date := q.Header.Get("X-Amz-Date")
	if at, err := time.Parse("20060102T150405Z", date); err != nil || time.Since(at).Abs() > 5*time.Minute {
		return false
	}
	var headers strings.Builder
	for name := range strings.SplitSeq(fields["SignedHeaders"], ";") {
		value := strings.Join(q.Header.Values(name), ",")
		switch name {
		case "host":
			value = q.Host
		case "content-length":
			value = fmt.Sprint(q.ContentLength)
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	sum := sha256.Sum256(body)
	query := strings.ReplaceAll(q.URL.Query().Encode(), "+", "%20")
	path := q.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	canonical := strings.Join([]string{q.Method, path, query, headers.String(), fields["SignedHeaders"], hex.EncodeToString(sum[:])}, "\n")
	hashed := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", date, strings.Join(scope[1:], "/"), hex.EncodeToString(hashed[:])}, "\n")
	key := []byte("AWS4" + right)
	for _, part := range append(scope[1:], toSign) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return fields["Signature"] == hex.EncodeToString(key)
}
