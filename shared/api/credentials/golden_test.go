package credentials

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/identity"
	"credence/shared/probe"
)

var update = flag.Bool("update", false, "write the golden files anew")

var at = time.Date(2023, 1, 15, 20, 24, 25, 209e6, time.UTC)

func view(change func(v *credential.View)) credential.View {
	description := "AWS S3 access for data storage"
	v := credential.View{
		Credential: credential.Credential{
			ID: 5008, Org: 101, Owner: 42, Name: "Test S3 Credentials", Description: &description, Type: "s3", Format: "1",
			Public: jsontext.Value(`{"bucket":"my-data-bucket","region":"us-east-1"}`), Interval: credential.Daily,
			Version: 1, SecretVersion: 1, CreatedAt: at, UpdatedAt: at,
		},
		Role:  access.Owner,
		Owner: identity.User{ID: 42, FullName: "An Owner", Email: "owner@example.com"},
		Org:   identity.Org{ID: 101, Name: "Acme Corporation", EmailDomain: "acme.example"},
	}
	change(&v)
	return v
}

var refused = probe.Result{
	Verdict: probe.Invalid, Code: probe.CodeAuthRejected, Message: "The system rejected the secret.", Pointer: "/credentials/secret_key",
	Status: 403, ConnectionType: "s3", CheckedAt: at, Facts: map[string]string{"server_version": "1", probe.FactExpires: "2031-05-06T05:08:09Z"},
	Stages: []probe.Stage{{Name: probe.Auth, Outcome: probe.StageFailed, Millis: 12, Message: "The system rejected the secret."}},
}

// The bodies of the wire, nulls and types too. Their files are the contract as
// we read it: a change of one is a change for every client.
func TestBodies(t *testing.T) {
	types, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	w := renderer{types}
	fresh := view(func(*credential.View) {})
	proven := view(func(v *credential.View) {
		v.Description, v.Tags, v.CopiedFrom = nil, []string{"prod", "eu"}, 4711
		v.Status, v.VerifiedAt = "200 Ok", at
		v.Ends = credential.Ends{Secret: at.AddDate(0, 0, 14), Certificate: at.AddDate(1, 0, 0)}
		v.LastProbe = &credential.LastProbe{Verdict: probe.Unknown, Code: probe.CodeTCPTimeout, Message: "No answer.", Pointer: "/credentials/host", CheckedAt: at}
	})
	reader := view(func(v *credential.View) { v.Role, v.Org.EmailDomain = access.Collaborator, "" })
	valid := refused
	created := "now()"
	tables := []probe.Node{{Name: "app", Kind: probe.Database, Nodes: []probe.Node{{Name: "users", Kind: probe.Table, Columns: []probe.Column{
		{Name: "id", Type: "integer", PrimaryKey: true}, {Name: "created", Type: "timestamp with time zone", Default: &created},
	}}, {Name: "empty", Kind: probe.Table}}}}
	files := []probe.Node{{Name: "2023", Kind: probe.Folder, Nodes: []probe.Node{
		{Name: "a.csv", Kind: probe.File, Size: 0, Created: at, Modified: at.Add(time.Second)}, {Name: "untold", Kind: probe.File, Size: 12},
	}}, {Name: "empty", Kind: probe.Folder}}
	valid.Verdict, valid.Code, valid.Pointer, valid.Status = probe.Valid, probe.CodeOK, "", 200
	valid.Stages = []probe.Stage{{Name: probe.Auth, Outcome: probe.StageOK, Millis: 12, Message: "The system accepted the secret."}}
	for name, body := range map[string]any{
		"created":       w.full(fresh),
		"proven":        w.full(proven),
		"collaborator":  w.full(reader),
		"index":         []index{w.index(proven)},
		"probe-valid":   answer(valid).Body,
		"probe-invalid": answer(refused).Body,
		"tree-database": shownTree{shownOf(valid, false), nodesOf(tables), nodesOf(tables)},
		"tree-files":    shownTree{shownOf(valid, true), nodesOf(files), nodesOf(files)},
		"sample-table":  shownSample{shownOf(valid, false), sampleOf(probe.Sample{ContentType: "application/json", Columns: []string{"id", "n"}, Rows: [][]any{{int64(1), nil}, {1.5, true}, {"x", "9007199254740993"}}})},
		"sample-empty":  shownSample{shownOf(valid, false), sampleOf(probe.Sample{ContentType: "application/json", Columns: []string{}})},
		"sample-text":   shownSample{shownOf(valid, true), sampleOf(probe.Sample{ContentType: "text/csv", Bytes: []byte("id,näme\n1,x\n")})},
		"sample-binary": shownSample{shownOf(valid, false), sampleOf(probe.Sample{ContentType: "application/octet-stream", Bytes: []byte{0, 'a', 0xff}})},
		"sample-zero":   shownSample{shownOf(valid, false), sampleOf(probe.Sample{ContentType: "application/octet-stream", Bytes: []byte("a\x00b")})},
		"history":       []result{resultOf(refused)},
		"deleted":       deleted{Code: "200", Message: "Ok"},
		"switched":      switched{full: w.full(proven), Switched: true, Probe: resultOf(valid)},
		"not-switched":  notSwitched{result: resultOf(refused)},
		"versions": versionsOf(
			[]credential.Version{{Number: 2, Active: true, Type: "s3", Public: fresh.Public, Known: []string{"access_key"}, MadeAt: at, MadeBy: 42, MadeEmail: "owner@example.com"}},
			[]credential.LastRead{{Principal: "U42-K7", Email: "owner@example.com", Version: 2, Day: "2023-01-15"}}),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(body, json.Deterministic(true), jsontext.Multiline(true), jsontext.WithIndent("  "))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs:\n%s", path, got)
			}
		})
	}
}

func TestTagNumbers(t *testing.T) {
	for _, row := range []struct {
		header, kind string
		weak         bool
		want         []int64
	}{
		{`"v1"`, "v", false, []int64{1}},
		{`"v1", "v22"`, "v", false, []int64{1, 22}},
		{`W/"v1"`, "v", false, nil},
		{`W/"s1"`, "s", true, []int64{1}},
		{`"s1"`, "v", false, nil},
		{`v1`, "v", false, nil},
		{`"v0"`, "v", false, nil},
		{`"v99999999999999999999"`, "v", false, nil},
		{`"other", "s3"`, "s", true, []int64{3}},
	} {
		got := tagNumbers(row.header, row.kind, row.weak)
		if len(got) != len(row.want) {
			t.Errorf("%s: %v, want %v", row.header, got, row.want)
			continue
		}
		for i := range got {
			if got[i] != row.want[i] {
				t.Errorf("%s: %v, want %v", row.header, got, row.want)
			}
		}
	}
}
