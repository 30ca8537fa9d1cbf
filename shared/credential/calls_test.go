package credential_test

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/envelope/kmstest"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

// TestOperationsCostWhatTheyPromise counts calls, the one that signs in
// included.
func TestOperationsCostWhatTheyPromise(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	id := w.create(w.owner).ID
	w.setSecret(id, postgres("another"))
	var keyed credential.Idempotency
	rows := []struct {
		name         string
		do           func() error
		reads        int // at most
		commits, kms int // exactly
		fault        fault.Code
	}{
		{"create", func() error { w.signIn(w.owner); _, err := w.editor.Create(ctx, w.owner, w.draft(), keyed); return err }, 1, 1, 1, ""},
		{"create with a key", func() error {
			keyed = credential.Idempotency{Key: "0123456789abcdef", Body: []byte("{}")}
			w.signIn(w.owner)
			_, err := w.editor.Create(ctx, w.owner, w.draft(), keyed)
			return err
		}, 2, 1, 1, ""},
		{"create again with the key", func() error { w.signIn(w.owner); _, err := w.editor.Create(ctx, w.owner, w.draft(), keyed); return err }, 3, 0, 0, ""},
		{"get by the owner", func() error { _, err := w.get(w.owner, id); return err }, 1, 0, 0, ""},
		{"get by an admin", func() error { _, err := w.get(w.admin, id); return err }, 2, 0, 0, ""},
		{"get of nothing", func() error { _, err := w.get(w.owner, 1); return err }, 1, 0, 0, fault.CodeNotFound},
		{"update of nothing", func() error { _, err := w.update(w.owner, id, credential.Draft{}); return err }, 1, 0, 0, ""},
		{"update to the same", func() error { _, err := w.update(w.owner, id, credential.Draft{Tags: &[]string{"a", "b"}}); return err }, 1, 0, 0, ""},
		{"update of a name", func() error { _, err := w.update(w.owner, id, credential.Draft{Name: ptr("x")}); return err }, 1, 1, 0, ""},
		{"update of the secret", func() error {
			_, err := w.update(w.owner, id, credential.Draft{Credentials: postgres("p")})
			return err
		}, 2, 1, 1, ""},
		{"reveal", func() error { _, err := w.reveal(w.owner, id, 0); return err }, 3, 1, 1, ""},
		{"reveal again", func() error { _, err := w.reveal(w.owner, id, 0); return err }, 3, 1, 1, ""},
		{"reveal of the version known", func() error { _, err := w.reveal(w.owner, id, 3); return err }, 1, 0, 0, ""},
		{"denial", func() error { _, err := w.reveal(w.admin, id, 0); return err }, 1, 1, 0, fault.CodeForbidden},
		{"reveal without a role", func() error { _, err := w.reveal(w.member, id, 0); return err }, 1, 0, 0, fault.CodeNotFound},
		{"probe", func() error { _, err := w.probe(w.owner, id); return err }, 2, 2, 1, ""},
		{"probe too soon", func() error { _, err := w.probe(w.owner, id); return err }, 1, 0, 0, fault.CodeTooManyRequests},
		{"tree", func() error { _, _, err := w.tree(w.owner, id, probe.Place{}); return err }, 2, 2, 1, ""},
		{"sample", func() error { _, _, err := w.sample(w.admin, id, probe.Place{Table: "t"}); return err }, 2, 2, 1, ""},
		{"sample of nothing", func() error { _, _, err := w.sample(w.owner, id, probe.Place{}); return err }, 1, 0, 0, fault.CodeInvalidRequest},
		{"try", func() error { w.signIn(w.owner); _, err := w.tester.Try(ctx, w.owner, w.draft()); return err }, 1, 2, 0, ""},
		{"proposal", func() error {
			w.clock.advance(time.Minute)
			_, _, _, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("proposed")})
			return err
		}, 2, 2, 1, ""},
		{"roll back", func() error { _, err := w.rollBack(w.owner, id, 1); return err }, 2, 1, 0, ""},
		{"roll back to the active one", func() error { _, err := w.rollBack(w.owner, id, 1); return err }, 1, 0, 0, ""},
		{"versions", func() error { _, _, err := w.versions(w.owner, id); return err }, 2, 0, 0, ""},
		{"copy", func() error { _, err := w.copy(w.owner, id); return err }, 2, 1, 2, ""},
		{"transfer", func() error { _, err := w.update(w.owner, id, credential.Draft{Owner: &w.heir.User.ID}); return err }, 3, 1, 0, ""},
		{"delete", func() error { return w.delete(w.heir, id) }, 3, 1, 0, ""},
	}
	for _, row := range rows {
		w.store.Reset()
		kms := w.kms.Calls(kmstest.Everything)
		w.wantFault(row.do(), row.fault)
		got, opened := w.store.Calls(), w.kms.Calls(kmstest.Everything)-kms
		if got.Reads() > row.reads || got.Commits != row.commits || opened != row.kms {
			t.Errorf("%s: %d reads, %d commits, %d calls of the key service; want at most %d, %d, %d",
				row.name, got.Reads(), got.Commits, opened, row.reads, row.commits, row.kms)
		}
	}
	w.check()
}

// The texts that a person may put into a credential's row have a limit together.
func TestRowHasALimit(t *testing.T) {
	w := newWorld(t)
	create := func(n int) error {
		d := w.draft()
		w.created-- // so that each is as long as the others
		d.Description = &credential.Description{Text: ptr(strings.Repeat("d", n))}
		_, err := w.editor.Create(t.Context(), w.owner, d, credential.Idempotency{})
		return err
	}
	first := sort.Search(5000, func(n int) bool { return create(n) != nil })
	var f *fault.Error
	if err := create(first); !errors.As(err, &f) || !strings.Contains(f.Message, "take 3841 bytes of at most 3840") {
		t.Errorf("the first that is too long: %v", err)
	}
	w.must(create(first - 1))
}

func TestRowOfAnExampleTakesOneUnit(t *testing.T) {
	w := newWorld(t)
	v := w.createFrom(w.owner, credential.Draft{
		Name: ptr("Test S3 Credentials"), Type: ptr("s3"), Credentials: s3(password),
		Description: &credential.Description{Text: ptr("AWS S3 access for data storage")},
	})
	w.probeAs(v.ID, "AUTH_REJECTED") // the longest that a probe adds
	size := 0
	for k, i := range w.store.Everything(t) {
		if k.Partition != fmt.Sprintf("ORG#%d", v.Org.ID) || k.Table != store.Meta || k.Sort != fmt.Sprintf("CRED#%016d", v.ID) {
			continue
		}
		size = len("pk") + len("sk") + len(k.Partition) + len(k.Sort)
		for name, value := range i.Attributes {
			size += len(name)
			switch value := value.(type) {
			case string:
				size += len(value)
			case int64:
				size += 21 // the most that a number takes
			default:
				t.Errorf("%s is a %T", name, value)
			}
		}
	}
	if size == 0 || size > 1024 {
		t.Errorf("the row takes %d bytes", size)
	}
}

// TestWhoMayDoWhat runs every operation as everybody on every kind of id.
func TestWhoMayDoWhat(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	type operation struct {
		name  string
		do    func(who identity.Caller, id int64) error
		admin fault.Code // for an admin of the organisation
	}
	rename := 0
	operations := []operation{
		{"get", func(who identity.Caller, id int64) error { _, err := w.get(who, id); return err }, ""},
		{"versions", func(who identity.Caller, id int64) error { _, _, err := w.versions(who, id); return err }, ""},
		{"history", func(who identity.Caller, id int64) error { _, err := w.history(who, id); return err }, ""},
		{"log", func(who identity.Caller, id int64) error { _, err := w.log(who, id); return err }, ""},
		{"probe", func(who identity.Caller, id int64) error {
			w.clock.advance(10 * time.Second)
			_, err := w.probe(who, id)
			return err
		}, ""},
		{"tree", func(who identity.Caller, id int64) error { _, _, err := w.tree(who, id, probe.Place{}); return err }, ""},
		{"sample", func(who identity.Caller, id int64) error {
			_, _, err := w.sample(who, id, probe.Place{Table: "t"})
			return err
		}, ""},
		{"reveal", func(who identity.Caller, id int64) error { _, err := w.reveal(who, id, 0); return err }, fault.CodeForbidden},
		{"reveal what is known", func(who identity.Caller, id int64) error { _, err := w.reveal(who, id, 1); return err }, fault.CodeForbidden},
		{"copy", func(who identity.Caller, id int64) error { _, err := w.copy(who, id); return err }, fault.CodeForbidden},
		{"update", func(who identity.Caller, id int64) error {
			rename++
			_, err := w.update(who, id, credential.Draft{Name: ptr(fmt.Sprint("n", rename))})
			return err
		}, ""},
		{"update nothing", func(who identity.Caller, id int64) error { _, err := w.update(who, id, credential.Draft{}); return err }, ""},
		{"tags", func(who identity.Caller, id int64) error {
			read := load[credential.ForChange](w, who, id)
			_, err := w.editor.EditTags(ctx, who, read, nil, func(current []string) []string { return append(current, "t") })
			return err
		}, ""},
		{"roll back", func(who identity.Caller, id int64) error { _, err := w.rollBack(who, id, 1); return err }, ""},
		{"propose", func(who identity.Caller, id int64) error {
			w.clock.advance(10 * time.Second)
			_, _, _, err := w.propose(who, id, credential.Draft{Credentials: postgres("next")})
			return err
		}, ""},
		{"delete", func(who identity.Caller, id int64) error { return w.delete(who, id) }, ""},
	}
	unknown := w.create(w.owner).ID + 1<<20
	for _, op := range operations {
		own, gone := w.create(w.owner).ID, w.create(w.owner).ID
		w.must(w.delete(w.owner, gone))
		same := map[string]bool{}
		for _, row := range []struct {
			as   string
			who  identity.Caller
			id   int64
			kind string
			want fault.Code
		}{
			{"a member without a role", w.member, own, "foreign", fault.CodeNotFound},
			{"a stranger", w.stranger, own, "foreign", fault.CodeNotFound},
			{"another organisation's admin", w.strangersAdmin, own, "foreign", fault.CodeNotFound},
			{"the owner", w.owner, unknown, "unknown", fault.CodeNotFound},
			{"an admin", w.admin, unknown, "unknown", fault.CodeNotFound},
			{"a member without a role", w.member, gone, "deleted", fault.CodeNotFound},
			{"the owner", w.owner, gone, "deleted", fault.CodeNotFound},
			{"an admin", w.admin, gone, "deleted", fault.CodeNotFound},
			{"an admin", w.admin, own, "own", op.admin},
			{"the owner", w.owner, own, "own", ""},
		} {
			if op.name == "log" && row.kind == "deleted" && row.who.User.ID != w.member.User.ID {
				row.want = "" // the last owner and the admins still read it
			}
			if op.name == "delete" && row.who.User.ID == w.owner.User.ID && row.kind == "own" {
				own = w.create(w.owner).ID // the admin has deleted the one before
				row.id = own
			}
			denials := len(w.entries(row.id, audit.Denied))
			w.store.Reset()
			err := op.do(row.who, row.id)
			if row.want == "" && err != nil || row.want != "" && !fault.Is(err, row.want) {
				t.Errorf("%s by %s of a %s credential: %v, want %q", op.name, row.as, row.kind, err, row.want)
			}
			if row.want == fault.CodeNotFound {
				var f *fault.Error
				if errors.As(err, &f) && f.ResourceID != row.id {
					t.Errorf("%s: names %d", op.name, f.ResourceID)
				}
				same[fmt.Sprint(err)] = true
				if c := w.store.Calls(); c.Reads() != 1 || c.Commits != 0 {
					t.Errorf("%s by %s of a %s credential: %d reads, %d commits", op.name, row.as, row.kind, c.Reads(), c.Commits)
				}
			}
			if got := len(w.entries(row.id, audit.Denied)) - denials; got != 0 != (row.want == fault.CodeForbidden) {
				t.Errorf("%s by %s of a %s credential: %d refusals in the log", op.name, row.as, row.kind, got)
			}
		}
		if len(same) != 1 {
			t.Errorf("%s: unlike answers for what must look alike: %v", op.name, same)
		}
	}
	w.check()
}

func TestRefusalIsDurableBeforeItIsAnswered(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.store.Plan(2, storetest.Away, nil)
	if _, err := w.reveal(w.admin, id, 0); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a refusal that could not be written down: %v", err)
	}
	w.store.Plan(2, storetest.Contended, nil)
	_, err := w.reveal(w.admin, id, 0)
	w.wantFault(err, fault.CodeForbidden)
	if got := w.entries(id, audit.Denied); len(got) != 1 || got[0].UserID != w.admin.User.ID || got[0].Summary[0] != "refused: reveal" {
		t.Errorf("the log holds %+v", got)
	}
}

func TestAnAdminSeesTheOwner(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	v, err := w.get(w.admin, id)
	w.must(err)
	if v.Role != access.Admin || v.Owner.Email != w.owner.User.Email {
		t.Errorf("role %v, owner %+v", v.Role, v.Owner)
	}
}
