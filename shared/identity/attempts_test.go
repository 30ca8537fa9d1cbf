package identity_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"credence/shared/fault"
	"credence/shared/identity"
)

// forge is a token with another secret and the checksum of that.
func forge(text string, n int) string {
	forged := text[:len(text)-43-8] + fmt.Sprintf("%042dA", n)
	return forged + checksumOf(forged)
}

// A flood of forged keys and tokens costs the store a few reads, and one entry in
// the journal. Meanwhile everybody who has a right key or token is served: from
// other addresses, of other organisations at the same address, and at the attacked
// address who was accepted before.
func TestForgedKeysAndTokens(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	session := w.signIn(w.firstText).Token
	_, second := w.rootKey(w.member)
	other := must(w.CreateOrg(ctx, identity.Org{Name: "Other"}, identity.User{Email: "a@other.example"}, false))(t)
	elsewhere := identity.Origin{IP: "198.51.100.1"}
	request := func(from identity.Origin) func(context.Context, string) error {
		return func(ctx context.Context, token string) error {
			_, err := w.Authenticate(ctx, token, from, nil)
			return err
		}
	}
	signIn := func(from identity.Origin) func(context.Context, string) error {
		return func(ctx context.Context, key string) error {
			_, err := w.SignIn(ctx, key, from)
			return err
		}
	}
	for name, row := range map[string]struct {
		right    string
		attempts func(from identity.Origin) func(context.Context, string) error
	}{
		"keys":   {w.firstText, signIn},
		"tokens": {session, request},
		"refresh": {session, func(from identity.Origin) func(context.Context, string) error {
			return func(ctx context.Context, token string) error {
				_, err := w.Refresh(ctx, token, from)
				return err
			}
		}},
	} {
		w.move(time.Hour)
		w.store.gets, w.store.commits = 0, 0
		last := error(nil)
		for n := range 4000 {
			last = row.attempts(from)(ctx, forge(row.right, n))
			if !fault.Is(last, fault.CodeUnauthenticated) && !fault.Is(last, fault.CodeTooManyRequests) {
				t.Fatalf("%s: %v", name, last)
			}
		}
		if !fault.Is(last, fault.CodeTooManyRequests) || w.store.gets > 20 || w.store.commits > 20 {
			t.Errorf("%s: at last %v, after %d reads and %d commits; want 429 after 20", name, last, w.store.gets, w.store.commits)
		}
		for who, err := range map[string]error{
			"accepted before":         row.attempts(from)(ctx, row.right),
			"from elsewhere":          signIn(elsewhere)(ctx, second),
			"of another organisation": signIn(from)(ctx, other.Text),
			"a session":               request(from)(ctx, session),
		} {
			if err != nil {
				t.Errorf("%s: %s: %v", name, who, err)
			}
		}
	}
}

// A right key admits only itself where its source failed too often: not a forged
// key that has the same random bytes and names other rows.
func TestAcceptedKeyAdmitsNoOther(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	attacked := must(w.CreateOrg(ctx, identity.Org{Name: "Attacked"}, identity.User{Email: "a@attacked.example"}, false))(t)
	forged := attacked.Text[:len(attacked.Text)-43-8] + w.firstText[len(w.firstText)-43-8:len(w.firstText)-8]
	forged += checksumOf(forged)
	var last error
	for range 40 {
		w.signIn(w.firstText) // from another address
		if _, last = w.SignIn(ctx, forged, identity.Origin{IP: "198.51.100.1"}); fault.Is(last, fault.CodeTooManyRequests) {
			return
		}
	}
	t.Errorf("after 40 failures of one source: %v, want 429", last)
}

// A key that many processes use at the same time signs all of them in.
func TestSignInsOfOneKeyAtOnce(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	errs := make([]error, 100)
	for n := range errs {
		all.Go(func() { _, errs[n] = w.SignIn(t.Context(), w.firstText, from) })
	}
	all.Wait()
	for n, err := range errs {
		if err != nil {
			t.Fatalf("sign-in %d of %d: %v", n, len(errs), err)
		}
	}
}
