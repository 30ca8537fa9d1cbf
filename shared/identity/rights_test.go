package identity_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/identity"
)

// draft is a key to make; zero fields take the defaults.
func (w *world) draft(owner identity.User, life time.Duration, scopes ...access.Scope) identity.Draft {
	name := "key"
	d := identity.Draft{Name: &name, Scopes: scopes}
	if owner.ID != 0 {
		d.OwnerID = &owner.ID
	}
	if life != 0 {
		at := w.time.Add(life)
		d.ExpiresAt = &at
	}
	return d
}

// key makes a key and returns it with its text and a caller that signs in with it.
func (w *world) key(who identity.Caller, d identity.Draft) (identity.Key, string, identity.Caller) {
	w.t.Helper()
	k, text, err := w.CreateKey(w.t.Context(), who, d)
	if err != nil {
		w.t.Fatal(err)
	}
	return k, text, w.signIn(text).Caller
}

var (
	all    = access.Scopes
	plain  = []access.Scope{access.ScopeRead, access.ScopeWrite}
	year   = identity.MaxKeyLife
	month  = 30 * 24 * time.Hour
	target = []string{"rename", "narrow", "extend", "pause", "activate", "rotate", "delete"}
)

// act does one of target's actions on a key.
func (w *world) act(who identity.Caller, action string, k identity.Key) error {
	ctx := context.Background()
	switch action {
	case "rename":
		return second(w.UpdateKey(ctx, who, k.ID, named("renamed")))
	case "narrow":
		return second(w.UpdateKey(ctx, who, k.ID, identity.Draft{Scopes: k.Scopes[:1]}))
	case "extend":
		at := k.ExpiresAt.Add(time.Hour)
		return second(w.UpdateKey(ctx, who, k.ID, identity.Draft{ExpiresAt: &at}))
	case "pause":
		return second(w.PauseKey(ctx, who, k.ID))
	case "activate":
		if _, err := w.PauseKey(ctx, identity.Operator(w.org), k.ID); err != nil {
			w.t.Fatal(err)
		}
		return second(w.ActivateKey(ctx, who, k.ID))
	case "rotate":
		return second2(w.RotateKey(ctx, who, k.ID))
	case "delete":
		return second(w.DeleteKey(ctx, who, k.ID))
	}
	panic(action)
}

// TestWhoMayDoWhatWithAKey is the table of docs/keys.md: actors by rights,
// targets by rights, and what each action answers ("" = done).
func TestWhoMayDoWhatWithAKey(t *testing.T) {
	const no, scope, later, gone = fault.CodeForbidden, fault.CodeScopeMissing, fault.CodeForbidden, fault.CodeNotFound
	every := func(c fault.Code) map[string]fault.Code {
		m := map[string]fault.Code{}
		for _, action := range target {
			m[action] = c
		}
		return m
	}
	but := func(m map[string]fault.Code, action string, c fault.Code) map[string]fault.Code {
		m[action] = c
		return m
	}
	rows := []struct {
		name  string
		actor func(w *world) identity.Caller
		on    func(w *world, actor identity.Caller) identity.Key
		want  map[string]fault.Code
	}{
		{"an equal key of one user", memberKey(year, all), ownKey(year/2, all), every("")},
		{"a key with fewer scopes", memberKey(year, all), ownKey(year/2, plain), every("")},
		{"a key with more scopes", memberKey(year, plain), ownKey(year/2, all), every(scope)},
		{"a key with other scopes", memberKey(year, plain), ownKey(year/2, []access.Scope{access.ScopeProbe}), every(scope)},
		{"a key that expires much later", memberKey(month, all), ownKey(year, all), every(later)},
		{
			"a key that expires a little later", memberKey(month, all), ownKey(month+time.Hour, all),
			but(every(""), "extend", fault.CodeInvalidRequest),
		},
		{"itself", memberKey(month, all), itself, but(every(""), "extend", fault.CodeInvalidRequest)},
		{"its parent", child(all), parent, every(no)},
		{"its parent's parent", grandchild(all), root, every(no)},
		{"a key that it made", memberKey(year, all), made(all), every("")},
		{"another user's key", memberKey(year, all), keyOf(admin, month, plain), every(gone)},
		{"an admin on a member's key", adminKey(year, all), keyOf(member, month, plain), every("")},
		{
			"an admin on a member's key that expires later", adminKey(month, all), keyOf(member, year/2, plain),
			but(but(every(""), "extend", fault.CodeInvalidRequest), "rotate", later),
		},
		{
			"an admin on a member's key with reveal", adminKey(year, all), keyOf(member, month, all),
			but(every(""), "extend", fault.CodeInvalidRequest),
		},
		{"an admin's narrow key on a member's wide one", adminKey(year, plain), keyOf(member, month, all), every(scope)},
		{"the operator on any key", operator, keyOf(admin, month, all), but(every(""), "extend", fault.CodeInvalidRequest)},
	}
	for _, row := range rows {
		if len(row.want) != len(target) {
			t.Fatalf("%s: a cell is missing", row.name)
		}
		for _, action := range target {
			t.Run(row.name+"/"+action, func(t *testing.T) {
				w := newWorld(t)
				actor := row.actor(w)
				k := row.on(w, actor)
				err := w.act(actor, action, k)
				if want := row.want[action]; want == "" && err != nil || want != "" && !fault.Is(err, want) {
					t.Errorf("%v, want %q", err, want)
				}
				if err == nil {
					return
				}
				after, err := w.GetKey(t.Context(), identity.Operator(w.org), k.ID)
				after.Paused = k.Paused // activate pauses it first
				after.Rev, after.UpdatedAt, after.UsedAt = k.Rev, k.UpdatedAt, k.UsedAt
				if fmt.Sprint(after) != fmt.Sprint(k) || err != nil {
					t.Errorf("a refused action changed the key to %+v from %+v, %v", after, k, err)
				}
			})
		}
	}
}

func admin(w *world) identity.User      { return w.admin }
func member(w *world) identity.User     { return w.member }
func operator(w *world) identity.Caller { return identity.Operator(w.org) }
func memberKey(life time.Duration, scopes []access.Scope) func(*world) identity.Caller {
	return rootOf(member, life, scopes)
}

func adminKey(life time.Duration, scopes []access.Scope) func(*world) identity.Caller {
	return rootOf(admin, life, scopes)
}

// rootOf signs in with a key that the operator made.
func rootOf(user func(*world) identity.User, life time.Duration, scopes []access.Scope) func(*world) identity.Caller {
	return func(w *world) identity.Caller {
		_, _, who := w.key(operator(w), w.draft(user(w), life, scopes...))
		return who
	}
}

// keyOf is another key that the operator made.
func keyOf(user func(*world) identity.User, life time.Duration, scopes []access.Scope) func(*world, identity.Caller) identity.Key {
	return func(w *world, _ identity.Caller) identity.Key {
		k, _, _ := w.key(operator(w), w.draft(user(w), life, scopes...))
		return k
	}
}

func ownKey(life time.Duration, scopes []access.Scope) func(*world, identity.Caller) identity.Key {
	return keyOf(member, life, scopes)
}

func (w *world) named(who identity.Caller, key int64) identity.Key {
	w.t.Helper()
	return must(w.GetKey(w.t.Context(), who, key))(w.t)
}

func itself(w *world, actor identity.Caller) identity.Key { return w.named(actor, actor.KeyID) }
func parent(w *world, actor identity.Caller) identity.Key {
	return w.named(actor, actor.Lineage[0].Key)
}

func root(w *world, actor identity.Caller) identity.Key {
	keys := actor.Lineage.Keys()
	return w.named(actor, keys[len(keys)-1].Key)
}

func child(scopes []access.Scope) func(*world) identity.Caller {
	return func(w *world) identity.Caller {
		_, _, who := w.key(memberKey(year, all)(w), w.draft(identity.User{}, 0, scopes...))
		return who
	}
}

func grandchild(scopes []access.Scope) func(*world) identity.Caller {
	return func(w *world) identity.Caller {
		_, _, who := w.key(child(scopes)(w), w.draft(identity.User{}, 0, scopes...))
		return who
	}
}

// made is a key that the actor made.
func made(scopes []access.Scope) func(*world, identity.Caller) identity.Key {
	return func(w *world, actor identity.Caller) identity.Key {
		k, _, _ := w.key(actor, w.draft(identity.User{}, month, scopes...))
		return k
	}
}

// TestWhatAKeyMadeEndsWithIt ends a key, or what it depends on, and tries the
// key that it made, the one that this made, and one of another user.
func TestWhatAKeyMadeEndsWithIt(t *testing.T) {
	for name, end := range map[string]func(w *world, a identity.Caller) error{
		"pause":  func(w *world, a identity.Caller) error { return second(w.PauseKey(t.Context(), a, a.KeyID)) },
		"delete": func(w *world, a identity.Caller) error { return second(w.DeleteKey(t.Context(), a, a.KeyID)) },
		"expiry": func(w *world, a identity.Caller) error {
			soon := w.time.Add(time.Hour)
			err := second(w.UpdateKey(t.Context(), a, a.KeyID, identity.Draft{ExpiresAt: &soon}))
			w.move(time.Hour)
			return err
		},
		"suspension of its user":         func(w *world, a identity.Caller) error { w.suspend(a.User); return nil },
		"suspension of the organisation": func(w *world, _ identity.Caller) error { return second(w.SuspendOrg(t.Context(), operator(w), true)) },
		"its user is no admin any more": func(w *world, a identity.Caller) error {
			no := false
			return second(w.UpdateUser(t.Context(), operator(w), a.User.ID, identity.UserDraft{Admin: &no}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := adminKey(year, all)(w)
			_, childText, childKey := w.key(a, w.draft(identity.User{}, 0))
			_, grandText, _ := w.key(childKey, w.draft(identity.User{}, 0))
			_, otherText, _ := w.key(childKey, w.draft(w.member, 0))
			standing := name == "its user is no admin any more" // ends what was made for others
			tokens := map[string]string{}
			for _, text := range []string{childText, grandText, otherText} {
				tokens[text] = w.signIn(text).Token
			}
			if err := end(w, a); err != nil {
				t.Fatal(err)
			}
			for text, token := range tokens {
				lives := standing && text != otherText
				if got := w.signedIn(token); got != lives {
					t.Errorf("a session lives on: %v, want %v", got, lives)
				}
				if _, err := w.SignIn(t.Context(), text, from); (err == nil) != lives {
					t.Errorf("a key signs in: %v, want %v", err, lives)
				}
			}
		})
	}
}

// TestARotatedKeysChildrenStay: a rotation is routine; who must end what a key
// made pauses or deletes it.
func TestARotatedKeysChildrenStay(t *testing.T) {
	w := newWorld(t)
	a := memberKey(year, all)(w)
	_, text, _ := w.key(a, w.draft(identity.User{}, 0))
	s := w.signIn(text)
	must2(w.RotateKey(t.Context(), a, a.KeyID))(t)
	if !w.signedIn(s.Token) {
		t.Error("the session of a key made with the rotated one ended")
	}
}

// TestAChildHasNoMoreThanItsParent narrows a parent and shortens its life.
func TestAChildHasNoMoreThanItsParent(t *testing.T) {
	w := newWorld(t)
	root := memberKey(year, all)(w)
	p, _, _ := w.key(root, w.draft(identity.User{}, 0))
	_, parentText, _ := w.key(root, w.draft(identity.User{}, 0))
	who := w.signIn(parentText).Caller
	c, text, _ := w.key(who, w.draft(identity.User{}, 0))
	soon := w.time.Add(time.Hour)
	must(w.UpdateKey(t.Context(), root, who.KeyID, identity.Draft{Scopes: plain, ExpiresAt: &soon}))(t)
	got := w.signIn(text).Caller
	if !slices.Equal(got.Scopes, plain) || !got.Expires.Equal(soon) {
		t.Errorf("the child holds %v until %v", got.Scopes, got.Expires)
	}
	for name, d := range map[string]identity.Draft{
		"wider": {Scopes: all}, "longer": {ExpiresAt: &root.Expires},
	} {
		err := second(w.UpdateKey(t.Context(), root, c.ID, d))
		if name == "wider" && err != nil { // it holds them already, to no effect
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.signIn(text).Caller; !slices.Equal(got.Scopes, plain) || !got.Expires.Equal(soon) {
		t.Errorf("the child holds %v until %v", got.Scopes, got.Expires)
	}
	narrow, _, _ := w.key(who2(w, root, p), w.draft(identity.User{}, month, plain...))
	must(w.UpdateKey(t.Context(), root, p.ID, identity.Draft{Scopes: plain}))(t)
	if err := second(w.UpdateKey(t.Context(), root, narrow.ID, identity.Draft{Scopes: all})); !fault.Is(err, fault.CodeInvalidRequest) {
		t.Errorf("wider than its parent: %v", err)
	}
	first, fourth := root, identity.Caller{}
	for range identity.MaxGenerations - 1 {
		_, _, fourth = w.key(first, w.draft(identity.User{}, 0))
		first = fourth
	}
	if err := second2(w.CreateKey(t.Context(), fourth, w.draft(identity.User{}, 0))); !fault.Is(err, fault.CodeLimitReached) {
		t.Errorf("the fifth generation: %v", err)
	}
}

// who2 signs in as a key whose text is not known, by rotating it.
func who2(w *world, root identity.Caller, k identity.Key) identity.Caller {
	w.t.Helper()
	_, text, err := w.RotateKey(w.t.Context(), root, k.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(text).Caller
}

// TestAWeakKeyLocksNobodyOut is the attack: a key with write alone makes keys
// until the limit, then deletes and pauses the others.
func TestAWeakKeyLocksNobodyOut(t *testing.T) {
	w := newWorld(t)
	strong, strongText := w.rootKey(w.member)
	weak := memberKey(year, []access.Scope{access.ScopeWrite})(w)
	for {
		_, _, err := w.CreateKey(t.Context(), weak, w.draft(identity.User{}, 0))
		if fault.Is(err, fault.CodeLimitReached) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range must(w.ListKeys(t.Context(), weak, w.member.ID))(t) {
		for _, action := range target {
			if k.Lineage.Has(weak.KeyID) || k.ID == weak.KeyID {
				continue
			}
			if err := w.act(weak, action, k); err == nil {
				t.Errorf("%s of a stronger key", action)
			}
		}
	}
	must(w.ActivateKey(t.Context(), operator(w), strong.ID))(t) // act paused it to try
	owner := w.signIn(strongText).Caller
	boss := w.signIn(w.firstText).Caller
	for name, who := range map[string]identity.Caller{"an admin": boss, "the operator": operator(w)} {
		if k, _, err := w.CreateKey(t.Context(), who, w.draft(w.member, month, plain...)); err != nil {
			t.Errorf("%s makes no key at the limit: %v", name, err)
		} else if err := second(w.DeleteKey(t.Context(), who, k.ID)); err != nil {
			t.Errorf("%s deletes no key: %v", name, err)
		}
	}
	gone := must(w.DeleteKey(t.Context(), owner, weak.KeyID))(t)
	left := must(w.ListKeys(t.Context(), owner, w.member.ID))(t)
	if slices.ContainsFunc(left, func(k identity.Key) bool { return k.ID == gone.ID || k.Lineage.Has(gone.ID) }) || len(left) != 2 {
		t.Errorf("%d keys are left of the two strong ones", len(left))
	}
	if u := must(w.GetUser(t.Context(), owner, w.member.ID))(t); u.KeyCount != len(left) {
		t.Errorf("%d keys are counted, %d exist", u.KeyCount, len(left))
	}
}

// TestRevealIsItsOwnersToGive follows the ways by which somebody else might
// come to a key that reveals a user's secrets.
func TestRevealIsItsOwnersToGive(t *testing.T) {
	w := newWorld(t)
	boss, owner := w.signIn(w.firstText).Caller, memberKey(year, all)(w)
	reveals := func(k identity.Key) bool { return slices.Contains(k.Scopes, access.ScopeReveal) }
	for name, who := range map[string]identity.Caller{"an admin": boss, "the operator": operator(w)} {
		if k, _, _ := w.key(who, w.draft(w.member, month)); reveals(k) {
			t.Errorf("%s makes a key with reveal for another user", name)
		}
	}
	if err := second2(w.CreateKey(t.Context(), boss, w.draft(w.member, month, all...))); !fault.Is(err, fault.CodeInvalidRequest) {
		t.Errorf("an admin asks for it: %v", err)
	}
	k, text, _ := w.key(boss, w.draft(w.member, month))
	if err := second(w.UpdateKey(t.Context(), boss, k.ID, identity.Draft{Scopes: all})); !fault.Is(err, fault.CodeInvalidRequest) {
		t.Errorf("an admin adds it: %v", err)
	}
	if err := second(w.UpdateKey(t.Context(), w.signIn(text).Caller, k.ID, identity.Draft{Scopes: all})); !fault.Is(err, fault.CodeInvalidRequest) {
		t.Errorf("the key adds it to itself: %v", err)
	}
	grant := func() {
		t.Helper()
		if got := must(w.UpdateKey(t.Context(), owner, k.ID, identity.Draft{Scopes: all}))(t); !reveals(got) {
			t.Fatal("the owner cannot give it")
		}
	}
	grant()
	if !slices.Contains(w.signIn(text).Caller.Scopes, access.ScopeReveal) {
		t.Error("the key that the owner gave it does not hold it")
	}
	later := k.ExpiresAt.Add(time.Hour)
	if err := second(w.UpdateKey(t.Context(), boss, k.ID, identity.Draft{ExpiresAt: &later})); !fault.Is(err, fault.CodeInvalidRequest) {
		t.Errorf("an admin extends it: %v", err)
	}
	rotated, _, err := w.RotateKey(t.Context(), boss, k.ID)
	if err != nil || reveals(rotated) {
		t.Errorf("after an admin's rotation: %v, %v", rotated.Scopes, err)
	}
	grant()
	must(w.PauseKey(t.Context(), boss, k.ID))(t)
	if got := must(w.ActivateKey(t.Context(), boss, k.ID))(t); !reveals(got) {
		t.Error("an admin who ends the pause of an admin takes it")
	}
	must(w.PauseKey(t.Context(), owner, k.ID))(t)
	must(w.PauseKey(t.Context(), boss, k.ID))(t)
	if got := must(w.ActivateKey(t.Context(), boss, k.ID))(t); reveals(got) {
		t.Error("an admin brings back a key with it that the owner paused")
	}
	only, _, _ := w.key(owner, w.draft(identity.User{}, month, access.ScopeReveal))
	if err := second2(w.RotateKey(t.Context(), boss, only.ID)); !fault.Is(err, fault.CodeForbidden) {
		t.Errorf("an admin rotates a key that holds nothing else: %v", err)
	}
}
