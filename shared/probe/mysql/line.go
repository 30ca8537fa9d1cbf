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

// line is the connection as the driver gets it, and the driver's log: the
// greeting is given to the driver once more, and the last error that it logs is
// kept, which it replaces by its own "invalid connection". Without TLS the line
// sees what the server says at the sign-in.
type line struct {
	net.Conn
	attempt   *probe.Attempt
	unread    []byte // of the greeting, or of a packet of the sign-in
	plaintext bool
	plugin    string // that the server named last
	answered  bool   // it answered what the plugin sent
	signedIn  bool   // it said so
	unproven  bool   // it said so before it can have known the password
	offered   bool   // the server offers TLS
	wrote     bool   // the driver answered the greeting
	secured   bool   // the certificate was accepted
	failure   atomic.Pointer[error]
	maria     bool
	// misread is that the driver could not make sense of what MariaDB asked: it
	// takes the last byte of a challenge for its end where that is zero, as one
	// in 256 of ed25519 is, and gives up.
	misread bool
}

// Read implements net.Conn.
func (l *line) Read(p []byte) (int, error) {
	if len(l.unread) > 0 {
		n := copy(p, l.unread)
		l.unread = l.unread[n:]
		return n, nil
	}
	if l.plaintext && !l.signedIn {
		packet, err := readPacket(l.Conn)
		if err != nil {
			return 0, err
		}
		l.note(packet[4:])
		n := copy(p, packet)
		l.unread = packet[n:]
		return n, nil
	}
	return l.Conn.Read(p)
}

// note takes down what a packet of the sign-in says. These two plugins begin
// with less than proves a password to who has not seen it before, and the server
// answers that before it lets anybody in:
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func (l *line) note(body []byte) {
	switch body[0] {
	case packetSwitch:
		name, _, _ := bytes.Cut(body[1:], []byte{0})
		l.plugin, l.answered = string(name), false
	case packetMore:
		l.answered = true
	case packetOK:
		l.signedIn = true
		l.unproven = !l.answered && (l.plugin == "caching_sha2_password" || l.plugin == "sha256_password")
	}
}

// Write implements net.Conn.
func (l *line) Write(p []byte) (int, error) {
	l.wrote = true
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
// at the secret and accepted it.
func (l *line) outcome(err error) error {
	switch {
	case err == nil && l.unproven:
		return probe.Found(probe.CodeSecretNotTested, "The server lets this account in without a look at the password, so nothing is proven. Have a password set for it there, and its checks turned on.").At(database.FieldPassword)
	case err == nil:
		return nil
	}
	if number := errno(err); number != 0 {
		f := refused(number, l.wrote)
		switch {
		case number == errUnknown && unrouted(err) != "":
			return database.NoRoute(unrouted(err))
		case f.Code != probe.CodeAuthRejected:
		case l.plaintext && l.offered:
			return errTLSWanted
		case l.attempt.CertificateSent():
			return errWithCertificate
		}
		return f
	}
	for _, unsupported := range []error{mysqldriver.ErrUnknownPlugin, mysqldriver.ErrCleartextPassword, mysqldriver.ErrOldPassword, mysqldriver.ErrNativePassword} {
		if errors.Is(err, unsupported) {
			return errMethod
		}
	}
	if !l.plaintext && l.wrote && !l.secured {
		return l.attempt.Stage(probe.TLS, func() error { return l.cause(err) })
	}
	return l.cause(err)
}
