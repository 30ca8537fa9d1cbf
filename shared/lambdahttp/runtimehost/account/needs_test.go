//go:build linux

package account_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/envelope/kmstest"
	"credence/shared/lambdahttp/runtimehost/account"
)

// needs has, for each right that the template grants, an operation that does not
// work without it: function, table or key, action, operation.
var needs = [][4]string{
	{"TokenFunction", "MetaTable", "BatchGetItem", "say who is signed in"},
	{"TokenFunction", "MetaTable", "Query", "list keys"},
	{"TokenFunction", "MetaTable", "PutItem", "sign in"},
	{"TokenFunction", "MetaTable", "DeleteItem", "delete a key"},
	{"TokenFunction", "MetaTable", "ConditionCheckItem", "make a key"},
	{"TokenFunction", "AuditTable", "PutItem", "sign in"},

	{"TeamsFunction", "MetaTable", "BatchGetItem", "see a user"},
	{"TeamsFunction", "MetaTable", "Query", "list users"},
	{"TeamsFunction", "MetaTable", "PutItem", "make a team"},
	{"TeamsFunction", "MetaTable", "DeleteItem", "delete a team"},
	{"TeamsFunction", "MetaTable", "ConditionCheckItem", "rename another user"},
	{"TeamsFunction", "AuditTable", "BatchGetItem", "transfer what a user owns"},
	{"TeamsFunction", "AuditTable", "PutItem", "make a team"},

	{"CreateFunction", "MetaTable", "BatchGetItem", "create"},
	{"CreateFunction", "MetaTable", "PutItem", "create"},
	{"CreateFunction", "VaultTable", "PutItem", "create"},
	{"CreateFunction", "AuditTable", "PutItem", "create"},
	{"CreateFunction", "Key", "GenerateDataKey", "create"},

	{"GetFunction", "MetaTable", "BatchGetItem", "read"},
	{"GetFunction", "MetaTable", "Query", "list"},
	{"GetFunction", "AuditTable", "BatchGetItem", "read the audit log"},
	{"GetFunction", "AuditTable", "Query", "read the audit log"},
	{"GetFunction", "AuditTable", "PutItem", "be refused for want of a scope"},

	{"UpdateFunction", "MetaTable", "BatchGetItem", "change the name"},
	{"UpdateFunction", "MetaTable", "Query", "delete"},
	{"UpdateFunction", "MetaTable", "PutItem", "change the name"},
	{"UpdateFunction", "MetaTable", "DeleteItem", "delete"},
	{"UpdateFunction", "MetaTable", "ConditionCheckItem", "roll back"},
	{"UpdateFunction", "VaultTable", "PutItem", "change the secret"},
	{"UpdateFunction", "VaultTable", "DeleteItem", "delete"},
	{"UpdateFunction", "AuditTable", "BatchGetItem", "change the name"},
	{"UpdateFunction", "AuditTable", "PutItem", "change the name"},
	{"UpdateFunction", "Key", "GenerateDataKey", "change the secret"},

	{"ResourcesFunction", "MetaTable", "BatchGetItem", "read a data source"},
	{"ResourcesFunction", "MetaTable", "Query", "list data sources"},
	{"ResourcesFunction", "MetaTable", "PutItem", "create a data source"},
	{"ResourcesFunction", "MetaTable", "DeleteItem", "delete a data source"},
	{"ResourcesFunction", "VaultTable", "PutItem", "create a data source"},
	{"ResourcesFunction", "AuditTable", "BatchGetItem", "read a data source"},
	{"ResourcesFunction", "AuditTable", "Query", "read the log of a data source"},
	{"ResourcesFunction", "AuditTable", "PutItem", "create a data source"},
	{"ResourcesFunction", "Key", "GenerateDataKey", "create a data source"},

	{"RevealFunction", "MetaTable", "BatchGetItem", "reveal"},
	{"RevealFunction", "MetaTable", "PutItem", "copy"},
	{"RevealFunction", "MetaTable", "ConditionCheckItem", "reveal"},
	{"RevealFunction", "VaultTable", "BatchGetItem", "reveal"},
	{"RevealFunction", "VaultTable", "PutItem", "copy"},
	{"RevealFunction", "AuditTable", "PutItem", "reveal"},
	{"RevealFunction", "Key", "Decrypt", "reveal"},
	{"RevealFunction", "Key", "GenerateDataKey", "copy"},

	{"ProbeFunction", "MetaTable", "BatchGetItem", "probe"},
	{"ProbeFunction", "MetaTable", "Query", "switch to an eleventh version"},
	{"ProbeFunction", "MetaTable", "PutItem", "probe"},
	{"ProbeFunction", "MetaTable", "DeleteItem", "switch to an eleventh version"},
	{"ProbeFunction", "MetaTable", "ConditionCheckItem", "probe"},
	{"ProbeFunction", "VaultTable", "BatchGetItem", "probe"},
	{"ProbeFunction", "VaultTable", "PutItem", "switch to an eleventh version"},
	{"ProbeFunction", "VaultTable", "DeleteItem", "switch to an eleventh version"},
	{"ProbeFunction", "AuditTable", "BatchGetItem", "switch to an eleventh version"},
	{"ProbeFunction", "AuditTable", "PutItem", "probe"},
	{"ProbeFunction", "Key", "Decrypt", "probe"},
	{"ProbeFunction", "Key", "GenerateDataKey", "switch to an eleventh version"},

	{"AdminFunction", "MetaTable", "BatchGetItem", "add a key"},
	{"AdminFunction", "MetaTable", "Query", "add a key"},
	{"AdminFunction", "MetaTable", "PutItem", "add an organisation"},
	{"AdminFunction", "MetaTable", "DeleteItem", "delete a key of a user"},
	{"AdminFunction", "MetaTable", "ConditionCheckItem", "add a user"},
	{"AdminFunction", "VaultTable", "Query", "rewrap"},
	{"AdminFunction", "VaultTable", "PutItem", "rewrap"},
	{"AdminFunction", "AuditTable", "BatchGetItem", "check"},
	{"AdminFunction", "AuditTable", "Query", "check"},
	{"AdminFunction", "AuditTable", "PutItem", "add an organisation"},
	{"AdminFunction", "Key", "ReEncryptFrom", "rewrap"},
	{"AdminFunction", "Key", "ReEncryptTo", "rewrap"},
}

// operations are requests or commands, with the placeholders of events/.
var operations = map[string]operation{
	"say who is signed in":           {request: "GET /users/current"},
	"list keys":                      {request: "GET /service_keys"},
	"sign in":                        {request: "POST /token", key: true},
	"sign out":                       {request: "POST /token/logout"},
	"make a key":                     {request: "POST /service_keys", body: `{"name":"n"}`},
	"delete a key":                   {request: "DELETE /service_keys/${SERVICE_KEY}"},
	"see a user":                     {request: "GET /users/${USER}"},
	"list users":                     {request: "GET /users"},
	"rename another user":            {request: "PUT /users/${USER}", body: `{"full_name":"Another"}`},
	"make a team":                    {request: "POST /teams", body: `{"name":"needed ${USER}"}`},
	"delete a team":                  {request: "DELETE /teams/${TEAM}"},
	"create":                         {request: "POST /data_credentials", body: `{"name":"n","credentials_type":"rest","credentials":{"api_key":"k","base_url":"https://api.example.com/"}}`},
	"read":                           {request: "GET /data_credentials/${CREDENTIAL}"},
	"list":                           {request: "GET /data_credentials"},
	"read the audit log":             {request: "GET /data_credentials/${CREDENTIAL}/audit_log"},
	"be refused for want of a scope": {request: "GET /data_credentials/${CREDENTIAL}", scope: "use", want: "403 scope_missing"},
	"change the name":                {request: "PUT /data_credentials/${CREDENTIAL}", body: `{"name":"another"}`},
	"change the secret":              {request: "PUT /data_credentials/${CREDENTIAL}", body: `{"credentials":{"api_key":"three","base_url":"https://api.example.com/"}}`},
	"delete":                         {request: "DELETE /data_credentials/${CREDENTIAL}"},
	"roll back":                      {request: "POST /data_credentials/${CREDENTIAL}/rollback", body: `{"version":1}`},
	"create a data source":           {request: "POST /data_sources", body: `{"name":"n","data_credentials":{"credentials_type":"rest","credentials":{"api_key":"k","base_url":"https://api.example.com/"}}}`},
	"read a data source":             {request: "GET /data_sources/${SOURCE}"},
	"list data sources":              {request: "GET /data_sources"},
	"delete a data source":           {request: "DELETE /data_sources/${SOURCE}"},
	"read the log of a data source":  {request: "GET /data_sources/${SOURCE}/audit_log"},
	"transfer what a user owns":      {before: "${CREDENTIAL}", request: "PUT /users/${ADMIN}/transfer", body: `{"delegate_owner_id":${USER}}`},
	"reveal":                         {request: "GET /data_credentials/${CREDENTIAL}/credentials"},
	"copy":                           {request: "POST /data_credentials/${CREDENTIAL}/copy"},
	// This machine itself, which no probe may reach, but for which all is done
	// that comes before.
	"probe":                         {request: "POST /data_credentials/${CREDENTIAL}/probe", want: "400 DESTINATION_BLOCKED"},
	"switch to an eleventh version": {eleventh: true},
	"add an organisation":           {command: `{"action":"org add","name":"New","email":"a@new.example","another":true}`},
	"add a user":                    {command: `{"action":"user add","org":${ORG},"email":"needs@org0.example"}`},
	"delete a key of a user":        {command: `{"action":"key delete","org":${ORG},"key":${SERVICE_KEY}}`},
	"add a key":                     {command: `{"action":"key add","org":${ORG},"email":"admin@org0.example"}`},
	"check":                         {command: `{"action":"check","org":${ORG}}`},
	"rewrap":                        {command: `{"action":"rewrap","org":${ORG}}`},
}

// operation is what somebody does, and what comes of it.
type operation struct {
	before        string // placeholders of what must exist, besides those of the others
	request, body string
	key           bool   // signed in with the service key
	scope         string // with a key of this scope alone, "" = all
	eleventh      bool   // the one that takes ten requests before it
	command       string // of the admin function, in place of a request
	want          string // status and error code; "" = 200
}

// TestNeeds withholds each granted right and sees an operation fail that works
// with it. A right without a row fails, and so does a row without its right.
func TestNeeds(t *testing.T) {
	if os.Getenv(inside) == "" {
		elsewhere(t)
		return
	}
	open(t)
	kms := kmstest.New()
	old, current := kms.AddKey("44444444-4444-4444-8444-444444444444"), kms.AddKey("55555555-5555-4555-8555-555555555555")
	w := newWorld(t, reopen(t, kms, old, ""))
	// Over the same tables, with another key, so that there is something to move.
	moved := &world{account: reopen(t, kms, current, old), api: w.api, filler: w.filler}
	rows := map[account.Call]string{}
	for _, n := range needs {
		rows[account.Call{Function: n[0], Table: n[1], Action: n[2]}] = n[3]
	}
	for _, d := range w.account.Deployed() {
		for _, c := range granted(d) {
			name, found := rows[c]
			if !found {
				t.Errorf("granted, and no row says what for: %v", c)
				continue
			}
			delete(rows, c)
			t.Run(fmt.Sprintf("%s needs %s on %s to %s", d.Folder, c.Action, c.Table, name), func(t *testing.T) {
				if name == "rewrap" {
					moved.needs(t, c, operations[name])
					return
				}
				w.needs(t, c, operations[name])
			})
		}
	}
	for c := range rows {
		t.Errorf("has a row and is not granted: %v", c)
	}
}

// world is a deployment and somebody who uses it.
type world struct {
	account *account.Account
	api     string
	filler  *account.Filler
}

func newWorld(t *testing.T, a *account.Account) *world {
	t.Helper()
	front, err := a.Front()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(front)
	t.Cleanup(server.Close)
	return &world{account: a, api: server.URL, filler: account.NewFiller(a)}
}

// needs runs an operation without the right and with it.
func (w *world) needs(t *testing.T, c account.Call, o operation) {
	t.Helper()
	want := o.want
	if want == "" {
		want = "200"
	}
	send := w.prepare(t, o)
	restore := w.account.Withhold(c)
	without := send()
	restore()
	if without == want || !strings.HasPrefix(without, "503") && !strings.HasPrefix(without, "500") {
		t.Errorf("without the right it is answered %s", without)
	}
	if _, refused := w.account.Calls(); !slices.Contains(refused, c) {
		t.Error("it was not kept from what was withheld")
	}
	if with := w.prepare(t, o)(); with != want {
		t.Errorf("with the right it is answered %s, want %s", with, want)
	}
}

// prepare makes all that an operation builds on. What it returns does it and
// gives the status and the error code.
func (w *world) prepare(t *testing.T, o operation) func() string {
	t.Helper()
	if o.eleventh {
		id, token, body := tenVersions(t, w.api, w.filler)
		return func() string { return coded(send(t, "POST", w.api+"/data_credentials/"+id+"/versions", token, body)) }
	}
	if o.command != "" {
		payload := []byte(w.fill(t, o.command+"${CREDENTIAL}")) // one more to rewrap
		payload = payload[:strings.LastIndexByte(string(payload), '}')+1]
		return func() string {
			res, err := w.account.Invoke(t.Context(), "admin", payload)
			var out struct {
				Error string `json:"error"`
			}
			if err != nil || res.FunctionError != "" || json.Unmarshal(res.Payload, &out) != nil {
				t.Fatalf("%v: %s", err, res.Log)
			}
			if out.Error != "" {
				return "500 " + out.Error
			}
			return "200"
		}
	}
	sign := "Bearer " + w.fill(t, "${TOKEN}")
	switch {
	case o.key:
		sign = "Basic " + w.fill(t, "${KEY}")
	case o.scope != "":
		sign = "Bearer " + w.narrow(t, sign, o.scope)
	}
	w.fill(t, o.before)
	method, path, _ := strings.Cut(w.fill(t, o.request), " ")
	body := w.fill(t, o.body)
	return func() string { return coded(sendAs(t, method, w.api+path, sign, body)) }
}

func (w *world) fill(t *testing.T, text string) string {
	t.Helper()
	out, err := w.filler.Fill(t.Context(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// narrow signs in with a new key that holds one scope.
func (w *world) narrow(t *testing.T, sign, scope string) string {
	t.Helper()
	status, answer := sendAs(t, "POST", w.api+"/service_keys", sign, `{"name":"narrow","scopes":["`+scope+`"]}`)
	var made struct {
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(answer), &made); err != nil || made.Key == "" {
		t.Fatalf("no key was made: %d", status)
	}
	status, answer = sendAs(t, "POST", w.api+"/token", "Basic "+made.Key, "")
	var session struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer), &session); err != nil || session.Token == "" {
		t.Fatalf("no session was made: %d", status)
	}
	return session.Token
}

// coded is a status and, if there is one, the error code. The code of a probe
// is that of its result.
func coded(status int, answer string) string {
	var body struct {
		Code string `json:"error_code"`
	}
	if err := json.Unmarshal([]byte(answer), &body); err != nil || body.Code == "" {
		return fmt.Sprint(status)
	}
	return fmt.Sprint(status, " ", body.Code)
}
