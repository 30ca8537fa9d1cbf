package httpapi_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"credence/shared/envelope"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

func failing(err error) httpapi.Route {
	return httpapi.Route{
		Pattern: "GET /things/{id}", Public: true, Resource: "Thing",
		Handle: func(context.Context, *httpapi.Request) (httpapi.Answer, error) { return httpapi.Answer{}, err },
	}
}

// TestErrors pins what every kind of error becomes. The golden file holds the
// whole answers.
func TestErrors(t *testing.T) {
	canary := errors.New("canary")
	inUse := fault.New(fault.CodeInUse, "Data credentials in use")
	inUse.References = &fault.References{DataSources: []int64{4, 5}}
	rows := []struct {
		name   string
		err    error
		status int
		code   fault.Code
		retry  string
	}{
		{"unknown", canary, 500, fault.CodeInternal, ""},
		{"a code that is none", fault.New("made_up", "canary"), 500, fault.CodeInternal, ""},
		{"too large for the store", store.ErrTooLarge, 500, fault.CodeInternal, ""},
		{"refused by the store", store.ErrInvalid, 500, fault.CodeInternal, ""},
		{"outcome unknown", fmt.Errorf("canary: %w", store.ErrOutcomeUnknown), 500, fault.CodeOutcomeUnknown, ""},
		{"store away", fmt.Errorf("canary: %w", store.ErrUnavailable), 503, fault.CodeStoreUnavailable, "2"},
		{"store too slow", errors.Join(store.ErrUnavailable, context.DeadlineExceeded), 503, fault.CodeStoreUnavailable, "2"},
		{"lost after a deadline", errors.Join(context.DeadlineExceeded, store.ErrOutcomeUnknown), 500, fault.CodeOutcomeUnknown, ""},
		{"a damaged item", fmt.Errorf("canary: %w", store.ErrDamaged), 500, fault.CodeIntegrity, ""},
		{"a store that cannot be read", fmt.Errorf("canary: %w: %w", store.ErrUnavailable, store.ErrDamaged), 503, fault.CodeStoreUnavailable, "2"},
		{"kms away", fmt.Errorf("canary: %w", envelope.ErrKMSUnavailable), 503, fault.CodeKMSUnavailable, "2"},
		{"does not open", fmt.Errorf("canary: %w", envelope.ErrOpen), 500, fault.CodeIntegrity, ""},
		{"conflict", fmt.Errorf("canary: %w", store.ErrConflict), 409, fault.CodeConflict, ""},
		{"condition", fmt.Errorf("canary: %w", &store.ConditionError{Failed: []int{0}}), 409, fault.CodeConflict, ""},
		{"deadline", fmt.Errorf("canary: %w", context.DeadlineExceeded), 503, fault.CodeStoreUnavailable, "2"},
		{"gone client", context.Canceled, 503, fault.CodeStoreUnavailable, "2"},
		{"a fault in front of its cause", fault.New(fault.CodeLimitReached, "Too many.").Because(store.ErrUnavailable), 400, fault.CodeLimitReached, ""},
		{"wait", fault.New(fault.CodeTooManyRequests, "Wait.").After(1001 * time.Millisecond), 429, fault.CodeTooManyRequests, "2"},
		{"not found, whatever it says", fault.New(fault.CodeNotFound, "It belongs to somebody else."), 404, fault.CodeNotFound, ""},
		{"signed out, whatever it says", fault.New(fault.CodeUnauthenticated, "The key is paused."), 401, fault.CodeUnauthenticated, ""},
		{"in use", inUse, 405, fault.CodeInUse, ""},
		{"several details", fault.Invalid([]fault.Detail{
			{Pointer: "/name", Code: fault.DetailRequired, Message: "One."}, {Pointer: "/tags/0", Code: fault.DetailTooLong, Message: "Two."},
		}), 400, fault.CodeInvalidRequest, ""},
		{"of another resource", fault.New(fault.CodeForbidden, "No.").On("Other", 9), 403, fault.CodeForbidden, ""},
		{"not UTF-8", fault.New(fault.CodeConflict, "\xff"), 500, "internal", ""},
	}
	var golden strings.Builder
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newKit(t, failing(row.err)).send("GET", "/things/3", "")
			wants(t, w, row.status, string(row.code))
			if got := w.Header().Get("Retry-After"); got != row.retry {
				t.Errorf("Retry-After %q, want %q", got, row.retry)
			}
			if got := w.Header().Get("WWW-Authenticate"); (got == "Bearer") != (row.status == 401) {
				t.Errorf("WWW-Authenticate %q with %d", got, row.status)
			}
			if strings.Contains(w.Body.String(), "canary") {
				t.Error("the cause is shown")
			}
			fmt.Fprintf(&golden, "%s\n  %d %s\n", row.name, w.Code, w.Body.String())
		})
	}
	for code, status := range fault.Codes {
		w := newKit(t, failing(fault.New(code, "Do this."))).send("GET", "/things/3", "")
		wants(t, w, status, string(code))
	}
	compareGolden(t, "testdata/errors.golden", golden.String())
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update and read the difference):\n%s", path, got)
	}
}

func TestANotFoundLooksTheSameWhateverTheReason(t *testing.T) {
	byID := httpapi.Route{
		Pattern: "GET /things/{id}", Public: true, Resource: "Thing",
		Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
			n, err := r.ID("id")
			if err != nil {
				return httpapi.Answer{}, err
			}
			return httpapi.Answer{}, fault.New(fault.CodeNotFound, "of another organisation").On("Thing", n)
		},
	}
	k := newKit(t, byID)
	unknown := wants(t, k.send("GET", "/things/12", ""), 404, "not_found")
	if unknown["resource_id"] != 12.0 {
		t.Errorf("resource_id is %v", unknown["resource_id"])
	}
	for _, id := range []string{"0", "-1", "+1", "01", "1.0", "1e3", "x", "9007199254740992", "99999999999999999999", "%20", "1%00", "a%2Fb", "١"} {
		body := wants(t, k.send("GET", "/things/"+id, ""), 404, "not_found")
		if body["resource_id"] != nil {
			t.Errorf("%s: resource_id is %v", id, body["resource_id"])
		}
		for name, want := range unknown {
			if got := body[name]; name != "resource_id" && fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %s is %v, for an unknown id %v", id, name, got, want)
			}
		}
	}
	last := wants(t, k.send("GET", "/things/9007199254740991", ""), 404, "not_found")
	if fmt.Sprintf("%.0f", last["resource_id"]) != "9007199254740991" {
		t.Errorf("the largest id reads as %v", last["resource_id"])
	}
}
