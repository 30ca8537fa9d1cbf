package identity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// user makes a user without a key.
func (w *world) user(name string) identity.User {
	w.t.Helper()
	address := name + "@acme.example"
	return must(w.Invite(w.t.Context(), w.callerOf(w.admin), identity.UserDraft{Email: &address}))(w.t)
}

// callerOf is a caller with every scope, as a sign-in would return, for a user as the
// store has it now.
func (w *world) callerOf(u identity.User) identity.Caller {
	w.t.Helper()
	u = must(w.GetUser(w.t.Context(), operator(w), u.ID))(w.t)
	return identity.Caller{Org: w.org, User: u, Teams: u.Teams, Scopes: all}
}

// members names users.
func members(change identity.MembersChange, users ...identity.User) *identity.MembersDraft {
	d := &identity.MembersDraft{Change: change, Named: []identity.MemberDraft{}}
	for _, u := range users {
		d.Named = append(d.Named, identity.MemberDraft{Ref: identity.Ref{ID: u.ID}})
	}
	return d
}

func (w *world) team(owner identity.User, name string, users ...identity.User) identity.Team {
	w.t.Helper()
	return must(w.CreateTeam(w.t.Context(), w.callerOf(owner), identity.TeamDraft{Name: &name, Members: members(identity.AddMembers, users...)}))(w.t)
}

func (w *world) teamsOf(u identity.User) []int64 { return w.callerOf(u).Teams }

// clean holds that the rows of the organisation agree.
func (w *world) clean() {
	w.t.Helper()
	if _, found, err := identity.Inspect(w.t.Context(), w.store, w.org.ID); err != nil || len(found) > 0 {
		w.t.Errorf("inspecting: %+v, %v", found, err)
	}
}

// TestTeamRights has callers of every kind read, change and delete a team.
func TestTeamRights(t *testing.T) {
	kinds := map[string]struct {
		who    func(w *world) identity.Caller
		read   fault.Code
		change fault.Code
	}{
		"owner":           {func(w *world) identity.Caller { return w.callerOf(w.member) }, "", ""},
		"admin of it":     {func(w *world) identity.Caller { return w.callerOf(w.find("lead")) }, "", ""},
		"admin":           {func(w *world) identity.Caller { return w.callerOf(w.admin) }, "", ""},
		"member":          {func(w *world) identity.Caller { return w.callerOf(w.find("plain")) }, "", fault.CodeForbidden},
		"outsider":        {func(w *world) identity.Caller { return w.callerOf(w.find("outsider")) }, fault.CodeNotFound, fault.CodeNotFound},
		"another's admin": {func(w *world) identity.Caller { return w.stranger() }, fault.CodeNotFound, fault.CodeNotFound},
	}
	name := "Other name"
	for kind, k := range kinds {
		for do, call := range map[string]struct {
			want fault.Code
			do   func(w *world, who identity.Caller, team int64) error
		}{
			"get": {k.read, func(w *world, who identity.Caller, team int64) error {
				return second(w.GetTeam(t.Context(), who, team))
			}},
			"rename": {k.change, func(w *world, who identity.Caller, team int64) error {
				return second(w.UpdateTeam(t.Context(), who, team, identity.TeamDraft{Name: &name}))
			}},
			"add": {k.change, func(w *world, who identity.Caller, team int64) error {
				return second(w.UpdateTeam(t.Context(), who, team, identity.TeamDraft{Members: members(identity.AddMembers, w.admin)}))
			}},
			"empty": {k.change, func(w *world, who identity.Caller, team int64) error {
				return second(w.EmptyTeam(t.Context(), who, team))
			}},
			"delete": {k.change, func(w *world, who identity.Caller, team int64) error {
				return w.DeleteTeam(t.Context(), who, team, false, &granted{})
			}},
		} {
			t.Run(kind+" "+do, func(t *testing.T) {
				w := newWorld(t)
				lead, plain := w.user("lead"), w.user("plain")
				w.user("outsider")
				team := w.team(w.member, "Data", plain)
				must(w.UpdateTeam(t.Context(), w.callerOf(w.member), team.ID, identity.TeamDraft{Members: &identity.MembersDraft{
					Change: identity.AddMembers, Named: []identity.MemberDraft{{Ref: identity.Ref{Name: "LEAD@acme.example"}, Admin: true}},
				}}))(t)
				if got := w.teamsOf(lead); !slices.Equal(got, []int64{team.ID}) {
					t.Fatalf("the admin of the team is in %v", got)
				}
				who := k.who(w)
				w.journal()
				w.store.commits = 0
				err := call.do(w, who, team.ID)
				if call.want == "" && err != nil || call.want != "" && !fault.Is(err, call.want) {
					t.Errorf("%v, want %q", err, call.want)
				}
				if events := w.journal(); len(events) != w.store.commits || err != nil && len(events) > 0 {
					t.Errorf("the journal has %q after %d commits", events, w.store.commits)
				}
				w.clean()
			})
		}
	}
}

func (w *world) find(name string) identity.User {
	w.t.Helper()
	return must(w.UserByMail(w.t.Context(), w.org.ID, name+"@acme.example"))(w.t)
}

func (w *world) stranger() identity.Caller {
	w.t.Helper()
	other := must(w.CreateOrg(w.t.Context(), identity.Org{Name: "Other"}, identity.User{Email: "o@other.example"}, false))(w.t)
	return identity.Caller{Org: other.Org, User: other.User, Scopes: all}
}

// TestMembership follows the members of a team through changes, and holds that every
// other write of a user's row keeps the user's teams.
func TestMembership(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.user("a"), w.user("b"), w.user("c")
	team := w.team(w.member, "Data", a)
	step := func(change identity.MembersChange, want []identity.User, users ...identity.User) {
		t.Helper()
		got := must(w.UpdateTeam(t.Context(), w.callerOf(w.member), team.ID, identity.TeamDraft{Members: members(change, users...)}))(t)
		for _, u := range []identity.User{a, b, c} {
			_, in := got.Member(u.ID)
			wanted := slices.ContainsFunc(want, func(o identity.User) bool { return o.ID == u.ID })
			if in != wanted || slices.Contains(w.teamsOf(u), team.ID) != wanted {
				t.Errorf("user %s: in the team %v, teams %v, want %v", u.Email, in, w.teamsOf(u), wanted)
			}
		}
		w.clean()
	}
	step(identity.AddMembers, []identity.User{a, b}, b)
	step(identity.AddMembers, []identity.User{a, b}, a, b)
	step(identity.RemoveMembers, []identity.User{b}, a, c)
	step(identity.ReplaceMembers, []identity.User{a, c}, c, a)
	step(identity.ReplaceMembers, nil)
	step(identity.AddMembers, []identity.User{a, b, c}, a, b, c)

	name := "Another Name"
	must(w.UpdateUser(t.Context(), w.callerOf(w.admin), a.ID, identity.UserDraft{FullName: &name}))(t)
	_, text := w.rootKey(a)
	session := w.signIn(text)
	if got := must(w.Authenticate(t.Context(), session.Token, from, nil))(t).Teams; !slices.Equal(got, []int64{team.ID}) {
		t.Errorf("after other writes of the row the user is in %v", got)
	}
	step(identity.RemoveMembers, []identity.User{b, c}, a)
	if got := must(w.Authenticate(t.Context(), session.Token, from, nil))(t).Teams; len(got) > 0 {
		t.Errorf("a member who left is in %v at the next request", got)
	}
	if got := must(w.Teams(t.Context(), w.callerOf(a)))(t); len(got) > 0 {
		t.Errorf("a member who left lists %+v", got)
	}
	if got := must(w.Teams(t.Context(), w.callerOf(b)))(t); len(got) != 1 {
		t.Errorf("a member lists %+v", got)
	}
}

// TestTeamDrafts holds the errors of requests that name teams and users.
func TestTeamDrafts(t *testing.T) {
	w := newWorld(t)
	a := w.user("a")
	team := w.team(w.member, "Straße")
	w.team(w.member, "Other")
	who := w.callerOf(w.member)
	refs := func(refs ...identity.Ref) identity.TeamDraft {
		d := &identity.MembersDraft{Change: identity.AddMembers}
		for _, r := range refs {
			d.Named = append(d.Named, identity.MemberDraft{Ref: r})
		}
		return identity.TeamDraft{Members: d}
	}
	text := func(s string) *string { return &s }
	for title, row := range map[string]struct {
		draft    identity.TeamDraft
		pointers []string
	}{
		"nothing":          {identity.TeamDraft{}, nil},
		"its name":         {identity.TeamDraft{Name: text("Straße")}, nil},
		"its name in caps": {identity.TeamDraft{Name: text("STRAßE")}, nil},
		"a name in use":    {identity.TeamDraft{Name: text("OTHER")}, []string{"/name"}},
		"unknown users":    {refs(identity.Ref{ID: 5}, identity.Ref{ID: a.ID}, identity.Ref{Name: "nobody@acme.example"}), []string{"/members/0", "/members/2"}},
		"a user twice":     {refs(identity.Ref{ID: a.ID}, identity.Ref{Name: "A@acme.example"}), []string{"/members/1"}},
	} {
		_, err := w.UpdateTeam(t.Context(), who, team.ID, row.draft)
		var f *fault.Error
		var got []string
		if errors.As(err, &f) {
			for _, d := range f.Details {
				got = append(got, d.Pointer)
			}
		}
		if !slices.Equal(got, row.pointers) || (err == nil) != (row.pointers == nil) {
			t.Errorf("%s: %v, want %v", title, err, row.pointers)
		}
		w.clean()
	}
	if rows := must(identity.FindTeams(t.Context(), w.store, w.org.ID, []identity.Ref{{Name: "straße"}, {ID: team.ID}, {Name: "none"}}))(t); !rows[0].Found() ||
		rows[0].Key != identity.TeamKey(w.org.ID, team.ID) || rows[1].Key != rows[0].Key || rows[2].Found() {
		t.Errorf("found %v", rows)
	}
}

// TestTeamBounds reaches each bound of teams.
func TestTeamBounds(t *testing.T) {
	w := newWorld(t)
	many := make([]identity.User, identity.MaxMemberChanges+1)
	for n := range many {
		many[n] = w.user(fmt.Sprintf("u%d", n))
	}
	who, name := w.callerOf(w.member), "Large"
	if _, err := w.CreateTeam(t.Context(), who, identity.TeamDraft{Name: &name, Members: members(identity.AddMembers, many...)}); !fault.Is(err, fault.CodeLimitReached) {
		t.Errorf("adding %d at once: %v", len(many), err)
	}
	team := w.team(w.member, "Large", many[1:]...)
	replaced := identity.TeamDraft{Members: members(identity.ReplaceMembers, many[0])}
	must(w.UpdateTeam(t.Context(), who, team.ID, replaced))(t)
	must(w.UpdateTeam(t.Context(), who, team.ID, identity.TeamDraft{Members: members(identity.AddMembers, many[1:]...)}))(t)
	if _, err := w.UpdateTeam(t.Context(), who, team.ID, identity.TeamDraft{Members: members(identity.ReplaceMembers)}); !fault.Is(err, fault.CodeLimitReached) {
		t.Errorf("removing %d at once: %v", len(many), err)
	}
	if got := must(w.EmptyTeam(t.Context(), who, team.ID))(t); len(got.Members) > 0 {
		t.Errorf("%d members are left", len(got.Members))
	}
	for n := range identity.MaxTeamsPerUser {
		w.team(w.member, fmt.Sprint("team ", n), many[0])
	}
	if _, err := w.UpdateTeam(t.Context(), who, team.ID, replaced); !fault.Is(err, fault.CodeLimitReached) {
		t.Errorf("one team more than a user can be in: %v", err)
	}
	w.clean()
	err := w.faulty.Commit(t.Context(), store.Write{Verb: store.Put, If: store.Always(), Item: store.Item{
		Key:        store.Key{Table: store.Meta, Partition: identity.OrgPartition(w.org.ID), Sort: "TEAMS"},
		Attributes: store.Attributes{"count": int64(identity.MaxTeamsPerOrg)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	another := "Another"
	if _, err := w.CreateTeam(t.Context(), who, identity.TeamDraft{Name: &another}); !fault.Is(err, fault.CodeLimitReached) {
		t.Errorf("one team more than an organisation can have: %v", err)
	}
}

// granted is the other domain's part: so many grants, of which each call ends two.
type granted struct {
	grants, calls int
	fail          error
}

func (g *granted) TeamGrants(_ context.Context, _, _ int64, limit int) (int, error) {
	return min(g.grants, limit), nil
}

func (g *granted) EndTeamGrants(context.Context, identity.Caller, int64) error {
	g.calls++
	if g.fail == nil {
		g.grants -= 2
	}
	return g.fail
}

// TestDeleteTeam deletes a team that has grants and more members than one commit
// can remove, after a first attempt that is cut short.
func TestDeleteTeam(t *testing.T) {
	w := newWorld(t)
	who := w.callerOf(w.member)
	var users []identity.User
	for n := range 2*identity.MaxMemberChanges + 3 {
		users = append(users, w.user(fmt.Sprintf("u%d", n)))
	}
	team := w.team(w.member, "Large", users[:40]...)
	for some := range slices.Chunk(users[40:], 40) {
		must(w.UpdateTeam(t.Context(), who, team.ID, identity.TeamDraft{Members: members(identity.AddMembers, some...)}))(t)
	}
	g := &granted{grants: 4, fail: store.ErrUnavailable}
	if err := w.DeleteTeam(t.Context(), who, team.ID, false, g); !fault.Is(err, fault.CodeInUse) {
		t.Errorf("without force: %v", err)
	}
	if err := w.DeleteTeam(t.Context(), who, team.ID, true, g); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the grants do not end: %v", err)
	}
	g.fail = nil
	w.store.before = func() { g.grants += 2 } // overtakes the removal of members
	if err := w.DeleteTeam(t.Context(), who, team.ID, true, g); err != nil || g.calls != 4 {
		t.Errorf("with force: %v after %d calls", err, g.calls)
	}
	if _, err := w.GetTeam(t.Context(), who, team.ID); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("the team is there: %v", err)
	}
	if got := w.teamsOf(users[0]); len(got) > 0 {
		t.Errorf("a former member is in %v", got)
	}
	w.clean()
	w.team(w.member, "large") // the name is free
}

// TestRepeatedTeamsAndInvitations repeats requests with one idempotency key.
func TestRepeatedTeamsAndInvitations(t *testing.T) {
	w := newWorld(t)
	idem := func(body string) identity.Idempotency {
		return identity.Idempotency{Key: "0123456789abcdef" + body, Body: []byte(body)}
	}
	name, address, admin := "Data", "new@acme.example", w.callerOf(w.admin)
	draft := identity.TeamDraft{Name: &name, Idem: idem("team")}
	first, again := must(w.CreateTeam(t.Context(), admin, draft))(t), must(w.CreateTeam(t.Context(), admin, draft))(t)
	if first.ID != again.ID {
		t.Error("a repetition makes another team")
	}
	person := identity.UserDraft{Email: &address, Idem: idem("user")}
	one, two := must(w.Invite(t.Context(), admin, person))(t), must(w.Invite(t.Context(), admin, person))(t)
	if one.ID != two.ID || one.FullName != "new" || !one.Active || one.Admin || one.KeyCount != 0 {
		t.Errorf("invited %+v and %+v", one, two)
	}
}

// TestInvite tries invitations by callers with and without the right.
func TestInvite(t *testing.T) {
	yes, no := true, false
	text := func(s string) *string { return &s }
	for title, row := range map[string]struct {
		who   func(*world) identity.Caller
		draft identity.UserDraft
		want  fault.Code
	}{
		"an admin":                {adminKey(year, plain), identity.UserDraft{Email: text("new@acme.example"), FullName: text("New")}, ""},
		"suspended":               {adminKey(year, plain), identity.UserDraft{Email: text("new@acme.example"), Active: &no}, ""},
		"a used address":          {adminKey(year, plain), identity.UserDraft{Email: text("MEMBER@acme.example")}, fault.CodeInvalidRequest},
		"no address":              {adminKey(year, plain), identity.UserDraft{Email: text("nobody")}, fault.CodeInvalidRequest},
		"an admin by narrow key":  {adminKey(year, plain), identity.UserDraft{Email: text("new@acme.example"), Admin: &yes}, fault.CodeScopeMissing},
		"an admin by a whole key": {adminKey(year, all), identity.UserDraft{Email: text("new@acme.example"), Admin: &yes}, ""},
		"a member":                {memberKey(year, all), identity.UserDraft{Email: text("new@acme.example")}, fault.CodeForbidden},
	} {
		w := newWorld(t)
		who := row.who(w)
		w.journal()
		u, err := w.Invite(t.Context(), who, row.draft)
		if row.want == "" && err != nil || row.want != "" && !fault.Is(err, row.want) {
			t.Errorf("%s: %v, want %q", title, err, row.want)
		}
		events := w.journal()
		if err != nil {
			if len(events) > 0 {
				t.Errorf("%s: the journal has %q", title, events)
			}
			continue
		}
		if !slices.Equal(events, []string{identity.EventUserCreated}) || u.Active != (row.draft.Active == nil) || u.Admin != (row.draft.Admin != nil) {
			t.Errorf("%s: %+v, the journal has %q", title, u, events)
		}
		if stored := must(w.UserByMail(t.Context(), w.org.ID, u.Email))(t); stored.ID != u.ID || stored.FullName != u.FullName {
			t.Errorf("%s: stored %+v, returned %+v", title, stored, u)
		}
		w.clean()
	}
}
