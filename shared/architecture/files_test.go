package architecture

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files are the arrows between the files of a package: what each names of the others.
func files(t *testing.T, dir, path string) map[string]map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./"+dir)
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing what a package links: %v", err)
	}
	export := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		export[name] = file
	}
	set := token.NewFileSet()
	matches, _ := filepath.Glob(filepath.Join(root(t), dir, "*.go"))
	matches = slices.DeleteFunc(matches, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	var parsed []*ast.File
	for _, name := range matches {
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(export[path]) })}
	p, err := conf.Check(path, set, parsed, &info)
	if err != nil {
		t.Fatal(err)
	}
	arrows := map[string]map[string][]string{}
	file := func(at token.Pos) string { return strings.TrimSuffix(filepath.Base(set.Position(at).Filename), ".go") }
	for name, of := range info.Uses {
		if of.Pkg() != p || of.Parent() != nil && of.Parent() != p.Scope() || file(name.Pos()) == file(of.Pos()) {
			continue
		}
		from, to := file(name.Pos()), file(of.Pos())
		if arrows[from] == nil {
			arrows[from] = map[string][]string{}
		}
		if !slices.Contains(arrows[from][to], of.Name()) {
			arrows[from][to] = append(arrows[from][to], of.Name())
		}
	}
	return arrows
}

// layer is a group of files of a package, with the groups before it that it may use
// besides its own.
type layer struct {
	name  string
	uses  []string
	files []string
}

// layers are the groups of shared/credential: what a credential is, who may do what
// with it and how it is stored; then each use of that.
var layers = []layer{
	{"core", nil, []string{"accessor", "credential", "draft", "ends", "item", "key", "load", "secret", "service", "verdict"}},
	{"read", []string{"core"}, []string{"explain", "inspect", "keyring", "list", "reveal", "rewrap"}},
	{"change", []string{"core"}, []string{"create", "delete", "idempotency", "reference", "share", "transfer", "update", "use", "version"}},
	{"prove", []string{"core"}, []string{"browse", "outcome", "probe", "request", "slot"}},
	{"switch", []string{"core", "change", "prove"}, []string{"propose"}},
}

// upward lists the arrows that the layers forbid, and files of no layer.
func upward(arrows map[string]map[string][]string) (found []string) {
	of := func(file string) layer {
		n := slices.IndexFunc(layers, func(l layer) bool { return slices.Contains(l.files, file) })
		if n < 0 {
			return layer{name: "none"}
		}
		return layers[n]
	}
	for from, to := range arrows {
		for target, names := range to {
			if a, b := of(from), of(target); a.name == "none" || a.name != b.name && !slices.Contains(a.uses, b.name) {
				found = append(found, fmt.Sprintf("%s (%s) → %s (%s): %s", from, a.name, target, b.name, names))
			}
		}
	}
	slices.Sort(found)
	return found
}

// TestLayers holds the files of the domain to their groups.
func TestLayers(t *testing.T) {
	for _, arrow := range upward(files(t, "shared/credential", module+"shared/credential")) {
		t.Error(arrow)
	}
	for _, planted := range [][2]string{{"item", "create"}, {"update", "probe"}, {"another", "item"}} {
		if found := upward(map[string]map[string][]string{planted[0]: {planted[1]: {"x"}}}); len(found) != 1 {
			t.Errorf("%s passes", planted)
		}
	}
}
