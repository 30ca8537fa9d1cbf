package endtoend

import (
	"net/http"
	"reflect"
	"testing"
)

func versionChecks() []check {
	return []check{
		{"a candidate is proved before it is used", versionProved},
		{"an earlier version is made active again", versionBack},
		{"at most ten versions are kept", versionTrim},
		{"requests about versions that are wrong", versionFaults},
	}
}

// versionForm is one version, without its secret.
var versionForm = fields{"version": id, "active": boolean, "created_at": timestamp}.shape().without("credentials")

// versions are all that are kept.
func (c credential) versions(t *testing.T) []object {
	t.Helper()
	var out []object
	for _, item := range c.by.get(t, c.path+"/versions").ok(t).form(t, list(versionForm)).items() {
		out = append(out, item.(object))
	}
	return out
}

// active is the number of the version in use; there is exactly one.
func (c credential) active(t *testing.T) int64 {
	t.Helper()
	var numbers []int64
	for _, v := range c.versions(t) {
		if v["active"] == true {
			numbers = append(numbers, toInt(v["version"]))
		}
	}
	if len(numbers) != 1 {
		t.Fatalf("%d versions are active", len(numbers))
	}
	return numbers[0]
}

func versionProved(t *testing.T, su *suite) {
	old, fresh := su.leaks.secret(), su.leaks.secret()
	target := su.target(t, wants(fresh))
	c := su.admin.create(t, su.rest(label("proved"), target.URL, old))
	first := c.active(t)
	try := func(key string) *reply {
		return su.admin.post(t, c.path+"/versions", object{"credentials": object{"api_key": key, "base_url": target.URL}})
	}
	refused := try(su.leaks.secret()).refusedByTarget(t)
	if refused.at("switched") != false {
		t.Error("the answer to a refused candidate does not say that nothing was switched")
	}
	if c.active(t) != first || c.reveal(t).ok(t).text("api_key") != old {
		t.Error("a refused candidate is in use")
	}
	r := try(fresh)
	if r.code == http.StatusTooManyRequests {
		waitFor(t, r)
		r = try(fresh)
	}
	r.ok(t)
	if c.active(t) == first || c.reveal(t).ok(t).text("api_key") != fresh {
		t.Error("a candidate that was proved is not in use")
	}
	if now := c.again(t); now.text("verified_status") != "200 Ok" || now.at("verified_at") == nil {
		t.Error("a candidate that was proved is not called verified")
	}
}

func versionBack(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("back")))
	first, before := c.active(t), c.reveal(t).ok(t)
	su.admin.put(t, c.path, object{"credentials": with(su.s3Secrets(), object{"bucket": "second-bucket"})}).ok(t)
	second := c.active(t)
	if second <= first || len(c.versions(t)) != 2 {
		t.Errorf("after version %d comes %d", first, second)
	}
	r := su.admin.post(t, c.path+"/rollback", object{"version": first}).ok(t).form(t, fullForm)
	if r.at("credentials_non_secure_data", "bucket") != "reports-2031" || c.active(t) != first {
		t.Error("rolling back does not bring back the earlier version")
	}
	after := c.reveal(t).ok(t)
	if string(after.body) != string(before.body) || after.header.Get("ETag") != before.header.Get("ETag") {
		t.Error("rolling back brings back another secret")
	}
	su.events(t, c, "create", "update", "rollback")
	su.admin.put(t, c.path, object{"credentials": su.s3Secrets()}).ok(t)
	if third := c.active(t); third <= second {
		t.Errorf("number %d is used again, after %d", third, second)
	}
}

func versionTrim(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("trim")))
	first := c.active(t)
	su.admin.put(t, c.path, object{"credentials": su.s3Secrets()}).ok(t)
	su.admin.post(t, c.path+"/rollback", object{"version": first}).ok(t)
	for range 11 {
		su.admin.put(t, c.path, object{"credentials": su.s3Secrets()}).ok(t)
	}
	if n := len(c.versions(t)); n > 10 {
		t.Errorf("%d versions are kept", n)
	}
	c.active(t)
	su.admin.post(t, c.path+"/rollback", object{"version": first}).refused(t, http.StatusBadRequest, "", "/version")
}

func versionFaults(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("wrong")))
	for _, body := range []any{object{}, object{"version": nil}, object{"version": "one"}, object{"version": 0}, object{"version": -1}, object{"version": 77}, object{"version": 1.5}} {
		su.admin.post(t, c.path+"/rollback", body).refused(t, http.StatusBadRequest, "", "/version")
	}
	su.admin.post(t, c.path+"/versions", object{}).refused(t, http.StatusBadRequest, "", "/credentials")
	su.admin.post(t, c.path+"/versions", object{"credentials": object{}}).refused(t, http.StatusBadRequest, "", "/credentials/secret_key")
	for rest, body := range map[string]object{"/versions": {"credentials": su.s3Secrets()}, "/rollback": {"version": 1}, "/copy": {}} {
		su.other.post(t, c.path+rest, body).refused(t, http.StatusNotFound, "not_found")
	}
	su.other.get(t, c.path+"/versions").refused(t, http.StatusNotFound, "not_found")
	if len(c.versions(t)) != 1 {
		t.Error("a refused request made a version")
	}
}

func copyChecks() []check {
	return []check{{"a copy is another credential with the same secret", copied}}
}

func copied(t *testing.T, su *suite) {
	c := su.admin.create(t, with(su.s3(label("copy")), object{"description": "d"}))
	for _, body := range []any{nil, object{}, object{"copy_access_controls": true}} {
		r := su.admin.post(t, c.path+"/copy", body).ok(t).form(t, fullForm)
		twin := credential{reply: r, by: su.admin, id: r.int("id"), path: "/data_credentials/" + string(r.at("id").(number))}
		t.Cleanup(func() { su.admin.delete(t, twin.path, nil) })
		if twin.id == c.id || r.int("copied_from_id") != c.id || r.text("name") != c.text("name") || r.text("description") != "d" ||
			r.at("verified_status") != nil || r.at("verified_at") != nil {
			t.Error("the copy is not the credential under another id, unproved")
		}
		if !reflect.DeepEqual(twin.reveal(t).ok(t).value, c.reveal(t).ok(t).value) {
			t.Error("the copy holds another secret")
		}
		su.admin.put(t, twin.path, object{"credentials": su.s3Secrets()}).ok(t)
		if reflect.DeepEqual(twin.reveal(t).ok(t).value, c.reveal(t).ok(t).value) {
			t.Error("a new secret of the copy is one of the original")
		}
	}
	su.events(t, c, "create", "copy")
	if su.member != nil {
		theirs := su.member.create(t, su.s3(label("copy")))
		su.admin.post(t, theirs.path+"/copy", nil).refused(t, http.StatusForbidden, "forbidden")
	}
}
