package httpprobe

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/pattern"
)

// Kinds of bodies.
const (
	bodyNone  = "none"
	bodyJSON  = "json"
	bodyXML   = "xml"
	bodyHTML  = "html"
	bodyOther = "other"
)

// report is what the body of an answer is, and whether it reports an error.
type report struct {
	kind   string
	failed bool
}

// read classifies the body: many APIs answer 200 and report the error inside.
func (a answer) read() report {
	body := document(a.body)
	lower := bytes.ToLower(body[:min(len(body), 1024)])
	problem := strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+") // RFC 9457
	switch {
	case len(body) == 0:
		return report{kind: bodyNone}
	case body[0] == '{' || body[0] == '[' || body[0] == '"':
		return report{bodyJSON, problem || jsonFails(first(body), true)}
	case bytes.Contains(lower, []byte("<html")) || bytes.HasPrefix(lower, []byte("<!doctype html")):
		return report{bodyHTML, asksToSignIn(body)}
	case body[0] == '<':
		return report{bodyXML, problem || xmlFails(body)}
	}
	return report{bodyOther, len(body) < 1024 && (rejectsInText(string(body)) || formFails(string(body)))}
}

// first is the first of several JSON documents, one a line.
func first(body []byte) []byte {
	value, err := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true)).ReadValue()
	if err != nil {
		return body
	}
	return value
}

// signIn are the marks of a page to sign in at: its field, its title, the address
// that it leads to, and the messages of SAML in its form.
var signIn = pattern.New(`(?i)type\s*=\s*["']?password\b|<title>[^<]{0,80}\b(sign[ -]?in|log[ -]?in|single sign-on|authentication required)\b|http-equiv\s*=\s*["']?refresh[^>]{0,200}(login|signin|sign-in|sso|saml|oauth)|location(\.href)?\s*=\s*["'][^"']{0,200}(login|signin|sign-in|sso|saml|oauth)|name\s*=\s*["']?SAML(Request|Response)\b`)

// asksToSignIn recognises a page to sign in at, which is no success.
func asksToSignIn(body []byte) bool { return signIn.MatchString(string(body)) }

// formFails reports whether a form-encoded body has a member that reports an error.
func formFails(text string) bool {
	form, err := url.ParseQuery(text)
	if err != nil || !strings.Contains(text, "=") || strings.ContainsAny(text, " \n<{") {
		return false
	}
	for name := range form {
		if value, err := json.Marshal(form.Get(name)); err == nil && memberFails(plainName(name), value) {
			return true
		}
	}
	return false
}

// rejectsInText reports whether a short text is that of an error.
func rejectsInText(text string) bool {
	words := inWords([]byte(text))
	return wordsDenied.MatchString(words) || wordsRejects.MatchString(words)
}

// wrappers are members that hold the outcome of a request one level down.
var wrappers = []string{"meta", "response", "result", "status", "header", "head", "data", "body", "responsestatus", "viewer"}

// jsonFails reports whether a JSON document reports an error in one of the
// usual ways. deep looks into the wrappers too.
func jsonFails(body []byte, deep bool) bool {
	var members map[string]jsontext.Value
	if json.Unmarshal(body, &members, jsontext.AllowDuplicateNames(true)) != nil {
		var text string
		if json.Unmarshal(body, &text) == nil {
			return rejectsInText(text)
		}
		return listFails(body)
	}
	coded, told := false, false // a code that is no success, with a message
	for name, value := range members {
		name = plainName(name)
		coded, told = coded || codeFails(name, value), told || slices.Contains(messages, name) && value.Kind() == '"'
		if memberFails(name, value) || deep && name == "status" && value.Kind() == 'f' || deep && slices.Contains(wrappers, name) && value.Kind() == '{' && jsonFails(value, false) {
			return true
		}
	}
	return coded && told
}

// plainName is the name of a member in lower case, without _ and -.
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// listFails reports whether a list is of errors: Salesforce's form, or the answers
// to a batch of GraphQL.
func listFails(body []byte) bool {
	var list []struct {
		Code   string         `json:"errorCode"`
		Errors jsontext.Value `json:"errors"`
		ID     jsontext.Value `json:"id"`
	}
	return json.Unmarshal(body, &list) == nil && len(list) > 0 && (list[0].Code != "" || holds(list[0].Errors) && list[0].ID == nil)
}

// messages are members that hold a message for people.
var messages = []string{"message", "msg", "detail", "reason", "description"}

// codeFails reports whether a member is a numeric code that is none of the usual
// ones of success.
func codeFails(name string, value jsontext.Value) bool {
	var number float64
	if !slices.Contains([]string{"code", "ret", "retcode", "status", "cod", "rc", "returncode", "responsecode"}, name) || value.Kind() != '0' || json.Unmarshal(value, &number) != nil {
		return false
	}
	return number != 0 && number != 1 && (number < 200 || number > 299)
}

// memberFails reports whether one member of an object reports an error.
func memberFails(name string, value jsontext.Value) bool {
	text, number := "", 0.0
	_ = json.Unmarshal(value, &text)
	_ = json.Unmarshal(value, &number)
	text = strings.ToLower(text)
	switch name {
	case "error", "errors", "errormessage", "errormsg", "errordescription", "errorcode", "errcode", "errmsg", "err", "errno", "errornumber",
		"fault", "faultcode", "faultstring", "exception", "iserror", "haserror", "failure":
		if value.Kind() == '"' {
			return strings.Trim(text, "0 ") != "" && !slices.Contains([]string{"ok", "success", "none", "no error", "false", "null"}, text)
		}
		return holds(value)
	case "ok", "success", "successful", "succeeded", "issuccess", "authenticated", "isauthenticated", "loggedin", "isloggedin", "signedin":
		return value.Kind() == 'f' || value.Kind() == '0' && number == 0 || slices.Contains([]string{"false", "0", "no", "n"}, text)
	case "valid", "isvalid", "authorized", "active", "login", "auth":
		return value.Kind() == 'f' || text == "false"
	case "message", "msg", "detail", "reason":
		return value.Kind() == '"' && len(text) < 256 && rejectsInText(text)
	case "status", "code", "statuscode", "result", "type", "stat", "resultcode", "cod", "httpcode", "httpstatus", "responsecode", "returncode", "outcome":
		return number >= 400 && number < 600 || value.Kind() == '"' && statusFails(text)
	}
	return false
}

// statusFails reports whether the text of a status or code member is that of an
// error.
func statusFails(text string) bool {
	words := inWords([]byte(text))
	for _, w := range strings.Fields(words) {
		if slices.Contains([]string{"error", "fail", "failed", "failure", "unauthorized", "unauthenticated", "denied", "forbidden", "invalid", "fault", "ko", "nok", "unsuccessful", "unauthorised"}, w) {
			return true
		}
	}
	return len(text) == 3 && (text[0] == '4' || text[0] == '5')
}

// holds reports whether a member holds more than that there is nothing.
func holds(value jsontext.Value) bool {
	_ = value.Compact()
	switch string(value) {
	case "", "null", "false", "0", `""`, "{}", "[]":
		return false
	}
	return true
}

// xmlFails recognises a SOAP Fault and the documents that XML APIs answer
// errors with, by their first elements.
func xmlFails(body []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict, d.CharsetReader = false, func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // the names are ASCII
	element := ""
	for range 24 { // elements, with the text between them
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch token := token.(type) {
		case xml.StartElement:
			if element = plainName(token.Name.Local); elementFails(element, token.Attr) {
				return true
			}
		case xml.CharData:
			text := strings.ToLower(strings.TrimSpace(string(token)))
			if slices.Contains([]string{"status", "stat", "result", "returncode", "success", "ok", "statuscode", "resultcode"}, element) && (statusFails(text) || text == "false") {
				return true
			}
		case xml.EndElement:
			element = ""
		}
	}
	return false
}

func elementFails(name string, attributes []xml.Attr) bool {
	switch name {
	case "fault", "error", "errors", "errorresponse", "exception", "serviceexception", "serviceexceptionreport":
		return true
	}
	for _, a := range attributes {
		switch value := strings.ToLower(a.Value); strings.ToLower(a.Name.Local) {
		case "status", "stat", "result", "code":
			if statusFails(value) {
				return true
			}
		case "success", "ok":
			if value == "false" {
				return true
			}
		}
	}
	return false
}
