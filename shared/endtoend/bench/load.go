package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const requestTimeout = 10 * time.Second

// operation returns the nth request of a kind, ready to be written to a connection.
type operation func(n uint64) []byte

// request renders an HTTP/1.1 request.
func request(method, path, header, body string) []byte {
	if body != "" {
		header += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s", method, path, header, body)
}

// byTurns sends the requests one after the other, again and again.
func byTurns(requests [][]byte) operation {
	return func(n uint64) []byte { return requests[n%uint64(len(requests))] }
}

// connection is one client: one request at a time on a kept connection.
type connection struct {
	net.Conn
	in *bufio.Reader
}

func dial(ctx context.Context, address string) (*connection, error) {
	c, err := (&net.Dialer{Timeout: requestTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{c, bufio.NewReader(c)}, nil
}

// send writes a request and reads the whole answer into body, which may be io.Discard.
func (c *connection) send(request []byte, body io.Writer) (status int, err error) {
	if err := c.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return 0, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(body, res.Body); err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

// sample is one measurement.
type sample struct {
	requests, failed int
	rate             float64       // answers a second
	p50, p99         time.Duration // until the answer was read
	cpu              time.Duration // of the server, a request
}

// measure sends an operation from so many clients at once, each of which waits for
// its answer, for a time.
func (s *server) measure(ctx context.Context, op operation, clients int, during time.Duration) (sample, error) {
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	var wg sync.WaitGroup
	var next atomic.Uint64
	next.Store(uint64(time.Now().UnixNano())) // names that no earlier measurement used
	times, failed, errs := make([][]time.Duration, clients), make([]int, clients), make([]error, clients)
	began := time.Now()
	for i := range clients {
		wg.Go(func() {
			c, err := dial(ctx, s.address)
			if err != nil {
				errs[i] = err
				return
			}
			defer func() { _ = c.Close() }()
			for ctx.Err() == nil && time.Since(began) < during {
				sent := time.Now()
				status, err := c.send(op(next.Add(1)), io.Discard)
				if err != nil {
					errs[i] = err
					return
				}
				times[i] = append(times[i], time.Since(sent))
				if status/100 != 2 {
					failed[i]++
				}
			}
		})
	}
	wg.Wait()
	lasted := time.Since(began)
	after, err := s.cpu()
	if err := errors.Join(append(errs, err, ctx.Err())...); err != nil {
		return sample{}, fmt.Errorf("%s: %w", s.name, err)
	}
	all := slices.Concat(times...)
	out := sample{requests: len(all), rate: float64(len(all)) / lasted.Seconds(), cpu: (after - before) / time.Duration(len(all))}
	for _, n := range failed {
		out.failed += n
	}
	out.p50, out.p99 = percentiles(all)
	return out, nil
}

// percentiles sorts the times.
func percentiles(times []time.Duration) (p50, p99 time.Duration) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	return times[len(times)/2], times[len(times)*99/100]
}
