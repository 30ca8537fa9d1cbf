package endtoend

import (
	"net/http"
	"reflect"
	"testing"
)

func updateChecks() []check {
	return []check{
		{"what is absent stays", updateKeeps},
		{"nothing to change changes nothing", updateNothing},
		{"credentials are replaced whole", updateReplaces},
		{"another type needs other credentials", updateType},
		{"a new destination needs the secret again", updateDestination},
		{"updates that are wrong", updateFaults},
		{"an owner gives a credential away", updateOwner},
	}
}

func updateKeeps(t *testing.T, su *suite) {
	c := su.admin.create(t, with(su.s3(label("keeps")), object{"description": "first", "tags": []string{"a"}}))
	steps := []struct {
		change object
		field  string
		want   any
	}{
		{object{"name": "another name"}, "name", "another name"},
		{object{"description": "second"}, "description", "second"},
		{object{"description": nil}, "description", nil},
		{object{"tags": []string{"b", "c"}}, "tags", []any{"b", "c"}},
		{object{"tags": []string{}}, "tags", []any{}},
		{object{"credentials_version": "3"}, "credentials_version", "3"},
		{object{"credentials_type": "s3"}, "credentials_type", "s3"},
	}
	secret := c.reveal(t).ok(t).body
	before, _ := c.value.(object)
	for _, step := range steps {
		after, _ := su.admin.put(t, c.path, step.change).ok(t).form(t, fullForm).value.(object)
		if !reflect.DeepEqual(after[step.field], step.want) {
			t.Errorf("%s is %v, want %v", step.field, after[step.field], step.want)
		}
		for field, value := range before {
			ours := field == step.field || field == "updated_at" || fullFields[field] == nil
			if !ours && !reflect.DeepEqual(after[field], value) {
				t.Errorf("changing %s changes %s too", step.field, field)
			}
		}
		before = after
	}
	if string(c.reveal(t).ok(t).body) != string(secret) {
		t.Error("changing what is no secret changes the secret")
	}
}

func updateNothing(t *testing.T, su *suite) {
	c := su.admin.create(t, with(su.s3(label("nothing")), object{"description": "d", "tags": []string{"a"}}))
	for _, body := range []any{object{}, object{"id": 5}, object{"vendor": nil}} {
		if r := su.admin.put(t, c.path, body).ok(t).form(t, fullForm); !reflect.DeepEqual(r.value, c.value) {
			t.Error("an update of nothing changes the credential")
		}
	}
	if !reflect.DeepEqual(c.again(t).value, c.value) {
		t.Error("an update of nothing changed the credential")
	}
}

func updateReplaces(t *testing.T, su *suite) {
	c := su.admin.create(t, inside(su.s3(label("replace")), object{"note": su.leaks.secret()}))
	fresh := without(su.s3Secrets(), "region")
	fresh["bucket"] = "other-bucket"
	r := su.admin.put(t, c.path, object{"credentials": fresh}).ok(t).form(t, fullForm)
	if !reflect.DeepEqual(r.at("credentials_non_secure_data"), object{"bucket": "other-bucket"}) {
		t.Error("public settings of the old credentials remain")
	}
	if r.at("verified_status") != nil || r.at("verified_at") != nil {
		t.Error("a new secret is called verified")
	}
	if got := c.reveal(t).ok(t).value; !reflect.DeepEqual(got, fresh) {
		t.Error("the secret is not the one that was sent, whole")
	}
	if r.text("created_at") != c.text("created_at") || r.int("id") != c.id {
		t.Error("an update makes another credential")
	}
}

func updateType(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("type")))
	su.admin.put(t, c.path, object{"credentials_type": "postgres"}).refused(t, http.StatusBadRequest, "", "/credentials")
	su.admin.put(t, c.path, object{"credentials_type": "nonsense", "credentials": su.s3Secrets()}).
		refused(t, http.StatusBadRequest, "invalid_connector_type", "/credentials_type")
	su.admin.put(t, c.path, object{"credentials_type": "postgres", "credentials": su.s3Secrets()}).
		refused(t, http.StatusBadRequest, "", "/credentials/host", "/credentials/password")
	if c.again(t).text("credentials_type") != "s3" {
		t.Error("a refused change of type changed it")
	}
	r := su.admin.put(t, c.path, without(su.postgres(""), "name")).ok(t).form(t, fullForm)
	if r.text("credentials_type") != "postgres" || r.text("name") != c.text("name") || r.at("credentials_non_secure_data", "bucket") != nil {
		t.Error("the type did not change as asked")
	}
	if kind := r.at("connector", "type"); kind != nil && kind != "postgres" {
		t.Errorf("the connector is still %v", kind)
	}
}

func updateDestination(t *testing.T, su *suite) {
	c := su.admin.create(t, su.postgres(label("destination")))
	before := c.again(t)
	su.admin.put(t, c.path, object{"credentials": object{"host": "evil.example.org", "port": 5433, "database": "sales", "username": "reader"}}).
		refused(t, http.StatusBadRequest, "", "/credentials/password")
	su.admin.put(t, c.path, object{"credentials": object{"host": "evil.example.org"}}).refused(t, http.StatusBadRequest, "", "/credentials/password")
	su.admin.put(t, c.path, object{"credentials_non_secure_data": object{"host": "evil.example.org"}}).ok(t)
	if !reflect.DeepEqual(c.again(t).value, before.value) {
		t.Error("a refused destination changed the credential")
	}
	if c.reveal(t).ok(t).text("host") != "warehouse.example.org" {
		t.Error("the secret points elsewhere")
	}
}

func updateFaults(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("faults")))
	for name, change := range map[string]struct {
		body    object
		pointer string
	}{
		"name null":          {object{"name": nil}, "/name"},
		"name empty":         {object{"name": ""}, "/name"},
		"name no text":       {object{"name": []string{"a"}}, "/name"},
		"credentials empty":  {object{"credentials": object{}}, "/credentials/secret_key"},
		"tags null within":   {object{"tags": []any{nil}}, "/tags/0"},
		"version no string":  {object{"credentials_version": 2}, "/credentials_version"},
		"owner of elsewhere": {object{"owner_id": su.other.user}, "/owner_id"},
		"owner nobody":       {object{"owner_id": 1 << 41}, "/owner_id"},
		"interval unknown":   {object{"probe_interval": "often"}, "/probe_interval"},
	} {
		t.Run(name, func(t *testing.T) {
			su.admin.put(t, c.path, change.body).refused(t, http.StatusBadRequest, "", change.pointer)
		})
	}
	// Clients that fill in every field send a null for none: refused or not, it
	// changes nothing.
	su.admin.put(t, c.path, object{"credentials": nil})
	if !reflect.DeepEqual(c.again(t).value, c.value) {
		t.Error("a refused update changed the credential")
	}
}

func updateOwner(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("transfer")))
	r := su.admin.put(t, c.path, object{"owner_id": member.user}).ok(t).form(t, fullForm)
	if r.int("owner", "id") != member.user || !reflect.DeepEqual(r.at("access_roles"), []any{"admin"}) {
		t.Error("the new owner is not the one named, or the old one keeps a role that the contract does not give")
	}
	su.admin.get(t, c.path+"/credentials").refused(t, http.StatusForbidden, "forbidden")
	member.get(t, c.path+"/credentials", revealing()).ok(t)
	if len(member.named(t, c.text("name"))) != 1 {
		t.Error("the new owner's list lacks it")
	}
	su.events(t, c, "transfer")
	member.put(t, c.path, object{"owner_id": su.admin.user}).ok(t)
	member.get(t, c.path).refused(t, http.StatusNotFound, "not_found")
	c.reveal(t).ok(t)
}

func deleteChecks() []check {
	return []check{{"a deleted credential is gone, its audit log is not", deleteGone}}
}

func deleteGone(t *testing.T, su *suite) {
	name := label("delete")
	c := su.admin.create(t, su.s3(name))
	su.admin.delete(t, c.path, nil).ok(t).form(t, fields{"code": is("200"), "message": is("Ok")}.exactly())
	for _, rest := range []string{"", "/credentials", "/tags", "/probe/history"} {
		su.admin.get(t, c.path+rest).refused(t, http.StatusNotFound, "not_found")
	}
	su.admin.put(t, c.path, object{"name": "back"}).refused(t, http.StatusNotFound, "not_found")
	su.admin.put(t, c.path+"/probe", nil).refused(t, http.StatusNotFound, "not_found")
	su.admin.delete(t, c.path, nil).refused(t, http.StatusNotFound, "not_found")
	if n := len(su.admin.named(t, name)); n != 0 {
		t.Errorf("the list still holds %d", n)
	}
	su.events(t, c, "create", "destroy")
	su.other.get(t, c.path+"/audit_log").refused(t, http.StatusNotFound, "not_found")
	if su.member != nil {
		su.member.get(t, c.path+"/audit_log").refused(t, http.StatusNotFound, "not_found")
	}
}

func tagChecks() []check { return []check{{"tags are read, added, replaced and removed", tags}} }

func tags(t *testing.T, su *suite) {
	c := su.admin.create(t, with(su.s3(label("tags")), object{"tags": []string{"a"}}))
	path := c.path + "/tags"
	holds := func(want ...string) {
		t.Helper()
		r := su.admin.get(t, path).ok(t).form(t, fields{"tags": list(text)}.shape())
		got := texts(r.at("tags"))
		if len(got) != len(want) {
			t.Errorf("tags are %q, want %q", got, want)
			return
		}
		for _, tag := range want {
			if !contains(got, tag) {
				t.Errorf("tags are %q, want %q", got, want)
			}
		}
	}
	holds("a")
	// One of the two verbs adds and the other replaces.
	add, replace := su.admin.put, su.admin.post
	if got := texts(su.admin.put(t, path, []string{"a", "b"}).ok(t).form(t, fullForm).at("tags")); len(got) != 2 {
		t.Fatalf("tags are %q", got)
	}
	if got := texts(su.admin.put(t, path, []string{"c"}).ok(t).at("tags")); len(got) == 1 {
		add, replace = replace, add
		add(t, path, []string{"a", "b"}).ok(t)
	}
	holds("a", "b", "c")
	add(t, path, []string{"b"}).ok(t).form(t, fullForm)
	holds("a", "b", "c")
	su.admin.delete(t, path, []string{"a", "none"}).ok(t).form(t, fullForm)
	holds("b", "c")
	replace(t, path, []string{"x", "y"}).ok(t).form(t, fullForm)
	holds("x", "y")
	su.admin.post(t, path, []any{"z", 1}).refused(t, http.StatusBadRequest, "", "/1")
	su.admin.post(t, path, raw(`"z"`)).refused(t, http.StatusBadRequest, "")
	su.admin.post(t, path, []string{""}).refused(t, http.StatusBadRequest, "", "/0")
	holds("x", "y")
	replace(t, path, []string{}).ok(t)
	holds()
}
