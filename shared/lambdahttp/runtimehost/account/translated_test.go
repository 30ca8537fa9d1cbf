//go:build unix

package account

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// cloudFormation is what SAM makes of the template, read by itself: nothing
// here knows how the source is read.
type cloudFormation struct {
	Parameters map[string]struct{ Default any }
	Resources  map[string]struct {
		Type       string
		Properties map[string]any
	}
}

// translate has SAM's own translator make CloudFormation of template.yaml. It is
// missing where .ci/install-sam was not run: then the test is skipped, and fails
// where CI is set.
func translate(t *testing.T) cloudFormation {
	t.Helper()
	const top = "../../../../"
	python := filepath.Join(top, ".bin", "venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no translator: .ci/install-sam installs it")
	}
	cmd := exec.CommandContext(t.Context(), python, filepath.Join(top, ".ci", "translate"), filepath.Join(top, "template.yaml"))
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("translating: %v", err)
	}
	var c cloudFormation
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTranslated: what is read of the source, and what every test here builds
// on, is what AWS would deploy.
func TestTranslated(t *testing.T) {
	c := translate(t)
	text, err := os.ReadFile("../../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read, err := Read(text, "Key.Arn", nil)
	if err != nil {
		t.Fatal(err)
	}
	routes := c.routes(t)
	for _, d := range read {
		r, found := c.Resources[d.ID]
		if !found || r.Type != "AWS::Lambda::Function" {
			t.Errorf("%s is translated to %s", d.ID, r.Type)
			continue
		}
		role, _ := c.text(r.Properties["Role"])
		made := Deployed{
			ID: d.ID, Folder: d.Folder, KMS: d.KMS, // of our own making
			Timeout:  time.Duration(r.Properties["Timeout"].(float64)) * time.Second,
			MemoryMB: int(r.Properties["MemorySize"].(float64)), Env: map[string]string{},
			Routes: routes[d.ID], Tables: map[string][]string{}, Key: map[string][]Condition{},
		}
		for name, value := range r.Properties["Environment"].(map[string]any)["Variables"].(map[string]any) {
			if made.Env[name], err = c.text(value); err != nil {
				t.Errorf("%s, variable %s: %v", d.ID, name, err)
			}
		}
		c.rights(t, strings.TrimSuffix(role, ".Arn"), &made)
		if !reflect.DeepEqual(made, d) {
			t.Errorf("translated to\n%+v\nand read as\n%+v", made, d)
		}
	}
	c.nothingElse(t, len(read), routes)
}

// nothingElse holds what SAM adds by itself to what it must.
func (c cloudFormation) nothingElse(t *testing.T, functions int, routes map[string][]string) {
	t.Helper()
	count := map[string]int{}
	for id, r := range c.Resources {
		count[r.Type]++
		if r.Type != "AWS::Lambda::Permission" {
			continue
		}
		name, err := c.text(r.Properties["FunctionName"])
		if err != nil || r.Properties["Principal"] != "apigateway.amazonaws.com" || len(routes[name]) == 0 || r.Properties["SourceArn"] == nil {
			t.Errorf("%s lets %v invoke %s, which has the routes %v", id, r.Properties["Principal"], name, routes[name])
		}
	}
	if count["AWS::Lambda::Function"] != functions || count["AWS::IAM::Role"] != functions {
		t.Errorf("%d functions are read; there are %d, and %d roles", functions, count["AWS::Lambda::Function"], count["AWS::IAM::Role"])
	}
	for _, kind := range []string{"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::Lambda::Url", "AWS::Lambda::EventSourceMapping", "AWS::DynamoDB::GlobalTable"} {
		if count[kind] != 0 {
			t.Errorf("there is a %s, which nothing here reads", kind)
		}
	}
}

// routes are the route keys of each function, as the API's definition binds them.
func (c cloudFormation) routes(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for path, methods := range c.Resources["Api"].Properties["Body"].(map[string]any)["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			key := strings.ToUpper(method) + " " + path
			if path == "$default" {
				key = path
			}
			integration := operation.(map[string]any)["x-amazon-apigateway-integration"].(map[string]any)
			uri := integration["uri"].(map[string]any)["Fn::Sub"].(string)
			_, function, found := strings.Cut(uri, "functions/${")
			function, _, closed := strings.Cut(function, ".Arn}/invocations")
			if !found || !closed || integration["payloadFormatVersion"] != "2.0" {
				t.Errorf("%s is bound to %s, payload format %v", key, uri, integration["payloadFormatVersion"])
			}
			out[function] = append(out[function], key)
		}
	}
	for _, keys := range out {
		slices.Sort(keys)
	}
	return out
}

// rights reads all that a role may do. What it does not know how to read fails.
func (c cloudFormation) rights(t *testing.T, roleID string, into *Deployed) {
	t.Helper()
	role := c.Resources[roleID].Properties
	if role["ManagedPolicyArns"] != nil || len(role["Policies"].([]any)) != 1 {
		t.Errorf("%s has other policies than its own one", roleID)
	}
	trusts := statements(role["AssumeRolePolicyDocument"])
	if len(trusts) != 1 || !reflect.DeepEqual(trusts[0]["Principal"], map[string]any{"Service": "lambda.amazonaws.com"}) {
		t.Errorf("%s may be assumed by others than Lambda: %v", roleID, trusts)
	}
	var attach []string
	for _, s := range statements(role["Policies"].([]any)[0].(map[string]any)["PolicyDocument"]) {
		if choice, conditional := s["Fn::If"].([]any); conditional {
			attach = append(attach, attaching(t, roleID, choice))
			continue // without subnets it is none
		}
		resource, err := c.text(s["Resource"])
		table := strings.TrimSuffix(resource, ".Arn")
		for _, action := range list(s["Action"]) {
			verb, onTable := strings.CutPrefix(action, "dynamodb:")
			switch {
			case err != nil || s["Effect"] != "Allow" || s["Condition"] != nil:
				t.Errorf("%s has a statement that is not read: %v", roleID, s)
			case onTable && c.Resources[table].Type == "AWS::DynamoDB::Table":
				into.Tables[table] = append(into.Tables[table], verb)
			case table == strings.TrimSuffix(into.ID, "Function")+"Log" && (action == "logs:CreateLogStream" || action == "logs:PutLogEvents"):
			default:
				t.Errorf("%s may %s on %s", roleID, action, resource)
			}
		}
	}
	if attach != nil && !slices.Equal(attach, []string{"Allow", "Deny"}) {
		t.Errorf("%s: the statements for a VPC are %v", roleID, attach)
	}
	for _, s := range statements(c.Resources["Key"].Properties["KeyPolicy"]) {
		principal := s["Principal"].(map[string]any)["AWS"]
		who, several := principal.([]any)
		if !several {
			who = []any{principal}
		}
		if !slices.ContainsFunc(who, func(p any) bool { arn, _ := c.text(p); return arn == roleID+".Arn" }) {
			continue
		}
		conditions := s["Condition"].(map[string]any)
		if len(conditions) != 2 {
			t.Errorf("the key's policy has other conditions: %v", conditions)
		}
		service := conditions["StringEquals"].(map[string]any)["kms:EncryptionContext:svc"].(string)
		keys := conditions["ForAllValues:StringEquals"].(map[string]any)["kms:EncryptionContextKeys"]
		for _, action := range list(s["Action"]) {
			action = strings.TrimPrefix(action, "kms:")
			into.Key[action] = append(into.Key[action], Condition{Context: map[string]string{"svc": service}, Keys: list(keys)})
		}
	}
}

// attaching holds a statement under a condition to the two that let Lambda, and
// nothing that runs in it, attach the probes to a VPC, and tells which it is.
func attaching(t *testing.T, roleID string, choice []any) (effect string) {
	t.Helper()
	s, _ := choice[1].(map[string]any)
	noValue := map[string]any{"Ref": "AWS::NoValue"}
	if choice[0] != "ProbesInVpc" || roleID != "ProbeRole" || s == nil || !reflect.DeepEqual(choice[2], noValue) {
		t.Errorf("%s has a statement under the condition %v: %v", roleID, choice[0], choice[1:])
		return ""
	}
	want := []string{
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
	}
	if actions := list(s["Action"]); !slices.Equal(actions, want) {
		t.Errorf("%s: the VPC takes %v, and the statement has %v", roleID, want, actions)
	}
	// The denial is what only the function's own code meets.
	condition := map[string]any{"ArnLike": map[string]any{"lambda:SourceFunctionArn": map[string]any{
		"Fn::Sub": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:*",
	}}}
	allows := s["Effect"] == "Allow" && s["Condition"] == nil
	denies := s["Effect"] == "Deny" && reflect.DeepEqual(s["Condition"], condition)
	if !allows && !denies {
		t.Errorf("%s: a statement for the VPC is %v under %v", roleID, s["Effect"], s["Condition"])
	}
	return fmt.Sprint(s["Effect"])
}

func statements(document any) []map[string]any {
	var out []map[string]any
	for _, s := range document.(map[string]any)["Statement"].([]any) {
		out = append(out, s.(map[string]any))
	}
	return out
}

// list is one text or several.
func list(v any) []string {
	if one, ok := v.(string); ok {
		return []string{one}
	}
	var out []string
	for _, s := range v.([]any) {
		out = append(out, s.(string))
	}
	return out
}

// existing reports whether a choice between tables is between the same ones:
// that which is made, and that of this account which the parameter names.
func existing(made string, instead any) bool {
	table, arn := strings.CutSuffix(made, ".Arn")
	if arn {
		return reflect.DeepEqual(instead, map[string]any{
			"Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Existing" + table + "}",
		})
	}
	return reflect.DeepEqual(instead, map[string]any{"Ref": "Existing" + table})
}

// text evaluates what stands for a text, with the parameters' defaults.
func (c cloudFormation) text(v any) (string, error) {
	if plain, ok := v.(string); ok {
		return plain, nil
	}
	call, _ := v.(map[string]any)
	if name, ok := call["Ref"].(string); ok {
		if p, ok := c.Parameters[name]; ok {
			return fmt.Sprint(p.Default), nil
		}
		return name, nil
	}
	if of, ok := call["Fn::GetAtt"].([]any); ok {
		return strings.Join(list(of), "."), nil
	}
	if choice, ok := call["Fn::If"].([]any); ok && choice[0] == "MakeKey" {
		return c.text(choice[1])
	}
	if choice, ok := call["Fn::If"].([]any); ok && choice[0] == "MakeTables" {
		made, err := c.text(choice[1])
		if err != nil || !existing(made, choice[2]) {
			return "", fmt.Errorf("%v is read in place of %s", choice[2], made)
		}
		return made, nil
	}
	if join, ok := call["Fn::Join"].([]any); ok && join[0] == "," {
		return c.text(join[1])
	}
	return "", fmt.Errorf("%v is not read", v)
}
