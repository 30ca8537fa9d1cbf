package endtoend

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// waitFor waits as long as a 429 says.
func waitFor(t *testing.T, r *reply) {
	t.Helper()
	time.Sleep(r.retryAfter(t))
}

func conditionChecks() []check {
	return []check{
		{"a write on condition of a version", ifMatch},
		{"two writers on one condition: one wins", ifMatchRace},
	}
}

func ifMatch(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("match")))
	tag := c.header.Get("ETag")
	if !strong.MatchString(tag) || su.admin.get(t, c.path).ok(t).header.Get("ETag") != tag {
		t.Fatalf("the ETag of what was made is %q", tag)
	}
	if got := su.admin.put(t, c.path, object{}).ok(t).header.Get("ETag"); got != tag {
		t.Error("an update of nothing moves the ETag")
	}
	moved := su.admin.put(t, c.path, object{"description": "one"}, header("If-Match", tag)).ok(t).header.Get("ETag")
	if moved == tag || !strong.MatchString(moved) {
		t.Errorf("an update gives ETag %q after %q", moved, tag)
	}
	for _, stale := range []string{tag, `"v999"`, "W/" + moved, `"nonsense"`} {
		su.admin.put(t, c.path, object{"description": "stale"}, header("If-Match", stale)).refused(t, http.StatusPreconditionFailed, "precondition_failed")
		su.admin.delete(t, c.path, nil, header("If-Match", stale)).refused(t, http.StatusPreconditionFailed, "precondition_failed")
	}
	if c.again(t).text("description") != "one" {
		t.Error("a write whose condition failed was done")
	}
	last := su.admin.put(t, c.path, object{"description": "two"}, header("If-Match", `"v999", `+moved)).ok(t).header.Get("ETag")
	su.admin.put(t, c.path, object{"description": "three"}, header("If-Match", "*")).ok(t)
	su.admin.delete(t, c.path, nil, header("If-Match", last)).refused(t, http.StatusPreconditionFailed, "precondition_failed")
	su.admin.delete(t, c.path, nil, header("If-Match", su.admin.get(t, c.path).ok(t).header.Get("ETag"))).ok(t)
}

func ifMatchRace(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("match race")))
	for range 5 {
		tag := su.admin.get(t, c.path).ok(t).header.Get("ETag")
		answers := make(chan *reply, 4)
		for _, text := range []string{"a", "b", "c", "d"} {
			go func() {
				h := http.Header{"Authorization": {"Bearer " + su.admin.token}, "If-Match": {tag}}
				r, err := su.exchange(http.MethodPut, c.path, object{"description": text + random()}, &ask{header: h})
				if err != nil {
					r = &reply{}
				}
				answers <- r
			}()
		}
		won, lost := 0, 0
		for range 4 {
			r := <-answers
			r.everyAnswer(t)
			switch r.code {
			case http.StatusOK:
				won++
			case http.StatusPreconditionFailed, http.StatusConflict:
				lost++
			}
		}
		if won != 1 || lost != 3 {
			t.Errorf("of four writers with one ETag %d won and %d were told that they lost", won, lost)
		}
	}
}

func idempotencyChecks() []check {
	return []check{
		{"a request sent again is done once", idempotent},
		{"a service key asked for again is made once", idempotentKey},
		{"a copy asked for again is made once", idempotentCopy},
		{"a request sent twenty times at once is done once", idempotentRace},
		{"idempotency keys that are wrong", idempotentFaults},
	}
}

func idempotent(t *testing.T, su *suite) {
	key := "e2e-" + random()
	body := su.s3(label("again"))
	first := su.admin.post(t, "/data_credentials", body, header("Idempotency-Key", key)).ok(t).form(t, fullForm)
	path := "/data_credentials/" + string(first.at("id").(number))
	t.Cleanup(func() { su.admin.delete(t, path, nil) })
	second := su.admin.post(t, "/data_credentials", body, header("Idempotency-Key", key)).ok(t).form(t, fullForm)
	if !reflect.DeepEqual(first.value, second.value) || len(su.admin.named(t, first.text("name"))) != 1 {
		t.Error("a request sent again is done again")
	}
	su.admin.post(t, "/data_credentials", with(body, object{"description": "other"}), header("Idempotency-Key", key)).
		refused(t, http.StatusConflict, "idempotency_key_reused")
	// Another caller's key is another key.
	elsewhere := su.other.post(t, "/data_credentials", body, header("Idempotency-Key", key)).ok(t).form(t, fullForm)
	su.other.delete(t, "/data_credentials/"+string(elsewhere.at("id").(number)), nil).ok(t)
	if elsewhere.int("id") == first.int("id") {
		t.Error("another organisation's request is answered with this one's")
	}
}

func idempotentKey(t *testing.T, su *suite) {
	key, body := header("Idempotency-Key", "e2e-"+random()), object{"name": label("made once"), "scopes": []string{"read"}}
	first := su.admin.post(t, "/service_keys", body, key, revealing()).ok(t)
	su.leaks.watch(first.text("api_key"))
	path := fmt.Sprint("/service_keys/", first.int("id"))
	t.Cleanup(func() { su.admin.delete(t, path, nil) })
	if second := su.admin.post(t, "/service_keys", body, key).ok(t); second.int("id") != first.int("id") || second.at("api_key") != nil {
		t.Error("a service key asked for again is made again, or its text shown again")
	}
	su.admin.post(t, "/service_keys", with(body, object{"name": "other"}), key).refused(t, http.StatusConflict, "idempotency_key_reused")
}

func idempotentCopy(t *testing.T, su *suite) {
	c, key := su.admin.create(t, su.s3(label("copied once"))), header("Idempotency-Key", "e2e-"+random())
	first := su.admin.post(t, c.path+"/copy", nil, key).ok(t).form(t, fullForm)
	t.Cleanup(func() { su.admin.delete(t, "/data_credentials/"+string(first.at("id").(number)), nil) })
	second := su.admin.post(t, c.path+"/copy", nil, key).ok(t)
	if second.int("id") != first.int("id") || len(su.admin.named(t, c.text("name"))) != 2 {
		t.Error("a copy asked for again is made again")
	}
	su.admin.post(t, c.path+"/copy", object{"copy_access_controls": true}, key).refused(t, http.StatusConflict, "idempotency_key_reused")
	other := su.admin.create(t, su.s3(label("copied never")))
	su.admin.post(t, other.path+"/copy", nil, key).refused(t, http.StatusConflict, "idempotency_key_reused")
	su.events(t, c, "create", "copy")
}

func idempotentRace(t *testing.T, su *suite) {
	key, body := "e2e-"+random(), su.s3(label("once"))
	answers := make(chan *reply, 20)
	for range cap(answers) {
		go func() {
			h := http.Header{"Authorization": {"Bearer " + su.admin.token}, "Idempotency-Key": {key}}
			r, err := su.exchange(http.MethodPost, "/data_credentials", body, &ask{header: h})
			if err != nil {
				r = &reply{asked: "POST /data_credentials"}
			}
			answers <- r
		}()
	}
	bodies := map[string]bool{}
	for range cap(answers) {
		r := <-answers
		r.everyAnswer(t)
		if r.code != http.StatusOK {
			t.Errorf("one of twenty equal requests answers %d", r.code)
			continue
		}
		bodies[string(r.body)] = true
	}
	rows := su.admin.named(t, body["name"].(string))
	for _, row := range rows {
		su.admin.delete(t, "/data_credentials/"+string(row.(object)["id"].(number)), nil).ok(t)
	}
	if len(bodies) != 1 || len(rows) != 1 {
		t.Errorf("twenty equal requests gave %d answers and made %d credentials", len(bodies), len(rows))
	}
}

func idempotentFaults(t *testing.T, su *suite) {
	name := label("wrong key")
	for _, key := range []string{"short", strings.Repeat("k", 65), "sixteen or more\ttab", "sixteen-or-more-é"} {
		su.admin.post(t, "/data_credentials", su.s3(name), header("Idempotency-Key", key)).refused(t, http.StatusBadRequest, "")
	}
	if n := len(su.admin.named(t, name)); n != 0 {
		t.Errorf("refused requests made %d credentials", n)
	}
}
