package mysql

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"net"
	"sync/atomic"

	mysqldriver "github.com/go-sql-driver/mysql"

	"credence/shared/probe"
	"credence/shared/probe/database"
)

// phase is how far a sign-in got. The phases follow each other; some are reached
// with TLS alone or without it alone.
type phase uint8

const (
	greeted  phase = iota // the server sent its greeting
	opened                // the driver answered it; with TLS, by asking for TLS
	secured               // with TLS: the certificate of the server was accepted
	answered              // without TLS: the server answered what the plugin sent
	signedIn
	unproven // signed in, but the server cannot have known the password
	misread  // the driver could not read what MariaDB asked; no proof was judged yet
)

// line is the connection as the driver gets it, and the driver's log: the
// greeting is given to the driver once more, and the last error that it logs is
// kept, which it replaces by its own "invalid connection". Without TLS the line
// sees what the server says at the sign-in.
type line struct {
	net.Conn
	attempt   *probe.Attempt
	hello     greeting
	plaintext bool
	unread    []byte // of the greeting, or of a packet of the sign-in
	plugin    string // that the server named last
	phase     phase
	failure   atomic.Pointer[error]
}

// Read implements net.Conn.
func (l *line) Read(p []byte) (int, error) {
	if len(l.unread) == 0 && l.plaintext && l.phase < signedIn {
		packet, err := readPacket(l.Conn)
		if err != nil {
			return 0, err
		}
		l.note(packet[4:])
		l.unread = packet
	}
	if len(l.unread) == 0 {
		return l.Conn.Read(p)
	}
	n := copy(p, l.unread)
	l.unread = l.unread[n:]
	return n, nil
}

// note takes down what a packet of the sign-in says. The plugins of SHA-256 begin
// with less than proves a password to who has not seen it before, and the server
// answers that before it lets anybody in:
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func (l *line) note(body []byte) {
	switch body[0] {
	case packetSwitch:
		name, _, _ := bytes.Cut(body[1:], []byte{0})
		l.plugin, l.phase = string(name), opened
	case packetMore:
		l.phase = answered
	case packetOK:
		if l.phase < answered && (l.plugin == "caching_sha2_password" || l.plugin == "sha256_password") {
			l.phase = unproven
		}
		l.phase = max(l.phase, signedIn)
	}
}

// Write implements net.Conn.
func (l *line) Write(p []byte) (int, error) {
	l.phase = max(l.phase, opened)
	return l.Conn.Write(p)
}

// Print implements the driver's Logger, which goroutines of the driver's own
// call too. Nothing is printed.
func (l *line) Print(v ...any) {
	for _, value := range v {
		if err, ok := value.(error); ok {
			l.failure.Store(&err)
		}
	}
}

// cause is what the driver's error stands for.
func (l *line) cause(err error) error {
	failure := l.failure.Load()
	if failure == nil || !errors.Is(err, mysqldriver.ErrInvalidConn) && !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	return *failure
}

// outcome is what the stage auth ended with; nil means that the server looked
// at the secret and accepted it. The driver takes the last byte of a challenge
// for its end where that is zero, as one in 256 of ed25519 is, and gives up.
func (l *line) outcome(err error) error {
	number := errno(err)
	if errors.Is(err, mysqldriver.ErrMalformPkt) && l.hello.mariaDB() {
		l.phase = misread
	}
	switch {
	case err == nil && l.phase == unproven:
		return probe.Found(probe.CodeSecretNotTested, "The server accepts this account without checking the password, so nothing is proven. Have a password set for it there, and its checks turned on.").At(database.FieldPassword)
	case err == nil:
		return nil
	case number == errUnknown && unrouted(err) != "":
		return database.NoRoute(unrouted(err))
	case number != 0:
		return l.refused(err)
	}
	for _, unsupported := range []error{mysqldriver.ErrUnknownPlugin, mysqldriver.ErrCleartextPassword, mysqldriver.ErrOldPassword, mysqldriver.ErrNativePassword} {
		if errors.Is(err, unsupported) {
			return errMethod
		}
	}
	if !l.plaintext && l.phase == opened {
		return l.attempt.Stage(probe.TLS, func() error { return l.cause(err) })
	}
	return l.cause(err)
}
