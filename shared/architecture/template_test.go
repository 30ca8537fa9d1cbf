package architecture

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"gopkg.in/yaml.v3"
)

// template is template.yaml, of whose intrinsic functions only the arguments are
// kept: !Ref X is the text X.
type template struct {
	Parameters map[string]struct {
		Type           string `yaml:"Type"`
		Default        any    `yaml:"Default"`
		AllowedPattern string `yaml:"AllowedPattern"`
	} `yaml:"Parameters"`
	Conditions map[string]yaml.Node `yaml:"Conditions"`
	Rules      object               `yaml:"Rules"`
	Globals    object               `yaml:"Globals"`
	Resources  map[string]resource  `yaml:"Resources"`
	Outputs    map[string]struct {
		Condition string `yaml:"Condition"`
		Value     any    `yaml:"Value"`
	} `yaml:"Outputs"`
}

type resource struct {
	Type                string `yaml:"Type"`
	Condition           string `yaml:"Condition"`
	DeletionPolicy      string `yaml:"DeletionPolicy"`
	UpdateReplacePolicy string `yaml:"UpdateReplacePolicy"`
	Metadata            object `yaml:"Metadata"`
	Properties          object `yaml:"Properties"`
}

func readTemplate(t *testing.T) template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var out template
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

type object = map[string]any

// of lists the resources of a type by their logical ids.
func (t template) of(typ string) map[string]resource {
	out := map[string]resource{}
	for id, r := range t.Resources {
		if r.Type == typ {
			out[id] = r
		}
	}
	return out
}

func differ(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is\n%v, want\n%v", what, got, want)
	}
}

// TestNothingIsLost: what holds data outlives the stack, and can be brought back
// to any second of the last weeks.
func TestNothingIsLost(t *testing.T) {
	tpl := readTemplate(t)
	kept := 0
	for id, r := range tpl.Resources {
		switch r.Type {
		case "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup":
			kept++
			want := "Retain"
			if r.Type == "AWS::Logs::LogGroup" {
				want = "RetainExceptOnCreate" // nothing is in it yet, and nothing forbids its deletion
			}
			if r.DeletionPolicy != want || r.UpdateReplacePolicy != "Retain" {
				t.Errorf("%s does not outlive its stack: %q, %q", id, r.DeletionPolicy, r.UpdateReplacePolicy)
			}
		}
	}
	if kept != 3+1+10 {
		t.Errorf("%d tables, keys and logs, want 3, 1 and 10", kept)
	}
	for _, id := range []string{"MetaTable", "VaultTable", "AuditTable"} {
		want := object{
			"BillingMode":                      "PAY_PER_REQUEST",
			"OnDemandThroughput":               object{"MaxReadRequestUnits": "MaxTableUnitsPerSecond", "MaxWriteRequestUnits": "MaxTableUnitsPerSecond"},
			"DeletionProtectionEnabled":        true,
			"PointInTimeRecoverySpecification": object{"PointInTimeRecoveryEnabled": true},
			"AttributeDefinitions":             []any{object{"AttributeName": "pk", "AttributeType": "S"}, object{"AttributeName": "sk", "AttributeType": "S"}},
			"KeySchema":                        []any{object{"AttributeName": "pk", "KeyType": "HASH"}, object{"AttributeName": "sk", "KeyType": "RANGE"}},
		}
		switch id {
		case "MetaTable":
			want["TimeToLiveSpecification"] = object{"AttributeName": "ttl", "Enabled": true}
		case "AuditTable":
			want["TimeToLiveSpecification"] = object{"AttributeName": "ttl", "Enabled": true}
			want["StreamSpecification"] = object{"StreamViewType": "NEW_AND_OLD_IMAGES"}
		}
		differ(t, id, tpl.Resources[id].Properties, want)
		if tpl.Resources[id].Condition != "MakeTables" {
			t.Errorf("%s is made also where an existing one is named", id)
		}
	}
	for id, log := range tpl.of("AWS::Logs::LogGroup") {
		want := object{"RetentionInDays": "LogRetentionDays"}
		if id == "AccessLog" { // the one that a service other than Lambda delivers to
			stack := object{"Id": []any{2, []any{"/", "AWS::StackId"}}}
			want["LogGroupName"] = []any{"/aws/vendedlogs/${AWS::StackName}/${Id}", stack}
		}
		differ(t, id, log.Properties, want)
	}
}

// TestKeyPolicy: the account administers the key and cannot use it; what lets the
// roles use it is told, word for word, to whom has a key already.
func TestKeyPolicy(t *testing.T) {
	tpl := readTemplate(t)
	key := tpl.Resources["Key"]
	if key.Condition != "MakeKey" || key.Properties["EnableKeyRotation"] != true || key.Properties["PendingWindowInDays"] != 30 {
		t.Errorf("the key is not rotated, or is gone too soon: %v", key.Properties)
	}
	statements := map[string]object{}
	for _, s := range key.Properties["KeyPolicy"].(object)["Statement"].([]any) {
		s := s.(object)
		if s["Effect"] != "Allow" || s["Resource"] != "*" {
			t.Errorf("%v does not allow something on this key", s["Sid"])
		}
		statements[s["Sid"].(string)] = s
	}
	ids := slices.Sorted(maps.Keys(statements))
	differ(t, "the list of statements", ids, []string{"Administer", "GrantToServicesOfAws", "LoseItOnlyWithMfa", "Open", "Rewrap", "Seal"})
	root := object{"AWS": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
	for _, id := range []string{"Administer", "GrantToServicesOfAws", "LoseItOnlyWithMfa"} {
		differ(t, "who may "+id, statements[id]["Principal"], root)
	}
	lose := statements["LoseItOnlyWithMfa"]
	differ(t, "what takes a second factor", lose["Action"], []any{"kms:DisableKey", "kms:DisableKeyRotation", "kms:ScheduleKeyDeletion"})
	differ(t, "its condition", lose["Condition"], object{"Bool": object{"aws:MultiFactorAuthPresent": "true"}})
	differ(t, "the condition of a grant", statements["GrantToServicesOfAws"]["Condition"], object{"Bool": object{"kms:GrantIsForAWSResource": "true"}})
	administers(t, statements["Administer"]["Action"].([]any))
	pasted(t, tpl, statements)
}

// administers holds the account's own rights to what uses, loses and gives away
// nothing. Without PutKeyPolicy KMS refuses to make such a key.
func administers(t *testing.T, actions []any) {
	t.Helper()
	if !slices.Contains(actions, any("kms:PutKeyPolicy")) {
		t.Error("nobody could change the key's policy again")
	}
	harmless := []string{"CancelKeyDeletion", "Describe", "Get", "List", "EnableKey", "PutKeyPolicy", "RevokeGrant", "RotateKeyOnDemand", "TagResource", "UntagResource", "UpdateKeyDescription", "CreateAlias", "UpdateAlias", "DeleteAlias"}
	for _, a := range actions {
		name, found := strings.CutPrefix(a.(string), "kms:")
		if !found || strings.Contains(name, "*") || !slices.ContainsFunc(harmless, func(h string) bool { return strings.HasPrefix(name, h) }) {
			t.Errorf("the account may %s", a)
		}
	}
}

// pasted holds the output for an existing key to the policy of a new one.
func pasted(t *testing.T, tpl template, statements map[string]object) {
	t.Helper()
	var printed []object
	if err := json.Unmarshal([]byte(tpl.Outputs["KeyPolicyStatements"].Value.(string)), &printed); err != nil || len(printed) != 3 {
		t.Fatalf("the output KeyPolicyStatements holds %d statements: %v", len(printed), err)
	}
	for _, p := range printed {
		id := strings.TrimPrefix(p["Sid"].(string), "Credence")
		s := maps.Clone(statements[id])
		if s == nil {
			t.Errorf("the output tells of %v, which the key's policy has not", p["Sid"])
			continue
		}
		s["Sid"] = p["Sid"]
		switch who := s["Principal"].(object)["AWS"].(type) {
		case string:
			s["Principal"] = object{"AWS": "${" + who + "}"}
		case []any:
			var all []any
			for _, one := range who {
				all = append(all, "${"+one.(string)+"}")
			}
			s["Principal"] = object{"AWS": all}
		}
		differ(t, "the output's statement "+id, p, s)
	}
}

// limited are the routes that have a limit of their own: signing in, and all
// that opens a secret.
func limited(t *testing.T) object {
	t.Helper()
	out, functions := object{}, deployed(t)
	limit := func(name string, routes ...string) {
		for _, route := range routes {
			out[route] = object{"ThrottlingRateLimit": name + "PerSecond", "ThrottlingBurstLimit": name + "PerSecond"}
		}
	}
	limit("SignIns", "POST /token")
	limit("Reveals", functions["reveal"].Routes...)
	limit("Probes", functions["probe"].Routes...)
	return out
}

// TestGateway: the gateway throttles every route, and logs nothing that a client
// chose but its address.
func TestGateway(t *testing.T) {
	apis := readTemplate(t).of("AWS::Serverless::HttpApi")
	if len(apis) != 1 {
		t.Fatalf("%d APIs, want one", len(apis))
	}
	api := maps.Clone(apis["Api"].Properties)
	access := api["AccessLogSettings"].(object)
	delete(api, "AccessLogSettings")
	differ(t, "the API", api, object{
		"Description": "Credence", "StageName": "$default", // others begin each path with their name
		"Auth":                 object{"EnableIamAuthorizer": false}, // no authorizer: its answers could not be ours
		"DefaultRouteSettings": object{"ThrottlingRateLimit": "RequestsPerSecond", "ThrottlingBurstLimit": "RequestBurst"},
		"RouteSettings":        limited(t),
	})
	var format map[string]string
	if err := json.Unmarshal([]byte(access["Format"].(string)), &format); err != nil {
		t.Fatalf("a line of the access log is no JSON: %v", err)
	}
	differ(t, "the access log", format, map[string]string{
		"requestId": "$context.requestId", "sourceIp": "$context.identity.sourceIp", "routeKey": "$context.routeKey", "status": "$context.status",
		"responseLatency": "$context.responseLatency", "integrationLatency": "$context.integrationLatency",
	})
	if access["DestinationArn"] != "AccessLog.Arn" {
		t.Errorf("the access log goes to %v", access["DestinationArn"])
	}
}

// TestParameters: each parameter has a default, and a text one says what it may
// be; what nobody can mean is refused before anything is deployed.
func TestParameters(t *testing.T) {
	const key = "arn:aws:kms:eu-central-1:111122223333:key/"
	rows := map[string]struct{ takes, refuses []string }{
		"KmsKeyArn":            {[]string{"", key + "0a-1", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1"}, []string{"alias/credence", "0a-1", key, "arn:aws:kms:eu-central-1:111122223333:alias/x", key + "0a," + key + "0b"}},
		"ExistingMetaTable":    {[]string{"", "restored-meta", "a.b_c"}, []string{"ab", "a/b", "a*", "arn:aws:dynamodb:x"}},
		"ExistingVaultTable":   {[]string{"", "restored-vault"}, []string{"ab", "a/b", "*"}},
		"ExistingAuditTable":   {[]string{"", "restored-audit"}, []string{"ab", "a/b", "*"}},
		"AllowedPrivateRanges": {[]string{"", "10.20.0.0/16,10.30.0.5", "fd00::/8"}, []string{"example.com", "10.0.0.0/8;x"}},
		"EgressAddresses":      {[]string{"", "198.51.100.7, 203.0.113.0/28", "2001:db8::7"}, []string{"nat.example.com", "198.51.100.7;x"}},
		"DynamoDbEndpoint":     {[]string{"", "https://vpce-0a.dynamodb.eu-central-1.vpce.amazonaws.com"}, []string{"http://x", "https://", "https://x/y", "https://u:p@x"}},
		"KmsEndpoint":          {[]string{"", "https://vpce-0a.kms.eu-central-1.vpce.amazonaws.com"}, []string{"http://x", "https://", "https://x/y"}},
		"AlarmTopicArn":        {[]string{"", "arn:aws:sns:eu-central-1:111122223333:alarms"}, []string{"alarms", "arn:aws:sqs:eu-central-1:111122223333:alarms"}},
	}
	for name, p := range readTemplate(t).Parameters {
		if p.Default == nil {
			t.Errorf("%s has no default", name)
		}
		row, found := rows[name]
		if found != (p.Type == "String") {
			t.Errorf("%s is a %s; a row: %v", name, p.Type, found)
			continue
		}
		if !strings.HasPrefix(p.AllowedPattern, "^") && found || !strings.HasSuffix(p.AllowedPattern, "$") && found {
			t.Errorf("%s: the pattern %q is not about the whole", name, p.AllowedPattern)
			continue
		}
		pattern := regexp.MustCompile(p.AllowedPattern)
		for _, value := range row.takes {
			if !pattern.MatchString(value) {
				t.Errorf("%s refuses %q", name, value)
			}
		}
		for _, value := range row.refuses {
			if pattern.MatchString(value) {
				t.Errorf("%s takes %q", name, value)
			}
		}
	}
}

// TestRules: parameters that only make sense together are refused one without
// the other.
func TestRules(t *testing.T) {
	none := func(parameter string) any { return []any{parameter, ""} }
	existing := []any{none("ExistingMetaTable"), none("ExistingVaultTable"), none("ExistingAuditTable")}
	all := []any{[]any{existing[0]}, []any{existing[1]}, []any{existing[2]}} // each in a Not
	given := func(list string) any { return object{"Fn::Not": []any{object{"Fn::EachMemberEquals": none(list)}}} }
	differ(t, "the rules", readTemplate(t).Rules, object{
		"SubnetsAndSecurityGroups": object{
			"RuleCondition": given("ProbeSubnetIds"),
			"Assertions": []any{object{
				"Assert":            given("ProbeSecurityGroupIds"),
				"AssertDescription": "ProbeSecurityGroupIds is required with ProbeSubnetIds.",
			}},
		},
		"AllTablesOrNone": object{"Assertions": []any{object{
			"Assert":            object{"Fn::Or": []any{object{"Fn::And": existing}, object{"Fn::And": all}}},
			"AssertDescription": "Name all three existing tables, or none.",
		}}},
	})
}
