package httpapi_test

import (
	"errors"
	"strings"
	"testing"

	"credence/shared/fault"
)

func TestWhereABodyIsNotJSON(t *testing.T) {
	for _, row := range []struct{ body, says string }{
		{`{"name":"canary",}`, `not valid JSON at line 1, column 17, after {"name":…. Remove this comma.`},
		{"{\n  \"name\": \"canary\",\n  \"credentials\": {\"canary\": hunter2}\n}", `not valid JSON at line 3, column 29, after {"name":…,"credentials":{…:. Put a text in double quotation marks`},
		{`{"name":True}`, `line 1, column 9, after {"name":. Put a text in double quotation marks; without them are numbers, true, false and null.`},
		{`{name:"canary"}`, `line 1, column 3, after {. Put the name in double quotation marks.`},
		{"{\"name\":\"can\nary\"}", `line 1, column 13, after {"name":. Within a text, write a line break as \n and a tab as \t.`},
		{`{"name":"can\qary"}`, `line 1, column 13, after {"name":. Write a backslash as \\.`},
		{`{"name":"can\users"}`, `line 1, column 13, after {"name":. Write a backslash as \\; \u takes four`},
		{"{\n\t'name': 1}", `not valid JSON at line 2, column 2, after {. Use double quotation marks.`},
		{`{"name":'canary'}`, `line 1, column 9, after {"name":. Use double quotation marks.`},
		{`{"credentials":{"canary":"can"ary}"}}`, `line 1, column 31, after {"credentials":{…:….`},
		{`{"credentials":{"canary":"can"ary","x":"}:,{"}}`, `line 1, column 31, after {"credentials":{…:….`},
		{`{"name" "canary"}`, `line 1, column 9, after {"name". A colon or a comma is missing`},
		{`{"tags":[1,2 3]}`, `line 1, column 14, after {"tags":[…,….`},
		{`{"name":/* canary */1}`, `JSON has no comments: remove this one.`},
		{`{"namé":1,"name":NaN}`, `line 1, column 18, after {…:…,"name":.`},
		{`{"name":"canary"`, `The body ends at line 1, column 17, after {"name":…, before its JSON does.`},
		{`"canary`, `The body ends at line 1, column 8, before its JSON does. Send all of it.`},
		{"{\"name\":\"a\"}\n{\"name\":\"canary\"}", `A second value follows the first, before line 2, column 1.`},
		{"{\"name\":\n\"canary\xff\"}", `The body is not valid UTF-8 at line 2, column 8.`},
		{"{\"name\":1,\n\"name\":\"canary\"}", `the second time at line 2, column 1.`},
		{`canary`, `The body is not JSON: it does not begin as JSON does, at line 1, column 1. Send a JSON object, in curly brackets.`},
		{`{"tags":[` + strings.Repeat(`"canary",`, 100) + `]}`, `after …` + strings.Repeat(",…", 30) + `. Remove this comma.`},
	} {
		_, err := read(t, row.body)
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, row.says) {
			t.Errorf("%s: %v, want %q in it", row.body, err, row.says)
			continue
		}
		if strings.Contains(e.Message, "canary") || strings.Contains(e.Message, "hunter") || strings.Contains(e.Message, "ary") {
			t.Errorf("%s: the error repeats what was sent: %s", row.body, e.Message)
		}
	}
}

func TestUnknownMembers(t *testing.T) {
	for _, row := range []struct{ body, pointer, says string }{
		{`{"tagz":[]}`, "/tagz", `There is no field "tagz". Did you mean tags?`},
		{`{"credentals":{}}`, "/credentals", "Did you mean credentials?"},
		{`{"Name":"a"}`, "/Name", "Did you mean name?"},
		{`{"hunter2canary":1}`, "", "A field is unknown here. Send only: name, tags, credentials."},
		{`{"hunter2canary":1,"canary":2}`, "", "2 fields are unknown here. Send only: name, tags, credentials."},
	} {
		o, err := read(t, row.body)
		if err != nil {
			t.Fatal(err)
		}
		var e *fault.Error
		if !errors.As(o.Err(), &e) || len(e.Details) != 1 || e.Details[0].Pointer != row.pointer || !strings.Contains(e.Details[0].Message, row.says) || e.Details[0].Code != fault.DetailUnknown {
			t.Errorf("%s: %+v", row.body, o.Err())
		} else if strings.Contains(e.Message, "canary") {
			t.Errorf("%s: the error repeats what was sent: %s", row.body, e.Message)
		}
	}
	if o, err := read(t, `{"name":"a","tags":[],"credentials":{"canary":1}}`); err != nil || o.Err() != nil {
		t.Errorf("known members: %v, %v", err, o.Err())
	}
}
