package httpprobe

import (
	"bytes"

	"credence/shared/pattern"
)

// guards are put before a JSON document so that it is no program in a browser.
var guards = [][]byte{[]byte(")]}',"), []byte(")]}'"), []byte("while(1);"), []byte("for(;;);"), []byte("/**/")}

// padding is the call around a JSON document as JSONP.
var padding = pattern.New(`^[A-Za-z_$][\w$.]{0,63}\(`)

// document is the body without blanks, and of JSON without what stands around it.
func document(body []byte) []byte {
	body = bytes.TrimSpace(body)
	for _, g := range guards {
		if bytes.HasPrefix(body, g) {
			body = bytes.TrimSpace(body[len(g):])
		}
	}
	end := bytes.TrimRight(body, "; \t\r\n")
	if len(end) == 0 || end[len(end)-1] != ')' {
		return body
	}
	call := padding.FindStringSubmatch(string(body[:min(len(body), 72)]))
	if call == nil {
		return body
	}
	if inner := bytes.TrimSpace(end[len(call[0]) : len(end)-1]); len(inner) > 0 && bytes.IndexByte([]byte(`{["`), inner[0]) >= 0 {
		return inner
	}
	return body
}
