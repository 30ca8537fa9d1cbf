package credentials

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/probe"
)

// nobody signs in and refuses.
type nobody struct{}

func (nobody) Authenticate(context.Context, string, identity.Origin, identity.Load) (identity.Caller, error) {
	return identity.Caller{}, nil
}

func (nobody) Denied(context.Context, identity.Caller, access.Refusal) error { return nil }

// Names of other systems are kept as they were sent, and have a limit.
func TestPlace(t *testing.T) {
	const decomposed = "e\u0301t\u00e9\u2028"
	long := strings.Repeat("é", 1024)
	for body, want := range map[string]probe.Place{
		`{"path":"` + decomposed + `"}`:             {Path: decomposed},
		`{"database":" d ","table":"` + long + `"}`: {Database: " d ", Table: long},
		`{"path":null,"database":"","table":null}`:  {},
	} {
		var got probe.Place
		var fault error
		h, err := httpapi.Stack(httpapi.Config{SignIn: nobody{}, Denials: nobody{}, Logger: slog.New(slog.DiscardHandler)}, []httpapi.Route{{
			Pattern: "POST /look", Needs: access.SignedIn, Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
				o, err := r.Body(probe.AskedPath, probe.AskedDatabase, probe.AskedTable)
				if err == nil {
					got = place(o)
					fault = o.Err()
				}
				return httpapi.Answer{}, err
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/look", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer any")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != want || fault != nil {
			t.Errorf("%s: %+v, %v", body, got, fault)
		}
	}
}

// Released clients give up after ten seconds: whatever reaches a system is
// answered in eight.
func TestWhatProbesIsAnsweredInTime(t *testing.T) {
	for _, r := range (Probing{}).Routes() {
		if r.Within < probe.Budget || r.Within > 8*time.Second {
			t.Errorf("%s takes up to %v", r.Pattern, r.Within)
		}
	}
}
