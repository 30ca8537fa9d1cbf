package endtoend

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"
)

func endChecks() []check {
	return []check{
		{"what ends soon is found", endsSoon},
		{"an end belongs to a secret", endOfASecret},
		{"an end is known of what cannot be tried", endUntried},
	}
}

const day = 24 * time.Hour

// in is a time from now, as precise as a certificate and a token say it.
func in(d time.Duration) time.Time { return time.Now().Add(d).UTC().Truncate(time.Second) }

// tokenUntil is a key that is a JSON Web Token (RFC 7519) with an end.
func (su *suite) tokenUntil(end time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part(fmt.Appendf(nil, `{"jti":%q,"exp":%d}`, random(), end.Unix())) + "." + random()
	su.leaks.watch(token)
	return token
}

// wantEnds compares both ends of the credential that the reply is, or of one row
// of a list; the zero time is null.
func (r *reply) wantEnds(t *testing.T, secret, certificate time.Time, row ...int) {
	t.Helper()
	value := r.value
	if len(row) > 0 {
		if value = nil; len(r.items()) > row[0] {
			value = r.items()[row[0]]
		}
	}
	of, _ := value.(map[string]any)
	for name, want := range map[string]time.Time{"expires_at": secret, "tls_not_after": certificate} {
		var text any
		if !want.IsZero() {
			text = want.Format("2006-01-02T15:04:05.000Z")
		}
		if got, there := of[name]; got != text || !there {
			t.Errorf("%s: %s is %v, want %v", r.asked, name, got, text)
		}
	}
}

func endsSoon(t *testing.T, su *suite) {
	tag, never := "e"+random()[:12], time.Time{}
	ids := map[string]int64{}
	for name, c := range map[string]struct{ secret, certificate time.Time }{
		"certificate, ten days":    {never, in(10 * day)},
		"certificate, a long time": {never, in(400 * day)},
		"token, three hours":       {in(3 * time.Hour), never},
		"token, a long time":       {in(200 * day), never},
		"token, over":              {in(-time.Hour), never},
		"both, the token first":    {in(5 * day), in(300 * day)},
		"none":                     {never, never},
	} {
		key := su.leaks.secret()
		if !c.secret.IsZero() {
			key = su.tokenUntil(c.secret)
		}
		body := su.rest(label(name), "", key)
		if c.certificate.IsZero() {
			body = inside(body, object{"base_url": su.target(t, wants(key)).URL})
		} else {
			tg := su.endingTarget(t, wants(key), c.certificate)
			body = inside(body, object{"base_url": tg.URL, "tls.ca_certificate": tg.CA})
		}
		made := su.admin.create(t, with(body, object{"tags": []string{tag}}))
		made.again(t).wantEnds(t, never, never)
		made.probed(t).ok(t)
		made.again(t).wantEnds(t, c.secret, c.certificate)
		su.admin.get(t, "/data_credentials?name="+escape(made.text("name"))).ok(t).wantEnds(t, c.secret, c.certificate, 0)
		ids[name] = made.id
	}
	// One that was never probed, and one of another organisation's list.
	su.admin.create(t, with(su.s3(label("never probed")), object{"tags": []string{tag}}))
	for query, want := range map[string][]string{
		"expiring_within=1h":                      {"token, over"},
		"expiring_within=4h":                      {"token, over", "token, three hours"},
		"expiring_within=14d":                     {"token, over", "token, three hours", "both, the token first", "certificate, ten days"},
		"expiring_within=336h":                    {"token, over", "token, three hours", "both, the token first", "certificate, ten days"},
		"expiring_within=14d&validity=invalid":    nil,
		"expiring_within=14d&credentials_type=s3": nil,
		"expiring_within=3650d": {
			"token, over", "token, three hours", "both, the token first", "certificate, ten days", "token, a long time", "certificate, a long time",
		},
	} {
		r := su.admin.get(t, "/data_credentials?tags="+tag+"&"+query).ok(t).form(t, list(indexForm))
		var expected []int64
		for _, name := range want {
			expected = append(expected, ids[name])
		}
		got := r.ids()
		slices.Sort(got)
		slices.Sort(expected)
		if !slices.Equal(got, expected) {
			t.Errorf("%s gives %v, want %v (%q)", query, got, expected, want)
		}
		r.wantHeaders(t, map[string]string{"X-Total-Count": strconv.Itoa(len(want))})
	}
	page := su.admin.get(t, "/data_credentials?expiring_within=14d&per_page=3&page=2&tags="+tag).ok(t)
	page.wantHeaders(t, map[string]string{"X-Total-Count": "4", "X-Page-Count": "1", "X-Total-Page-Count": "2"})
	if other := su.other.get(t, "/data_credentials?access_role=collaborator&expiring_within=3650d&tags="+tag).ok(t); len(other.items()) != 0 {
		t.Error("another organisation sees what ends")
	}
}

func endOfASecret(t *testing.T, su *suite) {
	never, soon, late := time.Time{}, in(2*day), in(90*day)
	first, second := su.tokenUntil(soon), su.tokenUntil(late)
	tg := su.target(t, wants(first))
	c := su.admin.create(t, su.rest(label("an end"), tg.URL, first))
	c.probed(t).ok(t)
	c.again(t).wantEnds(t, soon, never)
	// A probe that cannot tell takes nothing away.
	down := always(503)
	tg.behaves.Store(&down)
	c.probed(t).unknown(t, "TARGET_UNAVAILABLE")
	c.again(t).wantEnds(t, soon, never)
	version := c.active(t)

	r := su.admin.put(t, c.path, object{"credentials": object{"api_key": second, "base_url": tg.URL}}).ok(t).form(t, fullForm)
	r.wantEnds(t, never, never)
	good := wants(second)
	tg.behaves.Store(&good)
	c.probed(t).ok(t)
	c.again(t).wantEnds(t, late, never)

	su.admin.post(t, c.path+"/rollback", object{"version": version}).ok(t).form(t, fullForm).wantEnds(t, soon, never)
	versions := su.admin.get(t, c.path+"/versions").ok(t)
	versions.wantEnds(t, late, never, 0)
	versions.wantEnds(t, soon, never, 1)
	twin := su.admin.post(t, c.path+"/copy", nil).ok(t).form(t, fullForm)
	t.Cleanup(func() { su.admin.delete(t, "/data_credentials/"+string(twin.at("id").(number)), nil) })
	twin.wantEnds(t, never, never)
}

// endUntried is of a certificate that ended already: nothing can be said of the
// secret, but why is known, and the list of what ends says so.
func endUntried(t *testing.T, su *suite) {
	over := in(-day)
	key := su.leaks.secret()
	tg := su.endingTarget(t, wants(key), over)
	c := su.admin.create(t, inside(su.rest(label("ended"), tg.URL, key), object{"tls.ca_certificate": tg.CA}))
	c.probed(t).unknown(t, "TLS_EXPIRED")
	c.again(t).wantEnds(t, time.Time{}, over)
	if got := su.admin.get(t, "/data_credentials?expiring_within=1h&name="+escape(c.text("name"))).ok(t).ids(); !slices.Equal(got, []int64{c.id}) {
		t.Errorf("what ended is not among what ends: %v", got)
	}
}
