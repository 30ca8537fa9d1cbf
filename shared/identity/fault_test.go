package identity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

// subject is what a task acts on: a key of the member, with its session, and
// another key of that user.
type subject struct {
	text, token string
	who, admin  identity.Caller
	other       identity.Key
	team        identity.Team
}

// task is one operation, whose calls of the store are to fail.
type task struct {
	name   string
	routes []string // that do it; a test of shared/architecture requires a task for each route
	event  string   // of the entry that it leaves
	do     func(ctx context.Context, w *world, s subject) error
	more   bool // a repeat has the effect once more
	// again are the answers to a repeat of what was done before, besides success.
	again []fault.Code
}

var tasks = []task{
	{name: "sign in", routes: []string{"POST /token"}, event: identity.EventSignIn, more: true, do: func(ctx context.Context, w *world, s subject) error {
		return second(w.SignIn(ctx, s.text, from))
	}},
	{name: "a refused sign-in", event: identity.EventSignInRefused, do: func(ctx context.Context, w *world, s subject) error {
		body := s.text[:len(s.text)-43-8] + strings.Repeat("A", 43)
		_, err := w.SignIn(ctx, body+checksumOf(body), from)
		if fault.Is(err, fault.CodeUnauthenticated) {
			return nil
		}
		return err
	}},
	{name: "refresh", routes: []string{"POST /token/refresh"}, event: identity.EventRefresh, more: true, do: func(ctx context.Context, w *world, s subject) error {
		return second(w.Refresh(ctx, s.token, from))
	}},
	{name: "logout", routes: []string{"POST /token/logout"}, event: identity.EventSignOut, again: []fault.Code{fault.CodeUnauthenticated}, do: func(ctx context.Context, w *world, s subject) error {
		return w.Logout(ctx, s.token, from)
	}},
	{name: "key create", routes: []string{"POST /service_keys"}, event: identity.EventKeyCreated, do: func(ctx context.Context, w *world, s subject) error {
		d := named("made once")
		d.Idem = identity.Idempotency{Key: "0123456789abcdef", Body: []byte("{}")}
		return second2(w.CreateKey(ctx, s.who, d))
	}},
	{name: "key update", routes: []string{"PUT /service_keys/{id}"}, event: identity.EventKeyUpdated, do: func(ctx context.Context, w *world, s subject) error {
		return second(w.UpdateKey(ctx, s.who, s.other.ID, named("renamed")))
	}},
	{name: "key pause", routes: []string{"PUT /service_keys/{id}/pause", "POST /service_keys/{id}/pause"}, event: identity.EventKeyPaused, do: func(ctx context.Context, w *world, s subject) error {
		return second(w.PauseKey(ctx, s.who, s.other.ID))
	}},
	{name: "key activate", routes: []string{"PUT /service_keys/{id}/activate", "POST /service_keys/{id}/activate"}, event: identity.EventKeyActivated, do: func(ctx context.Context, w *world, s subject) error {
		return second(w.ActivateKey(ctx, s.who, s.other.ID))
	}},
	{name: "key rotate", routes: []string{"PUT /service_keys/{id}/rotate", "POST /service_keys/{id}/rotate"}, event: identity.EventKeyRotated, more: true, do: func(ctx context.Context, w *world, s subject) error {
		return second2(w.RotateKey(ctx, s.who, s.other.ID))
	}},
	{name: "key delete", routes: []string{"DELETE /service_keys/{id}"}, event: identity.EventKeyDeleted, again: []fault.Code{fault.CodeNotFound}, do: func(ctx context.Context, w *world, s subject) error {
		return second(w.DeleteKey(ctx, s.who, s.other.ID))
	}},
	{name: "user update", routes: []string{"PUT /users/{id}"}, event: identity.EventUserUpdated, do: func(ctx context.Context, w *world, s subject) error {
		name := "Another name"
		return second(w.UpdateUser(ctx, s.admin, w.member.ID, identity.UserDraft{FullName: &name}))
	}},
	{name: "user suspend", event: identity.EventUserSuspended, do: func(ctx context.Context, w *world, s subject) error {
		active := false
		return second(w.UpdateUser(ctx, s.admin, w.member.ID, identity.UserDraft{Active: &active}))
	}},
	{name: "user activate", event: identity.EventUserActivated, do: func(ctx context.Context, w *world, s subject) error {
		active := true
		return second(w.UpdateUser(ctx, s.admin, w.member.ID, identity.UserDraft{Active: &active}))
	}},
	{name: "user add", event: identity.EventUserCreated, again: []fault.Code{fault.CodeInvalidRequest}, do: func(ctx context.Context, w *world, _ subject) error {
		return second(w.CreateUser(ctx, w.org, identity.User{Email: "made@acme.example"}))
	}},
	{name: "user invite", routes: []string{"POST /users"}, event: identity.EventUserCreated, again: []fault.Code{fault.CodeInvalidRequest}, do: func(ctx context.Context, w *world, s subject) error {
		address := "invited@acme.example"
		return second(w.Invite(ctx, s.admin, identity.UserDraft{Email: &address}))
	}},
	{name: "team add", routes: []string{"POST /teams"}, event: identity.EventTeamCreated, again: []fault.Code{fault.CodeInvalidRequest}, do: func(ctx context.Context, w *world, s subject) error {
		name := "Data"
		return second(w.CreateTeam(ctx, s.who, identity.TeamDraft{Name: &name, Members: members(identity.AddMembers, w.member)}))
	}},
	{name: "team update", routes: []string{"PUT /teams/{id}"}, event: identity.EventTeamUpdated, do: func(ctx context.Context, w *world, s subject) error {
		name := "Others"
		return second(w.UpdateTeam(ctx, s.admin, s.team.ID, identity.TeamDraft{Name: &name, Members: members(identity.ReplaceMembers, w.admin)}))
	}},
	{name: "team members", routes: []string{"PUT /teams/{id}/members", "POST /teams/{id}/members", "DELETE /teams/{id}/members"}, event: identity.EventTeamMembersChanged, do: func(ctx context.Context, w *world, s subject) error {
		return second(w.UpdateTeam(ctx, s.admin, s.team.ID, identity.TeamDraft{Members: members(identity.ReplaceMembers, w.admin)}))
	}},
	{name: "team delete", routes: []string{"DELETE /teams/{id}"}, event: identity.EventTeamDeleted, again: []fault.Code{fault.CodeNotFound}, do: func(ctx context.Context, w *world, s subject) error {
		return w.DeleteTeam(ctx, s.admin, s.team.ID, false, &granted{})
	}},
	{name: "org add", event: identity.EventUserCreated, again: []fault.Code{fault.CodeConflict}, do: func(ctx context.Context, w *world, _ subject) error {
		return second(w.CreateOrg(ctx, identity.Org{Name: "Made", EmailDomain: "made.example"}, identity.User{Email: "a@made.example"}, false))
	}},
	{name: "org suspend", event: identity.EventOrgSuspended, do: func(ctx context.Context, w *world, _ subject) error {
		return second(w.SuspendOrg(ctx, identity.Operator(w.org), true))
	}},
	{name: "org activate", event: identity.EventOrgActivated, do: func(ctx context.Context, w *world, _ subject) error {
		return second(w.SuspendOrg(ctx, identity.Operator(w.org), false))
	}},
	{name: "org set", event: identity.EventOrgUpdated, do: func(ctx context.Context, w *world, _ subject) error {
		return second(w.KeepAudit(ctx, identity.Operator(w.org), 90))
	}},
}

// met makes a world with the subject of a task.
func (o task) met(t *testing.T) (*world, subject) {
	t.Helper()
	return o.metIn(t, newWorld(t))
}

func (o task) metIn(t *testing.T, w *world) (*world, subject) {
	t.Helper()
	_, text := w.rootKey(w.member)
	session := w.signIn(text)
	other, _ := w.rootKey(w.member)
	s := subject{text: text, token: session.Token, who: session.Caller, other: other, admin: w.caller(w.admin)}
	inactive := false
	switch o.name {
	case "team update", "team members", "team delete":
		s.team = w.team(w.member, "Team", w.member)
	case "key activate":
		must(w.PauseKey(t.Context(), session.Caller, other.ID))(t)
	case "user activate":
		must(w.UpdateUser(t.Context(), s.admin, w.member.ID, identity.UserDraft{Active: &inactive}))(t)
	case "org activate":
		must(w.SuspendOrg(t.Context(), identity.Operator(w.org), true))(t)
	}
	w.move(time.Hour) // a sign-in notes the last use again
	return w, s
}

// facts are what a person can observe of organisations, users, keys and sessions.
func (w *world) facts() string {
	w.t.Helper()
	var list []string
	for k, i := range w.faulty.Everything(w.t) {
		kind, _, _ := strings.Cut(k.Sort, "#")
		if k.Table != store.Meta || kind == "REF" { // the marker of a refusal, which its entry shows
			continue
		}
		fact := kind + fmt.Sprint(len(i.Attributes.Bytes("list")), len(i.Attributes.Bytes("members")), strings.Count(i.Attributes.Text("teams"), ""))
		for _, name := range []string{"name", "full_name", "active", "admin", "keys", "paused", "scopes", "made", "suspended", "audit_days", "count"} {
			if v, ok := i.Attributes[name]; ok && (name != "made" || kind == "KEY") {
				fact += fmt.Sprintf(" %s=%v", name, v)
			}
		}
		list = append(list, fact)
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// left counts the entries of the task's event.
func (o task) left(w *world) (n int) {
	w.t.Helper()
	for k, i := range w.faulty.Everything(w.t) {
		if k.Table == store.Audit && i.Attributes.Text("event") == o.event {
			n++
		}
	}
	return n
}

// TestEveryCallOfEveryOperation has each call that an operation makes of the store
// meet each mishap, and compares answer, facts, audit entries and a repeat.
func TestEveryCallOfEveryOperation(t *testing.T) {
	for _, o := range tasks {
		w, s := o.met(t)
		if err := o.do(t.Context(), w, s); err != nil {
			t.Fatalf("%s: %v", o.name, err)
		}
		after := w.facts()
		for f, what := range storetest.Mishaps() {
			t.Run(o.name+" "+f, func(t *testing.T) {
				t.Parallel()
				nth := 1
				for o.broken(t, nth, what, after) {
					nth++
				}
				if nth < 2 {
					t.Error("no call was met")
				}
			})
		}
	}
}

// broken does the operation with a mishap at its nth call. It reports false if the
// operation makes fewer calls.
func (o task) broken(t *testing.T, nth int, what storetest.Mishap, after string) bool {
	t.Helper()
	w, s := o.met(t)
	before, entries := w.facts(), o.left(w)
	do := func(ctx context.Context) error { return o.do(ctx, w, s) }
	w.faulty.Plan(nth, what, nil)
	err, ended := w.faulty.Run(do)
	if !w.faulty.Happened() {
		return false
	}
	w.faulty.Reset()
	now, left := w.facts(), o.left(w)-entries
	unknown := errors.Is(err, store.ErrOutcomeUnknown)
	done := now == after
	if after == before { // a refused sign-in changes no fact
		done = left == 1
	}
	rival := what == storetest.Overtaken || what == storetest.Contended
	switch {
	case now != before && now != after:
		t.Errorf("call %d: half made:\n%s\nbefore:\n%s\nafter:\n%s", nth, now, before, after)
	case ended && rival && err != nil && !errors.Is(err, storetest.ErrAway): // ErrAway: the call was a read
		t.Errorf("call %d: one rival is answered with %v", nth, err)
	case ended && !unknown && (err == nil) != done && (after != before || !rival):
		t.Errorf("call %d: answered %v, stored\n%s", nth, err, now)
	case err != nil && !unknown && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.Canceled):
		t.Errorf("call %d: answered %v", nth, err)
	case left > 1 || (left == 1) != done:
		t.Errorf("call %d: %d entries, done %v", nth, left, done)
	}
	w.move(time.Minute)
	err, _ = w.faulty.Run(do)
	var said *fault.Error
	if err != nil && (!done || !errors.As(err, &said) || !slices.Contains(o.again, said.Code)) {
		t.Errorf("call %d: repeated: %v", nth, err)
	}
	if more := o.left(w) - entries; !o.more && (w.facts() != after || more != 1) {
		t.Errorf("call %d: repeated: %d entries,\n%s\nwant\n%s", nth, more, w.facts(), after)
	}
	return true
}
