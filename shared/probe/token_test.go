package probe_test

import (
	"context"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/secret"
)

// jwt writes a token of these two parts, with a signature that is none.
func jwt(head, claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(head)) + "." + part([]byte(claims)) + ".canary-signature"
}

// tokenEnd is what a probe that sends this tells of its end; "" for nothing.
func tokenEnd(t *testing.T, sent string) string {
	t.Helper()
	return run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
		a.TokenEnds(secret.NewText(sent))
		return a.Explain(a.Stage(probe.Auth, func() error { return probe.Found(probe.CodeRateLimited, "") }))
	}).Facts[probe.FactExpires]
}

func TestTokenEnds(t *testing.T) {
	const head, at = `{"alg":"RS256","typ":"JWT"}`, "2027-01-15T08:00:00Z"
	good := jwt(head, `{"sub":"loader","exp":1800000000}`)
	for name, row := range map[string]struct{ sent, want string }{
		"a token":             {good, at},
		"in a header":         {"Bearer " + good, at},
		"without a signature": {jwt(`{"alg":"none"}`, `{"exp":1800000000}`), at},
		"a fraction":          {jwt(head, `{"exp":1800000000.9}`), at},
		"an exponent":         {jwt(head, `{"exp":1.8e9}`), at},
		"the first second":    {jwt(head, `{"exp":0}`), "1970-01-01T00:00:00Z"},
		"the last":            {jwt(head, `{"exp":253402300799}`), "9999-12-31T23:59:59Z"},
		"beyond the last":     {jwt(head, `{"exp":253402300800}`), ""},
		"milliseconds":        {jwt(head, `{"exp":1800000000000}`), ""},
		"beyond all":          {jwt(head, `{"exp":1e300}`), ""},
		"negative":            {jwt(head, `{"exp":-1}`), ""},
		"as text":             {jwt(head, `{"exp":"1800000000"}`), ""},
		"null":                {jwt(head, `{"exp":null}`), ""},
		"none":                {jwt(head, `{"sub":"loader"}`), ""},
		"of another name":     {jwt(head, `{"EXP":1800000000}`), ""},
		"twice":               {jwt(head, `{"exp":1800000000,"exp":1900000000}`), ""},
		"no algorithm":        {jwt(`{"typ":"JWT"}`, `{"exp":1800000000}`), ""},
		"no object":           {jwt(head, `1800000000`), ""},
		"two parts":           {good[:strings.LastIndex(good, ".")], ""},
		"five parts":          {good + ".x.y", ""},
		"a word behind it":    {good + " x", ""},
		"base64 with padding": {base64.URLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + good[strings.Index(good, "."):], ""},
		"no base64":           {"a.b!.c", ""},
		"a key":               {"canary.key.word", ""},
		"nothing":             {"", ""},
	} {
		if got := tokenEnd(t, row.sent); got != row.want {
			t.Errorf("%s: ends at %q, want %q", name, got, row.want)
		}
	}
}

// Whatever a secret is, it is no token or has an end that can be read back, and
// nothing of it is told.
func FuzzTokenEnds(f *testing.F) {
	for _, claims := range []string{`{"exp":1800000000}`, `{"exp":1e300}`, `{"exp":-0.5}`, `[]`, `{"exp":253402300799.9999}`} {
		f.Add(jwt(`{"alg":"HS256"}`, claims))
	}
	f.Add("Bearer a.b.c")
	f.Add("..")
	f.Fuzz(func(t *testing.T, sent string) {
		end := tokenEnd(t, sent)
		if end == "" {
			return
		}
		if at, err := time.Parse(time.RFC3339, end); err != nil || strings.Count(sent, ".") < 2 || at.Year() < 1970 {
			t.Error("the end that was told is none")
		}
	})
}

// Of several ends the first is told; one that is no time in a calendar is none.
func TestEnds(t *testing.T) {
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	late := make(chan *probe.Attempt, 1)
	got := run(t, probe.Config{}, func(_ context.Context, a *probe.Attempt) probe.Finding {
		for _, text := range []string{"2031-05-06T07:08:09+02:00", "2030-01-01T00:00:00Z", "2032-01-01T00:00:00Z"} {
			a.Ends(probe.FactExpires, at(text))
		}
		a.Ends(probe.FactCertificateEnd, time.Time{})
		a.Ends(probe.FactCertificateEnd, at("9999-12-31T23:59:59-01:00"))
		a.Ends("other", at("2030-01-01T00:30:00.9+02:00"))
		late <- a
		return a.Explain(a.Stage(probe.Auth, func() error { return probe.Found(probe.CodeRateLimited, "") }))
	})
	(<-late).Ends(probe.FactExpires, at("2029-01-01T00:00:00Z"))
	if want := map[string]string{"expires_at": "2030-01-01T00:00:00Z", "other": "2029-12-31T22:30:00Z"}; !maps.Equal(got.Facts, want) {
		t.Errorf("facts %v, want %v", got.Facts, want)
	}
	if !got.Time(probe.FactExpires).Equal(at("2030-01-01T00:00:00Z")) || !got.Time(probe.FactCertificateEnd).IsZero() {
		t.Errorf("read back as %v and %v", got.Time(probe.FactExpires), got.Time(probe.FactCertificateEnd))
	}
	if odd := (probe.Result{Facts: map[string]string{probe.FactExpires: "soon"}}); !odd.Time(probe.FactExpires).IsZero() {
		t.Error("a word is read as a time")
	}
}
