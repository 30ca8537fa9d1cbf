package credential_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

func TestDeleteLeavesNothingButTheLog(t *testing.T) {
	w := newWorld(t)
	before := len(w.store.Everything(t))
	d := w.draft()
	d.Interval = ptr("hourly")
	id := w.createFrom(w.owner, d).ID
	for n := range 12 {
		w.setSecret(id, postgres(fmt.Sprint("secret ", n)))
		w.secretOf(id)
	}
	for range 25 {
		w.probeAs(id, probe.CodeOK)
	}
	for n := range 30 { // thirty service keys that read it
		reader := w.owner
		reader.KeyID = int64(1000 + n)
		_, err := w.reveal(reader, id, 0)
		w.must(err)
	}
	_, err := w.rollBack(w.owner, id, 9)
	w.must(err)
	w.store.Reset()
	w.must(w.delete(w.owner, id))
	if c := w.store.Calls(); c.Commits != 1 {
		t.Errorf("%d commits", c.Commits)
	}
	left := 0
	for k := range w.store.Everything(t) {
		if k.Table != store.Audit {
			left++
		}
	}
	people := 0
	for k := range w.store.Everything(t) {
		if k.Table == store.Audit && k.Partition != audit.HeadKey(w.owner.Org.ID, id).Partition {
			people++
		}
	}
	if left+people != before {
		t.Errorf("%d items are left of it", left+people-before)
	}
	w.check()
	if err := w.delete(w.owner, id); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestLogOutlivesTheCredential(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	_, err := w.update(w.owner, id, credential.Draft{Owner: &w.heir.User.ID})
	w.must(err)
	w.must(w.delete(w.admin, id))
	for _, row := range []struct {
		name string
		who  identity.Caller
		want fault.Code
	}{
		{"the last owner", w.heir, ""},
		{"an admin", w.admin, ""},
		{"an owner before", w.owner, fault.CodeNotFound},
		{"a member", w.member, fault.CodeNotFound},
		{"another organisation's admin", w.strangersAdmin, fault.CodeNotFound},
	} {
		entries, err := w.log(row.who, id)
		w.wantFault(err, row.want)
		if row.want != "" {
			continue
		}
		if len(entries) != 3 || entries[0].Event != audit.Destroyed || entries[0].OwnerEmail != w.heir.User.Email || entries[0].UserID != w.admin.User.ID {
			t.Errorf("%s reads %+v", row.name, entries)
		}
	}
	if _, err := w.log(w.owner, id+1); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("the log of nothing: %v", err)
	}
}

func TestDeleteIsRefusedWhileInUse(t *testing.T) {
	w := newWorld(t)
	v := w.create(w.owner)
	w.link(v.ID, "data_source#0000000000000007", "data_source#0000000000000009", "data_sink#0000000000000008")
	err := w.delete(w.owner, v.ID)
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.CodeInUse || f.ResourceID != v.ID ||
		!slices.Equal(f.References.DataSources, []int64{7, 9}) || !slices.Equal(f.References.DataSinks, []int64{8}) {
		t.Errorf("got %v", err)
	}
	if want := []string{
		"The data_sink 0000000000000008 uses the credential. Delete it, or remove it from referenced_by.",
		"The data_source 0000000000000007 uses the credential. Delete it, or remove it from referenced_by.",
		"The data_source 0000000000000009 uses the credential. Delete it, or remove it from referenced_by.",
	}; !slices.Equal(named(f), want) {
		t.Errorf("it names %q", named(f))
	}
	if got := w.now(v.ID); got.References != 3 || len(w.entries(v.ID, audit.Destroyed)) != 0 {
		t.Error("it was deleted")
	}
	// A change of the credential keeps the count.
	if _, err := w.update(w.owner, v.ID, credential.Draft{Credentials: postgres("n")}); err != nil || w.now(v.ID).References != 3 {
		t.Errorf("after an update: %v", err)
	}
	if c, err := w.copy(w.owner, v.ID); err != nil || c.References != 0 {
		t.Errorf("the copy is used by %d, %v", c.References, err)
	}
}

// named are the sentences of a refusal's details.
func named(f *fault.Error) []string {
	out := make([]string, len(f.Details))
	for n, d := range f.Details {
		out[n] = d.Message
	}
	return out
}

// TestTheRefusalNamesUsersUpToALimit shows the names and the ids as they were
// given, and how many more there are.
func TestTheRefusalNamesUsersUpToALimit(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	use := func(r credential.Reference) {
		t.Helper()
		_, err := w.use(w.owner, id, r)
		w.must(err)
	}
	use(credential.Reference{Kind: "data_source", ID: "7", Number: true, Name: "orders"})
	use(credential.Reference{Kind: "job", ID: "nightly-1"})
	var f *fault.Error
	if err := w.delete(w.owner, id); !errors.As(err, &f) || !slices.Equal(named(f), []string{
		`The data_source 7, "orders", uses the credential. Delete it, or remove it from referenced_by.`,
		"The job nightly-1 uses the credential. Delete it, or remove it from referenced_by.",
	}) {
		t.Errorf("got %v, %q", err, named(f))
	}
	for n := range 60 {
		use(credential.Reference{Kind: "pipeline", ID: fmt.Sprint(n + 1), Number: true})
	}
	if err := w.delete(w.owner, id); !errors.As(err, &f) || len(f.Details) != 51 ||
		!strings.HasPrefix(f.Details[50].Message, "And 12 more: GET /data_credentials/") {
		t.Errorf("got %v, %d named", err, len(f.Details))
	}
}

// link writes references as a source or sink does: a row, and the count.
func (w *world) link(id int64, names ...string) {
	w.Helper()
	org := w.owner.Org.ID
	items, err := w.store.Store.Get(context.Background(), credential.RowKey(org, id))
	w.must(err)
	rev := items[0].Attributes.Int("rev")
	items[0].Attributes["rev"], items[0].Attributes["refs"] = rev+1, int64(len(names))
	writes := []store.Write{{Verb: store.Put, Item: items[0], If: store.Equal("rev", rev)}}
	for _, name := range names {
		k := store.Key{Table: store.Meta, Partition: fmt.Sprintf("ORG#%d#C#%d", org, id), Sort: "REF#" + name}
		writes = append(writes, store.Write{Verb: store.Put, Item: store.Item{Key: k, Attributes: store.Attributes{}}, If: store.Absent()})
	}
	w.must(w.store.Commit(context.Background(), writes...))
}

// A link that comes between a delete's read and its commit keeps it from going.
func TestLinkAndDeleteDoNotBothSucceed(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.store.Plan(3, storetest.Afterwards, func() { w.link(id, "data_source#0000000000000007") })
	if err := w.delete(w.owner, id); !fault.Is(err, fault.CodeInUse) {
		t.Errorf("got %v", err)
	}
	w.check()
}

func TestDeleteHonoursTheTag(t *testing.T) {
	w := newWorld(t)
	v := w.create(w.owner)
	for _, row := range []struct {
		match credential.Match
		want  fault.Code
	}{{credential.Match{2}, fault.CodePreconditionFailed}, {credential.Match{}, fault.CodePreconditionFailed}, {credential.Match{5, 1}, ""}} {
		read := load[credential.ForChange](w, w.owner, v.ID)
		w.wantFault(w.editor.Delete(context.Background(), w.owner, read, row.match), row.want)
	}
}

func TestDoubleDelete(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		id := w.create(w.owner).ID
		errs := together(2, func(int) error { return w.delete(w.owner, id) })
		if errs[0] != nil {
			errs[0], errs[1] = errs[1], errs[0]
		}
		if errs[0] != nil || !fault.Is(errs[1], fault.CodeNotFound) {
			t.Errorf("got %v", errs)
		}
	}
	w.check()
}

// What hundreds of service keys and questions left behind goes too, in as many
// commits as it takes; the secrets go in the first.
func TestDeleteOfACredentialReadByMany(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.setSecret(id, postgres("second"))
	reader := w.owner
	for n := range 110 {
		reader.KeyID = int64(1000 + n)
		_, err := w.reveal(reader, id, 0)
		w.must(err)
	}
	for range 20 {
		w.clock.advance(6 * time.Second)
		_, err := w.probeFor(w.owner, id)
		w.must(err)
	}
	all := w.store.Everything(t)
	w.store.Plan(4, storetest.Away, nil) // after the commit that counts
	w.must(w.delete(w.owner, id))
	if !w.store.Happened() {
		t.Error("one commit held everything: the test is too small")
	}
	w.checkOf("USE#")
	other := w.create(w.owner).ID
	for k, i := range all { // the same belongings, of another credential
		if k.Table == store.Meta && strings.HasPrefix(k.Sort, "USE#") {
			i.Key.Partition = audit.HeadKey(w.owner.Org.ID, other).Partition
			w.put(i)
		}
	}
	w.must(w.delete(w.owner, other))
	for k := range w.store.Everything(t) {
		if k.Table == store.Meta && k.Partition == audit.HeadKey(w.owner.Org.ID, other).Partition {
			t.Errorf("left over: %s", k.Sort)
		}
	}
}
