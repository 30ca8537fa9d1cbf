package endtoend

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func revealChecks() []check {
	return []check{
		{"the owner reads the secret", reveal},
		{"a secret comes back byte for byte", revealExact},
		{"a reader who has the secret is told so", revealUnchanged},
	}
}

// strong is an entity tag that compares byte for byte (RFC 9110, 8.8.3).
var strong = regexp.MustCompile(`^"[!#-~]+"$`)

func reveal(t *testing.T, su *suite) {
	sent := inside(su.s3(label("reveal")), object{"credentials_type": "s3", "unknown.key": su.leaks.secret()})
	c := su.admin.create(t, sent)
	r := c.reveal(t).ok(t)
	want := without(sent["credentials"].(object), "credentials_type")
	got, _ := r.value.(object)
	if !reflect.DeepEqual(without(got, "credentials_type"), want) {
		t.Error("the object revealed is not the one that was sent")
	}
	if !strong.MatchString(r.header.Get("ETag")) {
		t.Errorf("the ETag is %q", r.header.Get("ETag"))
	}
	su.events(t, c, "create", "reveal")
	read, _ := su.admin.get(t, c.path+"/usage").ok(t).at("read_by").([]any)
	if len(read) != 1 {
		t.Fatalf("%d service keys have read it, want 1", len(read))
	}
	if o, _ := read[0].(object); toInt(o["version"]) != 1 || toInt(o["service_key_id"]) == 0 || o["last_read_on"] != time.Now().UTC().Format(time.DateOnly) {
		t.Errorf("the usage has the reader %v", o)
	}
	if list := su.admin.get(t, "/data_credentials?unused_for=1h&id="+decimal(c.id)).ok(t).items(); len(list) != 0 {
		t.Error("a credential that was created just now is listed as unused")
	}
}

func revealExact(t *testing.T, su *suite) {
	for name, secret := range map[string]string{
		"spaces around":     "  " + su.leaks.secret() + " \t",
		"quotes and slash":  `"` + su.leaks.secret() + `'\/` + "`",
		"lines":             su.leaks.secret() + "\r\nsecond\n",
		"base64":            base64.StdEncoding.EncodeToString([]byte{0, 255, 254, 1, 2, 3, 4, 5, 6, 7, 8, 9}),
		"emoji":             "\U0001F511" + su.leaks.secret() + "\U0001F469\u200d\U0001F680",
		"combining marks":   "e\u0301\u00e9" + su.leaks.secret(),
		"separators":        "\u2028" + su.leaks.secret() + "\u2029<script>&amp;",
		"one letter":        "x",
		"two stars":         "**",
		"a long key":        su.leaks.secret() + strings.Repeat("k\n", 8000),
		"what looks a type": "null",
	} {
		t.Run(name, func(t *testing.T) {
			c := su.admin.create(t, inside(su.s3(label("exact")), object{"secret_key": secret, "more": object{"deep": []string{secret}}}))
			r := c.reveal(t).ok(t)
			if r.text("secret_key") != secret || !reflect.DeepEqual(r.at("more", "deep"), []any{secret}) {
				t.Error("the secret comes back otherwise than it was sent")
			}
		})
	}
	// Numbers keep the text in which they were sent.
	body := `{"name":"numbers","credentials_type":"rest","credentials":{"base_url":"https://api.example.org","api_key":"` + su.leaks.secret() + `","n":[1.50,1E2,0.10,-0,12345678901234567]}}`
	r := su.admin.post(t, "/data_credentials", raw(body)).ok(t)
	path := "/data_credentials/" + string(r.at("id").(number))
	t.Cleanup(func() { su.admin.delete(t, path, nil) })
	got := su.admin.get(t, path+"/credentials", revealing()).ok(t).at("n")
	if want := []any{number("1.50"), number("1E2"), number("0.10"), number("-0"), number("12345678901234567")}; !reflect.DeepEqual(got, want) {
		t.Errorf("numbers come back as %v", got)
	}
}

func revealUnchanged(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("unchanged")))
	tag := c.reveal(t).ok(t).header.Get("ETag")
	for _, match := range []string{tag, `"other", ` + tag, "W/" + tag, "*"} {
		r := c.reveal(t, header("If-None-Match", match))
		if r.code != http.StatusNotModified || r.header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d with ETag %q, want 304 with %q", match, r.code, r.header.Get("ETag"), tag)
		}
	}
	c.reveal(t, header("If-None-Match", `"other"`)).ok(t)
	su.admin.put(t, c.path, object{"description": "the secret stays"}).ok(t)
	if r := c.reveal(t, header("If-None-Match", tag)); r.code != http.StatusNotModified {
		t.Errorf("a change of the description makes the secret new: %d", r.code)
	}
	su.admin.put(t, c.path, object{"credentials": su.s3Secrets()}).ok(t)
	if r := c.reveal(t, header("If-None-Match", tag)).ok(t); r.header.Get("ETag") == tag {
		t.Error("a new secret has the old one's ETag")
	}
}
