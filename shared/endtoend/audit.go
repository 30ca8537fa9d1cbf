package endtoend

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func auditChecks() []check {
	return []check{
		{"each change leaves an entry", auditChanges},
		{"pages and filters of the audit log", auditPages},
		{"a refusal leaves an entry", auditDenied},
		{"a refusal for want of a scope leaves an entry in both logs", auditScope},
		{"an organisation's log is its admins'", auditOrg},
	}
}

// events wants these events in a credential's audit log, in their order.
func (su *suite) events(t *testing.T, c credential, want ...string) {
	t.Helper()
	var got []string
	for _, e := range c.audit(t) {
		got = append(got, e["event"].(string))
	}
	slices.Reverse(got) // newest first
	rest := got
	for _, event := range want {
		at := slices.Index(rest, event)
		if at < 0 {
			t.Errorf("the audit log says %q, want %q in it in this order", got, want)
			return
		}
		rest = rest[at+1:]
	}
}

// audit is the credential's log, newest first.
func (c credential) audit(t *testing.T) []object {
	t.Helper()
	r := c.by.get(t, c.path+"/audit_log").ok(t).form(t, list(auditForm))
	var out []object
	for _, item := range r.items() {
		e, ok := item.(object)
		if !ok || e["event"] == nil {
			t.Fatal("an entry of the audit log has no event")
		}
		out = append(out, e)
	}
	return out
}

func auditChanges(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("audit")))
	su.admin.send(t, http.MethodPut, c.path, object{"name": "audited", "description": "d"}, header("User-Agent", "suite/1 "+strings.Repeat("x", 400))).ok(t)
	secrets := su.s3Secrets()
	delete(secrets, "region")
	su.admin.put(t, c.path, object{"credentials": secrets}).ok(t)
	su.admin.put(t, c.path+"/tags", []string{"night"}).ok(t)
	c.reveal(t).ok(t)
	su.admin.put(t, c.path, object{}).ok(t) // changes nothing, says nothing
	log := c.audit(t)
	var events []string
	for _, e := range log {
		events = append(events, e["event"].(string))
		if toInt(e["item_id"]) != c.id || toInt(e["org_id"]) != su.admin.org || toInt(e["owner_id"]) != su.admin.user {
			t.Error("an entry is of another credential, organisation or owner")
		}
		if user, _ := e["user"].(object); toInt(user["id"]) != su.admin.user {
			t.Error("an entry names another user")
		}
		if agent, _ := e["request_user_agent"].(string); len(agent) > 300 {
			t.Errorf("an entry keeps a user agent of %d bytes", len(agent))
		}
	}
	if want := []string{"reveal", "update", "update", "update", "create"}; !slices.Equal(events, want) {
		t.Fatalf("the audit log says %q, want %q", events, want)
	}
	named, _ := log[3]["object_changes"].(object)
	if pair, _ := named["name"].([]any); len(pair) != 2 || pair[0] != c.text("name") || pair[1] != "audited" {
		t.Error("the entry of a new name does not say before and after")
	}
	if !slices.ContainsFunc(texts(log[2]["change_summary"]), func(s string) bool { return strings.Contains(s, "secret_key") }) {
		t.Error("the entry of new credentials does not name the field that was replaced")
	}
}

func auditPages(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("pages")))
	for _, description := range []string{"one", "two", "three"} {
		su.admin.put(t, c.path, object{"description": description}).ok(t)
	}
	path := c.path + "/audit_log"
	r := su.admin.get(t, path+"?per_page=3&page=1").ok(t).form(t, list(auditForm))
	r.wantHeaders(t, map[string]string{"X-Total-Count": "4", "X-Current-Page": "1", "X-Page-Count": "3", "X-Total-Page-Count": "2"})
	if len(r.items()) != 3 {
		t.Errorf("a page of three holds %d", len(r.items()))
	}
	today := time.Now().UTC()
	day := func(shift int) string { return today.AddDate(0, 0, shift).Format(time.DateOnly) }
	for query, want := range map[string]int{
		"event_filter=update": 3, "event_filter=create": 1, "event_filter=destroy": 0, "event_filter=!update": 1,
		"change_filter=description": 3, "change_filter=!description": 1, "change_filter=config": 0,
		"from=" + day(-1) + "&to=" + day(1): 4, "from=" + day(1): 0, "from=" + day(-9) + "&to=" + day(-2): 0,
	} {
		if r := su.admin.get(t, path+"?"+query).ok(t).form(t, list(auditForm)); len(r.items()) != want {
			t.Errorf("%s gives %d entries, want %d", query, len(r.items()), want)
		}
	}
	for _, query := range []string{"from=yesterday", "to=2031-02-30", "event_filter=explode", "per_page=0", "page=x"} {
		su.admin.get(t, path+"?"+query).refused(t, http.StatusBadRequest, "")
	}
	if items := su.admin.get(t, path).ok(t).items(); len(items) == 4 {
		ids := make([]int64, 0, 4)
		for _, item := range items {
			ids = append(ids, toInt(item.(object)["id"]))
		}
		if !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) {
			t.Errorf("entries are not newest first: %v", ids)
		}
	}
}

// auditDenied needs somebody who holds a role and not the right.
func auditDenied(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := member.create(t, su.s3(label("denied")))
	su.admin.get(t, c.path+"/credentials").refused(t, http.StatusForbidden, "forbidden")
	log := c.audit(t)
	if log[0]["event"] != "denied" {
		t.Fatalf("the newest entry is %v", log[0]["event"])
	}
	if user, _ := log[0]["user"].(object); toInt(user["id"]) != su.admin.user {
		t.Error("the entry does not name who was refused")
	}
}

func auditScope(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("scope")))
	narrow := su.admin.key(t, "read", "probe")
	narrow.put(t, c.path, object{"name": "taken over"}).refused(t, http.StatusForbidden, "scope_missing")
	entry := c.audit(t)[0]
	said := strings.Join(texts(entry["change_summary"]), " ")
	if entry["event"] != "denied" || !strings.Contains(said, "write") || !strings.Contains(said, "PUT /data_credentials/{id}") {
		t.Errorf("the newest entry is %v, %q", entry["event"], said)
	}
	log := su.admin.get(t, su.orgLog()+"?event_filter=denied").ok(t).form(t, list(orgAuditForm))
	if !slices.ContainsFunc(log.items(), func(e any) bool { return toInt(e.(object)["item_id"]) == c.id }) {
		t.Error("the organisation's log lacks the denial")
	}
	// One that the caller cannot see gets the same answer, and no entry.
	foreign := su.other.create(t, su.s3(label("foreign")))
	narrow.put(t, foreign.path, object{"name": "taken over"}).refused(t, http.StatusForbidden, "scope_missing")
	if entry := foreign.audit(t)[0]; entry["event"] == "denied" {
		t.Error("another organisation's denial is in the credential's log")
	}
}

func (su *suite) orgLog() string {
	return "/orgs/" + strconv.FormatInt(su.admin.org, 10) + "/audit_log"
}

func auditOrg(t *testing.T, su *suite) {
	path, secret := su.admin.newKey(t, object{"name": label("watched")})
	key := toInt(number(strings.TrimPrefix(path, "/service_keys/")))
	su.signIn(t, secret)
	su.post(t, "/token", nil, header("Authorization", "Basic "+secret[:len(secret)-12])).refused(t, http.StatusUnauthorized, "")
	su.admin.put(t, path+"/pause", nil).ok(t)
	var got []string
	for next := su.orgLog() + "?per_page=20&event_filter=!denied"; next != "" && len(got) < 3; {
		r := su.admin.get(t, next).ok(t).form(t, list(orgAuditForm))
		for _, item := range r.items() {
			if e := item.(object); toInt(e["item_id"]) == key {
				got = append(got, e["event"].(string))
			}
		}
		next = linked(r, "Next")
	}
	if want := []string{"key_paused", "sign_in", "key_created"}; !slices.Equal(got, want) {
		t.Errorf("the log says %q of the key, want %q", got, want)
	}
	su.other.get(t, su.orgLog()).refused(t, http.StatusNotFound, "not_found")
	su.needMember(t).get(t, su.orgLog()).refused(t, http.StatusForbidden, "forbidden")
}
