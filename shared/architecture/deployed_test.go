//go:build unix

package architecture

import (
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

func deployed(t *testing.T) map[string]account.Deployed {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := account.Read(text, "arn", nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]account.Deployed{}
	for _, d := range list {
		out[d.Folder] = d
	}
	return out
}

// TestTemplateRoutes holds the template to the code: each function is deployed,
// with just the routes that it serves.
func TestTemplateRoutes(t *testing.T) {
	code, template := served(t), deployed(t)
	folders, err := filepath.Glob(filepath.Join(root(t), "functions", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		name := filepath.Base(folder)
		if name == "credence" {
			continue
		}
		d, found := template[name]
		if !found {
			t.Errorf("functions/%s is not deployed", name)
			continue
		}
		want := code[name]
		if name == "get" {
			want = append(slices.Clone(want), "$default")
		}
		missing(t, "the template's "+d.ID, want, d.Routes)
		missing(t, "functions/"+name, d.Routes, want)
		delete(template, name)
	}
	for name := range template {
		t.Errorf("the template deploys %q, which is no function", name)
	}
}

// TestEventRoutes holds events/ to the code: a file for each route, and none
// for another.
func TestEventRoutes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(t), "events", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	for _, file := range files {
		if filepath.Base(file) == "env.json" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var event struct {
			RouteKey string `json:"routeKey"`
		}
		if err := json.Unmarshal(text, &event); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if slices.Contains(sent, event.RouteKey) {
			t.Errorf("%s is another file for %s", filepath.Base(file), event.RouteKey)
		}
		sent = append(sent, event.RouteKey)
	}
	local := served(t)["credence"]
	missing(t, "events/", local, sent)
	missing(t, "functions/credence", sent, local)
}

// TestEventEnvironment: events/env.json says all that a function may be told
// under sam local, which drops what the template does not name.
func TestEventEnvironment(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "events", "env.json"))
	if err != nil {
		t.Fatal(err)
	}
	var env struct{ Parameters map[string]string }
	if err := json.Unmarshal(text, &env); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range deployed(t) {
		maps.Copy(all, d.Env)
	}
	differ(t, "what events/env.json sets", slices.Sorted(maps.Keys(env.Parameters)), slices.Sorted(maps.Keys(all)))
}

// TestFlags: what the tests run is compiled as what is shipped.
func TestFlags(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nLAMBDA_FLAGS := " + strings.Join(account.Flags, " ") + "\n"; !strings.Contains(string(text), want) {
		t.Errorf("the Makefile lacks the line %q", want)
	}
}

// TestGrants holds rights to what is linked: whoever may use the key links the
// client that does, and whoever links it may. What must never be granted is
// named here once more, whatever a function comes to do.
func TestGrants(t *testing.T) {
	g, template := load(t), deployed(t)
	for name, d := range template {
		links := slices.Contains(g[module+"functions/"+name].Deps, module+"shared/envelope/awskms")
		if links != (d.KMS != 0) {
			t.Errorf("%s: links awskms %v, may use the key %v", d.ID, links, d.KMS != 0)
		}
		if opens := d.KMS&kmstest.Decrypt != 0; opens != (name == "reveal" || name == "probe") {
			t.Errorf("%s: may decrypt: %v", d.ID, opens)
		}
		reads := slices.ContainsFunc(d.Tables["VaultTable"], func(a string) bool { return a == "BatchGetItem" || a == "GetItem" })
		if reads != (d.KMS&kmstest.Decrypt != 0) {
			t.Errorf("%s: reads the vault item by item: %v, which goes with opening only", d.ID, reads)
		}
		if _, any := d.Tables["VaultTable"]; any != (d.KMS != 0) || any != (d.Env["VAULT_TABLE"] != "") {
			t.Errorf("%s: has rights to the vault: %v, its name: %v, use of the key: %v", d.ID, any, d.Env["VAULT_TABLE"] != "", d.KMS != 0)
		}
		known := []string{"BatchGetItem", "Query", "PutItem", "DeleteItem", "ConditionCheckItem"}
		for _, table := range slices.Collect(maps.Keys(d.Tables)) {
			missing(t, "what the store calls, which is not what "+d.ID+" is granted:", d.Tables[table], known)
		}
		for _, action := range d.Tables["AuditTable"] {
			if action == "DeleteItem" || action == "UpdateItem" {
				t.Errorf("%s may %s in the audit table", d.ID, action)
			}
		}
	}
}

// TestDeployment: each function is built by its own target, is told what its
// program asks for, and outlives what it gives itself to answer.
func TestDeployment(t *testing.T) {
	tpl := readTemplate(t)
	makefile, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	differ(t, "what all functions have", tpl.Globals, object{"Function": object{
		"CodeUri": ".", "Handler": "bootstrap", "Runtime": "provided.al2023", "Architectures": []any{"arm64"}, "Timeout": 10, "MemorySize": 512,
		"LoggingConfig": object{"LogFormat": "JSON"},
		"Environment": object{"Variables": object{
			"AWS_ENDPOINT_URL_DYNAMODB": "DynamoDbEndpoint", "AWS_ENDPOINT_URL_KMS": "KmsEndpoint",
			"META_TABLE":  []any{"MakeTables", "MetaTable", "ExistingMetaTable"},
			"AUDIT_TABLE": []any{"MakeTables", "AuditTable", "ExistingAuditTable"},
		}},
	}})
	for name, d := range deployed(t) {
		r := tpl.Resources[d.ID]
		differ(t, "how "+d.ID+" is built", r.Metadata, object{"BuildMethod": "makefile"})
		if target := "\nbuild-" + d.ID + ": FOLDER := " + name + "\n"; !strings.Contains(string(makefile), target) {
			t.Errorf("the Makefile lacks the line %q", target)
		}
		want := object{}
		if d.KMS != 0 {
			want["VAULT_TABLE"] = []any{"MakeTables", "VaultTable", "ExistingVaultTable"}
			want["KMS_KEY"] = []any{"MakeKey", "Key.Arn", "KmsKeyArn"}
		}
		if d.KMS&(kmstest.Decrypt|kmstest.ReEncrypt) != 0 {
			want["KMS_PREVIOUS_KEYS"] = []any{",", "PreviousKmsKeyArns"}
		}
		timeout := map[string]any{"probe": 15, "admin": 60}[name]
		var vpc any
		if name == "probe" {
			want["PROBE_ALLOWED_RANGES"], want["PROBE_EGRESS"] = "AllowedPrivateRanges", "EgressAddresses"
			vpc = []any{"ProbesInVpc", object{"SubnetIds": "ProbeSubnetIds", "SecurityGroupIds": "ProbeSecurityGroupIds"}, "AWS::NoValue"}
		}
		if len(want) > 0 {
			differ(t, "what "+d.ID+" is told", r.Properties["Environment"], object{"Variables": want})
		}
		differ(t, "where "+d.ID+" logs", r.Properties["LoggingConfig"], object{"LogGroup": strings.TrimSuffix(d.ID, "Function") + "Log"})
		var reserved any
		if name == "probe" || name == "reveal" {
			which := strings.TrimSuffix(d.ID, "Function")
			reserved = []any{"Limit" + which + "s", which + "Concurrency", "AWS::NoValue"}
		}
		differ(t, "the share of "+d.ID, r.Properties["ReservedConcurrentExecutions"], reserved)
		differ(t, "the memory of "+d.ID, r.Properties["MemorySize"], nil)
		differ(t, "the time-out of "+d.ID, r.Properties["Timeout"], timeout)
		differ(t, "the network of "+d.ID, r.Properties["VpcConfig"], vpc)
	}
	for output, condition := range map[string]any{"KeyPolicyStatements": "", "AuditStreamArn": "MakeTables", "ApiUrl": "", "KeyArn": ""} {
		differ(t, "when there is the output "+output, any(tpl.Outputs[output].Condition), condition)
	}
}

// TestConditions: what is made, and where probes go out, is decided by the
// parameters that say so, empty or not.
func TestConditions(t *testing.T) {
	none := func(parameter string) any { return []any{parameter, ""} }
	rows := map[string]struct {
		operator string
		operands any
	}{
		"MakeKey":      {"!Equals", none("KmsKeyArn")},
		"MakeTables":   {"!Or", []any{none("ExistingMetaTable"), none("ExistingVaultTable"), none("ExistingAuditTable")}},
		"ProbesInVpc":  {"!Not", []any{[]any{[]any{"", "ProbeSubnetIds"}, ""}}},
		"TellOfAlarms": {"!Not", []any{none("AlarmTopicArn")}},
		"LimitReveals": {"!Not", []any{[]any{"RevealConcurrency", 0}}},
		"LimitProbes":  {"!Not", []any{[]any{"ProbeConcurrency", 0}}},
	}
	conditions := readTemplate(t).Conditions
	differ(t, "the list of conditions", slices.Sorted(maps.Keys(conditions)), slices.Sorted(maps.Keys(rows)))
	for name, node := range conditions {
		var operands any
		if err := node.Decode(&operands); err != nil {
			t.Fatal(err)
		}
		differ(t, name, []any{node.Tag, operands}, []any{rows[name].operator, rows[name].operands})
	}
}
