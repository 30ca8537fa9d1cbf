package architecture

import (
	"compress/gzip"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/api/auditlog"
	"credence/shared/api/catalogue"
	"credence/shared/api/credentials"
	"credence/shared/api/health"
	"credence/shared/api/openapi"
	"credence/shared/api/people"
	"credence/shared/api/resources"
	"credence/shared/api/signin"
	"credence/shared/httpapi"
)

// families are the structs that list routes, by package and name. Which routes
// there are does not depend on what a struct holds.
var families = map[string][]httpapi.Route{
	"credence/shared/api/auditlog.API":          auditlog.API{}.Routes(),
	"credence/shared/api/catalogue.API":         catalogue.API{}.Routes(),
	"credence/shared/api/credentials.Creating":  credentials.Creating{}.Routes(),
	"credence/shared/api/credentials.Editing":   credentials.Editing{}.Routes(),
	"credence/shared/api/credentials.Probing":   credentials.Probing{}.Routes(),
	"credence/shared/api/credentials.Reading":   credentials.Reading{}.Routes(),
	"credence/shared/api/credentials.Revealing": credentials.Revealing{}.Routes(),
	"credence/shared/api/health.API":            health.API{}.Routes(),
	"credence/shared/api/openapi.API":           openapi.API{}.Routes(),
	"credence/shared/api/people.API":            people.API{}.Routes(),
	"credence/shared/api/resources.API":         resources.API{}.Routes(),
	"credence/shared/api/signin.API":            signin.API{}.Routes(),
}

// served finds what each function serves, as its source says: every call of
// Routes on a composite literal.
func served(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	files, err := filepath.Glob(filepath.Join(root(t), "functions", "*", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no function found: %v", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		function := filepath.Base(filepath.Dir(name))
		for _, family := range mounted(t, name, string(text)) {
			routes, known := families[family]
			if !known {
				t.Errorf("functions/%s serves %s, which this test does not know: add it to families", function, family)
			}
			for _, r := range routes {
				out[function] = append(out[function], r.Pattern)
			}
		}
	}
	for _, routes := range out {
		slices.Sort(routes)
	}
	return out
}

// mounted lists the families on which a source file calls Routes.
func mounted(t *testing.T, name, text string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string]string{}
	for _, i := range file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		local := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			local = i.Name.Name
		}
		imports[local] = path
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || method.Sel.Name != "Routes" {
			return true
		}
		literal, ok := method.X.(*ast.CompositeLit)
		if !ok {
			t.Errorf("%s: Routes is called on what is no literal, so this test cannot tell what is served", name)
			return true
		}
		if typ, ok := literal.Type.(*ast.SelectorExpr); ok {
			if pkg, ok := typ.X.(*ast.Ident); ok {
				found = append(found, imports[pkg.Name]+"."+typ.Sel.Name)
			}
		}
		return true
	})
	return found
}

// TestRoutes holds the functions together to what the local server serves, and
// each route to one function.
func TestRoutes(t *testing.T) {
	all := served(t)
	local := all["credence"]
	if len(local) < 30 {
		t.Fatalf("functions/credence serves %d routes: too few to be all", len(local))
	}
	mux := http.NewServeMux()
	by := map[string]string{}
	for function, routes := range all {
		if function == "credence" {
			continue
		}
		for _, r := range routes {
			if other := by[r]; other != "" {
				t.Errorf("%s is served by functions/%s and functions/%s", r, other, function)
				continue
			}
			by[r] = function
			mux.Handle(r, http.NotFoundHandler()) // panics where two patterns conflict
			if !slices.Contains(local, r) {
				t.Errorf("%s is served by functions/%s and not by functions/credence", r, function)
			}
		}
	}
	for _, r := range local {
		if by[r] == "" {
			t.Errorf("%s is served by functions/credence and by no function", r)
		}
	}
	for _, function := range []string{"token", "teams", "create", "get", "update", "reveal", "probe"} {
		if len(all[function]) == 0 {
			t.Errorf("functions/%s serves nothing", function)
		}
	}
	if routes := all["admin"]; len(routes) > 0 {
		t.Errorf("functions/admin serves %q: it is invoked by name only", routes)
	}
}

// TestEveryFamilyIsServed shows that the table above has nothing that no
// function serves.
func TestEveryFamilyIsServed(t *testing.T) {
	local := served(t)["credence"]
	for family, routes := range families {
		for _, r := range routes {
			if !slices.Contains(local, r.Pattern) {
				t.Errorf("%s lists %s, which functions/credence does not serve", family, r.Pattern)
			}
		}
	}
}

// TestDescribedRoutes holds the OpenAPI document to the code: each route is
// described, and nothing else is.
func TestDescribedRoutes(t *testing.T) {
	local, document := served(t)["credence"], openapi.API{}.Patterns()
	missing(t, "openapi.json", local, document)
	missing(t, "functions/credence", document, local)
}

// documentText is the OpenAPI document that is compiled in.
func documentText(t *testing.T) []byte {
	t.Helper()
	packed, err := os.Open(filepath.Join(root(t), "shared", "api", "openapi", "openapi.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = packed.Close() }()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestDescribedParameters holds the query parameters of the document to those that
// the routes take. The document shows one parameter for those that begin alike.
func TestDescribedParameters(t *testing.T) {
	paths := map[string]map[string]jsontext.Value{}
	document := struct {
		Paths      map[string]map[string]jsontext.Value `json:"paths"`
		Components struct {
			Parameters map[string]parameter `json:"parameters"`
		} `json:"components"`
	}{Paths: paths}
	if err := json.Unmarshal(documentText(t), &document); err != nil {
		t.Fatal(err)
	}
	for _, routes := range families {
		for _, r := range routes {
			method, path, _ := strings.Cut(r.Pattern, " ")
			var operation struct {
				Parameters []parameter `json:"parameters"`
			}
			var shared []parameter // of all methods of the path
			err := json.Unmarshal(paths[path][strings.ToLower(method)], &operation)
			if of := paths[path]["parameters"]; err == nil && of != nil {
				err = json.Unmarshal(of, &shared)
			}
			if err != nil {
				t.Fatalf("%s: %v", r.Pattern, err)
			}
			var described []string
			for _, p := range append(shared, operation.Parameters...) {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					p = document.Components.Parameters[name]
				}
				if p.In == "query" {
					described = append(described, p.Name)
				}
			}
			taken := func(name string) bool {
				return slices.ContainsFunc(r.Query, func(q string) bool { return namesParameter(q, name) })
			}
			for _, name := range described {
				if !taken(name) {
					t.Errorf("%s: the document describes the parameter %s, which the route refuses", r.Pattern, name)
				}
			}
			for _, q := range r.Query {
				if !slices.ContainsFunc(described, func(name string) bool { return namesParameter(q, name) }) {
					t.Errorf("%s: the document lacks the parameter %s", r.Pattern, q)
				}
			}
		}
	}
}

type parameter struct {
	Ref  string `json:"$ref"`
	Name string `json:"name"`
	In   string `json:"in"`
}

// namesParameter reports whether an entry of httpapi.Route.Query stands for a
// parameter.
func namesParameter(entry, name string) bool {
	prefix, all := strings.CutSuffix(entry, "*")
	return strings.TrimSuffix(entry, "[]") == name || all && strings.HasPrefix(name, prefix)
}

// missing reports what is wanted and not had.
func missing(t *testing.T, who string, want, have []string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(have, w) {
			t.Errorf("%s lacks %s", who, w)
		}
	}
}

// TestMounted shows that families are found under whatever name they are
// imported.
func TestMounted(t *testing.T) {
	text := "package main\nimport (\n\t\"a/b\"\n\tc \"d/e\"\n)\nvar _ = f(b.X{Y: b.Z{}}.Routes(), c.W{}.Routes(), b.V{}.Other())\n"
	if got := mounted(t, "planted.go", text); !slices.Equal(got, []string{"a/b.X", "d/e.W"}) {
		t.Errorf("found %q", got)
	}
}
