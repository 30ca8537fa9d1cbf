package connector_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
)

// canonical is the canonical form of a text, whatever its type.
func canonical(text jsontext.Value) (jsontext.Value, error) {
	sent, err := connector.Parse(text)
	if err == nil && sent.Kind() != '{' {
		err = errors.New("no object")
	}
	if err != nil {
		return nil, err
	}
	return new(connector.Type).Canonical(sent)
}

func TestCanonical(t *testing.T) {
	for name, c := range map[string]struct{ sent, want string }{
		"empty":               {` { } `, `{}`},
		"keys sorted":         {`{"b":1,"a":{"d":[ 2, {"z":0,"y":0} ],"c":3}}`, `{"a":{"c":3,"d":[2,{"y":0,"z":0}]},"b":1}`},
		"numbers as sent":     {`{"a":1.0,"b":1e5,"c":-0,"d":12345678901234567890,"e":0.10}`, `{"a":1.0,"b":1e5,"c":-0,"d":12345678901234567890,"e":0.10}`},
		"texts keep spaces":   {`{"a":"  x\t "}`, `{"a":"  x\t "}`},
		"escapes undone":      {`{"a":"\/\u0041\u00e9\ud83d\ude00"}`, `{"a":"/Aé😀"}`},
		"escapes in keys":     {`{"\u0062":1,"a":2}`, `{"a":2,"b":1}`},
		"marks not composed":  {`{"a":"e\u0301"}`, "{\"a\":\"e\u0301\"}"},
		"HTML as it is":       {`{"a":"<&>\u2028"}`, "{\"a\":\"<&>\u2028\"}"},
		"its type left out":   {`{"credentials_type":"s3","a":1}`, `{"a":1}`},
		"its type, escaped":   {`{"credentials_typ\u0065":{"x":1},"a":1}`, `{"a":1}`},
		"only at the top":     {`{"a":{"credentials_type":"s3"}}`, `{"a":{"credentials_type":"s3"}}`},
		"null and truths":     {`{"a":null,"b":true,"c":false}`, `{"a":null,"b":true,"c":false}`},
		"names with dots":     {`{"a.b/c~d":1}`, `{"a.b/c~d":1}`},
		"UTF-16 order (8785)": {`{"\ufb33":1,"😀":2}`, "{\"😀\":2,\"\ufb33\":1}"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := canonical(jsontext.Value(c.sent))
			if err != nil || string(got) != c.want {
				t.Fatalf("got %s, %v; want %s", got, err, c.want)
			}
			if again, err := canonical(got); err != nil || string(again) != string(got) {
				t.Errorf("its own answer becomes %s, %v", again, err)
			}
		})
	}
	for name, sent := range map[string]string{
		"nothing": ``, "null": `null`, "an array": `["hunter2"]`, "a text": `"hunter2"`, "a number": `1`, "cut short": `{"a":"hunter2"`,
		"a key twice": `{"hunter2":1,"hunter2":2}`, "a key twice, deep": `{"a":{"hunter2":1,"hunter2":2}}`, "a second value": `{"a":1}{"hunter2":1}`,
		"no UTF-8": "{\"a\":\"hunter2\xff\"}", "half a pair": `{"a":"hunter2\ud800"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := canonical(jsontext.Value(sent))
			if err == nil {
				t.Fatalf("taken as %s", got)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error repeats what was sent")
			}
		})
	}
}

func TestCanonicalSize(t *testing.T) {
	fill := func(n int) jsontext.Value {
		third := (n - len(`{"a":"","b":"","c":""}`)) / 3
		rest := n - len(`{"a":"","b":"","c":""}`) - 2*third
		return jsontext.Value(`{ "a":"` + strings.Repeat("x", third) + `", "b":"` + strings.Repeat("x", third) + `", "c":"` + strings.Repeat("x", rest) + `"}`)
	}
	if got, err := canonical(fill(connector.MaxBytes)); err != nil || len(got) != connector.MaxBytes {
		t.Errorf("at the limit: %d bytes, %v", len(got), err)
	}
	if _, err := canonical(fill(connector.MaxBytes + 1)); !errors.Is(err, connector.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}

// secrets are texts that careless handling would change.
func secrets(n int) []string {
	key := make([]byte, 23<<10)
	_, _ = rand.Read(key)
	fixed := []string{
		" leading", "trailing ", "\ttab\t", "line\nbreak", "\r\n", "\"quoted\"", `back\slash`, `\u0041`, "</script>", "a/b", "\x7f", "\u0085", "\u2028\u2029", "\ufeff",
		"e\u0301", "\u00e9", "\u1e9b\u0323", "ﬁ", "😀👩‍👩‍👧‍👦", "🇩🇪", "\u202egnp.exe", "Ａ", "ſ", "İ", "0", "null", "true", "1e5", "{}", "\x01\x02\x1f",
		base64.StdEncoding.EncodeToString(key[:300]), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
	alphabet := []rune("aZ09 \t\n\r\"\\/<>&'é\u0301\u200d\u00a0😀\U0010ffff\ufffd\ue000\x01\x1f\x7f")
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for range n {
		text := make([]rune, r.IntN(24))
		for i := range text {
			text[i] = alphabet[r.IntN(len(alphabet))]
		}
		fixed = append(fixed, string(text))
	}
	return fixed
}

// escape writes a text as JSON, each character in one of the ways it may be.
func escape(r *mathrand.Rand, text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch plain, _ := jsontext.AppendQuote(nil, string(c)); {
		case c == '/' && r.IntN(2) == 0:
			b.WriteString(`\/`)
		case c <= 0xffff && r.IntN(3) == 0:
			const hex = "0123456789abcdefABCDEF"
			b.WriteString(`\u` + string([]byte{hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15]}))
		default:
			b.Write(plain[1 : len(plain)-1])
		}
	}
	b.WriteByte('"')
	return b.String()
}

// TestSecretsAreKept seals and reads back 100,000 secrets: each must be the one
// that was sent, byte for byte, however it was escaped.
func TestSecretsAreKept(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(3, 4))
	all := secrets(100_000)
	for i, want := range all {
		if len(want) > connector.MaxTextBytes {
			t.Fatalf("secret %d is longer than a text may be", i)
		}
		sent := jsontext.Value(`{"k": ` + escape(r, want) + `, "nested": [{"again":` + escape(r, want) + `}]}`)
		sealed, err := canonical(sent)
		if err != nil {
			t.Fatalf("secret %d: %v", i, err)
		}
		var got struct {
			K      string `json:"k"`
			Nested []struct {
				Again string `json:"again"`
			} `json:"nested"`
		}
		if err := json.Unmarshal(sealed, &got); err != nil || got.K != want || len(got.Nested) != 1 || got.Nested[0].Again != want {
			t.Fatalf("secret %d of %d bytes is another one when it comes back", i, len(want))
		}
		if again, err := canonical(sealed); err != nil || string(again) != string(sealed) {
			t.Fatalf("secret %d is sealed otherwise the second time", i)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"b":"\u00e9","a":[{"d":1e2,"c":null}]}`, `{"a":1,"a":2}`, `{"credentials_type":1}`} {
		f.Add([]byte(seed))
	}
	files, err := filepath.Glob("builtin/testdata/hostile/*")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		seed, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		before := string(sent)
		sealed, err := canonical(sent)
		if string(sent) != before {
			t.Fatal("what was given is changed")
		}
		if err != nil {
			return
		}
		again, err := canonical(sealed)
		if err != nil || string(again) != string(sealed) {
			t.Fatalf("%q is sealed as %q, and that as %q, %v", sent, sealed, again, err)
		}
		want, got := leaves(t, sent), leaves(t, sealed)
		maps.DeleteFunc(want, func(at jsontext.Pointer, _ string) bool {
			first, _, _ := strings.Cut(string(at[min(1, len(at)):]), "/")
			return first == "credentials_type"
		})
		if !maps.Equal(want, got) {
			t.Fatalf("%q is sealed as %q", sent, sealed)
		}
	})
}

// leaves are the values of an object by their places: a text unescaped, a number
// as it is spelt, of an array or object that it begins there.
func leaves(t *testing.T, v []byte) map[jsontext.Pointer]string {
	t.Helper()
	found := map[jsontext.Pointer]string{}
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	for {
		token, err := dec.ReadToken()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatalf("%q is no JSON", v)
		}
		kind, length := dec.StackIndex(dec.StackDepth())
		if name := kind == '{' && length%2 == 1; !name && token.Kind() != '}' && token.Kind() != ']' {
			found[dec.StackPointer()] = string(token.Kind()) + token.String()
		}
	}
}
