package conntest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/fault"
	"credence/shared/secret/secrettest"
)

// canary is a value that stands nowhere else.
const canary = "wq7ZxK93vbTn51Lh"

const strange = "key.of/nobody~else"

// unknown sends a key that no type has.
func unknown(s *subject) (found []string) {
	for _, one := range s.samples {
		before, _ := s.check(one.members)
		o := one.members.with(connector.Field{Name: strange}, strange, strconv.Quote(canary))
		after, faults := s.check(o)
		if len(faults) > 0 || after.Unknown() != before.Unknown()+1 {
			found = append(found, fmt.Sprintf("%s with a key of nobody's: %s, %d unknown", one.label, brief(faults), after.Unknown()))
			continue
		}
		if after.Method() != before.Method() || string(after.Public()) != string(before.Public()) || !slices.Equal(after.Known(), before.Known()) {
			found = append(found, fmt.Sprintf("%s with a key of nobody's means or shows something else", one.label))
		}
		sealed, err := s.seal(o)
		if err != nil || !bytes.Contains(sealed, []byte(canary)) {
			found = append(found, fmt.Sprintf("%s with a key of nobody's is sealed without it", one.label))
		}
	}
	return found
}

// public holds Public to the fields that are marked so.
func public(s *subject) (found []string) {
	for _, one := range s.samples {
		settings, _ := s.check(one.members)
		var shown map[string]jsontext.Value
		if err := json.Unmarshal(settings.Public(), &shown); err != nil || shown == nil {
			return []string{one.label + ": what is public is no object"}
		}
		for _, f := range s.typ.Fields {
			for _, name := range names(f) {
				_, sent := one.members[name]
				if _, ok := shown[name]; ok != (sent && f.Public) {
					found = append(found, fmt.Sprintf("%s: %s sent %t, public %t, shown %t", one.label, name, sent, f.Public, ok))
				}
				delete(shown, name)
			}
		}
		if len(shown) > 0 {
			found = append(found, fmt.Sprintf("%s: %d settings are shown that the type does not declare", one.label, len(shown)))
		}
	}
	return found
}

// address are names of fields that take a URL.
var address = regexp.MustCompile(`(url|uri|endpoint)$`)

// planted are secrets where they do not belong, as people paste them. Each has the
// canary, or, where it is encoded, ends as encoded does.
func planted() []string {
	half := canary[:8]
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	return []string{
		"postgresql://u1:" + canary + "@db.example.com:5432/app", "https://" + canary + "@h.example.com/x", "redis://:" + canary + "@h.example.com:6379/0",
		"postgresql://u1:" + half + "/" + canary + "@h/app", "postgresql%3A%2F%2Fu1%3A" + canary + "%40h%2Fapp", "postgresql%253A%252F%252Fu1%253A" + canary + "%2540h",
		"u1:" + canary + "@db.example.com/app", "mongodb+srv://u1:" + canary + "@a.example.com,b.example.com/x", "jdbc:oracle:thin:u1/" + canary + "@//h.example.com:1521/x",
		"https://h.example.com/x?password=" + canary, "https://h.example.com:8443/?api_key=" + canary, "https://h.example.com/x?a=1&access_token=" + canary, "https://h.example.com/x?token=" + canary,
		"https://h.example.com/x?sv=1&sig=" + canary, "https://h.example.com/x?X-Amz-Signature=" + canary, "https://h.example.com/x?key=" + canary, "postgresql://h/app?sslpassword=" + canary,
		"jdbc:db://h.example.com/x;user=a;password=" + canary, "host=h password=" + canary, "host=h sslpassword = '" + canary + "'", "Server=h;Uid=u;Pwd=" + canary, "AccountName=a;AccountKey=" + canary,
		"SharedAccessKey=" + canary, "aws_secret_access_key=" + canary, "user=a pass=" + canary,
		`{"password":"` + canary + `"}`, `{"a":{"client_secret": "` + canary + `"}}`, `{'accessToken':'` + canary + `'}`, `{"private_key":"` + canary + `"}`, "password: " + canary, "api_key: " + canary, "Authorization: Basic " + canary,
		"-----BEGIN PRIVATE KEY-----\n" + canary + "\n-----END PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY----- " + canary, "Bearer " + canary + canary, "Basic " + canary + "==",
		"eyJhbGciOiJIUzI1NiJ9." + canary + "." + canary, "ghp_" + canary + canary, "github_pat_" + canary, "glpat-" + canary, "xoxb-" + canary, "sk_live_" + canary, "AIza" + canary, "ya29." + canary,
		"//u1:" + canary + "@h.example.com/x", "postgresql://u1%3A" + canary + "@h/app", "pass\u200bword=" + canary, "ｐａｓｓｗｏｒｄ＝" + canary, "mot_de_passe=" + canary,
		"https://h.example.com/x?sessionid=" + canary, "https://h.example.com/x?code=" + canary, "https://h.example.com/x?subscription-key=" + canary, "https://h.example.com/x?hmac=" + canary,
		"mysql --password " + canary, "pass:" + canary, "<password>" + canary + "</password>", "AKIAIOSFODNN7EXAMPLE:abcdEFGH" + canary + canary, "shpat_" + canary, "glsa_" + canary,
		encode("postgresql://u1:" + canary + "@h/app"), encode(`{"password":"` + canary + `"}`), encode("u1:" + canary), base64.RawURLEncoding.EncodeToString([]byte("u1:" + canary + "??>")),
	}
}

// discreet sends secrets in the public fields that take any text: each is
// rejected there, or not shown. Of a credential without a secret the path of an
// address may be one.
func discreet(s *subject) (found []string) {
	for _, one := range s.samples {
		without, _ := s.check(one.members)
		for _, f := range s.typ.Fields {
			if !f.Public || f.Kind != connector.Text || len(f.OneOf) > 0 {
				continue
			}
			send := planted()
			if !f.Identity { // an id of a client may have the form of a secret access key of AWS
				send = append(send, "abcdEFGH"+canary+canary)
				if !strings.Contains(f.Name, "path") { // files have the form user/password@host, too
					send = append(send, "u1/"+canary+"@db.example.com:1521/app", "jdbc:oracle:thin:u1/"+canary+"@h", "u1/"+canary+"@//h:1521/x")
				}
			}
			if without.Method() == "NONE" && address.MatchString(f.Name) {
				send = append(send, "https://h.example.com/hook/"+canary)
			}
			for _, value := range send {
				settings, faults := s.check(one.members.with(f, f.Name, strconv.Quote(value)))
				if at(faults, f.Name) {
					continue
				}
				if shown := string(settings.Public()); strings.Contains(shown, canary) || strings.Contains(shown, value) {
					found = append(found, fmt.Sprintf("%s: a secret in %s is accepted and shown: %s", one.label, f.Name, strings.ReplaceAll(value, canary, "…")))
				}
			}
		}
	}
	return found
}

// silent sends the canary as the value of each field and looks for it in all
// that may be printed.
func silent(s *subject) (found []string) {
	search := secrettest.NewSearch([]byte(canary))
	look := func(name, where string, printed []byte) {
		if forms := search.In(printed); len(forms) > 0 {
			found = append(found, fmt.Sprintf("the value of %s stands in %s: %s", name, where, strings.Join(forms, ", ")))
		}
	}
	for _, f := range s.typ.Fields {
		for _, name := range names(f) {
			for _, value := range []string{canary, "https://u:" + canary + "@h.example.org/%zz", "a\n" + canary} {
				quoted := strconv.Quote(value)
				settings, faults := s.check(s.base().with(f, name, quoted))
				look(name, "a fault", told(faults))
				look(name, "printed settings", prints(settings))
				if !f.Public {
					look(name, "what is public", settings.Public())
				}
				// The same where another field is at fault too.
				_, faults = s.check(object{name: jsontext.Value(quoted), strange: jsontext.Value(quoted)})
				look(name, "a fault among others", told(faults))
				_, faults = s.check(object{name: jsontext.Value(`{"` + canary + `":["` + canary + `"]}`)})
				look(name, "a fault of a nested value", told(faults))
			}
		}
	}
	return found
}

func told(faults []fault.Detail) []byte {
	var b bytes.Buffer
	for _, d := range faults {
		fmt.Fprintf(&b, "%s %s %s\n", d.Pointer, d.Code, d.Message)
	}
	return b.Bytes()
}

// prints is all that may be printed of settings by accident.
func prints(settings connector.Settings) []byte {
	var b bytes.Buffer
	nested := struct {
		Deep  any
		inner connector.Settings
	}{Deep: &settings, inner: settings}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&b, verb+" "+verb+" "+verb+"\n", settings, &settings, nested)
	}
	if text, err := json.Marshal(settings); err == nil {
		b.Write(text)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("settings", "settings", settings, "nested", nested)
	}
	fmt.Fprintln(&b, settings.Known(), settings.Method(), settings.Unknown())
	return b.Bytes()
}
