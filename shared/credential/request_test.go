package credential_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

func (w *world) probeFor(who identity.Caller, id int64) (credential.Request, error) {
	w.Helper()
	return w.tester.ProbeFor(context.Background(), who, load[credential.ForProbe](w, who, id))
}

func (w *world) requested(who identity.Caller, id, number int64) (credential.Request, error) {
	w.Helper()
	return w.service.Requested(context.Background(), who, load[credential.ForProbe](w, who, id), number)
}

func TestResultIsThereByItsNumber(t *testing.T) {
	w := newWorld(t)
	id, other := w.create(w.owner).ID, w.create(w.owner).ID
	w.prober.script(probe.CodeAuthRejected, nil)
	made, err := w.probeFor(w.owner, id)
	w.must(err)
	if v := w.now(id); made.Result.Code != probe.CodeAuthRejected || v.Validity != credential.ValidityInvalid {
		t.Errorf("%s, %s", made.Result.Code, v.Validity)
	}
	for _, row := range []struct {
		name       string
		who        identity.Caller
		id, number int64
		want       fault.Code
	}{
		{"who asked", w.owner, id, made.Number, ""},
		{"an admin", w.admin, id, made.Number, ""},
		{"a member", w.member, id, made.Number, fault.CodeNotFound},
		{"another organisation's admin", w.strangersAdmin, id, made.Number, fault.CodeNotFound},
		{"of another credential", w.owner, other, made.Number, fault.CodeNotFound},
		{"of no number", w.owner, id, made.Number + 1, fault.CodeNotFound},
		{"of a negative number", w.owner, id, -1, fault.CodeNotFound},
	} {
		got, err := w.requested(row.who, row.id, row.number)
		if len(got.Result.Warnings) == 0 {
			got.Result.Warnings = made.Result.Warnings // none and an empty list are one
		}
		w.wantFault(err, row.want)
		if row.want == "" && !reflect.DeepEqual(got, made) {
			t.Errorf("%s: got  %+v\nwant %+v", row.name, got, made)
		}
	}
	w.clock.advance(59 * time.Minute)
	_, err = w.requested(w.owner, id, made.Number)
	w.must(err)
	w.clock.advance(2 * time.Minute)
	_, err = w.requested(w.owner, id, made.Number)
	w.wantFault(err, fault.CodeNotFound)

	made, err = w.probeFor(w.owner, id)
	w.must(err)
	_, err = w.probeFor(w.owner, id)
	if retryAfter(err) < 0 {
		t.Errorf("a second at once: %v", err)
	}
	w.must(w.delete(w.owner, id))
	_, err = w.requested(w.owner, id, made.Number)
	w.wantFault(err, fault.CodeNotFound)
	for k := range w.store.Everything(t) {
		if k.Table == store.Meta && len(k.Sort) > 4 && k.Sort[:4] == "REQ#" {
			t.Error("a result is left of a deleted credential")
		}
	}
	w.check()

	// A result that could not be kept is no answer: nobody could ask for it.
	w.store.Plan(4, storetest.Away, nil)
	if _, err := w.probeFor(w.owner, other); !fault.Is(err, fault.CodeStoreUnavailable) || !w.store.Happened() {
		t.Errorf("with the store away: %v", err)
	}
}
