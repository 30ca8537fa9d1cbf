//go:build unix

package account_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/envelope/kmstest"
	"credence/shared/lambdahttp/runtimehost/account"
)

// TestChangeOfKey changes the KMS key of a deployment as an operator does: the
// new one becomes known, then current with the old one previous, everything is
// rewrapped in steps, the old one goes. The secret opens before, between and after.
func TestChangeOfKey(t *testing.T) {
	open(t)
	kms := kmstest.New()
	before := kms.AddKey("11111111-1111-4111-8111-111111111111")
	after := kms.AddKey("22222222-2222-4222-8222-222222222222")
	first := reopen(t, kms, before, "")
	filler := account.NewFiller(first)
	fill := func(event string) []byte {
		t.Helper()
		out, err := filler.Fill(t.Context(), []byte(event))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	text, err := os.ReadFile(filepath.Join(top, "events", "reveal.json"))
	if err != nil {
		t.Fatal(err)
	}
	reveal := fill(string(text)) // and with it, made a credential of two versions
	opens(t, first, reveal, 200)

	warned := reopen(t, kms, before, after) // knows the new key, and seals under the old one
	opens(t, warned, reveal, 200)
	both := reopen(t, kms, after, before)
	opens(t, both, reveal, 200)
	opens(t, reopen(t, kms, after, ""), reveal, 500) // too early
	var moved int
	var next string
	for step := 0; step == 0 || next != ""; step++ {
		if step == 3 {
			t.Fatal("the rewrap does not end")
		}
		command := fill(fmt.Sprintf(`{"action":"rewrap","org":${ORG},"limit":1,"cursor":%q}`, next))
		res, err := both.Invoke(t.Context(), "admin", command)
		if err != nil {
			t.Fatal(err)
		}
		var out struct {
			Error  string `json:"error"`
			Rewrap struct {
				Moved   int      `json:"moved"`
				Refused []string `json:"refused"`
				Next    string   `json:"next"`
			} `json:"rewrap"`
		}
		if err := json.Unmarshal(res.Payload, &out); err != nil || out.Error != "" || len(out.Rewrap.Refused) > 0 {
			t.Fatalf("step %d: %v %q; logged %s", step, err, out.Error, res.Log)
		}
		moved, next = moved+out.Rewrap.Moved, out.Rewrap.Next
		opens(t, both, reveal, 200)
		opens(t, warned, reveal, 200)
	}
	if moved != 2 {
		t.Errorf("%d records moved, want the 2 versions of the credential", moved)
	}
	opens(t, reopen(t, kms, after, ""), reveal, 200)
	command := fill(`{"action":"user add","org":${ORG},"email":"another@org0.example"}`)
	if res, err := both.Invoke(t.Context(), "admin", command); err != nil || !strings.Contains(string(res.Payload), "service_key") {
		t.Errorf("user add: %v; logged %s", err, res.Log)
	}
	for _, text := range []string{`{"action":"check","org":${ORG}}`, `{"action":"key delete","org":${ORG},"key":${SERVICE_KEY}}`} {
		if res, err := both.Invoke(t.Context(), "admin", fill(text)); err != nil || strings.Contains(string(res.Payload), "error_code") {
			t.Errorf("%s: %v; logged %s", text, err, res.Log)
		}
	}
	made, refused := both.Calls()
	if len(refused) > 0 {
		t.Errorf("the roles do not allow %v", refused)
	}
	for _, d := range both.Deployed() {
		if d.Folder == "admin" {
			needed(t, d, made)
		}
	}
}

// granted lists what a function may do.
func granted(d account.Deployed) []account.Call {
	var calls []account.Call
	for table, actions := range d.Tables {
		for _, action := range actions {
			calls = append(calls, account.Call{Function: d.ID, Table: table, Action: action})
		}
	}
	for action := range d.Key {
		calls = append(calls, account.Call{Function: d.ID, Table: account.TheKey, Action: action})
	}
	return calls
}

// needed reports what a role allows and its function never did.
func needed(t *testing.T, d account.Deployed, made []account.Call) {
	t.Helper()
	for _, c := range granted(d) {
		if !slices.Contains(made, c) {
			t.Errorf("granted and never needed: %v", c)
		}
	}
}

// reopen deploys over the engine and the bootstraps of open.
func reopen(t *testing.T, kms *kmstest.KMS, key, previous string) *account.Account {
	t.Helper()
	cfg := deployment.config
	cfg.KMS, cfg.KeyARN = kms, key
	cfg.Parameters = maps.Clone(cfg.Parameters)
	cfg.Parameters["PreviousKmsKeyArns"] = previous
	a, err := account.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func opens(t *testing.T, a *account.Account, event []byte, want int) {
	t.Helper()
	res, err := a.Invoke(t.Context(), "reveal", event)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := account.Answer(res.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != want || want == 200 != strings.Contains(answer.Body, `"two"`) {
		t.Fatalf("reveal answered %d, want %d; it logged %s", answer.StatusCode, want, res.Log)
	}
}
