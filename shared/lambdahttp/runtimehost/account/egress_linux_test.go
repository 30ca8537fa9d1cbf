package account_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/lambdahttp/runtimehost/account"
)

// TestEgressIsNamed: the addresses of the template's parameter stand in the
// message of a probe that a firewall may have met.
func TestEgressIsNamed(t *testing.T) {
	if os.Getenv(inside) == "" {
		elsewhere(t)
		return
	}
	a := open(t)
	target, err := net.Listen("tcp", targets+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Close() }()
	go func() {
		for {
			c, err := target.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	var e map[string]any
	if err := json.Unmarshal(event(t, account.NewFiller(a), "probe-before-saving"), &e); err != nil {
		t.Fatal(err)
	}
	e["body"] = fmt.Sprintf(`{"credentials_type":"rest","credentials":{"api_key":"k","base_url":"http://%s/"}}`, target.Addr())
	probe, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.Invoke(t.Context(), "probe", probe)
	if err != nil || res.FunctionError != "" {
		t.Fatalf("the function failed: %v, %s", err, res.Log)
	}
	answer, err := account.Answer(res.Payload)
	if err != nil || !strings.Contains(string(answer.Body), "TCP_RESET") || !strings.Contains(string(answer.Body), "198.51.100.7.") {
		t.Errorf("answered %d %s, %v", answer.StatusCode, answer.Body, err)
	}
}
