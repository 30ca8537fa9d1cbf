package endtoend

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

func sharingChecks() []check {
	return []check{
		{"each role has its rights", sharingRoles},
		{"accessors are added, replaced and removed", sharingLife},
		{"accessors that are wrong are all named", sharingFaults},
		{"a grant ends at its time", sharingExpiry},
		{"a service key reveals what its owner lets it", sharingKey},
		{"a team shares, and its members come and go", sharingTeam},
		{"who can do what is explained", sharingExplained},
		{"a copy is shared as the original if asked", sharingCopy},
		{"all that a leaver owns is transferred", sharingLeaver},
		{"a transfer ends what service keys may reveal", sharingTransfer},
	}
}

// may has the answers to a member of the organisation who holds a role: to a read, a
// probe, a change, sharing, a reveal and a transfer.
var may = []struct {
	role                                         string
	read, probe, update, share, reveal, transfer int
}{
	{"", 404, 404, 404, 404, 404, 404},
	{"collaborator", 200, 400, 403, 403, 403, 403},
	{"operator", 200, 400, 403, 403, 403, 403},
	{"admin", 200, 400, 200, 200, 403, 403},
}

func sharingRoles(t *testing.T, su *suite) {
	member := su.needMember(t)
	for _, m := range may {
		for _, to := range []object{{"type": "USER", "id": member.user}, {"type": "org", "id": member.org}} {
			body := inside(su.rest(label("shared"), "https://127.0.0.1:1/", su.leaks.secret()), object{})
			c := su.admin.create(t, body)
			if m.role != "" {
				su.admin.put(t, c.path+"/accessors", object{"accessors": []object{with(to, object{"access_roles": []string{m.role}})}}).ok(t)
			}
			name := m.role + " by " + to["type"].(string)
			asked := func(what string, want int, r *reply) {
				t.Helper()
				if r.code != want {
					t.Errorf("%s: %s is answered %d %s, want %d", name, what, r.code, r.errorCode(), want)
				}
			}
			get := member.get(t, c.path)
			asked("read", m.read, get)
			if m.read == http.StatusOK {
				if roles, _ := get.at("access_roles").([]any); len(roles) != 1 || roles[0] != m.role {
					t.Errorf("%s: access_roles are %v", name, roles)
				}
				if public, _ := get.at("credentials_non_secure_data").(object); (len(public) > 0) != (m.role == "admin") {
					t.Errorf("%s: the public settings are %v", name, public)
				}
			}
			listed := func(role string) bool {
				return slices.Contains(member.get(t, "/data_credentials?access_role="+role+"&id="+decimal(c.id)).ok(t).ids(), c.id)
			}
			for n, role := range []string{"collaborator", "operator", "admin"} {
				held := slices.IndexFunc([]string{"collaborator", "operator", "admin"}, func(r string) bool { return r == m.role })
				if listed(role) != (held >= n) {
					t.Errorf("%s: listed with access_role=%s: %v", name, role, listed(role))
				}
			}
			asked("probe", m.probe, member.post(t, c.path+"/probe", nil))
			asked("update", m.update, member.put(t, c.path, object{"description": "changed"}))
			asked("share", m.share, member.put(t, c.path+"/accessors", object{"accessors": []object{}}))
			asked("reveal", m.reveal, member.get(t, c.path+"/credentials"))
			asked("transfer", m.transfer, member.put(t, c.path, object{"owner_id": member.user}))
			su.admin.delete(t, c.path, nil).ok(t)
		}
	}
}

// accessors wants these, by type and role, in any order.
func accessors(t *testing.T, r *reply, want ...string) {
	t.Helper()
	var got []string
	for _, item := range r.ok(t).items() {
		o, _ := item.(object)
		kind, _ := o["type"].(string)
		roles, _ := o["access_roles"].([]any)
		if len(roles) != 1 || toInt(o["accessor_org_id"]) == 0 {
			t.Fatalf("an accessor is %v", o)
		}
		role, _ := roles[0].(string)
		got = append(got, kind+" "+role)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: the accessors are %q, want %q", r.asked, got, want)
	}
}

func sharingLife(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("shared more")))
	path := c.path + "/accessors"
	email := member.get(t, "/users/current").ok(t).text("user", "email")
	accessors(t, su.admin.get(t, path))
	accessors(t, su.admin.put(t, path, object{"accessors": []object{{"type": "USER", "email": email, "access_roles": []string{"operator"}}}}), "USER operator")
	accessors(t, su.admin.put(t, path, object{"accessors": []object{{"type": "ORG", "id": member.org, "access_role": "collaborator"}}}), "USER operator", "ORG collaborator")
	accessors(t, su.admin.put(t, path, object{"accessors": []object{{"type": "USER", "id": member.user, "access_roles": []string{"administrator"}}}}), "USER admin", "ORG collaborator")
	accessors(t, member.get(t, path), "USER admin", "ORG collaborator")
	accessors(t, su.admin.post(t, path, object{"accessors": []object{{"type": "USER", "id": member.user, "access_roles": []string{"collaborator"}}}}), "USER collaborator")
	accessors(t, member.get(t, path), "USER collaborator")
	accessors(t, su.admin.delete(t, path, object{"accessors": []object{{"type": "USER", "id": member.user}}}))
	member.get(t, c.path).refused(t, http.StatusNotFound, "not_found")
	accessors(t, su.admin.delete(t, path, nil))
	su.events(t, c, "create", "access_added", "access_added", "access_added", "access_added", "access_removed", "access_removed")
	su.admin.delete(t, c.path, nil).ok(t)
}

func sharingFaults(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("shared wrongly")))
	path := c.path + "/accessors"
	su.admin.put(t, path, object{"accessors": []object{
		{"type": "USER", "id": 7, "access_roles": []string{"operator"}},
		{"type": "ROBOT", "id": 7, "access_roles": []string{"operator"}},
		{"type": "USER", "email": "nobody@nowhere.example", "access_roles": []string{"owner"}},
		{"type": "USER", "access_role": "operator"},
		{"type": "TEAM", "id": 7},
	}}).refused(t, http.StatusBadRequest, "invalid_request", "/accessors/1/type", "/accessors/2/access_roles/0", "/accessors/3/id", "/accessors/4/access_roles")
	su.admin.put(t, path, object{"accessors": []object{
		{"type": "USER", "id": su.other.user, "access_roles": []string{"operator"}},
		{"type": "ORG", "id": su.other.org, "access_roles": []string{"operator"}},
		{"type": "TEAM", "name": "no such team", "access_roles": []string{"operator"}},
		{"type": "SERVICE_KEY", "id": 7, "access_roles": []string{"reveal"}},
	}}).refused(t, http.StatusBadRequest, "invalid_request", "/accessors/0", "/accessors/1", "/accessors/2", "/accessors/3")
	su.admin.put(t, path, object{}).refused(t, http.StatusBadRequest, "", "/accessors")
	su.other.get(t, path).refused(t, http.StatusNotFound, "not_found")
	su.other.put(t, path, object{"accessors": []object{}}).refused(t, http.StatusNotFound, "not_found")
	accessors(t, su.admin.get(t, path))
	su.admin.delete(t, c.path, nil).ok(t)
}

func sharingExpiry(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("shared for a while")))
	ends := time.Now().Add(1500 * time.Millisecond).UTC()
	su.admin.put(t, c.path+"/accessors", object{"accessors": []object{{"type": "USER", "id": member.user, "access_role": "operator", "access_role_expires_at": ends.Format(time.RFC3339Nano)}}}).ok(t)
	member.get(t, c.path).ok(t)
	time.Sleep(time.Until(ends) + 20*time.Millisecond)
	member.get(t, c.path).refused(t, http.StatusNotFound, "not_found")
	if list := member.get(t, "/data_credentials?access_role=collaborator&id="+decimal(c.id)).ok(t).items(); len(list) != 0 {
		t.Error("a credential is listed after the grant has ended")
	}
	su.admin.put(t, c.path+"/accessors", object{"accessors": []object{{"type": "USER", "id": member.user, "access_role": "operator", "access_role_expires_at": "2020-01-01T00:00:00Z"}}}).
		refused(t, http.StatusBadRequest, "", "/accessors/0/access_role_expires_at")
	su.admin.delete(t, c.path, nil).ok(t)
}

// sharingKey gives a key of another user the right to reveal one credential.
func sharingKey(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("for a key")))
	key := member.post(t, "/service_keys", object{"name": "reader", "scopes": []string{"read", "reveal"}}, revealing()).ok(t)
	reader := su.signIn(t, key.text("api_key"))
	reader.get(t, c.path+"/credentials").refused(t, http.StatusNotFound, "not_found")
	grant := object{"accessors": []object{{"type": "SERVICE_KEY", "id": key.int("id"), "access_roles": []string{"reveal"}}}}
	accessors(t, su.admin.put(t, c.path+"/accessors", grant), "SERVICE_KEY reveal")
	reader.get(t, c.path+"/credentials", revealing()).ok(t)
	member.get(t, c.path+"/credentials").refused(t, http.StatusNotFound, "not_found") // with another key of that user
	reader.get(t, c.path).refused(t, http.StatusNotFound, "not_found")
	reader.put(t, c.path, object{"name": "x"}).refused(t, http.StatusForbidden, "scope_missing")
	// An admin by a grant shares with people, and not with keys.
	su.admin.put(t, c.path+"/accessors", object{"accessors": []object{{"type": "USER", "id": member.user, "access_role": "admin"}}}).ok(t)
	member.put(t, c.path+"/accessors", grant).ok(t) // changes nothing
	other := object{"accessors": []object{{"type": "SERVICE_KEY", "id": member.get(t, "/service_keys").ok(t).ids()[1], "access_roles": []string{"reveal"}}}}
	member.put(t, c.path+"/accessors", other).refused(t, http.StatusBadRequest, "", "/accessors/0")
	member.delete(t, c.path+"/accessors", nil).refused(t, http.StatusBadRequest, "", "")
	su.admin.delete(t, c.path+"/accessors", grant).ok(t)
	reader.get(t, c.path+"/credentials").refused(t, http.StatusForbidden, "forbidden") // an admin reveals nothing
	member.delete(t, "/service_keys/"+decimal(key.int("id")), nil).ok(t)
	su.admin.delete(t, c.path, nil).ok(t)
}

func sharingTransfer(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("moves on")))
	key := su.admin.post(t, "/service_keys", object{"name": "reader", "scopes": []string{"read", "reveal"}}, revealing()).ok(t)
	su.admin.put(t, c.path+"/accessors", object{"accessors": []object{
		{"type": "SERVICE_KEY", "id": key.int("id"), "access_roles": []string{"reveal"}},
		{"type": "USER", "id": member.user, "access_role": "operator"},
		{"type": "ORG", "id": member.org, "access_role": "collaborator"},
	}}).ok(t)
	su.admin.put(t, c.path, object{"owner_id": member.user}).ok(t)
	accessors(t, member.get(t, c.path+"/accessors"), "ORG collaborator")
	if list := member.get(t, "/data_credentials?id="+decimal(c.id)).ok(t).items(); len(list) != 1 {
		t.Errorf("the new owner's list has it %d times", len(list))
	}
	su.admin.delete(t, "/service_keys/"+decimal(key.int("id")), nil).ok(t)
	member.delete(t, c.path, nil).ok(t)
}

func sharingTeam(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("for a team")))
	name := label("readers")
	team := su.admin.post(t, "/teams", object{"name": name, "members": []object{{"id": member.user}}}).ok(t)
	path := "/teams/" + decimal(team.int("id"))
	grant := object{"accessors": []object{{"type": "TEAM", "name": name, "access_role": "operator"}}}
	accessors(t, su.admin.put(t, c.path+"/accessors", grant), "TEAM operator")
	member.get(t, c.path).ok(t)
	listed := func() bool {
		return slices.Contains(member.get(t, "/data_credentials?access_role=operator").ok(t).ids(), c.id)
	}
	if !listed() {
		t.Error("a member of the team does not find the credential in the list")
	}
	su.admin.delete(t, path+"/members", object{"members": []object{{"id": member.user}}}).ok(t)
	member.get(t, c.path).refused(t, http.StatusNotFound, "not_found")
	if listed() {
		t.Error("a former member of the team finds the credential in the list")
	}
	su.admin.put(t, path+"/members", object{"members": []object{{"id": member.user}}}).ok(t)
	member.get(t, c.path).ok(t)
	su.admin.delete(t, path, nil).refused(t, http.StatusMethodNotAllowed, "in_use")
	su.admin.delete(t, path+"?force=1", nil).ok(t)
	member.get(t, c.path).refused(t, http.StatusNotFound, "not_found")
	accessors(t, su.admin.get(t, c.path+"/accessors"))
	su.events(t, c, "create", "access_added", "access_removed")
	su.admin.delete(t, c.path, nil).ok(t)
}

func sharingExplained(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("explained")))
	su.admin.put(t, c.path+"/accessors", object{"accessors": []object{
		{"type": "USER", "id": member.user, "access_role": "operator"}, {"type": "ORG", "id": member.org, "access_role": "collaborator"},
	}}).ok(t)
	member.get(t, c.path+"/access").refused(t, http.StatusForbidden, "forbidden")
	for _, item := range su.admin.get(t, c.path+"/access").ok(t).items() {
		o, _ := item.(object)
		because, _ := o["because"].([]any)
		permissions, _ := o["permissions"].([]any)
		switch toInt(o["id"]) {
		case su.admin.user:
			if o["access_role"] != "owner" || len(because) != 3 || !slices.Contains(permissions, any("reveal")) {
				t.Errorf("the owner is explained as %v", o)
			}
		case member.user:
			if o["access_role"] != "operator" || len(because) != 2 || slices.Contains(permissions, any("update")) || !slices.Contains(permissions, any("probe")) {
				t.Errorf("the member is explained as %v", o)
			}
		}
	}
	su.admin.delete(t, c.path, nil).ok(t)
}

func sharingCopy(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("copied with accessors")))
	su.admin.put(t, c.path+"/accessors", object{"accessors": []object{{"type": "USER", "id": member.user, "access_role": "operator"}}}).ok(t)
	for asked, want := range map[bool][]string{false: nil, true: {"USER operator"}} {
		twin := "/data_credentials/" + decimal(su.admin.post(t, c.path+"/copy", object{"copy_access_controls": asked}).ok(t).int("id"))
		accessors(t, su.admin.get(t, twin+"/accessors"), want...)
		if r := member.get(t, twin); (r.code == http.StatusOK) != asked {
			t.Errorf("copied with accessors %v: a read is answered %d", asked, r.code)
		}
		su.admin.delete(t, twin, nil).ok(t)
	}
	su.admin.delete(t, c.path, nil).ok(t)
}

func sharingLeaver(t *testing.T, su *suite) {
	member := su.needMember(t)
	leaver := su.admin.post(t, "/users", object{"email": random() + "@example.com", "full_name": "Leaver"}).ok(t).int("id")
	c := su.admin.create(t, su.s3(label("left behind")))
	source := su.admin.post(t, "/data_sources", object{"name": label("left behind"), "data_credentials_id": c.id}).ok(t)
	su.admin.put(t, c.path, object{"owner_id": leaver}).ok(t)
	path := "/users/" + decimal(leaver) + "/transfer"
	member.put(t, path, object{"to": member.user}).refused(t, http.StatusForbidden, "forbidden")
	su.admin.put(t, path, object{"to": leaver}).refused(t, http.StatusBadRequest, "", "/to")
	su.admin.put(t, path, object{}).refused(t, http.StatusBadRequest, "", "/delegate_owner_id")
	su.admin.put(t, "/users/7/transfer", object{"to": member.user}).refused(t, http.StatusNotFound, "not_found")
	su.admin.put(t, "/users/"+decimal(leaver), object{"status": "DEACTIVATED"}).ok(t)
	r := su.admin.put(t, path, object{"org_id": member.org, "delegate_owner_id": member.user}).ok(t)
	if r.int("transferred", "data_credentials") != 1 || r.at("done") != true {
		t.Errorf("the transfer answers %v", r.value)
	}
	if r := su.admin.post(t, path, object{"to": member.user}).ok(t); r.int("transferred", "data_credentials") != 0 || r.at("done") != true {
		t.Errorf("the second transfer answers %v", r.value)
	}
	if owner := member.get(t, c.path).ok(t).int("owner", "id"); owner != member.user {
		t.Errorf("the owner is %d, want %d", owner, member.user)
	}
	su.admin.delete(t, "/data_sources/"+decimal(source.int("id")), nil).ok(t)
	member.delete(t, c.path, nil).ok(t)
}
