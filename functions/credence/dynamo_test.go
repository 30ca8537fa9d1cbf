package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credence/shared/endtoend"
)

// TestEndToEndOverDynamoDB serves the same program over a DynamoDB engine and
// holds it to the same suite.
func TestEndToEndOverDynamoDB(t *testing.T) {
	endpoint := startDynamo(t)
	dir := t.TempDir()
	s := start(t, dir, "--store", "dynamodb", "--dynamodb-endpoint", endpoint, "--dynamodb-tables", "endtoend")
	service := suiteOn(t, s)
	endtoend.Run(t, service)
}

// TestKeyOverDynamoDB: the tables record the key that they are under, and empty
// tables beside a key file are not begun on.
func TestKeyOverDynamoDB(t *testing.T) {
	endpoint := startDynamo(t)
	dir, other := t.TempDir(), t.TempDir()
	over := func(tables string) []string {
		return []string{"--store", "dynamodb", "--dynamodb-endpoint", endpoint, "--dynamodb-tables", tables}
	}
	start(t, dir, over("one")...).end(t)
	start(t, other, over("two")...).end(t)
	for _, row := range []struct{ name, tables, folder, says string }{
		{"another key", "one", other, "sealed under the key local-"},
		{"other tables", "three", dir, "--dynamodb-tables"},
	} {
		args := append([]string{"serve", "--addr", "127.0.0.1:0", "--data", row.folder}, over(row.tables)...)
		if out := command(t, 1, args...); !strings.Contains(out, row.says) {
			t.Errorf("%s: %s", row.name, out)
		}
	}
	start(t, dir, append(over("three"), "--new")...).end(t)
	if out := command(t, 0, append([]string{"check", "--data", dir, "--open"}, over("three")...)...); !strings.Contains(out, "0 faults") {
		t.Errorf("check: %s", out)
	}
	if out := command(t, 0, append([]string{"rekey", "--data", dir, "--new-key", filepath.Join(other, "next")}, over("one")...)...); !strings.Contains(out, "is under the key") {
		t.Errorf("rekey: %s", out)
	}
	start(t, dir, over("one")...).end(t)
	if out := command(t, 1, append([]string{"backup", filepath.Join(other, "b"), "--data", dir}, over("one")...)...); !strings.Contains(out, "point-in-time") {
		t.Errorf("backup: %s", out)
	}
}

// startDynamo starts an engine of its own on a free port of this machine.
func startDynamo(t *testing.T) string {
	t.Helper()
	path := os.Getenv("CREDENCE_DYNOXIDE")
	if path == "" {
		path = filepath.Join("..", "..", ".bin", "dynoxide")
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("the DynamoDB engine is missing: run .ci/install-dynoxide")
		}
		t.Skip("the DynamoDB engine is missing: run .ci/install-dynoxide")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "serve", "--host", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 200 {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = c.Close()
			return "http://" + addr
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("the DynamoDB engine does not start")
	return ""
}
