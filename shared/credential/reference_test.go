package credential_test

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
)

func (w *world) use(who identity.Caller, id int64, r credential.Reference) ([]credential.Reference, error) {
	return w.service.Link(w.Context(), who, load[credential.ForChange](w, who, id), r)
}

func (w *world) unuse(who identity.Caller, id int64, r credential.Reference) ([]credential.Reference, error) {
	return w.service.Unlink(w.Context(), who, load[credential.ForChange](w, who, id), r)
}

var (
	source   = credential.Reference{Kind: "data_source", ID: "7", Number: true, Name: "orders"}
	notebook = credential.Reference{Kind: "notebook", ID: "a-b.c"}
)

func TestWhatIsUsedCannotBeDeleted(t *testing.T) {
	w := newWorld(t)
	before := w.create(w.owner)
	id := before.ID
	for _, r := range []credential.Reference{source, notebook, source} {
		if _, err := w.use(w.owner, id, r); err != nil {
			t.Fatal(err)
		}
	}
	_, got, err := w.service.References(t.Context(), w.owner, load[credential.ForRead](w, w.owner, id))
	a, b := source, notebook
	a.Owner, b.Owner = w.owner.User.ID, w.owner.User.ID
	if want := []credential.Reference{a, b}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	after := w.now(id)
	if after.References != 2 || after.Version != before.Version || !after.UpdatedAt.Equal(before.UpdatedAt) {
		t.Errorf("references %d, version %d, updated %v: want 2, and the others as before", after.References, after.Version, after.UpdatedAt)
	}
	var f *fault.Error
	if err := w.delete(w.owner, id); !errors.As(err, &f) || f.Code != fault.CodeInUse || !reflect.DeepEqual(f.References.DataSources, []int64{7}) {
		t.Fatalf("delete: %v, want in_use that names source 7", err)
	}
	for _, r := range []credential.Reference{source, notebook, source} {
		if _, err := w.unuse(w.owner, id, r); err != nil {
			t.Fatal(err)
		}
	}
	if linked, un := len(w.entries(id, audit.Linked)), len(w.entries(id, audit.Unlinked)); linked != 2 || un != 2 {
		t.Errorf("%d entries of links and %d of their ends, want 2 and 2", linked, un)
	}
	if err := w.delete(w.owner, id); err != nil {
		t.Error(err)
	}
	w.check()
}

func TestWhoMayLink(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	_, err := w.use(w.member, id, source)
	w.wantFault(err, fault.CodeNotFound)
	_, err = w.use(w.stranger, id, source)
	w.wantFault(err, fault.CodeNotFound)
	if _, err := w.use(w.admin, id, source); err != nil {
		t.Error(err)
	}
	for _, bad := range []credential.Reference{{Kind: "Data Source", ID: "1"}, {Kind: "job", ID: ""}, {Kind: "job", ID: "a#b"}, {Kind: "", ID: "1"}} {
		_, err := w.use(w.owner, id, bad)
		w.wantFault(err, fault.CodeInvalidRequest)
	}
}

// An update, a probe's outcome and links at the same time lose nothing of each
// other.
func TestLinksUpdatesAndProbesAtOnce(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.prober.crowd = true
	var wg sync.WaitGroup
	errs := make([]error, 10)
	for n := range 8 {
		wg.Go(func() {
			for range 20 { // what others got ahead of too often says so, and is asked again
				_, errs[n] = w.use(w.owner, id, credential.Reference{Kind: "job", ID: fmt.Sprint(n), Number: true})
				if !fault.Is(errs[n], fault.CodeConflict) {
					return
				}
			}
		})
	}
	wg.Go(func() { _, errs[8] = w.update(w.owner, id, credential.Draft{Name: ptr("renamed")}) })
	wg.Go(func() { _, errs[9] = w.probe(w.owner, id) })
	wg.Wait()
	for n, err := range errs {
		if err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
	now := w.now(id)
	if now.References != 8 || now.Name != "renamed" || now.LastProbe == nil || now.LastProbe.Verdict != probe.Valid {
		t.Errorf("references %d, name %q, last probe %+v", now.References, now.Name, now.LastProbe)
	}
	w.check()
}
