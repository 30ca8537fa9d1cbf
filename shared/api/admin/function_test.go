package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/api/admin"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

// moving is a rewrapper that stops after three records.
type moving struct {
	err   error
	panic any
	asked []int // limits
}

func (m *moving) Org(ctx context.Context, _ int64, cursor string, limit int) (credential.Rewrapped, error) {
	m.asked = append(m.asked, limit)
	if m.panic != nil {
		panic(m.panic)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		return credential.Rewrapped{}, errors.New("no deadline")
	}
	return credential.Rewrapped{Moved: 3, Refused: []string{"1/1"}, Next: cursor + "x"}, m.err
}

type said struct {
	Error string `json:"error"`
	Code  string `json:"error_code"`
	Made  struct {
		Org int64  `json:"org_id"`
		Key string `json:"service_key"`
	} `json:"made"`
	Found struct {
		Next    int64 `json:"next"`
		Entries []struct {
			Event string `json:"event"`
		} `json:"entries"`
	} `json:"found"`
	Rewrap  map[string]any `json:"rewrap"`
	Check   map[string]any `json:"check"`
	Actions []string       `json:"actions"`
}

func newFunction(t *testing.T, m *moving, with ...admin.Inspector) (func(event string) said, *bytes.Buffer) {
	t.Helper()
	s, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	log := &bytes.Buffer{}
	f := admin.Function{
		API:       admin.API{Identity: identity.New(s, audit.Journal{}, time.Now), Store: s},
		Rewrapper: m, Logger: slog.New(slog.NewJSONHandler(log, nil)),
	}
	for _, i := range with {
		f.Inspector = i
	}
	return func(event string) said {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := f.Invoke(ctx, []byte(event))
		if err != nil {
			t.Fatalf("an error for the runtime: %v", err)
		}
		var s said
		if err := json.Unmarshal(out, &s); err != nil {
			t.Fatalf("the answer is no JSON: %v", err)
		}
		return s
	}, log
}

func TestFunctionMakes(t *testing.T) {
	invoke, log := newFunction(t, &moving{})
	made := invoke(`{"action":"org add","name":"One","email":"a@one.example"}`)
	if made.Error != "" || made.Made.Org == 0 || !strings.HasPrefix(made.Made.Key, "crk_") {
		t.Fatalf("org add: error %q, org %d", made.Error, made.Made.Org)
	}
	for _, event := range []string{
		`{"action":"user add","email":"b@one.example"}`,
		`{"action":"key add","email":"a@one.example"}`,
	} {
		if got := invoke(event); got.Error != "" || got.Made.Org != made.Made.Org || got.Made.Key == made.Made.Key {
			t.Errorf("%s: error %q, org %d, want another key in org %d", event, got.Error, got.Made.Org, made.Made.Org)
		}
	}
	if strings.Contains(log.String(), "crk_") {
		t.Error("a service key is in the log")
	}
	for _, action := range []string{"org add", "user add", "key add"} {
		if want := fmt.Sprintf(`"action":%q,"org":%d}`, action, made.Made.Org); strings.Count(log.String(), want) != 1 {
			t.Errorf("the log has not one line with %s: %s", want, log)
		}
	}
	if invoke(`{"action":"org show","org":7}`); strings.Count(log.String(), "There is no organisation 7.") != 1 {
		t.Errorf("the log has the cause of an error more than once: %s", log)
	}
}

// TestFunctionReadsTheAudit pages through an organisation's log, newest first.
func TestFunctionReadsTheAudit(t *testing.T) {
	invoke, _ := newFunction(t, &moving{})
	invoke(`{"action":"org add","name":"One","email":"a@one.example"}`)
	invoke(`{"action":"org set","audit_days":90}`)
	for _, want := range [][]string{{"org_updated"}, {"key_created", "user_created"}} {
		first := invoke(`{"action":"audit","events":["` + strings.Join(want, `","`) + `"],"limit":1}`)
		if len(first.Found.Entries) != 1 || first.Found.Entries[0].Event != want[0] {
			t.Errorf("%q: %+v", want, first)
		}
		if more := first.Found.Next != 0; more {
			rest := invoke(fmt.Sprintf(`{"action":"audit","events":["!org_updated"],"after":%d}`, first.Found.Next))
			if rest.Error != "" || rest.Found.Next != 0 {
				t.Errorf("the rest: %+v", rest)
			}
		}
	}
	for _, event := range []string{
		`{"action":"audit","events":["explode"]}`, `{"action":"audit","from":"today"}`, `{"action":"audit","from":"2026-02-02","to":"2026-02-01"}`, `{"action":"audit","limit":1001}`,
		`{"action":"org set"}`, `{"action":"org set","audit_days":0}`, `{"action":"org set","audit_days":-1}`, `{"action":"org set","audit_days":36501}`,
	} {
		if got := invoke(event); got.Code != "invalid_request" {
			t.Errorf("%s: %+v", event, got)
		}
	}
}

func TestFunctionRewraps(t *testing.T) {
	m := &moving{}
	invoke, log := newFunction(t, m)
	invoke(`{"action":"org add","name":"One"}`)
	got := invoke(`{"action":"rewrap","cursor":"c","limit":7}`)
	if got.Error != "" || got.Rewrap["moved"] != 3.0 || got.Rewrap["next"] != "cx" || len(m.asked) != 1 || m.asked[0] != 7 {
		t.Errorf("rewrap: %+v, asked %v", got, m.asked)
	}
	if !strings.Contains(log.String(), `"code":"INTEGRITY"`) {
		t.Error("a refused record is not in the log")
	}
	m.err = errors.New("the key service's own words")
	got = invoke(`{"action":"rewrap"}`)
	if got.Code != "internal" || got.Rewrap["next"] != "x" || strings.Contains(got.Error, "own words") {
		t.Errorf("a rewrap that ends early: %+v, want its place and no cause", got)
	}
	m.panic = "secret text"
	got = invoke(`{"action":"rewrap"}`)
	if got.Code != "internal" || strings.Contains(log.String(), "secret text") {
		t.Errorf("a panic: %+v; its value in the log: %v", got, strings.Contains(log.String(), "secret text"))
	}
}

// looking is an inspector that finds one fault and stops.
type looking struct{ cursor string }

func (l *looking) Org(_ context.Context, org int64, cursor string, limit int) (credential.Inspected, error) {
	l.cursor = cursor
	key := store.Key{Table: store.Meta, Partition: fmt.Sprintf("ORG#%d", org), Sort: "CRED#1"}
	return credential.Inspected{
		Credentials: limit, Next: cursor + "x",
		Findings: []identity.Finding{{Key: key, Problem: "The row is wrong.", Remedy: "Restore it."}},
	}, errors.New("the store's own words")
}

func TestFunctionChecks(t *testing.T) {
	l := &looking{}
	invoke, log := newFunction(t, &moving{}, l)
	made := invoke(`{"action":"org add","name":"One"}`)
	got := invoke(`{"action":"check","cursor":"c","limit":7}`)
	findings, _ := got.Check["findings"].([]any)
	if got.Code != "internal" || strings.Contains(got.Error, "own words") || l.cursor != "c" || got.Check["next"] != "cx" || got.Check["credentials"] != 7.0 || len(findings) != 1 {
		t.Fatalf("check: %+v", got)
	}
	want := map[string]any{"where": fmt.Sprintf("meta ORG#%d CRED#1", made.Made.Org), "problem": "The row is wrong.", "remedy": "Restore it."}
	if !reflect.DeepEqual(findings[0], want) {
		t.Errorf("finding %v, want %v", findings[0], want)
	}
	if !strings.Contains(log.String(), `"findings":1`) {
		t.Error("the findings are not in the log")
	}
	if got := invoke(`{"action":"check","limit":1001}`); got.Code != "invalid_request" {
		t.Errorf("too large a limit: %+v", got)
	}
}

// down is a store that is not reached.
type down struct{ store.Store }

func (down) Get(context.Context, ...store.Key) ([]store.Item, error) {
	return nil, store.ErrUnavailable
}

func (down) Range(context.Context, store.Range) (store.Page, error) {
	return store.Page{}, store.ErrUnavailable
}
func (down) Commit(context.Context, ...store.Write) error { return store.ErrUnavailable }

// TestFunctionWithoutItsStore gives every action while the store is not reached.
func TestFunctionWithoutItsStore(t *testing.T) {
	f := admin.Function{
		API:       admin.API{Identity: identity.New(down{}, audit.Journal{}, time.Now), Store: down{}},
		Inspector: credential.Inspector{Store: down{}}, Rewrapper: credential.Rewrapper{Store: down{}},
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, action := range append(admin.Actions(), admin.Rewrap, admin.Check) {
		out, err := f.Invoke(t.Context(), fmt.Appendf(nil, `{"action":%q,"org":1,"name":"One","email":"a@one.example","key":1,"audit_days":90}`, action))
		var s said
		if err := errors.Join(err, json.Unmarshal(out, &s)); err != nil {
			t.Fatal(err)
		}
		if s.Code != "store_unavailable" || strings.Contains(s.Error, "internal") {
			t.Errorf("%s: %+v", action, s)
		}
	}
}

func TestFunctionRefuses(t *testing.T) {
	invoke, log := newFunction(t, &moving{})
	for name, event := range map[string]string{
		"no JSON":        `{"action":`,
		"not a command":  `[]`,
		"unknown member": `{"action":"org add","secret":"canary"}`,
		"member twice":   `{"action":"org add","action":"org add"}`,
		"no action":      `{}`,
		"other action":   `{"action":"canary"}`,
		"limit":          `{"action":"rewrap","limit":1001}`,
		"no org":         `{"action":"key add","email":"a@b.example"}`,
		"bad address":    `{"action":"org add","name":"x","email":"no address"}`,
	} {
		got := invoke(event)
		if got.Error == "" || got.Code == "" || got.Code == "internal" || got.Made.Key != "" {
			t.Errorf("%s: %+v, want a fault of the caller", name, got)
		}
		if name == "other action" && len(got.Actions) != len(admin.Actions())+2 {
			t.Errorf("%s: lists %v", name, got.Actions)
		}
	}
	if strings.Contains(log.String(), "canary") {
		t.Error("the log repeats the event")
	}
}
