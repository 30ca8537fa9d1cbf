//go:build unix

package runtimehost

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// maxLog is how much of a process's output is kept between two takes; of more,
// the last.
const maxLog = 256 << 10

// capture keeps what a process writes. take returns all that was written
// before it was called: it reads the pipe itself instead of hoping that a
// reader beside it got there.
type capture struct {
	r, w *os.File
	done chan struct{} // the reader has ended

	mu  sync.Mutex
	buf []byte
	eof bool
}

func newCapture() (*capture, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("opening a pipe for the log: %w", err)
	}
	c := &capture{r: r, w: w, done: make(chan struct{})}
	raw, err := r.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("opening a pipe for the log: %w", err)
	}
	go func() {
		defer close(c.done)
		// Called whenever the pipe may be read, until the callback is true.
		_ = raw.Read(func(fd uintptr) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.drain(int(fd))
			return c.eof
		})
	}()
	return c, nil
}

// drain reads what the pipe holds. The descriptor never blocks. The caller
// holds mu.
func (c *capture) drain(fd int) {
	var chunk [16 << 10]byte
	for !c.eof {
		n, err := syscall.Read(fd, chunk[:])
		switch {
		case n > 0:
			c.buf = append(c.buf, chunk[:n]...)
			if len(c.buf) > 2*maxLog {
				c.buf = append(c.buf[:0], c.buf[len(c.buf)-maxLog:]...)
			}
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return
		default:
			c.eof = true
		}
	}
}

// take returns what was written since the last take.
func (c *capture) take() []byte {
	if raw, err := c.r.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.drain(int(fd))
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.buf
	c.buf = nil
	return out[max(0, len(out)-maxLog):]
}

// closeWriter gives up our end of the pipe once the process has its own.
func (c *capture) closeWriter() { _ = c.w.Close() }

// close takes what is left, after the process ended, and ends the reader.
func (c *capture) close() {
	rest := c.take()
	_ = c.r.Close()
	<-c.done
	c.mu.Lock()
	c.buf = rest
	c.mu.Unlock()
}
