package mysql

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"

	mysqldriver "github.com/go-sql-driver/mysql"

	"credence/shared/probe"
)

// line is the connection as the driver gets it: the greeting is given to it
// once more, and the first error is kept, which the driver replaces by its own
// "invalid connection".
type line struct {
	net.Conn
	attempt   *probe.Attempt
	unread    []byte // of the greeting
	plaintext bool
	offered   bool // the server offers TLS
	wrote     bool // the driver answered the greeting
	secured   bool // the certificate was accepted
	failure   error
}

// Read implements net.Conn.
func (l *line) Read(p []byte) (int, error) {
	if len(l.unread) > 0 {
		n := copy(p, l.unread)
		l.unread = l.unread[n:]
		return n, nil
	}
	n, err := l.Conn.Read(p)
	l.keep(err)
	return n, err
}

// Write implements net.Conn.
func (l *line) Write(p []byte) (int, error) {
	l.wrote = true
	n, err := l.Conn.Write(p)
	l.keep(err)
	return n, err
}

func (l *line) keep(err error) {
	if l.failure == nil {
		l.failure = err
	}
}

// cause is what the driver's error stands for.
func (l *line) cause(err error) error {
	switch {
	case !errors.Is(err, mysqldriver.ErrInvalidConn) && !errors.Is(err, driver.ErrBadConn):
		return err
	case l.failure != nil:
		return l.failure
	case l.secured:
		return io.EOF // TLS was ended in order, which is no error down here
	}
	return err
}

// outcome is what the stage auth ended with; nil means that the server looked
// at the secret and accepted it.
func (l *line) outcome(err error) error {
	if err == nil {
		return nil
	}
	if number := errno(err); number != 0 {
		f := refused(number, l.wrote)
		if f.Code == probe.CodeAuthRejected && l.plaintext && l.offered {
			return errTLSWanted
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
