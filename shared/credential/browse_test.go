package credential_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/probe"
	"credence/shared/store/storetest"
)

// A look is audited with what was looked at, gives its leases back and changes
// nothing else.
func TestLookLeavesNothingButItsEntry(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.probeAs(id, probe.CodeAuthRejected)
	was := w.now(id)
	for _, row := range []struct {
		code  probe.Code
		look  func() (probe.Result, bool, error)
		entry string
	}{
		{probe.CodeOK, func() (probe.Result, bool, error) {
			tree, r, err := w.tree(w.owner, id, probe.Place{Database: "app"})
			return r, len(tree.Nodes) == 1 && tree.Nodes[0].Name == "app to 2", err
		}, `tree of "app": OK`},
		{probe.CodeOK, func() (probe.Result, bool, error) {
			sample, r, err := w.sample(w.admin, id, probe.Place{Database: "app", Table: "a\"b\n"})
			return r, slices.Equal(sample.Columns, []string{"a\"b\n"}), err
		}, `sample of "app" of "a\"b\n": OK`},
		{probe.CodeAuthExpired, func() (probe.Result, bool, error) {
			tree, r, err := w.tree(w.owner, id, probe.Place{})
			return r, tree.Nodes != nil, err
		}, "tree: AUTH_EXPIRED"},
	} {
		w.prober.script(row.code, nil)
		r, shown, err := row.look()
		w.must(err)
		if r.Code != row.code || shown != (row.code == probe.CodeOK) {
			t.Errorf("%s: answered %s, shown %v", row.entry, r.Code, shown)
		}
		if e := w.entries(id)[0]; e.Event != audit.Probed || !slices.Equal(e.Summary, []string{row.entry}) {
			t.Errorf("logged %q, want %q", e.Summary, row.entry)
		}
		w.clock.advance(time.Second)
	}
	is := w.now(id)
	if is.Status != was.Status || is.Validity != was.Validity || is.Probes != was.Probes || is.LastProbe.Code != was.LastProbe.Code || is.Version != was.Version {
		t.Errorf("a look changed the credential: %+v, was %+v", is, was)
	}
	for k := range w.store.Everything(t) {
		if strings.Contains(k.Partition, "#PRINC") {
			t.Error("a lease of a target is left")
		}
	}
	w.check()
}

// A look waits for what is in flight and for nothing else; a probe keeps its
// distance to the last probe, whatever was looked at in between.
func TestLooksAndProbesTakeTurns(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.probeAs(id, probe.CodeOK) // a probe is due 5 s from here
	wants := func(what string, err error, want fault.Code) {
		t.Helper()
		if want == "" && err != nil || want != "" && !fault.Is(err, want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	_, _, err := w.tree(w.owner, id, probe.Place{})
	wants("a look right after a probe", err, "")
	_, _, err = w.tree(w.owner, id, probe.Place{})
	wants("a look right after a look", err, "")
	w.clock.advance(2 * time.Second)
	_, err = w.probe(w.owner, id)
	wants("a probe too soon after a probe", err, fault.CodeTooManyRequests)
	w.clock.advance(4 * time.Second)
	w.prober.script(probe.CodeOK, func() {
		_, _, err := w.tree(w.admin, id, probe.Place{})
		wants("a look while a probe is in flight", err, fault.CodeTooManyRequests)
	})
	_, err = w.probe(w.owner, id)
	wants("a probe in its time", err, "")
	w.clock.advance(6 * time.Second)
	w.prober.script(probe.CodeOK, func() {
		_, err := w.probe(w.admin, id)
		wants("a probe while a look is in flight", err, fault.CodeTooManyRequests)
	})
	_, _, err = w.tree(w.owner, id, probe.Place{})
	wants("a look in its time", err, "")
	_, err = w.probe(w.owner, id)
	wants("a probe right after a look", err, "")
	w.check()
}

// What names no place in such a system is refused before anything is read or
// dialled, all at once.
func TestLookAtTheWrongKindOfPlace(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	files := w.createFrom(w.owner, credential.Draft{Name: ptr("files"), Type: ptr("s3"), Credentials: s3(password)}).ID
	runs := w.prober.count()
	tree := func(id int64, at probe.Place) error { _, _, err := w.tree(w.owner, id, at); return err }
	sample := func(id int64, at probe.Place) error { _, _, err := w.sample(w.owner, id, at); return err }
	for _, row := range []struct {
		look func(int64, probe.Place) error
		id   int64
		at   probe.Place
		want []string
	}{
		{sample, id, probe.Place{Path: "a/b"}, []string{"/path", "/table"}},
		{sample, id, probe.Place{Database: "app"}, []string{"/table"}},
		{tree, id, probe.Place{Path: "a"}, []string{"/path"}},
		{sample, files, probe.Place{Table: "t"}, []string{"/path", "/table"}},
		{sample, files, probe.Place{Database: "d", Path: "a"}, []string{"/database"}},
		{tree, files, probe.Place{Database: "d", Table: "t"}, []string{"/database", "/table"}},
	} {
		if err := row.look(row.id, row.at); !fault.Is(err, fault.CodeInvalidRequest) || !slices.Equal(pointers(err), row.want) {
			t.Errorf("%+v: answered %v at %q, want %q", row.at, err, pointers(err), row.want)
		}
	}
	draft := credential.Draft{Name: ptr("api"), Type: ptr("rest"), Credentials: parsed(`{"api_key":"` + password + `","base_url":"https://api.example.com"}`)}
	other := w.createFrom(w.owner, draft).ID
	shown, r, err := w.tree(w.owner, other, probe.Place{})
	if err != nil || r.Code != probe.CodeNoProbeForType || shown.Nodes != nil {
		t.Errorf("a type that cannot be looked into: %s, %v", r.Code, err)
	}
	if w.prober.count() != runs || len(w.entries(id, audit.Probed))+len(w.entries(files, audit.Probed))+len(w.entries(other, audit.Probed)) != 0 {
		t.Error("something was tried")
	}
	w.must(tree(files, probe.Place{}))
	w.must(tree(files, probe.Place{Path: "a"}))
	w.must(sample(files, probe.Place{Path: "a"}))
	w.must(tree(id, probe.Place{}))
	w.check()
}

// Nothing is shown that is not written down.
func TestLookWithoutAnEntryShowsNothing(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	for n := 2; n <= 4; n++ { // the first signs in
		w.store.Plan(n, storetest.Away, nil)
		tree, _, err := w.tree(w.owner, id, probe.Place{})
		if !w.store.Happened() || err == nil || tree.Nodes != nil {
			t.Errorf("call %d away: %v, shown %v", n, err, tree.Nodes)
		}
		w.store.Reset()
		w.clock.advance(9 * time.Second)
	}
}

// A look that cannot begin is written down and gives its leases back too.
func TestLookThatCannotBegin(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.spoil(id)
	for range 2 { // the second at once
		tree, r, err := w.tree(w.owner, id, probe.Place{Database: "app"})
		if err != nil || r.Code != probe.CodeIntegrity || tree.Nodes != nil || w.prober.count() != 0 {
			t.Errorf("%s, %v, shown %v, %d dialled", r.Code, err, tree.Nodes, w.prober.count())
		}
	}
	entries := w.entries(id, audit.Probed)
	if len(entries) != 2 || !slices.Equal(entries[0].Summary, []string{`tree of "app": INTEGRITY`}) {
		t.Errorf("logged %+v", entries)
	}
	if v := w.now(id); v.LastProbe != nil || v.Probes != 0 || v.Validity != credential.Untested {
		t.Errorf("it counts as a probe: %+v", v.LastProbe)
	}
	if !slices.Equal(w.alarms, []probe.Code{probe.CodeIntegrity, probe.CodeIntegrity}) {
		t.Errorf("alarms %v", w.alarms)
	}
}
