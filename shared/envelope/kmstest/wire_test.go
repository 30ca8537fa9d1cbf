package kmstest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"credence/shared/envelope/kmstest"
)

const signed = "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-central-1/kms/aws4_request, SignedHeaders=host;x-amz-date, Signature="

// TestWireRefuses: the handler lets through only what the real client sends.
func TestWireRefuses(t *testing.T) {
	const good = `{"KeyId":"key","KeySpec":"AES_256","EncryptionContext":{"svc":"credence","fmt":"1","org":"1","cred":"2","sv":"3"}}`
	const context = `"EncryptionContext":{"svc":"credence","fmt":"1","org":"1","cred":"2","sv":"3"}`
	signature := signed + strings.Repeat("0a", 32)
	for _, c := range []struct {
		name, method, path, kind, target, authorization, body string
		status                                                int
		errorType                                             string
	}{
		{"good", "POST", "/", "", "GenerateDataKey", signature, good, 200, ""},
		{"GET", "GET", "/", "", "GenerateDataKey", signature, good, 400, "UnknownOperationException"},
		{"other path", "POST", "/keys", "", "GenerateDataKey", signature, good, 400, "UnknownOperationException"},
		{"other type", "POST", "/", "application/json", "GenerateDataKey", signature, good, 400, "UnknownOperationException"},
		{"other operation", "POST", "/", "", "Encrypt", signature, good, 400, "UnknownOperationException"},
		{"no operation", "POST", "/", "", "", signature, good, 400, "UnknownOperationException"},
		{"unsigned", "POST", "/", "", "GenerateDataKey", "", good, 400, "MissingAuthenticationTokenException"},
		{"bearer", "POST", "/", "", "GenerateDataKey", "Bearer x", good, 400, "MissingAuthenticationTokenException"},
		{"signed for s3", "POST", "/", "", "GenerateDataKey", strings.Replace(signature, "/kms/", "/s3/", 1), good, 400, "MissingAuthenticationTokenException"},
		{"half a signature", "POST", "/", "", "GenerateDataKey", signed + "0a", good, 400, "MissingAuthenticationTokenException"},
		{"no JSON", "POST", "/", "", "GenerateDataKey", signature, "<xml/>", 400, "SerializationException"},
		{"unknown member", "POST", "/", "", "GenerateDataKey", signature, `{"KeyId":"key","GrantTokens":["x"]}`, 400, "SerializationException"},
		{"huge", "POST", "/", "", "GenerateDataKey", signature, strings.Repeat(" ", 70<<10) + good, 400, "SerializationException"},
		{"other key spec", "POST", "/", "", "GenerateDataKey", signature, `{"KeyId":"key","KeySpec":"AES_128"}`, 400, "ValidationException"},
		{"no key", "POST", "/", "", "GenerateDataKey", signature, `{"KeySpec":"AES_256",` + context + `}`, 400, "ValidationException"},
		{"no context", "POST", "/", "", "GenerateDataKey", signature, `{"KeyId":"key","KeySpec":"AES_256"}`, 400, "AccessDeniedException"},
		{"unknown key", "POST", "/", "", "GenerateDataKey", signature, strings.Replace(good, `"key"`, `"other"`, 1), 400, "NotFoundException"},
		{"key's ARN elsewhere", "POST", "/", "", "GenerateDataKey", signature, strings.Replace(good, `"key"`, `"arn:aws:kms:us-east-1:1:key/key"`, 1), 400, "NotFoundException"},
		{"decrypt without key", "POST", "/", "", "Decrypt", signature, `{"CiphertextBlob":"AAAA",` + context + `}`, 400, "ValidationException"},
		{"decrypt without blob", "POST", "/", "", "Decrypt", signature, `{"KeyId":"key",` + context + `}`, 400, "ValidationException"},
		{"decrypt rubbish", "POST", "/", "", "Decrypt", signature, `{"KeyId":"key","CiphertextBlob":"AAAA",` + context + `}`, 400, "InvalidCiphertextException"},
		{"decrypt asymmetric", "POST", "/", "", "Decrypt", signature, `{"KeyId":"key","EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}`, 400, "InvalidKeyUsageException"},
		{"rewrap without source", "POST", "/", "", "ReEncrypt", signature, `{"DestinationKeyId":"key","CiphertextBlob":"AAAA"}`, 400, "ValidationException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			if c.kind == "" {
				c.kind = "application/x-amz-json-1.1"
			}
			r.Header.Set("Content-Type", c.kind)
			r.Header.Set("X-Amz-Date", "20260102T030405Z")
			r.Header.Set("X-Amz-Target", "TrentService."+c.target)
			r.Header.Set("Authorization", c.authorization)
			w := httptest.NewRecorder()
			kmstest.New("key").Handler(kmstest.Everything).ServeHTTP(w, r)
			body, err := io.ReadAll(w.Body)
			if err != nil || w.Code != c.status || !strings.Contains(string(body), c.errorType) {
				t.Errorf("answer %d %s, error %v, want %d %s", w.Code, body, err, c.status, c.errorType)
			}
		})
	}
}

func TestWireLosesReply(t *testing.T) {
	k := kmstest.New("key")
	k.Inject(kmstest.GenerateDataKey, kmstest.LostReply)
	server := httptest.NewServer(k.Handler(kmstest.Everything))
	defer server.Close()
	body := strings.NewReader(`{"KeyId":"key","KeySpec":"AES_256","EncryptionContext":{"svc":"credence","fmt":"1","org":"1","cred":"2","sv":"3"}}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/", body)
	if err != nil {
		t.Fatalf("making the request: %v", err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/x-amz-json-1.1", "X-Amz-Date": "20260102T030405Z",
		"X-Amz-Target": "TrentService.GenerateDataKey", "Authorization": signed + strings.Repeat("0a", 32),
	} {
		r.Header.Set(name, value)
	}
	if answer, err := http.DefaultClient.Do(r); err == nil {
		_ = answer.Body.Close()
		t.Errorf("an answer of status %d, want a broken connection", answer.StatusCode)
	}
	if k.Calls(kmstest.GenerateDataKey) == 0 {
		t.Error("the operation was not reached")
	}
}
