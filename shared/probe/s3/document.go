package s3probe

import (
	"bytes"
	"encoding/xml"
	"strings"

	"github.com/go-json-experiment/json"

	"credence/shared/pattern"
	"credence/shared/probe/roundtrip"
)

// declaration is that of an XML document with the name of its charset.
var declaration = pattern.New(`^\s*<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["'][^>]*\?>`)

// plainXML is a document in UTF-8 without the name of another charset, of which the
// decoder reads none.
func plainXML(body []byte) []byte {
	body = roundtrip.UTF8(body)
	found := declaration.FindStringSubmatch(string(body[:min(len(body), 256)]))
	if found == nil || strings.EqualFold(found[1], "utf-8") {
		return body
	}
	body = body[len(found[0]):]
	if strings.HasPrefix(strings.ToLower(found[1]), "utf") {
		return body
	}
	runes := make([]rune, len(body)) // ISO-8859-1, of which the others here have the ASCII part
	for i, b := range body {
		runes[i] = rune(b)
	}
	return []byte(string(runes))
}

// read reads an error document: that of S3, that of STS, which wraps it, that of
// EC2, which lists it, and one in JSON. Of a document that answers as asked, it
// reads the name alone.
func (h *head) read(body []byte) {
	var document struct {
		XMLName  xml.Name
		Code     string `xml:"Code"`
		Message  string `xml:"Message"`
		Argument string `xml:"ArgumentName"`
		Region   string `xml:"Region"`
		Wrapped  string `xml:"Error>Code"`
		Inner    string `xml:"Error>Message"`
		Listed   string `xml:"Errors>Error>Code"`
	}
	if h.status/100 == 2 {
		var begin struct{ XMLName xml.Name }
		_ = xml.Unmarshal(body, &begin)
		h.root = begin.XMLName.Local
		return
	}
	if xml.Unmarshal(body, &document) != nil {
		h.readJSON(body)
		return
	}
	switch h.root = document.XMLName.Local; h.root {
	case "Error":
		h.code, h.text, h.region = document.Code, document.Message, document.Region
		if document.Argument == "Authorization" {
			h.text += " authorization header"
		}
	case "ErrorResponse":
		h.code, h.text = document.Wrapped, document.Inner
	case "Response":
		h.code = document.Listed
	}
	h.canonical()
}

// readJSON reads an error in JSON, if its code is one of a store's.
func (h *head) readJSON(body []byte) {
	var document struct {
		Code  string `json:"Code"`
		Lower string `json:"code"`
		Text  string `json:"Message"`
	}
	if json.Unmarshal(bytes.TrimSpace(body), &document) != nil {
		return
	}
	for _, code := range []string{document.Code, document.Lower} {
		if _, ok := listed(code); ok {
			h.code, h.text = code, document.Text
			h.canonical()
		}
	}
}

// canonical gives the code that Amazon has for an error where a store has another
// one that stands for several: Scaleway denies access for a wrong signature, and
// versitygw and STS reject the signature for a wrong region.
// https://github.com/ysde/grafana-backup-tool/issues/244
// https://github.com/versity/versitygw/issues/192
func (h *head) canonical() {
	text := strings.ToLower(h.text)
	switch {
	case h.code == "AccessDenied" && strings.Contains(text, "signature") && strings.Contains(text, "not match"):
		h.code = "SignatureDoesNotMatch"
	case h.code == "SignatureDoesNotMatch" && strings.Contains(text, "scoped to a valid region"):
		h.code = "InvalidRegionName"
	}
}
