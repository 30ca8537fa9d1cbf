package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestReadme runs the README's lines as they stand, but for the address, and
// looks at what a reader would see.
func TestReadme(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", tool)
			}
			t.Skipf("%s is missing", tool)
		}
	}
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```sh\nread -rs KEY")
	lines, _, closed := strings.Cut("read -rs KEY"+rest, "```")
	if !ok || !closed || strings.Count(lines, "\n") != 10 {
		t.Fatalf("the README has no ten lines that begin with the key:\n%s", lines)
	}
	s := start(t, t.TempDir())
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.ReplaceAll(lines, "http://127.0.0.1:3000", s.url))
	cmd.Stdin = strings.NewReader(key(t, s.out.String()) + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	said := string(out)
	for _, want := range []string{
		`"verdict":"valid"`, `"verdict":"invalid","error_code":"AUTH_REJECTED","pointer":"/credentials/api.key.auth.value"`,
		`"secret_version":2`, `"api.key.auth.value":"Bearer wrong"`, `"event":"reveal"`, `"event":"create"`, `[{"id":`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing printed says %s:\n%s", want, said)
		}
	}
}
