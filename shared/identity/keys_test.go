package identity_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

func named(name string) identity.Draft { return identity.Draft{Name: &name} }

func TestAKeysLife(t *testing.T) {
	w := newWorld(t)
	who := w.caller(w.member)
	about, soon := "for the night", w.time.Add(48*time.Hour)
	d := named("job")
	d.Description, d.Scopes, d.ExpiresAt = &about, []access.Scope{access.ScopeRead, access.ScopeWrite}, &soon
	k, text, err := w.CreateKey(t.Context(), who, d)
	if err != nil {
		t.Fatal(err)
	}
	if k.Name != "job" || k.Description != about || !k.ExpiresAt.Equal(soon) || k.OwnerID != w.member.ID || k.OrgID != w.org.ID ||
		!slices.Equal(k.Scopes, d.Scopes) || k.Paused || !k.RotatedAt.IsZero() || !k.UsedAt.IsZero() || !k.CreatedAt.Equal(w.time) {
		t.Errorf("made %+v", k)
	}
	if got := must(w.GetKey(t.Context(), who, k.ID))(t); fmt.Sprint(got) != fmt.Sprint(k) {
		t.Errorf("reads back as %+v, not %+v", got, k)
	}
	if s := w.signIn(text); !slices.Equal(s.Caller.Scopes, d.Scopes) {
		t.Errorf("signs in with %v", s.Caller.Scopes)
	}
	w.move(time.Minute)
	changed := must(w.UpdateKey(t.Context(), who, k.ID, named("night job")))(t)
	if changed.Name != "night job" || changed.Description != about || !changed.ExpiresAt.Equal(soon) || !changed.UpdatedAt.Equal(w.time) || !changed.CreatedAt.Equal(k.CreatedAt) {
		t.Errorf("changed to %+v", changed)
	}
	w.move(time.Minute)
	w.store.commits = 0
	if same := must(w.UpdateKey(t.Context(), who, k.ID, named("night job")))(t); !same.UpdatedAt.Equal(changed.UpdatedAt) || w.store.commits != 0 {
		t.Errorf("an update that changes nothing: %d commits, %+v", w.store.commits, same)
	}
	rotated, fresh, err := w.RotateKey(t.Context(), who, k.ID)
	if err != nil || fresh == text || !rotated.RotatedAt.Equal(w.time) {
		t.Errorf("rotated to %+v, %v", rotated, err)
	}
	w.signIn(fresh)
	if p := must(w.PauseKey(t.Context(), who, k.ID))(t); !p.Paused {
		t.Error("not paused")
	}
	if _, err := w.SignIn(t.Context(), fresh, from); !fault.Is(err, fault.CodeUnauthenticated) {
		t.Errorf("a paused key signs in: %v", err)
	}
	if p := must(w.ActivateKey(t.Context(), who, k.ID))(t); p.Paused {
		t.Error("not active")
	}
	w.signIn(fresh)
	if _, err := w.DeleteKey(t.Context(), who, k.ID); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"get":    second(w.GetKey(t.Context(), who, k.ID)),
		"update": second(w.UpdateKey(t.Context(), who, k.ID, named("x"))),
		"delete": second(w.DeleteKey(t.Context(), who, k.ID)),
		"other":  second(w.GetKey(t.Context(), who, w.caller(w.admin).KeyID)),
	} {
		if !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s of what is not there: %v", name, err)
		}
	}
	want := []string{
		"key_created", "sign_in", "key_created", "sign_in", "key_updated", "key_rotated", "sign_in", "key_paused",
		"sign_in_refused", "key_activated", "sign_in", "key_deleted",
	}
	got := w.journal()
	slices.Sort(got)
	want = append(want, "key_created", "sign_in") // of the admin, whose key the member asks for
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("journal\n%q, want\n%q", got, want)
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhatAKeyMayNotBe(t *testing.T) {
	w := newWorld(t)
	member := w.caller(w.member)
	narrow := w.made(member, access.ScopeRead, access.ScopeWrite)
	wide, _ := w.rootKey(w.member)
	at := func(d time.Duration) identity.Draft { x := w.time.Add(d); return identity.Draft{ExpiresAt: &x} }
	of := func(user int64) identity.Draft { return identity.Draft{OwnerID: &user} }
	scopes := func(s ...access.Scope) identity.Draft { return identity.Draft{Scopes: s} }
	for name, row := range map[string]struct {
		who     identity.Caller
		draft   identity.Draft
		pointer string
	}{
		"a scope too many":     {narrow, scopes(access.ScopeRead, access.ScopeReveal), "/scopes/1"},
		"no scope":             {member, identity.Draft{Scopes: []access.Scope{}}, "/scopes"},
		"already over":         {member, at(0), "/expires_at"},
		"more than a year":     {member, at(identity.MaxKeyLife + time.Millisecond), "/expires_at"},
		"another's":            {member, of(w.admin.ID), "/owner_id"},
		"nobody's":             {w.caller(w.admin), of(12345), "/owner_id"},
		"of a suspended owner": {w.caller(w.admin), of(w.suspended().ID), "/owner_id"},
	} {
		err := second2(w.CreateKey(t.Context(), row.who, row.draft))
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.CodeInvalidRequest || len(e.Details) != 1 || e.Details[0].Pointer != row.pointer {
			t.Errorf("create %s: %v", name, err)
		}
		if row.draft.OwnerID != nil {
			continue
		}
		own := narrow.KeyID
		if err := second(w.UpdateKey(t.Context(), row.who, own, row.draft)); !errors.As(err, &e) || len(e.Details) != 1 || e.Details[0].Pointer != row.pointer {
			t.Errorf("update %s: %v", name, err)
		}
	}
	if err := second2(w.RotateKey(t.Context(), narrow, wide.ID)); !fault.Is(err, fault.CodeScopeMissing) {
		t.Errorf("a narrow key learns the secret of a wide one: %v", err)
	}
	k, _, err := w.CreateKey(t.Context(), narrow, named("same"))
	if err != nil || !slices.Equal(k.Scopes, narrow.Scopes) || !k.ExpiresAt.Equal(w.time.Add(identity.MaxKeyLife)) {
		t.Errorf("without scopes and expiry: %+v, %v", k, err)
	}
	if _, _, err := w.CreateKey(t.Context(), member, at(identity.MaxKeyLife)); err != nil {
		t.Errorf("a year exactly: %v", err)
	}
	theirs, text, err := w.CreateKey(t.Context(), w.caller(w.admin), of(w.member.ID))
	if err != nil || theirs.OwnerID != w.member.ID || w.signIn(text).Caller.User.ID != w.member.ID {
		t.Errorf("an admin makes a member's key: %+v, %v", theirs, err)
	}
}

// made makes a key with the caller's own and signs in with it.
func (w *world) made(who identity.Caller, scopes ...access.Scope) identity.Caller {
	w.t.Helper()
	name := "made"
	_, text, err := w.CreateKey(w.t.Context(), who, identity.Draft{Name: &name, Scopes: scopes})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(text).Caller
}

func second2[T, U any](_ T, _ U, err error) error { return err }

func (w *world) suspended() identity.User {
	w.t.Helper()
	u := must(w.CreateUser(w.t.Context(), w.org, identity.User{Email: "gone@acme.example"}))(w.t).User
	w.suspend(u)
	return u
}

// TestTheTwentyFirstKey has many make keys at once: however they interleave,
// the keys that exist are those that the user's row counts, and at most 20.
func TestTheTwentyFirstKey(t *testing.T) {
	w := newWorld(t)
	who := w.caller(w.member) // which made the first
	var made, full, late atomic.Int64
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 2 {
				switch _, _, err := w.CreateKey(context.Background(), who, named("many")); {
				case err == nil:
					made.Add(1)
				case fault.Is(err, fault.CodeLimitReached):
					full.Add(1)
				case fault.Is(err, fault.CodeConflict):
					late.Add(1)
				default:
					t.Errorf("making a key: %v", err)
				}
			}
		})
	}
	group.Wait()
	keys := must(w.ListKeys(t.Context(), who, who.User.ID))(t)
	user := must(identity.DecodeUser(must(w.store.Get(t.Context(), identity.UserKey(w.org.ID, w.member.ID)))(t)[0]))(t)
	if len(keys) != int(made.Load())+2 || user.KeyCount != len(keys) || len(keys) > identity.MaxKeysPerUser {
		t.Errorf("%d keys, %d counted, %d made, %d refused, %d late", len(keys), user.KeyCount, made.Load(), full.Load(), late.Load())
	}
	for len(must(w.ListKeys(t.Context(), who, who.User.ID))(t)) < identity.MaxKeysPerUser {
		if _, _, err := w.CreateKey(t.Context(), who, named("fill")); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.CreateKey(t.Context(), who, named("21")); !fault.Is(err, fault.CodeLimitReached) {
		t.Errorf("the 21st: %v", err)
	}
	many := slices.IndexFunc(keys, func(k identity.Key) bool { return k.Name == "many" })
	if _, err := w.DeleteKey(t.Context(), who, keys[many].ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.CreateKey(t.Context(), who, named("20 again")); err != nil {
		t.Errorf("the 20th again: %v", err)
	}
}

// TestTheCountKeepsTheRestOfTheRow holds the writer of the count to leave
// alone what other rooms keep in a user's row.
func TestTheCountKeepsTheRestOfTheRow(t *testing.T) {
	w := newWorld(t)
	items := must(w.store.Get(t.Context(), identity.UserKey(w.org.ID, w.member.ID)))(t)
	items[0].Attributes["teams"] = "1 2 3"
	if err := w.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: items[0], If: store.Present()}); err != nil {
		t.Fatal(err)
	}
	w.rootKey(w.member)
	items = must(w.store.Get(t.Context(), identity.UserKey(w.org.ID, w.member.ID)))(t)
	if a := items[0].Attributes; a.Text("teams") != "1 2 3" || a.Int("keys") != 2 || a.Int("rev") != 2 {
		t.Errorf("the row is %v", a)
	}
}

// TestRacesOfOneKey runs something between the read and the commit of
// something else: no change is lost, and no session outlives its secret.
func TestRacesOfOneKey(t *testing.T) {
	t.Run("two updates", func(t *testing.T) {
		w := newWorld(t)
		who := w.caller(w.member)
		about := "changed meanwhile"
		w.store.before = func() {
			if _, err := w.UpdateKey(t.Context(), who, who.KeyID, identity.Draft{Description: &about}); err != nil {
				t.Error(err)
			}
		}
		k := must(w.UpdateKey(t.Context(), who, who.KeyID, named("new name")))(t)
		if k.Name != "new name" || k.Description != about {
			t.Errorf("left is %+v", k)
		}
	})
	t.Run("rotate while signing in", func(t *testing.T) {
		for _, used := range []bool{false, true} { // whether the key's row is part of the sign-in's commit
			w := newWorld(t)
			who := w.caller(w.member)
			_, text, err := w.CreateKey(t.Context(), who, named("victim"))
			if err != nil {
				t.Fatal(err)
			}
			if used {
				w.signIn(text)
			}
			victim := must(w.ListKeys(t.Context(), who, who.User.ID))(t)
			at := slices.IndexFunc(victim, func(k identity.Key) bool { return k.Name == "victim" })
			w.store.before = func() {
				if _, _, err := w.RotateKey(t.Context(), who, victim[at].ID); err != nil {
					t.Error(err)
				}
			}
			s, err := w.SignIn(t.Context(), text, from)
			if err == nil && w.signedIn(s.Token) {
				t.Errorf("used %v: the old secret has a living session", used)
			}
			if err != nil && !fault.Is(err, fault.CodeUnauthenticated) {
				t.Error(err)
			}
		}
	})
	t.Run("delete while changing", func(t *testing.T) {
		w := newWorld(t)
		who := w.caller(w.member)
		w.store.before = func() {
			if _, err := w.DeleteKey(t.Context(), who, who.KeyID); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.PauseKey(t.Context(), who, who.KeyID); !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("a deleted key comes back: %v", err)
		}
	})
	t.Run("logout twice", func(t *testing.T) {
		w := newWorld(t)
		_, text := w.rootKey(w.member)
		s := w.signIn(text)
		w.store.before = func() {
			if err := w.Logout(t.Context(), s.Token, from); err != nil {
				t.Error(err)
			}
		}
		if err := w.Logout(t.Context(), s.Token, from); !fault.Is(err, fault.CodeUnauthenticated) {
			t.Errorf("the second: %v", err)
		}
	})
}

func TestAWriteThatOthersAlwaysBeatEnds(t *testing.T) {
	w := newWorld(t)
	who := w.caller(w.member)
	for _, lost := range []struct {
		err     error
		commits int
	}{{store.ErrConflict, 2}, {&store.ConditionError{Failed: []int{0}}, 8}} {
		w.store.fail, w.store.commits = lost.err, 0
		if _, err := w.PauseKey(t.Context(), who, who.KeyID); !fault.Is(err, fault.CodeConflict) || w.store.commits != lost.commits {
			t.Errorf("%v after %d attempts, want %d", err, w.store.commits, lost.commits)
		}
	}
	for _, fail := range []error{store.ErrUnavailable, store.ErrOutcomeUnknown} {
		w.store.fail, w.store.commits = fail, 0
		if _, err := w.PauseKey(t.Context(), who, who.KeyID); !errors.Is(err, fail) || w.store.commits != 1 {
			t.Errorf("%v after %d attempts", err, w.store.commits)
		}
	}
	w.store.fail = store.ErrConflict
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.PauseKey(ctx, who, who.KeyID); err == nil {
		t.Error("it goes on after its context")
	}
}

func TestUsers(t *testing.T) {
	w := newWorld(t)
	row := must(w.store.Get(t.Context(), identity.UserKey(w.org.ID, w.admin.ID), identity.OrgKey(w.org.ID),
		identity.MailKey(w.org.ID, "ADMIN@acme.example"), identity.SystemKey(w.org.ID)))(t)
	if got := must(identity.DecodeUser(row[0]))(t); !reflect.DeepEqual(got, w.admin) || !got.Active || !got.Admin || got.Email != "admin@acme.example" {
		t.Errorf("reads back as %+v", got)
	}
	if got := must(identity.DecodeOrg(row[1]))(t); got != w.org || got.EmailDomain != "acme.example" {
		t.Errorf("reads back as %+v", got)
	}
	if row[2].Attributes.Int("user") != w.admin.ID || !row[3].Found() {
		t.Error("the address or the organisation is not listed")
	}
	for address, code := range map[string]fault.Code{
		"Admin@Acme.example": fault.CodeInvalidRequest, "": fault.CodeInvalidRequest, "none": fault.CodeInvalidRequest,
		"Ada <ada@acme.example>": fault.CodeInvalidRequest, " ada@acme.example": fault.CodeInvalidRequest,
	} {
		if _, err := w.CreateUser(t.Context(), w.org, identity.User{Email: address}); !fault.Is(err, code) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := w.CreateUser(t.Context(), identity.Org{ID: w.org.ID + 1}, identity.User{Email: "a@b.example"}); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("a user of no organisation: %v", err)
	}
	other := must(w.CreateOrg(t.Context(), identity.Org{Name: "Other"}, identity.User{Email: "o@other.example"}, false))(t).Org
	if _, err := w.CreateUser(t.Context(), other, identity.User{Email: "admin@acme.example"}); err != nil {
		t.Errorf("one address in two organisations: %v", err)
	}
	if _, err := identity.DecodeUser(store.Item{}); err == nil {
		t.Error("a user is read from nothing")
	}
	if _, err := identity.DecodeOrg(row[0]); err == nil {
		t.Error("an organisation is read from a user")
	}
}

// TestIdempotencyKeyMakesOneKey shows that one idempotency key makes one service
// key, and that its text is returned once.
func TestIdempotencyKeyMakesOneKey(t *testing.T) {
	w := newWorld(t)
	who := w.caller(w.admin)
	d := named("once")
	d.Idem = identity.Idempotency{Key: "0123456789abcdef", Body: []byte("a")}
	before := must(w.ListKeys(t.Context(), who, w.admin.ID))(t)
	first, text, err := w.CreateKey(t.Context(), who, d)
	if err != nil || text == "" {
		t.Fatalf("a text: %v, %v", text != "", err)
	}
	again, none, err := w.CreateKey(t.Context(), who, d)
	if err != nil || again.ID != first.ID || none != "" {
		t.Errorf("again: key %d, want %d; a text: %v, %v", again.ID, first.ID, none != "", err)
	}
	if after := must(w.ListKeys(t.Context(), who, w.admin.ID))(t); len(after) != len(before)+1 {
		t.Errorf("%d keys, before %d", len(after), len(before))
	}
	other := d
	other.Idem.Body = []byte("b")
	if err := second2(w.CreateKey(t.Context(), who, other)); !fault.Is(err, fault.CodeIdempotencyReused) {
		t.Errorf("another request: %v", err)
	}
	if _, err := w.DeleteKey(t.Context(), who, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := second2(w.CreateKey(t.Context(), who, d)); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("after the key is gone: %v", err)
	}
}
