package catalogue_test

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/api/catalogue"
	"credence/shared/connector"
	"credence/shared/connector/builtin"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
)

var update = flag.Bool("update", false, "write the golden file anew")

// desk signs in whoever names the scopes of his key as the token.
type desk struct{}

func (desk) Authenticate(_ context.Context, bearer string, from identity.Origin, _ identity.Load) (identity.Caller, error) {
	if bearer == "nobody" {
		return identity.Caller{}, fault.New(fault.CodeUnauthenticated, "Sign in.")
	}
	return identity.Caller{KeyID: 1, Scopes: []access.Scope{access.Scope(bearer)}, Origin: from}, nil
}

func (desk) Denied(context.Context, identity.Caller, access.Refusal) error { return nil }

func serve(t *testing.T, types *connector.Registry) func(target, bearer string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := httpapi.Stack(httpapi.Config{SignIn: desk{}, Denials: desk{}, Logger: slog.New(slog.DiscardHandler)},
		catalogue.API{Types: types}.Routes())
	if err != nil {
		t.Fatal(err)
	}
	return func(target, bearer string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
}

func registry(t *testing.T) *connector.Registry {
	t.Helper()
	types, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	return types
}

func TestList(t *testing.T) {
	types := registry(t)
	get := serve(t, types)
	w := get("/credential_types", "read")
	list := jsontext.Value(w.Body.Bytes())
	if w.Code != http.StatusOK || list.Indent(jsontext.WithIndent("  ")) != nil {
		t.Fatalf("answers %d %s", w.Code, w.Body)
	}
	const file = "testdata/list.golden.json"
	got := string(list) + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference. Got:\n%s", file, got)
	}

	first := get("/credential_types?per_page=2", "read")
	second := get("/credential_types?page=2&per_page=2", "read")
	var rows, more []struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(first.Body.Bytes(), &rows) != nil || json.Unmarshal(second.Body.Bytes(), &more) != nil || len(rows) != 2 || len(more) == 0 {
		t.Fatalf("pages of two: %s and %s", first.Body, second.Body)
	}
	if all := types.All(); rows[0].Type != all[0].Name || more[0].Type != all[2].Name {
		t.Errorf("the pages begin with %s and %s", rows[0].Type, more[0].Type)
	}
	if first.Header().Get("X-Total-Count") != w.Header().Get("X-Total-Count") || w.Header().Get("X-Total-Count") == "" {
		t.Error("the pages tell another total than the list")
	}
	if w := get("/credential_types?per_page=0", "read"); w.Code != http.StatusBadRequest {
		t.Errorf("pages of none: %d", w.Code)
	}
}

// TestSchemas asks for each schema, whose text has golden files beside the list
// of types.
func TestSchemas(t *testing.T) {
	types := registry(t)
	get := serve(t, types)
	same := func(target string, want jsontext.Value) {
		t.Helper()
		if w := get(target, "read"); w.Code != http.StatusOK || w.Body.String() != string(want) || len(want) < 100 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	same("/data_credentials/schema", types.RequestSchema())
	for _, typ := range types.All() {
		same("/credential_types/"+typ.Name, typ.Schema())
	}
	for _, name := range []string{"pigeon", "S3", "s3%20", "1", "s3%2F", "%00", strings.Repeat("a", 3000)} {
		w := get("/credential_types/"+name, "read")
		var answer struct {
			Code fault.Code `json:"error_code"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusNotFound || answer.Code != fault.CodeNotFound {
			t.Errorf("%.20s: %d %s", name, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "pigeon") {
			t.Error("the answer repeats what was asked")
		}
	}
	if w := get("/credential_types/postgresql", "read"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "Did you mean postgres?") {
		t.Errorf("a name that is near to a type: %d %s", w.Code, w.Body)
	}
}

func TestWhoMayAsk(t *testing.T) {
	get := serve(t, registry(t))
	for _, target := range []string{"/credential_types", "/credential_types/s3", "/data_credentials/schema"} {
		for bearer, status := range map[string]int{
			"": http.StatusUnauthorized, "nobody": http.StatusUnauthorized, "write": http.StatusForbidden, "read": http.StatusOK,
		} {
			if w := get(target, bearer); w.Code != status {
				t.Errorf("%s as %q: %d, want %d", target, bearer, w.Code, status)
			}
		}
	}
}
