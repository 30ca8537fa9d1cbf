package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	soakClients = 32
	soakRows    = 20 // lines of the report
	flatRatio   = 1.1
	noiseMiB    = 2 // what two samples of a flat server differ by, as a collection is under way or not
	mostMiB     = 80
	// backlog of requests that are due and not sent: two seconds at the usual rate.
	backlog = 1000
)

// mix is a cycle of the mixed load. As many credentials are deleted as created, so
// that the number of credentials is steady and growth is the server's own.
var mix = []string{
	"read", "create", "read", "update", "read", "delete", "read", "reveal", "read", "create",
	"read", "list", "read", "delete", "read", "update", "read", "create", "read", "delete",
}

// load is the mixed load on one server.
type load struct {
	*server
	header string
	made   chan int64 // created and not deleted

	mu     sync.Mutex
	times  []time.Duration // since the last line of the report
	failed map[int]int     // status → answers
	late   atomic.Int64    // requests that found the backlog full
}

// soak sends the mixed load at a fixed rate and prints the memory of the server over
// time. It fails if the anonymous memory is not flat or is above its bound.
func soak(ctx context.Context, o options, work string, out io.Writer) error {
	s, header, err := startCredence(ctx, o.credence, work)
	if s != nil {
		defer s.stop()
	}
	if err != nil {
		return err
	}
	l := &load{server: s, header: header, made: make(chan int64, backlog), failed: map[int]int{}}
	ctx, cancel := context.WithTimeout(ctx, o.soak)
	defer cancel()
	due := make(chan uint64, backlog)
	errs := make([]error, soakClients)
	var wg sync.WaitGroup
	for i := range soakClients {
		wg.Go(func() {
			if errs[i] = l.work(ctx, due); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Go(func() { l.pace(ctx, o.rate, due) })
	anonymous := l.report(ctx, o.soak/(soakRows+1), out)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return verdict(anonymous, out)
}

// pace makes requests due at the rate until the load ends.
func (l *load) pace(ctx context.Context, rate int, due chan<- uint64) {
	defer close(due)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began, sent := time.Now(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for ; float64(sent) < time.Since(began).Seconds()*float64(rate); sent++ {
			select {
			case due <- sent:
			default:
				l.late.Add(1)
			}
		}
	}
}

// work sends what is due on one connection.
func (l *load) work(ctx context.Context, due <-chan uint64) error {
	c, err := dial(ctx, l.address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var answer bytes.Buffer
	for n := range due {
		kind := mix[n%uint64(len(mix))]
		request := l.next(kind, n)
		if request == nil {
			continue
		}
		answer.Reset()
		began := time.Now()
		status, err := c.send(request, &answer)
		if err != nil {
			return err
		}
		l.note(status, time.Since(began))
		if kind == "create" && status/100 == 2 {
			var made struct {
				ID int64 `json:"id"`
			}
			if err := json.Unmarshal(answer.Bytes(), &made); err != nil {
				return err
			}
			select {
			case l.made <- made.ID:
			default:
			}
		}
	}
	return nil
}

// next renders a request of a kind; nil if there is nothing to delete yet.
func (l *load) next(kind string, n uint64) []byte {
	switch kind {
	case "create":
		return l.create(n)
	case "read":
		return l.read(n)
	case "reveal":
		return l.reveal(n)
	case "update":
		return l.update(n)
	case "list":
		return request("GET", "/data_credentials?per_page=20", l.header, "")
	}
	select {
	case id := <-l.made:
		return request("DELETE", fmt.Sprintf("/data_credentials/%d", id), l.header, "")
	default:
		return nil
	}
}

func (l *load) note(status int, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, took)
	if status/100 != 2 {
		l.failed[status]++
	}
}

// report prints a line in each interval and returns the mean anonymous memory of each
// in MiB.
func (l *load) report(ctx context.Context, interval time.Duration, out io.Writer) []float64 {
	_, _ = fmt.Fprintln(out, "after      requests    1/s   p50/p99 ms   RSS MiB  anonymous  failed")
	var anonymous []float64
	tick := time.NewTicker(interval)
	defer tick.Stop()
	sample := time.NewTicker(min(time.Second, interval/4))
	defer sample.Stop()
	total, began, sum, samples := 0, time.Now(), 0.0, 0
	for {
		select {
		case <-ctx.Done():
			return anonymous
		case <-sample.C:
			_, now := l.memory()
			sum, samples = sum+now, samples+1
			continue
		case <-tick.C:
		}
		l.mu.Lock()
		times, failed := l.times, fmt.Sprint(l.failed)
		l.times = nil
		l.mu.Unlock()
		all, _ := l.memory()
		if all == 0 || samples == 0 { // the server has ended
			return anonymous
		}
		anon := sum / float64(samples)
		sum, samples = 0, 0
		total += len(times)
		p50, p99 := percentiles(times)
		anonymous = append(anonymous, anon)
		_, _ = fmt.Fprintf(out, "%-9s %9d %6.0f %6.2f/%-7.1f %7.1f %10.1f  %s, %d late\n", time.Since(began).Round(time.Second), total,
			float64(len(times))/interval.Seconds(), p50.Seconds()*1000, p99.Seconds()*1000, all, anon, regexp.MustCompile(`^map`).ReplaceAllString(failed, ""), l.late.Load())
	}
}

// verdict compares the fifth of the time after the first one, when caches are
// filled, with the last fifth.
func verdict(anonymous []float64, out io.Writer) error {
	fifth := len(anonymous) / 5
	if fifth == 0 {
		return errors.New("the load ended too early for a verdict")
	}
	mean := func(of []float64) float64 {
		sum := 0.0
		for _, v := range of {
			sum += v
		}
		return sum / float64(len(of))
	}
	early, late, most := mean(anonymous[fifth:2*fifth]), mean(anonymous[len(anonymous)-fifth:]), slices.Max(anonymous)
	_, _ = fmt.Fprintf(out, "anonymous memory: %.1f MiB in the second fifth, %.1f in the last (at most %g times and %d MiB); largest %.1f (at most %d)\n",
		early, late, flatRatio, noiseMiB, most, mostMiB)
	if late > flatRatio*early+noiseMiB || most > mostMiB {
		return errors.New("the memory is not flat, or above its bound")
	}
	return nil
}
