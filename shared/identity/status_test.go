package identity_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// TestStatusOfAKey changes a key of an admin or its user, and compares the
// status of the key, of the one made with it for a member, and of the one that
// this made, with what their sign-ins answer.
func TestStatusOfAKey(t *testing.T) {
	const active, paused, expired, ended = identity.StatusActive, identity.StatusPaused, identity.StatusExpired, identity.StatusEnded
	no := false
	for name, row := range map[string]struct {
		do   func(w *world, a identity.Caller) error
		want [3]identity.Status // of the key, its child, its grandchild; "" = it is gone
	}{
		"nothing": {func(*world, identity.Caller) error { return nil }, [3]identity.Status{active, active, active}},
		"pause":   {func(w *world, a identity.Caller) error { return second(w.PauseKey(t.Context(), a, a.KeyID)) }, [3]identity.Status{paused, paused, paused}},
		"expiry":  {func(w *world, _ identity.Caller) error { w.move(month); return nil }, [3]identity.Status{expired, expired, expired}},
		"delete":  {func(w *world, a identity.Caller) error { return second(w.DeleteKey(t.Context(), a, a.KeyID)) }, [3]identity.Status{"", ended, ended}},
		"its user is no admin": {func(w *world, a identity.Caller) error {
			return second(w.UpdateUser(t.Context(), operator(w), a.User.ID, identity.UserDraft{Admin: &no}))
		}, [3]identity.Status{active, ended, ended}},
		"its user is suspended": {func(w *world, a identity.Caller) error {
			return second(w.UpdateUser(t.Context(), operator(w), a.User.ID, identity.UserDraft{Active: &no}))
		}, [3]identity.Status{active, paused, paused}}, // the status of a user is the user's
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			root, rootText, err := w.CreateKey(t.Context(), operator(w), w.draft(w.admin, month, all...))
			if err != nil {
				t.Fatal(err)
			}
			a := w.signIn(rootText).Caller
			child, childText, who := w.key(a, w.draft(w.member, 0))
			grand, grandText, _ := w.key(who, w.draft(identity.User{}, 0))
			if err := row.do(w, a); err != nil {
				t.Fatal(err)
			}
			listed := map[int64]identity.Status{}
			for _, k := range must(w.OrgKeys(t.Context(), operator(w)))(t) {
				listed[k.ID] = k.Status
			}
			of := must(w.ListKeys(t.Context(), operator(w), w.member.ID))(t)
			texts := []string{rootText, childText, grandText}
			for n, k := range []identity.Key{root, child, grand} {
				if listed[k.ID] != row.want[n] {
					t.Errorf("key %d is listed as %q, want %q", n, listed[k.ID], row.want[n])
				}
				if got := must(w.GetKey(t.Context(), operator(w), k.ID)); row.want[n] != "" && got(t).Status != row.want[n] {
					t.Errorf("key %d is %q, want %q", n, got(t).Status, row.want[n])
				}
				if at := slices.IndexFunc(of, func(x identity.Key) bool { return x.ID == k.ID }); at >= 0 && of[at].Status != row.want[n] {
					t.Errorf("key %d is listed as %q among those of its user, want %q", n, of[at].Status, row.want[n])
				}
				if strings.Contains(name, "suspended") && n == 0 {
					continue
				}
				if _, err := w.SignIn(t.Context(), texts[n], from); (err == nil) != (row.want[n] == active) {
					t.Errorf("key %d is %q and signs in: %v", n, row.want[n], err)
				}
			}
		})
	}
}

// TestEndedKeysMakeRoom: keys that a deleted key of an admin made do not use up
// the limit of their user.
func TestEndedKeysMakeRoom(t *testing.T) {
	w := newWorld(t)
	a, who := adminKey(year, all)(w), memberKey(year, all)(w)
	for range 3 {
		w.key(a, w.draft(w.member, 0))
	}
	keep := 2 // the user's first key and that of who
	for n := keep + 3; n < identity.MaxKeysPerUser; n++ {
		w.key(who, w.draft(identity.User{}, 0))
	}
	if err := second2(w.CreateKey(t.Context(), who, w.draft(identity.User{}, 0))); !fault.Is(err, fault.CodeLimitReached) {
		t.Fatalf("at the limit: %v", err)
	}
	must(w.PauseKey(t.Context(), a, a.KeyID))(t)
	if err := second2(w.CreateKey(t.Context(), who, w.draft(identity.User{}, 0))); !fault.Is(err, fault.CodeLimitReached) {
		t.Errorf("keys that come back make room: %v", err)
	}
	must(w.DeleteKey(t.Context(), operator(w), a.KeyID))(t)
	k, _, err := w.CreateKey(t.Context(), who, w.draft(identity.User{}, 0))
	if err != nil || k.Status != identity.StatusActive {
		t.Fatalf("after the end of three: %+v, %v", k, err)
	}
	keys := must(w.ListKeys(t.Context(), who, w.member.ID))(t)
	u := must(w.GetUser(t.Context(), who, w.member.ID))(t)
	if len(keys) != identity.MaxKeysPerUser-2 || u.KeyCount != len(keys) {
		t.Errorf("%d keys, %d counted, want 2 below the limit", len(keys), u.KeyCount)
	}
	if slices.ContainsFunc(keys, func(k identity.Key) bool { return k.Status != identity.StatusActive }) {
		t.Error("a key that ended is left")
	}
}

// TestRefusalsOfTwoKeysInOneHour: each key has its entry at the time of its
// first failure, also if the ids of two keys end alike.
func TestRefusalsOfTwoKeysInOneHour(t *testing.T) {
	w := newWorld(t)
	k, text := w.rootKey(w.member)
	twin := k.ID + 1<<12 // a millisecond later, with the same random bits
	item := must(w.store.Get(t.Context(), identity.ServiceKeyKey(w.org.ID, w.member.ID, k.ID)))(t)[0]
	item.Key = identity.ServiceKeyKey(w.org.ID, w.member.ID, twin)
	if err := w.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: item, If: store.Absent()}); err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(text[:len(text)-8], fmt.Sprint(k.ID), fmt.Sprint(twin), 1)
	must(w.PauseKey(t.Context(), operator(w), k.ID))(t)
	must(w.PauseKey(t.Context(), operator(w), twin))(t)
	for n, attempt := range []string{text, other + checksumOf(other), text} {
		w.move(time.Duration(n) * time.Minute)
		if _, err := w.SignIn(context.Background(), attempt, from); !fault.Is(err, fault.CodeUnauthenticated) {
			t.Fatalf("a paused key: %v", err)
		}
	}
	var subjects []int64
	for _, i := range must(w.store.Range(t.Context(), store.Range{Table: store.Audit, Partition: fmt.Sprintf("ORG#%d#DAY#2026-03-04", w.org.ID)}))(t).Items {
		if i.Attributes.Text("event") != identity.EventSignInRefused {
			continue
		}
		subjects = append(subjects, i.Attributes.Int("subject_id"))
		var entry int64
		if _, err := fmt.Sscanf(i.Key.Sort, "E#%d", &entry); err != nil || !id.Time(entry).Equal(i.Attributes.Time("at")) {
			t.Errorf("the entry %s is of %v", i.Key.Sort, i.Attributes.Time("at"))
		}
	}
	if !slices.Equal(subjects, []int64{k.ID, twin}) {
		t.Errorf("entries of the keys %v, want one of each", subjects)
	}
}
