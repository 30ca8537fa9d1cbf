package httpapi_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
)

// raw opens a connection, sends text and reads one answer of it: its status, and
// whether the server closes the connection.
func raw(t *testing.T, server *httptest.Server, text string) (status int, closes bool) {
	t.Helper()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer to %q: %v", text[:min(len(text), 60)], err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode, res.Close
}

// A caller who is not known is answered from the header: not a byte of the body
// is waited for, nor asked for by 100 Continue. A token is good if it is a number.
func TestTheHeaderIsJudgedBeforeTheBody(t *testing.T) {
	server := httptest.NewServer(newCrowd(t,
		httpapi.Route{Pattern: "POST /a", Needs: access.Update, Handle: echo},
		httpapi.Route{Pattern: "POST /open", Public: true, Handle: echo},
	))
	t.Cleanup(server.Close)
	for name, row := range map[string]struct {
		path, header string
		status       int
		closes       bool
	}{
		"a long body":       {"/a", "Authorization: Bearer bad\r\nContent-Length: 200000\r\n", 401, true},
		"chunks":            {"/a", "Authorization: Bearer bad\r\nTransfer-Encoding: chunked\r\n", 401, true},
		"no token":          {"/a", "Content-Length: 200000\r\n", 401, true},
		"100 Continue":      {"/a", "Authorization: Bearer bad\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n", 401, true},
		"far too long":      {"/a", "Authorization: Bearer 1\r\nContent-Length: 9000000\r\n", 413, true},
		"a coded body":      {"/a", "Authorization: Bearer 1\r\nContent-Encoding: gzip\r\nContent-Length: 200000\r\n", 415, true},
		"a public route":    {"/open", "Content-Length: 200000\r\n", 200, true},
		"no route":          {"/nothing", "Content-Length: 200000\r\n", 404, true},
		"a short body late": {"/a", "Authorization: Bearer bad\r\nContent-Length: 20\r\n", 401, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, closes := raw(t, server, "POST "+row.path+" HTTP/1.1\r\nHost: h\r\n"+row.header+"\r\n")
			if status != row.status || closes != row.closes {
				t.Errorf("%d, close %v; want %d, %v", status, closes, row.status, row.closes)
			}
		})
	}
	status, closes := raw(t, server, "POST /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer bad\r\nContent-Length: 2\r\n\r\n{}")
	if status != 401 || closes {
		t.Errorf("a short body that is there costs the connection: %d, close %v", status, closes)
	}
}

// A slow body ends after its own time, and the request's time does not run
// meanwhile.
func TestSlowBodies(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for five seconds")
	}
	server := httptest.NewServer(newCrowd(t, httpapi.Route{
		Pattern: "POST /a", Needs: access.Update, Within: 3 * time.Second,
		Handle: func(ctx context.Context, _ *httpapi.Request) (httpapi.Answer, error) {
			return httpapi.Answer{}, ctx.Err()
		},
	}))
	defer server.Close()
	const head = "POST /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer 1\r\nContent-Length: 20\r\n\r\n"
	var both sync.WaitGroup
	both.Go(func() {
		if status, closes := raw(t, server, head+"{"); status != 408 || !closes {
			t.Errorf("a body that never ends: %d, close %v", status, closes)
		}
	})
	both.Go(func() {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, head+"{")
		time.Sleep(4 * time.Second) // beyond the route's own time
		_, _ = io.WriteString(c, strings.Repeat(" ", 18)+"}")
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
			t.Errorf("a slow body: %v, %v", res, err)
		} else {
			_ = res.Body.Close()
		}
	})
	both.Wait()
}

// crowd authenticates the organisation whose number the token is. Unlike a desk
// it may be used by many requests at once.
type crowd struct{ httpapi.Denials }

func newCrowd(t *testing.T, routes ...httpapi.Route) http.Handler {
	t.Helper()
	h, err := httpapi.Stack(httpapi.Config{SignIn: crowd{}, Denials: crowd{}, Logger: slog.New(slog.DiscardHandler)}, routes)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (crowd) Authenticate(_ context.Context, bearer string, from identity.Origin, _ identity.Load) (identity.Caller, error) {
	org, err := strconv.ParseInt(bearer, 10, 64)
	if err != nil {
		return identity.Caller{}, fault.New(fault.CodeUnauthenticated, "why")
	}
	return identity.Caller{Org: identity.Org{ID: org}, KeyID: 1, Scopes: access.Scopes, Origin: from}, nil
}

// One organisation fills each bound. What is beyond it is 429 with Retry-After;
// another organisation is served as ever; afterwards all is as before.
func TestBoundsAreShared(t *testing.T) {
	for name, row := range map[string]struct {
		route httpapi.Route
		body  int
		most  int // requests of one organisation at once
	}{
		"heavy routes": {httpapi.Route{Pattern: "POST /a", Needs: access.Read, Heavy: true}, 0, 1},
		"long bodies":  {httpapi.Route{Pattern: "POST /a", Needs: access.Update}, 256 << 10, 32},
		"requests":     {httpapi.Route{Pattern: "POST /a", Needs: access.Read}, 0, 256},
		"short bodies": {httpapi.Route{Pattern: "POST /a", Needs: access.Update}, 1, 256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entered, leave := make(chan struct{}, 1000), make(chan struct{})
			row.route.Handle = func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
				if r.Caller.Org.ID == 1 {
					entered <- struct{}{}
					<-leave
				}
				return httpapi.Answer{}, nil
			}
			h := newCrowd(t, row.route)
			send := func(org string) *httptest.ResponseRecorder {
				r := httptest.NewRequest("POST", "/a", strings.NewReader(strings.Repeat(" ", row.body)))
				r.Header.Set("Authorization", "Bearer "+org)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			var all sync.WaitGroup
			answers := make(chan *httptest.ResponseRecorder, row.most+20)
			for range row.most + 20 {
				all.Go(func() { answers <- send("1") })
			}
			for range 20 { // those beyond the bound are answered while the others are under way
				if w := <-answers; w.Code != 429 || w.Header().Get("Retry-After") == "" {
					t.Errorf("beyond the bound: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
				}
			}
			for range 50 {
				if w := send("2"); w.Code != 200 {
					t.Errorf("another organisation: %d %s", w.Code, w.Body)
				}
			}
			for n := range row.most { // an admitted request may be on its way to the handler
				select {
				case <-entered:
				case <-time.After(10 * time.Second):
					t.Fatalf("%d are under way, want %d", n, row.most)
				}
			}
			close(leave)
			all.Wait()
			if w := send("1"); w.Code != 200 {
				t.Errorf("afterwards: %d %s", w.Code, w.Body)
			}
		})
	}
}

// stalled is a client that has asked for a long answer and reads none of it.
type stalled struct {
	*httptest.ResponseRecorder
	began chan struct{}
	leave chan struct{}
}

func (s stalled) Write(p []byte) (int, error) {
	s.began <- struct{}{}
	<-s.leave
	return s.ResponseRecorder.Write(p)
}

// An organisation whose clients do not read their answers has its share of them;
// beyond that its answers are 429, and another organisation's are sent. The answer to
// a change that was made is sent.
func TestLongAnswersAreShared(t *testing.T) {
	const most = 15 // of a megabyte and two bytes each
	long := func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
		return httpapi.Answer{Body: strings.Repeat("x", 1<<20)}, nil
	}
	h := newCrowd(t, httpapi.Route{Pattern: "GET /a", Needs: access.Read, Handle: long}, httpapi.Route{Pattern: "POST /a", Needs: access.Update, Handle: long})
	request := func(method, org string) *http.Request {
		r := httptest.NewRequest(method, "/a", nil)
		r.Header.Set("Authorization", "Bearer "+org)
		return r
	}
	began, leave := make(chan struct{}, most), make(chan struct{})
	var all sync.WaitGroup
	for range most {
		all.Go(func() { h.ServeHTTP(stalled{httptest.NewRecorder(), began, leave}, request("GET", "1")) })
	}
	for range most {
		<-began
	}
	for _, row := range []struct {
		method, org string
		want        int
	}{{"GET", "1", 429}, {"GET", "2", 200}, {"POST", "1", 200}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(row.method, row.org))
		if w.Code != row.want || row.want == 429 && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s of organisation %s: %d, want %d", row.method, row.org, w.Code, row.want)
		}
	}
	close(leave)
	all.Wait()
}
