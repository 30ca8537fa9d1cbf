package probe_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// waysOut are what no prober may use: the guard is the only way out, and
// nothing of this machine is read. "" forbids the whole package.
var waysOut = map[string][]string{
	"net": {
		"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "DialIP", "Dialer", "DefaultResolver", "Resolver",
		"LookupHost", "LookupIP", "LookupAddr", "LookupCNAME", "LookupTXT", "LookupSRV", "LookupMX", "LookupNS", "LookupPort", "ResolveTCPAddr",
	},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer", "LoadX509KeyPair"},
	"net/http":   {"DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm", "Client", "ProxyFromEnvironment"},
	"os":         {"Open", "OpenFile", "ReadFile", "ReadDir", "Create", "WriteFile", "DirFS", "OpenRoot", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "StartProcess"},
	"os/exec":    {""}, "syscall": {"Exec", "ForkExec", "Open", "Socket", "Connect"}, "plugin": {""}, "io/ioutil": {""}, "net/rpc": {""}, "net/smtp": {""},
}

// found lists the ways out that a file uses.
func found(file *ast.File) []string {
	names := map[string]string{} // of a package in this file → its path
	var uses []string
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		forbidden, listed := waysOut[path]
		if !listed {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		if name == "." || forbidden[0] == "" {
			uses = append(uses, path)
		}
		names[name] = path
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && slices.Contains(waysOut[names[x.Name]], s.Sel.Name) {
				uses = append(uses, names[x.Name]+"."+s.Sel.Name)
			}
		}
		return true
	})
	return uses
}

// No package of probers goes round the guard. The guard itself dials; the test
// kit listens; tests read their files.
func TestProbersHaveOneWayOut(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path == "netguard" || path == "probetest" || entry.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, use := range found(file) {
			t.Errorf("%s uses %s; the attempt's dialer is the only way out", path, use)
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Errorf("looked at %d files: %v", files, err)
	}
}

// What the look above must find.
func TestPlantedWaysOutAreFound(t *testing.T) {
	for _, planted := range []struct{ imports, use, want string }{
		{`"net"`, `net.Dial("tcp", "x:1")`, "net.Dial"},
		{`"net"`, `net.Dialer{}`, "net.Dialer"},
		{`n "net"`, `n.LookupHost("x")`, "net.LookupHost"},
		{`"crypto/tls"`, `tls.Dial("tcp", "x:1", nil)`, "crypto/tls.Dial"},
		{`"net/http"`, `http.DefaultClient`, "net/http.DefaultClient"},
		{`"net/http"`, `http.DefaultTransport`, "net/http.DefaultTransport"},
		{`"net/http"`, `http.Get("x")`, "net/http.Get"},
		{`"os"`, `os.Open("/x")`, "os.Open"},
		{`"os"`, `os.ReadFile("/x")`, "os.ReadFile"},
		{`"os"`, `os.Getenv("PGHOST")`, "os.Getenv"},
		{`"os/exec"`, `exec.Command("sh")`, "os/exec"},
		{`. "net"`, `Dial("tcp", "x:1")`, "net"},
		{`"net"`, `net.JoinHostPort("x", "1")`, ""},
		{`"net/http"`, `http.Transport{}`, ""},
	} {
		source := fmt.Sprintf("package p\nimport %s\nvar _ = %s\n", planted.imports, planted.use)
		file, err := parser.ParseFile(token.NewFileSet(), "planted.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(found(file), " "); got != planted.want {
			t.Errorf("%s: found %q, want %q", planted.use, got, planted.want)
		}
	}
}
