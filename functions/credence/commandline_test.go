package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestSuggestions(t *testing.T) {
	for _, row := range []struct{ line, says string }{
		{"--port 4000", "no flag --port. Did you mean --addr?"},
		{"serve --port=4000", "no flag --port. Did you mean --addr?"},
		{"--adr 127.0.0.1:1", "no flag --adr. Did you mean --addr?"},
		{"-p 4000", "no flag -p. Did you mean --addr?"},
		{"serve --databse x", "no flag --databse. Did you mean --data?"},
		{"serve --tls_cert x", "no flag --tls_cert. Did you mean --tls-cert?"},
		{"org add x --organization 7", "no flag --organization."},
		{"user add x --organization 7", "no flag --organization. Did you mean --org?"},
		{"org suspend --org 7", "no flag --org. Give the org without a flag, as <org> in the usage."},
		{"org set 7 --audit-days -1", "--audit-days must be 1 to 36500 days."},
		{"org set 7 --audit-days=36501", "--audit-days must be 1 to 36500 days."},
		{"key list --expires-in -1", "--expires-in must be 1 to 366 days"},
		{"serve --colour red", "no flag --colour.\n"},
		{"start", `no command "start". Did you mean serve?`},
		{"srve", `no command "srve". Did you mean serve?`},
		{"organisation add x", `no command "organisation". Did you mean org?`},
		{"paper", `no command "paper". The commands are: serve, `},
		{"org create x", `no command "create". Did you mean add?`},
		{"user ad x", `no command "ad". Did you mean add?`},
		{"key add a@example.com b@example.com", `unexpected argument "b@example.com"`},
		{"key add", "<user> is missing. Add it to the command."},
		{"org set 1", "--audit-days=DAYS is missing. Add it to the command."},
		{"key show abc", `<key>: "abc" is not a whole number. Give one, such as an id`},
		{"user list --org abc", `--org: "abc" is not a whole number. Give one, such as an id`},
		{"org", "expected"},
	} {
		if out := command(t, 2, strings.Fields(row.line)...); !strings.Contains(out, row.says) || !strings.Contains(out, "--help") {
			t.Errorf("credence %s: %q, want %q and --help in it", row.line, out, row.says)
		}
	}
}

// TestOtherWords holds the words of similar programs to names that exist.
func TestOtherWords(t *testing.T) {
	flags, commands := map[string]bool{"--help": true}, map[string]bool{}
	collect(model(t).Node, flags, commands)
	for word, flag := range otherFlags {
		if !flags[flag] || flags[word] && word != "--key" {
			t.Errorf("%s leads to %s", word, flag)
		}
	}
	for word, name := range otherCommands {
		if !commands[name] || commands[word] {
			t.Errorf("%s leads to %s", word, name)
		}
	}
}

func model(t *testing.T) *kong.Application {
	t.Helper()
	p, err := newParser(&commandLine{}, streams{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return p.Model
}

func collect(n *kong.Node, flags, commands map[string]bool) {
	for _, f := range n.Flags {
		flags["--"+f.Name] = true
	}
	for _, child := range n.Children {
		commands[child.Name] = true
		collect(child, flags, commands)
	}
}

func TestHelp(t *testing.T) {
	for _, row := range []struct{ line, says string }{
		{"--help", "credence <command> [flags]"},
		{"help", "user add "},
		{"help org add", "credence org add <name> [flags]"},
		{"serve --help", "$CREDENCE_DYNAMODB_TABLES]"},
		{"key --help", "key add "},
		{"--version", "credence 0."},
		{"version", "credence 0."},
		{"version --json", `"version": "0.`},
	} {
		if out := command(t, 0, strings.Fields(row.line)...); !strings.Contains(out, row.says) {
			t.Errorf("credence %s: %q, want %q in it", row.line, out, row.says)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("CREDENCE_ADDR", "nonsense")
	t.Setenv("CREDENCE_STORE", "paper")
	if out := command(t, 2); !strings.Contains(out, "CREDENCE_ADDR must be") || !strings.Contains(out, "CREDENCE_STORE must be") {
		t.Errorf("without flags: %q", out)
	}
	if out := command(t, 2, "--addr", "127.0.0.1:0"); strings.Contains(out, "ADDR must be") {
		t.Errorf("a flag does not take precedence: %q", out)
	}
	t.Setenv("CREDENCE_ORG", "seven")
	if out := command(t, 2, "user", "add", "a@example.com"); !strings.Contains(out, "CREDENCE_ORG: ") {
		t.Errorf("a number is not read from the environment: %q", out)
	}
	t.Setenv("CREDENCE_ORG", "")
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("CREDENCE_STORE", "")
	t.Setenv("CREDENCE_DATA", none)
	if out := command(t, 1, "key", "add", "a@example.com"); !strings.Contains(out, none) {
		t.Errorf("the folder is not that of the environment: %q", out)
	}
}

func TestStrangeVariables(t *testing.T) {
	got := strangeVariables(model(t).Node, []string{
		"CREDENCE_ADRR=x", "CREDENCE_PORT=1", "CREDENCE_ADDR=x", "CREDENCE_ORG=7", "CREDENCE_SOMETHING_ELSE=1", "PORT=1", "CREDENCE_TLSCERT=secret",
	})
	want := []string{
		"no flag reads CREDENCE_ADRR. Did you mean CREDENCE_ADDR?", "no flag reads CREDENCE_PORT. Did you mean CREDENCE_ADDR?",
		"no flag reads CREDENCE_TLSCERT. Did you mean CREDENCE_TLS_CERT?",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
