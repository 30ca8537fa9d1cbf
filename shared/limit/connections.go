package limit

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// Connections bounds the open connections of a server. Beyond the bound the one
// that has waited longest for a request to begin or to go on is closed, so that
// clients who open connections and send nothing never keep others out. Only where
// a handler runs on every connection is a new one closed instead.
//
// A listener that stops accepting at a bound (netutil.LimitListener) would let
// one client hold every connection for as long as the server's timeouts last.
type Connections struct {
	most int

	mu   sync.Mutex
	open int
	idle list.List // of *connection, the longest idle first
}

// NewConnections makes Connections of which at most so many are open.
func NewConnections(most int) *Connections { return &Connections{most: most} }

// Attach puts the bound on a server and its listener before they serve. It
// returns the listener to serve on.
func (c *Connections) Attach(s *http.Server, l net.Listener) net.Listener {
	next := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			conn.begin()
			defer conn.end()
		}
		next.ServeHTTP(w, r)
	})
	s.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		if over, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
			nc = over.NetConn()
		}
		return context.WithValue(ctx, connectionKey{}, nc)
	}
	return listener{l, c}
}

type connectionKey struct{}

type listener struct {
	net.Listener
	bound *Connections
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if conn := l.bound.admit(nc); conn != nil {
			return conn, nil
		}
		_ = nc.Close()
	}
}

// admit makes room for a connection; it returns nil if there is none.
func (c *Connections) admit(nc net.Conn) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.most {
		oldest := c.idle.Front()
		if oldest == nil {
			return nil
		}
		victim, _ := oldest.Value.(*connection)
		victim.leave()
		_ = victim.Conn.Close() // its server finds it closed
	}
	conn := &connection{Conn: nc, bound: c}
	conn.place = c.idle.PushBack(conn)
	c.open++
	return conn
}

type connection struct {
	net.Conn
	bound *Connections

	// Guarded by bound.mu.
	gone    bool
	running int           // handlers
	place   *list.Element // in bound.idle; nil while a handler runs
}

func (c *connection) begin() {
	c.bound.mu.Lock()
	defer c.bound.mu.Unlock()
	if c.running++; c.place != nil {
		c.bound.idle.Remove(c.place)
		c.place = nil
	}
}

func (c *connection) end() {
	c.bound.mu.Lock()
	defer c.bound.mu.Unlock()
	if c.running--; c.running == 0 && !c.gone {
		c.place = c.bound.idle.PushBack(c)
	}
}

// leave takes the connection out of the count, once; the lock is held.
func (c *connection) leave() {
	if c.gone {
		return
	}
	c.gone = true
	c.bound.open--
	if c.place != nil {
		c.bound.idle.Remove(c.place)
		c.place = nil
	}
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.bound.mu.Lock()
	c.leave()
	c.bound.mu.Unlock()
	return c.Conn.Close()
}
