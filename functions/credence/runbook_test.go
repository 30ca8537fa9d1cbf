package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"

	"credence/shared/api/admin"
	"credence/shared/credential"
)

// runbook returns the commands in the rows of docs/operations.md, in order: those of
// the admin function, and those of one machine.
func runbook(t *testing.T) (cloud, machine []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(page)) {
		row := strings.Split(line, "|")
		if len(row) != 6 || !strings.Contains(row[3], "`credence ") {
			continue
		}
		for _, c := range quoted.FindAllStringSubmatch(row[2], -1) {
			cloud = append(cloud, c[1])
		}
		for _, c := range quoted.FindAllStringSubmatch(row[3], -1) {
			machine = append(machine, c[1])
		}
	}
	return cloud, machine
}

// TestRunbookInAWS sends each payload of the runbook to the admin function, in order:
// all succeed, and they name every action.
func TestRunbookInAWS(t *testing.T) {
	d, err := openData(t.Context(), where{Data: t.TempDir(), Store: storeEmbedded}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	f := admin.Function{
		API:       admin.API{Identity: d.identity, Store: d.store},
		Rewrapper: credential.Rewrapper{Store: d.store, Keys: d.keys, Current: d.keys.Current().ID()},
		Inspector: credential.Inspector{Store: d.store},
		Logger:    slog.New(slog.NewJSONHandler(io.Discard, nil)),
	}
	cloud, _ := runbook(t)
	named := map[string]bool{}
	var org, key string
	for _, payload := range cloud {
		var answer struct {
			Error string      `json:"error"`
			Made  admin.Reply `json:"made"`
		}
		sent := strings.NewReplacer("ORG", org, "KEY", key).Replace(payload)
		out, err := f.Invoke(t.Context(), []byte(sent))
		if err == nil {
			err = json.Unmarshal(out, &answer)
		}
		if err != nil || answer.Error != "" {
			t.Errorf("%s: %q, %v", sent, answer.Error, err)
		}
		if answer.Made.OrgID != 0 {
			org = number(answer.Made.OrgID)
		}
		if len(answer.Made.Keys) > 0 {
			key = number(answer.Made.Keys[0].ID)
		}
		var c admin.Command
		if err := json.Unmarshal([]byte(sent), &c); err != nil {
			t.Errorf("%s: %v", sent, err)
		}
		named[c.Action] = true
	}
	for _, action := range append(admin.Actions(), admin.Rewrap, admin.Check) {
		if !named[action] {
			t.Errorf("the runbook lacks %s", action)
		}
	}
}

// TestRunbookOnOneMachine runs each command of the runbook in order: all succeed, and
// they name every command of the program.
func TestRunbookOnOneMachine(t *testing.T) {
	_, machine := runbook(t)
	t.Chdir(t.TempDir())
	t.Setenv("CREDENCE_DATA", "data")
	start(t, "data").end(t)
	var org, key string
	for _, line := range machine {
		args := strings.Fields(strings.NewReplacer("ORG", org, "KEY", key).Replace(line))
		switch {
		case args[0] == "cp":
			copyFile(t, args[2], args[3])
		case line == "credence serve":
			start(t, "data").end(t)
		case slices.Contains(args, "add"):
			made := reply(t, args[1:]...)
			org = number(made.OrgID)
			if len(made.Keys) > 0 {
				key = number(made.Keys[0].ID)
			}
		default:
			command(t, 0, args[1:]...)
		}
	}
	var each func(n *kong.Node)
	each = func(n *kong.Node) {
		if n.Leaf() && !slices.ContainsFunc(machine, func(line string) bool { return strings.HasPrefix(line+" ", n.FullPath()+" ") }) {
			t.Errorf("the runbook lacks %s", n.FullPath())
		}
		for _, child := range n.Children {
			each(child)
		}
	}
	each(model(t).Node)
	if _, err := os.Stat(filepath.Join("restored", "key")); err != nil {
		t.Errorf("the runbook restores nothing: %v", err)
	}
}
