//go:build unix

package account

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/envelope/kmstest"
)

// TestKeyConditions: the key's policy, as the template has it, lets each role do
// what it is granted under the context of a secret of ours, and under no other.
func TestKeyConditions(t *testing.T) {
	text, err := os.ReadFile("../../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	deployed, err := Read(text, "the-key", nil)
	if err != nil {
		t.Fatal(err)
	}
	contexts := map[string]struct {
		context map[string]string
		passes  bool
	}{
		"ours":              {map[string]string{"svc": "credence", "fmt": "1", "org": "1", "cred": "2", "sv": "1"}, true},
		"of less":           {map[string]string{"svc": "credence"}, true}, // the function always sends all five
		"none":              {nil, false},
		"another service":   {map[string]string{"svc": "other", "fmt": "1", "org": "1", "cred": "2", "sv": "1"}, false},
		"no service":        {map[string]string{"fmt": "1", "org": "1", "cred": "2", "sv": "1"}, false},
		"of more":           {map[string]string{"svc": "credence", "fmt": "1", "org": "1", "cred": "2", "sv": "1", "x": "1"}, false},
		"another case":      {map[string]string{"svc": "Credence"}, false},
		"of another's name": {map[string]string{"SVC": "credence"}, false},
	}
	granted := 0
	for _, d := range deployed {
		for _, action := range []string{"GenerateDataKey", "Decrypt", "ReEncryptFrom", "ReEncryptTo"} {
			may := len(d.Key[action]) > 0
			if may {
				granted++
			}
			for name, row := range contexts {
				door := newKeyDoor(d, kmstest.New())
				reached := false
				door.kms = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })
				ask(t, door, d, action, row.context)
				if reached != (may && row.passes) {
					t.Errorf("%s, which may %s: %v, under a context that is %s: passes %v", d.ID, action, may, name, reached)
				}
			}
		}
	}
	if granted != 9 {
		t.Errorf("%d uses of the key are granted, want 9: five may seal, two open, one rewraps from and to", granted)
	}
}

// ask sends a request under the context to try. The other half of a rewrap is
// always in order.
func ask(t *testing.T, door *keyDoor, d Deployed, action string, context map[string]string) {
	t.Helper()
	operation, body := action, map[string]any{"EncryptionContext": context}
	if strings.HasPrefix(action, "ReEncrypt") {
		ours := map[string]string{"svc": "credence"}
		operation, body = "ReEncrypt", map[string]any{"SourceEncryptionContext": context, "DestinationEncryptionContext": ours}
		if action == "ReEncryptTo" {
			body = map[string]any{"SourceEncryptionContext": ours, "DestinationEncryptionContext": context}
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(text)))
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	w := httptest.NewRecorder()
	door.ServeHTTP(w, r)
	if denied := strings.Contains(w.Body.String(), "AccessDeniedException"); denied != (w.Code == http.StatusBadRequest) {
		t.Errorf("%s %s: answered %d %q", d.ID, action, w.Code, w.Body)
	}
}

// TestConditionsThatAreNotRead: a condition that this account could not hold
// anybody to is an error, not one that always holds.
func TestConditionsThatAreNotRead(t *testing.T) {
	for _, condition := range []string{
		`{Bool: {"aws:MultiFactorAuthPresent": "true"}}`,
		`{StringLike: {"kms:EncryptionContext:svc": "c*"}}`,
		`{StringEquals: {"kms:ViaService": "x"}}`,
		`{StringEquals: {"kms:EncryptionContext:svc": [a, b]}}`,
	} {
		text := strings.Replace(template, "Action: kms:Decrypt,", fmt.Sprintf("Action: kms:Decrypt, Condition: %s,", condition), 1)
		if _, err := Read([]byte(strings.Replace(text, "VALUE", "x", 1)), "k", nil); err == nil {
			t.Errorf("read: %s", condition)
		}
	}
	text := strings.Replace(template, "Action: kms:Decrypt,", "Action: kms:CreateGrant,", 1)
	if _, err := Read([]byte(strings.Replace(text, "VALUE", "x", 1)), "k", nil); err == nil {
		t.Error("a right to the key that nothing calls was read as none")
	}
}
