//go:build unix

package account_test

import (
	"bytes"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/envelope/kmstest"
	"credence/shared/lambdahttp/runtimehost/account"
	"credence/shared/store/dynamo"
)

// TestRestored runs the stack on tables that it did not make, as after a
// restore: what was there at that moment is there again and opens, what came
// later is not, and no function has a right to the tables that were left.
func TestRestored(t *testing.T) {
	open(t)
	kms := kmstest.New()
	key := kms.AddKey("66666666-6666-4666-8666-666666666666")
	before := reopen(t, kms, key, "")
	filler := account.NewFiller(before)
	fill := func(event string) []byte {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(top, "events", event+".json"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := filler.Fill(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	reveal := fill("reveal")
	restored := dynamo.Tables{Meta: "restored-meta", Vault: "restored-vault", Audit: "restored-audit"}
	if err := dynamo.CreateTables(t.Context(), dynamo.LocalClient(deployment.config.Engine), restored); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"MetaTable": restored.Meta, "VaultTable": restored.Vault, "AuditTable": restored.Audit} {
		for _, i := range scan(t, from) {
			put(t, to, i)
		}
	}
	later := fill("reveal") // of a credential that no restored table knows

	cfg := deployment.config
	cfg.KMS, cfg.KeyARN, cfg.Parameters = kms, key, maps.Clone(cfg.Parameters)
	maps.Copy(cfg.Parameters, map[string]string{
		"ExistingMetaTable": restored.Meta, "ExistingVaultTable": restored.Vault, "ExistingAuditTable": restored.Audit,
	})
	after, err := account.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = after.Close() })
	opens(t, after, reveal, 200)
	opens(t, after, later, 401) // its session is not known either
	made, refused := after.Calls()
	if len(refused) > 0 || !slices.ContainsFunc(made, func(c account.Call) bool { return c.Table == restored.Vault }) {
		t.Errorf("the functions did %v, and were kept from %v", made, refused)
	}
	for _, d := range after.Deployed() {
		for table := range d.Tables {
			if !strings.HasPrefix(table, "restored-") {
				t.Errorf("%s has a right to %s", d.ID, table)
			}
		}
	}
}

// item is one of DynamoDB, each attribute under its kind.
type item map[string]map[string]any

// scan reads a table of the engine, past every door.
func scan(t *testing.T, table string) []item {
	t.Helper()
	var all []item
	var from item
	for {
		var page struct {
			Items            []item
			LastEvaluatedKey item
		}
		ask := map[string]any{"TableName": table}
		if from != nil {
			ask["ExclusiveStartKey"] = from
		}
		engineDoes(t, "Scan", ask, &page)
		all, from = append(all, page.Items...), page.LastEvaluatedKey
		if from == nil {
			return all
		}
	}
}

func put(t *testing.T, table string, i item) {
	t.Helper()
	engineDoes(t, "PutItem", map[string]any{"TableName": table, "Item": i}, &struct{}{})
}

func engineDoes(t *testing.T, operation string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, deployment.config.Engine, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	// The engine wants a signature and checks none.
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.UnmarshalRead(res.Body, out); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", operation, res.StatusCode, err)
	}
}
