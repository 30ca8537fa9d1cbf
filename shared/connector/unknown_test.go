package connector_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/fault"
)

// database is a small type with names that people confuse.
func database() *connector.Type {
	return &connector.Type{
		Name: "pigeon", Near: []string{"dove"}, ID: 9, ConnectionType: "pigeon", Title: "Pigeon", Help: "A post.",
		Fields: connector.Database(5432), Needs: []string{"host", "username", "password", "database_name"},
		Example: []byte(`{}`),
	}
}

func TestUnknownFieldsSuggestADeclaredOne(t *testing.T) {
	whole := `"host":"h.example.com","username":"u","password":"p4ssw0rd","database":"d"`
	for sent, near := range map[string]string{
		"hostname": "host", "Host": "host", "prot": "port", "user_name": "username", "pasword": "password", "passwd": "password",
		"dbname": "database_name", "databse": "database", "ssl_mode": "sslmode", "ssl": "sslmode", "sslrootcert": "tls.ca_certificate",
	} {
		settings, faults := database().Check(jsontext.Value(`{` + whole + `,"` + sent + `":"s3cret"}`))
		w := settings.Warnings()
		if len(faults) != 0 || len(w) != 1 || w[0].Pointer != "/credentials/"+sent || w[0].Code != fault.DetailUnknownField || !strings.HasSuffix(w[0].Message, "Did you mean "+near+"?") {
			t.Errorf("%s: %+v, %+v, want a warning that suggests %s", sent, faults, w, near)
		}
	}
	settings, _ := database().Check(jsontext.Value(`{` + whole + `,"hunter2-canary":1,"canary":{},"credentials_type":"x"}`))
	w := settings.Warnings()
	if len(w) != 1 || w[0].Pointer != connector.Root || strings.Contains(w[0].Message, "canary") || !strings.Contains(w[0].Message, "2 fields") || settings.Unknown() != 2 {
		t.Errorf("keys that are near to no field: %+v", w)
	}
	if settings, _ := database().Check(jsontext.Value(`{` + whole + `,"credentials_type":"x","port":5432}`)); len(settings.Warnings()) != 0 {
		t.Errorf("declared keys alone: %+v", settings.Warnings())
	}
}

// An object in the place of a name with dots leads to that name.
func TestNestedFieldsSuggestADottedOne(t *testing.T) {
	whole := `"host":"h.example.com","username":"u","password":"p4ssw0rd","database":"d"`
	for sent, near := range map[string]string{
		`"tls":{"ca_certificate":"x"}`: "tls.ca_certificate", `"tls":{"canary":1,"ca":{"certificat":"x"}}`: "tls.ca_certificate",
	} {
		settings, _ := database().Check(jsontext.Value(`{` + whole + `,` + sent + `}`))
		w := settings.Warnings()
		if len(w) != 1 || w[0].Pointer != "/credentials/tls" || strings.Contains(w[0].Message, "canary") || !strings.HasSuffix(w[0].Message, "Did you mean "+near+"?") {
			t.Errorf("%s: %+v, want a warning that suggests %s", sent, w, near)
		}
	}
}

func TestMissingFieldsNameWhatWasSent(t *testing.T) {
	_, faults := database().Check(jsontext.Value(`{"hostname":"h","usr":"u","pwd":"s3cret","canary":"x"}`))
	want := map[string]string{
		"/credentials/host":          "You sent hostname. Did you mean host?",
		"/credentials/username":      "You sent usr. Did you mean username?",
		"/credentials/password":      "You sent pwd. Did you mean password?",
		"/credentials/database_name": "Send it as database_name or database.",
	}
	if len(faults) != len(want) {
		t.Errorf("faults are %+v", faults)
	}
	for _, f := range faults {
		if !strings.HasSuffix(f.Message, want[f.Pointer]) || strings.Contains(f.Message, "canary") || strings.Contains(f.Message, "s3cret") {
			t.Errorf("%s: %s", f.Pointer, f.Message)
		}
	}
}

func TestSuggestAType(t *testing.T) {
	r, err := connector.NewRegistry(database())
	if err != nil {
		t.Fatal(err)
	}
	for sent, want := range map[string]string{"pigeons": "pigeon", "Pigeon": "pigeon", "dove": "pigeon", "pidgeon": "pigeon", "owl": ""} {
		if got := r.Suggest(sent); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", sent, got, want)
		}
	}
}

func TestNearNamesAreNotTaken(t *testing.T) {
	typ := database()
	typ.Fields[0].Near = []string{"port"}
	if _, err := connector.NewRegistry(typ); err == nil || !strings.Contains(err.Error(), `near to the name "port"`) {
		t.Errorf("a near name that another field takes: %v", err)
	}
}
