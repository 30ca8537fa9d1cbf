package httpapi_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/httpapi"
)

// read sends a body through the Stack to an endpoint that declares name, tags
// and credentials, and returns what Body made of it.
func read(t testing.TB, body string) (*httpapi.Object, error) {
	t.Helper()
	var o *httpapi.Object
	var err error
	// The body is kept: it is cleared when the request ends.
	ready, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		withRequest(t, "/", body, func(r *httpapi.Request) {
			o, err = r.Body("name", "tags", "credentials")
			close(ready)
			<-end
		})
	}()
	t.Cleanup(func() { close(end); <-ended })
	<-ready
	return o, err
}

func withRequest(t testing.TB, target, body string, do func(*httpapi.Request)) {
	t.Helper()
	served := false
	h := mustStack(t, httpapi.Route{Pattern: "POST /a", Needs: access.SignedIn, Query: []string{"*"}, Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
		served = true
		do(r)
		return httpapi.Answer{}, nil
	}})
	_, query, _ := strings.Cut(target, "?")
	r := httptest.NewRequest("POST", "/a", strings.NewReader(body))
	r.URL.RawQuery = query
	r.Header.Set("Authorization", "Bearer good")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if !served || w.Code != 200 {
		t.Fatalf("the endpoint was not served: %d", w.Code)
	}
}

func nest(open, shut string, n int) string {
	return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n)
}

func listOf(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]" }

// badBodies is what a body may not be: document, pointer, detail.
var badBodies = map[string][3]string{
	"empty":                   {"", "", fault.DetailRequired},
	"blank":                   {" \n\t", "", fault.DetailRequired},
	"null":                    {`null`, "", fault.DetailWrongKind},
	"an array":                {`[]`, "", fault.DetailWrongKind},
	"a text":                  {`"canary"`, "", fault.DetailWrongKind},
	"duplicate key":           {`{"name":"canary","name":"b"}`, "/name", fault.DetailDuplicate},
	"duplicate, escaped":      {`{"name":"canary","n\u0061me":"b"}`, "/name", fault.DetailDuplicate},
	"duplicate, unknown":      {`{"canary":1,"canary":2}`, "", fault.DetailDuplicate},
	"duplicate, deep":         {`{"credentials":{"a":{"canary":1,"canary":2}}}`, "/credentials", fault.DetailDuplicate},
	"invalid UTF-8":           {"{\"name\":\"canary\xff\"}", "", fault.DetailMalformed},
	"invalid UTF-8 in a name": {"{\"canary\xff\":1}", "", fault.DetailMalformed},
	"overlong UTF-8":          {"{\"name\":\"\xc0\xaf\"}", "", fault.DetailMalformed},
	"lone surrogate":          {`{"name":"canary\ud800"}`, "/name", fault.DetailMalformed},
	"lone low surrogate":      {`{"credentials":{"canary":"\udc00"}}`, "/credentials", fault.DetailMalformed},
	"text after a surrogate":  {`{"name":"\ud800canary"}`, "/name", fault.DetailMalformed},
	"a second value":          {`{"name":"a"} {"name":"canary"}`, "", fault.DetailMalformed},
	"a second text":           {`{"name":"a"} "canary"`, "", fault.DetailMalformed},
	"text behind":             {`{"name":"a"} canary`, "", fault.DetailMalformed},
	"a brace too many":        {`{"name":"a"}}`, "", fault.DetailMalformed},
	"cut short":               {`{"name":"canary"`, "", fault.DetailMalformed},
	"cut in a text":           {`{"name":"canary`, "/name", fault.DetailMalformed},
	"only a brace":            {`{`, "", fault.DetailMalformed},
	"u0000":                   {`{"credentials":{"p":"canary\u0000"}}`, "/credentials", fault.DetailForbidden},
	"u0000 in a name":         {`{"credentials":{"canary\u0000":1}}`, "/credentials", fault.DetailForbidden},
	"raw NUL":                 {"{\"name\":\"canary\x00\"}", "/name", fault.DetailMalformed},
	"NUL between":             {"{\x00}", "", fault.DetailMalformed},
	"raw line break":          {"{\"name\":\"canary\n\"}", "/name", fault.DetailMalformed},
	"byte order mark":         {"\ufeff{}", "", fault.DetailMalformed},
	"seventeen deep":          {`{"credentials":` + nest("[", "]", 16) + `}`, "/credentials" + strings.Repeat("/0", 15), fault.DetailTooLong},
	"ten thousand deep":       {nest("[", "]", 10001), "", fault.DetailTooLong},
	"513 elements":            {`{"tags":` + listOf(512) + `}`, "/tags/511", fault.DetailTooLong},
	"a number of 33":          {`{"credentials":{"canary":` + strings.Repeat("7", 33) + `}}`, "/credentials", fault.DetailTooLong},
	"a text of 32 KB and 1":   {`{"name":"` + strings.Repeat("c", 32<<10+1) + `"}`, "/name", fault.DetailTooLong},
	"a name of 32 KB and 1":   {`{"` + strings.Repeat("c", 32<<10+1) + `":1}`, "", fault.DetailTooLong},
	"__proto__":               {`{"__proto__":1}`, "", fault.DetailForbidden},
	"__proto__, escaped":      {`{"\u005f_proto__":1}`, "", fault.DetailForbidden},
	"constructor, deep":       {`{"credentials":{"a":[{"constructor":"canary"}]}}`, "/credentials", fault.DetailForbidden},
	"prototype":               {`{"tags":[{"prototype":1}]}`, "/tags/0", fault.DetailForbidden},
	"an array as a name":      {`{[]:1}`, "", fault.DetailMalformed},
	"a number as a name":      {`{1:1}`, "", fault.DetailMalformed},
	"a trailing comma":        {`{"name":"canary",}`, "", fault.DetailMalformed},
	"a comment":               {`{"name":"a"/*canary*/}`, "", fault.DetailMalformed},
	"NaN":                     {`{"name":NaN}`, "/name", fault.DetailMalformed},
	"a leading zero":          {`{"name":012}`, "", fault.DetailMalformed},
	"a plus":                  {`{"name":+1}`, "/name", fault.DetailMalformed},
	"hexadecimal":             {`{"name":0x1}`, "", fault.DetailMalformed},
	"single quotes":           {`{'name':'canary'}`, "", fault.DetailMalformed},
	"a bad escape":            {`{"name":"\x41canary"}`, "/name", fault.DetailMalformed},
}

func TestBadBodies(t *testing.T) {
	for name, row := range badBodies {
		t.Run(name, func(t *testing.T) {
			o, err := read(t, row[0])
			var e *fault.Error
			if o != nil || !fault.Is(err, fault.CodeMalformedJSON) {
				t.Fatalf("read as %v, %v", o, err)
			}
			e = err.(*fault.Error)
			if len(e.Details) != 1 || e.Details[0].Code != row[2] {
				t.Fatalf("details are %+v, want one %s", e.Details, row[2])
			}
			if p := e.Details[0].Pointer; p != row[1] {
				t.Errorf("pointer is %q, want %q", p, row[1])
			}
			if strings.Contains(fmt.Sprintf("%+v %v", e.Details, err), "canary") {
				t.Error("the error repeats what was sent")
			}
		})
	}
}

func TestGoodBodies(t *testing.T) {
	for name, body := range map[string]string{
		"empty object":    `{}`,
		"white space":     " \r\n\t{ } \n",
		"sixteen deep":    `{"credentials":` + nest("[", "]", 15) + `}`,
		"512 members":     `{"tags":` + listOf(511) + `}`,
		"a number of 32":  `{"credentials":` + strings.Repeat("7", 32) + `}`,
		"a text of 32 KB": `{"name":"` + strings.Repeat("c", 32<<10) + `"}`,
		"32 KB escaped":   `{"name":"` + strings.Repeat(`\n`, 32<<10) + `"}`,
		"names by case":   `{"name":1,"NAME":2}`,
		"a pair":          `{"name":"\ud83d\ude00"}`,
		"1e400":           `{"credentials":1e400}`,
		"proto in a text": `{"name":"__proto__"}`,
		"an empty name":   `{"":1}`,
	} {
		if o, err := read(t, body); err != nil || o == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValuesAreKeptByteForByte(t *testing.T) {
	const value = `{ "p" :"\u0041\/e\u0301\ud83d\ude00 ", "n": 1.50e+02 ,"a":[ ]}`
	o, err := read(t, `{"credentials":`+value+` ,"name":null}`)
	if err != nil {
		t.Fatal(err)
	}
	if raw, state := o.Node("credentials"); state != httpapi.Present || string(raw.Raw) != value {
		t.Errorf("read %q, %v", raw, state)
	}
	if raw, state := o.Node("name"); state != httpapi.Null || raw.Kind() != 0 {
		t.Errorf("null reads as %q, %v", raw, state)
	}
	if _, state := o.Node("Name"); state != httpapi.Absent || o.Has("Name") || !o.Has("name") {
		t.Error("names are not matched exactly")
	}
}

func TestFieldsGatherTheirFaults(t *testing.T) {
	o, err := read(t, `{"a":7,"b":"x\u0007","c":"`+strings.Repeat("ß", 256)+`","d":null,"e":"  ","f":"up","g":"x\u202ey",
		"i":1.5,"j":"7","k":9007199254740993,"l":"1e3","m":"yes","n":[1,"x"],"o":{"p":3},"q":[{"r":true},{"r":"t"}],"s":"2026-01-31","t":{"u":1},
		"v":[[]],"w":"a\nb","x/~y":1,"z":true,"ok":"e\u0301\ud83d\ude00"}`)
	if err != nil {
		t.Fatal(err)
	}
	o.Text("a", httpapi.TextRule{})
	o.Text("b", httpapi.TextRule{})
	o.Text("c", httpapi.TextRule{})
	o.Text("d", httpapi.TextRule{Required: true})
	o.Text("e", httpapi.TextRule{Required: true})
	o.Text("f", httpapi.TextRule{OneOf: []string{"on", "off"}})
	o.Text("g", httpapi.TextRule{})
	o.Int("i", 1, 10)
	if n, state := o.Int("j", 1, 10); n != 7 || state != httpapi.Present {
		t.Errorf("a number in a text reads as %d, %v", n, state)
	}
	o.Int("k", 1, 1<<53-1)
	o.Int("l", 1, 10)
	o.Bool("m")
	o.Texts("n", 5, httpapi.TextRule{})
	if inner, state := o.Object("o"); state == httpapi.Present {
		inner.Text("p", httpapi.TextRule{})
		inner.Require("q")
	}
	if list, state := o.Objects("q", 2); state == httpapi.Present {
		for _, inner := range list {
			inner.Bool("r")
		}
	}
	o.Objects("q", 1)
	o.Time("s")
	o.Texts("t", 5, httpapi.TextRule{})
	o.Objects("v", 5)
	o.Text("w", httpapi.TextRule{})
	o.Text("x/~y", httpapi.TextRule{})
	if text, state := o.Text("w", httpapi.TextRule{Lines: true}); text != "a\nb" || state != httpapi.Present {
		t.Errorf("lines read as %q, %v", text, state)
	}
	if text, state := o.Text("ok", httpapi.TextRule{}); text != "\u00e9\U0001f600" || state != httpapi.Present {
		t.Errorf("a good text reads as %+q, %v", text, state)
	}
	if text, state := o.Text("ok", httpapi.TextRule{Exact: true}); text != "e\u0301\U0001f600" || state != httpapi.Present {
		t.Errorf("a text of another system reads as %+q, %v", text, state)
	}
	if v, state := o.Bool("z"); !v || state != httpapi.Present {
		t.Errorf("true reads as %v, %v", v, state)
	}
	want := []string{
		" unknown_value", "/a wrong_kind", "/b not_allowed", "/c too_long", "/d required", "/e required", "/f unknown_value", "/g not_allowed",
		"/i wrong_kind", "/k out_of_range", "/l wrong_kind", "/m wrong_kind", "/n/0 wrong_kind", "/o/p wrong_kind", "/o/q required",
		"/q/1/r wrong_kind", "/q too_long", "/s malformed", "/t wrong_kind", "/v/0 wrong_kind", "/w not_allowed", "/x~1~0y wrong_kind",
	}
	if got := details(o.Err()); !reflect.DeepEqual(got, want) {
		t.Errorf("faults are\n%q, want\n%q", got, want)
	}
}

func details(err error) []string {
	e, ok := err.(*fault.Error)
	if !ok {
		return nil
	}
	var out []string
	for _, d := range e.Details {
		out = append(out, d.Pointer+" "+d.Code)
	}
	return out
}

func TestABareList(t *testing.T) {
	for body, want := range map[string]string{
		`["a","b","a"]`:        "a b",
		` [ ] `:                "",
		`{"tags":["a","b"]}`:   "a b",
		`[1,"b"]`:              "/0 wrong_kind",
		`{"tags":["a",2]}`:     "/tags/1 wrong_kind",
		`["a"`:                 "malformed",
		`["\u0000"]`:           "malformed",
		``:                     "malformed",
		`["a"]["b"]`:           "malformed",
		`["a","b","c","d"]`:    " too_long",
		`{"tags":[1,2,3,4,5]}`: "/tags too_long",
	} {
		withRequest(t, "/", body, func(r *httpapi.Request) {
			o, err := r.BodyList("tags")
			if err != nil {
				if want != "malformed" || !fault.Is(err, fault.CodeMalformedJSON) {
					t.Errorf("%s: %v", body, err)
				}
				return
			}
			tags, _ := o.Texts("tags", 3, httpapi.TextRule{})
			got := strings.Join(append(tags, details(o.Err())...), " ")
			if got != want {
				t.Errorf("%s reads as %q, want %q", body, got, want)
			}
		})
	}
}

func TestHasBody(t *testing.T) {
	for body, want := range map[string]bool{"": false, " \n": false, "{}": true, "x": true} {
		withRequest(t, "/", body, func(r *httpapi.Request) {
			if r.HasBody() != want {
				t.Errorf("%q: %v", body, r.HasBody())
			}
		})
	}
}

// FuzzBody holds whatever comes in to the promises: an error is one
// malformed_json that says where in declared names only, and what is let
// through is I-JSON that reads back as it was sent.
func FuzzBody(f *testing.F) {
	for _, row := range badBodies {
		f.Add(row[0])
	}
	f.Add(`{"name":"a","tags":["b",1.5e3],"credentials":{"x":{"y":[null,true]}}}`)
	declared := map[string]bool{"": true, "name": true, "tags": true, "credentials": true}
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > httpapi.MaxBodyBytes {
			return
		}
		o, err := read(t, body)
		if err == nil {
			if raw := jsontext.Value(body); !raw.IsValid() {
				t.Fatal("what is no JSON was let through")
			}
			if raw, state := o.Node("credentials"); state == httpapi.Present && !strings.Contains(body, string(raw.Raw)) {
				t.Fatal("a value is not as it was sent")
			}
			return
		}
		e, ok := err.(*fault.Error)
		if !ok || e.Code != fault.CodeMalformedJSON || len(e.Details) != 1 {
			t.Fatalf("not one malformed_json: %T", err)
		}
		for part := range strings.SplitSeq(e.Details[0].Pointer, "/") {
			if !declared[part] && strings.Trim(part, "0123456789") != "" {
				t.Fatal("the pointer repeats a name that was sent")
			}
		}
	})
}

func BenchmarkBadBody(b *testing.B) {
	for name, body := range map[string]string{
		"quote missing":   `{"name":"` + strings.Repeat("c", 30<<10) + `","credentials":"` + strings.Repeat("c", 30<<10) + `","tags":["` + strings.Repeat("x", 190<<10),
		"white space":     strings.Repeat(" ", httpapi.MaxBodyBytes-1) + "x",
		"invalid at end":  `{"name":"` + strings.Repeat("é", 120<<10) + "\xff",
		"a long number":   `{"name":` + strings.Repeat("7", 250<<10) + `}`,
		"many names":      manyNames(),
		"deep":            strings.Repeat(`[`, httpapi.MaxBodyBytes),
		"escapes":         `{"name":"` + strings.Repeat(`\u0041`, 40<<10) + `"}`,
		"many small ones": "[" + strings.Repeat("1,", 127<<10),
	} {
		b.Run(name, func(b *testing.B) {
			h := mustStack(b, httpapi.Route{Pattern: "POST /a", Needs: access.SignedIn, Query: []string{"*"}, Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
				_, err := r.Body("name")
				return httpapi.Answer{}, err
			}})
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("POST", "/a", strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer good")
				h.ServeHTTP(w, r)
				if w.Code != 400 {
					b.Fatalf("%d", w.Code)
				}
			}
		})
	}
}

func manyNames() string {
	var s strings.Builder
	s.WriteString("{")
	for n := range 20000 {
		fmt.Fprintf(&s, `"n%d":1,`, n)
	}
	return s.String()
}
