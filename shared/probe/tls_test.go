package probe_test

import (
	"context"
	"strings"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// What tls.ca_certificate may hold, up to its limits.
func TestCACertificates(t *testing.T) {
	ca := probetest.NewAuthority(t).PEM
	long := func(n int) string { return ca + strings.Repeat("#", n-len(ca)) }
	for name, row := range map[string]struct {
		text string
		good bool
	}{
		"one":                  {ca, true},
		"256":                  {strings.Repeat(ca, 256), true},
		"257":                  {strings.Repeat(ca, 257), false},
		"224 KiB":              {long(224 << 10), true},
		"a byte more":          {long(224<<10 + 1), false},
		"no PEM":               {"certificate", false},
		"PEM of something":     {strings.ReplaceAll(ca, "CERTIFICATE", "PUBLIC KEY"), false},
		"no certificate in it": {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := probe.NewRunner(map[string]probe.Prober{"x": prober(func(_ context.Context, a *probe.Attempt) probe.Finding {
				return a.Explain(a.Stage(probe.TLS, func() error {
					config, err := a.TLSConfig(probe.TLSOptions{Host: "db.example.com"})
					if err == nil && (config.RootCAs == nil || config.InsecureSkipVerify || config.ServerName != "db.example.com") {
						t.Error("the configuration does not verify by these certificates")
					}
					if err == nil {
						err = probe.Found(probe.CodeRateLimited, "") // anything but a refusal
					}
					return err
				}))
			})}, probetest.Loopback(t, nil), probe.Config{Budget: short})
			got := r.Run(t.Context(), "x", plain{"tls.ca_certificate": row.text})
			if refused := got.Code == probe.CodeTLSUntrusted && got.Pointer == "/credentials/tls.ca_certificate"; refused == row.good {
				t.Errorf("%s at %q", got.Code, got.Pointer)
			}
		})
	}
}
