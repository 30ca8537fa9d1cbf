//go:build unix

package account_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

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
	client := dynamo.LocalClient(deployment.config.Engine)
	restored := dynamo.Tables{Meta: "restored-meta", Vault: "restored-vault", Audit: "restored-audit"}
	if err := dynamo.CreateTables(t.Context(), client, restored); err != nil {
		t.Fatal(err)
	}
	copyItems(t, client, "MetaTable", restored.Meta)
	copyItems(t, client, "VaultTable", restored.Vault)
	copyItems(t, client, "AuditTable", restored.Audit)
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

func copyItems(t *testing.T, client *dynamodb.Client, from, to string) {
	t.Helper()
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &from})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &to, Item: item}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
