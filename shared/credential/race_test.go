package credential_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

// together runs do n times at once and gathers the errors.
func together(n int, do func(n int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

func TestUpdatesOfDifferentFieldsLoseNothing(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	added := make([]string, 20)
	errs := together(20, func(n int) error {
		if n%2 == 1 { // tags are one field in which all add
			added[n] = fmt.Sprint("t", n)
			read := load[credential.ForChange](w, w.owner, id)
			_, err := w.editor.EditTags(context.Background(), w.owner, read, nil, func(now []string) []string { return append(now, added[n]) })
			return err
		}
		d := []credential.Draft{
			{Name: ptr("renamed")}, {Description: &credential.Description{}}, {Format: ptr("7")}, {Interval: ptr("hourly")}, {Credentials: postgres("raced")},
		}[n/2%5]
		_, err := w.update(w.owner, id, d)
		return err
	})
	v := w.now(id)
	changes := int64(0)
	for n, err := range errs {
		w.wantFaultOr(err, fault.CodeConflict)
		if err == nil {
			changes++
		}
		if n%2 == 1 && (err == nil) != contains(v.Tags, added[n]) {
			t.Errorf("tag %d: answered %v, stored %v", n, err, v.Tags)
		}
	}
	for n, there := range []bool{v.Name == "renamed", v.Description == nil, v.Format == "7", v.Interval == credential.Hourly, v.SecretVersion > 1} {
		if succeeded := errs[2*n] == nil || errs[2*n+10] == nil; succeeded != there {
			t.Errorf("field %d: answered success: %v, stored: %v", n, succeeded, there)
		}
	}
	if changes == 0 || v.Version > changes+1 {
		t.Errorf("%d answered success, version %d", changes, v.Version)
	}
	w.check()
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// wantFaultOr takes success or the fault.
func (w *world) wantFaultOr(err error, code fault.Code) {
	w.Helper()
	if err != nil && !fault.Is(err, code) {
		w.Errorf("got %v, want success or %q", err, code)
	}
}

func TestOfTwoWithOneTagOneWins(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		v := w.create(w.owner)
		errs := together(2, func(n int) error {
			_, err := w.update(w.owner, v.ID, credential.Draft{Name: ptr(fmt.Sprint("n", n)), IfMatch: credential.Match{v.Version}})
			return err
		})
		if errs[0] != nil {
			errs[0], errs[1] = errs[1], errs[0]
		}
		if errs[0] != nil || !fault.Is(errs[1], fault.CodePreconditionFailed) {
			t.Errorf("got %v", errs)
		}
	}
	w.check()
}

// TestOvertakenChangesStartOver lets somebody else's change come between a
// change's read and its commit.
func TestOvertakenChangesStartOver(t *testing.T) {
	for _, row := range []struct {
		name string
		nth  int
		do   func(w *world, id int64) error
		want fault.Code
	}{
		{"update", 2, func(w *world, id int64) error {
			_, err := w.update(w.owner, id, credential.Draft{Format: ptr("2")})
			return err
		}, ""},
		{"update with a tag", 2, func(w *world, id int64) error {
			_, err := w.update(w.owner, id, credential.Draft{Format: ptr("2"), IfMatch: credential.Match{2}})
			return err
		}, fault.CodePreconditionFailed},
		{"new secret", 3, func(w *world, id int64) error {
			_, err := w.update(w.owner, id, credential.Draft{Credentials: postgres("n")})
			return err
		}, ""},
		{"roll back", 3, func(w *world, id int64) error { _, err := w.rollBack(w.owner, id, 1); return err }, ""},
		{"delete", 3, func(w *world, id int64) error { return w.delete(w.owner, id) }, ""},
		{"probe's outcome", 4, func(w *world, id int64) error { _, err := w.probe(w.owner, id); return err }, ""},
		{"proposal", 4, func(w *world, id int64) error {
			_, _, _, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("n")})
			return err
		}, fault.CodePreconditionFailed},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.create(w.owner).ID
			w.setSecret(id, postgres("second"))
			w.clock.advance(time.Minute)
			w.prober.crowd = true
			w.store.Plan(row.nth, storetest.Afterwards, func() {
				_, err := w.update(w.admin, id, credential.Draft{Name: ptr("overtaken")})
				w.must(err)
			})
			err := row.do(w, id)
			w.wantFault(err, row.want)
			if !w.store.Happened() {
				t.Error("nobody overtook")
			}
			if v, err := w.get(w.admin, id); row.name != "delete" && (err != nil || v.Name != "overtaken") {
				t.Errorf("the other change is lost: %q, %v", v.Name, err)
			}
			w.check()
		})
	}
}

// A change that loses every time ends as a conflict after a number of calls that
// is known: eight commits where others always come first, two where the store
// gave up on a conflict itself. The new secret is sealed once.
func TestEndlessContentionIsAConflict(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	read := load[credential.ForChange](w, w.owner, id)
	for _, row := range []struct {
		err                             error
		gets, ranges, commits, dataKeys int
	}{
		{store.ErrConflict, 1, 2, 2, 1},
		{&store.ConditionError{Failed: []int{0}}, 7, 8, 8, 1},
	} {
		e := w.editor
		e.Store = stuckStore{w.store, row.err}
		w.store.Reset()
		kms := w.kmsCalls()
		_, err := e.Update(context.Background(), w.owner, read, credential.Draft{Credentials: postgres("n")})
		w.wantFault(err, fault.CodeConflict)
		if got, want := w.store.Calls(), (storetest.Calls{Gets: row.gets, Ranges: row.ranges}); got != want || w.kmsCalls()-kms != row.dataKeys {
			t.Errorf("%v: %+v reads and %d data keys, want %+v and %d", row.err, got, w.kmsCalls()-kms, want, row.dataKeys)
		}
	}
	// Nothing starts over that would not be ended within the caller's time.
	ctx, cancel := context.WithTimeout(context.Background(), 900*time.Millisecond)
	defer cancel()
	e := w.editor
	e.Store = stuckStore{w.store, &store.ConditionError{Failed: []int{0}}}
	w.store.Reset()
	_, err := e.Update(ctx, w.owner, read, credential.Draft{Name: ptr("n")})
	w.wantFault(err, fault.CodeConflict)
	if got := w.store.Calls(); got.Gets != 0 {
		t.Errorf("with less than a second left: %+v", got)
	}
	w.check()
}

// contendedStore lets nobody write the row of a credential: others always come
// first.
type contendedStore struct{ store.Store }

func (s contendedStore) Commit(ctx context.Context, writes ...store.Write) error {
	for i, w := range writes {
		if w.Verb == store.Put && strings.HasPrefix(w.Item.Key.Sort, "CRED#") {
			return &store.ConditionError{Failed: []int{i}}
		}
	}
	return s.Store.Commit(ctx, writes...)
}

// A verdict that loses to others every time is lost, and the caller is told. It
// is known all the same that a probe ran, and nobody has to wait for its leases
// to run out.
func TestVerdictThatLosesEveryAttempt(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.probeAs(id, probe.CodeOK)
	w.clock.advance(6 * time.Second)
	contended := w.tester
	contended.Store = contendedStore{w.store}
	w.prober.script(probe.CodeAuthRejected, nil)
	read := load[credential.ForProbe](w, w.owner, id)
	_, err := contended.Probe(context.Background(), w.owner, read)
	w.wantFault(err, fault.CodeConflict)
	if v := w.now(id); v.Validity != credential.ValidityValid || v.Probes != 1 {
		t.Errorf("%s after %d probes", v.Validity, v.Probes)
	}
	if e := w.entries(id, audit.Probed); len(e) != 4 || e[0].Summary[0] != "invalid: AUTH_REJECTED" {
		t.Errorf("logged %+v", e)
	}
	for k := range w.store.Everything(t) {
		if strings.Contains(k.Partition, "#PRINC") {
			t.Error("the lease of the target is left")
		}
	}
	w.clock.advance(5 * time.Second)
	if _, err := w.probe(w.owner, id); err != nil {
		t.Errorf("five seconds on: %v", err)
	}
	w.check()
}

// A change that waits for its turn until its time is up lost to others; the
// store was there all along.
func TestContentionUntilTheTimeIsUp(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	read := load[credential.ForChange](w, w.owner, id)
	ctx, cancel := context.WithCancel(context.Background())
	e := w.editor
	e.Store = endingStore{contendedStore{w.store}, cancel}
	_, err := e.Update(ctx, w.owner, read, credential.Draft{Name: ptr("n")})
	w.wantFault(err, fault.CodeConflict)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("why is not told to the log: %v", err)
	}
}

// endingStore ends the caller's time with a commit.
type endingStore struct {
	store.Store
	end func()
}

func (s endingStore) Commit(ctx context.Context, writes ...store.Write) error {
	defer s.end()
	return s.Store.Commit(ctx, writes...)
}

// stuckStore answers each commit with an error.
type stuckStore struct {
	store.Store
	err error
}

func (s stuckStore) Commit(context.Context, ...store.Write) error { return s.err }

func TestUpdateProbeRevealAndDeleteAtOnce(t *testing.T) {
	w := newWorld(t)
	w.prober.crowd = true
	for range 15 {
		id := w.create(w.owner).ID
		together(6, func(n int) error {
			var err error
			switch n {
			case 0:
				_, err = w.update(w.owner, id, credential.Draft{Credentials: postgres("swapped")})
			case 1:
				_, err = w.probe(w.owner, id)
				if fault.Is(err, fault.CodeTooManyRequests) {
					err = nil
				}
			case 2:
				err = w.delete(w.owner, id)
			case 3:
				_, err = w.update(w.admin, id, credential.Draft{Owner: &w.heir.User.ID})
			case 4:
				_, err = w.reveal(w.owner, id, 0)
			case 5:
				_, err = w.copy(w.owner, id)
			}
			if err != nil && !fault.Is(err, fault.CodeNotFound) && !fault.Is(err, fault.CodeConflict) && !fault.Is(err, fault.CodeForbidden) {
				t.Errorf("call %d: %v", n, err)
			}
			return nil
		})
		w.clock.advance(2 * time.Minute)
	}
	for _, code := range w.alarms {
		t.Errorf("alarm: %s", code)
	}
	w.check()
}

// A credential goes between any two calls of a request that opens its secret:
// the answer is the one of a moment later, nothing is sent or handed out, and no
// row is left.
func TestDeleteBetweenAnyTwoCalls(t *testing.T) {
	for name, row := range map[string]struct {
		do   func(w *world, id int64) error
		last int // the call of the commit after which the request came first
	}{
		"reveal": {func(w *world, id int64) error { _, err := w.reveal(w.owner, id, 0); return err }, 3},
		"probe":  {func(w *world, id int64) error { _, err := w.probe(w.owner, id); return err }, 3},
		"tree":   {func(w *world, id int64) error { _, _, err := w.tree(w.owner, id, probe.Place{}); return err }, 3},
		"copy":   {func(w *world, id int64) error { _, err := w.copy(w.owner, id); return err }, 3},
		"proposal": {func(w *world, id int64) error {
			_, _, _, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("n")})
			return err
		}, 3},
	} {
		for nth := 2; nth <= row.last; nth++ {
			w := newWorld(t)
			id := w.create(w.owner).ID
			w.store.Plan(nth, storetest.Afterwards, func() { w.must(w.delete(w.owner, id)) })
			err := row.do(w, id)
			if !fault.Is(err, fault.CodeNotFound) || !w.store.Happened() || len(w.alarms) > 0 || w.prober.count() > 0 {
				t.Errorf("%s, before call %d: %v, alarms %v, sent %d times", name, nth, err, w.alarms, w.prober.count())
			}
			w.check()
		}
	}
}

// A request comes between any two calls of a delete.
func TestRevealWithinADelete(t *testing.T) {
	for nth := 2; nth <= 3; nth++ {
		w := newWorld(t)
		id := w.create(w.owner).ID
		w.store.Plan(nth, storetest.Afterwards, func() {
			_, err := w.reveal(w.owner, id, 0)
			w.must(err)
		})
		w.must(w.delete(w.owner, id))
		if !w.store.Happened() {
			t.Errorf("call %d: no reveal", nth)
		}
		w.check()
	}
}

// A secret that is replaced while a probe opens it is not sent any more.
func TestReplacedSecretIsNotSent(t *testing.T) {
	for nth := 2; nth <= 3; nth++ {
		w := newWorld(t)
		id := w.create(w.owner).ID
		w.store.Plan(nth, storetest.Afterwards, func() { w.setSecret(id, postgres("new")) })
		r, err := w.probe(w.owner, id)
		w.must(err)
		if v := w.now(id); fmt.Sprint(w.prober.tried) != "[new]" || r.Code != probe.CodeOK || v.Validity != credential.ValidityValid {
			t.Errorf("before call %d: %d secrets were sent, %s", nth, len(w.prober.tried), v.Validity)
		}
		w.check()
	}
}

func TestLogNamesEveryChangeInOrder(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.setSecret(id, postgres("b"))
	_, err := w.update(w.admin, id, credential.Draft{Name: ptr("renamed")})
	w.must(err)
	_, err = w.rollBack(w.owner, id, 1)
	w.must(err)
	w.probeAs(id, probe.CodeOK)
	w.secretOf(id)
	_, err = w.copy(w.owner, id)
	w.must(err)
	_, err = w.update(w.admin, id, credential.Draft{Owner: &w.heir.User.ID})
	w.must(err)
	w.must(w.delete(w.heir, id))
	entries, err := w.log(w.admin, id)
	w.must(err)
	var got []audit.Event
	for _, e := range entries {
		got = append(got, e.Event)
		if e.OwnerEmail == "" || e.UserEmail == "" || e.Org != w.owner.Org.ID || e.Credential != id || e.Origin != w.owner.Origin {
			t.Errorf("%s: %+v", e.Event, e)
		}
	}
	want := []audit.Event{
		audit.Destroyed, audit.Transfer, audit.Copied, audit.Revealed, audit.Probed, audit.Probed, audit.RolledBack, audit.Updated, audit.Updated, audit.Created,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if e := entries[7]; fmt.Sprint(e.Changes["name"]) != "[db 1 renamed]" || len(e.Changes) != 1 {
		t.Errorf("changes %v", e.Changes)
	}
}
