package httpprobe

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/probe"
)

// leavesOut reports whether the counter-example leaves the secret out in place of
// another one. The answer to a wrong secret is then never seen.
func (p plan) leavesOut() bool { return p.account() || p.certAlone || p.blame == fieldTestBody }

// doubtful reports whether a success may be the rejection of a password in a form
// of the system's own. It is stricter than the class, which also compares the
// answers to two keys.
func (a answer) doubtful() bool {
	body := document(a.body)
	switch {
	case a.packed:
		return true
	case !a.whole || len(body) == 0:
		return false
	case len(body) < 1024 && wordsForeign.MatchString(inWords(body)):
		return true
	case body[0] == '{' || body[0] == '[':
		return jsonDoubtful(first(body))
	case body[0] == '<':
		return false // its words are read for the class
	}
	return slices.Contains([]string{"-1", "0", "false", "null", "no", "ko", "nok", "err", "fail"}, strings.ToLower(string(bytes.Trim(body, `"`))))
}

// jsonDoubtful looks for members that report an error. Of a list it reads the first
// element.
func jsonDoubtful(value jsontext.Value) bool {
	var list []jsontext.Value
	if json.Unmarshal(value, &list) == nil && len(list) > 0 {
		return errorWithin(list[0], levelsWithin)
	}
	var members map[string]jsontext.Value
	if json.Unmarshal(value, &members, jsontext.AllowDuplicateNames(true)) != nil {
		return false
	}
	coded, told := false, false
	for name, value := range members {
		name = plainName(name)
		coded, told = coded || textCode(name, value), told || (name == "message" || name == "msg" || name == "text")
		if memberFails(name, value) || outcomeFails(name, value) || errorWithin(value, levelsWithin) {
			return true
		}
	}
	return coded && told
}

// levelsWithin is how deep errorWithin looks.
const levelsWithin = 3

// errorWithin looks for an error inside an object of the answer, where a status or
// an inactive record is usual data.
func errorWithin(value jsontext.Value, levels int) bool {
	var members map[string]jsontext.Value
	if levels == 0 || value.Kind() != '{' || json.Unmarshal(value, &members, jsontext.AllowDuplicateNames(true)) != nil {
		return false
	}
	for name, value := range members {
		switch name = plainName(name); name {
		case "error", "errors", "errorcode", "errcode", "exception", "success", "ok", "authenticated", "loggedin":
			if memberFails(name, value) {
				return true
			}
		case "typename": // __typename, of GraphQL's unions
			if text := string(value); strings.HasSuffix(text, `Error"`) || strings.HasSuffix(text, `Failure"`) {
				return true
			}
		}
		if errorWithin(value, levels-1) {
			return true
		}
	}
	return false
}

// textCode reports whether a member is a code with digits that is no success.
func textCode(name string, value jsontext.Value) bool {
	var text string
	if !slices.Contains([]string{"code", "retcode", "returncode", "responsecode", "resultcode", "status"}, name) || json.Unmarshal(value, &text) != nil {
		return false
	}
	return strings.ContainsAny(text, "123456789") && text != "1" && !strings.HasPrefix(text, "20")
}

// outcomeFails reads members whose value is the outcome in some systems, and data
// in others.
func outcomeFails(name string, value jsontext.Value) bool {
	var text string
	_ = json.Unmarshal(value, &text)
	switch name {
	case "result", "status", "outcome", "response", "granted", "accessgranted", "loginresult", "authorized", "authorised":
		return value.Kind() == 'f' || string(value) == "-1"
	case "anonymous", "isanonymous", "guest", "isguest":
		return value.Kind() == 't'
	case "user", "username", "userid", "login", "name", "role", "account":
		if text = strings.ToLower(text); text == "anonymous" || text == "anonymoususer" || text == "guest" {
			return true
		}
		return name == "login" && (value.Kind() == 'f' || statusFails(text))
	case "state", "auth", "loginstatus", "authentication":
		return value.Kind() == 'f' || statusFails(strings.ToLower(text))
	}
	return false
}

var errDoubtful = probe.Found(probe.CodeSecretNotTested, "The address answers with success, and its body may report an error in a form that is not known here. No wrong secret is sent to compare with, since it would count towards a lockout. Set test.expect.pointer and test.expect.value to a member that only a successful answer has.")

// steady makes the request once more, now that another secret was answered
// otherwise: the difference may have another cause, such as a limit of requests
// without a key, or one broken server of several. The secret was accepted, so that
// sending it again is harmless.
func (t *trial) steady(ctx context.Context, got answer) error {
	if t.proven {
		return nil
	}
	again, err := t.ask(ctx, t.plan)
	if err == nil && (t.expect.stated() && t.expect.missed(again) == "" || !t.expect.stated() && !differs(got, again)) {
		return nil
	}
	return t.changing(got, again, err)
}

// changing is the finding for two answers to one request, of which err is why the
// second says nothing.
func (t *trial) changing(got, again answer, err error) error {
	if err != nil {
		return err
	}
	return probe.Found(probe.CodeSecretNotTested, "The address answers the same request with status %d, then with status %d: the difference is not caused by the secret. Try again, or enter an address with stable answers.", got.status, again.status).At(t.plan.urlField)
}

// steadyExchange makes an exchange once more for the same reason, where nothing else
// tests its token. An assertion and a refresh token may be good for one use.
func (t *trial) steadyExchange(ctx context.Context) error {
	x := t.exchange
	if t.plan.url != nil || x.client == nil && x.grant() != "" || x.client != nil && x.client.scheme == assertion || x.sign != nil {
		return nil
	}
	again, err := t.send(ctx, x.plan, false)
	if err == nil {
		err = again.unavailable()
	}
	if err != nil {
		return err
	}
	if failed, _ := x.failed(again); again.status/100 == 2 && !failed {
		return nil
	}
	return probe.Found(probe.CodeSecretNotTested, "The token address issues a token for the secret, then answers the same request with status %d: the difference is not caused by the secret. Try again, or ask the operator of the token address.", again.status).At(x.field)
}
