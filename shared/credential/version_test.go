package credential_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

func numbers(list []credential.Version) (kept []int64, active int64) {
	for _, v := range list {
		kept = append(kept, v.Number)
		if v.Active {
			active = v.Number
		}
	}
	return kept, active
}

func TestRollBackBringsTheVersionWhole(t *testing.T) {
	w := newWorld(t)
	d := w.draft()
	id := w.createFrom(w.owner, d).ID
	public := string(w.now(id).Public)
	first := w.probeAs(id, probe.CodeOK)
	if _, err := w.update(w.owner, id, credential.Draft{Type: ptr("s3"), Credentials: s3("bucket secret"), Name: ptr("a bucket")}); err != nil {
		t.Fatal(err)
	}
	w.probeAs(id, probe.CodeAuthRejected)
	w.setSecret(id, s3("third"))
	for _, row := range []struct {
		to       int64
		typ      string
		secret   string
		validity credential.Validity
		status   string
		at       time.Time
	}{
		{1, "postgres", password, credential.ValidityValid, "200 Ok", first.CheckedAt},
		{2, "s3", "bucket secret", credential.ValidityInvalid, "403 ", time.Time{}},
		{3, "s3", "third", credential.Untested, "", time.Time{}},
	} {
		before := w.now(id)
		v, err := w.rollBack(w.admin, id, row.to)
		w.must(err)
		is := w.now(id)
		if is.SecretVersion != row.to || is.Type != row.typ || is.Validity != row.validity || !strings.HasPrefix(is.Status, row.status) ||
			!is.VerifiedAt.Equal(row.at) || is.Name != "a bucket" || v.Version != before.Version+1 || is.LastSecret != 3 {
			t.Errorf("to %d: %+v", row.to, is.Credential)
		}
		if got, want := fmt.Sprint(codesOf(v.Warnings)), map[int64]string{1: "[]", 2: "[/version last_invalid]", 3: "[]"}[row.to]; got != want {
			t.Errorf("to %d: warned of %s, want %s", row.to, got, want)
		}
		if row.to == 1 && string(is.Public) != public {
			t.Errorf("public settings %s", is.Public)
		}
		if !strings.Contains(w.secretOf(id), row.secret) {
			t.Errorf("to %d: another secret", row.to)
		}
		if e := w.entries(id, audit.RolledBack)[0]; fmt.Sprint(e.Changes["secret_version"]) != fmt.Sprintf("[%d %d]", before.SecretVersion, row.to) {
			t.Errorf("to %d: logged %v", row.to, e.Changes)
		}
		w.check()
	}
	for _, none := range []int64{0, 4, -1, 1 << 52} {
		_, err := w.rollBack(w.owner, id, none)
		if !fault.Is(err, fault.CodeInvalidRequest) || !slices.Equal(pointers(err), []string{"/version"}) {
			t.Errorf("to %d: %v", none, err)
		}
	}
	// A number is never used again, whatever is active.
	_, err := w.rollBack(w.owner, id, 1)
	w.must(err)
	if v := w.setSecret(id, postgres("fourth")); v.SecretVersion != 4 {
		t.Errorf("the next version is %d", v.SecretVersion)
	}
	if w.secretOf(id) == "" || w.now(id).Validity != credential.Untested {
		t.Error("the verdict of another version is kept")
	}
}

func TestTenVersionsAreKept(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	for n := range 9 {
		w.setSecret(id, postgres(fmt.Sprint("secret ", n+2)))
	}
	want := func(step string, active int64, kept ...int64) {
		t.Helper()
		list, _, err := w.versions(w.owner, id)
		w.must(err)
		if got, is := numbers(list); !slices.Equal(got, kept) || is != active {
			t.Errorf("%s: %v, active %d; want %v, %d", step, got, is, kept, active)
		}
		w.check()
	}
	want("ten", 10, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
	_, err := w.rollBack(w.owner, id, 1)
	w.must(err)
	want("back to the oldest", 1, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
	w.setSecret(id, postgres("eleventh"))
	// What worked until now is what a roll back of this change needs.
	want("the eleventh", 11, 11, 10, 9, 8, 7, 6, 5, 4, 3, 1)
	_, err = w.rollBack(w.owner, id, 1)
	w.must(err)
	if !strings.Contains(w.secretOf(id), password) {
		t.Error("the oldest is another secret")
	}
	_, err = w.rollBack(w.owner, id, 11)
	w.must(err)
	w.setSecret(id, postgres("twelfth"))
	want("the twelfth", 12, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3)
}

// A version that another change trims meanwhile cannot become active.
// codesOf are pointers and codes of warnings.
func codesOf(warnings []fault.Detail) []string {
	out := make([]string, len(warnings))
	for n, w := range warnings {
		out[n] = w.Pointer + " " + w.Code
	}
	return out
}

// TestWarnings shows that bringing back what is known not to work, or copying it,
// is done and warned of.
func TestWarnings(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.prober.facts = facts(w.clock.Now().Add(time.Hour).Format(time.RFC3339), "")
	w.probeAs(id, probe.CodeOK)
	w.prober.facts = nil
	w.setSecret(id, postgres("second"))
	w.clock.advance(2 * time.Hour)
	v, err := w.rollBack(w.owner, id, 1)
	if w.must(err); fmt.Sprint(codesOf(v.Warnings)) != "[/version expired]" {
		t.Errorf("an expired version: %v", v.Warnings)
	}
	w.probeAs(id, probe.CodeAuthRejected)
	for name, do := range map[string]func() (credential.View, error){
		"/version": func() (credential.View, error) { return w.rollBack(w.owner, id, 1) },
		"":         func() (credential.View, error) { return w.copy(w.owner, id) },
	} {
		if v, err := do(); err != nil || codesOf(v.Warnings)[0] != name+" last_invalid" {
			t.Errorf("at %q: %v, %v", name, v.Warnings, err)
		}
	}
	if v := w.now(id); v.Warnings != nil {
		t.Errorf("a read warns of %v", v.Warnings)
	}
}

func TestRollBackToAVersionTrimmedMeanwhile(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	for n := range 9 {
		w.setSecret(id, postgres(fmt.Sprint("secret ", n)))
	}
	w.store.Plan(3, storetest.Afterwards, func() { w.setSecret(id, postgres("eleventh")) })
	_, err := w.rollBack(w.owner, id, 1)
	w.wantFault(err, fault.CodeInvalidRequest)
	if w.now(id).SecretVersion != 11 {
		t.Errorf("active: %d", w.now(id).SecretVersion)
	}
	w.check()
}

func TestProposalSwitchesOnlyWhenValid(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.probeAs(id, probe.CodeAuthRejected)
	for _, code := range []probe.Code{probe.CodeAuthRejected, probe.CodeTCPTimeout, probe.CodeOK} {
		w.clock.advance(10 * time.Second)
		w.prober.script(code, nil)
		before, items, kms := w.now(id), len(w.store.Everything(t)), w.kmsCalls()
		v, r, switched, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("candidate"), Name: ptr("ignored")})
		w.must(err)
		is := w.now(id)
		if tried := w.prober.tried[len(w.prober.tried)-1]; tried != "candidate" || r.Code != code {
			t.Errorf("%s: another secret was tried", code)
		}
		if e := w.entries(id, audit.Probed)[0]; !slices.Equal(e.Summary, []string{"candidate: " + string(code)}) {
			t.Errorf("%s: logged %q", code, e.Summary)
		}
		if code != probe.CodeOK {
			if switched || is.Version != before.Version || is.SecretVersion != 1 || is.Probes != before.Probes || len(w.store.Everything(t)) != items+2 || w.kmsCalls() != kms+1 { // the entries; it is sealed before it is tried
				t.Errorf("%s: switched %v, %+v", code, switched, is.Credential)
			}
			continue
		}
		if !switched || is.SecretVersion != 2 || is.Version != before.Version+1 || is.Status != "200 Ok" || !is.VerifiedAt.Equal(r.CheckedAt) || v.Status != is.Status || is.Name != before.Name {
			t.Errorf("%s: switched %v, %+v", code, switched, is.Credential)
		}
		if w.kmsCalls() != kms+1 {
			t.Errorf("%d calls of the key service", w.kmsCalls()-kms)
		}
	}
	if !strings.Contains(w.secretOf(id), "candidate") {
		t.Error("another secret is stored")
	}
	if _, err := w.probe(w.owner, id); retryAfter(err) < 0 {
		t.Errorf("a probe right after a proposal: %v", err)
	}
	// The verdict is the version's own.
	w.setSecret(id, postgres("third"))
	_, err := w.rollBack(w.owner, id, 2)
	w.must(err)
	if v := w.now(id); v.Validity != credential.ValidityValid || v.VerifiedAt.IsZero() {
		t.Errorf("rolled back to the proven one: %s", v.Validity)
	}
	w.check()
}

func (w *world) kmsCalls() int { return w.kms.Calls(7) }

func TestProposalRefuses(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	for _, row := range []struct {
		name   string
		d      credential.Draft
		during func()
		want   fault.Code
		runs   int
	}{
		{"nothing", credential.Draft{}, nil, fault.CodeInvalidRequest, 0},
		{"another type's fields", credential.Draft{Credentials: s3("k")}, nil, fault.CodeInvalidRequest, 0},
		{"a version gone by", credential.Draft{Credentials: postgres("n"), IfMatch: credential.Match{9}}, nil, fault.CodePreconditionFailed, 0},
		{"changed meanwhile", credential.Draft{Credentials: postgres("n")}, func() {
			_, err := w.update(w.admin, id, credential.Draft{Name: ptr("changed meanwhile")})
			w.must(err)
		}, fault.CodePreconditionFailed, 1},
		{"replaced meanwhile", credential.Draft{Credentials: postgres("n")}, func() { w.setSecret(id, postgres("theirs")) }, fault.CodePreconditionFailed, 1},
		{"deleted meanwhile", credential.Draft{Credentials: postgres("n")}, func() { w.must(w.delete(w.owner, id)) }, fault.CodeNotFound, 1},
	} {
		w.clock.advance(10 * time.Second)
		w.prober.script(probe.CodeOK, row.during)
		runs := w.prober.count()
		_, _, switched, err := w.propose(w.owner, id, row.d)
		w.wantFault(err, row.want)
		if switched || w.prober.count() != runs+row.runs {
			t.Errorf("%s: switched %v, ran %d", row.name, switched, w.prober.count()-runs)
		}
		if row.name == "changed meanwhile" && w.now(id).Name != row.name {
			t.Error("the other change is lost")
		}
		if row.name == "replaced meanwhile" && !strings.Contains(w.secretOf(id), "theirs") {
			t.Error("the other secret is lost")
		}
		w.check()
	}
	// Someone else's probe meanwhile is no change.
	id = w.create(w.owner).ID
	w.prober.script(probe.CodeOK, nil)
	if _, _, switched, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("n")}); err != nil || !switched {
		t.Errorf("switched %v, %v", switched, err)
	}
	w.prober.script(probe.CodeOK, nil)
	if _, _, _, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("m")}); retryAfter(err) < 0 {
		t.Errorf("a second at once: %v", err)
	}
}

func TestCopyIsTheOwnersAndStartsAnew(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.setSecret(id, postgres("second"))
	w.probeAs(id, probe.CodeOK)
	w.link(id, "data_source#0000000000000007")
	c, err := w.copy(w.owner, id)
	w.must(err)
	from, is := w.now(id), w.now(c.ID)
	if is.CopiedFrom != id || is.Name != from.Name || is.Type != from.Type || !slices.Equal(is.Tags, from.Tags) || is.Credential.Owner != w.owner.User.ID ||
		string(is.Public) != string(from.Public) || is.Version != 1 || is.SecretVersion != 1 || is.References != 0 ||
		is.Status != "" || !is.VerifiedAt.IsZero() || is.Validity != credential.Untested || is.LastProbe != nil || is.Probes != 0 {
		t.Errorf("the copy: %+v", is.Credential)
	}
	if w.secretOf(c.ID) != w.secretOf(id) {
		t.Error("another secret")
	}
	if e := w.entries(id, audit.Copied); len(e) != 1 || e[0].UserID != w.owner.User.ID || e[0].Summary[0] != "version 2 of the secret" {
		t.Errorf("the original's log: %+v", e)
	}
	w.check()
	// Without the entry in the original's log there is no copy.
	items := len(w.store.Everything(t))
	w.store.Plan(3, storetest.Away, nil)
	if _, err := w.copy(w.owner, id); err == nil || len(w.store.Everything(t)) != items {
		t.Errorf("with the store away: %v", err)
	}
	var first []store.Write
	w.store.Plan(3, storetest.Overtaken, nil)
	if _, err := w.copy(w.owner, id); err != nil {
		t.Errorf("an id taken: %v", err)
	}
	first = w.store.Written()
	logged := 0
	for _, write := range first {
		if write.Item.Key.Table == store.Audit {
			logged++
		}
	}
	if logged != 3 { // the copy's first change and its head, and the original's entry
		t.Errorf("%d writes of the log in one commit", logged)
	}
	w.check()
}
