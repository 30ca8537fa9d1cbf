package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"credence/shared/probe/probetest"
)

// The addresses of --egress stand in the message of a probe that a firewall may
// have met.
func TestEgressIsNamed(t *testing.T) {
	s := start(t, t.TempDir(), "--egress", "198.51.100.7, 203.0.113.0/28")
	target := probetest.Serve(t, probetest.CloseAtOnce)
	body := `{"name":"x","credentials_type":"postgres","credentials":{"host":"127.0.0.1","port":` + target.Port + `,"username":"app","password":"canary","database":"app"}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/data_credentials/probe", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+session(t, s.url, key(t, s.out.String())))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(answer), "198.51.100.7, 203.0.113.0/28.") {
		t.Errorf("the answer is %s, %v", answer, err)
	}
}

// Loopback is a target of probes only where each caller is on this machine: a
// trusted proxy brings others.
func TestLoopbackTargets(t *testing.T) {
	yes, no := true, false
	for name, row := range map[string]struct {
		flags serveFlags
		want  bool
		wrong bool
	}{
		"by default":                 {serveFlags{Addr: "127.0.0.1:0"}, true, false},
		"not wanted":                 {serveFlags{Addr: "127.0.0.1:0", Loopback: &no}, false, false},
		"behind a proxy":             {serveFlags{Addr: "127.0.0.1:0", TrustedProxy: "127.0.0.1"}, false, false},
		"behind a proxy, and wanted": {serveFlags{Addr: "127.0.0.1:0", TrustedProxy: "127.0.0.1", Loopback: &yes}, true, false},
		"for all":                    {serveFlags{Addr: "0.0.0.0:0", Public: true, TLSCert: "c", TLSKey: "k"}, false, false},
		"for all, and wanted":        {serveFlags{Addr: "0.0.0.0:0", Public: true, TLSCert: "c", TLSKey: "k", Loopback: &yes}, false, true},
		"a proxy that is no address": {serveFlags{Addr: "127.0.0.1:0", TrustedProxy: "nginx"}, true, true},
	} {
		row.flags.where = where{Data: t.TempDir(), Store: storeEmbedded}
		o, problems := row.flags.validate()
		if got := o.loopback(); got != row.want || (len(problems) > 0) != row.wrong {
			t.Errorf("%s: %v, %q; want %v", name, got, problems, row.want)
		}
	}
}
