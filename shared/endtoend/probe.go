package endtoend

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func probeChecks() []check {
	return []check{
		{"a probe of a good key", probeValid},
		{"a probe of a bad key", probeInvalid},
		{"verdicts over time", probeOverTime},
		{"every way to ask for a probe", probeWays},
		{"one probe at a time and not too often", probeTooOften},
		{"an answer in time from what never answers", probeHangs},
		{"the last results", probeHistory},
	}
}

// probed answers a probe, waiting once where an earlier one is too near.
func (c credential) probed(t *testing.T) *reply {
	t.Helper()
	r := c.by.put(t, c.path+"/probe", nil)
	if r.code != http.StatusTooManyRequests {
		return r
	}
	time.Sleep(r.retryAfter(t))
	return c.by.put(t, c.path+"/probe", nil)
}

// retryAfter is how long a 429 says to wait.
func (r *reply) retryAfter(t *testing.T) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || n < 1 || n > 10 {
		t.Errorf("%s: Retry-After is %q", r.asked, r.header.Get("Retry-After"))
		return time.Second
	}
	return time.Duration(n) * time.Second
}

func probeValid(t *testing.T, su *suite) {
	key := su.leaks.secret()
	target := su.target(t, wants(key))
	c := su.admin.create(t, su.rest(label("good"), target.URL, key))
	before := time.Now().Add(-time.Minute)
	r := c.probed(t).ok(t).form(t, validForm)
	if target.asked.Load() < 2 {
		t.Error("valid, without asking what the answer is without the key")
	}
	now := c.again(t)
	if now.text("verified_status") != "200 Ok" {
		t.Errorf("verified_status is %q", now.text("verified_status"))
	}
	at, err := time.Parse(time.RFC3339, now.text("verified_at"))
	if err != nil || at.Before(before) || at.After(time.Now().Add(time.Minute)) {
		t.Errorf("verified_at is %q", now.text("verified_at"))
	}
	if now.text("updated_at") != c.text("updated_at") {
		t.Error("a probe moves updated_at, as if a person had changed something")
	}
	last := now.form(t, fields{"last_probe": fields{"verdict": is("valid"), "error_code": is("OK"), "checked_at": timestamp}.shape()}.shape())
	if last.text("last_probe", "checked_at") != r.text("checked_at") {
		t.Error("last_probe is another probe")
	}
	su.events(t, c, "create", "probe")
	if got := su.admin.get(t, "/data_credentials?validity=valid&name="+escape(c.text("name"))).ok(t).ids(); !slices.Equal(got, []int64{c.id}) {
		t.Errorf("validity=valid gives %v", got)
	}
	// A new secret is not verified.
	fresh := su.admin.put(t, c.path, object{"credentials": object{"api_key": su.leaks.secret(), "base_url": target.URL}}).ok(t)
	if fresh.at("verified_status") != nil || fresh.at("verified_at") != nil {
		t.Error("a new secret keeps the verdict of the old one")
	}
}

// refusedByTarget wants the answer to a key that the target refused.
func (r *reply) refusedByTarget(t *testing.T) *reply {
	t.Helper()
	if r.code < 400 || r.code >= 500 || r.code == http.StatusUnauthorized || r.code == http.StatusTooManyRequests {
		t.Fatalf("%s: %d %s, want 403 or the target's own 4xx", r.asked, r.code, r.errorCode())
	}
	if r.int("status") != int64(r.code) {
		t.Errorf("%s: status %d in the body of a %d", r.asked, r.int("status"), r.code)
	}
	return r.form(t, invalidForm)
}

func probeInvalid(t *testing.T, su *suite) {
	for name, behaviour := range map[string]http.HandlerFunc{"401": wants(su.leaks.secret()), "403": forbids(su.leaks.secret()), "401 that repeats the key": echoes} {
		t.Run(name, func(t *testing.T) {
			c := su.admin.create(t, su.rest(label("bad"), su.target(t, behaviour).URL, su.leaks.secret()))
			r := c.probed(t).refusedByTarget(t)
			if r.errorCode() != "AUTH_REJECTED" || !strings.HasPrefix(r.text("pointer"), "/credentials/") {
				t.Errorf("%s at %q", r.errorCode(), r.text("pointer"))
			}
			now := c.again(t)
			if now.at("verified_at") != nil || !strings.HasPrefix(now.text("verified_status"), strconv.Itoa(r.code)+" ") {
				t.Errorf("verified_status is %q", now.text("verified_status"))
			}
			if got := su.admin.get(t, "/data_credentials?validity=invalid&name="+escape(c.text("name"))).ok(t).ids(); !slices.Equal(got, []int64{c.id}) {
				t.Errorf("validity=invalid gives %v", got)
			}
		})
	}
}

// unknown wants the answer of a probe that cannot tell.
func (r *reply) unknown(t *testing.T, codes ...string) *reply {
	t.Helper()
	if r.code != http.StatusBadRequest || !slices.Contains(codes, r.errorCode()) {
		t.Errorf("%s: %d %s, want 400 %q", r.asked, r.code, r.errorCode(), codes)
		return r
	}
	return r.form(t, unknownForm)
}

func probeOverTime(t *testing.T, su *suite) {
	key := su.leaks.secret()
	target := su.target(t, always(http.StatusInternalServerError))
	c := su.admin.create(t, su.rest(label("over time"), target.URL, key))
	c.probed(t).unknown(t, "TARGET_UNAVAILABLE")
	if r := c.again(t); r.at("verified_status") != nil || r.at("verified_at") != nil || r.text("last_probe", "verdict") != "unknown" {
		t.Error("a probe that could not tell sets a verdict, or leaves no trace")
	}
	if got := su.admin.get(t, "/data_credentials?validity=unknown&name="+escape(c.text("name"))).ok(t).ids(); !slices.Equal(got, []int64{c.id}) {
		t.Errorf("validity=unknown gives %v", got)
	}
	good, down, bad := wants(key), always(http.StatusServiceUnavailable), wants(su.leaks.secret())
	target.behaves.Store(&good)
	c.probed(t).ok(t).form(t, validForm)
	verified := c.again(t).text("verified_at")
	target.behaves.Store(&down)
	c.probed(t).unknown(t, "TARGET_UNAVAILABLE")
	if r := c.again(t); r.text("verified_status") != "200 Ok" || r.text("verified_at") != verified || r.text("last_probe", "verdict") != "unknown" {
		t.Error("a probe that could not tell changes the verdict")
	}
	target.behaves.Store(&bad)
	c.probed(t).refusedByTarget(t)
	if r := c.again(t); r.at("verified_at") != nil || r.text("verified_status") == "200 Ok" {
		t.Error("a refused secret stays verified")
	}
}

// probeWays also shows that a probe of one credential does not delay that of
// another on another system.
func probeWays(t *testing.T, su *suite) {
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
		for _, path := range []string{"/probe", "/probe/authenticate"} {
			key := su.leaks.secret()
			target := su.target(t, wants(key))
			c := su.admin.create(t, su.rest(label("ways"), target.URL, key))
			su.admin.send(t, method, c.path+path+"?async=False", nil).ok(t).form(t, validForm)
			if target.asked.Load() == 0 {
				t.Errorf("%s %s asks nobody", method, path)
			}
		}
	}
}

func probeTooOften(t *testing.T, su *suite) {
	key := su.leaks.secret()
	target := su.target(t, slowly(700*time.Millisecond, wants(key)))
	c := su.admin.create(t, su.rest(label("often"), target.URL, key))
	first, second := make(chan *reply, 1), make(chan *reply, 1)
	for _, answer := range []chan *reply{first, second} {
		go func() {
			r, err := su.exchange(http.MethodPut, c.path+"/probe", nil, &ask{header: http.Header{"Authorization": {"Bearer " + su.admin.token}}})
			if err != nil {
				r = &reply{asked: "PUT " + c.path + "/probe"}
			}
			answer <- r
		}()
	}
	a, b := <-first, <-second
	if a.code != http.StatusOK {
		a, b = b, a
	}
	if a.code != http.StatusOK || b.code != http.StatusTooManyRequests {
		t.Fatalf("two probes at once answer %d and %d, want 200 and 429", a.code, b.code)
	}
	a.everyAnswer(t)
	b.everyAnswer(t)
	b.refused(t, http.StatusTooManyRequests, "too_many_requests")
	b.retryAfter(t)
	again := su.admin.post(t, c.path+"/probe", nil).refused(t, http.StatusTooManyRequests, "too_many_requests")
	asked := target.asked.Load()
	time.Sleep(again.retryAfter(t))
	if target.asked.Load() != asked {
		t.Error("a refused probe was sent all the same")
	}
	su.admin.get(t, c.path+"/probe").ok(t).form(t, validForm)
}

func probeHangs(t *testing.T, su *suite) {
	for name, behaviour := range map[string]http.HandlerFunc{"hangs": hangs, "drips": drips} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := su.admin.create(t, su.rest(label("hangs"), su.target(t, behaviour).URL, su.leaks.secret()))
			began := time.Now()
			r := c.by.put(t, c.path+"/probe", nil)
			r.unknown(t, "PROBE_TIMEOUT", "SECRET_NOT_TESTED", "PROTOCOL_MISMATCH", "TARGET_UNAVAILABLE")
			// Eight seconds are promised; a released client waits for ten.
			if took := time.Since(began); took > 9*time.Second {
				t.Errorf("the answer took %v", took)
			}
		})
	}
}

func probeHistory(t *testing.T, su *suite) {
	key := su.leaks.secret()
	target := su.target(t, wants(key))
	c := su.admin.create(t, su.rest(label("history"), target.URL, key))
	row := fields{"verdict": oneOf("valid", "invalid", "unknown"), "error_code": nonempty, "message": text, "checked_at": timestamp}.shape()
	if n := len(su.admin.get(t, c.path+"/probe/history").ok(t).form(t, list(row)).items()); n != 0 {
		t.Errorf("%d results before the first probe", n)
	}
	c.probed(t).ok(t)
	down := always(http.StatusBadGateway)
	target.behaves.Store(&down)
	c.probed(t).unknown(t, "TARGET_UNAVAILABLE")
	items := su.admin.get(t, c.path+"/probe/history").ok(t).form(t, list(row)).items()
	if len(items) != 2 || items[0].(object)["verdict"] != "unknown" || items[1].(object)["verdict"] != "valid" {
		t.Errorf("the history does not hold both results, newest first: %d", len(items))
	}
}
