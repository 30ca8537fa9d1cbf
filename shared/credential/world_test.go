package credential_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/connector"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/kmstest"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/jsontree"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/embedded"
	"credence/shared/store/storetest"
)

// password is the secret of every credential that a test does not name
// otherwise; the canary tests look for it.
const password = "c4nary-Vk3pQz9LmT7w"

// world is a service on a real store, with a key service that enforces the
// rights of each function, and people of two organisations.
type world struct {
	*testing.T
	store    *storetest.Faulty
	kms      *kmstest.KMS
	clock    *clock
	people   *identity.Service
	prober   *scripted
	service  credential.Service
	editor   credential.Editor
	revealer credential.Revealer
	tester   credential.Tester
	switcher credential.Switcher
	copier   credential.Copier
	alarms   []probe.Code
	created  int

	owner, admin, member, heir identity.Caller // of one organisation
	stranger, strangersAdmin   identity.Caller // of another
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOver(t, func(now func() time.Time) store.Store {
		kept, err := embedded.Open(t.TempDir(), embedded.WithClock(now))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = kept.Close() })
		return kept
	})
}

// newWorldOver is newWorld over the store that open makes.
func newWorldOver(t *testing.T, open func(now func() time.Time) store.Store) *world {
	t.Helper()
	w := &world{T: t, clock: &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	w.store = storetest.NewFaulty(open(w.clock.peek))
	w.kms = kmstest.New("current")
	w.people = identity.New(w.store, audit.Journal{}, w.clock.Now)
	types, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	w.prober = &scripted{world: w, code: probe.CodeOK}
	w.service = credential.Service{Store: w.store, Types: types, Now: w.clock.Now}
	w.editor = credential.Editor{Service: w.service, Keys: w.kms.Caller(kmstest.GenerateDataKey, "current")}
	w.revealer = credential.Revealer{Service: w.service, Keys: w.kms.Caller(kmstest.Decrypt, "current")}
	w.tester = credential.Tester{
		Service: w.service, Keys: w.kms.Caller(kmstest.Decrypt, "current"), Runner: w.prober,
		Failed: func(_ credential.Credential, code probe.Code, _ error) { w.alarms = append(w.alarms, code) },
	}
	w.switcher = credential.Switcher{Editor: w.editor, Tester: w.tester}
	w.copier = credential.Copier{Editor: w.editor, Keys: w.kms.Caller(kmstest.Decrypt, "current")}
	ours, theirs := w.makeOrg("Example"), w.makeOrg("Other")
	w.owner, w.admin = w.makeCaller(ours, "owner", false), w.makeCaller(ours, "admin", true)
	w.member, w.heir = w.makeCaller(ours, "member", false), w.makeCaller(ours, "heir", false)
	w.stranger, w.strangersAdmin = w.makeCaller(theirs, "stranger", false), w.makeCaller(theirs, "admin", true)
	w.store.Reset()
	return w
}

func (w *world) makeOrg(name string) identity.Org {
	w.Helper()
	made, err := w.people.CreateOrg(context.Background(), identity.Org{Name: name, EmailDomain: "example.com"}, identity.User{Email: "first@example.com"}, false)
	w.must(err)
	return made.Org
}

func (w *world) makeCaller(o identity.Org, name string, admin bool) identity.Caller {
	w.Helper()
	made, err := w.people.CreateUser(context.Background(), o, identity.User{
		Email: name + "@example.com", FullName: "The " + name, Admin: admin,
	})
	w.must(err)
	u := made.User
	return identity.Caller{
		Org: o, User: u, KeyID: u.ID + 1, Scopes: access.Scopes,
		Origin: identity.Origin{IP: "127.0.0.1", UserAgent: "test", URL: "/data_credentials", RequestID: "r"},
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// signIn is the one read that signs a request in whose route loads nothing.
func (w *world) signIn(who identity.Caller) {
	w.Helper()
	_, err := w.store.Get(context.Background(), identity.UserKey(who.Org.ID, who.User.ID))
	w.must(err)
}

// load is signIn with what the route of one credential loads.
func load[T any, L loads[T]](w *world, who identity.Caller, id int64) L {
	w.Helper()
	l, err := tryLoad[T, L](context.Background(), w, who, id)
	w.must(err)
	return l
}

func tryLoad[T any, L loads[T]](ctx context.Context, w *world, who identity.Caller, id int64) (L, error) {
	l := L(new(T))
	l.Of(id)
	rows, err := w.store.Get(ctx, append([]store.Key{identity.UserKey(who.Org.ID, who.User.ID)}, l.Keys(who.Org.ID)...)...)
	if err == nil {
		l.Fill(rows[1:])
	}
	return l, err
}

// loads are the types of which a pointer is a load.
type loads[T any] interface {
	*T
	httpapi.Load
}

func ptr[T any](v T) *T { return &v }

// parsed is a credentials object as a request has it.
func parsed(text string) jsontree.Node {
	n, err := connector.Parse(jsontext.Value(text))
	if err != nil {
		panic(err)
	}
	return n
}

func postgres(secret string) jsontree.Node {
	return parsed(fmt.Sprintf(
		`{"host":"db.example.com","port":5432,"database":"analytics","username":"analytics_user","password":%q}`, secret))
}

func s3(secret string) jsontree.Node {
	return parsed(fmt.Sprintf(
		`{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_key":%q,"bucket":"my-data-bucket","region":"us-east-1"}`, secret))
}

// draft is a credential of its own account, so that no two of them share the
// lease of one target.
func (w *world) draft() credential.Draft {
	w.created++
	object := fmt.Sprintf(
		`{"host":"db%d.example.com","port":5432,"database":"analytics","username":"analytics_user","password":%q}`, w.created, password)
	return credential.Draft{
		Name: ptr(fmt.Sprintf("db %d", w.created)), Type: ptr("postgres"), Credentials: parsed(object),
		Description: &credential.Description{Text: ptr("nightly")}, Tags: &[]string{"a", "b"},
	}
}

func (w *world) create(who identity.Caller) credential.View {
	w.Helper()
	return w.createFrom(who, w.draft())
}

func (w *world) createFrom(who identity.Caller, d credential.Draft) credential.View {
	w.Helper()
	v, err := w.editor.Create(context.Background(), who, d, credential.Idempotency{})
	w.must(err)
	return v
}

func (w *world) update(who identity.Caller, id int64, d credential.Draft) (credential.View, error) {
	w.Helper()
	return w.editor.Update(context.Background(), who, load[credential.ForChange](w, who, id), d)
}

func (w *world) setSecret(id int64, object jsontree.Node) credential.View {
	w.Helper()
	v, err := w.update(w.owner, id, credential.Draft{Credentials: object})
	w.must(err)
	return v
}

func (w *world) delete(who identity.Caller, id int64) error {
	w.Helper()
	return w.editor.Delete(context.Background(), who, load[credential.ForChange](w, who, id), nil)
}

func (w *world) get(who identity.Caller, id int64) (credential.View, error) {
	w.Helper()
	return w.service.Get(context.Background(), who, load[credential.ForRead](w, who, id))
}

// now is the credential as it is stored.
func (w *world) now(id int64) credential.View {
	w.Helper()
	v, err := w.get(w.admin, id)
	w.must(err)
	return v
}

func (w *world) reveal(who identity.Caller, id, known int64) (credential.Revealed, error) {
	w.Helper()
	return w.revealer.Reveal(context.Background(), who, load[credential.ForRead](w, who, id), func(sv int64) bool { return sv == known })
}

func (w *world) secretOf(id int64) string {
	w.Helper()
	r, err := w.reveal(w.owner, id, 0)
	w.must(err)
	return r.Object.ExposeText()
}

func (w *world) probe(who identity.Caller, id int64) (probe.Result, error) {
	w.Helper()
	return w.tester.Probe(context.Background(), who, load[credential.ForProbe](w, who, id))
}

// probeAs probes with what the system is to answer, once the distance to the
// probe before has passed.
func (w *world) probeAs(id int64, code probe.Code) probe.Result {
	w.Helper()
	w.clock.advance(6 * time.Second)
	w.prober.script(code, nil)
	r, err := w.probe(w.owner, id)
	w.must(err)
	return r
}

func (w *world) tree(who identity.Caller, id int64, at probe.Place) (probe.Tree, probe.Result, error) {
	w.Helper()
	return w.tester.Tree(context.Background(), who, load[credential.ForProbe](w, who, id), credential.Look{At: at, Depth: 2})
}

func (w *world) sample(who identity.Caller, id int64, at probe.Place) (probe.Sample, probe.Result, error) {
	w.Helper()
	return w.tester.Sample(context.Background(), who, load[credential.ForProbe](w, who, id), credential.Look{At: at})
}

func (w *world) rollBack(who identity.Caller, id, sv int64) (credential.View, error) {
	w.Helper()
	return w.editor.RollBack(context.Background(), who, load[credential.ForChange](w, who, id), sv, nil)
}

func (w *world) propose(who identity.Caller, id int64, d credential.Draft) (credential.View, probe.Result, bool, error) {
	w.Helper()
	return w.switcher.Propose(context.Background(), who, load[credential.ForSwitch](w, who, id), d)
}

func (w *world) copy(who identity.Caller, id int64) (credential.View, error) {
	w.Helper()
	return w.copier.Copy(context.Background(), who, load[credential.ForRead](w, who, id), credential.CopyOptions{})
}

func (w *world) versions(who identity.Caller, id int64) ([]credential.Version, []credential.LastRead, error) {
	w.Helper()
	return w.service.Versions(context.Background(), who, load[credential.ForRead](w, who, id))
}

func (w *world) history(who identity.Caller, id int64) ([]probe.Result, error) {
	w.Helper()
	return w.service.History(context.Background(), who, load[credential.ForRead](w, who, id))
}

func (w *world) log(who identity.Caller, id int64, events ...audit.Event) ([]audit.Entry, error) {
	w.Helper()
	read := load[credential.ForLog](w, who, id)
	p, err := w.service.Log(context.Background(), who, read, audit.Query{Filter: audit.Filter{Events: events}, Limit: 5000})
	return p.Entries, err
}

// entries are what the log says, past every right.
func (w *world) entries(id int64, events ...audit.Event) []audit.Entry {
	w.Helper()
	p, err := audit.Read(context.Background(), w.store.Store,
		audit.Query{Org: w.owner.Org.ID, Credential: id, Filter: audit.Filter{Events: events}, Limit: 5000})
	w.must(err)
	return p.Entries
}

// wantFault checks the code of a fault; "" wants none.
func (w *world) wantFault(err error, want fault.Code) {
	w.Helper()
	if want == "" && err != nil || want != "" && !fault.Is(err, want) {
		w.Errorf("got %v, want %q", err, want)
	}
}

// scripted is a prober that answers what the test says. It holds the service to
// its rule: no commit is under way while a target is tried.
type scripted struct {
	world  *world
	mu     sync.Mutex
	code   probe.Code
	during func() // what happens while the target is tried
	crowd  bool   // others commit meanwhile
	facts  map[string]string
	// rejection is the class of answer to another secret.
	rejection string
	says      string // instead of the code's own words
	runs      int
	tried     []string
}

func (p *scripted) script(code probe.Code, during func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.code, p.during = code, during
}

func (p *scripted) count() int { p.mu.Lock(); defer p.mu.Unlock(); return p.runs }

// Browses lets into a database and a store of files.
func (p *scripted) Browses(typeName string) (probe.Places, bool) {
	places, ok := map[string]probe.Places{"postgres": probe.InDatabases, "s3": probe.InFiles}[typeName]
	return places, ok
}

func (p *scripted) Tree(ctx context.Context, typeName string, s probe.Settings, at probe.Place, depth int) (probe.Tree, probe.Result) {
	r := p.Run(ctx, typeName, s)
	if r.Code != probe.CodeOK {
		return probe.Tree{}, r
	}
	return probe.Tree{Nodes: []probe.Node{{Name: fmt.Sprintf("%s to %d", at.Database, depth), Kind: probe.Database}}}, r
}

func (p *scripted) Sample(ctx context.Context, typeName string, s probe.Settings, at probe.Place) (probe.Sample, probe.Result) {
	r := p.Run(ctx, typeName, s)
	if r.Code != probe.CodeOK {
		return probe.Sample{}, r
	}
	return probe.Sample{Columns: []string{at.Table}}, r
}

func (p *scripted) Run(_ context.Context, typeName string, s probe.Settings) probe.Result {
	p.mu.Lock()
	p.runs++
	p.tried = append(p.tried, s.Secret("password").ExposeText())
	code, during, crowd := p.code, p.during, p.crowd
	p.during = nil
	p.mu.Unlock()
	if !crowd && p.world.store.Busy() {
		p.world.Error("a target is tried while a commit is under way")
	}
	if during != nil {
		during()
	}
	r := probe.NotRun(code, typeName, p.world.clock.Now().Truncate(time.Millisecond))
	if code == probe.CodeAuthRejected {
		r.Status = 403
	}
	if p.says != "" {
		r.Message = p.says
	}
	r.Rejection = p.rejection
	if p.facts != nil {
		r.Facts = p.facts
	}
	return r
}
