package naming_test

import (
	"errors"
	"testing"
	"unicode/utf8"

	"credence/shared/naming"
)

func TestClean(t *testing.T) {
	for sent, want := range map[string]string{
		"warehouse":             "warehouse",
		"  warehouse\t\n":       "warehouse",
		"\u00a0\u3000a b\u2003": "a b",
		"a\u00a0b":              "a b",
		"a\u3000b":              "a b",
		"cafe\u0301":            "caf\u00e9",
		"q\u0301\u0323":         "q\u0323\u0301",
		"नमस्ते":                "नमस्ते",
		"\u1112\u1161\u11ab":    "\ud55c",
		"":                      "",
		" \u2029 ":              "",
		"日本 語":                  "日本 語",
		"می\u200cخواهم":         "می\u200cخواهم", // Persian, where it is seen
		"क्\u200dष":             "क्\u200dष",
		"⚠\ufe0f prod":          "⚠\ufe0f prod",
		"👩\u200d💻":              "👩\u200d💻",
		"❤\ufe0f\u200d🔥":        "❤\ufe0f\u200d🔥",
		"👩🏽\u200d🚀":             "👩🏽\u200d🚀",
		"1\ufe0f\u20e3":         "1\ufe0f\u20e3",
	} {
		got, err := naming.Clean(sent, false)
		if again, _ := naming.Clean(got, false); err != nil || got != want || again != got {
			t.Errorf("%+q: %+q, %v; want %+q", sent, got, err, want)
		}
	}
	for sent, want := range map[string]naming.CharacterError{
		"ware\u200bhouse":  {Rune: 0x200b, At: 5},
		"warehouse\u200b":  {Rune: 0x200b, At: 10},
		"\ufeffwarehouse":  {Rune: 0xfeff, At: 1},
		"soft\u00adhyphen": {Rune: 0xad, At: 5},
		"a\u200db":         {Rune: 0x200d, At: 2},
		"a\u200cb":         {Rune: 0x200c, At: 2},
		"a\u200d":          {Rune: 0x200d, At: 2},
		"a\u2060b":         {Rune: 0x2060, At: 2},
		"a\u202eb":         {Rune: 0x202e, At: 2},
		"a\u2066b":         {Rune: 0x2066, At: 2},
		"a\u3164b":         {Rune: 0x3164, At: 2},
		"a\u115fb":         {Rune: 0x115f, At: 2},
		"db1\ufe0f":        {Rune: 0xfe0f, At: 4},
		"a\ufe0fb":         {Rune: 0xfe0f, At: 2},
		"a\U000e0041":      {Rune: 0xe0041, At: 2},
		"a\u034fb":         {Rune: 0x34f, At: 2},
		"a\x00b":           {Rune: 0, At: 2},
		"a\nb":             {Rune: '\n', At: 2},
		"a\u2028b":         {Rune: 0x2028, At: 2},
		"\u0301":           {Rune: 0x301, At: 1}, // combining marks with nothing to combine with
		" \u0301a":         {Rune: 0x301, At: 1},
		"a \u0301":         {Rune: 0x301, At: 3},
		"a\u00a0\u0308b":   {Rune: 0x308, At: 3},
		"\u20e3":           {Rune: 0x20e3, At: 1},
		"\u093e":           {Rune: 0x93e, At: 1},
		"\u2800":           {Rune: 0x2800, At: 1},
		"a\u2800b":         {Rune: 0x2800, At: 2},
		"\ufffc":           {Rune: 0xfffc, At: 1},
		"a\U0001d159":      {Rune: 0x1d159, At: 2},
		"a\U00016fe4":      {Rune: 0x16fe4, At: 2},
		"\u2065":           {Rune: 0x2065, At: 1},
		"a\ufffe":          {Rune: 0xfffe, At: 2},
		"\uffa0":           {Rune: 0xffa0, At: 1},
		"a\ue000b":         {Rune: 0xe000, At: 2},
	} {
		var got *naming.CharacterError
		if text, err := naming.Clean(sent, false); !errors.As(err, &got) || *got != want || text != "" {
			t.Errorf("%+q: %+q, %v; want %v", sent, text, err, &want)
		}
	}
	if _, err := naming.Clean("a\n\u0301", true); err == nil {
		t.Error("a mark that begins a line is accepted")
	}
	for r, want := range map[rune]string{
		0x200b: "the invisible character U+200B at position 3",
		0x301:  "the combining mark without a letter before it, U+0301 at position 3",
	} {
		if got := (&naming.CharacterError{Rune: r, At: 3}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, err := naming.Clean(" a\r\n\tb\u00a0 \n", true); err != nil || got != "a\r\n\tb" {
		t.Errorf("lines: %+q, %v", got, err)
	}
}

// Whatever is cleaned stays so, and holds no character that Clean refuses alone.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{"a b", " \u200b", "e\u0301", "❤\ufe0f\u200d🔥", "\ufeff", "می\u200cخ"} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, lines bool) {
		if !utf8.ValidString(text) {
			return
		}
		got, err := naming.Clean(text, lines)
		if again, failed := naming.Clean(got, lines); err == nil && (failed != nil || again != got) {
			t.Fatalf("%+q became %+q, then %+q, %v", text, got, again, failed)
		}
	})
}
