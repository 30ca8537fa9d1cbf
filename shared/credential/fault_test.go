package credential_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/probe"
	"credence/shared/store"
)

// TestNothingIsHalfWritten fails every call of the store that an operation
// makes, in every way, and reads everything afterwards.
func TestNothingIsHalfWritten(t *testing.T) {
	for _, op := range []struct {
		name   string
		do     func(w *world, id int64) error
		spared int // the call whose failure is no reason to fail: a lease that is not given back runs out
	}{
		{"create", func(w *world, _ int64) error {
			if _, err := w.store.Get(context.Background(), credential.Reads(w.owner.Org.ID, 1)...); err != nil {
				return err
			}
			_, err := w.editor.Create(context.Background(), w.owner, w.draft(), credential.Idempotency{Key: "0123456789abcdef"})
			return err
		}, 0},
		{"update", func(w *world, id int64) error {
			_, err := w.tryUpdate(id, credential.Draft{Name: ptr("n"), Interval: ptr("hourly"), Owner: &w.heir.User.ID, Credentials: postgres("third")})
			return err
		}, 0},
		{"delete", func(w *world, id int64) error {
			read, err := w.store.Get(context.Background(), credential.ChangeReads(w.owner.Org.ID, id)...)
			if err != nil {
				return err
			}
			return w.editor.Delete(context.Background(), w.owner, id, read, nil)
		}, 0},
		{"reveal", func(w *world, id int64) error {
			read, err := w.store.Get(context.Background(), credential.Reads(w.owner.Org.ID, id)...)
			if err != nil {
				return err
			}
			r, err := w.revealer.Reveal(context.Background(), w.owner, id, read, func(int64) bool { return false })
			if err != nil && r.Object.Len() > 0 {
				w.Error("an error, and the secret beside it")
			}
			return err
		}, 0},
		{"probe", func(w *world, id int64) error {
			read, err := w.store.Get(context.Background(), credential.ProbeReads(w.owner.Org.ID, id)...)
			if err != nil {
				return err
			}
			_, err = w.tester.Probe(context.Background(), w.owner, id, read)
			return err
		}, 0},
		{"proposal", func(w *world, id int64) error {
			read, err := w.store.Get(context.Background(), credential.SwitchReads(w.owner.Org.ID, id)...)
			if err != nil {
				return err
			}
			_, _, _, err = w.switcher.Propose(context.Background(), w.owner, id, read, credential.Draft{Credentials: postgres("n")})
			return err
		}, 3},
		{"roll back", func(w *world, id int64) error {
			read, err := w.store.Get(context.Background(), credential.ChangeReads(w.owner.Org.ID, id)...)
			if err != nil {
				return err
			}
			_, err = w.editor.RollBack(context.Background(), w.owner, id, read, 1, nil)
			return err
		}, 0},
		{"copy", func(w *world, id int64) error {
			read, err := w.store.Get(context.Background(), credential.Reads(w.owner.Org.ID, id)...)
			if err != nil {
				return err
			}
			_, err = w.copier.Copy(context.Background(), w.owner, id, read)
			return err
		}, 0},
	} {
		for _, what := range []mishap{away, lostReply, overtaken, contended} {
			t.Run(fmt.Sprint(op.name, " ", what), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				met := 0
				for nth := 1; ; nth++ {
					id := w.create(w.owner).ID
					w.setSecret(id, postgres("second"))
					w.store.plan(nth, what, nil)
					err := op.do(w, id)
					if !w.store.happened() {
						break
					}
					met++
					w.clock.advance(25 * time.Hour) // the idempotency key is new each time
					w.store.reset()
					w.check()
					if what == away && err == nil && nth != op.spared {
						t.Errorf("call %d: no error", nth)
					}
					if err != nil && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrOutcomeUnknown) && !fault.Is(err, fault.CodeTooManyRequests) {
						t.Errorf("call %d: %v", nth, err)
					}
					w.usable(id)
				}
				if met < 2 {
					t.Errorf("only %d calls were met", met)
				}
			})
		}
	}
}

func (w *world) tryUpdate(id int64, d credential.Draft) (credential.View, error) {
	read, err := w.store.Get(context.Background(), credential.ChangeReads(w.owner.Org.ID, id)...)
	if err != nil {
		return credential.View{}, err
	}
	return w.editor.Update(context.Background(), w.owner, id, read, d)
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
	who := w.owner
	if v.Credential.Owner == w.heir.User.ID {
		who = w.heir
	}
	if r, err := w.reveal(who, id, 0); err != nil || r.Object.Len() == 0 {
		w.Errorf("revealing it: %v", err)
	}
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
	w.store.plan(2, lostReply, nil)
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
	read := w.signIn(w.owner, credential.ProbeReads(w.owner.Org.ID, id)...)
	ctx, leave := context.WithCancel(context.Background())
	w.prober.script(probe.CodeOK, leave)
	_, _ = w.tester.Probe(ctx, w.owner, id, read)
	if v := w.now(id); v.Validity != credential.ValidityValid {
		t.Errorf("%s", v.Validity)
	}
}
