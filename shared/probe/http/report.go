package httpprobe

import (
	"bytes"
	"encoding/xml"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
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
	body := bytes.TrimSpace(bytes.TrimPrefix(a.body, []byte("\uFEFF")))
	lower := bytes.ToLower(body[:min(len(body), 1024)])
	switch {
	case len(body) == 0:
		return report{kind: bodyNone}
	case body[0] == '{' || body[0] == '[' || body[0] == '"':
		return report{bodyJSON, jsonFails(body, true)}
	case bytes.Contains(lower, []byte("<html")) || bytes.HasPrefix(lower, []byte("<!doctype html")):
		return report{bodyHTML, asksPassword(body)}
	case body[0] == '<':
		return report{bodyXML, xmlFails(body)}
	}
	return report{bodyOther, len(body) < 1024 && rejectsInText(string(body))}
}

// asksPassword recognises a page to sign in at, which is no success.
func asksPassword(body []byte) bool {
	text := strings.ToLower(string(body))
	return strings.Contains(text, `type="password"`) || strings.Contains(text, `type='password'`) || strings.Contains(text, "type=password")
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
		var list []struct { // Salesforce: [{"message":…,"errorCode":…}]
			Code string `json:"errorCode"`
		}
		return json.Unmarshal(body, &list) == nil && len(list) > 0 && list[0].Code != ""
	}
	coded, told := false, false // a number that is no success, with a message
	for name, value := range members {
		name = strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
		coded, told = coded || codeFails(name, value), told || slices.Contains(messages, name) && value.Kind() == '"'
		if memberFails(name, value) || deep && slices.Contains(wrappers, name) && value.Kind() == '{' && jsonFails(value, false) {
			return true
		}
	}
	return coded && told
}

// messages are members that hold a message for people.
var messages = []string{"message", "msg", "detail", "reason", "description"}

// codeFails reports whether a member is a numeric code that is none of the usual
// ones of success.
func codeFails(name string, value jsontext.Value) bool {
	var number float64
	if !slices.Contains([]string{"code", "ret", "retcode", "status"}, name) || value.Kind() != '0' || json.Unmarshal(value, &number) != nil {
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
	case "error", "errors", "errormessage", "errormsg", "errordescription", "errorcode", "errcode", "errmsg", "fault", "faultcode", "faultstring", "exception", "iserror", "haserror", "failure":
		if value.Kind() == '"' {
			return strings.Trim(text, "0 ") != "" && !slices.Contains([]string{"ok", "success", "none", "no error", "false", "null"}, text)
		}
		return holds(value)
	case "ok", "success", "successful", "succeeded", "issuccess", "valid", "isvalid", "authenticated", "isauthenticated", "authorized", "active":
		return value.Kind() == 'f' || text == "false"
	case "message", "msg", "detail", "reason":
		return value.Kind() == '"' && len(text) < 256 && rejectsInText(text)
	case "status", "code", "statuscode", "result", "type", "stat", "resultcode":
		return number >= 400 && number < 600 || value.Kind() == '"' && statusFails(text)
	}
	return false
}

// statusFails reports whether the text of a status or code member is that of an
// error.
func statusFails(text string) bool {
	words := inWords([]byte(text))
	for _, w := range strings.Fields(words) {
		if slices.Contains([]string{"error", "fail", "failed", "failure", "unauthorized", "unauthenticated", "denied", "forbidden", "invalid", "fault"}, w) {
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
	d.Strict, d.CharsetReader = false, nil
	for range 12 { // elements, with the text between them
		token, err := d.Token()
		if err != nil {
			return false
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch strings.ToLower(start.Name.Local) {
		case "fault", "error", "errors", "errorresponse", "exception", "serviceexception", "serviceexceptionreport":
			return true
		}
		for _, a := range start.Attr {
			switch strings.ToLower(a.Name.Local) {
			case "status", "stat", "result", "code":
				if statusFails(strings.ToLower(a.Value)) {
					return true
				}
			case "success":
				if strings.EqualFold(a.Value, "false") {
					return true
				}
			}
		}
	}
	return false
}
