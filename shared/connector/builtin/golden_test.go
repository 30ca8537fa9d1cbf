package builtin_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/connector/builtin"
	"credence/shared/connector/conntest"
	"credence/shared/connector/mysql"
)

var update = flag.Bool("update", false, "write the golden files anew")

func registry(t testing.TB) *connector.Registry {
	t.Helper()
	r, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func golden(t *testing.T, file string, schema jsontext.Value) {
	t.Helper()
	if err := schema.Indent(jsontext.WithIndent("  ")); err != nil {
		t.Fatal(err)
	}
	got, path := string(schema)+"\n", filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference", path)
	}
}

// TestGoldenSchemas shows what each type asks for to whoever reviews a change.
func TestGoldenSchemas(t *testing.T) {
	want := map[string]bool{"request.json": true}
	types := registry(t)
	one, err := connector.NewRegistry(mysql.Type()) // all would repeat the files below
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "schema/request.json", one.RequestSchema())
	for _, typ := range types.All() {
		want[typ.Name+".json"] = true
		golden(t, "schema/"+typ.Name+".json", typ.Schema())
	}
	files, err := filepath.Glob("testdata/schema/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !want[filepath.Base(file)] {
			t.Errorf("%s is of a type that is not on the list", file)
		}
	}
}

// TestRequestSchema holds the schema of a request to what is sent.
func TestRequestSchema(t *testing.T) {
	types := registry(t)
	valid, err := conntest.Validator(types.RequestSchema())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body string
		want bool
	}{
		"whole":                 {`{"name":"n","credentials_type":"rest","credentials":{"api_key":"k","endpoint":"https://api.example.com"}}`, true},
		"the other name":        {`{"name":"n","connector_type":"rest","credentials":{"api_key":"k","url":"https://api.example.com"}}`, true},
		"all of it":             {`{"name":"n","description":null,"tags":["a"],"credentials_version":"1","owner_id":1,"org_id":2,"probe_interval":"daily","credentials_type":"mysql","credentials":{"host":"h","port":"3306","user":"u","password":"p"}}`, true},
		"what only we set":      {`{"id":1,"owner":{"id":2},"verified_at":null,"name":"n","credentials_type":"mysql","credentials":{"host":"h","user":"u","password":"p"}}`, true},
		"no name":               {`{"credentials_type":"mysql","credentials":{"host":"h","user":"u","password":"p"}}`, false},
		"an empty name":         {`{"name":"","credentials_type":"mysql","credentials":{"host":"h","user":"u","password":"p"}}`, false},
		"no type":               {`{"name":"n","credentials":{"host":"h","user":"u","password":"p"}}`, false},
		"an unknown type":       {`{"name":"n","credentials_type":"pigeon","credentials":{}}`, false},
		"no credentials":        {`{"name":"n","credentials_type":"mysql"}`, false},
		"those of another type": {`{"name":"n","credentials_type":"mysql","credentials":{"api_key":"k","base_url":"https://api.example.com"}}`, false},
		"under the other name":  {`{"name":"n","connector_type":"mysql","credentials":{"host":"h"}}`, false},
		"a number for a tag":    {`{"name":"n","tags":[1],"credentials_type":"mysql","credentials":{"host":"h","user":"u","password":"p"}}`, false},
		"another interval":      {`{"name":"n","probe_interval":"weekly","credentials_type":"mysql","credentials":{"host":"h","user":"u","password":"p"}}`, false},
		"a version as a number": {`{"name":"n","credentials_version":1,"credentials_type":"mysql","credentials":{"host":"h","user":"u","password":"p"}}`, false},
		"a name of 256":         {`{"name":"` + strings.Repeat("n", 256) + `","credentials_type":"mysql","credentials":{"host":"h","user":"u","password":"p"}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := valid(jsontext.Value(c.body)); got != c.want {
				t.Errorf("valid %t, want %t", got, c.want)
			}
		})
	}
}
