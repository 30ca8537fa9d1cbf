package openapi

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"credence/shared/access"
	"credence/shared/api/auditlog"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/probe"
)

type object = map[string]any

// parsed reads the document, and compiles schemas of it by their pointer.
func parsed(t *testing.T) (object, *jsonschema.Compiler) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document(t)))
	if err != nil {
		t.Fatal(err)
	}
	doc, ok := value.(object)
	if !ok {
		t.Fatal("the document is no object")
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("https://example.com/openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return doc, c
}

// walk calls f with every object of a value and its JSON pointer.
func walk(at string, value any, f func(at string, o object)) {
	switch v := value.(type) {
	case object:
		f(at, v)
		for name, inner := range v {
			walk(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), inner, f)
		}
	case []any:
		for i, inner := range v {
			walk(at+"/"+strconv.Itoa(i), inner, f)
		}
	}
}

// at walks down by names; nil when there is nothing.
func at(value any, names ...string) any {
	for _, n := range names {
		o, _ := value.(object)
		value = o[n]
	}
	return value
}

// isSchema reports whether a pointer leads to a schema of its own.
var isSchema = regexp.MustCompile(`/schema$|^/components/schemas/[^/]+$`)

// TestSchemas shows that every schema compiles, with whatever it refers to, and
// that every example is one of what it is an example of.
func TestSchemas(t *testing.T) {
	doc, c := parsed(t)
	schemas, examples := 0, 0
	valid := func(schema, where string, value any) {
		compiled, err := c.Compile("https://example.com/openapi.json#" + strings.ReplaceAll(strings.ReplaceAll(schema, "{", "%7B"), "}", "%7D"))
		if err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
		if value == nil {
			return
		}
		examples++
		if err := compiled.Validate(value); err != nil {
			t.Errorf("the example at %s is none: %v", where, err)
		}
	}
	walk("", doc, func(at string, o object) {
		if isSchema.MatchString(at) {
			schemas++
			valid(at, "", nil)
			list, _ := o["examples"].([]any)
			for i, example := range list {
				valid(at, fmt.Sprintf("%s/examples/%d", at, i), example)
			}
		}
		if o["schema"] == nil {
			return
		}
		if example, ok := o["example"]; ok {
			valid(at+"/schema", at+"/example", example)
		}
		named, _ := o["examples"].(object)
		for name, example := range named {
			body, _ := example.(object)
			valid(at+"/schema", at+"/examples/"+name, body["value"])
		}
	})
	if schemas < 50 || examples < 15 {
		t.Fatalf("found %d schemas and %d examples: too few", schemas, examples)
	}
}

// TestReferences shows that whatever is referred to is there, and that no
// component is there for nothing.
func TestReferences(t *testing.T) {
	doc, _ := parsed(t)
	used := map[string]bool{}
	walk("", doc, func(where string, o object) {
		ref, ok := o["$ref"].(string)
		if !ok {
			return
		}
		used[ref] = true
		if at(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...) == nil {
			t.Errorf("%s refers to %s, which is not there", where, ref)
		}
	})
	components, _ := doc["components"].(object)
	for kind, list := range components {
		named, _ := list.(object)
		for name := range named {
			if ref := "#/components/" + kind + "/" + name; !used[ref] && kind != "securitySchemes" {
				t.Errorf("nothing refers to %s", ref)
			}
		}
	}
}

// TestOperations holds each operation to what a reader and a generator of
// clients need of it.
func TestOperations(t *testing.T) {
	doc, _ := parsed(t)
	var tags []any
	list, _ := doc["tags"].([]any)
	for _, tag := range list {
		tags = append(tags, at(tag, "name"))
	}
	paths, _ := doc["paths"].(object)
	seen := map[any]bool{}
	for path, item := range paths {
		methods, _ := item.(object)
		for method, operation := range methods {
			if method == "parameters" {
				continue
			}
			o, _ := operation.(object)
			id, summary := o["operationId"], o["summary"]
			if id == nil || seen[id] || summary == nil {
				t.Errorf("%s %s: operationId %v, which must be its own, summary %v", method, path, id, summary)
			}
			seen[id] = true
			if own, _ := o["tags"].([]any); len(own) != 1 || !slices.Contains(tags, own[0]) {
				t.Errorf("%s %s is under %v, want one of the tags", method, path, own)
			}
			public := slices.Contains([]string{"/", "/health", "/openapi.json", "/docs", "/docs/{file}"}, path)
			security, own := o["security"].([]any)
			if own != (public || path == "/token") || public && len(security) != 0 {
				t.Errorf("%s %s: security %v", method, path, security)
			}
			if at(o, "responses", "500") == nil || (at(o, "responses", "413") == nil) != public || (at(o, "responses", "401") == nil) != public {
				t.Errorf("%s %s lacks an answer that every such route may give", method, path)
			}
			parameters := slices.Concat(parametersOf(doc, methods), parametersOf(doc, o))
			for _, name := range regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(path, -1) {
				if !slices.Contains(parameters, "path "+name[1]) {
					t.Errorf("%s %s does not say what %s is", method, path, name[0])
				}
			}
		}
	}
}

// parametersOf lists the parameters of a path or operation: "query page".
func parametersOf(doc, o object) []string {
	var out []string
	list, _ := o["parameters"].([]any)
	for _, p := range list {
		if ref, ok := at(p, "$ref").(string); ok {
			p = at(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
		out = append(out, fmt.Sprint(at(p, "in"), " ", at(p, "name")))
	}
	return out
}

// TestEnums holds each closed list of the document to the one in the code.
func TestEnums(t *testing.T) {
	doc, _ := parsed(t)
	types, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, typ := range types.All() {
		names = append(names, typ.Name)
	}
	properties := func(schema string, more ...string) any {
		return at(doc, append([]string{"components", "schemas", schema, "properties"}, more...)...)
	}
	for name, row := range map[string]struct {
		said any
		want []string
	}{
		"types":         {at(doc, "components", "schemas", "CredentialsType", "enum"), names},
		"error codes":   {properties("Error", "error_code", "enum"), texts(slices.Collect(maps.Keys(fault.Codes)))},
		"detail codes":  {properties("Error", "details", "items", "properties", "code", "enum"), constants(t, "../../fault/code.go", "Detail")},
		"probe codes":   {at(doc, "components", "schemas", "ProbeCode", "enum"), texts(probe.Codes())},
		"warning codes": {properties("ProbeResult", "warnings", "items", "properties", "code", "enum"), texts(probe.WarningCodes())},
		"stages":        {properties("ProbeResult", "stages", "items", "properties", "name", "enum"), texts([]string{probe.Policy, probe.DNS, probe.TCP, probe.TLS, probe.Protocol, probe.Auth, probe.Access})},
		"outcomes":      {properties("ProbeResult", "stages", "items", "properties", "outcome", "enum"), texts([]probe.Outcome{probe.StageOK, probe.StageFailed, probe.StageSkipped})},
		"verdicts":      {at(doc, "components", "schemas", "Verdict", "enum"), texts([]probe.Verdict{probe.Valid, probe.Invalid, probe.Unknown})},
		"events":        {at(doc, "components", "schemas", "Event", "enum"), texts(credential.Filterable())},
		"org's events":  {at(doc, "components", "schemas", "OrgEvent", "enum"), texts(auditlog.OrgEvents())},
		"scopes":        {at(doc, "components", "schemas", "Scopes", "items", "enum"), texts(access.Scopes)},
	} {
		said, _ := row.said.([]any)
		got := make([]string, len(said))
		for i, v := range said {
			got[i] = fmt.Sprint(v)
		}
		slices.Sort(got)
		slices.Sort(row.want)
		if !slices.Equal(got, row.want) || len(got) == 0 {
			t.Errorf("%s: the document lists %q, the code %q", name, got, row.want)
		}
	}
}

// TestLimits holds the limits of the document to those in the code.
func TestLimits(t *testing.T) {
	doc, _ := parsed(t)
	for where, want := range map[string]int64{
		"parameters/perPage/schema/maximum":                      httpapi.MaxPerPage,
		"schemas/Session/properties/expires_in/maximum":          int64(identity.SessionLife.Seconds()),
		"schemas/Tag/maxLength":                                  credential.MaxTagRunes,
		"schemas/NewCredential/properties/name/maxLength":        credential.MaxNameRunes,
		"schemas/NewCredential/properties/description/maxLength": credential.MaxNameRunes,
		"schemas/NewCredential/properties/tags/maxItems":         credential.MaxTags,
		"schemas/CredentialChange/properties/name/maxLength":     credential.MaxNameRunes,
	} {
		if said := fmt.Sprint(at(doc, strings.Split("components/"+where, "/")...)); said != strconv.FormatInt(want, 10) {
			t.Errorf("%s is %s in the document, %d in the code", where, said, want)
		}
	}
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// constants reads the values of the text constants of a file whose names begin
// with prefix, so that one that is declared cannot be forgotten.
func constants(t *testing.T, name, prefix string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			value, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, value)
		}
		return true
	})
	return out
}
