package endtoend

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

func peopleChecks() []check {
	return []check{
		{"the users of an organisation", usersAreListed},
		{"the organisation and its members", orgIsListed},
		{"a key made for another user does not reveal", keyForAnother},
	}
}

// alone are checks that would disturb others at the same time.
func (su *suite) alone(t *testing.T) {
	t.Run("people", func(t *testing.T) { su.all(t, []check{{"a suspended user", suspendedUser}}) })
	t.Run("attack", func(t *testing.T) { su.all(t, []check{{"a weak key locks nobody out", weakKey}}) })
}

var (
	personForm = fields{"id": id, "email": nonempty, "full_name": text, "status": oneOf("ACTIVE", "DEACTIVATED"), "is_admin": boolean}.shape()
	memberForm = fields{
		"id": id, "full_name": text, "email": nonempty, "is_admin": boolean, "access_role": list(text),
		"org_membership_status": oneOf("ACTIVE", "DEACTIVATED"), "user_status": oneOf("ACTIVE", "DEACTIVATED"),
	}.shape()
)

func userPath(id int64) string { return fmt.Sprintf("/users/%d", id) }

func idsIn(r *reply) []int64 {
	var out []int64
	for _, item := range r.items() {
		out = append(out, toInt(item.(object)["id"]))
	}
	return out
}

func usersAreListed(t *testing.T, su *suite) {
	member := su.needMember(t)
	all := su.admin.get(t, "/users").ok(t).form(t, list(personForm))
	if ids := idsIn(all); !slices.Contains(ids, su.admin.user) || !slices.Contains(ids, member.user) || slices.Contains(ids, su.other.user) {
		t.Errorf("the list holds the users %v", ids)
	}
	if r := su.admin.get(t, userPath(member.user)).ok(t).form(t, personForm); r.int("id") != member.user {
		t.Error("another user is shown")
	}
	member.get(t, userPath(member.user)).ok(t).form(t, personForm)
	member.get(t, "/users").refused(t, http.StatusForbidden, "forbidden")
	member.get(t, userPath(su.admin.user)).refused(t, http.StatusNotFound, "not_found")
	su.admin.get(t, userPath(su.other.user)).refused(t, http.StatusNotFound, "not_found")
	su.other.put(t, userPath(member.user), object{"full_name": "taken over"}).refused(t, http.StatusNotFound, "not_found")

	name := label("name")
	if r := member.put(t, userPath(member.user), object{"full_name": name}).ok(t); r.text("full_name") != name {
		t.Error("a user cannot change the own name")
	}
	member.put(t, userPath(member.user), object{"is_admin": true}).refused(t, http.StatusForbidden, "forbidden")
	member.put(t, userPath(su.admin.user), object{"status": "DEACTIVATED"}).refused(t, http.StatusNotFound, "not_found")
	own := userPath(su.admin.user)
	su.admin.put(t, own, object{"status": "DEACTIVATED"}).refused(t, http.StatusForbidden, "forbidden")
	su.admin.put(t, own, object{"is_admin": false}).refused(t, http.StatusForbidden, "forbidden")
	su.admin.put(t, own, su.admin.get(t, own).ok(t).value).ok(t) // what was read, sent back
	su.admin.put(t, own, object{"status": "GONE", "is_admin": 1}).refused(t, http.StatusBadRequest, "", "/status", "/is_admin")
}

func orgIsListed(t *testing.T, su *suite) {
	if list := su.admin.get(t, "/user_settings").ok(t).items(); len(list) != 0 {
		t.Errorf("the settings of a user are %v", list)
	}
	member := su.needMember(t)
	r := member.get(t, "/orgs").ok(t).form(t, list(orgForm))
	if ids := idsIn(r); len(ids) != 1 || ids[0] != member.org {
		t.Errorf("the organisations are %v", ids)
	}
	own := fmt.Sprintf("/orgs/%d", member.org)
	member.get(t, own).ok(t).form(t, orgForm)
	if ids := idsIn(member.get(t, own+"/members").ok(t).form(t, list(memberForm))); !slices.Contains(ids, member.user) || !slices.Contains(ids, su.admin.user) {
		t.Errorf("the members are %v", ids)
	}
	for _, path := range []string{fmt.Sprintf("/orgs/%d", su.other.org), "/orgs/1"} {
		su.admin.get(t, path).refused(t, http.StatusNotFound, "not_found")
		su.admin.get(t, path+"/members").refused(t, http.StatusNotFound, "not_found")
		su.admin.get(t, path+"/audit_log").refused(t, http.StatusNotFound, "not_found")
	}
}

func keyForAnother(t *testing.T, su *suite) {
	member := su.needMember(t)
	reveals := func(r *reply) bool { return contains(texts(r.at("scopes")), "reveal") }
	path, secret := su.admin.newKey(t, object{"name": label("for another"), "owner_id": member.user})
	k := su.admin.get(t, path).ok(t)
	if reveals(k) || k.int("created_by") != su.admin.user || k.int("owner_id") != member.user || k.int("parent_id") == 0 {
		t.Errorf("the key is %v", k.value)
	}
	if s := su.signIn(t, secret); s.user != member.user {
		t.Error("the key signs another user in")
	}
	wide := object{"scopes": []string{"read", "probe", "use", "write", "share", "reveal"}}
	su.admin.put(t, path, wide).refused(t, http.StatusBadRequest, "", "/scopes/5")
	su.admin.post(t, "/service_keys", object{"name": "k", "owner_id": member.user, "scopes": []string{"reveal"}}, revealing()).
		refused(t, http.StatusBadRequest, "", "/scopes/0")
	if !reveals(member.put(t, path, wide).ok(t)) {
		t.Error("the user cannot give it reveal")
	}
	r := su.admin.post(t, path+"/rotate", nil, revealing()).ok(t)
	su.leaks.watch(r.text("api_key"))
	if reveals(r) {
		t.Error("an admin's rotation leaves the key with reveal")
	}
	su.admin.delete(t, path, nil).ok(t)
	member.get(t, path).refused(t, http.StatusNotFound, "not_found")
}

func suspendedUser(t *testing.T, su *suite) {
	member := su.needMember(t)
	path := userPath(member.user)
	narrow := su.admin.key(t, "read", "write")
	narrow.put(t, path, object{"status": "DEACTIVATED"}).refused(t, http.StatusForbidden, "scope_missing")
	member.get(t, "/users/current").ok(t)
	t.Cleanup(func() { su.admin.put(t, path, object{"status": "ACTIVE"}).ok(t) })
	if r := su.admin.put(t, path, object{"status": "DEACTIVATED"}).ok(t).form(t, personForm); r.text("status") != "DEACTIVATED" {
		t.Error("the user is not suspended")
	}
	member.get(t, "/users/current").refused(t, http.StatusUnauthorized, "unauthenticated")
	su.post(t, "/token", nil, header("Authorization", "Basic "+su.Keys[0].User)).refused(t, http.StatusUnauthorized, "")
	su.admin.put(t, path, object{"status": "ACTIVE"}).ok(t)
	member.get(t, "/users/current").ok(t)
}

// weakKey is a client with a key of two scopes that tries to lock its user out:
// it uses the user's keys up, then turns on the others.
func weakKey(t *testing.T, su *suite) {
	member := su.needMember(t)
	strong, secret := member.newKey(t, object{"name": label("strong")})
	weakPath, weakSecret := member.newKey(t, object{"name": label("weak"), "scopes": []string{"read", "write"}})
	weak := su.signIn(t, weakSecret)
	for made := 0; ; made++ {
		r := weak.post(t, "/service_keys", object{"name": label("flood")}, revealing())
		if r.code != http.StatusOK {
			r.refused(t, http.StatusBadRequest, "limit_reached")
			break
		}
		su.leaks.watch(r.text("api_key"))
		if made > 20 {
			t.Fatal("there is no limit")
		}
	}
	for _, k := range weak.get(t, "/service_keys").ok(t).items() {
		if contains(texts(k.(object)["scopes"]), "reveal") {
			path := fmt.Sprintf("/service_keys/%d", toInt(k.(object)["id"]))
			weak.delete(t, path, nil).refused(t, http.StatusForbidden, "")
			weak.put(t, path, object{"name": "mine"}).refused(t, http.StatusForbidden, "")
			for _, verb := range []string{"/pause", "/activate", "/rotate"} {
				weak.post(t, path+verb, nil, revealing()).refused(t, http.StatusForbidden, "")
			}
		}
	}
	su.signIn(t, secret)
	member.get(t, strong).ok(t)
	helped, _ := su.admin.newKey(t, object{"name": label("help"), "owner_id": member.user})
	before := len(su.admin.get(t, fmt.Sprintf("/service_keys?owner_id=%d", member.user)).ok(t).items())
	su.admin.delete(t, weakPath, nil).ok(t) // with all that it made
	after := len(su.admin.get(t, fmt.Sprintf("/service_keys?owner_id=%d", member.user)).ok(t).items())
	if before <= 20 || after >= before-1 {
		t.Errorf("%d keys before the weak one is deleted, %d after", before, after)
	}
	weak.get(t, "/users/current").refused(t, http.StatusUnauthorized, "unauthenticated")
	su.admin.delete(t, helped, nil).ok(t)
}
