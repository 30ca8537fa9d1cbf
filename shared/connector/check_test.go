package connector_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
)

// door is a type with one of everything that Check has a rule for.
func door() *connector.Type {
	text, number, truth := connector.Text, connector.Number, connector.Bool
	when := func(kind string) map[string]string { return map[string]string{"kind": kind} }
	return &connector.Type{
		Name: "door", ID: 1, ConnectionType: "door", Title: "Door", Help: "A door.",
		Fields: []connector.Field{
			{Name: "kind", Also: []string{"door.kind"}, Kind: text, Title: "Kind", Public: true, OneOf: []string{"code", "card", "pin", "open"}},
			{Name: "remote", Kind: truth, Title: "Remote"},
			{Name: "host/name", Also: []string{"server~1"}, Kind: text, Title: "Host", Destination: true, Identity: true, Public: true, Check: connector.CheckHost},
			{Name: "port", Kind: number, Title: "Port", Destination: true, Identity: true, Public: true, Min: 1, Max: 9, Default: 7},
			{Name: "big", Kind: number, Title: "Big"},
			{Name: "user", Also: []string{"username"}, Kind: text, Title: "User", Identity: true, MaxBytes: 8},
			{Name: "password", Also: []string{"pass"}, Kind: text, Title: "Password", Secret: true},
			{Name: "card", Also: []string{"chip"}, Encoded: []string{"card64"}, Kind: connector.Object, Title: "Card", Secret: true},
			{Name: "pin", Kind: text, Title: "PIN", Secret: true},
			{Name: "headers", Kind: text, Title: "Headers", Secret: true},
		},
		Needs: []string{"host/name"},
		Methods: []connector.Method{
			{Name: "code", When: when("code"), Needs: []string{"user", "password"}},
			{Name: "code", When: when("code"), Needs: []string{"user", "password", "pin"}},
			{Name: "card", When: when("card"), Needs: []string{"card"}, May: []string{"big"}},
			{Name: "pin", When: map[string]string{"kind": "pin", "remote": "true"}, Needs: []string{"pin"}},
			{Name: "local pin", When: map[string]string{"kind": "pin", "remote": "false"}, Needs: []string{"pin", "user"}},
			{Name: "open", When: when("open")},
			{Name: "headers", Needs: []string{"headers"}, Fallback: true},
		},
		Example: []byte(`{}`),
	}
}

// TestCheck sends one object each: "way" is the way to sign in that is taken,
// else the lines are the faults.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct{ sent, want string }{
		"by its fields":                    {`{"host/name":"h","user":"u","password":"p"}`, "way code"},
		"by its fields, other names":       {`{"server~1":"h","username":"u","pass":"p"}`, "way code"},
		"a larger way holds a smaller one": {`{"host/name":"h","user":"u","password":"p","pin":"1","kind":"code"}`, "way code"},
		"by its discriminator":             {`{"host/name":"h","kind":"card","card":{}}`, "way card"},
		"a discriminator by another name":  {`{"host/name":"h","door.kind":"open"}`, "way open"},
		"a way that needs nothing, named":  {`{"host/name":"h","kind":"open","user":"u","password":"p"}`, "way open"},
		"two discriminators":               {`{"host/name":"h","kind":"pin","remote":"FALSE","pin":"1","user":"u"}`, "way local pin"},
		"a larger way of two by one":       {`{"host/name":"h","kind":"pin","pin":"1","user":"u"}`, "way local pin"},
		"a fallback alone":                 {`{"host/name":"h","headers":"X: y"}`, "way headers"},
		"a fallback beside another":        {`{"host/name":"h","headers":"X: y","card":"{}"}`, "way card"},
		"a fallback is not named":          {`{"host/name":"h","headers":"X: y","kind":"card"}`, "/credentials/card required"},
		"an object in base64":              {`{"host/name":"h","card64":"eyJhIjoxfQ=="}`, "way card"},
		"an object in base64, unpadded":    {`{"host/name":"h","card64":"eyJhIjo\nxfQ"}`, "way card"},
		"one object three times":           {`{"host/name":"h","card64":"eyJhIjoxfQ","card":{"a": 1},"chip":"{\"a\":1}"}`, "way card"},
		"keys of nobody's":                 {`{"host/name":"h","kind":"open","x":{"y":[null]}}`, "way open"},

		"nothing":                     {`{}`, "/credentials/host~1name required\n/credentials/user required\n/credentials/password required"},
		"nulls":                       {`{"host/name":null,"username":null,"pass":""}`, "/credentials/host~1name required\n/credentials/username required\n/credentials/pass required"},
		"null beside the other name":  {`{"host/name":null,"server~1":"h","kind":"open"}`, "way open"},
		"the nearest way":             {`{"host/name":"h","user":"u"}`, "/credentials/password required"},
		"the nearest by what it may":  {`{"host/name":"h","big":3}`, "/credentials/card required"},
		"a wrong field is not asked":  {`{"host/name":1,"user":2,"password":[]}`, "/credentials/host~1name wrong_kind\n/credentials/user wrong_kind\n/credentials/password wrong_kind"},
		"wrong under its other name":  {`{"server~1":"a b","kind":"open"}`, "/credentials/server~01 malformed"},
		"an unknown discriminator":    {`{"host/name":"h","kind":"Card","card":{}}`, "/credentials/kind unknown_value"},
		"two names, two values":       {`{"host/name":"h","server~1":"g","kind":"open"}`, "/credentials/server~01 conflicting"},
		"two names, two objects":      {`{"host/name":"h","card":{"a":1},"chip":{"a":2}}`, "/credentials/chip conflicting"},
		"two ways":                    {`{"host/name":"h","username":"u","password":"p","chip":{}}`, "/credentials/username conflicting\n/credentials/password conflicting\n/credentials/chip conflicting"},
		"two ways, one named":         {`{"host/name":"h","user":"u","password":"p","card":{},"kind":"card"}`, "way card"},
		"named, but another is there": {`{"host/name":"h","user":"u","password":"p","kind":"card"}`, "/credentials/kind conflicting\n/credentials/card required"},
		"named, and half there":       {`{"host/name":"h","user":"u","kind":"code"}`, "/credentials/password required"},
		"discriminators that exclude": {`{"host/name":"h","kind":"card","remote":true,"card":{}}`, "way card"},

		"a number as text":       {`{"host/name":"h","kind":"open","port":"9"}`, "way open"},
		"a number below":         {`{"host/name":"h","kind":"open","port":0}`, "/credentials/port out_of_range"},
		"a number above":         {`{"host/name":"h","kind":"open","port":"10"}`, "/credentials/port out_of_range"},
		"a number no int64 is":   {`{"host/name":"h","kind":"open","port":99999999999999999999}`, "/credentials/port out_of_range"},
		"a number no double is":  {`{"host/name":"h","kind":"open","big":9007199254740992}`, "/credentials/big out_of_range"},
		"a fraction":             {`{"host/name":"h","kind":"open","port":7.0}`, "/credentials/port wrong_kind"},
		"an empty number":        {`{"host/name":"h","kind":"open","port":""}`, "way open"},
		"a text too long":        {`{"host/name":"h","kind":"open","user":"123456789"}`, "/credentials/user too_long"},
		"a line break in a name": {`{"host/name":"h","kind":"open","user":"a\nb"}`, "/credentials/user malformed"},
		"a secret of spaces":     {`{"host/name":"h","user":"u","password":"  "}`, "way code"},
		"stars":                  {`{"host/name":"h","user":"u","password":"*****"}`, "/credentials/password placeholder"},
		"stars in a secret":      {`{"host/name":"h","user":"u","password":"***1"}`, "way code"},
		"stars that are none":    {`{"host/name":"h","user":"***","password":"p"}`, "way code"},
		"an object's text wrong": {`{"host/name":"h","card":"{\"a\":1,\"a\":2}"}`, "/credentials/card malformed"},
		"an array for an object": {`{"host/name":"h","card":"[]"}`, "/credentials/card malformed"},
		"no base64":              {`{"host/name":"h","card64":"{}"}`, "/credentials/card64 malformed"},
		"base64 of no object":    {`{"host/name":"h","card64":"aGVsbG8="}`, "/credentials/card64 malformed"},
		"base64 that bends":      {`{"host/name":"h","card64":"eyJhIjoxfR=="}`, "/credentials/card64 malformed"},
		"the shape comes first":  {`{"user":1,"x":"\u0000"}`, "/credentials malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			settings, faults := door().Check(jsontext.Value(c.sent))
			got := brief(faults)
			if len(faults) == 0 {
				got = "way " + settings.Method()
			} else if settings.Has("host/name") || settings.Unknown() != 0 || settings.Method() != "" {
				t.Error("there are settings beside the faults")
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	if _, err := connector.NewRegistry(&connector.Type{}); err == nil {
		t.Error("a type that declares nothing is taken")
	}
}

func TestExcluding(t *testing.T) {
	typ := door()
	typ.Methods = slices.DeleteFunc(typ.Methods, func(m connector.Method) bool { return m.When["kind"] == "" || len(m.When) == 1 })
	_, faults := typ.Check(jsontext.Value(`{"host/name":"h","kind":"open","remote":true,"pin":"1"}`))
	if got, want := brief(faults), "/credentials/kind conflicting\n/credentials/remote conflicting"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMessages(t *testing.T) {
	_, faults := door().Check(jsontext.Value(`{"username":"","card64":1}`))
	var told []string
	for _, d := range faults {
		told = append(told, d.Message)
	}
	for _, want := range []string{
		"Send a string: base64 of a JSON object.",
		"Give the host. Send it as host/name or server~1.",
	} {
		if !slices.Contains(told, want) {
			t.Errorf("%q is not among %q", want, told)
		}
	}
	_, faults = door().Check(jsontext.Value(`{"host/name":"h","kind":"pin","remote":true}`))
	if len(faults) != 1 || faults[0].Message != "Give the PIN." {
		t.Errorf("an abbreviation is asked for as %q", faults)
	}
}

func TestSettings(t *testing.T) {
	settings, faults := door().Check(jsontext.Value(
		`{"server~1":"Db.Example.COM.","port":"9","username":"u","pass":"p","remote":"True","x":1,"credentials_type":"door","big":null,"card":null}`))
	if len(faults) > 0 {
		t.Fatal(brief(faults))
	}
	truth, sent := settings.Bool("remote")
	port, there := settings.Int("port")
	_, bigThere := settings.Int("big")
	for name, c := range map[string]struct{ got, want any }{
		"Text":            {settings.Text("host/name"), "Db.Example.COM."},
		"Text of another": {settings.Text("server~1"), ""},
		"Secret":          {settings.Secret("password").ExposeText(), "p"},
		"no Secret":       {settings.Secret("pin").Len(), 0},
		"Bool":            {[]any{truth, sent}, []any{true, true}},
		"Int":             {[]any{port, there}, []any{int64(9), true}},
		"null":            {bigThere, false},
		"Has":             {settings.Has("user"), true},
		"Has null":        {settings.Has("card"), false},
		"Known":           {settings.Known(), []string{"host/name", "password", "port", "remote", "user"}},
		"Unknown":         {settings.Unknown(), 1},
		"SentAs":          {[]string{settings.SentAs("host/name"), settings.SentAs("user"), settings.SentAs("pin")}, []string{"server~1", "username", "pin"}},
		"Public":          {string(settings.Public()), `{"port":9,"server~1":"Db.Example.COM."}`},
		"Principal":       {settings.Principal(), "door\x00db.example.com\x00port=9\x00user=u"},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
	var zero connector.Settings
	if n, sent := zero.Int("port"); n != 0 || sent || zero.Principal() != "" || zero.Has("port") || string(zero.Public()) != "{}" || zero.Text("user") != "" {
		t.Error("the zero Settings say something")
	}
}

func TestPrincipal(t *testing.T) {
	of := func(sent string) string {
		settings, faults := door().Check(jsontext.Value(sent))
		if len(faults) > 0 {
			t.Fatal(brief(faults))
		}
		return settings.Principal()
	}
	same := of(`{"host/name":"h.example","user":"u","password":"p"}`)
	for _, sent := range []string{
		`{"host/name":"H.Example.","user":"u","password":"p"}`,
		`{"server~1":"h.example","port":7,"username":"u","pass":"another"}`,
		`{"host/name":"h.example","port":"7","user":"u","password":"p","pin":"1"}`,
	} {
		if of(sent) != same {
			t.Errorf("%s is another account", sent)
		}
	}
	for _, sent := range []string{
		`{"host/name":"g.example","user":"u","password":"p"}`,
		`{"host/name":"h.example","port":8,"user":"u","password":"p"}`,
		`{"host/name":"h.example","user":"U","password":"p"}`,
	} {
		if of(sent) == same {
			t.Errorf("%s is the same account", sent)
		}
	}
	if p := of(`{"host/name":"h.example","card":{}}`); p != "" {
		t.Error("an account without a user has a name")
	}
	if strings.Contains(same, "p\x00p") || strings.Contains(same, "password") {
		t.Error("the password is in the account's name")
	}
}
