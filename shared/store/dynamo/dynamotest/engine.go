// Package dynamotest is the kit of tests over a DynamoDB engine: it starts the engine,
// and breaks exchanges with it.
package dynamotest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Engine starts a DynamoDB engine for one test and returns its endpoint. The engine is
// the program in CREDENCE_DYNOXIDE, or the one that .ci/install-dynoxide installs.
// Without it the test is skipped; where CI is set it fails.
func Engine(t *testing.T) string {
	t.Helper()
	path := os.Getenv("CREDENCE_DYNOXIDE")
	if path == "" {
		path = filepath.Join(root(t), ".bin", "dynoxide")
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("no dynoxide: .ci/install-dynoxide installs it")
		}
		t.Fatal("no dynoxide: .ci/install-dynoxide installs it")
	}
	for range 3 { // a port that was free a moment ago may be taken
		if endpoint := serve(t, path); endpoint != "" {
			return endpoint
		}
	}
	t.Fatalf("starting %s: it does not listen", path)
	return ""
}

// root is the folder of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

func serve(t *testing.T, path string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// The shell ends the engine, by its id, once its input closes: by the test, or
	// because its process has ended.
	cmd := exec.Command("sh", "-c", `"$1" serve --host 127.0.0.1 -p "$2" & read -r _; kill $!; wait`, "sh", path, port)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { _ = in.Close(); _ = cmd.Wait() }
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			t.Cleanup(stop)
			return "http://" + address
		}
	}
	stop()
	return ""
}
