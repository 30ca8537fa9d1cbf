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
