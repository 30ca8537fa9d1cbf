package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"strconv"

	"credence/shared/pattern"
	"credence/shared/probe"
	"credence/shared/probe/database"
)

const (
	// maxMessage is the longest message that is read; those of a sign-in and of
	// our queries have a few hundred bytes.
	maxMessage = 64 << 10
	// maxRounds of SCRAM are computed: 0.15 s of a core. PostgreSQL's own default
	// is 4096; a server may name any number, and no context stops the driver.
	maxRounds = 600_000
	// usualRounds and fewer are computed at once. Of probes that have more to
	// compute one in the process does at a time, so that servers that ask for much
	// take one core at most.
	usualRounds = 50_000
)

// The kinds of AuthenticationXXX messages.
const (
	authOK           = 0
	authCleartext    = 3
	authMD5          = 5
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12
	authDigest       = 13 // Amazon Redshift's own: SHA-256
)

// computing holds a token while a driver computes more than usualRounds.
var computing = make(chan struct{}, 1)

// disproof is the error of SCRAM for a wrong proof, or in the words of earlier
// versions of Supavisor: https://github.com/supabase/supavisor/issues/710
var disproof = pattern.New(`^e=(invalid-proof$|unknown-user$|(?i:wrong password))`)

var errMismatch = probe.Found(probe.CodeProtocolMismatch, "The host answers on this port, but is not a PostgreSQL server. Check host and port.").At(database.FieldHost)

// kind is that of PostgreSQL: it answers a request for TLS with one letter.
func kind(answer []byte) error {
	if bytes.IndexByte([]byte("SNE"), answer[0]) >= 0 {
		return nil
	}
	return errMismatch
}

// exchange reads the server's messages on their way to the driver and notes
// what only they tell: whether a password was asked for, sent and accepted. It
// hands out one message at a time, so that the driver has acted on a message
// (checked a signature, sent its answer) before the next one is noted.
type exchange struct {
	attempt *probe.Attempt
	login   database.Login
	absent  probe.Finding // that there is no such database, told unasked
	prepare func()        // called before the driver answers SCRAM
	reader  io.Reader
	writer  io.Writer
	left    []byte // of the message that is being handed out

	ended    <-chan struct{} // with the attempt
	computes bool            // the token of computing is this exchange's

	began     bool   // the server sent a message of this protocol
	asked     uint32 // the last kind of authentication it asked for; 0 for none
	presented bool   // the driver was asked for what proves the password, and sends it before it reads on
	accepted  bool   // the server said that the sign-in is good
	disproved bool   // SCRAM itself said that the proof is not
	fault     error  // why nothing more is read
}

// Read implements io.Reader.
func (x *exchange) Read(p []byte) (int, error) {
	if len(x.left) == 0 {
		if x.fault == nil {
			x.left, x.fault = x.next()
		}
		if x.fault != nil {
			return 0, x.fault
		}
	}
	n := copy(p, x.left)
	x.left = x.left[n:]
	return n, nil
}

// next reads a message: a byte for its type, four for its length, themselves
// included, and its body.
func (x *exchange) next() ([]byte, error) {
	header := make([]byte, 5)
	if _, err := io.ReadFull(x.reader, header); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length < 4 || length > maxMessage || !x.began && !bytes.ContainsRune([]byte("RENv"), rune(header[0])) {
		return nil, errMismatch
	}
	message := append(make([]byte, 0, length+1), header...)[:length+1]
	if _, err := io.ReadFull(x.reader, message[5:]); err != nil {
		return nil, err
	}
	if !x.began {
		x.began = true
		x.attempt.Answered()
		_ = x.attempt.Stage(probe.Protocol, func() error { return nil })
	}
	if header[0] == 'R' && len(message) >= 9 {
		if err := x.note(binary.BigEndian.Uint32(message[5:9]), message[9:]); err != nil {
			return nil, err
		}
	}
	return message, nil
}

func (x *exchange) note(kind uint32, data []byte) error {
	switch kind {
	case authOK:
		x.accepted = true
		return nil
	case authCleartext, authMD5:
		x.presented = true
	case authSASL:
		x.prepare()
	case authSASLContinue:
		if err := x.compute(data); err != nil {
			return err
		}
		x.presented = true
	case authSASLFinal: // https://www.rfc-editor.org/rfc/rfc5802#section-7
		x.disproved = x.presented && disproof.MatchString(string(data))
	}
	if kind > authDigest {
		return errMismatch
	}
	x.asked = kind
	return nil
}

// compute admits the rounds that the server's first message of SCRAM asks for
// (RFC 5802 section 5.1), which the driver computes once it has the message.
func (x *exchange) compute(data []byte) error {
	_, rounds, _ := bytes.Cut(data, []byte(",i="))
	rounds, _, _ = bytes.Cut(rounds, []byte(","))
	n, err := strconv.Atoi(string(rounds))
	switch {
	case err != nil || n <= usualRounds: // what is no number the driver refuses
		return nil
	case n > maxRounds:
		return probe.Found(probe.CodeAuthWorkLimit, "The server requires more rounds of SCRAM than a probe computes (600,000 at most). Nothing of the password was sent; lower scram_iterations there and set the password again.").At(database.FieldHost)
	}
	select {
	case computing <- struct{}{}:
		x.computes = true
		return nil
	case <-x.ended:
		return context.DeadlineExceeded
	}
}

// computed gives the token back, if the exchange has it: when the driver sends
// what it computed, and when it ends without that.
func (x *exchange) computed() {
	if x.computes {
		x.computes = false
		<-computing
	}
}

// Write passes on what the driver sends.
func (x *exchange) Write(p []byte) (int, error) {
	x.computed()
	return x.writer.Write(p)
}
