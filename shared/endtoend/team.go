package endtoend

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

func teamChecks() []check {
	return []check{
		{"the life of a team", teamLife},
		{"a person is invited, joins a team and leaves", invitedPerson},
		{"errors of teams and invitations", teamFaults},
	}
}

var (
	teamMemberForm = fields{"id": id, "email": nonempty, "admin": boolean}.exactly()
	teamForm       = fields{
		"id": id, "name": nonempty, "description": text, "owner": ownerForm, "org": orgForm, "member": boolean, "members": list(teamMemberForm),
		"access_roles": roles, "tags": list(text), "created_at": timestamp, "updated_at": timestamp,
	}.exactly()
)

// team makes a team, which ends with the test.
func (s *session) team(t *testing.T, body object) string {
	t.Helper()
	r := s.post(t, "/teams", with(object{"name": label("team")}, body)).ok(t).form(t, teamForm)
	path := fmt.Sprintf("/teams/%d", r.int("id"))
	t.Cleanup(func() { s.send(t, http.MethodDelete, path+"?force=1", nil) })
	return path
}

func teamLife(t *testing.T, su *suite) {
	member := su.needMember(t)
	path := member.team(t, object{"members": []object{{"id": su.admin.user, "admin": true}}})
	r := member.get(t, path).ok(t).form(t, teamForm)
	if r.at("member") != false || !slices.Equal(texts(r.at("access_roles")), []string{"owner"}) || r.int("owner", "id") != member.user {
		t.Errorf("its owner reads %v", r.value)
	}
	if r := su.admin.get(t, path).ok(t); r.at("member") != true || !slices.Equal(texts(r.at("access_roles")), []string{"admin"}) {
		t.Errorf("its member reads %v", r.value)
	}
	if ids := idsIn(member.get(t, "/teams").ok(t).form(t, list(teamForm))); !slices.Contains(ids, r.int("id")) {
		t.Errorf("its owner lists %v", ids)
	}
	if ids := idsIn(member.get(t, "/teams?access_role=owner&per_page=1000").ok(t)); !slices.Contains(ids, r.int("id")) {
		t.Errorf("its owner lists %v as an owner", ids)
	}
	name := label("renamed")
	changed := member.put(t, path, object{"name": name, "description": "for a test"}).ok(t).form(t, teamForm)
	if changed.text("name") != name || changed.text("description") != "for a test" || len(changed.at("members").([]any)) != 1 {
		t.Errorf("changed to %v", changed.value)
	}
	member.put(t, path, raw(member.get(t, path).ok(t).body)).ok(t) // what was read, sent back
	members := path + "/members"
	own := object{"members": []object{{"id": member.user}}}
	if ids := idsIn(member.put(t, members, own).ok(t).form(t, list(teamMemberForm))); len(ids) != 2 {
		t.Errorf("after one more the members are %v", ids)
	}
	if ids := idsIn(member.post(t, members, own).ok(t).form(t, list(teamMemberForm))); !slices.Equal(ids, []int64{member.user}) {
		t.Errorf("after a replacement the members are %v", ids)
	}
	if ids := idsIn(member.get(t, members+"?page=1&per_page=1").ok(t).form(t, list(teamMemberForm))); !slices.Equal(ids, []int64{member.user}) {
		t.Errorf("the members are %v", ids)
	}
	if left := member.delete(t, members, nil).ok(t).items(); len(left) != 0 {
		t.Errorf("after the removal of all the members are %v", left)
	}
	for _, path := range []string{path, members} {
		su.other.get(t, path).refused(t, http.StatusNotFound, "not_found")
		su.other.put(t, path, own).refused(t, http.StatusNotFound, "not_found")
		su.other.delete(t, path, nil).refused(t, http.StatusNotFound, "not_found")
	}
	member.delete(t, path, nil).ok(t)
	member.get(t, path).refused(t, http.StatusNotFound, "not_found")
}

// invitedPerson is a person from the invitation to the suspension. Each change is
// effective on the next request of the session that was open before it.
func invitedPerson(t *testing.T, su *suite) {
	address := random()[:12] + "@e2e.example"
	invitation := su.admin.post(t, "/users", object{"email": address, "full_name": "Invited Person"}).ok(t).form(t, personForm)
	user := userPath(invitation.int("id"))
	t.Cleanup(func() { su.admin.put(t, user, object{"status": "DEACTIVATED"}).ok(t) })
	if invitation.text("email") != address || invitation.at("is_admin") != false || invitation.text("status") != "ACTIVE" {
		t.Errorf("invited %v", invitation.value)
	}
	_, secret := su.admin.newKey(t, object{"name": label("first"), "owner_id": invitation.int("id")})
	person := su.signIn(t, secret)
	path := su.admin.team(t, nil)
	person.get(t, path).refused(t, http.StatusNotFound, "not_found")
	body := object{"members": []object{{"email": address}}}
	su.admin.put(t, path+"/members", body).ok(t)
	if r := person.get(t, path).ok(t).form(t, teamForm); r.at("member") != true || !slices.Equal(texts(r.at("access_roles")), []string{"collaborator"}) {
		t.Errorf("a member reads %v", r.value)
	}
	person.put(t, path, object{"name": "mine"}).refused(t, http.StatusForbidden, "forbidden")
	person.delete(t, path, nil).refused(t, http.StatusForbidden, "forbidden")
	person.put(t, path+"/members", body).refused(t, http.StatusForbidden, "forbidden")
	su.admin.put(t, path+"/members", object{"members": []object{{"email": address, "admin": true}}}).ok(t)
	person.put(t, path, object{"description": "by its admin"}).ok(t)
	su.admin.delete(t, path+"/members", body).ok(t)
	person.get(t, path).refused(t, http.StatusNotFound, "not_found")
	if ids := idsIn(person.get(t, "/teams").ok(t)); len(ids) != 0 {
		t.Errorf("a former member lists the teams %v", ids)
	}

	entries := su.admin.get(t, fmt.Sprintf("/orgs/%d/audit_log?event_filter=team_members_changed&event_filter=user_created&per_page=1000", su.admin.org)).ok(t).items()
	for _, want := range []struct {
		event string
		item  int64
	}{{"user_created", invitation.int("id")}, {"team_members_changed", toInt(number(path[len("/teams/"):]))}} {
		if !slices.ContainsFunc(entries, func(e any) bool {
			return e.(object)["event"] == want.event && toInt(e.(object)["item_id"]) == want.item
		}) {
			t.Errorf("the audit log has no %s of %d", want.event, want.item)
		}
	}
	su.admin.put(t, user, object{"status": "DEACTIVATED"}).ok(t)
	person.get(t, "/users/current").refused(t, http.StatusUnauthorized, "unauthenticated")
}

func teamFaults(t *testing.T, su *suite) {
	member := su.needMember(t)
	path := su.admin.team(t, nil)
	name := su.admin.get(t, path).ok(t).text("name")
	su.admin.post(t, "/teams", object{"name": name}).refused(t, http.StatusBadRequest, "invalid_request", "/name")
	su.admin.post(t, "/teams", object{"name": "", "members": []object{{}}}).refused(t, http.StatusBadRequest, "invalid_request", "/name", "/members/0/email")
	su.admin.put(t, path+"/members", object{}).refused(t, http.StatusBadRequest, "invalid_request", "/members")
	su.admin.put(t, path+"/members", object{"members": []object{{"id": su.other.user}, {"id": member.user}, {"id": member.user}}}).
		refused(t, http.StatusBadRequest, "invalid_request", "/members/0", "/members/2")
	narrow := su.admin.key(t, "read", "write")
	narrow.put(t, path, object{"name": "narrow"}).refused(t, http.StatusForbidden, "scope_missing")
	narrow.get(t, path).ok(t)
	member.get(t, path).refused(t, http.StatusNotFound, "not_found")

	member.post(t, "/users", object{"email": "someone@e2e.example"}).refused(t, http.StatusForbidden, "forbidden")
	used := su.admin.get(t, userPath(member.user)).ok(t).text("email")
	su.admin.post(t, "/users", object{"email": used}).refused(t, http.StatusBadRequest, "invalid_request", "/email")
	su.admin.post(t, "/users", object{"email": "nobody", "status": "GONE"}).refused(t, http.StatusBadRequest, "invalid_request", "/status")
	narrow.post(t, "/users", object{"email": random()[:12] + "@e2e.example", "is_admin": true}).refused(t, http.StatusForbidden, "scope_missing")
}
