package httpprobe

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/probe"
	"credence/shared/secret"
)

// nobody is a user, client, key and password that nobody has, and that tells
// the operator of a system where they come from. A user's own name never goes
// with it, so that no failure is counted against an account.
const nobody = "CREDENCEPROBENOBODY1"

var (
	errAnySecret = probe.Found(probe.CodeSecretNotTested, "The address refuses requests without a secret, but takes a made-up one as well as this, so that it takes this one proves nothing. Name an address that checks the secret: test.url or base_url.")
	errAnyClient = probe.Found(probe.CodeSecretNotTested, "The sign-in address gives a token for a made-up secret as well as for this, so the token proves nothing. Check that it is the system's own sign-in address, and none for tests or for guests.")
)

// refusesStranger makes the request with a secret that nobody has: nil if it is
// not served, so that the system looks at the secret and not only for one.
// Whatever else the request needs is left in it.
func (c *client) refusesStranger(ctx context.Context, s signIn) error {
	p, unproven := s.asked(), errAnySecret.At(s.urlField)
	switch x := s.exchange; {
	case x == nil:
		p.secrets = strangers(s.secrets)
	case !x.trades():
		p.secrets = append(strangers(s.secrets), s.token)
	default:
		token, given, err := c.obtainAsStranger(ctx, x)
		if err != nil || !given {
			return err
		}
		p.secrets, unproven = append(slices.Clone(s.secrets), token), errAnyClient.At(x.field)
		c.attempt.Locate(s.urlField, s.urlField)
	}
	got, err := c.tell(ctx, p)
	switch {
	case err != nil:
		return err
	case got.tooOften():
		return probe.Found(probe.CodeRateLimited, "")
	case got.status/100 == 2:
		return unproven
	}
	return nil
}

// obtainAsStranger reports whether the sign-in address gives a token for a
// secret that nobody has, and gives it. An answer of any other kind is none.
func (c *client) obtainAsStranger(ctx context.Context, x *exchange) (token place, given bool, err error) {
	c.attempt.Locate(x.field, x.field)
	got, err := c.trade(ctx, x, x.stranger)
	switch {
	case err != nil:
		return place{}, false, err
	case got.tooOften():
		return place{}, false, probe.Found(probe.CodeRateLimited, "")
	}
	if failed, _ := x.failed(got.body); failed || got.status/100 != 2 {
		return place{}, false, nil
	}
	token, given = x.token(got.body)
	return token, given, nil
}

// trades reports whether the exchange sends anything secret.
func (x *exchange) trades() bool { return x.body.Len() > 0 || len(x.secrets) > 0 }

// strangers gives the places with a secret that nobody has in each that holds
// one: in headers of the user's own only where nothing else does.
func strangers(places []place) []place {
	ownOnly := !slices.ContainsFunc(places, func(p place) bool { return p.field != fieldHeaders })
	changed := slices.Clone(places)
	for i, p := range changed {
		if p.field != fieldHeaders || ownOnly && !negotiates(p.header) {
			changed[i].value = p.strange()
		}
	}
	return changed
}

// negotiates reports whether a header says what is wanted, and not by whom.
func negotiates(header string) bool {
	return header == "User-Agent" || header == "Content-Type" || strings.HasPrefix(header, "Accept")
}

// strange is a value of the same form that nobody has: with the same scheme,
// such as Bearer, before it.
func (s place) strange() secret.Value {
	scheme, _, ok := strings.Cut(s.value.ExposeText(), " ")
	word := !strings.ContainsFunc(scheme, func(c rune) bool { return (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' })
	switch {
	case s.header == "" || !ok || !word: // as in a cookie
		return secret.NewText(nobody)
	case strings.EqualFold(scheme, "Basic"):
		return basic(nobody, secret.NewText(nobody))
	}
	return secret.NewText(scheme + " " + nobody)
}

// strangeBody is a body of the same form, JSON or a form's, with values that
// nobody has.
func strangeBody(body secret.Value) secret.Value {
	text := body.ExposeText()
	var document any
	switch {
	case text == "":
		return body
	case jsontext.Value(text).IsValid() && json.Unmarshal([]byte(text), &document) == nil:
		changed, err := json.Marshal(strangeJSON(document))
		if err == nil {
			return secret.New(changed)
		}
	case strings.Contains(text, "="):
		form, err := url.ParseQuery(text)
		if err != nil {
			break
		}
		for name := range form {
			if !steers(name) {
				form.Set(name, nobody)
			}
		}
		return secret.NewText(form.Encode())
	}
	return secret.NewText(nobody)
}

// strangeJSON puts values that nobody has into a document.
func strangeJSON(value any) any {
	switch v := value.(type) {
	case string:
		return nobody
	case float64:
		return 0
	case []any:
		for i := range v {
			v[i] = strangeJSON(v[i])
		}
	case map[string]any:
		for name := range v {
			if !steers(name) {
				v[name] = strangeJSON(v[name])
			}
		}
	}
	return value
}

// steers reports whether a field of a sign-in says what is wanted (RFC 6749
// §4.3.2), and not by whom.
func steers(name string) bool { return name == "grant_type" || name == "scope" }
