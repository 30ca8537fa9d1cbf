package httpprobe

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
)

// class is by which two answers are compared: what a difference of two secrets
// changes, and neither a time nor a request's id.
type class struct {
	family   int    // 2 of a 200
	refused  bool   // 401 or 403
	location string // where a redirect leads, without its query
	body     report
}

func (a answer) class() class {
	c := class{family: a.status / 100, refused: a.status == http.StatusUnauthorized || a.status == http.StatusForbidden}
	if c.family == 3 {
		if u, err := url.Parse(a.header.Get("Location")); err == nil {
			c.location = u.Host + u.EscapedPath()
		}
	}
	if c.family == 2 {
		// Of a body that is cut off, only a page is known for what it is.
		if r := a.read(); a.whole || r.kind == bodyHTML {
			c.body = r
		}
	}
	return c
}

// String is the class in a form to be stored: it repeats nothing of an answer.
func (c class) String() string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.location))
	return fmt.Sprintf("%dxx refused=%t location=%08x body=%s failed=%t", c.family, c.refused, h.Sum32(), c.body.kind, c.body.failed)
}

// succeeds reports whether the answer is a success as far as it says.
func (a answer) succeeds() bool { return a.status/100 == 2 && !a.class().body.failed }

// unavailable are answers that say nothing of a secret.
func (a answer) unavailable() error {
	switch {
	case a.stopped():
		return probe.Found(probe.CodeSourceIPDenied, "A protection before the system (a firewall for web applications, or one against bots) answers in its place, so the request did not reach the system. Have it admit the egress addresses of this service.")
	case a.limited():
		return probe.Found(probe.CodeRateLimited, "")
	case a.status == http.StatusNetworkAuthenticationRequired: // RFC 6585 §6
		return probe.Found(probe.CodeTargetUnavailable, "A network before the system requires a sign-in of its own (status 511), so the request did not reach the system. Have its operator admit this service.")
	case a.status >= 500:
		return probe.Found(probe.CodeTargetUnavailable, "The server reports a failure of its own (status %d). Try again later, or contact its operator.", a.status)
	}
	return nil
}

// stopped reports whether a firewall or a protection against bots answers in place
// of the system, by its headers or its page.
// https://developers.cloudflare.com/cloudflare-challenges
// https://docs.aws.amazon.com/waf/latest/developerguide/waf-captcha-and-challenge-how-it-works.html
func (a answer) stopped() bool {
	switch {
	case strings.EqualFold(a.header.Get("Cf-Mitigated"), "challenge"), a.header.Get("X-Amzn-Waf-Action") != "":
		return true
	case a.status == http.StatusForbidden && a.header.Get("X-DataDome") != "":
		return true
	}
	return a.status != http.StatusUnauthorized && a.status < 500 && wordsStopped.MatchString(inWords(a.body))
}

// limited reports whether an answer asks to come back later. Some systems
// reject requests that come too often with 403, or with 200 and an error, and
// name the limit in a header or in the body.
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#rate-limit-errors
func (a answer) limited() bool {
	switch {
	case a.status == http.StatusTooManyRequests:
		return true
	case a.status == http.StatusForbidden:
		return a.header.Get("Retry-After") != "" || a.noneLeft() || wordsLimited.MatchString(inWords(a.body))
	case a.status/100 == 2 && a.whole && a.read().failed, a.status == http.StatusBadRequest:
		return wordsLimited.MatchString(inWords(a.body))
	}
	return false
}

// noneLeft reads the headers that count the requests left in a period.
func (a answer) noneLeft() bool {
	for name, values := range a.header {
		name = strings.ToLower(strings.ReplaceAll(name, "-", ""))
		switch {
		case !strings.Contains(name, "ratelimit") || len(values) == 0:
		case strings.HasSuffix(name, "remaining") && strings.TrimSpace(values[0]) == "0":
			return true
		case name == "ratelimit" && (strings.Contains(values[0], "remaining=0") || strings.Contains(values[0], ";r=0")):
			return true
		}
	}
	return false
}

// wantsCertificate reports whether the answer is for want of a client
// certificate: some servers accept the handshake without one and then reject
// the request.
func (a answer) wantsCertificate() bool {
	return a.status >= 400 && a.status < 500 && wordsCert.MatchString(inWords(a.body))
}

// says reports whether a rejection gives a cause, in its body or in its
// challenge.
func (a answer) says(words interface{ MatchString(string) bool }) bool {
	text := inWords(a.body)
	for _, c := range challenges(a.header) {
		text += " " + inWords([]byte(c.params["error"]+" "+c.params["error_description"]))
	}
	text = strings.ReplaceAll(text, everyCause, "")
	for other := wordsOther.FindStringSubmatch(text); other != nil; other = wordsOther.FindStringSubmatch(text) {
		text = strings.ReplaceAll(text, other[0], " ")
	}
	return words.MatchString(text)
}

// everyCause is the sentence of RFC 6749 §5.2 on invalid_grant, in the form of
// words. Some servers put it before the cause.
const everyCause = "the provided authorization grant e g authorization code resource owner credentials or refresh token is invalid expired revoked does not match the redirection uri used in the authorization request or was issued to another client"

// rejects reports whether the answer rejects the secret in so many words, and
// not the want of one.
func (a answer) rejects() bool { return a.says(wordsRejects) && !a.says(wordsMissing) }

// names reports whether an error rejects the secret by a name that nothing else in
// a request has: an unknown key may be one of its body, and a token one of a page.
func (a answer) names() bool { return a.says(wordsNamed) && !a.says(wordsMissing) }

// affirms reports whether a body reports success, in contradiction to the status.
func (a answer) affirms() bool {
	var members struct {
		OK            bool `json:"ok"`
		Success       bool `json:"success"`
		Authenticated bool `json:"authenticated"`
	}
	return json.Unmarshal(document(a.body), &members) == nil && (members.OK || members.Success || members.Authenticated)
}

// recognises reports whether a 403 is for a missing right: the secret was
// recognised.
func (a answer) recognises() bool {
	return a.header.Get("X-GitHub-SSO") != "" || reason(challenges(a.header)) == "insufficient_scope" || a.says(wordsScope)
}
