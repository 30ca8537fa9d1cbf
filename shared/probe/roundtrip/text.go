package roundtrip

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
)

// UTF8 converts a body in UTF-16, which its byte order mark or the zero bytes of
// its ASCII characters show (RFC 8259 section 8.1), and takes the mark of UTF-8 off.
func UTF8(body []byte) []byte {
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
