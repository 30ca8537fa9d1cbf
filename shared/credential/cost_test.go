package credential_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/kmstest"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/dynamo"
	"credence/shared/store/dynamo/dynamotest"
)

var update = flag.Bool("update", false, "write the table of docs/cost.md anew")

// List prices in USD of us-east-1: "Amazon DynamoDB pricing for on-demand
// capacity", in force since 2024-11-01, and "AWS Key Management Service
// pricing", symmetric requests, both as of 2026-11-24.
const (
	perMillionWriteUnits = 0.625
	perMillionReadUnits  = 0.125
	perMillionKMSCalls   = 0.03 * 100 // stated for 10,000
)

// spent is what one operation took.
type spent struct {
	reads, commits, kms   int     // calls
	readUnits, writeUnits float64 // as AWS bills them
}

func (s spent) dynamoDB() float64 {
	return s.readUnits*perMillionReadUnits + s.writeUnits*perMillionWriteUnits
}

// metered counts the calls of a store. A Get is one BatchGetItem, a Commit one
// PutItem, DeleteItem or TransactWriteItems, and a Range of less than 1 MB one
// Query.
type metered struct {
	store.Store
	mu sync.Mutex
	spent
}

func (m *metered) add(n *int) { m.mu.Lock(); defer m.mu.Unlock(); *n++ }

func (m *metered) Get(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
	m.add(&m.reads)
	return m.Store.Get(ctx, keys...)
}

func (m *metered) Range(ctx context.Context, r store.Range) (store.Page, error) {
	m.add(&m.reads)
	return m.Store.Range(ctx, r)
}

func (m *metered) Commit(ctx context.Context, writes ...store.Write) error {
	m.add(&m.commits)
	return m.Store.Commit(ctx, writes...)
}

func (m *metered) consumed(_, _ string, read, write float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readUnits, m.writeUnits = m.readUnits+read, m.writeUnits+write
}

// account is the service over the DynamoDB engine, signing each call in as the
// functions do.
type account struct {
	*testing.T
	meter    *metered
	kms      *kmstest.KMS
	clock    *clock
	target   *target
	people   *identity.Service
	service  credential.Service
	editor   credential.Editor
	revealer credential.Revealer
	tester   credential.Tester
	org      identity.Org
}

func newAccount(t *testing.T) *account {
	t.Helper()
	client, tables := dynamo.LocalClient(dynamotest.Engine(t)), dynamo.Tables{Meta: "cost-meta", Vault: "cost-vault", Audit: "cost-audit"}
	a := &account{T: t, meter: &metered{}, kms: kmstest.New("mrk-0123456789abcdef0123456789abcdef"), clock: &clock{at: time.Now()}}
	a.target = &target{now: a.clock.Now, code: probe.CodeOK}
	a.must(dynamo.CreateTables(t.Context(), client, tables))
	a.meter.Store = dynamo.New(client, tables, dynamo.WithClock(a.clock.peek), dynamo.WithCapacityObserver(a.meter.consumed))
	types, err := builtin.Registry()
	a.must(err)
	caller := func(may kmstest.Operation) *kmstest.Caller {
		return a.kms.Caller(may, "mrk-0123456789abcdef0123456789abcdef")
	}
	a.people = identity.New(a.meter, audit.Journal{}, a.clock.Now)
	a.service = credential.Service{Store: a.meter, Types: types, Now: a.clock.Now}
	a.editor = credential.Editor{Service: a.service, Keys: caller(kmstest.GenerateDataKey)}
	a.revealer = credential.Revealer{Service: a.service, Keys: caller(kmstest.Decrypt)}
	a.tester = credential.Tester{
		Service: a.service, Keys: caller(kmstest.Decrypt), Runner: a.target,
		Failed: func(_ credential.Credential, code probe.Code, err error) { a.Errorf("probe: %s: %v", code, err) },
	}
	made, err := a.people.CreateOrg(t.Context(), identity.Org{Name: "Example", EmailDomain: "example.com"}, identity.User{Email: "first@example.com"}, false)
	a.must(err)
	a.org = made.Org
	return a
}

func (a *account) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// target answers every probe with a code, after every stage was reached, and
// every look at its tree with an empty one.
type target struct {
	credential.Runner

	now  func() time.Time
	code probe.Code
}

func (p *target) Run(_ context.Context, typeName string, _ probe.Settings) probe.Result {
	r := probe.NotRun(p.code, typeName, p.now())
	for i := range r.Stages {
		r.Stages[i].Outcome, r.Stages[i].Millis, r.Stages[i].Message = probe.StageOK, 120, "Reached, and answered as it should."
	}
	r.Facts = map[string]string{probe.FactExpires: "2027-01-01T12:00:00Z", probe.FactCertificateEnd: "2027-03-01T12:00:00Z"}
	return r
}

func (p *target) Browses(string) (probe.Places, bool) { return probe.InFiles, true }

func (p *target) Tree(ctx context.Context, typeName string, s probe.Settings, _ probe.Place, _ int) (probe.Tree, probe.Result) {
	return probe.Tree{}, p.Run(ctx, typeName, s)
}

var origin = identity.Origin{IP: "203.0.113.77", UserAgent: "python-requests/2.32.3", URL: "/data_credentials/281474976710656", RequestID: "Q6ZJ5XJ6B2V4WQ3E7YH2K3M4N5"}

// user makes a person and returns the text of his service key.
func (a *account) user(name string, admin bool) string {
	a.Helper()
	made, err := a.people.CreateUser(a.Context(), a.org, identity.User{Email: name + "@example.com", FullName: "The " + name, Admin: admin})
	a.must(err)
	return made.Text
}

func (a *account) session(key string) string {
	a.Helper()
	s, err := a.people.SignIn(a.Context(), key, origin)
	a.must(err)
	return s.Token
}

// enter signs a request in with what its route loads.
func enter[T any, L loads[T]](a *account, token string, id int64) (identity.Caller, L) {
	a.Helper()
	l := L(new(T))
	l.Of(id)
	who, err := a.people.Authenticate(a.Context(), token, origin, l)
	a.must(err)
	return who, l
}

// signIn is enter for a route that loads nothing.
func (a *account) signIn(token string) identity.Caller {
	a.Helper()
	who, err := a.people.Authenticate(a.Context(), token, origin, nil)
	a.must(err)
	return who
}

// example is the credential that the documentation shows.
func example(name, secret string) credential.Draft {
	return credential.Draft{
		Name: &name, Type: ptr("s3"), Credentials: s3(secret),
		Description: &credential.Description{Text: ptr("AWS S3 access for data storage")},
	}
}

func (a *account) create(token, name string) credential.View {
	a.Helper()
	who := a.signIn(token)
	v, err := a.editor.Create(a.Context(), who, example(name, password), credential.Idempotency{})
	a.must(err)
	return v
}

// teamsOf makes 20 teams of one user.
func (a *account) teamsOf(token, user string) []identity.Team {
	a.Helper()
	who := a.signIn(token)
	var teams []identity.Team
	for n := range 20 {
		name := fmt.Sprint("team ", n)
		members := identity.MembersDraft{Change: identity.AddMembers, Named: []identity.MemberDraft{{Ref: identity.Ref{Name: user + "@example.com"}}}}
		team, err := a.people.CreateTeam(a.Context(), who, identity.TeamDraft{Name: &name, Members: &members})
		a.must(err)
		teams = append(teams, team)
	}
	return teams
}

func (a *account) share(token string, id int64, team identity.Team) error {
	who, read := enter[credential.ForChange](a, token, id)
	_, err := a.service.Share(a.Context(), who, read, credential.Add, []credential.Grant{{Kind: credential.ToTeam, ID: team.ID, Role: access.Operator}})
	return err
}

// operation is one line of the table, with the calls it may take at most; fewer
// would be news for the documentation too, which the table then differs from.
type operation struct {
	name string
	most spent
	do   func() error
}

// operations are in the order in which one credential meets them.
func (a *account) operations() []operation {
	ctx, secret := a.Context(), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	ownersKey, admin := a.user("owner", false), a.session(a.user("admin", true))
	owner := a.session(ownersKey)
	for n := range 99 {
		a.create(owner, fmt.Sprintf("Test S3 Credentials %d", n))
	}
	id := a.create(owner, "Test S3 Credentials").ID
	reader := a.session(a.user("reader", false))
	teams := a.teamsOf(owner, "reader")
	reveal := func(token string) error {
		who, read := enter[credential.ForRead](a, token, id)
		r, err := a.revealer.Reveal(ctx, who, read, func(int64) bool { return false })
		if err == nil && r.Object.Len() == 0 {
			return fmt.Errorf("nothing was revealed")
		}
		return err
	}
	change := func(d credential.Draft) error {
		who, read := enter[credential.ForChange](a, owner, id)
		_, err := a.editor.Update(ctx, who, read, d)
		return err
	}
	get := func(token string) error {
		who, read := enter[credential.ForRead](a, token, id)
		_, err := a.service.Get(ctx, who, read)
		return err
	}
	return []operation{
		{"sign in", spent{reads: 1, commits: 1}, func() error {
			_, err := a.people.SignIn(ctx, ownersKey, origin)
			return err
		}},
		{"create", spent{reads: 2, commits: 1, kms: 1}, func() error { a.create(owner, "another"); return nil }},
		{"get", spent{reads: 2}, func() error { return get(owner) }},
		{"get by an admin", spent{reads: 2}, func() error { return get(admin) }},
		{"list, 10 of 101", spent{reads: 3}, func() error {
			who := a.signIn(owner)
			views, total, err := a.service.List(ctx, who, credential.Query{Order: credential.ByCreation, Window: window(1, 10)})
			if err == nil && (len(views) != 10 || total != 101) {
				return fmt.Errorf("listed %d of %d", len(views), total)
			}
			return err
		}},
		{"share with a team", spent{reads: 4, commits: 1}, func() error { return a.share(owner, id, teams[len(teams)-1]) }},
		{"get through the last of 20 teams", spent{reads: 2}, func() error { return get(reader) }},
		{"list of what 20 teams share, 10 of 1", spent{reads: 25}, func() error {
			who := a.signIn(reader)
			views, total, err := a.service.List(ctx, who, credential.Query{Order: credential.ByCreation, Window: window(1, 10), Filter: credential.Filter{Least: access.Collaborator}})
			if err == nil && (len(views) != 1 || total != 1) {
				return fmt.Errorf("listed %d of %d", len(views), total)
			}
			return err
		}},
		{"update the name", spent{reads: 1, commits: 1}, func() error { return change(credential.Draft{Name: ptr("Renamed")}) }},
		{"update the secret", spent{reads: 2, commits: 1, kms: 1}, func() error { return change(credential.Draft{Credentials: s3(secret)}) }},
		{"reveal, first of the day", spent{reads: 3, commits: 1, kms: 1}, func() error { return reveal(owner) }},
		{"reveal again", spent{reads: 3, commits: 1, kms: 1}, func() error { return reveal(owner) }},
		{"probe", spent{reads: 3, commits: 2, kms: 1}, func() error {
			who, read := enter[credential.ForProbe](a, owner, id)
			r, err := a.tester.Probe(ctx, who, read)
			if err == nil && r.Verdict != probe.Valid {
				return fmt.Errorf("probed: %s", r.Code)
			}
			return err
		}},
		{"probe before saving", spent{reads: 1, commits: 2}, func() error {
			who := a.signIn(owner)
			_, err := a.tester.Try(ctx, who, example("unsaved", secret))
			return err
		}},
		{"tree or sample", spent{reads: 3, commits: 2, kms: 1}, func() error {
			who, read := enter[credential.ForProbe](a, owner, id)
			_, r, err := a.tester.Tree(ctx, who, read, credential.Look{Depth: 1})
			if err == nil && r.Code != probe.CodeOK {
				return fmt.Errorf("looked: %s", r.Code)
			}
			return err
		}},
		{"roll back", spent{reads: 2, commits: 1}, func() error {
			who, read := enter[credential.ForChange](a, owner, id)
			_, err := a.editor.RollBack(ctx, who, read, 1, nil)
			return err
		}},
		{"denial", spent{reads: 1, commits: 1}, func() error {
			if err := reveal(admin); !fault.Is(err, fault.CodeForbidden) {
				return fmt.Errorf("an admin revealed: %v", err)
			}
			return nil
		}},
		{"delete", spent{reads: 3, commits: 1}, func() error {
			who, read := enter[credential.ForChange](a, owner, id)
			return a.editor.Delete(ctx, who, read, nil)
		}},
	}
}

// TestCost counts the calls of each operation, the one that signs in included,
// and asks the engine what they consume. The table of docs/cost.md is what it
// prints; -update writes it anew.
func TestCost(t *testing.T) {
	a := newAccount(t)
	table := []string{
		"| operation | reads | commits | KMS calls | read units | write units | DynamoDB | KMS | USD a million |",
		"|---|---|---|---|---|---|---|---|---|",
	}
	for _, op := range a.operations() {
		a.clock.advance(10 * time.Second)
		a.meter.spent = spent{}
		before := a.kms.Calls(kmstest.Everything)
		if err := op.do(); err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
		got := a.meter.spent
		got.kms = a.kms.Calls(kmstest.Everything) - before
		if got.reads > op.most.reads || got.commits != op.most.commits || got.kms != op.most.kms {
			t.Errorf("%s: %d reads, %d commits, %d calls of the KMS; want at most %d, and %d, %d",
				op.name, got.reads, got.commits, got.kms, op.most.reads, op.most.commits, op.most.kms)
		}
		if got.readUnits == 0 || (got.writeUnits > 0) != (got.commits > 0) {
			t.Errorf("%s: the engine reports %v read and %v write units", op.name, got.readUnits, got.writeUnits)
		}
		kms := float64(got.kms) * perMillionKMSCalls
		table = append(table, fmt.Sprintf("| %s | %d | %d | %d | %g | %g | %.3f | %.3f | %.3f |",
			op.name, got.reads, got.commits, got.kms, got.readUnits, got.writeUnits, got.dynamoDB(), kms, got.dynamoDB()+kms))
	}
	text := strings.Join(table, "\n") + "\n"
	t.Logf("at list prices of us-east-1:\n%s", text)
	holdTable(t, text)
}

// holdTable compares the table with the documented one.
func holdTable(t *testing.T, text string) {
	t.Helper()
	const begin, end = "<!-- begin: TestCost -->\n", "<!-- end: TestCost -->\n"
	name := filepath.Join("..", "..", "docs", "cost.md")
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(file), begin)
	documented, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatalf("%s has no table between %q and %q", name, begin, end)
	}
	if *update {
		if err := os.WriteFile(name, []byte(before+begin+text+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if documented != text {
		t.Errorf("%s says otherwise; if the change is meant, run this test with -update. It says:\n%s", name, documented)
	}
}

// TestExampleTakesOneUnit: the row of the example, probed, takes one write unit
// to write and, with 3 KB to spare, one read unit to read; so does its record.
func TestExampleTakesOneUnit(t *testing.T) {
	a := newAccount(t)
	owner := a.session(a.user("owner", false))
	v := a.create(owner, "Test S3 Credentials")
	a.target.code = probe.CodeAuthRejected // says more than a valid one
	who, read := enter[credential.ForProbe](a, owner, v.ID)
	_, err := a.tester.Probe(t.Context(), who, read)
	a.must(err)
	items, err := a.meter.Get(t.Context(), credential.RowKey(v.Org.ID, v.ID))
	a.must(err)
	page, err := a.meter.Range(t.Context(), store.Range{Table: store.Vault, Partition: items[0].Key.Partition})
	a.must(err)
	if !items[0].Found() || len(page.Items) != 1 {
		t.Fatalf("row found: %t, %d records", items[0].Found(), len(page.Items))
	}
	// A data key that AWS wraps takes up to 100 bytes more than the double's, and
	// the ARN of a key 60 more than the id of a multi-Region one.
	for name, held := range map[string]struct {
		item  store.Item
		spare int
	}{"row": {items[0], 0}, "record": {page.Items[0], 160}} {
		n := store.ItemBytes(held.item)
		t.Logf("the %s of the example takes %d bytes", name, n)
		if n+held.spare > 1024 {
			t.Errorf("the %s of the example takes %d bytes, want at most %d", name, n, 1024-held.spare)
		}
	}
	// What the engine bills for writing such a row again, which it counts itself.
	a.meter.spent = spent{}
	a.must(a.meter.Commit(t.Context(), store.Write{Verb: store.Put, Item: items[0], If: store.Present()}))
	if a.meter.writeUnits != 1 {
		t.Errorf("writing the row takes %g units, want 1", a.meter.writeUnits)
	}
}
