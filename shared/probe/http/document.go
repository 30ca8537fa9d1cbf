package httpprobe

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"

	"credence/shared/pattern"
)

// inUTF8 converts a body in UTF-16, which its byte order mark or the zero bytes of
// its ASCII characters show (RFC 8259 section 8.1), and takes the mark of UTF-8 off.
func inUTF8(body []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return body[3:]
	case len(body) < 4:
		return body
	case body[0] == 0xff && body[1] == 0xfe, body[0] != 0 && body[1] == 0 && body[3] == 0:
		order = binary.LittleEndian
	case body[0] == 0xfe && body[1] == 0xff, body[0] == 0 && body[1] != 0 && body[2] == 0:
		order = binary.BigEndian
	default:
		return body
	}
	units := make([]uint16, len(body)/2)
	for i := range units {
		units[i] = order.Uint16(body[2*i:])
	}
	return bytes.TrimPrefix([]byte(string(utf16.Decode(units))), []byte("\uFEFF"))
}

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
