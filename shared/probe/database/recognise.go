package database

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"credence/shared/probe"
)

// patience is how long a server may be silent before a second connection asks
// for its kind. Servers of databases answer within a round trip.
const patience = time.Second

// Recogniser recognises servers of one kind by the beginning of an answer to the
// question that ask sends. It returns nil if the answer may be of its kind, and
// otherwise the Finding that it is not.
type Recogniser func(answer []byte) error

// question is a request for TLS of PostgreSQL's, then one of HTTP: servers that
// wait for their client to speak first answer one of the two. It contains
// nothing of the credential.
var question = append(binary.BigEndian.AppendUint64(nil, 8<<32|80877103), "GET / HTTP/1.0\r\n\r\n"...)

// ask opens a connection of its own, so that a server of the right kind that is
// slow is not disturbed on the first one.
func (l Login) ask(ctx context.Context, a *probe.Attempt, own Recogniser) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := a.Aside(ctx, "tcp", net.JoinHostPort(l.Host, l.port))
	if err != nil {
		return nil //nolint:nilerr // the first connection decides
	}
	defer func() { _ = c.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	if _, err := c.Write(question); err != nil {
		return nil //nolint:nilerr // as above
	}
	answer := make([]byte, 5)
	n, _ := io.ReadFull(c, answer)
	if n == 0 {
		return nil
	}
	return own(answer[:n])
}

// patient is a connection whose first Read calls ask if nothing arrives within
// patience.
type patient struct {
	net.Conn
	ask func() error // nil once it is decided
}

// Read implements net.Conn.
func (p *patient) Read(b []byte) (int, error) {
	if p.ask == nil {
		return p.Conn.Read(b)
	}
	ask := p.ask
	p.ask = nil
	_ = p.SetReadDeadline(time.Now().Add(patience))
	n, err := p.Conn.Read(b)
	_ = p.SetReadDeadline(time.Time{}) // that of the probe remains
	late := net.Error(nil)
	if n > 0 || !errors.As(err, &late) || !late.Timeout() {
		return n, err
	}
	if err := ask(); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}
