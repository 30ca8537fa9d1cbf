// Package architecture holds the arrows between the rooms, over the import
// graph that the go command sees, the shape of files and functions, and the
// template to the code and to what it promises.
package architecture

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// module is the prefix of our own packages.
const module = "credence/"

// pkg is one package as built, without its tests.
type pkg struct {
	Name       string
	ImportPath string
	Imports    []string // what its files name
	Deps       []string // what it links, itself not among it
}

// graph is our packages by import path.
type graph map[string]pkg

// load asks the go command for every package of the module.
func load(t *testing.T) graph {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=Name,ImportPath,Imports,Deps", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	g := graph{}
	dec := jsontext.NewDecoder(strings.NewReader(string(out)))
	for dec.PeekKind() == '{' {
		var p pkg
		if err := json.UnmarshalDecode(dec, &p); err != nil {
			t.Fatalf("decoding a package: %v", err)
		}
		g[p.ImportPath] = p
	}
	if len(g) < 10 {
		t.Fatalf("the go command lists %d packages: too few to be this module", len(g))
	}
	return g
}

// root is the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("asking for go.mod: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// planted makes a graph of one package that imports, and so links, another.
func planted(from, to string) graph {
	return graph{from: {Name: "planted", ImportPath: from, Imports: []string{to}, Deps: []string{to}}}
}

// short is a package of ours without the module's name.
func short(path string) (string, bool) { return strings.CutPrefix(path, module) }

// within reports whether a path is a folder or lies below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// anyOf matches a path that is one of the folders or lies below one.
func anyOf(folders ...string) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(folders, func(f string) bool { return within(path, f) })
	}
}

// exactly matches a path that is one of those named, not what lies below.
func exactly(paths ...string) func(string) bool {
	return func(path string) bool { return slices.Contains(paths, path) }
}

// but narrows a match.
func but(match, except func(string) bool) func(string) bool {
	return func(path string) bool { return match(path) && !except(path) }
}

// below matches what lies below a folder, not the folder itself.
func below(folder string) func(string) bool { return but(anyOf(folder), exactly(folder)) }

func either(matches ...func(string) bool) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(matches, func(m func(string) bool) bool { return m(path) })
	}
}
