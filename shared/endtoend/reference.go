package endtoend

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func referenceChecks() []check {
	return []check{
		{"what is used cannot be deleted", referenceLife},
		{"a reference that is none", referenceFaults},
	}
}

// references wants these things, by type and name, to use the credential.
func references(t *testing.T, r *reply, want ...string) {
	t.Helper()
	var got []string
	for _, item := range r.ok(t).items() {
		o, _ := item.(object)
		kind, _ := o["type"].(string)
		name, _ := o["name"].(string)
		got = append(got, kind+" "+name)
		if toInt(o["id"]) != 7 || toInt(o["owner_id"]) == 0 || toInt(o["org_id"]) == 0 {
			t.Errorf("a reference is %v", o)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%q use it, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q use it, want %q", got, want)
		}
	}
}

func referenceLife(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("used")))
	path := c.path + "/referenced_by"
	source := object{"type": "data_source", "id": 7, "name": "orders"}
	job := object{"type": "job", "id": 7, "name": "nightly"}
	references(t, su.admin.get(t, path))
	references(t, su.admin.post(t, path, source), "data_source orders")
	references(t, su.admin.post(t, path, job), "data_source orders", "job nightly")
	references(t, su.admin.post(t, path, source), "data_source orders", "job nightly")
	use := su.admin.get(t, c.path+"/usage").ok(t)
	if sources, _ := use.at("data_sources").([]any); use.int("id") != c.id || len(sources) != 1 {
		t.Errorf("usage says %v", use.value)
	}
	if sinks, ok := use.at("data_sinks").([]any); !ok || len(sinks) != 0 {
		t.Error("usage has no empty list of sinks")
	}
	refused := su.admin.delete(t, c.path, nil).refused(t, http.StatusMethodNotAllowed, "in_use")
	if ids, _ := refused.at("data_sources").([]any); len(ids) != 1 || toInt(ids[0]) != 7 || refused.text("message") != "Data credentials in use" {
		t.Errorf("the refusal says %v", refused.value)
	}
	if details, _ := refused.at("details").([]any); len(details) != 2 || !strings.Contains(fmt.Sprint(details), "nightly") || !strings.Contains(fmt.Sprint(details), "data_source 7") {
		t.Errorf("the refusal names %v", details)
	}
	references(t, su.admin.delete(t, path, source), "job nightly")
	references(t, su.admin.delete(t, path, source), "job nightly")
	references(t, su.admin.delete(t, path, job))
	su.events(t, c, "create", "linked", "linked", "unlinked", "unlinked")
	su.admin.delete(t, c.path, nil).ok(t)
}

func referenceFaults(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("used wrongly")))
	path := c.path + "/referenced_by"
	su.admin.post(t, path, object{}).refused(t, http.StatusBadRequest, "", "/type", "/id")
	su.admin.post(t, path, object{"type": "Data Source", "id": "a b"}).refused(t, http.StatusBadRequest, "", "/type", "/id")
	su.other.post(t, path, object{"type": "job", "id": 7}).refused(t, http.StatusNotFound, "not_found")
}
