package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credence/shared/probe/probetest"
)

// TestReleasedClient has the released Python client of the published API
// (testdata/client.py) store, prove, browse and delete credentials of an S3 store
// that keeps its objects as files, and keep users, teams and
// accessors. The client is found where .ci/install-nexla-sdk
// puts it, the store where .ci/install-versitygw does. Without them the test is
// skipped; where CI is set it fails.
func TestReleasedClient(t *testing.T) {
	const id, secret = "clientroot", "client/Secret+0123456789"
	python := tool(t, "nexla-sdk-venv/bin/python", "install-nexla-sdk")
	store := objectStore(t, id, secret, map[string]string{"orders/2031/may/a.csv": "id,n\n1,x\n", "orders/readme.txt": "hello\n"})
	s := start(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-I", "-B", filepath.Join("testdata", "client.py"), s.url, store)
	cmd.Env = append(os.Environ(), "CREDENCE_KEY="+key(t, s.out.String()), "STORE_KEY="+id, "STORE_SECRET="+secret)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), ": passed"); n < 9 {
		t.Errorf("%d steps passed:\n%s", n, out)
	}
}

// lacking skips what cannot run here; where CI is set that is a failure.
func lacking(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// tool is the path of a program in .bin that a script of .ci installs.
func tool(t *testing.T, name, installer string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		lacking(t, "no "+name+": .ci/"+installer+" installs it")
	}
	return path
}

// objectStore serves files, by bucket and key, in the protocol of S3 and returns
// its address.
func objectStore(t *testing.T, id, secret string, files map[string]string) string {
	t.Helper()
	program, root := tool(t, "versitygw", "install-versitygw"), t.TempDir()
	for path, content := range files {
		name := filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := probetest.ClosedPort(t)
	cmd := exec.CommandContext(t.Context(), program, "--port", address, "--quiet", "posix", root)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+id, "ROOT_SECRET_KEY="+secret)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return "http://" + address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the store does not start")
	return ""
}
