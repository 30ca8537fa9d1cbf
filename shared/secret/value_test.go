package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	jsonv1 "encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"log" //nolint:depguard // drivers print with it, so a value must survive it
	"log/slog"
	"net/url"
	"slices"
	"testing"
	"text/template"

	jsonv2 "github.com/go-json-experiment/json"
	"gopkg.in/yaml.v3"

	"credence/shared/secret"
	"credence/shared/secret/secrettest"
)

// canaries are secrets as people have them; each is searched for in all forms.
var canaries = map[string]string{
	"high entropy":         "k7Qw_Zt9-Xb4Lr2Vn8Hs6Pd1Gf3Jm5Tc0Yy",
	"short":                "p4ss",
	"quotes":               `he said "no" & 'yes' \ <b>`,
	"newline":              "first line\nsecond line\r\n\ttabbed",
	"unicode":              "pässwörd-ключ-鍵-🔑",
	"bytes":                "\x00\x01\xfe\xff\x80binary\x00tail",
	"looks like a verb":    "100%d%s%v%!x(MISSING)",
	"looks like JSON":      `{"password":"hunter2-hunter2"}`,
	"looks like a pem key": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHh4eHh4eHh4\n-----END PRIVATE KEY-----\n",
}

type exported struct {
	Name string
	V    secret.Value
}

type unexported struct {
	Name string
	v    secret.Value
}

type deep struct {
	Outer struct {
		inner struct {
			list []unexported
			ptr  *unexported
		}
		Map map[string]exported
	}
}

type embedded struct{ secret.Value }

type failure struct{ cause exported }

func (f *failure) Error() string { return fmt.Sprintf("doing a thing with %v", f.cause) }

// nestings are all the ways to hold a Value that a printer may meet.
func nestings(v secret.Value) map[string]any {
	var d deep
	d.Outer.inner.list = []unexported{{"a", v}}
	d.Outer.inner.ptr = &unexported{"b", v}
	d.Outer.Map = map[string]exported{"c": {"d", v}}
	err := fmt.Errorf("outer: %w", &failure{exported{"e", v}})
	return map[string]any{
		"direct":                v,
		"pointer":               &v,
		"pointer to pointer":    ptr(&v),
		"field":                 exported{"n", v},
		"pointer to struct":     &exported{"n", v},
		"unexported field":      unexported{"n", v},
		"pointer to unexported": &unexported{"n", v},
		"deep":                  d,
		"pointer to deep":       &d,
		"embedded":              embedded{v},
		"map value":             map[string]secret.Value{"k": v},
		"map of any":            map[string]any{"k": v, "s": exported{"n", v}},
		"slice":                 []secret.Value{v, v},
		"slice of unexported":   []unexported{{"n", v}},
		"array":                 [1]secret.Value{v},
		"interface":             any(v),
		"slice of any":          []any{v, &v, unexported{"n", v}},
		"error":                 err,
		"joined errors":         errors.Join(errors.New("first"), err),
		"in an error's verb":    fmt.Errorf("using %v, %s and %x", v, v, v),
		"channel's neighbour":   struct{ c chan secret.Value }{make(chan secret.Value, 1)},
		"func":                  struct{ f func() secret.Value }{func() secret.Value { return v }},
	}
}

func ptr[T any](v T) *T { return &v }

var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%q", "%#q", "%x", "%X", "%#x", "% x", "% X", "%d", "%o", "%b", "%c", "%U", "%e", "%t",
	"%p", "%T", "%+q", "%10v", "%-40s", "%.3s", "%08d", "%w", "%!", "%z",
}

// printers write a thing in every way the program, or a library of it, may. An
// error is printed too: encoders put what they choke on into it.
func printers() map[string]func(x any) string {
	all := map[string]func(x any) string{
		"Sprint":   func(x any) string { return fmt.Sprint(x) },
		"Sprintln": func(x any) string { return fmt.Sprintln(x) },
		"log": func(x any) string {
			var b bytes.Buffer
			log.New(&b, "", 0).Printf("%v %+v", x, x)
			return b.String()
		},
		"json v1":       func(x any) string { return either(jsonv1.Marshal(x)) },
		"json v2":       func(x any) string { return either(jsonv2.Marshal(x)) },
		"xml":           func(x any) string { return either(xml.Marshal(x)) },
		"yaml":          func(x any) string { return either(yaml.Marshal(x)) },
		"gob":           encodeGob,
		"template":      func(x any) string { return executeText(x, "{{.}} {{printf \"%v %x\" . .}}") },
		"html template": func(x any) string { return executeHTML(x) },
		"slog text":     func(x any) string { return logged(x, false) },
		"slog json":     func(x any) string { return logged(x, true) },
		"panic":         recovered,
	}
	for _, verb := range verbs {
		all["verb "+verb] = func(x any) string { return fmt.Sprintf(verb, x) }
	}
	return all
}

func either(b []byte, err error) string {
	if err != nil {
		return fmt.Sprintf("%s %v %#v", b, err, err)
	}
	return string(b)
}

func encodeGob(x any) string {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(x)
	return either(b.Bytes(), err)
}

func executeText(x any, text string) string {
	var b bytes.Buffer
	err := template.Must(template.New("t").Parse(text)).Execute(&b, x)
	return either(b.Bytes(), err)
}

func executeHTML(x any) string {
	var b bytes.Buffer
	err := htmltemplate.Must(htmltemplate.New("t").Parse(`<a href="/?q={{.}}" onclick="f({{.}})">{{.}}</a>`)).Execute(&b, x)
	return either(b.Bytes(), err)
}

func logged(x any, asJSON bool) string {
	var b bytes.Buffer
	var h slog.Handler = slog.NewTextHandler(&b, nil)
	if asJSON {
		h = slog.NewJSONHandler(&b, nil)
	}
	slog.New(h).With("w", x).WithGroup("g").Info("m", "a", x, slog.Group("h", "b", x), slog.Any("list", []any{x}))
	return b.String()
}

func recovered(x any) (text string) {
	defer func() { text = fmt.Sprintf("panic: %v [%+v]", recover(), x) }()
	panic(x)
}

func TestValueIsNeverPrinted(t *testing.T) {
	all, combinations := printers(), 0
	for name, canary := range canaries {
		search := secrettest.NewSearch([]byte(canary))
		for nesting, x := range nestings(secret.NewText(canary)) {
			for printer, print := range all {
				combinations++
				if forms := search.In([]byte(print(x))); len(forms) > 0 {
					t.Errorf("canary %q, nested as %q, printed by %q: leaks as %v", name, nesting, printer, forms)
				}
			}
		}
	}
	if want := len(canaries) * len(nestings(secret.Value{})) * len(all); combinations != want || want < 5000 {
		t.Errorf("%d combinations were tried, want %d and at least 5000", combinations, want)
	}
}

// leaky has the redacting methods but not the closure. fmt cannot call methods
// on unexported fields, so it leaks: the very fault Value is made against.
type leaky string

func (leaky) Format(s fmt.State, _ rune)   { _, _ = s.Write([]byte(secret.Redacted)) }
func (leaky) GoString() string             { return secret.Redacted }
func (leaky) String() string               { return secret.Redacted }
func (leaky) MarshalJSON() ([]byte, error) { return []byte(`"x"`), nil }
func (leaky) MarshalText() ([]byte, error) { return []byte("x"), nil }
func (leaky) LogValue() slog.Value         { return slog.StringValue("x") }

// TestSearchFindsPlantedLeaks shows that the search of the test above can fail:
// every form is planted through every printer that can carry it.
func TestSearchFindsPlantedLeaks(t *testing.T) {
	const canary = "k7Qw_Zt9-Xb4Lr2Vn8Hs6Pd1Gf3Jm5Tc0Yy"
	search := secrettest.NewSearch([]byte(canary))
	raw := []byte(canary)
	reversed := slices.Clone(raw)
	slices.Reverse(reversed)
	planted := map[string]struct{ text, form string }{
		"raw":                  {"before " + canary + " after", "raw"},
		"a window of it":       {"…" + canary[11:19] + "…", "window"},
		"hex":                  {fmt.Sprintf("%x", canary), "hex"},
		"upper hex":            {fmt.Sprintf("%X", canary), "hex"},
		"spaced hex":           {fmt.Sprintf("% x", canary), "hex"},
		"go syntax":            {fmt.Sprintf("%#v", raw), "hex"},
		"decimal bytes":        {printers()["Sprint"](raw), "decimal"},
		"decimal in JSON":      {either(jsonv1.Marshal(slices.Collect(ints(raw)))), "decimal"},
		"base64, offset 0":     {base64.StdEncoding.EncodeToString(raw), "base64"},
		"base64, offset 1":     {base64.StdEncoding.EncodeToString([]byte(":" + canary)), "base64"},
		"base64, offset 2":     {base64.URLEncoding.EncodeToString([]byte("u:" + canary + "!")), "base64"},
		"reversed":             {string(reversed), "reversed"},
		"utf-16le":             {utf16(canary), "utf-16le"},
		"unexported, by fmt":   {fmt.Sprintf("%v", struct{ v leaky }{canary}), "raw"},
		"unexported hex, fmt":  {printers()["verb %x"](struct{ v leaky }{canary}), "hex"},
		"json map key":         {either(jsonv1.Marshal(map[leaky]int{canary: 1})), "raw"},
		"slog of a plain text": {logged(canary, true), "raw"},
	}
	for name, p := range planted {
		if !slices.Contains(search.In([]byte(p.text)), p.form) {
			t.Errorf("planted %q: not found as %q", name, p.form)
		}
	}
	escaped := map[string]func(string) string{
		"quoted": func(s string) string { return fmt.Sprintf("%q", s) },
		"json":   func(s string) string { return either(jsonv2.Marshal(s)) },
		"url":    url.QueryEscape,
		"hex":    func(s string) string { return hex.EncodeToString([]byte(s)) },
	}
	for form, escape := range escaped {
		const awkward = "a\"b\nc d&é\\"
		if !slices.Contains(secrettest.NewSearch([]byte(awkward)).In([]byte(escape(awkward))), form) {
			t.Errorf("planted awkward text as %q: not found", form)
		}
	}
	if forms := search.In([]byte("nothing of the kind, only " + secret.Redacted)); len(forms) != 0 {
		t.Errorf("innocent text: found as %v", forms)
	}
}

func ints(b []byte) func(func(int) bool) {
	return func(yield func(int) bool) {
		for _, c := range b {
			if !yield(int(c)) {
				return
			}
		}
	}
}

func utf16(s string) string {
	var b []byte
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return string(b)
}

func TestValueKeepsItsBytes(t *testing.T) {
	for name, canary := range canaries {
		v := secret.NewText(canary)
		if got := v.ExposeText(); got != canary {
			t.Errorf("%s: ExposeText gives other text", name)
		}
		if got := v.Expose(); string(got) != canary || v.Len() != len(canary) {
			t.Errorf("%s: Expose gives other bytes, or Len %d is not %d", name, v.Len(), len(canary))
		}
	}
}

func TestValueSharesNoMemory(t *testing.T) {
	source := []byte("a secret of some length")
	v := secret.New(source)
	clear(source)
	clear(v.Expose())
	if v.ExposeText() != "a secret of some length" {
		t.Error("clearing what was given or got changed the value")
	}
}

func TestClear(t *testing.T) {
	v := secret.New([]byte("canary"))
	shared := v
	shared.Clear()
	if got := v.Expose(); len(got) != len("canary") || len(bytes.Trim(got, "\x00")) != 0 {
		t.Error("a copy of a cleared value still holds the secret")
	}
	secret.Value{}.Clear()
}

func TestZeroValue(t *testing.T) {
	var v secret.Value
	if v.Expose() != nil || v.ExposeText() != "" || v.Len() != 0 {
		t.Error("the zero value is not empty")
	}
	if v.String() != secret.Redacted || fmt.Sprintf("%x", v) != secret.Redacted {
		t.Error("the zero value does not print like any other")
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b secret.Value
		want bool
	}{
		{"same", secret.NewText("abc"), secret.New([]byte("abc")), true},
		{"other", secret.NewText("abc"), secret.NewText("abd"), false},
		{"prefix", secret.NewText("abc"), secret.NewText("ab"), false},
		{"zero and empty", secret.Value{}, secret.NewText(""), true},
		{"zero and some", secret.Value{}, secret.NewText("a"), false},
	} {
		if c.a.Equal(c.b) != c.want || c.b.Equal(c.a) != c.want {
			t.Errorf("%s: want %t both ways", c.name, c.want)
		}
	}
}

// TestRedactedCannotBeReadBack: an object printed and sent back must not turn
// what was shown into a secret.
func TestRedactedCannotBeReadBack(t *testing.T) {
	var back exported
	if err := jsonv2.Unmarshal([]byte(`{"Name":"n","V":"`+secret.Redacted+`"}`), &back); err == nil {
		t.Error("json v2 read the redacted text into a Value")
	}
	if err := jsonv1.Unmarshal([]byte(`{"Name":"n","V":"`+secret.Redacted+`"}`), &back); err == nil || back.V.Len() != 0 {
		t.Error("json v1 read the redacted text into a Value")
	}
}

func TestSearchRefusesTooShort(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a search for three bytes was made")
		}
	}()
	secrettest.NewSearch([]byte("abc"))
}
