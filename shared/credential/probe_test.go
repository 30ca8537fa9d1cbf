package credential_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/probe"
	"credence/shared/store"
)

// TestWhatAVerdictChanges crosses what was known with what comes out.
func TestWhatAVerdictChanges(t *testing.T) {
	before := map[string][]probe.Code{
		"never probed": nil,
		"unknown":      {probe.CodeTCPTimeout},
		"valid":        {probe.CodeOK},
		"invalid":      {probe.CodeAuthRejected},
	}
	known := map[string]struct {
		status   string
		validity credential.Validity
	}{
		"never probed": {"", credential.Untested},
		"unknown":      {"", credential.ValidityUnknown},
		"valid":        {"200 Ok", credential.ValidityValid},
		"invalid":      {"403 ", credential.ValidityInvalid},
	}
	w := newWorld(t)
	for name, codes := range before {
		for _, code := range []probe.Code{probe.CodeOK, probe.CodeAuthRejected, probe.CodeDNSNotFound} {
			t.Run(name+" then "+string(code), func(t *testing.T) {
				id := w.create(w.owner).ID
				for _, c := range codes {
					w.probeAs(id, c)
				}
				was := w.now(id)
				r := w.probeAs(id, code)
				is := w.now(id)
				want := known[name]
				at := was.VerifiedAt
				switch code {
				case probe.CodeOK:
					want, at = known["valid"], r.CheckedAt
				case probe.CodeAuthRejected:
					want, at = known["invalid"], time.Time{}
				default:
					if want.validity == credential.Untested {
						want.validity = credential.ValidityUnknown
					}
				}
				exact := is.Status == want.status
				if strings.HasPrefix(want.status, "403") {
					exact = strings.HasPrefix(is.Status, "403 ") && len(is.Status) > 8
				}
				if !exact || is.Validity != want.validity || !is.VerifiedAt.Equal(at) {
					t.Errorf("status %q, %s, at %v; want %q, %s, at %v", is.Status, is.Validity, is.VerifiedAt, want.status, want.validity, at)
				}
				if is.LastProbe == nil || is.LastProbe.Code != code || !is.LastProbe.CheckedAt.Equal(r.CheckedAt) || is.LastProbe.Verdict != r.Verdict {
					t.Errorf("last probe %+v", is.LastProbe)
				}
				if is.Version != was.Version || !is.UpdatedAt.Equal(was.UpdatedAt) {
					t.Error("a probe moved the version or the time of the last change")
				}
				versions, _, err := w.versions(w.owner, id)
				w.must(err)
				if versions[0].Status != is.Status || !versions[0].Verified.Equal(is.VerifiedAt) {
					t.Errorf("the version says %q, %v", versions[0].Status, versions[0].Verified)
				}
				if e := w.entries(id)[0]; e.Event != audit.Probed || e.Summary[0] != fmt.Sprintf("%s: %s", r.Verdict, r.Code) {
					t.Errorf("logged %+v", e)
				}
			})
		}
	}
	w.check()
}

func TestHistoryKeepsTheLastTwentyNewestFirst(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	var want []time.Time
	for n := range 27 {
		code := probe.CodeOK
		if n%2 == 1 {
			code = probe.CodeTCPRefused
		}
		want = append(want, w.probeAs(id, code).CheckedAt)
		if n == 5 { // a proposal's result takes its place too
			w.clock.advance(10 * time.Second)
			w.prober.script(probe.CodeOK, nil)
			_, r, switched, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("proposed")})
			w.must(err)
			if !switched {
				t.Fatal("not switched")
			}
			want = append(want, r.CheckedAt)
		}
		results, err := w.history(w.admin, id)
		w.must(err)
		var got []time.Time
		for _, r := range results {
			got = append(got, r.CheckedAt)
		}
		last := slices.Clone(want[max(0, len(want)-20):])
		slices.Reverse(last)
		if !slices.EqualFunc(got, last, time.Time.Equal) {
			t.Fatalf("after %d probes the history holds %d: %v", len(want), len(got), got)
		}
	}
}

func retryAfter(err error) time.Duration {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.CodeTooManyRequests {
		return -1
	}
	return f.RetryAfter
}

func TestOneProbeAtATimeFiveSecondsApart(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	began := w.clock.peek()
	w.prober.script(probe.CodeOK, func() {
		w.clock.advance(3 * time.Second)
		_, err := w.probe(w.admin, id)
		if wait := retryAfter(err); wait > 5*time.Second || wait < 4900*time.Millisecond {
			t.Errorf("in flight, three seconds on: wait %v, %v", wait, err)
		}
	})
	_, err := w.probe(w.owner, id)
	w.must(err)
	for _, row := range []struct{ at, want time.Duration }{{3500 * time.Millisecond, 1500 * time.Millisecond}, {4900 * time.Millisecond, 100 * time.Millisecond}, {5100 * time.Millisecond, -1}} {
		w.clock.advance(began.Add(row.at).Sub(w.clock.peek()))
		_, err := w.probe(w.owner, id)
		if wait := retryAfter(err); row.want >= 0 && (wait < row.want-50*time.Millisecond || wait > row.want+50*time.Millisecond) || row.want < 0 && err != nil {
			t.Errorf("%v after it began: wait %v, %v", row.at, wait, err)
		}
	}
	if w.prober.count() != 2 {
		t.Errorf("%d ran", w.prober.count())
	}
}

// Two that read the lease before either took it: one runs.
func TestOfTwoProbesAtOnceOneRuns(t *testing.T) {
	w := newWorld(t)
	w.prober.crowd = true
	d := w.draft()
	d.Credentials = parsed(`{"api_key":"` + password + `","base_url":"https://api.example.com"}`) // nobody's account: no second lease
	d.Type = ptr("rest")
	for _, found := range []bool{false, true} {
		id := w.createFrom(w.owner, d).ID
		if found {
			w.probeAs(id, probe.CodeOK)
			w.clock.advance(6 * time.Second)
		}
		runs := w.prober.count()
		read := *load[credential.ForProbe](w, w.owner, id)
		_, leased := w.store.Everything(t)[read.Keys(w.owner.Org.ID)[2]]
		if leased != found {
			t.Fatal("the lease of the probe before is not as the test wants it")
		}
		ok := 0
		for _, err := range together(6, func(int) error {
			own := read
			_, err := w.tester.Probe(context.Background(), w.owner, &own)
			return err
		}) {
			if err == nil {
				ok++
			} else if wait := retryAfter(err); wait != 8*time.Second {
				t.Errorf("got %v, wait %v", err, wait)
			}
		}
		if ok != 1 || w.prober.count() != runs+1 {
			t.Errorf("%d succeeded, %d ran", ok, w.prober.count()-runs)
		}
	}
}

// A probe whose process dies gives nothing back.
func TestLeaseOfADeadProberRunsOut(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	died := func() {
		defer func() { _ = recover() }()
		w.prober.script(probe.CodeOK, func() { panic("the process dies") })
		_, _ = w.probe(w.owner, id)
		t.Error("it did not die")
	}
	died()
	w.clock.advance(7800 * time.Millisecond)
	if _, err := w.probe(w.owner, id); retryAfter(err) < 0 {
		t.Errorf("after 7.8 s: %v", err)
	}
	w.clock.advance(300 * time.Millisecond)
	if _, err := w.probe(w.owner, id); err != nil {
		t.Errorf("after 8.1 s: %v", err)
	}
	died2 := w.now(id)
	if died2.Validity != credential.ValidityValid {
		t.Errorf("the second probe left %s", died2.Validity)
	}
	// The row itself lasts a minute longer; without it the lease is free too.
	w.clock.advance(6 * time.Second)
	died()
	w.clock.advance(2 * time.Minute)
	if _, err := w.probe(w.owner, id); err != nil {
		t.Errorf("after the row is gone: %v", err)
	}
	w.check()
}

// A late outcome of a probe whose lease ran out takes nothing from the probe
// that holds it now.
func TestLateOutcomeLeavesTheLeaseOfAnother(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.prober.script(probe.CodeTCPTimeout, func() {
		w.clock.advance(9 * time.Second)
		w.prober.script(probe.CodeOK, nil)
		_, err := w.probe(w.owner, id)
		w.must(err)
	})
	_, err := w.probe(w.owner, id)
	w.must(err)
	_, err = w.probe(w.owner, id)
	if wait := retryAfter(err); wait < 4*time.Second {
		t.Errorf("the distance to the second probe is gone: %v", err)
	}
	if v := w.now(id); v.Validity != credential.ValidityValid || v.Probes != 2 {
		t.Errorf("%s after %d probes", v.Validity, v.Probes)
	}
	if n := len(w.entries(id, audit.Probed)); n != 4 {
		t.Errorf("%d entries, want the start and the outcome of two", n)
	}
}

// So does one that comes while the other is in flight.
func TestLateOutcomeWhileAnotherIsInFlight(t *testing.T) {
	w := newWorld(t)
	w.prober.crowd = true
	d := w.draft()
	id, neighbour := w.createFrom(w.owner, d).ID, w.createFrom(w.owner, d).ID
	entered, finish, done := make(chan struct{}), make(chan struct{}), make(chan error)
	w.prober.script(probe.CodeTCPTimeout, func() {
		w.clock.advance(9 * time.Second)
		w.prober.script(probe.CodeOK, func() { close(entered); <-finish })
		go func() {
			read, err := tryLoad[credential.ForProbe](context.Background(), w, w.owner, id)
			if err == nil {
				_, err = w.tester.Probe(context.Background(), w.owner, read)
			}
			done <- err
		}()
		<-entered
	})
	_, err := w.probe(w.owner, id) // returns while the second still runs
	w.must(err)
	_, err = w.probe(w.owner, neighbour)
	if retryAfter(err) < 0 {
		t.Errorf("the target is free while the second is in flight: %v", err)
	}
	_, err = w.probe(w.owner, id)
	if wait := retryAfter(err); wait < 7*time.Second {
		t.Errorf("the credential: wait %v, %v", wait, err)
	}
	close(finish)
	w.must(<-done)
	if v := w.now(id); v.Validity != credential.ValidityValid || v.Probes != 2 {
		t.Errorf("%s after %d probes", v.Validity, v.Probes)
	}
	w.check()
}

func TestOneSignInAtATargetAcrossCredentials(t *testing.T) {
	w := newWorld(t)
	same, other := w.draft(), w.draft()
	first, second, third := w.createFrom(w.owner, same).ID, w.createFrom(w.heir, same).ID, w.createFrom(w.owner, other).ID
	tried := same
	tried.Name = nil
	w.prober.script(probe.CodeOK, func() {
		_, err := w.probe(w.heir, second)
		if wait := retryAfter(err); wait != 8*time.Second {
			t.Errorf("the same account through another credential: %v", err)
		}
		if _, err := w.tester.Try(context.Background(), w.heir, tried); retryAfter(err) < 0 {
			t.Errorf("the same account through a trial: %v", err)
		}
		if _, err := w.probe(w.owner, third); err != nil {
			t.Errorf("another account: %v", err)
		}
	})
	_, err := w.probe(w.owner, first)
	w.must(err)
	if _, err := w.probe(w.heir, second); err != nil {
		t.Errorf("after it: %v", err)
	}
	foreign := w.createFrom(w.stranger, same).ID
	w.clock.advance(6 * time.Second)
	w.prober.script(probe.CodeOK, func() {
		if _, err := w.probe(w.stranger, foreign); err != nil {
			t.Errorf("another organisation is told of the same account's probe: %v", err)
		}
	})
	_, err = w.probe(w.owner, first)
	w.must(err)
	for k := range w.store.Everything(t) {
		if strings.Contains(k.Partition, "#PRINC") {
			t.Error("a lease of a target is left")
		}
	}
}

func TestOutcomeOfAnotherSecretIsDropped(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(w *world, id int64)
		kept   bool
	}{
		{"new secret", func(w *world, id int64) { w.setSecret(id, postgres("other")) }, false},
		{"rolled back", func(w *world, id int64) { _, err := w.rollBack(w.owner, id, 1); w.must(err) }, false},
		{"renamed", func(w *world, id int64) {
			_, err := w.update(w.owner, id, credential.Draft{Name: ptr("x")})
			w.must(err)
		}, true},
		{"there and back", func(w *world, id int64) {
			_, err := w.rollBack(w.owner, id, 1)
			w.must(err)
			_, err = w.rollBack(w.owner, id, 2)
			w.must(err)
		}, true},
		{"deleted", func(w *world, id int64) { w.must(w.delete(w.owner, id)) }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.create(w.owner).ID
			w.setSecret(id, postgres("second"))
			w.prober.script(probe.CodeAuthRejected, func() { row.change(w, id) })
			if r, err := w.probe(w.owner, id); err != nil || r.Code != probe.CodeAuthRejected {
				t.Errorf("answered %v, %v", r.Code, err)
			}
			if e := w.entries(id, audit.Probed); len(e) != 2 || e[0].Summary[0] != "invalid: AUTH_REJECTED" || e[1].Summary[0] != "started" {
				t.Errorf("logged %+v", e)
			}
			if v, err := w.get(w.owner, id); row.name != "deleted" && (err != nil || (v.Validity == credential.ValidityInvalid) != row.kept) {
				t.Errorf("%s, %v", v.Validity, err)
			}
			for k, i := range w.store.Everything(t) {
				if strings.Contains(k.Partition, "#PRINC") || k.Sort == "LEASE" && i.Attributes.Time("until").After(w.clock.peek().Add(5*time.Second)) {
					t.Errorf("not given back: %s", k.Sort)
				}
			}
			w.check()
		})
	}
}

func TestProbeThatCannotBegin(t *testing.T) {
	for _, row := range []struct {
		name  string
		harm  func(w *world, id int64)
		want  probe.Code
		alarm bool
	}{
		{"the record is another's", func(w *world, id int64) { w.plant(w.create(w.owner).ID, 1, id, 1) }, probe.CodeIntegrity, true},
		{"the record is changed", func(w *world, id int64) { w.spoil(id) }, probe.CodeIntegrity, true},
		{"the record is gone", func(w *world, id int64) { w.lose(id) }, probe.CodeIntegrity, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.create(w.owner).ID
			w.probeAs(id, probe.CodeOK)
			w.clock.advance(6 * time.Second)
			row.harm(w, id)
			runs := w.prober.count()
			r, err := w.probe(w.owner, id)
			w.must(err)
			v := w.now(id)
			if r.Code != row.want || r.Verdict != probe.Unknown || w.prober.count() != runs || v.LastProbe.Code != row.want || v.Status != "200 Ok" {
				t.Errorf("answered %s, ran %d, stored %+v %q", r.Code, w.prober.count()-runs, v.LastProbe, v.Status)
			}
			if !slices.Equal(w.alarms, []probe.Code{row.want}) {
				t.Errorf("alarms %v", w.alarms)
			}
		})
	}
}

// A trial leaves one entry that expires, and no other item.
func TestTryStoresItsEntryAlone(t *testing.T) {
	w := newWorld(t)
	d := w.draft()
	before := w.store.Everything(t)
	w.prober.script(probe.CodeAuthRejected, func() {
		if more := len(w.store.Everything(t)) - len(before); more != 2 {
			t.Errorf("%d items more while it runs, want the lease of the target and the entry", more)
		}
	})
	r, err := w.tester.Try(context.Background(), w.member, d)
	w.must(err)
	if r.Code != probe.CodeAuthRejected || !slices.Equal(w.prober.tried, []string{password}) {
		t.Errorf("%s", r.Code)
	}
	after := w.store.Everything(t)
	maps.DeleteFunc(after, func(k store.Key, _ store.Item) bool { _, was := before[k]; return was })
	page, err := audit.ReadDays(context.Background(), w.store, w.owner.Org.ID, audit.Query{Filter: audit.Filter{Events: []audit.Event{audit.Probed}}, Limit: 10}, w.clock.Now())
	w.must(err)
	if len(after) != 1 || len(page.Entries) != 1 {
		t.Fatalf("%d items more, %d entries, want the entry alone", len(after), len(page.Entries))
	}
	e := page.Entries[0]
	want := []string{"before saving, postgres: started", `{"database":"analytics","host":"db1.example.com","port":5432,"username":"analytics_user"}`}
	if !slices.Equal(e.Summary, want) || e.UserID != w.member.User.ID || e.KeyID != w.member.KeyID || e.Origin.RequestID != w.member.Origin.RequestID {
		t.Errorf("the entry is %+v", e)
	}
	for _, i := range after {
		if i.Expires.IsZero() {
			t.Error("the entry does not expire")
		}
	}
	d.Credentials, d.Name = parsed(`{}`), nil
	if _, err := w.tester.Try(context.Background(), w.member, d); !fault.Is(err, fault.CodeInvalidRequest) || slices.Contains(pointers(err), "/name") {
		t.Errorf("got %v %q", err, pointers(err))
	}
}

// A probe uses what is stored, of the version that is active.
func TestProbeUsesTheActiveVersion(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.setSecret(id, postgres("second"))
	w.probeAs(id, probe.CodeOK)
	_, err := w.rollBack(w.owner, id, 1)
	w.must(err)
	w.probeAs(id, probe.CodeOK)
	if !slices.Equal(w.prober.tried, []string{"second", password}) {
		t.Error("another secret was tried")
	}
}

// rows for the attacks: whoever writes the table, without the key service.

func (w *world) recordKey(id, sv int64) store.Key {
	return store.Key{Table: store.Vault, Partition: fmt.Sprintf("ORG#%d", w.owner.Org.ID), Sort: fmt.Sprintf("SEC#%016d#%016d", id, sv)}
}

func (w *world) item(k store.Key) store.Item {
	w.Helper()
	items, err := w.store.Store.Get(context.Background(), k)
	w.must(err)
	if !items[0].Found() {
		w.Fatalf("nothing under %s %s", k.Partition, k.Sort)
	}
	return items[0]
}

func (w *world) put(i store.Item) {
	w.Helper()
	w.must(w.store.Commit(context.Background(), store.Write{Verb: store.Put, Item: i, If: store.Always()}))
}

func (w *world) plant(from, fromVersion, to, toVersion int64) {
	w.Helper()
	i := w.item(w.recordKey(from, fromVersion))
	i.Key = w.recordKey(to, toVersion)
	w.put(i)
}

func (w *world) spoil(id int64) {
	w.Helper()
	i := w.item(w.recordKey(id, 1))
	i.Attributes.Bytes("ct")[100] ^= 1
	w.put(i)
}

func (w *world) lose(id int64) {
	w.Helper()
	w.must(w.store.Commit(context.Background(), store.Write{Verb: store.Delete, Item: store.Item{Key: w.recordKey(id, 1)}, If: store.Present()}))
}
