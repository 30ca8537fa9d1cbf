package endtoend

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"
)

// object is a JSON object in the making.
type object = map[string]any

// credential is one that a check made.
type credential struct {
	*reply
	by   *session
	id   int64
	path string // of the credential
}

// create makes a credential and removes it when the test ends.
func (s *session) create(t *testing.T, body object) credential {
	t.Helper()
	r := s.post(t, "/data_credentials", body).ok(t).form(t, fullForm)
	c := credential{reply: r, by: s, id: r.int("id")}
	c.path = "/data_credentials/" + strconv.FormatInt(c.id, 10)
	t.Cleanup(func() { s.delete(t, c.path, nil) })
	return c
}

// s3 is a request for an S3 credential that is fine in every way.
func (su *suite) s3(name string) object {
	return object{"name": name, "credentials_type": "s3", "credentials": su.s3Secrets()}
}

func (su *suite) s3Secrets() object {
	return object{
		"access_key_id": "AKIA" + random()[:16], "secret_key": su.leaks.secret(),
		"bucket": "reports-2031", "region": "eu-central-1",
	}
}

// postgres is a request for a Postgres credential that is fine in every way.
func (su *suite) postgres(name string) object {
	return object{"name": name, "credentials_type": "postgres", "credentials": object{
		"host": "warehouse.example.org", "port": 5433, "database": "sales", "username": "reader", "password": su.leaks.secret(),
	}}
}

// rest is a request for a REST credential with its key in the default header.
func (su *suite) rest(name, baseURL, key string) object {
	su.leaks.watch(key)
	return object{"name": name, "credentials_type": "rest", "credentials": object{"api_key": key, "base_url": baseURL}}
}

// with is an object with some of its fields set anew.
func with(o object, changes object) object {
	out := maps.Clone(o)
	maps.Copy(out, changes)
	return out
}

// without is an object that lacks some of its fields.
func without(o object, names ...string) object {
	out := maps.Clone(o)
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// inside is a request whose credentials have some of their fields set anew.
func inside(o object, changes object) object {
	credentials, _ := o["credentials"].(object)
	return with(o, object{"credentials": with(credentials, changes)})
}

// again reads the credential once more.
func (c credential) again(t *testing.T) *reply {
	t.Helper()
	return c.by.get(t, c.path).ok(t).form(t, fullForm)
}

// reveal reads the secret.
func (c credential) reveal(t *testing.T, options ...option) *reply {
	t.Helper()
	return c.by.get(t, c.path+"/credentials", append(options, revealing())...)
}

// key makes a service key of some scopes and signs in with it; both end with the
// test. No scopes means all.
func (s *session) key(t *testing.T, scopes ...string) *session {
	t.Helper()
	body := object{"name": label("key")}
	if scopes != nil {
		body["scopes"] = scopes
	}
	_, secret := s.newKey(t, body)
	return s.su.signIn(t, secret)
}

// newKey makes a service key, which ends with the test.
func (s *session) newKey(t *testing.T, body object) (path, secret string) {
	t.Helper()
	if _, held := s.su.holding.LoadOrStore(t, true); !held {
		s.su.keys <- struct{}{}
		t.Cleanup(func() { <-s.su.keys })
	}
	r := s.post(t, "/service_keys", body, revealing()).ok(t).form(t, keyForm.and(fields{"api_key": nonempty}))
	path = "/service_keys/" + strconv.FormatInt(r.int("id"), 10)
	t.Cleanup(func() { s.send(t, http.MethodDelete, path, nil) })
	s.su.leaks.watch(r.text("api_key"))
	return path, r.text("api_key")
}

// and is the form of an object with further fields.
func (f fields) and(more fields) shape {
	out := maps.Clone(f)
	maps.Copy(out, more)
	return out.shape()
}

func contains(all []string, one string) bool { return slices.Contains(all, one) }

// texts are the strings of an array.
func texts(v any) []string {
	items, _ := v.([]any)
	out := make([]string, 0, len(items))
	for _, item := range items {
		s, _ := item.(string)
		out = append(out, s)
	}
	return out
}
