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
// nothing of this machine is read. "" forbids the whole package, and one whose
// path ends in a slash stands for all below it.
var waysOut = map[string][]string{
	"net": {
		"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "DialIP", "Dialer", "DefaultResolver", "Resolver",
		"LookupHost", "LookupIP", "LookupAddr", "LookupCNAME", "LookupTXT", "LookupSRV", "LookupMX", "LookupNS", "LookupPort",
		"ResolveTCPAddr", "ResolveUDPAddr", "ResolveIPAddr", "ListenPacket", "ListenUDP", "ListenIP", "ListenConfig", "FileConn", "FilePacketConn",
	},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer", "LoadX509KeyPair"},
	"net/http":   {"DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm", "Client", "ProxyFromEnvironment", "ProxyURL"},
	"os":         {"Open", "OpenFile", "ReadFile", "ReadDir", "Create", "WriteFile", "DirFS", "OpenRoot", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "StartProcess"},
	"os/exec":    {""}, "syscall": {"Exec", "ForkExec", "Open", "Socket", "Connect", "Sendto", "Syscall", "Syscall6", "RawSyscall", "RawSyscall6"},
	"plugin": {""}, "io/ioutil": {""}, "net/rpc": {""}, "net/smtp": {""}, "golang.org/x/sys/unix": {""}, "golang.org/x/net/proxy": {""},

	// What drivers do for themselves: sockets, files, names, tokens and
	// connections of their own.
	"database/sql":                   {""}, // opens connections as it likes, and tries again
	"github.com/go-sql-driver/mysql": {"RegisterDial", "RegisterDialContext", "RegisterLocalFile", "RegisterReaderHandler", "ParseDSN", "MySQLDriver"},
	"github.com/jackc/pgx/v5":        {""}, "github.com/jackc/pgx/v5/pgxpool": {""}, "github.com/jackc/pgx/v5/stdlib": {""},
	"github.com/jackc/pgx/v5/pgconn":      {"Connect", "ConnectWithOptions", "ParseConfigWithOptions"},
	"github.com/aws/aws-sdk-go-v2/config": {""}, "github.com/aws/aws-sdk-go-v2/credentials": {""}, "github.com/aws/aws-sdk-go-v2/credentials/": {""},
	"github.com/aws/aws-sdk-go-v2/feature/": {""}, "github.com/aws/aws-sdk-go-v2/aws/transport/http": {"NewBuildableClient", "BuildableClient"},
	"golang.org/x/oauth2": {""}, "golang.org/x/oauth2/": {""}, "cloud.google.com/": {""}, "google.golang.org/api/": {""},
}

// dialling are structs that dial by themselves unless these fields say how.
var dialling = map[string][]string{
	"net/http.Transport":                      {"DialContext", "DialTLSContext"},
	"github.com/aws/aws-sdk-go-v2/aws.Config": {"HTTPClient", "Credentials"},
}

// constant are functions whose argument must be a text of our own source.
var constant = []string{"github.com/jackc/pgx/v5/pgconn.ParseConfig"}

// forbidden lists what of a package may not be used.
func forbidden(path string) []string {
	if names, ok := waysOut[path]; ok {
		return names
	}
	for above := range waysOut {
		if strings.HasSuffix(above, "/") && strings.HasPrefix(path, above) {
			return waysOut[above]
		}
	}
	return nil
}

// found lists the ways out that a file uses.
func found(file *ast.File) []string {
	paths := map[string]string{} // name of a package in this file → its path
	var uses []string
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		if names := forbidden(path); names != nil && (name == "." || names[0] == "") {
			uses = append(uses, path)
		}
		paths[name] = path
	}
	named := func(e ast.Expr) (path, name string) {
		if s, ok := e.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				return paths[x.Name], s.Sel.Name
			}
		}
		return "", ""
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if path, name := named(n); slices.Contains(forbidden(path), name) {
				uses = append(uses, path+"."+name)
			}
		case *ast.CompositeLit:
			path, name := named(n.Type)
			for _, field := range dialling[path+"."+name] {
				if !sets(n, field) {
					uses = append(uses, path+"."+name+" without "+field)
				}
			}
		case *ast.CallExpr:
			path, name := named(n.Fun)
			if !slices.Contains(constant, path+"."+name) {
				break
			}
			if _, ok := n.Args[0].(*ast.BasicLit); !ok {
				uses = append(uses, path+"."+name+" of what is no constant")
			}
		}
		return true
	})
	return uses
}

// sets reports whether a literal of a struct sets a field.
func sets(literal *ast.CompositeLit, field string) bool {
	return slices.ContainsFunc(literal.Elts, func(e ast.Expr) bool {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return false
		}
		key, ok := pair.Key.(*ast.Ident)
		return ok && key.Name == field
	})
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
		{`"net/http"`, `http.Transport{DialContext: f, DialTLSContext: f}`, ""},
		{`"net/http"`, `http.Transport{DialContext: f}`, "net/http.Transport without DialTLSContext"},
		{`"net/http"`, `&http.Transport{Proxy: nil}`, "net/http.Transport without DialContext net/http.Transport without DialTLSContext"},
		{`"golang.org/x/sys/unix"`, `unix.Socket(0, 0, 0)`, "golang.org/x/sys/unix"},
		{`"database/sql"`, `sql.Open("mysql", "x")`, "database/sql"},
		{`"database/sql/driver"`, `driver.ErrBadConn`, ""},
		{`driver "github.com/go-sql-driver/mysql"`, `driver.RegisterDialContext("x", nil)`, "github.com/go-sql-driver/mysql.RegisterDialContext"},
		{`"github.com/go-sql-driver/mysql"`, `mysql.ParseDSN(text)`, "github.com/go-sql-driver/mysql.ParseDSN"},
		{`"github.com/go-sql-driver/mysql"`, `mysql.NewConfig()`, ""},
		{`"github.com/jackc/pgx/v5"`, `pgx.Connect(ctx, text)`, "github.com/jackc/pgx/v5"},
		{`"github.com/jackc/pgx/v5/pgconn"`, `pgconn.Connect(ctx, text)`, "github.com/jackc/pgx/v5/pgconn.Connect"},
		{`"github.com/jackc/pgx/v5/pgxpool"`, `pgxpool.New(ctx, text)`, "github.com/jackc/pgx/v5/pgxpool"},
		{`"github.com/jackc/pgx/v5/pgconn"`, `pgconn.ParseConfig(text)`, "github.com/jackc/pgx/v5/pgconn.ParseConfig of what is no constant"},
		{`"github.com/jackc/pgx/v5/pgconn"`, "pgconn.ParseConfig(`host=x`)", ""},
		{`"github.com/aws/aws-sdk-go-v2/config"`, `config.LoadDefaultConfig(ctx)`, "github.com/aws/aws-sdk-go-v2/config"},
		{`"github.com/aws/aws-sdk-go-v2/credentials/processcreds"`, `processcreds.NewProvider("sh")`, "github.com/aws/aws-sdk-go-v2/credentials/processcreds"},
		{`"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"`, `imds.New(imds.Options{})`, "github.com/aws/aws-sdk-go-v2/feature/ec2/imds"},
		{`"github.com/aws/aws-sdk-go-v2/aws"`, `aws.Config{Credentials: c}`, "github.com/aws/aws-sdk-go-v2/aws.Config without HTTPClient"},
		{`"github.com/aws/aws-sdk-go-v2/aws"`, `aws.Config{HTTPClient: h, Credentials: c}`, ""},
		{`"golang.org/x/oauth2"`, `oauth2.NewClient(ctx, nil)`, "golang.org/x/oauth2"},
		{`"golang.org/x/oauth2/google"`, `google.FindDefaultCredentials(ctx)`, "golang.org/x/oauth2/google"},
		{`"cloud.google.com/go/storage"`, `storage.NewClient(ctx)`, "cloud.google.com/go/storage"},
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
