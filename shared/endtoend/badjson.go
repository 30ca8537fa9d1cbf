package endtoend

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func jsonChecks() []check {
	return []check{
		{"bodies that are no strict JSON", badJSON},
		{"bodies that only look wrong", oddJSON},
	}
}

// around puts a value where an unknown key of the credentials stands.
func around(value string) string {
	return `{"name":"j","credentials_type":"rest","credentials":{"base_url":"https://api.example.org","api_key":"abcdefgh-unseen","odd":` + value + `}}`
}

func badJSON(t *testing.T, su *suite) {
	nested := func(open, shut string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) }
	var members []string
	for i := range 600 {
		members = append(members, fmt.Sprintf(`"m%d":%d`, i, i))
	}
	for name, body := range map[string]string{
		"nothing":                   ``,
		"blank":                     "  \n",
		"null":                      `null`,
		"an array":                  `[]`,
		"a string":                  `"name"`,
		"a number":                  `12`,
		"cut short":                 `{"name":"j"`,
		"a comma too many":          `{"name":"j",}`,
		"single quotes":             `{'name':'j'}`,
		"a comment":                 `{"name":"j"/* c */}`,
		"a second value":            around(`1`) + around(`1`),
		"a byte order mark":         "\ufeff" + around(`1`),
		"a raw NUL":                 around("\"a\x00b\""),
		"a NUL in a string":         around(`"a\u0000b"`),
		"a lone surrogate":          around(`"\ud800"`),
		"a reversed pair":           around(`"\udc00\ud800"`),
		"invalid UTF-8":             around("\"\xff\xfe\""),
		"overlong UTF-8":            around("\"\xc0\xaf\""),
		"a raw newline":             around("\"a\nb\""),
		"a bad escape":              around(`"\x41"`),
		"a duplicate name":          `{"name":"j","name":"k","credentials_type":"rest","credentials":{"base_url":"https://api.example.org","api_key":"abcdefgh-unseen"}}`,
		"a duplicate name, escaped": `{"name":"j","n\u0061me":"k","credentials_type":"rest","credentials":{"base_url":"https://api.example.org","api_key":"abcdefgh-unseen"}}`,
		"a duplicate name, deep":    around(`{"a":{"b":1,"b":2}}`),
		"NaN":                       around(`NaN`),
		"a hexadecimal number":      around(`0x10`),
		"a leading zero":            around(`012`),
		"a number without end":      around(strings.Repeat("1", 40)),
		"seventeen arrays":          around(nested("[", "]", 17)),
		"seventeen objects":         around(nested(`{"a":`, "}", 17)),
		"nine thousand arrays":      around(nested("[", "]", 9000)),
		"six hundred members":       around("{" + strings.Join(members, ",") + "}"),
		"__proto__":                 around(`{"__proto__":{"admin":true}}`),
		"constructor":               around(`{"constructor":1}`),
		"prototype":                 `{"prototype":1,"name":"j","credentials_type":"rest","credentials":{"base_url":"https://api.example.org","api_key":"abcdefgh-unseen"}}`,
		"thirty-three thousand":     around(`"` + strings.Repeat("s", 33<<10) + `"`),
	} {
		t.Run(name, func(t *testing.T) {
			r := su.admin.post(t, "/data_credentials", raw(body))
			if r.code == http.StatusOK {
				su.admin.delete(t, "/data_credentials/"+string(r.at("id").(number)), nil)
			}
			r.refused(t, http.StatusBadRequest, "")
			if strings.Contains(string(r.body), "abcdefgh-unseen") {
				t.Error("the refusal repeats what was sent")
			}
		})
	}
}

func oddJSON(t *testing.T, su *suite) {
	for name, value := range map[string]string{
		"an empty object":    `{}`,
		"null":               `null`,
		"fourteen arrays":    strings.Repeat("[", 13) + strings.Repeat("]", 13),
		"a pair":             `"\ud83d\ude00"`,
		"an escaped slash":   `"a\/b"`,
		"a large number":     `12345678901234567890`,
		"white space":        " [ 1 ,\t2 ]\r\n",
		"a name with a dot":  `{"a.b/c~d":1}`,
		"names in two cases": `{"a":1,"A":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := su.admin.post(t, "/data_credentials", raw(around(value))).ok(t).form(t, fullForm)
			path := "/data_credentials/" + string(r.at("id").(number))
			t.Cleanup(func() { su.admin.delete(t, path, nil) })
			want, err := decode([]byte(value))
			if err != nil {
				t.Fatalf("the suite's own value is no JSON: %v", err)
			}
			if got := su.admin.get(t, path+"/credentials", revealing()).ok(t).at("odd"); !reflect.DeepEqual(got, want) {
				t.Errorf("what comes back is %s and not what was sent", kindOf(got))
			}
		})
	}
}

func limitChecks() []check {
	return []check{
		{"what is at a limit is served", atLimits},
		{"what is beyond a limit is refused", beyondLimits},
	}
}

func atLimits(t *testing.T, su *suite) {
	big := strings.Repeat("k", 31<<10)
	secrets := with(su.s3Secrets(), object{"more": big, "most": big})
	c := su.admin.create(t, object{"name": strings.Repeat("ß", 255), "description": strings.Repeat("d", 255), "credentials_type": "s3", "credentials": secrets})
	r := c.reveal(t).ok(t)
	if r.text("more") != big || r.text("most") != big {
		t.Error("a large secret comes back otherwise than it was sent")
	}
	secrets["more"] = strings.Repeat("m", 31<<10)
	su.admin.put(t, c.path, object{"credentials": secrets}).ok(t)
	su.admin.put(t, c.path, object{"name": "two words"}).ok(t)
}

func beyondLimits(t *testing.T, su *suite) {
	big := strings.Repeat("k", 31<<10)
	for name, c := range map[string]struct {
		body    any
		code    int
		pointer string
	}{
		"a body of 257 KB":        {with(su.s3("x"), object{"ignored": []string{big, big, big, big, big, big, big, big, big}}), http.StatusRequestEntityTooLarge, ""},
		"credentials of 248 KB":   {inside(su.s3("x"), object{"a": big, "b": big, "c": big, "d": big, "e": big, "f": big, "g": big, "h": big}), http.StatusRequestEntityTooLarge, ""},
		"a name of 256":           {su.s3(strings.Repeat("n", 256)), http.StatusBadRequest, "/name"},
		"a description of 256":    {with(su.s3("x"), object{"description": strings.Repeat("d", 256)}), http.StatusBadRequest, "/description"},
		"a control character":     {su.s3("a\u0007b"), http.StatusBadRequest, "/name"},
		"a newline":               {su.s3("a\nb"), http.StatusBadRequest, "/name"},
		"an escape sequence":      {su.s3("a\u001b[31mb"), http.StatusBadRequest, "/name"},
		"a bidirectional control": {su.s3("a\u202eb"), http.StatusBadRequest, "/name"},
		"an isolate":              {su.s3("a\u2066b"), http.StatusBadRequest, "/name"},
	} {
		t.Run(name, func(t *testing.T) {
			r := su.admin.post(t, "/data_credentials", c.body)
			if c.pointer == "" {
				r.refused(t, c.code, "too_large")
				return
			}
			r.refused(t, c.code, "", c.pointer)
		})
	}
	// Two spellings of one name are one name: Unicode's composed form.
	made := su.admin.create(t, su.s3("cafe\u0301"))
	if made.text("name") != "caf\u00e9" {
		t.Error("a name is not kept in its composed form")
	}
}
