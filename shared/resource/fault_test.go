package resource_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/kmstest"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/jsontree"
	"credence/shared/resource"
	"credence/shared/store"
	"credence/shared/store/embedded"
	"credence/shared/store/storetest"
)

// world is a service on a real store, with two credentials of one owner.
type world struct {
	*testing.T
	store         *storetest.Faulty
	service       resource.Service
	owner, heir   identity.Caller
	first, second int64
	source        int64 // uses the first credential
}

func newWorld(t *testing.T) *world {
	t.Helper()
	kept, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	return newWorldOver(t, kept)
}

func newWorldOver(t *testing.T, kept store.Store) *world {
	t.Helper()
	w := &world{T: t, store: storetest.NewFaulty(kept)}
	types, err := builtin.Registry()
	w.must(err)
	kms := kmstest.New("current")
	w.service = resource.Service{Credentials: credential.Editor{
		Service: credential.Service{Store: w.store, Types: types, Now: time.Now}, Keys: kms.Caller(kmstest.GenerateDataKey, "current"),
	}}
	people := identity.New(w.store, audit.Journal{}, time.Now)
	made, err := people.CreateOrg(t.Context(), identity.Org{Name: "Example", EmailDomain: "example.com"}, identity.User{Email: "a@example.com"}, false)
	w.must(err)
	w.owner = identity.Caller{Org: made.Org, User: made.User, KeyID: 7, Scopes: access.Scopes}
	other, err := people.CreateUser(t.Context(), made.Org, identity.User{Email: "b@example.com"})
	w.must(err)
	w.heir = identity.Caller{Org: made.Org, User: other.User, KeyID: 8, Scopes: access.Scopes}
	for _, id := range []*int64{&w.first, &w.second} {
		v, err := w.service.Credentials.Create(t.Context(), w.owner, w.draft(), credential.Idempotency{})
		w.must(err)
		*id = v.ID
	}
	v, err := w.service.Create(t.Context(), w.owner, resource.Source, resource.Draft{Name: new("source"), Credential: &w.first}, identity.Idempotency{})
	w.must(err)
	w.source = v.ID
	w.store.Reset()
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) draft() credential.Draft {
	w.Helper()
	secret, err := jsontree.Parse([]byte(`{"api_key":"k3y-value","base_url":"https://api.example.com/"}`), jsontree.Limits{Depth: 4, Parts: 10})
	w.must(err)
	return credential.Draft{Name: new("credential"), Type: new("rest"), Credentials: secret}
}

func (w *world) load(ctx context.Context, id int64) (*resource.Load, error) {
	var l resource.ForSource
	l.Of(id)
	rows, err := w.store.Get(ctx, l.Keys(w.owner.Org.ID)...)
	if err == nil {
		l.Fill(rows)
	}
	return &l.Load, err
}

// task is one operation, whose calls of the store are to fail.
type task struct {
	name   string
	routes []string // that do it; a test of shared/architecture requires a task for each route
	do     func(ctx context.Context, w *world) error
	batch  bool // each of its commits is whole by itself, and a repetition continues
	// again are the answers to a repeat of what was done before, besides success.
	again []fault.Code
}

var once = identity.Idempotency{Key: "0123456789abcdef", Body: []byte("{}")}

// on makes an operation on the source.
func on(do func(ctx context.Context, w *world, l *resource.Load) error) func(context.Context, *world) error {
	return func(ctx context.Context, w *world) error {
		l, err := w.load(ctx, w.source)
		if err != nil {
			return err
		}
		return do(ctx, w, l)
	}
}

func only[T any](_ T, err error) error { return err }

var tasks = []task{
	{name: "create", routes: []string{"POST /data_sources", "POST /data_sinks"}, do: func(ctx context.Context, w *world) error {
		return only(w.service.Create(ctx, w.owner, resource.Sink, resource.Draft{Name: new("made"), Credential: &w.second}, once))
	}},
	{name: "create inline", do: func(ctx context.Context, w *world) error {
		return only(w.service.Create(ctx, w.owner, resource.Sink, resource.Draft{Name: new("made"), Inline: new(w.draft())}, once))
	}},
	{name: "change", routes: []string{"PUT /data_sources/{id}", "PUT /data_sinks/{id}"}, do: on(func(ctx context.Context, w *world, l *resource.Load) error {
		config := jsontext.Value(`{"path":"in/"}`)
		return only(w.service.Update(ctx, w.owner, l, resource.Draft{Name: new("changed"), Config: &config}))
	})},
	{name: "move", do: on(func(ctx context.Context, w *world, l *resource.Load) error {
		return only(w.service.Update(ctx, w.owner, l, resource.Draft{Credential: &w.second}))
	})},
	{name: "pause", routes: []string{
		"PUT /data_sources/{id}/pause", "PUT /data_sinks/{id}/pause", "PUT /data_sources/{id}/activate", "PUT /data_sinks/{id}/activate",
	}, do: on(func(ctx context.Context, w *world, l *resource.Load) error {
		return only(w.service.SetStatus(ctx, w.owner, l, resource.Paused))
	})},
	{name: "copy", routes: []string{"POST /data_sources/{id}/copy", "POST /data_sinks/{id}/copy"}, do: on(func(ctx context.Context, w *world, l *resource.Load) error {
		return only(w.service.Copy(ctx, w.owner, l, once))
	})},
	{name: "delete", routes: []string{"DELETE /data_sources/{id}", "DELETE /data_sinks/{id}"}, again: []fault.Code{fault.CodeNotFound}, do: on(func(ctx context.Context, w *world, l *resource.Load) error {
		return w.service.Delete(ctx, w.owner, l)
	})},
	{name: "transfer", batch: true, routes: []string{"PUT /users/{id}/transfer", "POST /users/{id}/transfer"}, do: func(ctx context.Context, w *world) error {
		admin := w.owner
		admin.User.Admin = true
		m, err := w.service.TransferAll(ctx, admin, w.owner.User.ID, resource.Heir{User: w.heir.User.ID})
		if err == nil && !m.Done {
			w.Error("something is left")
		}
		return err
	}},
}

// facts are what a person can observe of credentials and resources, without ids and
// times.
func (w *world) facts() string {
	w.Helper()
	var list []string
	for k, i := range w.store.Everything(w.T) {
		kind, _, _ := strings.Cut(k.Sort, "#")
		fact := string(k.Table) + " " + kind
		for _, name := range []string{"name", "type", "status", "config", "refs", "owner", "held", "event", "n"} {
			if v, ok := i.Attributes[name]; ok {
				fact += fmt.Sprintf(" %s=%v", name, v)
			}
		}
		list = append(list, fact)
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// TestEveryCallOfEveryOperation has each call that an operation makes of the store
// meet each mishap: afterwards all of the operation is done or none of it, the answer
// says which, and a repeat completes it.
func TestEveryCallOfEveryOperation(t *testing.T) {
	for _, o := range tasks {
		w := newWorld(t)
		w.must(o.do(t.Context(), w))
		for f, what := range storetest.Mishaps() {
			t.Run(o.name+" "+f, func(t *testing.T) {
				nth := 1
				for o.broken(t, nth, what, strings.Count(w.facts(), "\n")) {
					nth++
				}
				if nth < 2 {
					t.Error("no call was met")
				}
			})
		}
	}
}

// broken does the operation with a mishap at its nth call. It reports false if the
// operation makes fewer calls. rows counts the rows after the operation.
func (o task) broken(t *testing.T, nth int, what storetest.Mishap, rows int) bool {
	t.Helper()
	w := newWorld(t)
	before := w.facts()
	do := func(ctx context.Context) error { return o.do(ctx, w) }
	w.store.Plan(nth, what, nil)
	err, ended := w.store.Run(do)
	if !w.store.Happened() {
		return false
	}
	w.store.Reset()
	now := w.facts()
	unknown, rival := errors.Is(err, store.ErrOutcomeUnknown), what == storetest.Overtaken || what == storetest.Contended
	switch {
	case now != before && strings.Count(now, "\n") != rows && !o.batch:
		t.Errorf("call %d: half made:\n%s", nth, now)
	case ended && rival && err != nil && !errors.Is(err, storetest.ErrAway):
		t.Errorf("call %d: one rival is answered with %v", nth, err)
	case ended && !unknown && (err == nil) != (now != before) && !o.batch:
		t.Errorf("call %d: answered %v, stored\n%s", nth, err, now)
	case err != nil && !unknown && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.Canceled):
		t.Errorf("call %d: answered %v", nth, err)
	}
	err, _ = w.store.Run(do)
	var said *fault.Error
	if err != nil && (now == before || !errors.As(err, &said) || !slices.Contains(o.again, said.Code)) {
		t.Errorf("call %d: repeated: %v", nth, err)
	}
	if again := strings.Count(w.facts(), "\n"); again != rows {
		t.Errorf("call %d: repeated: %d rows, want %d", nth, again, rows)
	}
	return true
}

// TestInspect: what the operations leave behind is without findings, and each row that
// is missing is found.
func TestInspect(t *testing.T) {
	w := newWorld(t)
	for _, o := range slices.Concat(tasks[:1], tasks[2:5]) { // the others use the same idempotency key
		w.must(o.do(t.Context(), w))
	}
	inspect := func() []identity.Finding {
		list, err := resource.Inspect(t.Context(), w.store, w.owner.Org.ID)
		w.must(err)
		more, err := credential.Inspector{Store: w.store}.Org(t.Context(), w.owner.Org.ID, "", 100)
		w.must(err)
		return append(list, more.Findings...)
	}
	if found := inspect(); len(found) > 0 {
		t.Fatalf("findings: %v", found)
	}
	for k, item := range w.store.Everything(t) {
		kind, _, _ := strings.Cut(k.Sort, "#")
		entry := k.Table == store.Audit && kind == "E" && !strings.Contains(k.Partition, "#DAY#")
		if kind != "SRC" && kind != "SNK" && kind != "REF" && !entry {
			continue
		}
		w.must(w.store.Commit(t.Context(), store.Write{Verb: store.Delete, Item: store.Item{Key: k}, If: store.Always()}))
		if len(inspect()) == 0 {
			t.Errorf("without %s %s nothing is found", k.Partition, k.Sort)
		}
		w.must(w.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: item, If: store.Always()}))
	}
}
