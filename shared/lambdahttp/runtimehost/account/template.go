//go:build unix

package account

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"credence/shared/envelope/kmstest"
)

// Deployed is a function as the template deploys it.
type Deployed struct {
	ID       string              // its logical id, such as CreateFunction
	Folder   string              // of its program below functions/
	Timeout  time.Duration       // of one invocation
	MemoryMB int                 // that it is told it has
	Env      map[string]string   // its variables, references resolved
	Routes   []string            // its route keys, $default among them
	Tables   map[string][]string // what its role may do on which
	// Key is what the key's policy lets its role do, such as GenerateDataKey, and
	// under which conditions; KMS is the same as one set.
	Key map[string][]Condition
	KMS kmstest.Operation
}

// document is what is read of a template. Nodes keep the tags of intrinsic
// functions.
type document struct {
	Parameters map[string]struct {
		Default yaml.Node `yaml:"Default"`
	} `yaml:"Parameters"`
	Globals struct {
		Function properties `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]struct {
		Type       string    `yaml:"Type"`
		Properties yaml.Node `yaml:"Properties"`
	} `yaml:"Resources"`
}

type properties struct {
	Timeout     int       `yaml:"Timeout"`
	MemorySize  int       `yaml:"MemorySize"`
	Role        yaml.Node `yaml:"Role"`
	Environment struct {
		Variables map[string]yaml.Node `yaml:"Variables"`
	} `yaml:"Environment"`
	Events map[string]struct {
		Type       string `yaml:"Type"`
		Properties struct {
			Method string `yaml:"Method"`
			Path   string `yaml:"Path"`
		} `yaml:"Properties"`
	} `yaml:"Events"`
}

type role struct {
	Policies []struct {
		Document policy `yaml:"PolicyDocument"`
	} `yaml:"Policies"`
}

type policy struct {
	Statement []yaml.Node `yaml:"Statement"`
}

type statement struct {
	Effect    string    `yaml:"Effect"`
	Action    texts     `yaml:"Action"`
	Resource  yaml.Node `yaml:"Resource"`
	Principal struct {
		AWS yaml.Node `yaml:"AWS"`
	} `yaml:"Principal"`
	Condition map[string]map[string]texts `yaml:"Condition"`
}

// texts is one text or several.
type texts []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *texts) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*t = texts{n.Value}
		return nil
	}
	return n.Decode((*[]string)(t))
}

// Read reads the functions of a template: of its intrinsic functions, those
// that the variables of functions and the policies of roles use. Tables are
// named by their logical ids, or as parameters name those that exist; keyARN is
// that of the key it makes. Parameters take the place of defaults.
func Read(text []byte, keyARN string, parameters map[string]string) ([]Deployed, error) {
	var doc document
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	values := values{"Key.Arn": keyARN}
	for name, p := range doc.Parameters {
		values[name] = p.Default.Value
	}
	for name := range doc.Resources {
		values[name] = name
	}
	maps.Copy(values, parameters)
	var out []Deployed
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(doc.Resources)) {
		if doc.Resources[id].Type != "AWS::Serverless::Function" {
			continue
		}
		d, err := doc.function(id, values)
		if err != nil {
			faults = append(faults, fmt.Errorf("reading %s: %w", id, err))
		}
		out = append(out, d)
	}
	if len(out) == 0 {
		faults = append(faults, errors.New("reading the template: it has no function"))
	}
	return out, errors.Join(faults...)
}

func (doc document) function(id string, values values) (Deployed, error) {
	p := doc.Globals.Function
	p.Environment.Variables = maps.Clone(p.Environment.Variables) // decoding adds to it
	node := doc.Resources[id].Properties
	if err := node.Decode(&p); err != nil {
		return Deployed{}, err
	}
	d := Deployed{
		ID: id, Folder: strings.ToLower(strings.TrimSuffix(id, "Function")),
		Timeout: time.Duration(p.Timeout) * time.Second, MemoryMB: p.MemorySize,
		Env: map[string]string{}, Tables: map[string][]string{},
	}
	for name, n := range p.Environment.Variables {
		value, err := values.text(&n)
		if err != nil {
			return d, fmt.Errorf("variable %s: %w", name, err)
		}
		d.Env[name] = value
	}
	for _, e := range p.Events {
		key := strings.ToUpper(e.Properties.Method) + " " + e.Properties.Path
		if e.Type != "HttpApi" {
			return d, fmt.Errorf("an event of type %s, which is not read", e.Type)
		}
		if e.Properties.Method == "" && e.Properties.Path == "" {
			key = "$default"
		}
		d.Routes = append(d.Routes, key)
	}
	slices.Sort(d.Routes)
	name, found := strings.CutSuffix(p.Role.Value, ".Arn")
	if p.Role.Tag != "!GetAtt" || !found {
		return d, errors.New("its role is not the ARN of one in the template")
	}
	if err := doc.tables(name, values, d.Tables); err != nil {
		return d, err
	}
	var err error
	if d.Key, err = doc.keyUse(name); err != nil {
		return d, err
	}
	for action := range d.Key {
		d.KMS |= operations[action]
	}
	return d, nil
}

// tables reads which actions a role's policies allow on which tables.
func (doc document) tables(roleID string, values values, into map[string][]string) error {
	var r role
	node := doc.Resources[roleID].Properties
	if err := node.Decode(&r); err != nil {
		return err
	}
	for _, p := range r.Policies {
		for _, s := range p.Document.Statement {
			if s.Tag == "!If" { // about a VPC, which there is none of here
				continue
			}
			var st statement
			if err := s.Decode(&st); err != nil {
				return err
			}
			table := doc.table(values.choose(&st.Resource), values)
			if st.Effect != "Allow" || table == "" {
				continue
			}
			for _, a := range st.Action {
				into[table] = append(into[table], strings.TrimPrefix(a, "dynamodb:"))
			}
		}
	}
	return nil
}

// table is the name of the table that an ARN is of, or "". One that exists is
// named by a parameter.
func (doc document) table(arn *yaml.Node, values values) string {
	if _, parameter, found := strings.Cut(arn.Value, ":table/${"); found && arn.Tag == "!Sub" {
		return values[strings.TrimSuffix(parameter, "}")]
	}
	id, found := strings.CutSuffix(arn.Value, ".Arn")
	if !found || doc.Resources[id].Type != "AWS::DynamoDB::Table" {
		return ""
	}
	return id
}

// operations are what the actions on a key amount to in package kmstest.
var operations = map[string]kmstest.Operation{
	"GenerateDataKey": kmstest.GenerateDataKey, "Decrypt": kmstest.Decrypt,
	"ReEncryptFrom": kmstest.ReEncrypt, "ReEncryptTo": kmstest.ReEncrypt,
}

// keyUse reads what the policy of the key lets a role do.
func (doc document) keyUse(roleID string) (map[string][]Condition, error) {
	var key struct {
		Policy policy `yaml:"KeyPolicy"`
	}
	node := doc.Resources["Key"].Properties
	if err := node.Decode(&key); err != nil {
		return nil, err
	}
	allowed := map[string][]Condition{}
	for _, s := range key.Policy.Statement {
		var st statement
		if err := s.Decode(&st); err != nil {
			return nil, err
		}
		who := append([]*yaml.Node{&st.Principal.AWS}, st.Principal.AWS.Content...)
		if !slices.ContainsFunc(who, func(n *yaml.Node) bool { return n.Value == roleID+".Arn" }) {
			continue
		}
		c, err := st.condition()
		if err != nil {
			return nil, err
		}
		for _, a := range st.Action {
			action := strings.TrimPrefix(a, "kms:")
			if operations[action] == 0 {
				return nil, fmt.Errorf("the key's policy grants %s, which nothing here calls", a)
			}
			allowed[action] = append(allowed[action], c)
		}
	}
	return allowed, nil
}

// condition reads the two kinds of condition that the key's policy has.
func (st statement) condition() (Condition, error) {
	c := Condition{Context: map[string]string{}}
	for operator, tests := range st.Condition {
		for name, values := range tests {
			context, ofContext := strings.CutPrefix(name, "kms:EncryptionContext:")
			switch {
			case operator == "StringEquals" && ofContext && len(values) == 1:
				c.Context[context] = values[0]
			case operator == "ForAllValues:StringEquals" && name == "kms:EncryptionContextKeys":
				c.Keys = values
			default:
				return c, fmt.Errorf("a condition %s on %s, which is not read", operator, name)
			}
		}
	}
	return c, nil
}

// values are what references stand for.
type values map[string]string

// choose follows Ifs. Of the template's conditions, MakeKey holds, and
// MakeTables where no existing table is named.
func (v values) choose(n *yaml.Node) *yaml.Node {
	for n.Tag == "!If" && len(n.Content) == 3 {
		condition := n.Content[0].Value
		if condition == "MakeKey" || condition == "MakeTables" && v["ExistingMetaTable"] == "" {
			n = n.Content[1]
		} else {
			n = n.Content[2]
		}
	}
	return n
}

// text evaluates a node to the text that a variable has.
func (v values) text(n *yaml.Node) (string, error) {
	n = v.choose(n)
	switch n.Tag {
	case "!Ref", "!GetAtt":
		value, found := v[n.Value]
		if !found {
			return "", fmt.Errorf("there is no %q to refer to", n.Value)
		}
		return value, nil
	case "!Join":
		if len(n.Content) != 2 || n.Content[1].Kind != yaml.ScalarNode {
			return "", errors.New("only a list that is a parameter can be joined")
		}
		return v.text(n.Content[1]) // lists are kept with commas between
	}
	if n.Kind != yaml.ScalarNode || strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return "", fmt.Errorf("line %s: what stands here is not read", strconv.Itoa(n.Line))
	}
	return n.Value, nil
}
