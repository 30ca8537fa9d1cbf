package credential_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/probe"
)

// hanging are systems that keep each probe of the host "hangs.example.com" waiting
// until release is closed.
type hanging struct {
	*scripted
	release chan struct{}
	dialled atomic.Int64
}

func (h *hanging) Run(_ context.Context, typeName string, s probe.Settings) probe.Result {
	if s.Text("host") == "hangs.example.com" {
		h.dialled.Add(1)
		<-h.release
	}
	return probe.NotRun(probe.CodeTCPTimeout, typeName, h.world.clock.Now())
}

// Of a thousand trials at once of one key so many are dialled as it may have; the
// others are refused at once. Another key of its organisation has its own share,
// another organisation is served as ever.
func TestProbesUnderWay(t *testing.T) {
	const ofKey, ofOrg = 16, 32
	w := newWorld(t)
	h := &hanging{scripted: w.prober, release: make(chan struct{})}
	w.tester.Runner, w.tester.Slots = h, credential.ProbeSlots()
	w.switcher.Tester = w.tester
	own := w.create(w.owner).ID
	try := func(who identity.Caller, n int, host string) error {
		object := fmt.Sprintf(`{"host":%q,"port":5432,"database":"d","username":"u%d","password":"p"}`, host, n)
		_, err := w.tester.Try(context.Background(), who, credential.Draft{
			Type: ptr("postgres"), Credentials: parsed(object),
		})
		return err
	}
	var all sync.WaitGroup
	flood := func(who identity.Caller, from, requests, admitted int) {
		t.Helper()
		answers := make(chan error, requests)
		for n := range requests {
			all.Go(func() { answers <- try(who, from+n, "hangs.example.com") })
		}
		for range requests - admitted { // answered while the others hang
			w.wantFault(<-answers, fault.CodeTooManyRequests)
		}
	}
	flood(w.owner, 0, 1000, ofKey)
	flood(w.member, 1000, 100, ofKey)
	for h.dialled.Load() < ofOrg { // those that were admitted reach the systems
		time.Sleep(time.Millisecond)
	}
	// The organisation has its share: no way to a system is open to any key of it,
	// and what is refused left nothing behind.
	w.store.Reset()
	ways := map[string]func() error{
		"probe":   func() error { _, err := w.probe(w.owner, own); return err },
		"tree":    func() error { _, _, err := w.tree(w.owner, own, probe.Place{}); return err },
		"sample":  func() error { _, _, err := w.sample(w.owner, own, probe.Place{Table: "t"}); return err },
		"propose": func() error { _, _, _, err := w.propose(w.owner, own, w.draft()); return err },
		"try":     func() error { return try(w.owner, 5000, "other.example.com") },
		"another": func() error { return try(w.admin, 5001, "other.example.com") },
	}
	for name, way := range ways {
		if err := way(); !fault.Is(err, fault.CodeTooManyRequests) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(w.store.Written()) > 0 {
		t.Errorf("what was refused wrote %d items", len(w.store.Written()))
	}
	for n := range 50 {
		w.must(try(w.stranger, n, "other.example.com"))
	}
	if n := h.dialled.Load(); n != ofOrg {
		t.Errorf("%d dialled, want %d", n, ofOrg)
	}
	close(h.release)
	all.Wait()
	for n := range ofKey {
		w.must(try(w.owner, 5000+n, "other.example.com"))
	}
}
