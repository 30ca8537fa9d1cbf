package identity_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"credence/shared/identity"
	"credence/shared/store"
)

// TestSessionsOfAKeyAreBounded signs in and renews until the limit and beyond.
func TestSessionsOfAKeyAreBounded(t *testing.T) {
	w := newWorld(t)
	_, text := w.rootKey(w.member)
	_, other := w.rootKey(w.member)
	bystander := w.signIn(other)
	var tokens []string
	for n := range identity.MaxSessionsPerKey {
		w.move(time.Second)
		if n%2 == 0 || n == 1 {
			tokens = append(tokens, w.signIn(text).Token)
			continue
		}
		tokens = append(tokens, must(w.Refresh(t.Context(), tokens[n-1], from))(t).Token)
	}
	if !w.signedIn(tokens[0]) {
		t.Fatal("the first session ended although the limit is not exceeded")
	}
	w.store.gets, w.store.commits = 0, 0
	last := w.signIn(text).Token
	if w.store.gets != 1 || w.store.commits != 1 {
		t.Errorf("signing in at the limit makes %d reads and %d commits", w.store.gets, w.store.commits)
	}
	for n, token := range append(tokens, last, bystander.Token) {
		if lives := w.signedIn(token); lives != (n > 0) {
			t.Errorf("session %d lives: %v", n, lives)
		}
	}
	page := must(w.store.Range(t.Context(), store.Range{
		Table: store.Meta, Partition: fmt.Sprintf("ORG#%d#U#%d", w.org.ID, w.member.ID), From: "SES#", To: "SES#~",
	}))(t)
	if len(page.Items) != 2 {
		t.Errorf("%d rows hold the sessions of two keys", len(page.Items))
	}
	for _, row := range page.Items {
		if row.Expires.IsZero() || len(row.Attributes.Bytes("list")) > 40*identity.MaxSessionsPerKey {
			t.Errorf("a row of sessions with %d bytes that expires at %v", len(row.Attributes.Bytes("list")), row.Expires)
		}
	}
}

// TestManySignInsOfOneKey: programs that start together with one key all get a
// session.
func TestManySignInsOfOneKey(t *testing.T) {
	w := newWorld(t)
	_, text := w.rootKey(w.member)
	var group sync.WaitGroup
	tokens := make([]string, identity.MaxSessionsPerKey)
	for n := range tokens {
		group.Go(func() {
			s, err := w.SignIn(context.Background(), text, from)
			if err != nil {
				t.Errorf("sign-in %d: %v", n, err)
				return
			}
			tokens[n] = s.Token
		})
	}
	group.Wait()
	for n, token := range tokens {
		if token != "" && !w.signedIn(token) {
			t.Errorf("session %d does not live", n)
		}
	}
}
