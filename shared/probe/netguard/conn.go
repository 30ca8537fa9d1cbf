package netguard

import (
	"net"
	"time"
)

// conn is a connection within its probe's limits. A driver may shorten its
// deadlines, never lengthen them.
type conn struct {
	net.Conn
	dialer *Dialer
}

func (c *conn) Read(p []byte) (int, error) {
	left := c.dialer.unread.Load()
	if left <= 0 {
		return 0, ErrReadLimit
	}
	if int64(len(p)) > left {
		p = p[:left]
	}
	n, err := c.Conn.Read(p)
	c.dialer.unread.Add(-int64(n))
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if c.dialer.unwritten.Add(-int64(len(p))) < 0 {
		return 0, ErrWriteLimit
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.earlier(t)) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.earlier(t)) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.earlier(t)) }

func (c *conn) earlier(t time.Time) time.Time {
	if t.IsZero() || t.After(c.dialer.deadline) {
		return c.dialer.deadline
	}
	return t
}
