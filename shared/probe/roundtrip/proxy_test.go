package roundtrip_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/roundtrip"
)

// TestMain names a proxy at which nobody answers. net/http reads that once, and
// never takes a proxy to an address of this machine: hence the name below.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// here resolves every name to this machine.
type here struct{}

func (here) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func TestNoProxyIsAsked(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, trusting{resolver: here{}}, looking(func(ctx context.Context, c *roundtrip.Client) error {
		response, err := c.Do(get(ctx, t, "http://store.example.com:"+at.Port()))
		if err != nil {
			return err
		}
		return response.Body.Close()
	}))
	if got.Code != probe.CodeOK {
		t.Errorf("%s: %s", got.Code, got.Message)
	}
}
