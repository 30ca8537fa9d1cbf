package endtoend

import (
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"testing"
)

func raceChecks() []check {
	return []check{
		{"two creates under one name both succeed", raceCreate},
		{"updates at once lose no field", raceUpdate},
		{"an update does not bring back what is deleted", raceDelete},
		{"secrets at once: one of them, whole", raceSecrets},
	}
}

// asking is one request of several that are sent at once.
type asking struct {
	method, path string
	body         any
}

// together sends all at once and holds each answer to what is true of all.
func (s *session) together(t *testing.T, asks []asking) []*reply {
	t.Helper()
	replies, failed := make([]*reply, len(asks)), make([]error, len(asks))
	var begin, end sync.WaitGroup
	begin.Add(1)
	for i, a := range asks {
		end.Go(func() {
			begin.Wait()
			h := http.Header{"Authorization": {"Bearer " + s.token}, "Content-Type": {"application/json"}}
			replies[i], failed[i] = s.su.exchange(a.method, a.path, a.body, &ask{header: h})
		})
	}
	begin.Done()
	end.Wait()
	for i, err := range failed {
		if err != nil {
			t.Fatalf("%s %s: %v", asks[i].method, asks[i].path, err)
		}
		replies[i].everyAnswer(t)
		s.su.leaked(t, replies[i])
	}
	return replies
}

func raceCreate(t *testing.T, su *suite) {
	name := label("twins")
	asks := make([]asking, 8)
	for i := range asks {
		asks[i] = asking{http.MethodPost, "/data_credentials", su.s3(name)}
	}
	seen := map[int64]bool{}
	for _, r := range su.admin.together(t, asks) {
		r.ok(t).form(t, fullForm)
		id := r.int("id")
		t.Cleanup(func() { su.admin.delete(t, "/data_credentials/"+strconv.FormatInt(id, 10), nil) })
		seen[id] = true
	}
	if rows := su.admin.named(t, name); len(seen) != len(asks) || len(rows) != len(asks) {
		t.Errorf("%d creates made %d ids and %d rows", len(asks), len(seen), len(rows))
	}
}

func raceUpdate(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("race")))
	for round := range 5 {
		text := "round " + strconv.Itoa(round)
		secrets := su.s3Secrets()
		changes := []object{
			{"name": text}, {"description": text}, {"tags": []string{text}}, {"credentials_version": text}, {"credentials": secrets},
		}
		var asks []asking
		for _, change := range changes {
			asks = append(asks, asking{http.MethodPut, c.path, change})
		}
		for i, r := range su.admin.together(t, asks) {
			if r.code == http.StatusConflict {
				// Lost too often to be tried again: told so, and nothing written.
				r = su.admin.put(t, c.path, changes[i])
			}
			r.ok(t).form(t, fullForm)
		}
		now := c.again(t)
		if now.text("name") != text || now.text("description") != text || now.text("credentials_version") != text ||
			!reflect.DeepEqual(now.at("tags"), []any{text}) {
			t.Errorf("an update was acknowledged and lost in round %d", round)
		}
		if !reflect.DeepEqual(c.reveal(t).ok(t).value, secrets) {
			t.Errorf("a secret was acknowledged and lost in round %d", round)
		}
	}
	updates := 0
	for _, e := range c.audit(t) {
		if e["event"] == "update" {
			updates++
		}
	}
	if updates != 25 {
		t.Errorf("25 updates left %d entries in the audit log", updates)
	}
}

func raceDelete(t *testing.T, su *suite) {
	for range 5 {
		c := su.admin.create(t, su.s3(label("doomed")))
		survivor := label("survivor")
		replies := su.admin.together(t, []asking{
			{http.MethodDelete, c.path, nil},
			{http.MethodPut, c.path, object{"name": survivor}},
			{http.MethodPut, c.path, object{"credentials": su.s3Secrets()}},
			{http.MethodDelete, c.path, nil},
		})
		deleted := 0
		for i, r := range replies {
			switch {
			case r.code == http.StatusOK && (i == 0 || i == 3):
				deleted++
			case r.code == http.StatusOK:
			case r.code == http.StatusNotFound, r.code == http.StatusConflict:
				r.refused(t, r.code, "")
			default:
				t.Errorf("%s answers %d", r.asked, r.code)
			}
		}
		if deleted == 0 {
			su.admin.delete(t, c.path, nil).ok(t) // both may have lost to updates
		}
		if deleted > 1 {
			t.Error("two deletes both deleted it")
		}
		su.admin.get(t, c.path).refused(t, http.StatusNotFound, "not_found")
		if n := len(su.admin.named(t, c.text("name"))) + len(su.admin.named(t, survivor)); n != 0 {
			t.Errorf("a deleted credential stands in %d lists", n)
		}
		su.events(t, c, "create", "destroy")
	}
}

func raceSecrets(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("whole")))
	var asks []asking
	var sent []object
	for range 6 {
		secrets := su.s3Secrets()
		sent = append(sent, secrets)
		asks = append(asks, asking{http.MethodPut, c.path, object{"credentials": secrets}})
	}
	var acknowledged []object
	for i, r := range su.admin.together(t, asks) {
		if r.code == http.StatusOK {
			acknowledged = append(acknowledged, sent[i])
			continue
		}
		r.refused(t, http.StatusConflict, "conflict")
	}
	got := c.reveal(t).ok(t).value
	for _, secrets := range acknowledged {
		if reflect.DeepEqual(got, secrets) {
			return
		}
	}
	t.Errorf("of %d acknowledged secrets the one revealed is none", len(acknowledged))
}
