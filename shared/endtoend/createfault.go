package endtoend

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// pointsInto reports whether any pointer is a place or lies below it.
func pointsInto(pointers []string, place string) bool {
	return slices.ContainsFunc(pointers, func(p string) bool { return p == place || strings.HasPrefix(p, place+"/") })
}

func createFaults(t *testing.T, su *suite) {
	for name, c := range map[string]struct {
		body     any
		pointers []string
	}{
		"nothing":         {object{}, []string{"/name", "/credentials_type", "/credentials"}},
		"nulls":           {object{"name": nil, "credentials_type": nil, "credentials": nil}, []string{"/name", "/credentials_type", "/credentials"}},
		"name empty":      {with(su.s3(""), object{"name": ""}), []string{"/name"}},
		"name no text":    {with(su.s3(""), object{"name": 12}), []string{"/name"}},
		"name in capital": {with(without(su.s3(""), "name"), object{"NAME": "x"}), []string{"/name", "/NAME"}},
		"names misspelt": {
			object{"nmae": "x", "credential_type": "s3", "credentals": object{}, "tagz": 1},
			[]string{"/nmae", "/credential_type", "/credentals", "/tagz", "/name", "/credentials_type", "/credentials"},
		},
		"a name that may be a secret": {with(su.s3("x"), object{su.leaks.secret(): 1}), []string{""}},
		"credentials no object": {
			object{"name": "x", "credentials_type": "s3", "credentials": "all"},
			[]string{"/credentials"},
		},
		"credentials empty": {object{"name": "x", "credentials_type": "s3", "credentials": object{}}, []string{"/credentials/secret_key"}},
		"a database's": {
			object{"credentials_type": "postgres", "credentials": object{"port": "many"}},
			[]string{"/name", "/credentials/host", "/credentials/username", "/credentials/password", "/credentials/port"},
		},
		"description no text": {with(su.s3("x"), object{"description": 1}), []string{"/description"}},
		"tags no array":       {with(su.s3("x"), object{"tags": "a"}), []string{"/tags"}},
		"a tag no text":       {with(su.s3("x"), object{"tags": []any{"a", 1}}), []string{"/tags/1"}},
		"version no string":   {with(su.s3("x"), object{"credentials_version": 1}), []string{"/credentials_version"}},
		"interval unknown":    {with(su.s3("x"), object{"probe_interval": "weekly"}), []string{"/probe_interval"}},
		"owner of elsewhere":  {with(su.s3("x"), object{"owner_id": su.other.user}), []string{"/owner_id"}},
		"many at once": {
			object{"name": strings.Repeat("n", 256), "description": strings.Repeat("d", 256), "tags": 1, "credentials_type": "mysql", "credentials": object{}},
			[]string{"/name", "/description", "/tags", "/credentials/host", "/credentials/password"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			su.admin.post(t, "/data_credentials", c.body).refused(t, http.StatusBadRequest, "", c.pointers...)
		})
	}
}

func createUnknownType(t *testing.T, su *suite) {
	for _, kind := range []string{"carrier_pigeon", "S3", "s3 ", ""} {
		r := su.admin.post(t, "/data_credentials", with(su.s3(label("none")), object{"credentials_type": kind}))
		if kind == "" {
			r.refused(t, http.StatusBadRequest, "", "/credentials_type")
			continue
		}
		r.refused(t, http.StatusBadRequest, "invalid_connector_type", "/credentials_type")
		if !strings.HasPrefix(r.text("message"), "Invalid connector type") {
			t.Errorf("the message begins otherwise: %q", r.text("message"))
		}
	}
}

func createForeignOrg(t *testing.T, su *suite) {
	for _, org := range []any{su.other.org, 1 << 40, -1} {
		name := label("foreign")
		su.admin.post(t, "/data_credentials", with(su.s3(name), object{"org_id": org})).refused(t, http.StatusBadRequest, "", "/org_id")
		for _, s := range []*session{su.admin, su.other} {
			if n := len(s.named(t, name)); n != 0 {
				t.Errorf("a refused request made %d credentials", n)
			}
		}
	}
	c := su.admin.create(t, su.s3(label("home")))
	su.admin.put(t, c.path, object{"org_id": su.other.org}).refused(t, http.StatusBadRequest, "", "/org_id")
	su.admin.put(t, c.path, object{"org_id": su.admin.org}).ok(t)
}

func createPlaceholder(t *testing.T, su *suite) {
	su.admin.post(t, "/data_credentials", inside(su.s3(label("stars")), object{"secret_key": "***"})).
		refused(t, http.StatusBadRequest, "", "/credentials/secret_key")
	c := su.admin.create(t, su.s3(label("stars")))
	before := c.reveal(t).ok(t)
	su.admin.put(t, c.path, inside(su.s3("x"), object{"secret_key": "***"})).refused(t, http.StatusBadRequest, "", "/credentials/secret_key")
	if string(c.reveal(t).ok(t).body) != string(before.body) {
		t.Error("a refused placeholder changed the secret")
	}
}

func createKinds(t *testing.T, su *suite) {
	for _, port := range []string{`true`, `"many"`, `-1`, `0`, `70000`, `5432.5`, `1e400`, `12345678901234567890`, `[5432]`, `{}`, `" "`} {
		body := `{"name":"kinds","credentials_type":"postgres","credentials":{"host":"h.example.org","port":` + port +
			`,"database":"d","username":"u","password":"` + su.leaks.secret() + `"}}`
		r := su.admin.post(t, "/data_credentials", raw(body))
		if r.code == http.StatusOK {
			t.Errorf("port %s is taken", port)
			su.admin.delete(t, "/data_credentials/"+string(r.at("id").(number)), nil)
			continue
		}
		r.refused(t, http.StatusBadRequest, "", "/credentials/port")
	}
	for _, value := range []any{12, true, []string{"a"}, object{"a": 1}, "", nil} {
		r := su.admin.post(t, "/data_credentials", inside(su.s3("kinds"), object{"secret_key": value}))
		r.refused(t, http.StatusBadRequest, "", "/credentials/secret_key")
	}
	su.admin.post(t, "/data_credentials", inside(su.s3("kinds"), object{"s3_auth_type": "Magic"})).
		refused(t, http.StatusBadRequest, "", "/credentials/s3_auth_type")
}

// named lists what a caller sees under a name.
func (s *session) named(t *testing.T, name string) []any {
	t.Helper()
	return s.get(t, "/data_credentials?access_role=collaborator&name="+escape(name)).ok(t).form(t, list(indexForm)).items()
}
