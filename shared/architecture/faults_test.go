package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"credence/shared/access"
)

// faultTables are the tests whose tasks have each of their calls of the store fail,
// each with the file that declares the events that its tasks leave in an audit log; ""
// for a test whose events another one has.
var faultTables = map[string]string{
	"shared/resource/fault_test.go":   "",
	"shared/credential/fault_test.go": "shared/audit/entry.go",
	"shared/identity/fault_test.go":   "shared/identity/journal.go",
}

// tasksOf reads the routes and the events of the tasks in a test's source.
func tasksOf(t *testing.T, name string) (routes []string, events map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), name), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	events = map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		field, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		named, _ := field.Key.(*ast.Ident)
		switch value := field.Value.(type) {
		case *ast.CompositeLit:
			for _, e := range value.Elts {
				if text, ok := e.(*ast.BasicLit); ok && named != nil && named.Name == "routes" {
					route, err := strconv.Unquote(text.Value)
					if err != nil {
						t.Fatal(err)
					}
					routes = append(routes, route)
				}
			}
		case *ast.SelectorExpr:
			if named != nil && named.Name == "event" {
				events[value.Sel.Name] = true
			}
		}
		return true
	})
	return routes, events
}

var declaredEvent = regexp.MustCompile(`(?m)^\t(Event\w+|\w+ +Event) +=`)

// TestEveryChangeMeetsFaults: a route that changes, reveals or sends something, and
// an event of an audit log, has a task in a test that has each call of the store
// fail.
func TestEveryChangeMeetsFaults(t *testing.T) {
	met := map[string]bool{}
	for name, declares := range faultTables {
		routes, events := tasksOf(t, name)
		for _, r := range routes {
			met[r] = true
		}
		if declares == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root(t), declares))
		if err != nil {
			t.Fatal(err)
		}
		found := declaredEvent.FindAllStringSubmatch(string(text), -1)
		if len(found) < 5 {
			t.Errorf("%s declares %d events", declares, len(found))
		}
		for _, m := range found {
			if event := strings.Fields(m[1])[0]; !events[event] {
				t.Errorf("the event %s has no task in %s", event, name)
			}
		}
	}
	for _, r := range allRoutes() {
		scopes := r.Needs.Scopes()
		reads := strings.HasPrefix(r.Pattern, http.MethodGet+" ") && !slices.Contains(scopes, access.ScopeReveal) && !slices.Contains(scopes, access.ScopeProbe)
		if !reads && !met[r.Pattern] {
			t.Errorf("the route %s has no task: name it in the field routes of one in %v", r.Pattern, slices.Sorted(maps.Keys(faultTables)))
		}
		delete(met, r.Pattern)
	}
	for r := range met {
		t.Errorf("a task names %s, which is no route", r)
	}
}
