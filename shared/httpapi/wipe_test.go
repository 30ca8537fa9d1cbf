package httpapi_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/httpapi"
)

// keeping is a response writer that keeps the bytes it was given, and not a copy.
type keeping struct {
	http.ResponseWriter
	written []byte
	sent    string
}

func (k *keeping) Write(b []byte) (int, error) {
	k.written, k.sent = b, string(b)
	return len(b), nil
}

// TestSharedBodyStays: a body that belongs to every request is not cleared.
func TestSharedBodyStays(t *testing.T) {
	shared := jsontext.Value(`{"type":"object"}`)
	k := newKit(t, httpapi.Route{Pattern: "GET /schema", Needs: access.Read, Handle: func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
		return httpapi.Answer{Body: shared}, nil
	}})
	for range 2 {
		if w := k.send("GET", "/schema", ""); w.Body.String() != `{"type":"object"}` {
			t.Errorf("answered %s", w.Body)
		}
	}
}

// TestBuffersAreCleared: once an answer is sent, the bytes that came in, those that
// the handler answered with and those that went out are zeros.
func TestBuffersAreCleared(t *testing.T) {
	const secret = `{"password":"canary-in-memory"}`
	answered := jsontext.Value(secret)
	var received []byte
	k := newKit(t, httpapi.Route{Pattern: "POST /things", Needs: access.Reveal, Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
		received = r.Bytes()
		return httpapi.Answer{Body: answered, Secret: true}, nil
	}})
	w := &keeping{ResponseWriter: httptest.NewRecorder()}
	r := httptest.NewRequest("POST", "/things", strings.NewReader(secret))
	r.Header.Set("Authorization", "Bearer good")
	k.ServeHTTP(w, r)
	if w.sent != secret {
		t.Fatalf("answered %q", w.sent)
	}
	for name, b := range map[string][]byte{"received": received, "answered": answered, "written": w.written} {
		if len(b) != len(secret) || len(bytes.Trim(b, "\x00")) != 0 {
			t.Errorf("what was %s is not cleared", name)
		}
	}
}
