package credentials

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/kmstest"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store/embedded"
)

// accepting stands for a system that takes any secret. It cannot be looked
// into.
type accepting struct{ credential.Runner }

func (accepting) Run(context.Context, string, probe.Settings) probe.Result {
	return probe.Result{Verdict: probe.Valid, Code: probe.CodeOK, Status: 200, CheckedAt: time.Now()}
}

func TestAProbeThatIsAskedForLater(t *testing.T) {
	s, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	types, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	people := identity.New(s, audit.Journal{}, time.Now)
	token := signedIn(t, people)
	const kmsKey = "11111111-1111-4111-8111-111111111111"
	kms := kmstest.New(kmsKey)
	service := credential.Service{Store: s, Types: types, Now: time.Now}
	tester := credential.Tester{
		Service: service, Keys: kms.Caller(kmstest.Decrypt, kmsKey), Runner: accepting{},
		Failed: func(_ credential.Credential, code probe.Code, err error) { t.Errorf("%s: %v", code, err) },
	}
	h, err := httpapi.Stack(
		httpapi.Config{SignIn: people, Denials: audit.Refusals{Store: s, Now: time.Now}, Logger: slog.New(slog.DiscardHandler)},
		Creating{Editor: credential.Editor{Service: service, Keys: kms.Caller(kmstest.GenerateDataKey, kmsKey)}}.Routes(),
		Probing{Tester: tester}.Routes())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(want int, method, path, body string) string {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	made := ask(http.StatusOK, "POST", "/data_credentials", `{"name":"n","credentials_type":"rest","credentials":{"api_key":"k","base_url":"https://api.example.com"}}`)
	path := "/data_credentials/" + regexp.MustCompile(`"id":(\d+)`).FindStringSubmatch(made)[1] + "/probe"
	pending := ask(http.StatusOK, "GET", path+"?async=True", "")
	number := regexp.MustCompile(`^\{"status":"pending","request_id":(\d+),"request_started_at":"[^"]+"\}$`).FindStringSubmatch(pending)
	if number == nil {
		t.Fatalf("answers %s", pending)
	}
	done := ask(http.StatusOK, "GET", path+"?request_id="+number[1], "")
	for _, want := range []string{`"status":"completed"`, `"result":{"status":"ok"`, `"response":{"status":"ok"`, `"request_id":` + number[1]} {
		if !strings.Contains(done, want) {
			t.Errorf("%s says nothing of %s", done, want)
		}
	}
	ask(http.StatusNotFound, "GET", path+"?request_id=7", "")
	ask(http.StatusBadRequest, "GET", path+"?request_id=x&async=maybe", "")
	ask(http.StatusTooManyRequests, "GET", path+"?async=true", "")
}

func signedIn(t *testing.T, people *identity.Service) string {
	t.Helper()
	made, err := people.CreateOrg(t.Context(), identity.Org{Name: "Org", EmailDomain: "example.com"}, identity.User{Email: "owner@example.com", FullName: "Owner"}, false)
	if err != nil {
		t.Fatal(err)
	}
	session, err := people.SignIn(t.Context(), made.Text, identity.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	return session.Token
}
