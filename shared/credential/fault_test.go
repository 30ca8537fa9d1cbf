package credential_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

// task is one request of the domain, from the read that signs it in to its
// last call.
type task struct {
	name   string
	routes []string    // that do it; a test of shared/architecture requires a task for each route
	event  audit.Event // of the entry that it leaves; an observation where sends or reads is set
	do     func(ctx context.Context, w *world, id int64) error
	// sends: a secret leaves towards a target; reads: it leaves towards the
	// caller. Either may be repeated, and leaves one more entry each time.
	sends, reads bool
	unsaved      bool // what it sends is not stored, so it leaves no entry of the outcome
	// again are the answers to a repeat of what was done before, besides success.
	again []fault.Code
}

// version is that of every credential that the tasks meet: made, then given
// a second secret and a reference.
const version = 2

// with signs in as the route does and calls do with what was loaded.
func with[T any, L loads[T]](do func(ctx context.Context, w *world, l L) error) func(context.Context, *world, int64) error {
	return func(ctx context.Context, w *world, id int64) error {
		l, err := tryLoad[T, L](ctx, w, w.owner, id)
		if err != nil {
			return err
		}
		return do(ctx, w, l)
	}
}

// changes is an update by an admin, whose answer shows the owner too.
func changes(draft func(w *world) credential.Draft) func(context.Context, *world, int64) error {
	return with(func(ctx context.Context, w *world, read *credential.ForChange) error {
		d := draft(w)
		d.IfMatch = credential.Match{version}
		v, err := w.editor.Update(ctx, w.admin, read, d)
		if err == nil && v.Owner.Email == "" {
			w.Error("the answer does not name the owner")
		}
		return err
	})
}

var (
	linked      = credential.Reference{Kind: "data_source", ID: "7", Number: true}
	pipeline    = credential.Reference{Kind: "pipeline", ID: "nightly"}
	overtakenTo = []fault.Code{fault.CodePreconditionFailed}
	idempotency = credential.Idempotency{Key: "0123456789abcdef", Body: []byte("{}")}
)

var tasks = []task{
	{name: "create", routes: []string{"POST /data_credentials"}, event: audit.Created, do: func(ctx context.Context, w *world, _ int64) error {
		if _, err := w.store.Get(ctx, credential.RowKey(w.owner.Org.ID, 1)); err != nil {
			return err
		}
		d := w.draft()
		d.Name = ptr("made once")
		_, err := w.editor.Create(ctx, w.heir, d, idempotency)
		return err
	}},
	{name: "update the name", routes: []string{"PUT /data_credentials/{id}"}, event: audit.Updated, again: overtakenTo, do: changes(func(*world) credential.Draft {
		return credential.Draft{Name: ptr("n"), Interval: ptr("hourly")}
	})},
	{name: "update the secret", event: audit.Updated, again: overtakenTo, do: changes(func(*world) credential.Draft {
		return credential.Draft{Credentials: postgres("third")}
	})},
	{name: "transfer", event: audit.Transfer, again: overtakenTo, do: changes(func(w *world) credential.Draft {
		return credential.Draft{Owner: &w.heir.User.ID}
	})},
	{
		name: "tags", routes: []string{"POST /data_credentials/{id}/tags", "PUT /data_credentials/{id}/tags", "DELETE /data_credentials/{id}/tags"}, event: audit.Updated, again: overtakenTo,
		do: with(func(ctx context.Context, w *world, read *credential.ForChange) error {
			_, err := w.editor.EditTags(ctx, w.admin, read, credential.Match{version}, func(now []string) []string { return append(now, "c") })
			return err
		}),
	},
	{name: "roll back", routes: []string{"POST /data_credentials/{id}/rollback"}, event: audit.RolledBack, again: overtakenTo, do: with(func(ctx context.Context, w *world, read *credential.ForChange) error {
		_, err := w.editor.RollBack(ctx, w.admin, read, 1, credential.Match{version})
		return err
	})},
	{
		name: "share", routes: []string{"PUT /data_credentials/{id}/accessors", "POST /data_credentials/{id}/accessors"}, event: audit.AccessAdded,
		do: with(func(ctx context.Context, w *world, read *credential.ForChange) error {
			_, err := w.service.Share(ctx, w.owner, read, credential.Add, []credential.Grant{
				{Kind: credential.ToUser, ID: w.member.User.ID, Role: access.Operator}, {Kind: credential.ToOrg, ID: w.owner.Org.ID, Role: access.Collaborator},
			})
			return err
		}),
	},
	{name: "end sharing", routes: []string{"DELETE /data_credentials/{id}/accessors"}, event: audit.AccessRemoved, do: with(func(ctx context.Context, w *world, read *credential.ForChange) error {
		_, err := w.service.Share(ctx, w.owner, read, credential.Remove, []credential.Grant{{Kind: credential.ToUser, ID: w.heir.User.ID}})
		return err
	})},
	{name: "link", routes: []string{"POST /data_credentials/{id}/referenced_by"}, event: audit.Linked, do: with(func(ctx context.Context, w *world, read *credential.ForChange) error {
		list, err := w.service.Link(ctx, w.owner, read, pipeline)
		if err == nil && len(list) != 2 {
			w.Errorf("answered %v", list)
		}
		return err
	})},
	{name: "unlink", routes: []string{"DELETE /data_credentials/{id}/referenced_by"}, event: audit.Unlinked, do: with(func(ctx context.Context, w *world, read *credential.ForChange) error {
		list, err := w.service.Unlink(ctx, w.owner, read, linked)
		if err == nil && len(list) != 0 {
			w.Errorf("answered %v", list)
		}
		return err
	})},
	{name: "delete", routes: []string{"DELETE /data_credentials/{id}"}, event: audit.Destroyed, again: []fault.Code{fault.CodeNotFound}, do: with(func(ctx context.Context, w *world, read *credential.ForChange) error {
		return w.editor.Delete(ctx, w.owner, read, nil)
	})},
	{name: "copy", routes: []string{"POST /data_credentials/{id}/copy"}, event: audit.Copied, reads: true, do: with(func(ctx context.Context, w *world, read *credential.ForRead) error {
		_, err := w.copier.Copy(ctx, w.owner, read, credential.CopyOptions{Idem: idempotency})
		return err
	})},
	{name: "reveal", routes: []string{"GET /data_credentials/{id}/credentials"}, event: audit.Revealed, reads: true, do: with(func(ctx context.Context, w *world, read *credential.ForRead) error {
		r, err := w.revealer.Reveal(ctx, w.owner, read, func(int64) bool { return false })
		if err != nil && r.Object.Len() > 0 {
			w.Error("an error, and the secret beside it")
		}
		return err
	})},
	{name: "denial", event: audit.Denied, reads: true, do: with(func(ctx context.Context, w *world, read *credential.ForRead) error {
		_, err := w.revealer.Reveal(ctx, w.admin, read, func(int64) bool { return false })
		if fault.Is(err, fault.CodeForbidden) {
			return nil
		}
		return err
	})},
	{name: "probe", routes: []string{
		"POST /data_credentials/{id}/probe", "PUT /data_credentials/{id}/probe", "GET /data_credentials/{id}/probe",
		"POST /data_credentials/{id}/probe/authenticate", "PUT /data_credentials/{id}/probe/authenticate", "GET /data_credentials/{id}/probe/authenticate",
	}, event: audit.Probed, sends: true, do: with(func(ctx context.Context, w *world, read *credential.ForProbe) error {
		_, err := w.tester.Probe(ctx, w.owner, read)
		return err
	})},
	{name: "probe asked for later", event: audit.Probed, sends: true, do: with(func(ctx context.Context, w *world, read *credential.ForProbe) error {
		_, err := w.tester.ProbeFor(ctx, w.owner, read)
		return err
	})},
	{name: "tree", routes: []string{"POST /data_credentials/{id}/probe/tree"}, event: audit.Probed, sends: true, do: with(func(ctx context.Context, w *world, read *credential.ForProbe) error {
		_, _, err := w.tester.Tree(ctx, w.owner, read, credential.Look{Depth: 1})
		return err
	})},
	{name: "sample", routes: []string{"POST /data_credentials/{id}/probe/sample"}, event: audit.Probed, sends: true, do: with(func(ctx context.Context, w *world, read *credential.ForProbe) error {
		_, _, err := w.tester.Sample(ctx, w.owner, read, credential.Look{At: probe.Place{Table: "t"}})
		return err
	})},
	{name: "probe before saving", routes: []string{"POST /data_credentials/probe"}, event: audit.Probed, sends: true, unsaved: true, do: with(func(ctx context.Context, w *world, _ *credential.ForRead) error {
		_, err := w.tester.Try(ctx, w.owner, credential.Draft{Type: ptr("postgres"), Credentials: postgres("n")})
		return err
	})},
	{name: "proposal", routes: []string{"POST /data_credentials/{id}/versions"}, event: audit.Probed, sends: true, again: overtakenTo, do: with(func(ctx context.Context, w *world, read *credential.ForSwitch) error {
		d := credential.Draft{Credentials: postgres("n"), IfMatch: credential.Match{version}, Idem: idempotency}
		_, _, switched, err := w.switcher.Propose(ctx, w.admin, read, d)
		if switched != (err == nil) {
			w.Errorf("switched %v, %v", switched, err)
		}
		return err
	})},
	{name: "versions", do: with(func(ctx context.Context, w *world, read *credential.ForRead) error {
		_, _, err := w.service.Versions(ctx, w.admin, read)
		return err
	})},
}

// met prepares a credential for an operation and returns its id.
func (o task) met(w *world) int64 {
	w.Helper()
	id := w.create(w.owner).ID
	w.setSecret(id, postgres("second"))
	if o.name == "end sharing" {
		grant := credential.Grant{Kind: credential.ToUser, ID: w.heir.User.ID, Role: access.Admin}
		w.must(second(w.service.Share(context.Background(), w.owner, load[credential.ForChange](w, w.owner, id), credential.Add, []credential.Grant{grant})))
	}
	if o.name != "delete" {
		w.must(second(w.service.Link(context.Background(), w.owner, load[credential.ForChange](w, w.owner, id), linked)))
	}
	return id
}

func second[T any](_ T, err error) error { return err }

// facts are what a person could tell of a credential, or of what it made.
func (o task) facts(w *world, id int64) string {
	w.Helper()
	var list []string
	for k, i := range w.store.Since(w.T) {
		a := i.Attributes
		switch {
		case k.Table == store.Vault:
		case k.Sort == fmt.Sprintf("CRED#%016d", id) && !strings.Contains(k.Partition[len("ORG#"):], "#"):
			owner := map[int64]string{w.owner.User.ID: "owner", w.heir.User.ID: "heir"}[a.Int("owner")]
			list = append(list, fmt.Sprint(owner, a.Text("name") == "n", a["tags"], a["sv"], a["hsv"], a["ver"], a["refs"], a["interval"], a["validity"], a["status"]))
		case k.Partition == fmt.Sprintf("ORG#%d#C#%d", w.owner.Org.ID, id) && k.Table == store.Meta && slices.Contains([]string{"VER", "REF"}, k.Sort[:3]):
			list = append(list, k.Sort)
		case k.Partition == fmt.Sprintf("ORG#%d#C#%d", w.owner.Org.ID, id) && strings.HasPrefix(k.Sort, "REQ#"):
			list = append(list, "a result by its number")
		case k.Partition == fmt.Sprintf("ORG#%d#C#%d", w.owner.Org.ID, id) && k.Sort == "ACL":
			list = append(list, fmt.Sprint("lines of accessors: ", len(strings.Fields(a.Text("list")))/6))
		case a.Text("name") == "made once":
			list = append(list, "made")
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "\n")
}

// left counts the entries of the operation's event, of whatever credential.
func (o task) left(w *world) (done, started int) {
	w.Helper()
	for k, i := range w.store.Since(w.T) {
		// A denial is in the organisation's log too, by the same commit.
		if k.Table != store.Audit || i.Attributes.Text("event") != string(o.event) || strings.Contains(k.Partition, "#DAY#") != o.unsaved {
			continue
		}
		if strings.Contains(i.Attributes.Text("summary"), "started") {
			started++
		} else {
			done++
		}
	}
	return done, started
}

// answer is what a caller may conclude from an error.
type answer int

const (
	made      answer = iota // the change was made
	unchanged               // nothing was changed
	unknown                 // either
)

func concluded(err error) answer {
	switch {
	case err == nil:
		return made
	case errors.Is(err, store.ErrOutcomeUnknown):
		return unknown
	}
	return unchanged
}

// answers are what a fault may lead to.
func explained(err error) bool {
	for _, code := range []fault.Code{
		fault.CodeTooManyRequests, fault.CodeConflict, fault.CodeStoreUnavailable, fault.CodeOutcomeUnknown,
		fault.CodePreconditionFailed, fault.CodeKMSUnavailable,
	} {
		if fault.Is(err, code) {
			return true
		}
	}
	return err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrOutcomeUnknown)
}

// run does the operation as a process of its own.
func (o task) run(w *world, id int64) (err error, ended bool) {
	return w.store.Run(func(ctx context.Context) error { return o.do(ctx, w, id) })
}

// injector makes the nth call from now meet a fault.
type injector interface {
	Arm(nth int, f string)
	Happened() bool
	Disarm()
	Invisible(f string) bool // whether the operation succeeds all the same
}

// everyCall has each call of the operation meet a fault, one after the other, and
// holds the answer, what is stored, the audit log and a repeat to each other. It
// returns how many calls met it. usable, if not nil, looks at each credential
// afterwards.
func (o task) everyCall(w *world, in injector, f string, usable func(id int64)) int {
	w.Helper()
	clean := o.met(w)
	before := o.facts(w, clean)
	w.must(o.do(context.Background(), w, clean))
	after := o.facts(w, clean)
	for nth := 1; ; nth++ {
		w.clock.advance(25 * time.Hour) // leases, distances and idempotency keys are over
		o.forget(w)
		w.store.Mark()
		id := o.met(w)
		done, started := o.left(w)
		dials := w.prober.count()
		in.Arm(nth, f)
		err, ended := o.run(w, id)
		met := in.Happened()
		in.Disarm()
		if !met {
			return nth - 1
		}
		at := fmt.Sprintf("%s, call %d %s", o.name, nth, f)
		now := o.facts(w, id)
		left, begun := o.left(w)
		left, begun = left-done, begun-started
		switch told := concluded(err); {
		case now != before && now != after:
			w.Errorf("%s: half made:\n%s\nbefore:\n%s\nafter:\n%s", at, now, before, after)
		case ended && in.Invisible(f) && err != nil:
			w.Errorf("%s: %v", at, err)
		case ended && (told == made && now != after || told == unchanged && now != before):
			w.Errorf("%s: answered %v, stored\n%s", at, err, now)
		case !explained(err):
			w.Errorf("%s: answered %v", at, err)
		case !o.sends && !o.reads && o.event != "" && (left == 1) != (now == after):
			w.Errorf("%s: %d entries of what is stored as\n%s", at, left, now)
		case o.reads && (left > 1 || err == nil && ended && left != 1):
			w.Errorf("%s: %d entries of what was answered with %v", at, left, err)
		case o.sends && (begun < w.prober.count()-dials || err == nil && ended && (left == 1) == o.unsaved):
			w.Errorf("%s: %d sent, %d entries of the start, %d of the outcome", at, w.prober.count()-dials, begun, left)
		}
		o.repeat(w, id, at, after, now == after)
		if usable != nil {
			usable(id)
		}
	}
}

// repeat does the operation again, undisturbed, and wants the same as if it had
// been done once.
func (o task) repeat(w *world, id int64, at, after string, already bool) {
	w.Helper()
	w.clock.advance(time.Minute)
	done, _ := o.left(w)
	err, _ := o.run(w, id)
	var said *fault.Error
	if err != nil && (!already || !errors.As(err, &said) || !slices.Contains(o.again, said.Code)) {
		w.Errorf("%s: repeated: %v", at, err)
	}
	if now := o.facts(w, id); now != after && !o.reads {
		w.Errorf("%s: repeated:\n%s\nwant\n%s", at, now, after)
	}
	if more, _ := o.left(w); already && !o.reads && !o.sends && more != done {
		w.Errorf("%s: repeated: %d entries more", at, more-done)
	}
}

// forget removes what create made, so that the next one is told from it.
func (o task) forget(w *world) {
	w.Helper()
	for k, i := range w.store.Since(w.T) {
		if k.Table == store.Meta && i.Attributes.Text("name") == "made once" {
			var id int64
			_, err := fmt.Sscanf(k.Sort, "CRED#%d", &id)
			w.must(err)
			w.must(w.delete(w.heir, id))
		}
	}
}

// mishaps injects those of a store, as its callers see them.
type mishaps struct{ *storetest.Faulty }

func (m mishaps) Arm(nth int, f string) { m.Plan(nth, storetest.Mishaps()[f], nil) }

func (m mishaps) Disarm() { m.Reset() }

func (m mishaps) Invisible(string) bool { return false }

// TestEveryCallOfEveryOperation breaks each call that an operation makes of the
// store, in every way that the contract knows.
func TestEveryCallOfEveryOperation(t *testing.T) {
	for _, o := range tasks {
		for f := range storetest.Mishaps() {
			t.Run(o.name+" "+f, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if met := o.everyCall(w, mishaps{w.store}, f, w.usable); met < 2 {
					t.Errorf("only %d calls were met", met)
				}
				// A note of a last read may outlive a delete that was cut short.
				w.checkOf("USE#")
			})
		}
	}
}

func (w *world) tryUpdate(id int64, d credential.Draft) (credential.View, error) {
	read, err := tryLoad[credential.ForChange](context.Background(), w, w.owner, id)
	if err != nil {
		return credential.View{}, err
	}
	return w.editor.Update(context.Background(), w.owner, read, d)
}

// usable checks that whatever happened, the credential is whole: it can be
// revealed by its owner, changed and probed, or it is gone.
func (w *world) usable(id int64) {
	w.Helper()
	v, err := w.get(w.admin, id)
	if fault.Is(err, fault.CodeNotFound) {
		return
	}
	w.must(err)
	who := map[int64]identity.Caller{w.owner.User.ID: w.owner, w.heir.User.ID: w.heir}[v.Credential.Owner]
	if r, err := w.reveal(who, id, 0); err != nil || r.Object.Len() == 0 {
		w.Errorf("revealing it: %v", err)
	}
	w.clock.advance(10 * time.Second)
	w.prober.script(probe.CodeOK, nil)
	if r, err := w.probe(who, id); err != nil || r.Code != probe.CodeOK {
		w.Errorf("probing it: %s, %v", r.Code, err)
	}
	if _, err := w.update(who, id, credential.Draft{Name: ptr("still usable")}); err != nil {
		w.Errorf("changing it: %v", err)
	}
}

// A create whose answer was lost is found again by its idempotency key.
func TestLostAnswerOfACreateIsAnsweredAgain(t *testing.T) {
	w := newWorld(t)
	d, idem := w.draft(), credential.Idempotency{Key: "0123456789abcdef"}
	w.store.Plan(2, storetest.LostReply, nil)
	_, err := w.editor.Create(context.Background(), w.owner, d, idem)
	if !errors.Is(err, store.ErrOutcomeUnknown) {
		t.Fatalf("got %v", err)
	}
	v, err := w.editor.Create(context.Background(), w.owner, d, idem)
	w.must(err)
	if _, total := w.list(w.owner, credential.Query{}); total != 1 || len(w.entries(v.ID, audit.Created)) != 1 {
		t.Errorf("%d made", total)
	}
	w.check()
}

// The caller going away does not lose what a probe found out.
func TestOutcomeIsKeptWhenTheCallerLeaves(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	read := load[credential.ForProbe](w, w.owner, id)
	ctx, leave := context.WithCancel(context.Background())
	w.prober.script(probe.CodeOK, leave)
	_, _ = w.tester.Probe(ctx, w.owner, read)
	if v := w.now(id); v.Validity != credential.ValidityValid {
		t.Errorf("%s", v.Validity)
	}
}
