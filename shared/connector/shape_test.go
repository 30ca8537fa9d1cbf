package connector_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/fault"
)

// brief is faults without their sentences, one a line.
func brief(faults []fault.Detail) string {
	var lines []string
	for _, d := range faults {
		lines = append(lines, d.Pointer+" "+d.Code)
	}
	return strings.Join(lines, "\n")
}

// TestDocsStateTheLimits compares README and the list of errors with the code.
func TestDocsStateTheLimits(t *testing.T) {
	for path, phrase := range map[string]string{
		"../../README.md": fmt.Sprintf("%d KB, %d members, %d levels, %d KB a text (%d KB of CA certificates)", connector.MaxBytes>>10,
			connector.MaxMembers, connector.MaxDepth, connector.MaxTextBytes>>10, connector.CACertificate().MaxBytes>>10),
		"../../docs/errors.md": fmt.Sprintf("or `credentials` longer than %d KB", connector.MaxBytes>>10),
	} {
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), phrase) {
			t.Errorf("%s lacks %q: %v", path, phrase, err)
		}
	}
}

func TestShape(t *testing.T) {
	typ := &connector.Type{Fields: []connector.Field{{Name: "a"}, {Name: "a/b"}, {Name: "x", Also: []string{"c~d"}}}}
	nested := func(open, shut string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) }
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	text := func(n int) string { return strings.Repeat("s", n) }
	for name, c := range map[string]struct{ sent, want string }{
		"an object":             {`{"a":"b"}`, ""},
		"nothing":               {``, "/credentials wrong_kind"},
		"null":                  {`null`, "/credentials wrong_kind"},
		"an array":              {`[{"a":1}]`, "/credentials wrong_kind"},
		"a text":                {`"{}"`, "/credentials wrong_kind"},
		"cut short":             {`{"a":1`, "/credentials malformed"},
		"a second value":        {`{"a":1}{"a":1}`, "/credentials malformed"},
		"a second number":       {`{"a":1} 2`, "/credentials malformed"},
		"a key twice":           {`{"a":1,"a":2}`, "/credentials malformed"},
		"no UTF-8":              {"{\"a\":\"\xff\"}", "/credentials malformed"},
		"sixteen levels":        {`{"z":` + nested("[", "]", 15) + `}`, ""},
		"seventeen levels":      {`{"a":` + nested("[", "]", 16) + `}`, "/credentials/a too_long"},
		"seventeen objects":     {nested(`{"a":`, "}", 17), "/credentials/a too_long"},
		"512 keys":              {keys(512), ""},
		"513 keys":              {keys(513), "/credentials too_long"},
		"513 keys, nested":      {`{"a":` + keys(512) + `}`, "/credentials too_long"},
		"a text of 32 KB":       {`{"a":"` + text(32<<10) + `"}`, ""},
		"a text of more":        {`{"a":"` + text(32<<10+1) + `"}`, "/credentials/a too_long"},
		"escapes do not count":  {`{"a":"` + strings.Repeat(`\u0061`, 32<<10) + `"}`, ""},
		"a number of 32":        {`{"z":` + strings.Repeat("1", 32) + `}`, ""},
		"a number of 33":        {`{"a":[1,` + strings.Repeat("1", 33) + `]}`, "/credentials/a too_long"},
		"U+0000":                {`{"a":"x\u0000y"}`, "/credentials/a malformed"},
		"U+0000 in a key":       {`{"a\u0000b":1}`, "/credentials malformed"},
		"__proto__":             {`{"a":{"__proto__":{}}}`, "/credentials/a not_allowed"},
		"__proto__, escaped":    {`{"\u005f_proto__":{}}`, "/credentials not_allowed"},
		"constructor":           {`{"constructor":1}`, "/credentials not_allowed"},
		"prototype":             {`{"prototype":1}`, "/credentials not_allowed"},
		"constructor as a text": {`{"a":"constructor","b":["__proto__"]}`, ""},
		"several at once":       {`{"a/b":"\u0000","c~d":"\u0000","prototype":1}`, "/credentials/a~1b malformed\n/credentials/c~0d malformed\n/credentials not_allowed"},
		"a key of nobody's":     {`{"hunter2":{"a":"\u0000"}}`, "/credentials malformed"},
		"faults without end":    {`[` + strings.Repeat(`"\u0000",`, 10) + `1]`, "/credentials wrong_kind"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, faults := typ.Check(jsontext.Value(c.sent)); brief(faults) != c.want {
				t.Errorf("got\n%s\nwant\n%s", brief(faults), c.want)
			}
		})
	}
	_, many := typ.Check(jsontext.Value(`{"a":[` + strings.Repeat(`"\u0000",`, 100) + `1]}`))
	if len(many) != 20 {
		t.Errorf("a hundred faults are told as %d", len(many))
	}
}
