package endtoend

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func resourceChecks() []check {
	return []check{
		{"data sources and sinks use a credential", resourceLife},
		{"a credential is created with its data source, or neither is", resourceInline},
		{"a data source changes its credential", resourceMoves},
		{"data sources that are not created", resourceFaults},
		{"others see no data source", resourceIsolation},
	}
}

// families are the kinds of resource: the path, the member that names the type and
// the item_type of their logs.
var families = []struct{ path, typ, item string }{
	{"/data_sources", "source_type", "DataSource"},
	{"/data_sinks", "sink_type", "DataSink"},
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

func resourceLife(t *testing.T, su *suite) {
	for _, f := range families {
		c := su.admin.create(t, su.s3(label("used by a resource")))
		key := header("Idempotency-Key", strings.ReplaceAll(label("data source key"), " ", "-"))
		body := object{"name": label("orders"), f.typ: "s3", "data_credentials_id": c.id, f.typ[:len(f.typ)-5] + "_config": object{"path": "in/"}}
		made := su.admin.post(t, f.path, body, key).ok(t)
		one := f.path + "/" + decimal(made.int("id"))
		if made.text("status") != "INIT" || made.text(f.typ) != "s3" || made.int("data_credentials_id") != c.id || made.int("data_credentials", "id") != c.id {
			t.Errorf("POST %s answers %v", f.path, made.value)
		}
		if again := su.admin.post(t, f.path, body, key).ok(t); again.int("id") != made.int("id") {
			t.Error("the same Idempotency-Key creates two")
		}
		if got := su.admin.put(t, one, object{"description": "daily"}).ok(t); got.text("description") != "daily" || got.text("name") != body["name"] {
			t.Errorf("PUT answers %v", got.value)
		}
		for action, status := range map[string]string{"pause": "PAUSED", "activate": "ACTIVE"} {
			if got := su.admin.put(t, one+"/"+action, nil).ok(t); got.text("status") != status {
				t.Errorf("%s answers the status %s", action, got.text("status"))
			}
		}
		twin := su.admin.post(t, one+"/copy", object{"reuse_data_credentials": true}).ok(t)
		if twin.int("copied_from_id") != made.int("id") || twin.int("data_credentials_id") != c.id || twin.text("status") != "INIT" {
			t.Errorf("copy answers %v", twin.value)
		}
		if list := su.admin.get(t, f.path+"?data_credentials_id="+decimal(made.int("data_credentials_id"))).ok(t).items(); len(list) != 2 {
			t.Errorf("%d are listed, want 2", len(list))
		}
		refused := su.admin.delete(t, c.path, nil).refused(t, http.StatusMethodNotAllowed, "in_use")
		if ids, _ := refused.at(f.path[1:]).([]any); len(ids) != 2 {
			t.Errorf("the refusal to delete names %v", ids)
		}
		held := object{"type": f.path[1 : len(f.path)-1], "id": made.int("id")}
		su.admin.delete(t, c.path+"/referenced_by", held).refused(t, http.StatusBadRequest, "", "/id")
		if id := su.admin.get(t, one).ok(t).int("id"); id != made.int("id") {
			t.Errorf("GET %s answers %d", one, id)
		}
		su.admin.delete(t, one, nil).ok(t)
		su.admin.get(t, one).refused(t, http.StatusNotFound, "not_found")
		su.admin.delete(t, f.path+"/"+decimal(twin.int("id")), nil).ok(t)
		log := su.admin.get(t, one+"/audit_log").ok(t).items()
		if len(log) != 5 {
			t.Errorf("the log has %d entries, want 5", len(log))
		}
		for _, e := range log {
			if o, _ := e.(object); o["item_type"] != f.item || toInt(o["item_id"]) != made.int("id") {
				t.Errorf("an entry of the log is %v", o)
			}
		}
		su.events(t, c, "create", "linked", "linked", "unlinked", "unlinked")
		su.admin.delete(t, c.path, nil).ok(t)
		su.admin.get(t, f.path+"/"+decimal(made.int("data_credentials_id"))+"/audit_log").refused(t, http.StatusNotFound, "not_found")
	}
}

func resourceInline(t *testing.T, su *suite) {
	for _, f := range families {
		name := label("with a credential")
		wrong := su.s3(name)
		wrong["credentials"] = object{"region": 7}
		su.admin.post(t, f.path, object{"name": "", "data_credentials": wrong}).refused(t, http.StatusBadRequest, "invalid_request",
			"/name", "/data_credentials/credentials/region")
		for _, c := range su.admin.get(t, "/data_credentials").ok(t).items() { // other checks create theirs meanwhile
			if c, _ := c.(object); c["name"] == name {
				t.Error("a rejected data source left a credential")
			}
		}
		right := su.s3(name)
		delete(right, "name")
		made := su.admin.post(t, f.path, object{"name": name, "data_credentials": right}).ok(t)
		if made.text("data_credentials", "name") != name || made.text(f.typ) != "s3" {
			t.Errorf("POST answers %v", made.value)
		}
		path := "/data_credentials/" + decimal(made.int("data_credentials_id"))
		su.admin.get(t, path+"/credentials", revealing()).ok(t)
		su.admin.delete(t, path, nil).refused(t, http.StatusMethodNotAllowed, "in_use")
		su.admin.delete(t, f.path+"/"+decimal(made.int("id")), nil).ok(t)
		su.admin.delete(t, path, nil).ok(t)
	}
}

func resourceMoves(t *testing.T, su *suite) {
	a, b := su.admin.create(t, su.s3(label("before"))), su.admin.create(t, su.s3(label("after")))
	made := su.admin.post(t, "/data_sources", object{"name": label("moves"), "data_credentials": a.id}).ok(t)
	one := "/data_sources/" + decimal(made.int("id"))
	if got := su.admin.put(t, one, object{"data_credentials_id": b.id}).ok(t); got.int("data_credentials", "id") != b.id {
		t.Errorf("PUT answers %v", got.value)
	}
	su.admin.delete(t, a.path, nil).ok(t)
	su.admin.delete(t, b.path, nil).refused(t, http.StatusMethodNotAllowed, "in_use")
	if got := su.admin.put(t, one, object{"data_credentials_id": nil}).ok(t); got.at("data_credentials") != nil || got.at("data_credentials_id") != nil {
		t.Errorf("PUT with null answers %v", got.value)
	}
	su.admin.delete(t, b.path, nil).ok(t)
	su.admin.delete(t, one, nil).ok(t)
}

func resourceFaults(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("of a type")))
	for _, row := range []struct {
		body     object
		code     int
		pointers []string
	}{
		{object{}, http.StatusBadRequest, []string{"/name", "/source_type"}},
		{object{"name": "n", "source_type": "postgres", "data_credentials_id": c.id}, http.StatusBadRequest, []string{"/source_type"}},
		{object{"name": "n", "data_credentials_id": c.id, "data_credentials": object{}}, http.StatusBadRequest, []string{"/data_credentials_id"}},
		{object{"name": "n", "source_type": "s3", "source_config": object{"url": "postgres://u:secret1@h/d"}}, http.StatusBadRequest, []string{"/source_config/url"}},
		{object{"name": "n", "data_credentials_id": 7}, http.StatusNotFound, nil},
		{object{"name": "n", "data_credentials_id": "x"}, http.StatusBadRequest, []string{"/data_credentials_id"}},
		{object{"name": "n", "source_typ": "s3"}, http.StatusBadRequest, []string{"/source_typ"}},
	} {
		r := su.admin.post(t, "/data_sources", row.body)
		r.refused(t, row.code, "", row.pointers...)
	}
	su.other.post(t, "/data_sources", object{"name": "n", "data_credentials_id": c.id}).refused(t, http.StatusNotFound, "not_found")
	if member := su.member; member != nil {
		member.post(t, "/data_sources", object{"name": "n", "data_credentials_id": c.id}).refused(t, http.StatusNotFound, "not_found")
	}
	su.admin.delete(t, c.path, nil).ok(t)
}

func resourceIsolation(t *testing.T, su *suite) {
	made := su.admin.post(t, "/data_sources", object{"name": label("alone"), "source_type": "s3"}).ok(t)
	one := "/data_sources/" + decimal(made.int("id"))
	others := []*session{su.other}
	if su.member != nil {
		others = append(others, su.member)
	}
	for _, who := range others {
		who.get(t, one).refused(t, http.StatusNotFound, "not_found")
		who.put(t, one, object{"name": "x"}).refused(t, http.StatusNotFound, "not_found")
		who.get(t, one+"/audit_log").refused(t, http.StatusNotFound, "not_found")
		who.delete(t, one, nil).refused(t, http.StatusNotFound, "not_found")
		who.post(t, one+"/copy", nil).refused(t, http.StatusNotFound, "not_found")
	}
	su.admin.get(t, "/data_sinks/"+decimal(made.int("id"))).refused(t, http.StatusNotFound, "not_found")
	su.admin.get(t, "/data_credentials/"+decimal(made.int("id"))+"/audit_log").refused(t, http.StatusNotFound, "not_found")
	su.admin.delete(t, one, nil).ok(t)
}
