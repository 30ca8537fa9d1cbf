package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
