package credential_test

import (
	"context"
	"strings"
	"testing"

	"credence/shared/credential"
	"credence/shared/probe"
)

// Who asked may be gone before the answer: leases are given back all the same,
// and what a number was given for can be asked for.
func TestCallerWhoIsGone(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	gone := func() context.Context {
		ctx, leave := context.WithCancel(context.Background())
		w.prober.script(probe.CodeAuthRejected, leave)
		return ctx
	}
	_, err := w.tester.Try(gone(), w.member, w.draft())
	w.must(err)
	made, err := w.tester.ProbeFor(gone(), w.owner, load[credential.ForProbe](w, w.owner, id))
	w.must(err)
	if got, err := w.requested(w.owner, id, made.Number); err != nil || got.Result.Code != probe.CodeAuthRejected {
		t.Errorf("%s, %v", got.Result.Code, err)
	}
	_, _, err = w.tester.Tree(gone(), w.owner, load[credential.ForProbe](w, w.owner, id), credential.Look{Depth: 1})
	w.must(err)
	for k, i := range w.store.Everything(t) {
		if strings.Contains(k.Partition, "#PRINC") || k.Sort == "LEASE" && i.Attributes.Time("until").After(w.clock.peek()) {
			t.Errorf("not given back: %s", k.Sort)
		}
	}
	w.check()
}

// verified_status is 1,024 bytes at most, in whole characters.
func TestStatusIsCut(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	for letter, want := range map[string]int{"x": 1024, "é": 1024, "€": 1024 - (1024-len("403 "))%len("€")} {
		w.prober.says = strings.Repeat(letter, 2000)
		w.probeAs(id, probe.CodeAuthRejected)
		if s := w.now(id).Status; s != "403 "+strings.Repeat(letter, (want-4)/len(letter)) {
			t.Errorf("of %s: %d bytes, want %d", letter, len(s), want)
		}
	}
}
