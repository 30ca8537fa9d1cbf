package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/netguard"
	"credence/shared/secret"
)

// Whatever the server sends, and in whatever pieces it arrives: what is handed
// on is what was sent, one message at a time and none past the limit, and the
// sign-in counts as accepted only by a message that says so.
func FuzzExchange(f *testing.F) {
	message := func(kind byte, body string) string {
		return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))) + body
	}
	for _, seed := range []string{
		message('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00") + message('R', "\x00\x00\x00\x0br=x,s=eA==,i=4096") + message('R', "\x00\x00\x00\x0cv=x") + message('R', "\x00\x00\x00\x00"),
		message('R', "\x00\x00\x00\x0br=x,s=eA==,i=10000000"), message('R', "\x00\x00\x00\x03"), message('E', "SFATAL\x00C28P01\x00\x00"),
		"HTTP/1.1 400 Bad Request\r\n", "R\x00\x00\x00\x03", "R\xff\xff\xff\xff", "",
	} {
		f.Add([]byte(seed))
	}
	guard, err := netguard.New(netguard.Policy{Allow: []netip.Prefix{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzz := prober(func(a *probe.Attempt) {
			x := &exchange{attempt: a, prepare: func() {}, reader: iotest.OneByteReader(bytes.NewReader(data))}
			got := &bytes.Buffer{}
			piece := make([]byte, 8<<10)
			for {
				n, err := x.Read(piece)
				got.Write(piece[:n])
				if err != nil {
					break
				}
				if n == 0 {
					t.Error("neither bytes nor an error")
					return
				}
			}
			if !bytes.HasPrefix(data, got.Bytes()) {
				t.Error("what was handed on was not what was sent")
			}
			if x.accepted && !strings.Contains(got.String(), "\x00\x00\x00\x00") || x.presented && x.asked == authOK {
				t.Errorf("accepted %v, presented %v, asked %d", x.accepted, x.presented, x.asked)
			}
			if n, err := x.Read(piece); n != 0 || err == nil {
				t.Error("it reads on after an error")
			}
			if x.fault != io.EOF && x.fault != io.ErrUnexpectedEOF && x.fault.(probe.Finding).Code.Verdict() != probe.Unknown {
				t.Errorf("%v is a verdict", x.fault)
			}
		})
		probe.NewRunner(map[string]probe.Prober{"x": fuzz}, guard, probe.Config{Budget: time.Minute}).Run(t.Context(), "x", nothing{})
	})
}

// prober runs a function within an attempt.
type prober func(a *probe.Attempt)

func (prober) Ports() netguard.Ports { return netguard.AnyPort }

func (p prober) Probe(_ context.Context, a *probe.Attempt) probe.Finding {
	p(a)
	return probe.Found(probe.CodeRateLimited, "")
}

// nothing are no settings.
type nothing struct{}

func (nothing) Text(string) string         { return "" }
func (nothing) Secret(string) secret.Value { return secret.Value{} }
func (nothing) Int(string) (int64, bool)   { return 0, false }
func (nothing) Bool(string) (bool, bool)   { return false, false }
func (nothing) Has(string) bool            { return false }
func (nothing) Method() string             { return "" }
