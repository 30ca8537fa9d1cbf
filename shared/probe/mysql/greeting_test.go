package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
)

// A greeting that passes is one that the driver can read without a panic: it
// is given to the driver's own rules on lengths, restated here.
func FuzzGreeting(f *testing.F) {
	body := "\x0a10.11.14-MariaDB\x00\x01\x00\x00\x00abcdefgh\x00\x05\xaa\x2d\x02\x00\x08\x00\x15" + strings.Repeat("\x00", 10) + "ijklmnopqrst\x00mysql_native_password\x00"
	good := "\x00\x00\x00\x00" + body
	good = string(byte(len(body))) + good[1:]
	if _, err := readGreeting(strings.NewReader(good)); err != nil {
		f.Fatalf("the seed is no greeting: %v", err)
	}
	for _, seed := range []string{good, good[:20], "\x05\x00\x00\x00\xff\x10\x04xx", "\x01\x00\x00\x00\xff", "SSH-2.0-x\r\n", "\x00\x00\x00\x00", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readGreeting(bytes.NewReader(data))
		if err != nil {
			finding := probe.Finding{}
			if !errors.As(err, &finding) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("an error of no kind: %v", err)
			}
			if finding.Code.Verdict() != probe.Unknown {
				t.Errorf("%s before anything was presented", finding.Code)
			}
			return
		}
		body := got.packet[4:]
		end := 1 + bytes.IndexByte(body[1:], 0) + 1
		if !bytes.Equal(got.packet, data[:len(got.packet)]) || end == 0 || len(body) < end+4+8+1+2+16+13 {
			t.Errorf("a greeting of %d bytes passed, its version ends at %d", len(body), end)
		}
		if flags := binary.LittleEndian.Uint16(body[end+13:]); got.tls != (flags&canTLS != 0) {
			t.Errorf("flags %x, tls %v", flags, got.tls)
		}
	})
}

func TestExpiry(t *testing.T) {
	const changed = "1700000000" // 2023-11-14T22:13:20Z
	for _, row := range []struct{ changed, lifetime, usual, want string }{
		{changed, "90", "0", "2024-02-12T22:13:20Z"},
		{changed, "", "30", "2023-12-14T22:13:20Z"},
		{changed, "-1", "30", "2023-12-14T22:13:20Z"},
		{changed, "0", "30", ""},
		{changed, "", "0", ""},
		{changed, "", "", ""},
		{changed, "x", "30", ""},
		{"0", "90", "0", ""},
		{"", "90", "0", ""},
	} {
		got := ""
		if at, ok := expiry(row.changed, row.lifetime, row.usual); ok {
			got = at.UTC().Format(time.RFC3339)
		}
		if got != row.want {
			t.Errorf("%v: %q", row, got)
		}
	}
}
