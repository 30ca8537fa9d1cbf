//go:build unix

package account

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"credence/shared/envelope/kmstest"
)

// TestDoor: what a role allows reaches the engine, as it was sent, and nothing
// else does, be it a part of a transaction.
func TestDoor(t *testing.T) {
	var reached string
	engine := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached = r.Header.Get("X-Amz-Target")
		if r.ContentLength <= 0 {
			t.Error("the request arrived without its body")
		}
	}))
	defer engine.Close()
	to, err := url.Parse(engine.URL)
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{"Meta": {"BatchGetItem", "PutItem", "ConditionCheckItem"}, "Audit": {"PutItem"}}
	for name, row := range map[string]struct {
		operation, body string
		passes          bool
	}{
		"put":                    {"PutItem", `{"TableName":"Meta"}`, true},
		"delete":                 {"DeleteItem", `{"TableName":"Meta"}`, false},
		"another table":          {"PutItem", `{"TableName":"Vault"}`, false},
		"batch":                  {"BatchGetItem", `{"RequestItems":{"Meta":{}}}`, true},
		"batch of two tables":    {"BatchGetItem", `{"RequestItems":{"Meta":{},"Audit":{}}}`, false},
		"transaction":            {"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"Meta"}},{"Put":{"TableName":"Audit"}},{"ConditionCheck":{"TableName":"Meta"}}]}`, true},
		"transaction, delete":    {"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"Meta"}},{"Delete":{"TableName":"Audit"}}]}`, false},
		"transaction, update":    {"TransactWriteItems", `{"TransactItems":[{"Update":{"TableName":"Meta"}}]}`, false},
		"transaction of nothing": {"TransactWriteItems", `{"TransactItems":[]}`, false},
		"scan":                   {"Scan", `{"TableName":"Meta"}`, false},
		"no JSON":                {"PutItem", `{`, false},
	} {
		reached = ""
		d := newDoor(Deployed{ID: "F", Tables: allowed}, to)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(row.body))
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+row.operation)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if passed := reached != ""; passed != row.passes || passed != (w.Code == http.StatusOK) {
			t.Errorf("%s: passed %v, answered %d, want passed %v", name, passed, w.Code, row.passes)
		}
		if denied := strings.Contains(w.Body.String(), "AccessDeniedException"); denied == row.passes {
			t.Errorf("%s: answered %q", name, w.Body)
		}
	}
}

const template = `
Parameters:
  Given: {Type: String, Default: ""}
  Ranges: {Type: String, Default: "10.0.0.0/8"}
Globals: {Function: {Timeout: 10, MemorySize: 512, Environment: {Variables: {G: global}}}}
Resources:
  MetaTable: {Type: AWS::DynamoDB::Table}
  Key:
    Type: AWS::KMS::Key
    Properties:
      KeyPolicy:
        Statement:
          - {Effect: Allow, Principal: {AWS: !GetAtt OneRole.Arn}, Action: kms:Decrypt, Resource: "*"}
          - {Effect: Allow, Principal: {AWS: [!GetAtt TwoRole.Arn]}, Action: [kms:GenerateDataKey], Resource: "*"}
  OneRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Statement:
              - {Effect: Allow, Action: logs:PutLogEvents, Resource: "*"}
              - {Effect: Allow, Action: [dynamodb:Query, dynamodb:PutItem], Resource: !GetAtt MetaTable.Arn}
  AnotherFunction: {Type: AWS::Serverless::Function, Properties: {Role: !GetAtt TwoRole.Arn}}
  OneFunction:
    Type: AWS::Serverless::Function
    Properties:
      Role: !GetAtt OneRole.Arn
      Timeout: 15
      Environment:
        Variables: {T: !Ref MetaTable, K: !If [MakeKey, !GetAtt Key.Arn, !Ref Given], R: !Ref Ranges, J: !Join [",", !Ref Ranges], X: VALUE}
      Events:
        Default: {Type: HttpApi, Properties: {ApiId: !Ref Api}}
        Get: {Type: HttpApi, Properties: {Method: get, Path: "/a/{id}"}}
`

func TestRead(t *testing.T) {
	got, err := Read([]byte(strings.Replace(template, "VALUE", "plain", 1)), "the-key", map[string]string{"Ranges": "10.1.0.0/16"})
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	if d := got[0]; d.ID != "AnotherFunction" || len(d.Env) != 1 || d.Env["G"] != "global" || d.KMS != kmstest.GenerateDataKey || len(d.Tables)+len(d.Routes) != 0 {
		t.Errorf("read %+v", d)
	}
	d := got[1]
	if d.Folder != "one" || d.Timeout.Seconds() != 15 || d.MemoryMB != 512 || d.KMS != kmstest.Decrypt {
		t.Errorf("read %+v", d)
	}
	for name, want := range map[string]string{"G": "global", "T": "MetaTable", "K": "the-key", "R": "10.1.0.0/16", "J": "10.1.0.0/16", "X": "plain"} {
		if d.Env[name] != want {
			t.Errorf("variable %s: %q, want %q", name, d.Env[name], want)
		}
	}
	if strings.Join(d.Routes, ";") != "$default;GET /a/{id}" || strings.Join(d.Tables["MetaTable"], ";") != "Query;PutItem" || len(d.Tables) != 1 {
		t.Errorf("routes %q, tables %q", d.Routes, d.Tables)
	}
	for _, value := range []string{"!Ref Nothing", "!Sub x", "[a]", "!Join [a, [b]]", "!If [MakeKey]"} {
		if _, err := Read([]byte(strings.Replace(template, "VALUE", value, 1)), "the-key", nil); err == nil {
			t.Errorf("a variable that is %s was read", value)
		}
	}
	for name, text := range map[string]string{"no YAML": "a: [", "empty": "{}", "no role": strings.Replace(template, "Role: !GetAtt OneRole.Arn", "Role: x", 1)} {
		if _, err := Read([]byte(strings.Replace(text, "VALUE", "x", 1)), "k", nil); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}
