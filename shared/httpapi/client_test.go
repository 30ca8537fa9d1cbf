package httpapi_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"credence/shared/httpapi"
	"credence/shared/identity"
)

func TestTheOrigin(t *testing.T) {
	for remote, ip := range map[string]string{"192.0.2.1:99": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[2001:db8::1]:9": "2001:db8::1", "made up": "", "": ""} {
		var got identity.Origin
		k := newKit(t, httpapi.Route{Pattern: "GET /a", Public: true, Query: []string{"*"}, Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
			got = r.Origin
			return httpapi.Answer{}, nil
		}})
		r := httptest.NewRequest("GET", "/a?name=secret&b=%0Asecret", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "198.51.100.9")
		k.ServeHTTP(httptest.NewRecorder(), r)
		if got.IP != ip || got.URL != "/a?b&name" || len(got.RequestID) < 20 {
			t.Errorf("from %q: %+v", remote, got)
		}
	}
}

// The address that a trusted proxy names is the client's; what the client itself
// writes into the headers is not.
func TestTheClientBehindAProxy(t *testing.T) {
	ranges := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, row := range map[string]struct {
		peer   string
		header http.Header
		want   string
	}{
		"a proxy's word":           {"127.0.0.1:9", http.Header{"X-Forwarded-For": {"198.51.100.9"}}, "198.51.100.9"},
		"made up by the client":    {"127.0.0.1:9", http.Header{"X-Forwarded-For": {"1.2.3.4, 198.51.100.9"}}, "198.51.100.9"},
		"a chain of proxies":       {"127.0.0.1:9", http.Header{"X-Forwarded-For": {"1.2.3.4, 198.51.100.9, 10.1.1.1"}}, "198.51.100.9"},
		"two headers":              {"127.0.0.1:9", http.Header{"X-Forwarded-For": {"1.2.3.4", "198.51.100.9"}}, "198.51.100.9"},
		"IPv6 with a port":         {"[fd00::1]:9", http.Header{"X-Forwarded-For": {"[2001:db8::7]:4711"}}, "2001:db8::7"},
		"IPv4 in IPv6":             {"127.0.0.1:9", http.Header{"X-Forwarded-For": {"::ffff:198.51.100.9"}}, "198.51.100.9"},
		"no header":                {"127.0.0.1:9", nil, "127.0.0.1"},
		"no address":               {"127.0.0.1:9", http.Header{"X-Forwarded-For": {"1.2.3.4, unknown"}}, "127.0.0.1"},
		"proxies alone":            {"127.0.0.1:9", http.Header{"X-Forwarded-For": {"10.1.1.1"}}, "127.0.0.1"},
		"Forwarded":                {"127.0.0.1:9", http.Header{"Forwarded": {`for=1.2.3.4, for="[2001:db8::7]:47";proto=https`}}, "2001:db8::7"},
		"Forwarded by the client":  {"127.0.0.1:9", http.Header{"X-Forwarded-For": {"198.51.100.9"}, "Forwarded": {"for=1.2.3.4"}}, "198.51.100.9"},
		"not a proxy":              {"192.0.2.1:9", http.Header{"X-Forwarded-For": {"198.51.100.9"}}, "192.0.2.1"},
		"X-Real-IP is not read":    {"127.0.0.1:9", http.Header{"X-Real-Ip": {"198.51.100.9"}}, "127.0.0.1"},
		"a proxy mapped into IPv6": {"[::ffff:127.0.0.1]:9", http.Header{"X-Forwarded-For": {"198.51.100.9"}}, "198.51.100.9"},
	} {
		var got identity.Origin
		var log bytes.Buffer
		d := &desk{}
		h, err := httpapi.Stack(httpapi.Config{SignIn: d, Denials: d, Logger: slog.New(slog.NewJSONHandler(&log, nil)), Proxies: ranges},
			[]httpapi.Route{{Pattern: "GET /a", Public: true, Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
				got = r.Origin
				return httpapi.Answer{}, nil
			}}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/a", nil)
		r.RemoteAddr, r.Header = row.peer, row.header
		if r.Header == nil {
			r.Header = http.Header{}
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got.IP != row.want || !strings.Contains(log.String(), `"client":"`+row.want+`"`) {
			t.Errorf("%s: %q, log %s; want %s", name, got.IP, log.String(), row.want)
		}
	}
}
