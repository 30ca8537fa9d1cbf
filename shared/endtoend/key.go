package endtoend

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func keyChecks() []check {
	return []check{
		{"a service key's life", keyLife},
		{"a key says what it may and keeps to it", keyScopes},
		{"a key makes no key that may more", keyWidening},
		{"pausing a key ends its sessions", keyPause},
		{"rotating a key ends the old secret and its sessions", keyRotate},
		{"deleting a key ends its sessions", keyDelete},
		{"requests for a key that are wrong", keyFaults},
		{"another organisation's key is unknown", keyForeign},
		{"a user has at most twenty keys", keyLimit},
		{"a plain user sees no other's keys", keyOfOther},
	}
}

func keyLife(t *testing.T, su *suite) {
	name := label("key")
	expires := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	path, secret := su.admin.newKey(t, object{
		"name": name, "description": "for a night job", "scopes": []string{"read", "probe"}, "expires_at": expires.Format(time.RFC3339),
	})
	hidden := keyForm.shape().without("api_key")
	r := su.admin.get(t, path).ok(t).form(t, hidden)
	if r.text("name") != name || r.text("description") != "for a night job" {
		t.Error("name or description are not those sent")
	}
	if got := texts(r.at("scopes")); len(got) != 2 || !contains(got, "read") || !contains(got, "probe") {
		t.Errorf("scopes are %q", got)
	}
	if r.text("expires_at") != expires.Format("2006-01-02T15:04:05.000Z") {
		t.Errorf("expires_at is %q, not the time sent", r.text("expires_at"))
	}
	if r.int("owner_id") != su.admin.user || r.int("org_id") != su.admin.org {
		t.Error("the key is not its maker's")
	}
	changed := su.admin.put(t, path, object{"name": name + " two"}).ok(t).form(t, hidden)
	if changed.text("name") != name+" two" || changed.text("description") != "for a night job" {
		t.Error("an update sets other fields than those sent, or not those")
	}
	all := su.admin.get(t, "/service_keys").ok(t).form(t, list(hidden))
	if all.header.Get("X-Total-Count") == "" {
		t.Error("the list has no X-Total-Count")
	}
	if !slices.ContainsFunc(all.items(), func(k any) bool { return k.(object)["name"] == name+" two" }) {
		t.Error("the key is not in the list")
	}
	su.signIn(t, secret)
}

func keyScopes(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("scopes")))
	body := su.s3(label("never made"))
	type try struct {
		scope, method, path string
		body                any
	}
	tries := []try{
		{"read", http.MethodGet, c.path, nil},
		{"read", http.MethodGet, "/data_credentials?name=none", nil},
		{"read", http.MethodGet, c.path + "/audit_log", nil},
		{"read", http.MethodGet, c.path + "/tags", nil},
		{"write", http.MethodPost, "/data_credentials", body},
		{"write", http.MethodPut, c.path, object{"description": "changed"}},
		{"write", http.MethodPost, c.path + "/tags", []string{"changed"}},
		{"write", http.MethodDelete, c.path, nil},
		{"reveal", http.MethodGet, c.path + "/credentials", nil},
		{"probe", http.MethodPut, c.path + "/probe", nil},
		{"probe", http.MethodPost, "/data_credentials/probe", body},
	}
	by := map[string]*session{}
	for _, held := range []string{"read", "probe", "use", "write", "share", "reveal"} {
		s := su.admin.key(t, held)
		by[held] = s
		for _, a := range tries {
			if a.scope == held {
				continue
			}
			if r := s.send(t, a.method, a.path, a.body); r.code != http.StatusForbidden {
				t.Errorf("a key with %s alone: %s answers %d, want 403", held, r.asked, r.code)
			} else {
				r.refused(t, http.StatusForbidden, "scope_missing")
			}
		}
	}
	by["read"].get(t, c.path).ok(t)
	by["reveal"].get(t, c.path+"/credentials", revealing()).ok(t)
	by["write"].put(t, c.path, object{"description": "by write"}).ok(t)
	if got := c.again(t); got.text("description") != "by write" || len(texts(got.at("tags"))) != 0 {
		t.Error("a refused request changed the credential")
	}
}

func keyWidening(t *testing.T, su *suite) {
	s := su.admin.key(t, "write", "read")
	r := s.post(t, "/service_keys", object{"name": label("wider"), "scopes": []string{"read", "reveal"}}, revealing())
	if r.code != http.StatusBadRequest && r.code != http.StatusForbidden {
		t.Errorf("a key without reveal makes one with it: %d", r.code)
	}
	r = s.post(t, "/service_keys", object{"name": label("all")}, revealing())
	if r.code != http.StatusOK {
		return
	}
	s.su.leaks.watch(r.text("api_key"))
	if contains(texts(r.at("scopes")), "reveal") {
		t.Error("a key without reveal makes one with every scope")
	}
	s.delete(t, "/service_keys/"+string(r.at("id").(number)), nil).ok(t)
}

func keyPause(t *testing.T, su *suite) {
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		path, secret := su.admin.newKey(t, object{"name": label("pause")})
		s := su.signIn(t, secret)
		before := su.admin.get(t, path).ok(t).text("status")
		paused := su.admin.send(t, method, path+"/pause", nil).ok(t).form(t, keyForm.shape().without("api_key"))
		if paused.text("status") == before {
			t.Error("pausing changes no status")
		}
		s.get(t, "/users/current").refused(t, http.StatusUnauthorized, "unauthenticated")
		su.post(t, "/token", nil, header("Authorization", "Basic "+secret)).refused(t, http.StatusUnauthorized, "")
		again := su.admin.send(t, method, path+"/activate", nil).ok(t).form(t, keyForm.shape().without("api_key"))
		if again.text("status") != before {
			t.Error("activating does not restore the status")
		}
		su.signIn(t, secret)
	}
}

func keyRotate(t *testing.T, su *suite) {
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		path, secret := su.admin.newKey(t, object{"name": label("rotate"), "scopes": []string{"read"}})
		s := su.signIn(t, secret)
		r := su.admin.send(t, method, path+"/rotate", nil, revealing()).ok(t).form(t, keyForm.and(fields{"api_key": nonempty, "last_rotated_at": timestamp}))
		fresh := r.text("api_key")
		su.leaks.watch(fresh)
		if fresh == secret {
			t.Fatal("rotating gives the same secret")
		}
		s.get(t, "/users/current").refused(t, http.StatusUnauthorized, "unauthenticated")
		su.post(t, "/token", nil, header("Authorization", "Basic "+secret)).refused(t, http.StatusUnauthorized, "")
		su.signIn(t, fresh).post(t, "/data_credentials", su.s3(label("no"))).refused(t, http.StatusForbidden, "scope_missing")
	}
}

func keyDelete(t *testing.T, su *suite) {
	path, secret := su.admin.newKey(t, object{"name": label("delete")})
	s := su.signIn(t, secret)
	su.admin.delete(t, path, nil).ok(t)
	s.get(t, "/users/current").refused(t, http.StatusUnauthorized, "unauthenticated")
	su.post(t, "/token", nil, header("Authorization", "Basic "+secret)).refused(t, http.StatusUnauthorized, "")
	su.admin.get(t, path).refused(t, http.StatusNotFound, "not_found")
	su.admin.delete(t, path, nil).refused(t, http.StatusNotFound, "not_found")
	su.admin.put(t, path+"/activate", nil).refused(t, http.StatusNotFound, "not_found")
}

func keyFaults(t *testing.T, su *suite) {
	long := strings.Repeat("n", 300)
	for name, c := range map[string]struct {
		body    any
		pointer string
	}{
		"no name":          {object{}, "/name"},
		"name too long":    {object{"name": long}, "/name"},
		"name no text":     {object{"name": 7}, "/name"},
		"unknown scope":    {object{"name": "k", "scopes": []string{"read", "everything"}}, "/scopes/1"},
		"scopes no array":  {object{"name": "k", "scopes": "read"}, "/scopes"},
		"expiry no time":   {object{"name": "k", "expires_at": "tomorrow"}, "/expires_at"},
		"expiry past":      {object{"name": "k", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"},
		"expiry too late":  {object{"name": "k", "expires_at": time.Now().AddDate(2, 0, 0).UTC().Format(time.RFC3339)}, "/expires_at"},
		"owner not in org": {object{"name": "k", "owner_id": su.other.user}, "/owner_id"},
	} {
		t.Run(name, func(t *testing.T) {
			su.admin.post(t, "/service_keys", c.body, revealing()).refused(t, http.StatusBadRequest, "", c.pointer)
		})
	}
}

func keyForeign(t *testing.T, su *suite) {
	path, secret := su.admin.newKey(t, object{"name": label("foreign")})
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		var body any
		if method == http.MethodPut {
			body = object{"name": "taken over"}
		}
		su.other.send(t, method, path, body).refused(t, http.StatusNotFound, "not_found")
	}
	for _, verb := range []string{"/rotate", "/pause", "/activate"} {
		su.other.post(t, path+verb, nil, revealing()).refused(t, http.StatusNotFound, "not_found")
	}
	su.signIn(t, secret)
}

// keyLimit works in the second organisation, where no other check makes keys.
func keyLimit(t *testing.T, su *suite) {
	for made := range 21 {
		r := su.other.post(t, "/service_keys", object{"name": label("many")}, revealing())
		if r.code != http.StatusOK {
			if made == 0 {
				t.Errorf("the first further key is refused: %d %s", r.code, r.errorCode())
			}
			r.refused(t, http.StatusBadRequest, "limit_reached")
			return
		}
		su.leaks.watch(r.text("api_key"))
		path := "/service_keys/" + string(r.at("id").(number))
		t.Cleanup(func() { su.other.delete(t, path, nil) })
	}
	t.Error("a user makes more than twenty keys")
}

func keyOfOther(t *testing.T, su *suite) {
	member := su.needMember(t)
	path, _ := su.admin.newKey(t, object{"name": label("admin's")})
	member.get(t, path).refused(t, http.StatusNotFound, "not_found")
	member.delete(t, path, nil).refused(t, http.StatusNotFound, "not_found")
	member.post(t, path+"/rotate", nil, revealing()).refused(t, http.StatusNotFound, "not_found")
	all := member.get(t, "/service_keys").ok(t)
	for _, k := range all.items() {
		if toInt(k.(object)["owner_id"]) != member.user {
			t.Error("a plain user's list holds another's key")
		}
	}
	r := member.post(t, "/service_keys", object{"name": label("for the admin"), "owner_id": su.admin.user}, revealing())
	if r.code != http.StatusBadRequest && r.code != http.StatusForbidden {
		t.Errorf("a plain user makes a key of another: %d", r.code)
	}
}
