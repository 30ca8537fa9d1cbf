package credential_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
	"credence/shared/fault"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

// lateStore answers each call after a while, and one of them after much longer.
type lateStore struct {
	store.Store
	by   time.Duration
	slow func(writes []store.Write) time.Duration // for a commit
}

func (s lateStore) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return errors.Join(store.ErrUnavailable, ctx.Err())
	}
}

func (s lateStore) Get(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
	if err := s.wait(ctx, s.by); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, keys...)
}

func (s lateStore) Range(ctx context.Context, r store.Range) (store.Page, error) {
	if err := s.wait(ctx, s.by); err != nil {
		return store.Page{}, err
	}
	return s.Store.Range(ctx, r)
}

func (s lateStore) Commit(ctx context.Context, writes ...store.Write) error {
	if err := s.wait(ctx, s.by+s.slow(writes)); err != nil {
		return err
	}
	return s.Store.Commit(ctx, writes...)
}

// TestAProbeThatTakesAllOfTheTime has a target take all of a request's time, and
// the store be late: what the probe found is kept, and a proven secret adopted.
func TestAProbeThatTakesAllOfTheTime(t *testing.T) {
	for name, late := range map[string]lateStore{
		"every call 300 ms late": {by: 300 * time.Millisecond, slow: func([]store.Write) time.Duration { return 0 }},
		"the last commit 1.5 s late": {slow: func(writes []store.Write) time.Duration {
			if len(writes) > 4 { // a claim has four writes
				return 1500 * time.Millisecond
			}
			return 0
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.create(w.owner).ID
			late.Store = w.store
			w.tester.Store, w.switcher.Tester.Store, w.switcher.Editor.Store = late, late, late
			within := func() context.Context {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				t.Cleanup(cancel)
				w.prober.script(probe.CodeOK, func() { <-ctx.Done() })
				return ctx
			}
			_, err := w.tester.Probe(within(), w.owner, load[credential.ForProbe](w, w.owner, id))
			w.must(err)
			if v := w.now(id); v.Validity != credential.ValidityValid || v.Probes != 1 {
				t.Errorf("%s after %d probes", v.Validity, v.Probes)
			}
			w.clock.advance(time.Minute)
			read := load[credential.ForSwitch](w, w.owner, id)
			_, _, switched, err := w.switcher.Propose(within(), w.owner, read, credential.Draft{Credentials: postgres("proven")})
			w.must(err)
			if v := w.now(id); !switched || v.SecretVersion != 2 || v.Validity != credential.ValidityValid {
				t.Errorf("switched %v to %d, %s", switched, v.SecretVersion, v.Validity)
			}
			w.check()
		})
	}
}

// An auditor finds that a secret was about to be sent, whatever came of it, and
// both entries of a probe by the id of its request.
func TestEntryOfAProbeIsThereBeforeItDials(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	for name, do := range map[string]func() error{
		"started": func() error { _, err := w.probe(w.owner, id); return err },
		`tree of "d": started`: func() error {
			_, _, err := w.tree(w.owner, id, probe.Place{Database: "d"})
			return err
		},
		"candidate: started": func() error {
			_, _, _, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("n")})
			return err
		},
	} {
		w.clock.advance(time.Minute)
		w.prober.script(probe.CodeAuthRejected, func() {
			if e := w.entries(id, audit.Probed)[0]; e.Summary[0] != name || e.UserID != w.owner.User.ID || e.Origin != w.owner.Origin {
				t.Errorf("while it dials the log says %+v, want %s", e, name)
			}
		})
		w.must(do())
		if e := w.entries(id, audit.Probed); e[0].Summary[0] == name || e[0].Origin.RequestID != e[1].Origin.RequestID || e[0].ID == e[1].ID {
			t.Errorf("after it the log says %+v", e)
		}
	}
}

// A key service that is away says nothing of a credential: nothing is recorded,
// and the next probe need not wait.
func TestProbeWithoutTheKeyService(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.probeAs(id, probe.CodeOK)
	w.clock.advance(6 * time.Second)
	before, items := w.now(id), w.store.Everything(t)
	for name, do := range map[string]func() error{
		"probe": func() error { _, err := w.probe(w.owner, id); return err },
		"tree":  func() error { _, _, err := w.tree(w.owner, id, probe.Place{}); return err },
		"later": func() error { _, err := w.probeFor(w.owner, id); return err },
	} {
		w.kms.Inject(kmstest.Decrypt, kmstest.Internal)
		if err := do(); !errors.Is(err, envelope.ErrKMSUnavailable) || w.prober.count() != 1 {
			t.Errorf("%s: %v, sent %d times", name, err, w.prober.count())
		}
	}
	w.kms.Inject(kmstest.GenerateDataKey, kmstest.Internal)
	_, _, _, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("n")})
	if !errors.Is(err, envelope.ErrKMSUnavailable) || w.prober.count() != 1 {
		t.Errorf("proposal: %v, sent %d times", err, w.prober.count())
	}
	if after := w.now(id); after.LastProbe.CheckedAt != before.LastProbe.CheckedAt || after.Status != "200 Ok" || len(w.store.Everything(t)) != len(items) || len(w.alarms) > 0 {
		t.Errorf("recorded %+v, alarms %v", after.LastProbe, w.alarms)
	}
	_, err = w.probe(w.owner, id)
	w.must(err)
}

// A caller whose probe ran is told so where its outcome is lost: "nothing was
// changed" would hide that the secret was sent.
func TestLostOutcomeIsTold(t *testing.T) {
	for _, row := range []struct {
		name    string
		do      func(w *world, id int64) error
		nth     int
		what    storetest.Mishap
		want    fault.Code
		message string
	}{
		{"probe", func(w *world, id int64) error { _, err := w.probe(w.owner, id); return err }, 4, storetest.Away, fault.CodeStoreUnavailable, "The probe ran, but our store could not be reached, so its outcome is not kept. Probe again shortly."},
		{"probe", func(w *world, id int64) error { _, err := w.probe(w.owner, id); return err }, 4, storetest.LostReply, fault.CodeOutcomeUnknown, "The probe ran, but our store's answer was lost, so its outcome may or may not be kept. Read the credential's last_probe."},
		{"proposal", func(w *world, id int64) error {
			_, _, _, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("n")})
			return err
		}, 4, storetest.Away, fault.CodeStoreUnavailable, "The new secret works, but our store could not be reached to switch to it. The old one is still active; send the new one again shortly."},
		{"proposal", func(w *world, id int64) error {
			_, _, _, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("n")})
			return err
		}, 4, storetest.LostReply, fault.CodeOutcomeUnknown, "The new secret works, but our store's answer was lost, so the switch may or may not be made. Read the credential before you try again."},
	} {
		w := newWorld(t)
		id := w.create(w.owner).ID
		w.store.Plan(row.nth, row.what, nil)
		err := row.do(w, id)
		var said *fault.Error
		if !errors.As(err, &said) || said.Code != row.want || said.Message != row.message {
			t.Errorf("%s: %v, want %s: %s", row.name, err, row.want, row.message)
		}
	}
}
