package identity_test

import (
	"errors"
	"reflect"
	"sync"
	"testing"

	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// TestUpdateUser tries changes of users by callers with and without the right.
func TestUpdateUser(t *testing.T) {
	yes, no, name, same := true, false, "Another Name", "Mo"
	suspend, promote, rename := identity.UserDraft{Active: &no}, identity.UserDraft{Admin: &yes}, identity.UserDraft{FullName: &name}
	other, capitals, used := "other@acme.example", "MEMBER@acme.example", "Admin@acme.example"
	moved := identity.UserDraft{Email: &other}
	own := func(_ *world, who identity.Caller) int64 { return who.User.ID }
	of := func(u func(*world) identity.User) func(*world, identity.Caller) int64 {
		return func(w *world, _ identity.Caller) int64 { return u(w).ID }
	}
	for title, row := range map[string]struct {
		who   func(*world) identity.Caller
		on    func(*world, identity.Caller) int64
		draft identity.UserDraft
		want  fault.Code
		event string // of the journal; "" = none
	}{
		"a member, the own name":             {memberKey(year, all), own, rename, "", identity.EventUserUpdated},
		"a member, the name that it is":      {memberKey(year, all), own, identity.UserDraft{FullName: &same}, "", ""},
		"a member, the own admin flag":       {memberKey(year, all), own, promote, fault.CodeForbidden, ""},
		"a member, an admin":                 {memberKey(year, all), of(admin), suspend, fault.CodeNotFound, ""},
		"an admin, a member's name":          {adminKey(year, plain), of(member), rename, "", identity.EventUserUpdated},
		"an admin, a member's status":        {adminKey(year, all), of(member), suspend, "", identity.EventUserSuspended},
		"an admin, a member's flag":          {adminKey(year, all), of(member), promote, "", identity.EventUserUpdated},
		"an admin's narrow key, status":      {adminKey(year, plain), of(member), suspend, fault.CodeScopeMissing, ""},
		"an admin's narrow key, flag":        {adminKey(year, plain), of(member), promote, fault.CodeScopeMissing, ""},
		"an admin, the own status":           {adminKey(year, all), own, suspend, fault.CodeForbidden, ""},
		"an admin, the own flag":             {adminKey(year, all), own, identity.UserDraft{Admin: &no}, fault.CodeForbidden, ""},
		"an admin, nobody":                   {adminKey(year, all), func(*world, identity.Caller) int64 { return 12345 }, suspend, fault.CodeNotFound, ""},
		"a member, the own address":          {memberKey(year, all), own, moved, fault.CodeForbidden, ""},
		"an admin, a member's address":       {adminKey(year, all), of(member), moved, "", identity.EventUserUpdated},
		"an admin, the own address":          {adminKey(year, all), own, moved, "", identity.EventUserUpdated},
		"an admin, an address in capitals":   {adminKey(year, all), of(member), identity.UserDraft{Email: &capitals}, "", identity.EventUserUpdated},
		"an admin, an address in use":        {adminKey(year, all), of(member), identity.UserDraft{Email: &used}, fault.CodeInvalidRequest, ""},
		"an admin, no address":               {adminKey(year, all), of(member), identity.UserDraft{Email: &name}, fault.CodeInvalidRequest, ""},
		"an admin's narrow key, an address":  {adminKey(year, plain), of(member), moved, fault.CodeScopeMissing, ""},
		"the operator, an admin":             {operator, of(admin), suspend, "", identity.EventUserSuspended},
		"the operator, an active user again": {operator, of(member), identity.UserDraft{Active: &yes}, "", ""},
	} {
		t.Run(title, func(t *testing.T) {
			w := newWorld(t)
			who := row.who(w)
			target := row.on(w, who)
			before, _ := w.GetUser(t.Context(), operator(w), target)
			w.journal()
			w.store.commits = 0
			got, err := w.UpdateUser(t.Context(), who, target, row.draft)
			if row.want == "" && err != nil || row.want != "" && !fault.Is(err, row.want) {
				t.Fatalf("%v, want %q", err, row.want)
			}
			after, _ := w.GetUser(t.Context(), operator(w), target)
			want := before
			if row.event != "" {
				want = applied(before, row.draft)
				want.Rev, want.UpdatedAt = before.Rev+1, w.time
			}
			if !reflect.DeepEqual(after, want) || err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("stored %+v, returned %+v, want %+v", after, got, want)
			}
			if found := must(w.UserByMail(t.Context(), w.org.ID, after.Email)); target != 12345 && found(t).ID != target {
				t.Errorf("the address %s leads to another user", after.Email)
			}
			w.clean()
			if events := w.journal(); row.event == "" && len(events)+w.store.commits > 0 || row.event != "" && (len(events) != 1 || events[0] != row.event) {
				t.Errorf("journal %q after %d commits, want %q", events, w.store.commits, row.event)
			}
		})
	}
}

func applied(u identity.User, d identity.UserDraft) identity.User {
	if d.FullName != nil {
		u.FullName = *d.FullName
	}
	if d.Active != nil {
		u.Active = *d.Active
	}
	if d.Admin != nil {
		u.Admin = *d.Admin
	}
	if d.Email != nil {
		u.Email = *d.Email
	}
	return u
}

// TestAdminsWhoSuspendEachOther: one of two admins stays active, whether one
// change falls between the read and the commit of the other or both race.
func TestAdminsWhoSuspendEachOther(t *testing.T) {
	no := false
	for name, draft := range map[string]identity.UserDraft{"suspend": {Active: &no}, "demote": {Admin: &no}} {
		left := func(w *world) (n int) {
			for _, u := range must(w.Users(t.Context(), operator(w)))(t) {
				if u.Active && u.Admin {
					n++
				}
			}
			return n
		}
		two := func(t *testing.T) (w *world, a, b identity.Caller) {
			t.Helper()
			w = newWorld(t)
			yes := true
			must(w.UpdateUser(t.Context(), operator(w), w.member.ID, identity.UserDraft{Admin: &yes}))(t)
			return w, w.caller(w.admin), w.caller(w.member)
		}
		t.Run(name+" in between", func(t *testing.T) {
			w, a, b := two(t)
			w.store.before = func() {
				if _, err := w.UpdateUser(t.Context(), b, a.User.ID, draft); err != nil {
					t.Error(err)
				}
			}
			if _, err := w.UpdateUser(t.Context(), a, b.User.ID, draft); !fault.Is(err, fault.CodeUnauthenticated) {
				t.Errorf("the admin who was overtaken: %v", err)
			}
			if n := left(w); n != 1 {
				t.Errorf("%d admins are left", n)
			}
		})
		t.Run(name+" at once", func(t *testing.T) {
			w, a, b := two(t)
			var group sync.WaitGroup
			errs := make([]error, 2)
			group.Go(func() { _, errs[0] = w.UpdateUser(t.Context(), a, b.User.ID, draft) })
			group.Go(func() { _, errs[1] = w.UpdateUser(t.Context(), b, a.User.ID, draft) })
			group.Wait()
			if n := left(w); n != 1 || (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("%d admins are left: %v", n, errs)
			}
		})
	}
}

// TestSuspendOrg suspends an organisation twice and activates it.
func TestSuspendOrg(t *testing.T) {
	w := newWorld(t)
	_, text := w.rootKey(w.member)
	session := w.signIn(text)
	w.journal()
	for _, row := range []struct {
		suspended bool
		event     string
	}{{true, identity.EventOrgSuspended}, {true, ""}, {false, identity.EventOrgActivated}, {false, ""}} {
		w.store.commits = 0
		o := must(w.SuspendOrg(t.Context(), operator(w), row.suspended))(t)
		if o.Suspended != row.suspended || o.Name != w.org.Name || o.ID != w.org.ID {
			t.Errorf("suspended %v: %+v", row.suspended, o)
		}
		if events := w.journal(); len(events) != w.store.commits || row.event != "" && (len(events) != 1 || events[0] != row.event) || row.event == "" && len(events) > 0 {
			t.Errorf("suspended %v: journal %q after %d commits", row.suspended, events, w.store.commits)
		}
		if w.signedIn(session.Token) == row.suspended {
			t.Errorf("suspended %v: the session lives: %v", row.suspended, !row.suspended)
		}
		if _, err := w.SignIn(t.Context(), text, from); (err != nil) != row.suspended {
			t.Errorf("suspended %v: signing in: %v", row.suspended, err)
		}
		w.journal()
	}
	if _, err := w.SuspendOrg(t.Context(), identity.Operator(identity.Org{ID: 5}), true); err == nil {
		t.Error("an organisation that does not exist is suspended")
	}
	w.store.fail = store.ErrUnavailable
	if _, err := w.SuspendOrg(t.Context(), operator(w), true); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}
