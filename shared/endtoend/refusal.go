package endtoend

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func refusalChecks() []check {
	return []check{
		{"every route but the public ones asks for a token", needToken},
		{"all bad tokens get one answer", badTokens},
	}
}

// routes are all of this stage but the public ones; {c} is a credential's path,
// {k} a service key's, {u} a user's and {o} an organisation's.
var routes = []struct{ method, path string }{
	{http.MethodPost, "/token/refresh"},
	{http.MethodPost, "/token/logout"},
	{http.MethodGet, "/users/current"},
	{http.MethodGet, "/users"},
	{http.MethodGet, "{u}"},
	{http.MethodPut, "{u}"},
	{http.MethodPost, "/users"},
	{http.MethodGet, "/teams"},
	{http.MethodPost, "/teams"},
	{http.MethodGet, "{t}"},
	{http.MethodPut, "{t}"},
	{http.MethodDelete, "{t}"},
	{http.MethodGet, "{t}/members"},
	{http.MethodPut, "{t}/members"},
	{http.MethodPost, "{t}/members"},
	{http.MethodDelete, "{t}/members"},
	{http.MethodGet, "/orgs"},
	{http.MethodGet, "{o}"},
	{http.MethodGet, "{o}/members"},
	{http.MethodGet, "{o}/audit_log"},
	{http.MethodGet, "/service_keys"},
	{http.MethodPost, "/service_keys"},
	{http.MethodGet, "{k}"},
	{http.MethodPut, "{k}"},
	{http.MethodDelete, "{k}"},
	{http.MethodPut, "{k}/rotate"},
	{http.MethodPost, "{k}/rotate"},
	{http.MethodPut, "{k}/pause"},
	{http.MethodPost, "{k}/activate"},
	{http.MethodGet, "/data_credentials"},
	{http.MethodPost, "/data_credentials"},
	{http.MethodPost, "/data_credentials/probe"},
	{http.MethodGet, "/data_credentials/schema"},
	{http.MethodGet, "/credential_types"},
	{http.MethodGet, "/credential_types/s3"},
	{http.MethodGet, "{c}"},
	{http.MethodPut, "{c}"},
	{http.MethodDelete, "{c}"},
	{http.MethodGet, "{c}/credentials"},
	{http.MethodGet, "{c}/audit_log"},
	{http.MethodGet, "{c}/tags"},
	{http.MethodPost, "{c}/tags"},
	{http.MethodPut, "{c}/tags"},
	{http.MethodDelete, "{c}/tags"},
	{http.MethodGet, "{c}/probe"},
	{http.MethodPut, "{c}/probe"},
	{http.MethodPost, "{c}/probe"},
	{http.MethodGet, "{c}/probe/authenticate"},
	{http.MethodPut, "{c}/probe/authenticate"},
	{http.MethodPost, "{c}/probe/authenticate"},
	{http.MethodGet, "{c}/probe/history"},
}

// plausible is a body that a route would take, so that nothing but the caller
// can be what is wrong.
func (su *suite) plausible(method, path string) any {
	switch {
	case method == http.MethodGet || method == http.MethodDelete && !strings.HasSuffix(path, "/tags"):
		return nil
	case strings.HasSuffix(path, "/tags"):
		return []string{"taken"}
	case path == "/data_credentials" || path == "/data_credentials/probe":
		return su.s3("taken over")
	case path == "/service_keys" || method == http.MethodPut && (path == "{c}" || path == "{k}"):
		return object{"name": "taken over"}
	case strings.HasSuffix(path, "/members"):
		return object{"members": []object{}}
	case path == "/users":
		return object{"email": "taken@over.example"}
	case path == "/teams" || path == "{t}":
		return object{"name": "taken over"}
	case path == "{u}":
		return object{"full_name": "taken over"}
	}
	return nil
}

// places fills in the paths of routes for a credential and a key of the admin. The
// team does not exist.
func (su *suite) places(credential, key string) *strings.Replacer {
	return strings.NewReplacer("{c}", credential, "{k}", key, "{u}", userPath(su.admin.user), "{t}", "/teams/1", "{o}", fmt.Sprintf("/orgs/%d", su.admin.org))
}

func needToken(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("closed")))
	key, secret := su.admin.newKey(t, object{"name": label("closed")})
	path := su.places(c.path, key)
	before := string(c.again(t).body)
	person := string(su.admin.get(t, userPath(su.admin.user)).ok(t).body)
	for _, route := range routes {
		r := su.send(t, route.method, path.Replace(route.path), su.plausible(route.method, route.path))
		r.refused(t, http.StatusUnauthorized, "unauthenticated")
	}
	if string(c.again(t).body) != before {
		t.Error("somebody without a token changed a credential")
	}
	if string(su.admin.get(t, userPath(su.admin.user)).ok(t).body) != person {
		t.Error("somebody without a token changed a user")
	}
	su.signIn(t, secret)
}

func badTokens(t *testing.T, su *suite) {
	gone := su.signIn(t, su.Keys[0].Admin)
	gone.post(t, "/token/logout", nil).ok(t)
	token := su.admin.token
	var first string
	for _, value := range []string{
		"", "Bearer", "Bearer ", "Bearer nonsense", "bearer", token, "Basic " + token, "Token " + token, "Bearer " + token + " x", "Bearer " + token + "A",
		"Bearer " + token[:len(token)-1], "Bearer " + changed(token), "Bearer " + gone.token, "Bearer " + su.Keys[0].Admin, "Bearer " + strings.Repeat("a", 9000),
	} {
		r := su.get(t, "/data_credentials", header("Authorization", value)).refused(t, http.StatusUnauthorized, "unauthenticated")
		body := strings.Replace(string(r.body), r.text("request_id"), "", 1)
		if first == "" {
			first = body
		}
		if body != first {
			t.Error("two bad tokens are refused in different words")
		}
	}
}

func isolationChecks() []check {
	return []check{
		{"another organisation's credential is like one that never was", isolationForeign},
		{"a deleted credential is like one that never was", isolationDeleted},
		{"lists hold nothing of another organisation", isolationLists},
	}
}

// invisible wants every route of a credential to answer a caller as it answers
// for an id that was never given: the same bytes but for the id and the request.
func (su *suite) invisible(t *testing.T, s *session, c credential) {
	t.Helper()
	const never = "/data_credentials/9007199254740881"
	for _, route := range routes {
		rest, ok := strings.CutPrefix(route.path, "{c}")
		if !ok {
			continue
		}
		body := su.plausible(route.method, route.path)
		theirs := s.send(t, route.method, c.path+rest, body).refused(t, http.StatusNotFound, "not_found")
		nobodys := s.send(t, route.method, never+rest, body).refused(t, http.StatusNotFound, "not_found")
		if a, b := theirs.anonymous(c.path), nobodys.anonymous(never); a != b {
			t.Errorf("%s %s: an id that exists is refused in other words", route.method, route.path)
		}
		for name := range theirs.header {
			if nobodys.header[name] == nil {
				t.Errorf("%s %s: header %s only for an id that exists", route.method, route.path, name)
			}
		}
	}
}

// anonymous is the body without the request and the id asked for.
func (r *reply) anonymous(path string) string {
	id := path[strings.LastIndexByte(path, '/')+1:]
	return strings.NewReplacer(r.text("request_id"), "", id, "").Replace(string(r.body))
}

func isolationForeign(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("isolated")))
	before := string(c.again(t).body)
	su.invisible(t, su.other, c)
	if string(c.again(t).body) != before {
		t.Error("somebody of another organisation changed a credential")
	}
	for _, e := range c.audit(t) {
		if user, _ := e["user"].(object); toInt(user["id"]) == su.other.user {
			t.Error("the audit log names somebody of another organisation")
		}
	}
}

func isolationDeleted(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("gone")))
	su.admin.delete(t, c.path, nil).ok(t)
	const never = "/data_credentials/9007199254740881"
	for _, route := range routes {
		rest, ok := strings.CutPrefix(route.path, "{c}")
		if !ok || rest == "/audit_log" {
			continue
		}
		body := su.plausible(route.method, route.path)
		gone := su.admin.send(t, route.method, c.path+rest, body).refused(t, http.StatusNotFound, "not_found")
		nobodys := su.admin.send(t, route.method, never+rest, body).refused(t, http.StatusNotFound, "not_found")
		if gone.anonymous(c.path) != nobodys.anonymous(never) {
			t.Errorf("%s %s: an id that was deleted is refused in other words", route.method, route.path)
		}
	}
}

func isolationLists(t *testing.T, su *suite) {
	tag := "shared" + random()[:8]
	ours := su.admin.create(t, with(su.s3(label("ours")), object{"tags": []string{tag}}))
	theirs := su.other.create(t, with(su.s3(label("theirs")), object{"tags": []string{tag}}))
	for s, own := range map[*session]credential{su.admin: ours, su.other: theirs} {
		r := s.get(t, "/data_credentials?access_role=collaborator&tags="+tag).ok(t)
		if got := r.ids(); len(got) != 1 || got[0] != own.id {
			t.Errorf("the list under a tag that both use holds %v", got)
		}
		r.wantHeaders(t, map[string]string{"X-Total-Count": "1"})
	}
}
