package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"credence/shared/api/admin"
	"credence/shared/store"
)

var (
	growth     = flag.String("growth", "", "measure the time of requests against the number of credentials and organisations, and draw it into this `file`")
	growthMost = flag.Int("growth.most", 1_000_000, "the largest number of credentials in one organisation")
	growthOrgs = flag.Int("growth.orgs", 10_000, "the largest number of organisations")
)

var madeID = regexp.MustCompile(`"id":(\d+)`)

// operations that are drawn, in this order.
var operations = []string{"create", "get", "list page of 100", "probe"}

// measured is the median time of each operation at one size.
type measured struct {
	size  int
	times []time.Duration
}

// TestGrowth measures requests through the whole handler, one at a time, against the
// number of credentials in one organisation and the number of organisations. The
// credentials beyond the first are copies of one that the API made, which are put
// into the store by its own contract: the same rows, with another id.
func TestGrowth(t *testing.T) {
	if *growth == "" {
		t.Skip("-growth names no file")
	}
	var credentials, organisations []measured
	for size := 100; size <= *growthMost; size *= 100 {
		p, sign := bench(t)
		fill(t, p, sign, size)
		credentials = append(credentials, measured{size, timeRequests(t, p, sign)})
		t.Log("credentials", credentials[len(credentials)-1])
	}
	p, sign := bench(t)
	for have, size := 1, 1; size <= *growthOrgs; size *= 100 {
		addOrgs(t, p, have, size)
		have = size
		organisations = append(organisations, measured{size, timeRequests(t, p, sign)})
		t.Log("organisations", organisations[len(organisations)-1])
	}
	if err := os.WriteFile(*growth, draw(credentials, organisations), 0o600); err != nil {
		t.Fatal(err)
	}
}

// addOrgs adds organisations until there are so many.
func addOrgs(t *testing.T, p *program, have, want int) {
	t.Helper()
	var adding errgroup.Group
	adding.SetLimit(64)
	for n := have; n < want; n++ {
		adding.Go(func() error {
			_, err := p.admin.Do(t.Context(), admin.Command{Action: admin.AddOrg, Another: true, Name: fmt.Sprintf("Organisation %d", n), Email: fmt.Sprintf("admin%d@example.com", n)})
			return err
		})
	}
	if err := adding.Wait(); err != nil {
		t.Fatal(err)
	}
}

// timeRequests returns the median time of each operation.
func timeRequests(t *testing.T, p *program, sign string) []time.Duration {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(fmt.Sprint(r.Header, r.URL), "right-key") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer target.Close()
	draft := fmt.Sprintf(`{"name":"growth","credentials_type":"rest","credentials":{"api_key":"right-key","base_url":%q}}`, target.URL)
	median := func(n int, method string, path func() string, body string) time.Duration {
		times := make([]time.Duration, n)
		for i := range times {
			at := path()
			began := time.Now()
			ask(t, p.handler, method, at, sign, body)
			times[i] = time.Since(began)
		}
		slices.Sort(times)
		return times[n/2]
	}
	same := func(path string) func() string { return func() string { return path } }
	// A credential is probed once, so that no result of it is there yet.
	fresh := func() string {
		return "/data_credentials/" + idOf(t, ask(t, p.handler, "POST", "/data_credentials", sign, draft))
	}
	one := fresh()
	return []time.Duration{
		median(300, "POST", same("/data_credentials"), draft),
		median(300, "GET", same(one), ""),
		median(20, "GET", same("/data_credentials?page=1&per_page=100"), ""),
		median(30, "POST", func() string { return fresh() + "/probe" }, ""),
	}
}

func idOf(t *testing.T, answer string) string {
	t.Helper()
	m := madeID.FindStringSubmatch(answer)
	if m == nil {
		t.Fatalf("no id in %.200s", answer)
	}
	return m[1]
}

// fill puts copies of a new credential into the store until the organisation has so
// many.
func fill(t *testing.T, p *program, sign string, size int) {
	t.Helper()
	rec := &recorder{Store: p.data.gate.Store}
	p.data.gate.Store = rec
	const draft = `{"name":"growth","credentials_type":"rest","credentials":{"api_key":"k","base_url":"https://api.example.com"}}`
	made := idOf(t, ask(t, p.handler, "POST", "/data_credentials", sign, draft))
	p.data.gate.Store = rec.Store
	number, err := strconv.ParseInt(made, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	rows := slices.DeleteFunc(rec.last, func(w store.Write) bool {
		return w.Verb != store.Put || !strings.Contains(w.Item.Key.Partition+w.Item.Key.Sort, made)
	})
	if len(rows) < 5 {
		t.Fatalf("a create writes %d rows of its own: too few", len(rows))
	}
	each := store.MaxWritesPerCommit / len(rows) // credentials in one commit
	var next atomic.Int64
	var writers errgroup.Group
	for range 64 {
		writers.Go(func() error {
			for {
				first := next.Add(int64(each)) - int64(each)
				if first >= int64(size) {
					return nil
				}
				var writes []store.Write
				for n := first; n < min(first+int64(each), int64(size)); n++ {
					writes = append(writes, copied(rows, number, number-int64(size)+n)...)
				}
				if err := rec.Commit(context.WithoutCancel(t.Context()), writes...); err != nil {
					return err
				}
			}
		})
	}
	if err := writers.Wait(); err != nil {
		t.Fatal(err)
	}
}

// copied returns the rows of a credential with another id in them.
func copied(rows []store.Write, from, to int64) []store.Write {
	old, id := strconv.FormatInt(from, 10), strconv.FormatInt(to, 10)
	out := make([]store.Write, len(rows))
	for i, w := range rows {
		w.If = store.Always()
		w.Item.Key.Partition = strings.Replace(w.Item.Key.Partition, old, id, 1)
		w.Item.Key.Sort = strings.Replace(w.Item.Key.Sort, old, id, 1)
		attributes := make(store.Attributes, len(w.Item.Attributes))
		for name, value := range w.Item.Attributes {
			switch v := value.(type) {
			case int64:
				if v == from {
					value = to
				}
			case string:
				value = strings.ReplaceAll(v, old, id)
			case []byte:
				value = bytes.ReplaceAll(v, []byte(old), []byte(id))
			}
			attributes[name] = value
		}
		w.Item.Attributes = attributes
		out[i] = w
	}
	return out
}

// recorder keeps the writes of the last commit.
type recorder struct {
	store.Store
	last []store.Write
}

func (r *recorder) Commit(ctx context.Context, writes ...store.Write) error {
	r.last = slices.Clone(writes)
	return r.Store.Commit(ctx, writes...)
}
