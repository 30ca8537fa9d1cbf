package limit

import (
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// What is read and discarded of a connection that the server closes, so that its
// client can read the answer before it finds the connection closed.
const (
	lingerTime  = 5 * time.Second
	lingerBytes = 64 << 20
)

// Connections bounds the open connections of a server, and those of one source to
// three quarters of that. Beyond the bound the one that has waited longest for a
// request to begin or to go on is closed, of the source that has most connections,
// so that clients who open connections and send nothing never keep others out.
// Only where a handler runs on every connection is a new one closed instead.
//
// A listener that stops accepting at a bound (netutil.LimitListener) would let
// one client hold every connection for as long as the server's timeouts last.
type Connections struct {
	most, share int

	mu      sync.Mutex
	open    int
	sources map[string]*source
}

// source is the connections of one address; see sourceOf.
type source struct {
	open int
	idle list.List // of *connection; the first is the first to be closed
}

// NewConnections makes Connections of which at most so many are open.
func NewConnections(most int) *Connections {
	return &Connections{most: most, share: most - most/4, sources: map[string]*source{}}
}

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
	host, _, _ := net.SplitHostPort(nc.RemoteAddr().String()) // "" for a socket without
	name := sourceOf(host)
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.sources[name]
	if own != nil && own.open >= c.share && !own.evict() || c.open >= c.most && !c.largest().evict() {
		return nil
	}
	if own = c.sources[name]; own == nil { // evict removes a source without connections
		own = &source{}
		c.sources[name] = own
	}
	conn := &connection{Conn: nc, bound: c, name: name, source: own}
	conn.place = own.idle.PushBack(conn)
	own.open++
	c.open++
	return conn
}

// largest returns the source with most connections of those that can be closed.
func (c *Connections) largest() *source {
	best := &source{}
	for _, s := range c.sources {
		if s.idle.Len() > 0 && s.open > best.open {
			best = s
		}
	}
	return best
}

// evict closes the first idle connection and reports whether there is one.
func (s *source) evict() bool {
	first := s.idle.Front()
	if first == nil {
		return false
	}
	victim, _ := first.Value.(*connection)
	victim.leave()
	_ = victim.Conn.Close() // its server finds it closed
	return true
}

type connection struct {
	net.Conn
	bound  *Connections
	name   string
	source *source
	ended  atomic.Bool // the peer sends no more

	// Guarded by bound.mu.
	gone    bool
	lingers bool
	running int           // handlers
	place   *list.Element // in source.idle; nil while a handler runs
}

func (c *connection) begin() {
	c.bound.mu.Lock()
	defer c.bound.mu.Unlock()
	c.running++
	c.displace()
}

func (c *connection) end() {
	c.bound.mu.Lock()
	defer c.bound.mu.Unlock()
	if c.running--; c.running == 0 && !c.gone && c.place == nil {
		c.place = c.source.idle.PushBack(c)
	}
}

// displace takes the connection out of the idle ones; the lock is held.
func (c *connection) displace() {
	if c.place != nil {
		c.source.idle.Remove(c.place)
		c.place = nil
	}
}

// leave takes the connection out of the count, once; the lock is held.
func (c *connection) leave() {
	if c.gone {
		return
	}
	c.gone = true
	c.displace()
	c.bound.open--
	if c.source.open--; c.source.open == 0 {
		delete(c.bound.sources, c.name)
	}
}

// Read implements net.Conn.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.ended.Store(true)
	}
	return n, err
}

// CloseWrite sends that the server answers no more. net/http calls it when it has
// answered a request before the whole of it was read.
func (c *connection) CloseWrite() error { return c.Close() }

// Close implements net.Conn. To close a connection with bytes unread resets it, and
// the client loses the answer (RFC 9112, section 9.6). So Close tells the client,
// and reads on within bounds; meanwhile the connection is the first to make room
// for another.
func (c *connection) Close() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	c.bound.mu.Lock()
	switch {
	case c.lingers:
		c.bound.mu.Unlock()
		return nil
	case c.gone || !ok || c.ended.Load():
		c.leave()
		c.bound.mu.Unlock()
		return c.Conn.Close()
	}
	c.lingers = true
	c.displace()
	c.place = c.source.idle.PushFront(c)
	c.bound.mu.Unlock()
	err := half.CloseWrite()
	go c.linger()
	return err
}

func (c *connection) linger() {
	_ = c.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	c.bound.mu.Lock()
	c.leave()
	c.bound.mu.Unlock()
	_ = c.Conn.Close()
}
