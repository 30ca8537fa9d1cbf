package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	maxLines  = 500 // of a file
	maxParams = 5   // of a function, a context or a testing.T not counted
)

// vague names say nothing about what a package is for.
var vague = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "base"}

func TestShape(t *testing.T) {
	top, files := root(t), 0
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != top && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading a source file: %w", err)
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		for _, fault := range faults(name, string(text)) {
			t.Error(fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("looked at %d files: too few to be this module", files)
	}
}

// faults lists what is wrong with the shape of one source file.
func faults(name, text string) []string {
	var found []string
	if n := strings.Count(text, "\n"); n > maxLines {
		found = append(found, fmt.Sprintf("%s has %d lines, more than %d: split it by what it is about", name, n, maxLines))
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		return append(found, fmt.Sprintf("parsing %s: %v", name, err))
	}
	if slices.Contains(vague, file.Name.Name) {
		found = append(found, fmt.Sprintf("%s: package %s says nothing about what it is for", name, file.Name.Name))
	}
	if !strings.HasSuffix(name, "_test.go") && !kits(filepath.ToSlash(filepath.Dir(name))) {
		found = append(found, patterns(set, file)...)
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		at := set.Position(fn.Pos())
		if n := params(fn.Type); n > maxParams {
			found = append(found, fmt.Sprintf("%s: %s takes %d parameters, more than %d: some of them are one thing", at, fn.Name.Name, n, maxParams))
		}
		if fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, fmt.Sprintf("%s: an init works before anyone asked for it: make a value and hand it in", at))
		}
	}
	return found
}

// patterns lists expressions that are compiled whether they are used or not,
// and those of package pattern that do not compile.
func patterns(set *token.FileSet, file *ast.File) []string {
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		literal, written := call.Args[0].(*ast.BasicLit)
		switch at := set.Position(n.Pos()); printed(call.Fun) {
		case "regexp.MustCompile":
			if file.Name.Name != "pattern" {
				found = append(found, fmt.Sprintf("%s: a pattern that every start compiles: use package pattern", at))
			}
		case "pattern.New":
			text := ""
			if written {
				text, _ = strconv.Unquote(literal.Value)
			}
			if _, err := regexp.Compile(text); err != nil || text == "" {
				found = append(found, fmt.Sprintf("%s: a pattern that is no constant or does not compile: %v", at, err))
			}
		}
		return true
	})
	return found
}

// printed is a function of another package as it is called.
func printed(fun ast.Expr) string {
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + sel.Sel.Name
}

// params counts the parameters that a caller must think about: contexts and
// testing handles are passed on unthinking.
func params(fn *ast.FuncType) int {
	n := fn.Params.NumFields()
	for _, field := range fn.Params.List {
		typ := field.Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		sel, ok := typ.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "testing" || x.Name == "context") {
			n -= max(1, len(field.Names))
		}
	}
	return n
}

// TestFaults shows that each fault of shape is found.
func TestFaults(t *testing.T) {
	for name, text := range map[string]string{
		"long":       "package long\n" + strings.Repeat("\n", maxLines),
		"vague":      "package util\n",
		"parameters": "package wide\nfunc f(a, b, c, d, e, g int) {}\n",
		"init":       "package early\nfunc init() {}\n",
		"syntax":     "package broken\nfunc {\n",
		"eager":      "package eager\n\nvar form = regexp.MustCompile(`a`)\n",
		"pattern":    "package broken\n\nvar form = pattern.New(`(`)\n",
		"variable":   "package unknown\n\nvar form = pattern.New(text)\n",
	} {
		if got := faults(name+".go", text); len(got) != 1 {
			t.Errorf("%s: found %q, want one fault", name, got)
		}
	}
	fine := "package fine\n\nfunc f(ctx context.Context, a, b, c, d, e int) {}\n" + strings.Repeat("\n", maxLines-4)
	if got := faults("fine.go", fine); len(got) != 0 {
		t.Errorf("a file at the limits: %q", got)
	}
}
