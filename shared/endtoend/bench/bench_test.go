package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestMeasure counts each answer once, and each that is no success, over kept
// connections.
func TestMeasure(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("the bench reads /proc")
	}
	var got, connections atomic.Int64
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) != credentialJSON || r.Header.Get("X-Vault-Token") != "t" {
			t.Errorf("the request has header %v and body %s", r.Header, body)
		}
		if got.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	h.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	h.Start()
	defer h.Close()
	self := &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}
	s := &server{process: &process{cmd: self}, address: h.Listener.Addr().String()}
	op := byTurns([][]byte{request("POST", "/x", "X-Vault-Token: t\r\n", credentialJSON)})
	m, err := s.measure(t.Context(), op, 4, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if n := int(got.Load()); m.requests != n || m.failed != n/2 || m.p50 > m.p99 || m.rate <= 0 {
		t.Errorf("of %d requests: %+v", n, m)
	}
	if n := connections.Load(); n != 4 {
		t.Errorf("%d connections for 4 clients", n)
	}
}

// TestVerdict: growth is found, whether it is slow or above the bound; the growth of
// the first fifth is not counted.
func TestVerdict(t *testing.T) {
	for name, row := range map[string]struct {
		memory []float64
		flat   bool
	}{
		"flat":            {slices.Repeat([]float64{40, 41}, 10), true},
		"caches fill":     {append([]float64{10, 15, 20, 25}, slices.Repeat([]float64{30}, 16)...), true},
		"slow growth":     {[]float64{30, 30, 30, 30, 31, 31, 32, 32, 33, 33, 34, 34, 35, 35, 36, 36, 37, 37, 38, 38}, false},
		"small and noisy": {slices.Repeat([]float64{11.5, 13.6, 12, 14.4}, 5), true},
		"above the bound": {slices.Repeat([]float64{81}, 20), false},
		"too short":       {[]float64{30, 30}, false},
	} {
		if err := verdict(row.memory, io.Discard); (err == nil) != row.flat {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTable states a missed bar as missed.
func TestTable(t *testing.T) {
	servers := []*server{{name: "a"}, {name: "b"}}
	samples := map[string][][]sample{}
	for _, r := range rows {
		samples[r.key()] = [][]sample{{{cpu: 4 * time.Millisecond}, {cpu: time.Millisecond}}}
	}
	var out strings.Builder
	writeTable(&out, servers, samples)
	if met, missed := strings.Count(out.String(), " met"), strings.Count(out.String(), " missed"); met != 4 || missed != 2 {
		t.Errorf("%d met and %d missed:\n%s", met, missed, &out)
	}
}
