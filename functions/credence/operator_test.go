package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/api/admin"
)

// TestOperator runs the operator's commands as a person does: over the socket of
// a server, and on the data while no server runs.
func TestOperator(t *testing.T) {
	s := start(t, t.TempDir())
	t.Run("while the server runs", func(t *testing.T) { operate(t, s.dir, "served") })
	s.end(t)
	t.Run("while no server runs", func(t *testing.T) { operate(t, s.dir, "alone") })
}

func operate(t *testing.T, dir, name string) {
	t.Setenv("CREDENCE_DATA", dir)
	org := number(reply(t, "org", "add", name, "--domain", "acme.example").OrgID)
	t.Setenv("CREDENCE_ORG", org)
	if out := command(t, 1, "org", "add", strings.ToUpper(name)); !strings.Contains(out, org) || !strings.Contains(out, "--another") {
		t.Errorf("a second organisation of one name: %q", out)
	}
	if another := reply(t, "org", "add", name, "--another"); number(another.OrgID) == org {
		t.Error("--another answers the same organisation")
	}
	user := "loader@acme.example"
	made := reply(t, "user", "add", user, "--name", "The Loader")
	if made.ServiceKey == "" || made.Email != user {
		t.Errorf("user add answers %+v", made.Users)
	}
	second := reply(t, "key", "add", user, "--name", "nightly", "--scopes", "read,probe")
	id := number(second.Keys[0].ID)
	for _, row := range []struct{ line, says string }{
		{"org list", `(?m)^` + org + ` +` + name + ` +acme\.example +ACTIVE +400 +20`},
		{"org show " + org, `(?m)^STATUS +ACTIVE$`},
		{"user list", `(?m)^\d+ +admin@acme\.example +admin +yes +ACTIVE +1 +20`},
		{"user list", `(?m)^\d+ +` + user + ` +The Loader +no +ACTIVE +2 `},
		{"user show " + user, `(?m)^EMAIL +` + user + `$`},
		{"user show " + number(made.UserID), `(?m)^NAME +The Loader$`},
		{"key list", `(?m)^` + id + ` +` + user + ` +nightly +ACTIVE +read,probe +20.* UTC +- +20.* UTC$`},
		{"key list " + user, id},
		{"key list --expires-in 30", `^None\.\n$`},
		{"key list --expires-in 366 " + user, id},
		{"key show " + id, `(?m)^LAST USED +-$`},
		{"key pause " + id, `(?m)^STATUS +PAUSED$`},
		{"key activate " + id, `(?m)^STATUS +ACTIVE$`},
		{"key rotate " + id, `shown only now:\n\ncrk_`},
		{"key delete " + id, `^Key ` + id + ` is deleted\.\n$`},
		{"user suspend " + user, `(?m)^STATUS +DEACTIVATED$`},
		{"user activate " + user, `(?m)^STATUS +ACTIVE$`},
		{"org suspend " + org, `(?m)^STATUS +SUSPENDED$`},
		{"org activate " + org, `(?m)^STATUS +ACTIVE$`},
		{"org set " + org + " --audit-days 90", `(?m)^AUDIT DAYS +90$`},
		{"audit", `(?m)^20.* UTC +org_updated +- +- +.*by the operator$`},
		{"audit --event user_suspended,user_activated", `^TIME .*\n20.* user_activated .*\n20.* user_suspended .*\n$`},
		{"audit --event !key_created --to 2024-02-01", `^TIME [^\n]*\n$`},
		{"audit --json --event key_deleted", `^\{"id":[^\n]*"item_id":` + id + `,[^\n]*\}\n$`},
	} {
		if out := command(t, 0, strings.Fields(row.line)...); !regexp.MustCompile(row.says).MatchString(out) {
			t.Errorf("%s prints %q, want %s", row.line, out, row.says)
		}
	}
	if out := command(t, 2, "key", "list", "--expires-in", "1000"); !strings.Contains(out, "1 to 366 days") {
		t.Errorf("too many days: %q", out)
	}
	if out := command(t, 1, "key", "show", id); !strings.Contains(out, "no such service key") {
		t.Errorf("a deleted key: %q", out)
	}
	if out := command(t, 2, "key", "add", user, "--scopes", "read,wirte"); !strings.Contains(out, "Did you mean write?") {
		t.Errorf("a scope that does not exist: %q", out)
	}
}

// reply runs a command with --json and reads what it prints.
func reply(t *testing.T, args ...string) (r admin.Reply) {
	t.Helper()
	if err := json.Unmarshal([]byte(command(t, 0, append(args, "--json")...)), &r); err != nil {
		t.Fatalf("%v prints no JSON: %v", args, err)
	}
	return r
}

func TestOperatorWithoutData(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for _, line := range []string{"org list", "user list", "key list", "org add x", "key delete 7"} {
		if out := command(t, 1, append(strings.Fields(line), "--data", none)...); !strings.Contains(out, "no data in "+none) {
			t.Errorf("%s: %q", line, out)
		}
	}
}
