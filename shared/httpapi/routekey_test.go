package httpapi

import (
	"context"
	"testing"

	"credence/shared/fault"
)

func TestCheckRouteKey(t *testing.T) {
	const pattern = "GET /data_credentials/{id}"
	plain := context.Background()
	for _, row := range []struct {
		name    string
		ctx     context.Context
		method  string
		refused bool
	}{
		{"no gateway", plain, "GET", false},
		{"the same route", WithRouteKey(plain, pattern), "GET", false},
		{"another path", WithRouteKey(plain, "GET /data_credentials/{id}/usage"), "GET", true},
		{"another method", WithRouteKey(plain, "ANY /data_credentials/{id}"), "GET", true},
		{"the catch-all", WithRouteKey(plain, "$default"), "GET", true},
		{"the catch-all for HEAD", WithRouteKey(plain, "$default"), "HEAD", false},
		{"another path for HEAD", WithRouteKey(plain, "GET /data_credentials/{id}/usage"), "HEAD", true},
		{"an event without a key", WithRouteKey(plain, ""), "GET", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := CheckRouteKey(row.ctx, row.method, pattern)
			if row.refused != fault.Is(err, fault.CodeRouteNotFound) || row.refused != (err != nil) {
				t.Errorf("refused = %v, want %v", err, row.refused)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	if got := RequestID(context.Background()); got != "" {
		t.Errorf("without a gateway the id is %q", got)
	}
	if got := RequestID(WithRequestID(context.Background(), "LV7fzho-PHcEJPw=")); got != "LV7fzho-PHcEJPw=" {
		t.Errorf("id = %q", got)
	}
}
