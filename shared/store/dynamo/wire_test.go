package dynamo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/go-json-experiment/json"

	"credence/shared/store"
	"credence/shared/store/dynamo"
)

// fault is what becomes of one request. It may pass it on to the engine.
type fault func(w *wire, r *http.Request) (*http.Response, error)

// wire stands between the SDK and the engine. A request meets the next fault
// of its operation, the last one again and again if rest says so, and passes
// when there is none.
type wire struct {
	engine http.RoundTripper

	mu     sync.Mutex
	faults map[string][]fault
	rest   map[string]fault
	calls  []string
	held   []*http.Request
}

func newWire() *wire {
	return &wire{engine: http.DefaultTransport, faults: map[string][]fault{}, rest: map[string]fault{}}
}

// script lines faults up for an operation.
func (w *wire) script(op string, faults ...fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[op] = faults
}

// always is what an operation meets after its other faults, for ever.
func (w *wire) always(op string, f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest[op] = f
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	w.calls = append(w.calls, op)
	f := w.rest[op]
	if next := w.faults[op]; len(next) > 0 {
		f, w.faults[op] = next[0], next[1:]
	}
	w.mu.Unlock()
	if f == nil {
		f = pass
	}
	return f(w, r)
}

// count is how often an operation was called.
func (w *wire) count(op string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c == op {
			n++
		}
	}
	return n
}

func (w *wire) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls)
}

// deliver passes on what was held back, as a slow network would.
func (w *wire) deliver(t *testing.T) {
	t.Helper()
	if len(w.held) == 0 {
		t.Fatal("no request was held back")
	}
	for _, r := range w.held {
		resp, err := w.engine.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

func pass(w *wire, r *http.Request) (*http.Response, error) { return w.engine.RoundTrip(r) }

// applied has the engine carry the request out, and loses its answer for what
// comes instead.
func applied(instead fault) fault {
	return func(w *wire, r *http.Request) (*http.Response, error) {
		resp, err := w.engine.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return instead(w, r)
	}
}

// after has something happen elsewhere before the fault.
func after(do func(), f fault) fault {
	return func(w *wire, r *http.Request) (*http.Response, error) {
		do()
		return f(w, r)
	}
}

// cut is a connection that ends without an answer; timeout one that is silent
// for too long, without the waiting.
func cut(*wire, *http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func timeout(*wire, *http.Request) (*http.Response, error) { return nil, os.ErrDeadlineExceeded }

// hold keeps a request on its way and says nothing of it.
func hold(w *wire, r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	later := r.Clone(context.WithoutCancel(r.Context()))
	later.Body = io.NopCloser(bytes.NewReader(body))
	w.held = append(w.held, later)
	return nil, os.ErrDeadlineExceeded
}

// hang says nothing until the caller gives up.
func hang(_ *wire, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// slow answers, after d.
func slow(d time.Duration, f fault) fault {
	return func(w *wire, r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return f(w, r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func reply(status int, body string) fault {
	return func(_ *wire, r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header:  http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			Body:    io.NopCloser(strings.NewReader(body)),
			Request: r,
		}, nil
	}
}

// damaged is an answer whose body is not the one that its checksum was made of.
func damaged(w *wire, r *http.Request) (*http.Response, error) { return stating("12345")(w, r) }

// stating lets the engine answer with a checksum.
func stating(checksum string) fault {
	return func(w *wire, r *http.Request) (*http.Response, error) {
		resp, err := w.engine.RoundTrip(r)
		if err == nil {
			resp.Header.Set("X-Amz-Crc32", checksum)
		}
		return resp, err
	}
}

// checked has the engine's answer carry the checksum that belongs to it.
func checked(w *wire, r *http.Request) (*http.Response, error) {
	resp, err := w.engine.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
	resp.Header.Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(text)))
	return resp, err
}

// exception is DynamoDB's way to say no. Its message quotes what no error of
// ours may repeat.
func exception(status int, code string) fault {
	return reply(status, fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"%s"}`, code, engineWords))
}

const engineWords = "words of the engine"

// canceled is a transaction that was refused for these reasons.
func canceled(codes ...string) fault {
	reasons := make([]string, len(codes))
	for i, c := range codes {
		reasons[i] = fmt.Sprintf(`{"Code":%q,"Message":%q}`, c, engineWords)
	}
	return reply(400, fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":%q,"CancellationReasons":[%s]}`,
		engineWords, strings.Join(reasons, ",")))
}

// unprocessed lets the engine answer for the first n keys of each request and
// gives the rest back.
func unprocessed(n int) fault {
	return func(w *wire, r *http.Request) (*http.Response, error) {
		type table struct {
			ConsistentRead bool
			Keys           []any
		}
		var in struct{ RequestItems map[string]table }
		if err := json.UnmarshalRead(r.Body, &in); err != nil {
			return nil, err
		}
		now, later := map[string]table{}, map[string]table{}
		left := n
		for name, t := range in.RequestItems {
			if !t.ConsistentRead {
				return nil, errors.New("a read that is not consistent")
			}
			take := min(left, len(t.Keys))
			left -= take
			if take > 0 {
				now[name] = table{true, t.Keys[:take]}
			}
			if take < len(t.Keys) {
				later[name] = table{true, t.Keys[take:]}
			}
		}
		out := map[string]any{"Responses": map[string]any{}}
		if len(now) > 0 {
			body, err := json.Marshal(map[string]any{"RequestItems": now})
			if err != nil {
				return nil, err
			}
			ask := r.Clone(r.Context())
			ask.Body, ask.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			resp, err := w.engine.RoundTrip(ask)
			if err != nil {
				return nil, err
			}
			err = json.UnmarshalRead(resp.Body, &out)
			_ = resp.Body.Close()
			if err != nil {
				return nil, err
			}
		}
		out["UnprocessedKeys"] = later
		body, err := json.Marshal(out)
		if err != nil {
			return nil, err
		}
		return reply(200, string(body))(w, r)
	}
}

// broken is a store behind a wire, and one beside it that tells the truth.
type broken struct {
	*testing.T
	wire      *wire
	store     *dynamo.Store
	truth     *dynamo.Store
	partition string
}

func newBroken(t *testing.T, opts ...dynamo.Option) *broken {
	t.Helper()
	endpoint := engine(t)
	w := newWire()
	o := options(endpoint)
	o.HTTPClient = &http.Client{Transport: w}
	return &broken{
		T: t, wire: w,
		store:     dynamo.New(dynamodb.New(o), tables, append(opts, dynamo.WithPatience(patience))...),
		truth:     dynamo.New(dynamo.LocalClient(endpoint), tables, dynamo.WithPatience(patience)),
		partition: fmt.Sprintf("%s %d", t.Name(), time.Now().UnixNano()),
	}
}

func (b *broken) item(t store.Table, sort string, rev int64) store.Item {
	return store.Item{
		Key:        store.Key{Table: t, Partition: b.partition, Sort: sort},
		Attributes: store.Attributes{"rev": rev, "on": true, "text": "t", "bytes": []byte{0, 1}},
		Expires:    time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// set has an item there, whatever was there before.
func (b *broken) set(items ...store.Item) {
	b.Helper()
	for _, i := range items {
		if err := b.truth.Commit(b.Context(), store.Write{Verb: store.Put, Item: i, If: store.Always()}); err != nil {
			b.Fatal(err)
		}
	}
}

// rev is the revision of what lies under a key, 0 where nothing does.
func (b *broken) rev(k store.Key) int64 {
	b.Helper()
	items, err := b.truth.Get(b.Context(), k)
	if err != nil {
		b.Fatal(err)
	}
	return items[0].Attributes.Int("rev")
}

// body reads a request's body and puts it back.
func body(t *testing.T, r *http.Request) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	return string(b)
}
